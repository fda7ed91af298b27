"""Figure 3: which labels each participant uses, and whether an item gets the same label again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from partynli.analysis.label_use import BUSY, LabelUse, item_order, label_use
from partynli.errors import InputError
from partynli.report.plots.grids import cells, label_handles, names_on, ordered, stacked_shares
from partynli.report.plots.style import INK, MUTED, PAGE, legend, look, ruled, title
from partynli.report.plots.subject import Subject
from partynli.report.sheets import NOTHING

_ROW, _SMALL_ROW, _MANY = 0.16, 0.1, 45
"""Inches a participant, and where there are more than so many."""


def consistency_figure(subject: Subject) -> Canvas:
    """Figure 3 of a run."""
    answers = subject.answers
    uses = label_use(answers, subject.group.members, subject.dataset)
    if not uses:
        raise InputError(f"nobody of {subject.group.name} was asked on these items")
    head = subject.title(f"Labels and consistency, {subject.group.name}")
    return plot_label_use(uses, answers.labels, item_order(uses, answers.items), head)


def plot_label_use(uses: Sequence[LabelUse], labels: Sequence[str], order: Sequence[int], head: str) -> Canvas:
    """Shares of labels with consistency over them, perfectly consistent items, and every single answer.

    Parameters
    ----------
    uses
        Rows from top to bottom.
    labels
        The K labels.
    order
        Positions of the items from left to right.
    head
        Stands above the plot.
    """
    people = sum(one.human for one in uses)
    with look():
        height = _ROW if len(uses) <= _MANY else _SMALL_ROW
        canvas = Canvas(
            figsize=(PAGE, 1.45 + max(0.6, height * len(uses))), layout=ConstrainedLayoutEngine(wspace=0.01)
        )
        shares, same, grid = canvas.subplots(1, 3, sharey=True, width_ratios=(2, 0.8, 3))
        stacked_shares(shares, np.array([one.shares for one in uses]))
        shares.set_xlabel("share of answers")
        _consistency_over(shares.twiny(), uses, len(labels))
        rows = np.arange(len(uses))
        same.barh(rows, np.nan_to_num([one.share_consistent for one in uses]), 0.6, color="#999999")
        same.set_xlim(0, 1)
        same.set_xticks([0, 1], ["0", "100 %"])
        same.set_xlabel("perfectly\nconsistent items")
        ruled(same, "x")
        for row in rows[[np.isnan(one.share_consistent) for one in uses]]:
            same.text(0.03, row, NOTHING, va="center", color=MUTED)  # no bar would be 0 %
        codes = [one.codes[:, list(order)] for one in uses]
        cells(grid, codes, len(labels))
        grid.set_xlabel(f"{grid.get_xlabel()}; a row of cells is a trial")
        names_on(shares, [one.name for one in uses], most=28 if height == _ROW else 36)
        for axes in (same, grid):
            axes.tick_params(axis="y", length=0, labelleft=False)
        if height == _SMALL_ROW:
            shares.tick_params(axis="y", labelsize=5.0)
        if 0 < people < len(uses):
            for axes in (shares, same, grid):
                axes.axhline(people - 0.5, color=INK, linewidth=0.8)
        handles = label_handles(labels, codes)
        handles.append(Line2D([], [], **_SQUARE, label="labels an item (1: always the same)"))
        title(canvas, head)
        legend(canvas, handles, columns=3, note=f"{_note(uses, people)} {ordered(labels)}")
        return canvas


_SQUARE: dict[str, Any] = {
    "marker": "s", "linestyle": "none", "markerfacecolor": "white", "markeredgecolor": "black", "markersize": 3.6,
    "markeredgewidth": 0.7,
}  # fmt: skip


def _consistency_over(axes: Axes, uses: Sequence[LabelUse], n_labels: int) -> None:
    """White squares on an axis of their own: the mean number of labels that an item got."""
    known = np.array([one.consistency for one in uses])
    axes.plot(known, np.arange(len(uses)), clip_on=False, zorder=5, **_SQUARE)
    axes.set_xlim(1, n_labels)
    axes.set_xticks(range(1, n_labels + 1))
    axes.set_xlabel("labels an item")
    axes.spines["top"].set_visible(True)


def _note(uses: Sequence[LabelUse], people: int) -> str:
    workers = f"Above the line: people with more than {BUSY} items, by name. " if 0 < people < len(uses) else ""
    return (
        f"{workers}Participants: the least consistent on top, those with one trial last; they have no consistency (–)."
    )
