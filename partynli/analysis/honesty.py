"""What a mix's figures rest on: missing answers, participants who stray alike, single participants, label habits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from partynli.aggregate import NOT_ASKED, Answers
from partynli.analysis.figures import NAN, Counts
from partynli.analysis.groups import Group
from partynli.analysis.resamples import Floats, generator
from partynli.metrics import (
    Convention,
    cross_validated_recalibration,
    effective_number,
    item_mean,
    jackknife_participants,
    js_split,
    krippendorff_alpha,
    mean_correlation,
    missingness_bounds,
    pairwise_correlation,
    probabilities,
)

_FOLDS = 10


class Range(NamedTuple):
    """Least and greatest value."""

    low: float
    high: float


class Gap(NamedTuple):
    """Mean Jensen-Shannon divergence to people (nats) and where it comes from; total = marginal + item."""

    total: float
    marginal: float
    """From using labels more or less often than people do, whatever the item."""
    item: float
    """From not knowing which items get which label."""
    total_recalibrated: float
    """What is left once the label marginal is set to people's, cross-validated over items."""


@dataclass(frozen=True)
class Honesty:
    """Checks of one mix or experiment; averages over its trials. NaN where undefined."""

    group: str
    source: str | None
    """The human population of distances, gap and effective number; None without human data."""
    bounds: Mapping[str, Range]
    """Range of a figure if all missing answers had been one and the same label."""
    participants: int
    effective_raw: float
    """Effective number of participants by the raw correlation of their labels: easy items count as agreement."""
    effective_centred: float
    """The same, by their deviations from people item by item."""
    jackknife: Mapping[str, Range] = field(default_factory=dict)
    """95 % interval over participants, by leaving out one at a time."""
    influence: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By figure and participant: the figure with everybody less the figure without that one."""
    gap: Gap | None = None


def honesty_of(
    answers: Answers, group: Group, people: tuple[str, Counts] | None, convention: Convention, seed: int
) -> Honesty:
    """Check one mix or experiment.

    Parameters
    ----------
    answers
        On the scope's items.
    group
        Of at least two participants.
    people
        A human population by name, (I, K) votes; None where there is none.
    convention
        Says how entropy and distance are taken.
    seed
        Of the folds of the recalibration.
    """
    codes = np.maximum(answers.simple[list(group.members)], -1)
    trials = np.flatnonzero((answers.simple[list(group.members)] != NOT_ASKED).any(axis=(0, 2)))
    n_labels = len(answers.labels)
    counts = {int(t): answers.counts(group.members, int(t)) for t in trials}
    p = None if people is None else probabilities(people[1])

    def entropy(votes: Floats) -> Floats:
        return item_mean(convention.entropy(probabilities(votes)))

    def distance(votes: Floats) -> Floats:
        return item_mean(convention.jensen_shannon(p if p is not None else NAN, probabilities(votes)))

    statistics: dict[str, Callable[[Floats], Floats]] = {"entropy": entropy, "alpha": krippendorff_alpha}
    if p is not None:
        statistics["js_distance"] = distance
    bounds, jackknife, influence = {}, {}, {}
    for name, statistic in statistics.items():
        ranges = [missingness_bounds(statistic, c, answers.asked(group.members, t)) for t, c in counts.items()]
        bounds[name] = Range(*(float(item_mean([r[k] for r in ranges])) for k in (0, 1)))
        jacks = [jackknife_participants(statistic, codes[:, t], n_labels) for t in trials]
        jackknife[name] = Range(*(float(item_mean([getattr(j, end) for j in jacks])) for end in ("low", "high")))
        moved = item_mean(np.stack([j.value - j.leave_one_out for j in jacks]), axis=0)
        influence[name] = {answers.names[one]: float(moved[k]) for k, one in enumerate(group.members)}

    n = len(group.members)
    raw = _mean_correlation(codes[:, trials], n_labels, None)
    centred = _mean_correlation(codes[:, trials], n_labels, people[1]) if people else NAN
    return Honesty(
        group=group.name,
        source=people[0] if people else None,
        bounds=bounds,
        participants=n,
        effective_raw=effective_number(n, raw),
        effective_centred=effective_number(n, centred),
        jackknife=jackknife,
        influence=influence,
        gap=None if p is None else _gap(p, [probabilities(c) for c in counts.values()], group.name, seed),
    )


def _mean_correlation(codes: np.ndarray, n_labels: int, human: Counts | None) -> float:
    each = [mean_correlation(pairwise_correlation(codes[:, t], n_labels, human)) for t in range(codes.shape[1])]
    return float(item_mean(each)) if each else NAN


def _gap(p: Floats, trials: list[Floats], name: str, seed: int) -> Gap:
    parts = []
    for t, q in enumerate(trials):
        split = js_split(p, q)
        after = NAN
        if len(p) >= _FOLDS:
            rng = generator(seed, "folds", name, t)
            after = float(js_split(p, cross_validated_recalibration(p, q, rng=rng, folds=_FOLDS)).total)
        parts.append([*map(float, split), after])
    return Gap(*map(float, item_mean(np.array(parts), axis=0))) if parts else Gap(NAN, NAN, NAN, NAN)
