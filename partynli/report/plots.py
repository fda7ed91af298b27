"""Plots of findings, as PNG and as SVG whose text stays text. Needs the extra `plots`.

Colours are those of Okabe and Ito, told apart by people of every colour vision; what a colour says, a marker's shape or
a label says too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from textwrap import fill, shorten
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from partynli.analysis.curve import CURVE_WARNING, Point
from partynli.analysis.lookup import AGAINST, OWN, Figure, Figures, FloatArray
from partynli.analysis.randommix import WARNING, RandomMix
from partynli.errors import InputError

NAMES = {
    "entropy": "Entropy H (nats)",
    "alpha": "Krippendorff's α",
    "js_distance": "JS distance",
    "kl_pq": "KL(human‖model), ε = 1e-10",
    "kl_qp": "KL(model‖human), ε = 1e-10",
    "agreement": "Agreement of modal labels",
    "kendall_tau": "Kendall's τ of entropies",
}
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_OWN = "#555555"
_MARKS = ("D", "^", "v", "s", "o", "P", "X", "*")
_DASHES: tuple[Literal["-", "--", "-.", ":"], ...] = ("-", "--", "-.", ":")
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "partynli",
    "text.parse_math": False,
}


def plot_draws(mix: RandomMix, wholes: Mapping[str, Figures], people: Sequence[str], title: str) -> Canvas:
    """Figure 8 of Kulmizev et al. (2026): each figure's distribution over draws, whole mixes marked.

    Parameters
    ----------
    mix
        The draws.
    wholes
        Figures of whole mixes, (1,) each, by the mix's name in the legend.
    people
        Human sources, in the order of the violins.
    title
        Stands above the plot, as plain text.
    """
    with mpl.rc_context(_STYLE):
        canvas, panels = _panels(people)
        for axes, name in panels:
            sources: Sequence[str | None] = (None,) if name in OWN else people
            for place, source in enumerate(sources):
                _violin(axes, mix.values[name, source], place, _colour(source, people))
                for number, (label, whole) in enumerate(wholes.items()):
                    aside = 0.0 if len(wholes) < 2 else 0.3 * (number / (len(wholes) - 1) - 0.5)
                    axes.plot(place + aside, whole[name, source][0], **_mark(number), label=label)
            axes.set_xticks(range(len(sources)), ["draws" if one is None else _plain(one) for one in sources])
            axes.set_xlim(-0.6, len(sources) - 0.4)
            axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        handles = [
            Line2D([], [], **_mark(number), label=shorten(_plain(label), 40)) for number, label in enumerate(wholes)
        ]
        handles.append(Line2D([], [], color="black", linewidth=1.2, label="median; bars: 25–75 % and 2.5–97.5 %"))
        _finish(canvas, handles, title, WARNING)
        return canvas


def plot_curve(curve: Sequence[Point], people: Sequence[str], title: str) -> Canvas:
    """The learning curve: each figure's mean and 2.5 to 97.5 % of draws by the number of participants.

    Parameters
    ----------
    curve
        Points of growing size.
    people
        Human sources.
    title
        Stands above the plot, as plain text.
    """
    sizes = [point.size for point in curve]
    with mpl.rc_context(_STYLE):
        canvas, panels = _panels(people)
        for axes, name in panels:
            for source in (None,) if name in OWN else people:
                _band(axes, curve, (name, source), people)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
            axes.set_xlim(min(sizes) - 0.3, max(sizes) + 0.3)
            axes.set_xlabel(f"participants ({_price(curve[0])} each)", fontsize=8)
            axes.grid(color="#dddddd", linewidth=0.6)
        handles = [
            Line2D([], [], color=_colour(one, people), linestyle=_dash(one, people), label=f"against {_plain(one)}")
            for one in people
        ]
        handles.append(Line2D([], [], color=_OWN, label="participants alone; bands: 2.5–97.5 % of draws"))
        _finish(canvas, handles, title, f"{CURVE_WARNING} {WARNING}")
        return canvas


def save(canvas: Canvas, stem: Path) -> tuple[Path, Path]:
    """Write a plot as PNG and SVG; returns both files. The same plot gives the same bytes."""
    paths = stem.with_suffix(".png"), stem.with_suffix(".svg")
    try:
        with mpl.rc_context(_STYLE):
            canvas.savefig(paths[0], dpi=200, metadata={"Software": None})
            canvas.savefig(paths[1], metadata={"Date": None})
    except OSError as error:
        raise InputError(f"{stem}.png and .svg cannot be written: {error.strerror or error}") from None
    return paths


def _panels(people: Sequence[str]) -> tuple[Canvas, list[tuple[Axes, str]]]:
    """One panel a figure: the participants' own alone where there are no people."""
    names = [*OWN, *(AGAINST if people else ())]
    columns = 4 if people else 3  # so that a place is left for the warning
    rows = -(-len(names) // columns)
    canvas = Canvas(figsize=(3.0 * columns, 2.7 * rows + 0.9), layout="constrained")
    grid = canvas.subplots(rows, columns, squeeze=False).ravel()
    for axes, name in zip(grid, names, strict=False):
        axes.set_title(NAMES[name], loc="left")
    for axes in grid[len(names) :]:
        axes.set_axis_off()
    return canvas, list(zip(grid, names, strict=False))


def _violin(axes: Axes, values: FloatArray, place: int, colour: str) -> None:
    known = values[~np.isnan(values)]
    if not len(known):
        axes.text(place, 0.5, "undefined", ha="center", va="center", transform=axes.get_xaxis_transform(), fontsize=8)
        return
    if known.max() - known.min() > 1e-9:
        for body in axes.violinplot(known, [place], widths=0.8, showextrema=False)["bodies"]:  # type: ignore[attr-defined]
            body.set(facecolor=colour, edgecolor=colour, alpha=0.45)
    low, first, median, third, high = np.quantile(known, (0.025, 0.25, 0.5, 0.75, 0.975))
    axes.vlines(place, low, high, color=colour, linewidth=1.0)
    axes.vlines(place, first, third, color=colour, linewidth=4.0)
    axes.hlines(median, place - 0.12, place + 0.12, color="black", linewidth=1.2, zorder=3)


def _band(axes: Axes, curve: Sequence[Point], figure: Figure, people: Sequence[str]) -> None:
    sizes = np.array([point.size for point in curve], dtype=np.float64)
    summaries = [point.summaries[figure] for point in curve]
    mean, low, high = (
        np.array(list(values), dtype=np.float64)
        for values in (
            (one.mean for one in summaries),
            (one.quantiles[0] for one in summaries),
            (one.quantiles[-1] for one in summaries),
        )
    )
    colour, source = _colour(figure[1], people), figure[1]
    axes.fill_between(sizes, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(sizes, mean, color=colour, linestyle="-" if source is None else _dash(source, people), marker=".")


def _price(point: Point) -> str:
    calls = f"{point.calls:,.0f} calls"
    if not point.dollars:
        return calls
    return f"{calls}, ${point.dollars:,.2f}" if point.dollars >= 0.01 else f"{calls}, ${point.dollars:.2g}"


def _finish(canvas: Canvas, handles: Iterable[Line2D], title: str, warning: str) -> None:
    spare = canvas.axes[-1]  # the place that is left beside the panels
    spare.text(0.0, 1.0, fill(warning, 48), transform=spare.transAxes, va="top", fontsize=7.5, color="#444444")
    width = canvas.get_figwidth()
    canvas.suptitle(fill(_plain(title), int(12 * width)), x=0.01, ha="left", fontsize=10.5)
    canvas.legend(handles=list(handles), loc="outside lower left", ncols=int(width / 3), frameon=False)


def _colour(source: str | None, people: Sequence[str]) -> str:
    return _OWN if source is None else _COLOURS[people.index(source) % len(_COLOURS)]


def _dash(source: str, people: Sequence[str]) -> Literal["-", "--", "-.", ":"]:
    return _DASHES[people.index(source) % len(_DASHES)]


def _mark(number: int) -> dict[str, Any]:
    return {
        "marker": _MARKS[number % len(_MARKS)],
        "linestyle": "none",
        "markerfacecolor": "white",
        "markeredgecolor": "black",
        "markersize": 6,
        "zorder": 4,
    }


def _plain(text: str) -> str:
    """A foreign text without signs that cannot be drawn."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
