"""Figures 4 and 12 to 14: how varied explanations are, as distributions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.figure import SubFigure
from matplotlib.patches import Patch
from scipy.stats import gaussian_kde

from partynli.analysis.explanations import (
    Explanations,
    Population,
    Values,
    Variation,
    middle_of,
    populations_of,
    variations_of,
)
from partynli.analysis.groups import Group
from partynli.analysis.imported.participants import natural
from partynli.analysis.label_use import BUSY, busy_workers
from partynli.analysis.resamples import Floats
from partynli.analysis.sweeps import Parameter
from partynli.errors import InputError
from partynli.report.plots.grids import names_on
from partynli.report.plots.style import INK, MODELS, PAGE, PEOPLE, legend, look, plain, ruled, title
from partynli.report.plots.subject import Subject
from partynli.report.plots.sweeps import sweeps_in

LEXICAL = {"word_count": "words", "vocabulary": "different\nwords", "jaccard": "Jaccard\nsimilarity"}
DISTANCES = {"d_pair": "D_pair", "d_cent": "D_cent", "d_max": "D_max"}
_ROW, _SMALL_ROW, _MANY = 0.15, 0.1, 45
_HATCH = "////"
_MEDIAN: dict[str, Any] = {"color": "white", "markeredgecolor": INK, "markersize": 3.0, "markeredgewidth": 0.7}
_NOTE = (
    "Thick lines: 25 to 75 %, thin ones: 5 to 95 %, marks: medians (over several trials, their mean). Distances: one "
    "value a set of explanations of one item, label and trial. D_cent and D_max grow with the size of a set, D_pair "
    "does not."
)


def explanations_figure(subject: Subject) -> Canvas:
    """Figure 4 of a run."""
    explanations = subject.explanations
    busy = busy_workers(subject.dataset)
    members = set(subject.group.members)

    def is_shown(one: Population) -> bool:
        if one.kind == "worker":
            return one.name in busy if busy else one.n_texts > BUSY
        return one.kind == "human" or one.name == subject.group.name or members.issuperset(one.writers)

    populations = [one for one in _with_texts(explanations, [subject.group]) if is_shown(one)]
    if not any(members.intersection(one.writers) for one in populations):
        raise InputError(f"{subject.group.name} wrote no explanations of these items")
    found = variations_of(explanations, populations, subject.vectors, seed=subject.seed, overlap=False)
    together = [one for one in found if one.kind == "human" or one.name == subject.group.name]
    single = sorted(
        (one for one in found if one.kind in ("worker", "participant")),
        key=lambda one: (one.kind != "worker", middle_of(one.lexical["word_count"]), natural(one.name)),
    )
    return plot_explanations(single, together, subject.title(f"Explanations, {subject.group.name}"))


def temperature_explanations(subject: Subject) -> Canvas:
    """Figure 12 of a run."""
    return _swept(subject, "temperature")


def top_p_explanations(subject: Subject) -> Canvas:
    """Figure 13 of a run."""
    return _swept(subject, "top_p")


def size_explanations(subject: Subject) -> Canvas:
    """Figure 14 of a run."""
    return _swept(subject, "size")


def _swept(subject: Subject, parameter: Parameter) -> Canvas:
    sweeps = sweeps_in(subject, parameter)
    explanations = subject.explanations
    groups = [Group(one.name, "experiment", one.members) for one in sweeps]
    populations = [one for one in _with_texts(explanations, groups) if one.kind in ("human", "experiment")]
    if not populations:
        raise InputError("nobody wrote explanations of these items")
    found = variations_of(explanations, populations, subject.vectors, seed=subject.seed, overlap=False)
    what = {"temperature": "temperature", "top_p": "top-p", "size": "model size"}[parameter]
    return plot_distances(found, subject.title(f"Explanation variation over {what}"))


def _with_texts(explanations: Explanations, groups: Sequence[Group]) -> list[Population]:
    """Populations with an explanation of which something is left."""
    return [one for one in populations_of(explanations, groups) if one.n_texts > one.n_empty]


def plot_explanations(single: Sequence[Variation], together: Sequence[Variation], head: str) -> Canvas:
    """Lexical figures of each worker and participant, and distances within each population.

    Parameters
    ----------
    single
        Rows on the left, from top to bottom.
    together
        Rows on the right, with the same embedders all.
    head
        Stands above the plot.
    """
    embedders = list(together[0].vectors)
    with look():
        row = _ROW if len(single) <= _MANY else _SMALL_ROW
        height = max(1.3, row * len(single) + 0.75, len(embedders) * (0.17 * len(together) + 0.65))
        canvas = Canvas(figsize=(PAGE, height + 0.95), layout="constrained")
        left, right = canvas.subfigures(1, 2, squeeze=False, width_ratios=(1.15, 1))[0]
        panels = left.subplots(1, len(LEXICAL), sharey=True, squeeze=False)[0]
        for axes, (name, what) in zip(panels, LEXICAL.items(), strict=True):
            _rows(axes, [one.lexical[name] for one in single], [one.kind == "worker" for one in single], _box)
            axes.set_xlabel(what)
        names_on(panels[0], [one.name for one in single], 22)
        if row == _SMALL_ROW:
            panels[0].tick_params(axis="y", labelsize=5.0)
        _distances(right, together, embedders)
        title(canvas, head)
        legend(canvas, _handles([*single, *together]), columns=3, note=_NOTE)
        return canvas


def plot_distances(populations: Sequence[Variation], head: str) -> Canvas:
    """Distances within each population, a row of panels for each embedder.

    Parameters
    ----------
    populations
        Rows of each panel, with the same embedders all.
    head
        Stands above the plot.
    """
    embedders = list(populations[0].vectors)
    with look():
        height = len(embedders) * (0.2 * len(populations) + 0.6)
        canvas = Canvas(figsize=(PAGE, height + 0.95), layout="constrained")
        _distances(canvas, populations, embedders)
        title(canvas, head)
        legend(canvas, _handles(populations), columns=3, note=_NOTE)
        return canvas


def _distances(canvas: Canvas | SubFigure, populations: Sequence[Variation], embedders: Sequence[str]) -> None:
    are_people = [one.kind == "human" for one in populations]
    for embedder, part in zip(embedders, canvas.subfigures(len(embedders), 1, squeeze=False)[:, 0], strict=True):
        part.suptitle(plain(embedder, 40), x=0.02, ha="left", fontsize=7.5)
        panels = part.subplots(1, len(DISTANCES), sharey=True, squeeze=False)[0]
        for axes, (name, what) in zip(panels, DISTANCES.items(), strict=True):
            _rows(axes, [one.vectors[embedder][name] for one in populations], are_people, _density)
            axes.set_xlabel(what)
        names_on(panels[0], [one.name for one in populations], 16)


def _rows(axes: Axes, values: Sequence[Values], are_people: Sequence[bool], shape: Callable[..., None]) -> None:
    """A row each, for the values that are defined; a row without any stays empty."""
    for place, (given, is_people) in enumerate(zip(values, are_people, strict=True)):
        known = given.value[~np.isnan(given.value)]
        if len(known):
            colour = PEOPLE if is_people else MODELS
            low, first, third, high = np.quantile(known, (0.05, 0.25, 0.75, 0.95))
            shape(axes, place, known, colour, _HATCH if is_people else None)
            axes.hlines(place, low, high, color=colour, linewidth=0.8)
            axes.hlines(place, first, third, color=colour, linewidth=2.6)
            axes.plot(middle_of(given), place, "o" if is_people else "D", **_MEDIAN)
    ruled(axes, "x")
    axes.use_sticky_edges = False  # a mark at the end of a bar is not to be cut
    axes.margins(x=0.05)
    axes.set_xlim(left=0)
    axes.tick_params(axis="y", length=0)


def _box(axes: Axes, place: int, known: Floats, colour: str, hatch: str | None) -> None:
    first, third = np.quantile(known, (0.25, 0.75))
    axes.barh(place, third - first, 0.62, first, color=colour, alpha=0.5, hatch=hatch)


def _density(axes: Axes, place: int, known: Floats, colour: str, hatch: str | None) -> None:
    """How values are spread, above and below the row; nothing where they are all the same."""
    if np.ptp(known) > 1e-9:
        x = np.linspace(known.min(), known.max(), 120)
        height = gaussian_kde(known)(x)
        height *= 0.42 / height.max()
        axes.fill_between(x, place - height, place + height, color=colour, alpha=0.35, linewidth=0.4, hatch=hatch)


def _handles(populations: Sequence[Variation]) -> list[Patch]:
    people = any(one.kind in ("human", "worker") for one in populations)
    models = any(one.kind not in ("human", "worker") for one in populations)
    handles = [Patch(color=PEOPLE, alpha=0.55, hatch=_HATCH, label="people")] if people else []
    return handles + ([Patch(color=MODELS, alpha=0.55, label="models")] if models else [])
