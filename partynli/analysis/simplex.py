"""Where label distributions lie among the labels: each item's, and the mean over items with how far it may move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from partynli.aggregate import Answers
from partynli.analysis.figures import Counts
from partynli.analysis.groups import Group
from partynli.analysis.resamples import Floats, generator
from partynli.analysis.surprises import FALSE_DISCOVERY_RATE, first_votes
from partynli.metrics import bootstrap_mean, item_differences, item_mean, probabilities

_DRAWS = 1000
_LEVEL = 0.95
_FLAT = 1e-12


@dataclass(frozen=True)
class Place:
    """The mean distribution of one population over items."""

    name: str
    mean: Floats
    """(K,); NaN without votes."""
    outline: Floats
    """(V, K) corners, in order around it, of the region that holds 95 % of the means over resampled items."""


@dataclass(frozen=True)
class Moves:
    """From people's distribution to a group's, item by item."""

    items: tuple[str, ...]
    people: Floats
    """(I, K)"""
    group: Floats
    """(I, K) of the group's first trial; of all trials for a single participant."""
    differs: NDArray[np.bool_]
    """(I,) whether the two differ beyond sampling, at a false discovery rate of 0.05."""


def moves_of(answers: Answers, group: Group, people: Counts, seed: int = 0) -> Moves:
    """Distributions of people and a group on the items that both answered, (I, K) votes of people given."""
    votes = first_votes(answers, group)
    both = np.flatnonzero((votes.sum(-1) > 0) & (people.sum(-1) > 0))
    rng = generator(seed, "moves", group.name)
    test = item_differences(people[both], votes[both], rng=rng, false_discovery_rate=FALSE_DISCOVERY_RATE)
    uids = tuple(answers.items[k] for k in both)
    return Moves(uids, probabilities(people[both]), probabilities(votes[both]), test.differs)


def places_of(populations: Mapping[str, Counts], seed: int = 0) -> list[Place]:
    """Mean distributions of populations by name, (I, K) votes each, every item with equal weight."""
    return [_place(name, votes, seed) for name, votes in populations.items()]


def _place(name: str, votes: Counts, seed: int) -> Place:
    p = probabilities(votes).T
    means = bootstrap_mean(p, rng=generator(seed, "place", name), draws=_DRAWS)
    return Place(name, np.asarray(item_mean(p)), outline_of(means[~np.isnan(means).any(-1)]))


def outline_of(points: Floats) -> Floats:
    """The convex hull of the inner 95 % of points (D, 3) on the simplex, nearest by Mahalanobis distance.

    Returns
    -------
    Floats
        (V, 3) corners in order; two of them where all points lie on a line, one where they are all the same.
    """
    if not len(points):
        return points
    flat = points[:, :2] - points[:, :2].mean(0)
    spread, axes = np.linalg.eigh(flat.T @ flat / len(flat))
    along = flat @ axes
    if spread[1] <= _FLAT:
        return points[:1]
    scale = np.where(spread > _FLAT, np.sqrt(np.maximum(spread, _FLAT)), np.inf)
    away = ((along / scale) ** 2).sum(-1)
    inner = np.flatnonzero(away <= np.quantile(away, _LEVEL))
    if spread[0] <= _FLAT or len(inner) < 3:
        return points[[inner[along[inner, 1].argmin()], inner[along[inner, 1].argmax()]]]
    return points[inner[ConvexHull(along[inner]).vertices]]
