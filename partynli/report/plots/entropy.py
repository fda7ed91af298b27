"""Figure 2: how divided people and a mix are on each item, and how far apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from partynli.analysis.per_item import ItemSpreads, item_spreads
from partynli.errors import InputError
from partynli.metrics import Convention
from partynli.report.plots.style import INK, MODELS, PAGE, PEOPLE, RULE, legend, look, plain, ruled, title
from partynli.report.plots.subject import Subject
from partynli.report.sheets import SOURCES

_NAMED = 60
"""Items up to which each is named below the axis."""


def entropy_figure(subject: Subject) -> Canvas:
    """Figure 2 of a run."""
    source, people = subject.crowd
    spreads = item_spreads(subject.answers, subject.group, people, subject.convention, subject.seed)
    if not spreads.items:
        raise InputError(f"{subject.group.name} has no answers to items that people answered")
    whose = SOURCES.get(source, source)
    head = subject.title(f"Entropy per item, people ({plain(whose, 30)}) and {plain(subject.group.name, 30)}")
    return plot_entropies(spreads, whose, subject.group.name, subject.convention, head)


def plot_entropies(spreads: ItemSpreads, people: str, group: str, convention: Convention, head: str) -> Canvas:
    """Two points an item, people's and the group's, joined; above them the distance between the two.

    Parameters
    ----------
    spreads
        Items from left to right.
    people, group
        Names in the legend.
    convention
        What the entropies were computed with.
    head
        Stands above the plot.
    """
    x = np.arange(len(spreads.items))
    with look():
        canvas = Canvas(figsize=(PAGE, 3.5), layout="constrained")
        upper, lower = canvas.subplots(2, 1, sharex=True, height_ratios=(1, 2.2))
        size = 3.4 if len(x) <= _NAMED else 2.2
        lower.vlines(x, *np.sort([spreads.people.entropy, spreads.group.entropy], axis=0), color=RULE, linewidth=1.6)
        apart = 0.16 * min(1.0, len(x) / 30)
        for spread, aside, look_of in ((spreads.people, -apart, _people(size)), (spreads.group, apart, _group(size))):
            lower.vlines(x + aside, spread.low, spread.high, color=look_of["color"], linewidth=0.5, alpha=0.55)
            lower.plot(x + aside, spread.entropy, **look_of)
        js = "JS distance" if convention.js_kind == "distance" else "JS divergence"
        upper.vlines(x, 0, spreads.distance, color=INK, linewidth=0.5)
        upper.plot(x, spreads.distance, "s", color=INK, markersize=size)
        upper.set_ylabel(js)
        upper.set_ylim(bottom=0)
        lower.set_ylabel(f"entropy H ({convention.entropy_unit})")
        lower.set_ylim(bottom=-0.03)
        lower.set_xlim(-0.8, len(x) - 0.2)
        for axes in (upper, lower):
            ruled(axes, "y")
        if len(x) <= _NAMED:
            lower.set_xticks(x, [plain(uid, 12) for uid in spreads.items], rotation=90, fontsize=5.5)
        else:
            lower.set_xlabel(f"{len(x):,} items, by people's entropy")
        handles = [
            Line2D([], [], **_people(3.4), label=f"people ({plain(people, 30)})"),
            Line2D([], [], **_group(3.4), label=plain(group, 30)),
            Line2D([], [], marker="s", linestyle="none", color=INK, markersize=3.4, label=f"{js} of the two"),
            Line2D([], [], color=INK, linewidth=0.5, alpha=0.55, label="95 % of what the votes allow"),
        ]
        title(canvas, head)
        legend(canvas, handles, columns=4)
        return canvas


def _people(size: float) -> dict[str, Any]:
    return {"marker": "o", "linestyle": "none", "color": PEOPLE, "markersize": size}


def _group(size: float) -> dict[str, Any]:
    return {
        "marker": "^", "linestyle": "none", "color": MODELS, "markerfacecolor": "white", "markersize": size + 0.6,
    }  # fmt: skip
