"""Ternary plots: label distributions as points between three labels, and arrows from people to models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Polygon

from partynli.analysis.resamples import Floats
from partynli.analysis.simplex import Moves, Place, moves_of, places_of
from partynli.errors import InputError
from partynli.report.plots.style import INK, MODELS, MUTED, PAGE, PEOPLE, RULE, legend, look, plain, title
from partynli.report.plots.subject import Subject
from partynli.report.sheets import SOURCES

_CORNERS = np.array([[0.0, 0.0], [0.5, np.sqrt(0.75)], [1.0, 0.0]])
"""Of the first, second and third label: left, top, right."""
_NAMED = 24
"""Participants up to which each is named."""
_FAINT = "#BBBBBB"
_GAP, _TOP = 0.045, 0.95
"""Least distance between two names, and the height below which the highest one stays."""


def ternary_figure(subject: Subject) -> Canvas:
    """Ternary plots of a run."""
    if len(subject.answers.labels) != 3:
        raise InputError(f"it takes three labels, and the task has {len(subject.answers.labels)}")
    source, people = subject.crowd
    moves = moves_of(subject.answers, subject.group, people, subject.seed)
    if not moves.items:
        raise InputError(f"{subject.group.name} has no answers to items that people answered")
    answers = subject.answers
    members = {answers.names[one]: answers.counts([one]) for one in subject.group.members}
    crowds = places_of({SOURCES.get(name, name): votes for name, votes in subject.people.items()}, subject.seed)
    models = [one for one in places_of(members, subject.seed) if not np.isnan(one.mean).any()]
    whose = SOURCES.get(source, source)
    head = subject.title(f"From people ({whose}) to {subject.group.name}")
    return plot_ternary(moves, crowds, models, answers.labels, subject.group.name, head)


def plot_ternary(
    moves: Moves, people: Sequence[Place], models: Sequence[Place], labels: Sequence[str], group: str, head: str
) -> Canvas:
    """Left: items, an arrow each from people's distribution to the group's. Right: mean distributions.

    Parameters
    ----------
    moves
        Item by item.
    people, models
        Mean distributions with the outline of their 95 % regions; arrows go from the first of the people.
    labels
        The three labels: left, top and right corner.
    group
        Name of the group.
    head
        Stands above the plot.
    """
    with look():
        canvas = Canvas(figsize=(PAGE, 3.1), layout="constrained")
        left, right = canvas.subplots(1, 2, width_ratios=(1.24, 1.84))
        for axes, sides in ((left, 0.12), (right, 0.42)):
            triangle(axes, labels)
            axes.set_xlim(-sides, 1 + sides)
        _items(left, moves)
        left.set_title(f"each of {len(moves.items):,} items" if len(moves.items) > 1 else "1 item", loc="left")
        _means(right, people, models)
        right.set_title("mean over items", loc="left")
        handles = [
            Line2D([], [], **_PEOPLE, label="people"),
            Line2D([], [], **_MODEL, label=f"{plain(group, 30)} (left), its participants (right)"),
            Line2D(
                [], [], color=INK, linewidth=0.9, label=f"differs beyond sampling ({int(moves.differs.sum())} items)"
            ),
            Line2D([], [], color=_FAINT, linewidth=0.9, label="may be sampling"),
        ]
        title(canvas, head)
        legend(
            canvas,
            handles,
            columns=2,
            note="Left: of a mix, its first trial; points grow with the number of items at a place. Right: all trials; "
            "outlines hold 95 % of the means over resampled items. Grey lines: 25, 50, 75 % of a label.",
        )
        return canvas


_PEOPLE: dict[str, Any] = {"marker": "o", "linestyle": "none", "color": PEOPLE, "markersize": 3.6}
_MODEL: dict[str, Any] = {
    "marker": "^",
    "linestyle": "none",
    "color": MODELS,
    "markerfacecolor": "white",
    "markersize": 4.2,
}


def flat(p: Floats) -> Floats:
    """Where distributions (..., 3) lie in the triangle: (..., 2)."""
    return np.asarray(p @ _CORNERS)


def triangle(axes: Axes, labels: Sequence[str]) -> None:
    """Draw an empty triangle with its labels: left, top, right."""
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_ylim(-0.12, 1.0)
    axes.add_patch(Polygon(_CORNERS, closed=True, fill=False, edgecolor=MUTED, linewidth=0.8))
    for share in (0.25, 0.5, 0.75):
        for corner in range(3):
            ends = np.zeros((2, 3))
            ends[:, corner] = share
            ends[0, (corner + 1) % 3] = ends[1, (corner + 2) % 3] = 1 - share
            axes.plot(*flat(ends).T, color=RULE, linewidth=0.5, zorder=0)
    for label, (x, y), (dx, dy), at in zip(
        labels,
        _CORNERS,
        ((0, -0.03), (0, 0.03), (0, -0.03)),
        (("center", "top"), ("center", "bottom"), ("center", "top")),
        strict=True,
    ):
        axes.text(x + dx, y + dy, plain(label, 20), ha=at[0], va=at[1])


def _items(axes: Axes, moves: Moves) -> None:
    for before, after, differs in zip(flat(moves.people), flat(moves.group), moves.differs, strict=True):
        if not np.allclose(before, after):
            colour, layer = (INK, 2) if differs else (_FAINT, 1)
            axes.add_patch(_arrow(before, after, colour, layer))
    _points(axes, moves.people, PEOPLE, "o", PEOPLE)
    _points(axes, moves.group, MODELS, "^", "white")


def _arrow(start: Floats, end: Floats, colour: str, layer: int) -> FancyArrowPatch:
    return FancyArrowPatch(
        (start[0], start[1]),
        (end[0], end[1]),
        arrowstyle="-|>",
        connectionstyle="arc3,rad=0.08",  # so that arrows there and back along an edge are two
        mutation_scale=5,
        color=colour,
        linewidth=0.5,
        shrinkA=1.5,
        shrinkB=1.5,
        zorder=layer,
    )


def _points(axes: Axes, p: Floats, colour: str, mark: str, face: str) -> None:
    places, times = np.unique(p.round(9), axis=0, return_counts=True)
    x, y = flat(places).T
    axes.scatter(x, y, s=5 + 5 * times, marker=mark, facecolor=face, edgecolor=colour, linewidth=0.7, zorder=3)


def _means(axes: Axes, people: Sequence[Place], models: Sequence[Place]) -> None:
    start = flat(people[0].mean)
    for place in models:
        _outlined(axes, place, MODELS)
        axes.add_patch(_arrow(start, flat(place.mean), "#999999", 1))
        axes.plot(*flat(place.mean), **_MODEL)
    for place in people:
        _outlined(axes, place, PEOPLE)
        axes.plot(*flat(place.mean), **_PEOPLE)
    _named(axes, people, -0.04, "right", PEOPLE)
    if len(models) <= _NAMED:
        _named(axes, models, 1.04, "left", INK)


def _named(axes: Axes, places: Sequence[Place], x: float, side: Literal["left", "right"], colour: str) -> None:
    """Names in a column beside the triangle, each with a line to its point; none above another."""
    points = sorted(((*flat(place.mean), place.name) for place in places), key=lambda one: (one[1], one[2]))
    heights = _spread([y for _, y, _ in points])
    for (*point, name), height in zip(points, heights, strict=True):
        at = (x, height)
        axes.plot(*zip(point, at, strict=True), color=colour, linewidth=0.3, alpha=0.5, zorder=0)
        axes.text(*at, plain(name, 20), fontsize=5, color=colour, ha=side, va="center")


def _spread(wanted: Sequence[float]) -> list[float]:
    """Heights near the wanted ones, which grow, at least `_GAP` apart, and below `_TOP` where there is room.

    >>> [round(one, 4) for one in _spread([0.5, 0.5, 0.9])]
    [0.4775, 0.5225, 0.9]
    """
    clusters: list[tuple[float, int]] = []
    for one in wanted:
        middle, n = one, 1
        while clusters and clusters[-1][0] + _GAP * (clusters[-1][1] + n) / 2 > middle:
            before, m = clusters.pop()
            middle, n = (before * m + middle * n) / (m + n), m + n
        clusters.append((middle, n))
    heights = [middle + _GAP * (k - (n - 1) / 2) for middle, n in clusters for k in range(n)]
    over = max(0.0, heights[-1] - _TOP) if heights else 0.0
    return [one - over for one in heights] if over and len(heights) > 1 else heights


def _outlined(axes: Axes, place: Place, colour: str) -> None:
    axes.add_patch(Polygon(flat(place.outline), closed=True, facecolor=colour, alpha=0.18, edgecolor="none", zorder=0))
