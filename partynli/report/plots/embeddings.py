"""Figures 1 and 11: explanations laid out by t-SNE, of one item and of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from partynli.analysis.explanations import Explanations, populations_of
from partynli.analysis.lookup import IntArray
from partynli.analysis.projection import neighbours_alike, project
from partynli.analysis.resamples import Floats, generator
from partynli.embed import Embedder, title_of
from partynli.errors import InputError, unknown_name
from partynli.metrics import entropy, probabilities
from partynli.report.plots.style import INK, LABEL_MARKS, PAGE, RULE, legend, look, plain, point_colour, title
from partynli.report.plots.subject import Subject

_HEIGHT = 4.6
_NAMED = 60
"""Points up to which each is named."""
_MOST = 4000
"""Explanations in figure 11; of more, so many are drawn by seed."""


Box: TypeAlias = tuple[float, float, float, float]


class Layout(NamedTuple):
    """Explanations on a plane."""

    name: str
    """Of the embedder."""
    places: Floats
    """(n, 2)"""
    same_item: float
    """Share of explanations whose nearest one, in the embedder's own space, is on the same item."""
    same_label: float


class Texts(NamedTuple):
    """What is known of n explanations that are laid out."""

    names: Sequence[str]
    """Of their writers."""
    label: IntArray
    """(n,) positions in the task's labels."""
    item: IntArray
    people: NDArray[np.bool_]


def item_figure(subject: Subject) -> Canvas:
    """Figure 1 of a run: people's explanations and those of the mix in its first trial."""
    uid = subject.item or _most_divided(subject)
    if uid not in subject.answers.items:
        raise InputError(unknown_name("item", uid, subject.answers.items, subject.scope))
    explanations = subject.explanations
    number = explanations.items.index(uid)
    rows = _shown(subject)
    rows = rows[explanations.item[rows] == number]
    layout = _laid_out(subject, subject.embedders[0], rows)
    head = subject.title(f"Explanations of item {plain(uid, 40)}, t-SNE of {plain(layout.name, 40)}")
    text = f"Item: {plain(explanations.item_texts[number], 420)}"
    return plot_item(layout, _texts(subject, explanations, rows), subject.answers.labels, text, head)


def embedders_figure(subject: Subject) -> Canvas:
    """Figure 11 of a run: people's explanations and those of the mix in its first trial, by each embedder."""
    if len(subject.embedders) < 2:
        raise InputError("it sets embedders side by side: name two or three, --embedder tfidf --embedder e5")
    rows = _shown(subject)
    drawn = len(rows)
    if len(rows) > _MOST:
        rows = np.sort(generator(subject.seed, "figure 11").choice(rows, _MOST, replace=False))
    layouts = [_laid_out(subject, one, rows) for one in subject.embedders]
    of = "" if len(rows) == drawn else f" of {drawn:,}"
    head = subject.title(f"{len(rows):,}{of} explanations, t-SNE")
    return plot_layouts(layouts, _texts(subject, subject.explanations, rows), subject.answers.labels, head)


def plot_item(layout: Layout, texts: Texts, labels: Sequence[str], text: str, head: str) -> Canvas:
    """Explanations of one item: shape and colour are the label, filled marks are people's.

    Parameters
    ----------
    layout
        Places of n explanations.
    texts
        Of the same.
    labels
        The task's labels.
    text
        The item's, shown below.
    head
        Stands above the plot.
    """
    with look():
        canvas = Canvas(figsize=(PAGE, _HEIGHT), layout="constrained")
        axes = canvas.subplots()
        _points(axes, layout, texts, size=26)
        _bare(axes)
        axes.margins(0.1, 0.06)
        if len(texts.names) <= _NAMED:
            _name_points(axes, layout.places, texts.names)
        title(canvas, head)
        legend(canvas, _handles(labels, texts), columns=6, note=text)
        return canvas


def plot_layouts(layouts: Sequence[Layout], texts: Texts, labels: Sequence[str], head: str) -> Canvas:
    """All items, a panel for each embedder; a line leads from each explanation to the middle of its item.

    Parameters
    ----------
    layouts
        Panels from left to right, of the same n explanations.
    texts
        What is known of them.
    labels
        The task's labels.
    head
        Stands above the plot.
    """
    with look():
        canvas = Canvas(figsize=(PAGE, PAGE / len(layouts) + 1.3), layout="constrained")
        for axes, layout in zip(canvas.subplots(1, len(layouts), squeeze=False)[0], layouts, strict=True):
            _spokes(axes, layout.places, texts.item)
            _points(axes, layout, texts, size=3)
            _bare(axes)
            shares = f"same item {layout.same_item:.0%}, same label {layout.same_label:.0%}"
            axes.set_title(f"{plain(layout.name, 34)}\n{shares}", loc="left", fontsize=6.5)
        title(canvas, head)
        note = (
            "Lines lead to the middle of an explanation's item. Percentages: explanations whose nearest one is of the "
            "same item, or label."
        )
        legend(canvas, _handles(labels, texts), columns=6, note=note)
        return canvas


def _shown(subject: Subject) -> IntArray:
    """Rows of people's explanations, and of the mix's first trial."""
    group, explanations = subject.group, subject.explanations
    populations = populations_of(explanations, [group])
    found = [one for one in populations if one.kind == "human" or (one.name, one.kind) == (group.name, group.kind)]
    if not any(one.parts for one in found):
        raise InputError(f"{group.name} wrote no explanations of these items")
    return np.sort(np.concatenate([one.parts[0] for one in found if one.parts]))


def _most_divided(subject: Subject) -> str:
    votes = [*list(subject.people.values())[:1], subject.answers.counts(subject.group.members, 0)]
    h = np.nan_to_num(np.asarray(entropy(probabilities(np.sum(votes, axis=0)))), nan=-1.0).round(9)
    return min(zip(subject.answers.items, h.tolist(), strict=True), key=lambda one: (-one[1], one[0]))[0]


def _laid_out(subject: Subject, embedder: Embedder, rows: IntArray) -> Layout:
    explanations = subject.explanations
    vectors = subject.vectors_of(embedder, rows)
    alike = [neighbours_alike(vectors, kind[rows]) for kind in (explanations.item, explanations.label)]
    return Layout(title_of(embedder), project(vectors, subject.seed), *alike)


def _texts(subject: Subject, explanations: Explanations, rows: IntArray) -> Texts:
    place = {label: number for number, label in enumerate(subject.answers.labels)}
    writers = explanations.writer[rows].tolist()
    return Texts(
        names=[explanations.writers[one] for one in writers],
        label=np.array([place[explanations.labels[one]] for one in explanations.label[rows]], dtype=np.int64),
        item=explanations.item[rows],
        people=np.array([one in explanations.people for one in writers], dtype=np.bool_),
    )


def _look_of(label: int, is_person: bool) -> dict[str, Any]:
    colour = point_colour(label)
    return {
        "marker": LABEL_MARKS[label % len(LABEL_MARKS)],
        "facecolor": colour if is_person else "white",
        "edgecolor": colour,
    }


def _points(axes: Axes, layout: Layout, texts: Texts, size: float) -> None:
    for is_person in (False, True):
        for label in np.unique(texts.label).tolist():
            own = (texts.label == label) & (texts.people == is_person)
            if own.any():
                x, y = layout.places[own].T
                axes.scatter(x, y, s=size, linewidth=0.15 * size**0.5, **_look_of(label, is_person))


def _spokes(axes: Axes, places: Floats, item: IntArray) -> None:
    items, place = np.unique(item, return_inverse=True)
    times = np.bincount(place, minlength=len(items))
    middles = np.stack([np.bincount(place, weights=places[:, axis]) / times for axis in (0, 1)], axis=1)
    axes.add_collection(
        LineCollection(
            list(np.stack([places, middles[place]], axis=1)), colors="#888888", linewidths=0.2, alpha=0.35, zorder=0
        )
    )


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(RULE)


def _name_points(axes: Axes, places: Floats, names: Sequence[str]) -> None:
    """Name points where there is room: of eight places around each, the first that is free; else none."""
    low, span = places.min(0), np.ptp(places, axis=0)
    room = np.array([PAGE * 58, _HEIGHT * 50])  # points between the outermost places, about
    at = (places - low) / np.where(span > 0, span, 1.0) * room
    taken = [(x - 3, y - 3, x + 3, y + 3) for x, y in at]
    left, right = -0.09 * room[0], 1.09 * room[0]
    for (x, y), place, name in zip(at, places, names, strict=True):
        shown = plain(name, 22)
        wide = 3.1 * len(shown)
        for dx, dy in _around(wide):
            box = (x + dx, y + dy, x + dx + wide, y + dy + 5)
            if left < box[0] and box[2] < right and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                axes.annotate(shown, (place[0], place[1]), (dx, dy), textcoords="offset points", fontsize=5, color=INK)
                break


def _around(wide: float) -> tuple[tuple[float, float], ...]:
    """Where a name that is so many points wide may begin, as seen from its point."""
    beside = [(side, height) for height in (-2.0, 4.0, -8.0) for side in (5.0, -5.0 - wide)]
    return (*beside[:2], (-wide / 2, 5.0), (-wide / 2, -9.0), *beside[2:])


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _handles(labels: Sequence[str], texts: Texts) -> list[Artist]:
    """The marks that occur, label by label."""
    return [
        Line2D(
            [],
            [],
            linestyle="none",
            markersize=4.5,
            label=f"{plain(labels[label], 20)} ({who})",
            **_mark(label, people),
        )
        for label in sorted(set(texts.label.tolist()))
        for people, who in ((True, "people"), (False, "models"))
        if ((texts.label == label) & (texts.people == people)).any()
    ]


def _mark(label: int, is_person: bool) -> dict[str, Any]:
    given = _look_of(label, is_person)
    return {"marker": given["marker"], "markerfacecolor": given["facecolor"], "markeredgecolor": given["edgecolor"]}
