"""Figure 8, draws of participants, and the learning curve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from partynli.analysis.curve import CURVE_WARNING, Costs, Point, learning_curve
from partynli.analysis.lookup import AGAINST, OWN, Figure, Figures, FloatArray
from partynli.analysis.randommix import WARNING, Pool, RandomMix, randommix, whole_mixes
from partynli.errors import InputError
from partynli.report.plots.style import DASHES, MARKS, MUTED, PAGE, SOURCES, legend, look, plain, ruled, title
from partynli.report.plots.subject import Subject

NAMES = {
    "entropy": "Entropy H (nats)",
    "alpha": "Krippendorff's α",
    "js_distance": "JS distance",
    "kl_pq": "KL(human‖model)",
    "kl_qp": "KL(model‖human)",
    "agreement": "Agreement of modes",
    "kendall_tau": "Kendall's τ of H",
}
_MOST = 10
"""Participants in a draw, as in the paper."""
_SIZES, _CURVE_DRAWS = 12, 200
"""Points of the learning curve, and draws at each of them, at most."""


def draws_figure(subject: Subject) -> Canvas:
    """Figure 8 of a run: 1,000 draws of half the mix, and of 10 at most."""
    pool = _pool(subject)
    mix = randommix(pool, size=min(_MOST, len(pool.names) // 2), seed=subject.seed)
    wholes = whole_mixes(subject.answers, (subject.group.name, subject.group.members), subject.people)
    marked = {f"whole mix {name} ({n} participants)": figures for name, (n, figures) in wholes.items()}
    head = f"1,000 draws of {mix.size} from the {len(pool.names)} participants of {subject.group.name}"
    return plot_draws(mix, marked, tuple(subject.people), subject.title(head))


def curve_figure(subject: Subject) -> Canvas:
    """The learning curve of a run's mix."""
    pool = _pool(subject)
    n = len(pool.names)
    sizes = np.unique(np.linspace(1, n, min(n, _SIZES)).round().astype(int)).tolist()
    costs = Costs.of(pool, subject.answers, subject.tallies)
    curve = learning_curve(pool, costs, draws=_CURVE_DRAWS, seed=subject.seed, sizes=sizes)
    head = f"Draws of 1 to {n} participants of {subject.group.name}"
    return plot_curve(curve, tuple(subject.people), subject.title(head))


def _pool(subject: Subject) -> Pool:
    pool = Pool.of(subject.answers, subject.group.members, subject.people)
    if len(pool.names) < 2:
        raise InputError(
            f"it draws from a mix, and {subject.group.name} has fewer than two participants who were asked"
        )
    return pool


def plot_draws(mix: RandomMix, wholes: Mapping[str, Figures], people: Sequence[str], head: str) -> Canvas:
    """Figure 8 of Kulmizev et al. (2026): each figure's distribution over draws, whole mixes marked.

    Parameters
    ----------
    mix
        The draws.
    wholes
        Figures of whole mixes, (1,) each, by the mix's name in the legend.
    people
        Human sources, in the order of the violins.
    head
        Stands above the plot.
    """
    with look():
        canvas, panels = _panels(people)
        for axes, name in panels:
            sources: Sequence[str | None] = (None,) if name in OWN else people
            for place, source in enumerate(sources):
                _violin(axes, mix.values[name, source], place, _colour(source, people))
                for number, (label, whole) in enumerate(wholes.items()):
                    aside = 0.0 if len(wholes) < 2 else 0.3 * (number / (len(wholes) - 1) - 0.5)
                    axes.plot(place + aside, whole[name, source][0], **_mark(number), label=label)
            axes.set_xticks(range(len(sources)), ["draws" if one is None else plain(one, 10) for one in sources])
            if len(sources) > 2:
                axes.tick_params(axis="x", labelsize=5.0)
            axes.set_xlim(-0.6, len(sources) - 0.4)
            ruled(axes, "y")
        handles = [Line2D([], [], **_mark(number), label=plain(label, 40)) for number, label in enumerate(wholes)]
        handles.append(Line2D([], [], color="black", linewidth=1.2, label="median; bars: 25–75 % and 2.5–97.5 %"))
        _finish(canvas, handles, head, WARNING)
        return canvas


def plot_curve(curve: Sequence[Point], people: Sequence[str], head: str) -> Canvas:
    """The learning curve: each figure's mean and 2.5 to 97.5 % of draws by the number of participants.

    Parameters
    ----------
    curve
        Points of growing size.
    people
        Human sources.
    head
        Stands above the plot.
    """
    sizes = [point.size for point in curve]
    with look():
        canvas, panels = _panels(people)
        for axes, name in panels:
            for source in (None,) if name in OWN else people:
                _band(axes, curve, (name, source), people)
            if not any(np.isfinite(one.get_ydata()).any() for one in axes.lines):
                _undefined(axes, (min(sizes) + max(sizes)) / 2)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
            axes.set_xlim(min(sizes) - 0.3, max(sizes) + 0.3)
            axes.set_xlabel("participants")
            ruled(axes, "both")
        handles = [
            Line2D([], [], color=_colour(one, people), linestyle=_dash(one, people), label=f"against {plain(one, 30)}")
            for one in people
        ]
        handles.append(Line2D([], [], color=MUTED, label="participants alone; bands: 2.5–97.5 % of draws"))
        _finish(canvas, handles, f"{head} · {_price(curve[0])} a participant", f"{CURVE_WARNING} {WARNING}")
        return canvas


def _panels(people: Sequence[str]) -> tuple[Canvas, list[tuple[Axes, str]]]:
    """One panel a figure: the participants' own alone where there are no people."""
    names = [*OWN, *(AGAINST if people else ())]
    columns = 4 if people else 3  # so that a place is left for the warning
    rows = -(-len(names) // columns)
    canvas = Canvas(figsize=(PAGE, 1.75 * rows + 0.75), layout="constrained")
    grid = canvas.subplots(rows, columns, squeeze=False).ravel()
    for axes, name in zip(grid, names, strict=False):
        axes.set_title(NAMES[name], loc="left")
    for axes in grid[len(names) :]:
        axes.set_axis_off()
    return canvas, list(zip(grid, names, strict=False))


def _violin(axes: Axes, values: FloatArray, place: int, colour: str) -> None:
    known = values[~np.isnan(values)]
    if not len(known):
        _undefined(axes, place)
        return
    if known.max() - known.min() > 1e-9:
        for body in axes.violinplot(known, [place], widths=0.8, showextrema=False)["bodies"]:  # type: ignore[attr-defined]
            body.set(facecolor=colour, edgecolor=colour, alpha=0.4)
    low, first, median, third, high = np.quantile(known, (0.025, 0.25, 0.5, 0.75, 0.975))
    axes.vlines(place, low, high, color=colour, linewidth=0.8)
    axes.vlines(place, first, third, color=colour, linewidth=3.0)
    axes.hlines(median, place - 0.12, place + 0.12, color="black", linewidth=1.2, zorder=3)


def _undefined(axes: Axes, place: float) -> None:
    """Say so where nothing can be drawn; upright, since there may be others beside it."""
    where = axes.get_xaxis_transform()
    axes.text(place, 0.5, "undefined", ha="center", va="center", transform=where, fontsize=6, rotation=90)


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
    dash = "-" if source is None else _dash(source, people)
    axes.plot(sizes, mean, color=colour, linestyle=dash, marker=".", markersize=3)


def _price(point: Point) -> str:
    calls = f"{point.calls:,.0f} calls"
    if not point.dollars:
        return calls
    return f"{calls}, ${point.dollars:,.2f}" if point.dollars >= 0.01 else f"{calls}, ${point.dollars:.2g}"


def _finish(canvas: Canvas, handles: Iterable[Line2D], head: str, warning: str) -> None:
    spare = canvas.axes[-1]  # the place that is left beside the panels
    spare.text(0.0, 1.0, fill(warning, 32), transform=spare.transAxes, va="top", fontsize=5.5, color="#444444")
    title(canvas, head)
    legend(canvas, list(handles), columns=2)


def _colour(source: str | None, people: Sequence[str]) -> str:
    return MUTED if source is None else SOURCES[people.index(source) % len(SOURCES)]


def _dash(source: str, people: Sequence[str]) -> Literal["-", "--", "-.", ":"]:
    return DASHES[people.index(source) % len(DASHES)]


def _mark(number: int) -> dict[str, Any]:
    return {
        "marker": MARKS[number % len(MARKS)],
        "linestyle": "none",
        "markerfacecolor": "white",
        "markeredgecolor": "black",
        "markersize": 4.5,
        "markeredgewidth": 0.8,
        "zorder": 4,
    }
