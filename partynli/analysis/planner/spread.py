"""Where a figure's spread over repeated studies comes from: participants, trials, or both together.

A study asks P participants T times about N items; its figure is averaged over trials, as a report's is. Repeated with
other participants of the same kind, on the same items, the figure spreads with the variance

    P (between + itemwise / N + within / (N T)) + joint / N (r^2 + (1 - r^2) / T)

The first three are variances of what a single vote adds to the figure (the first term of the decomposition of Hoeffding
1948): between participants over all items, between participants item by item, and between trials of one participant.
`joint` is what the votes on one item add beyond their sum, and r the correlation of two trials of a participant.

`itemwise`, `within` and `joint` are local to items and come from the pilot's votes and from distributions that may be
behind them. `between` comes from parts of the pilot that share no participant, without a model of what participants
have in common from item to item.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isnan, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from partynli.analysis.planner.figure import Effects, PlannedFigure
from partynli.analysis.planner.pilot import Floats, Pilot
from partynli.metrics import item_mean, probabilities

_NORMAL = 2 * 1.959964
"""Width of a normal distribution's central 95 %, in standard deviations."""
_WORLDS = 20
_CELLS = 4_000_000
"""Votes that one step holds in memory."""
_PARTS_FROM = 4
"""Participants of a pilot from which there are parts of two to compare; below, only the effects of votes are."""


@dataclass(frozen=True)
class Spread:
    """A figure of studies with P participants: its expected value, and the variances above."""

    participants: int
    expected: float
    """NaN where the pilot leaves it undefined."""
    between: float
    itemwise: float
    within: float
    joint: float
    steadiness: float
    """r: correlation of two trials of one participant on one item."""
    pilot: int
    """Participants of the pilot."""

    def width(self, trials: float, items: int) -> float:
        """Width of the central 95 % of the figure over repeated studies; NaN where the figure is undefined.

        `trials` may be infinite.
        """
        return nan if isnan(self.expected) else _NORMAL * sqrt(self.variance(trials, items))

    def variance(self, trials: float, items: int) -> float:
        """Variance of the figure over repeated studies."""
        return self.participants * self.first(trials, items) + self.second(trials, items)

    def first(self, trials: float, items: int) -> float:
        """Variance of what a participant's votes add."""
        return self.between + (self.itemwise + self.within / trials) / items

    def second(self, trials: float, items: int) -> float:
        """What of the variance is no sum over votes."""
        r2 = self.steadiness**2
        return self.joint * (r2 + (1 - r2) / trials) / items


def predictions(
    pilot: Pilot, names: Sequence[str], sizes: Sequence[int], *, draws: int = 300, seed: int = 0
) -> dict[str, list[Spread]]:
    """Predict several figures, for each number of participants; see `spreads_of`.

    Parameters
    ----------
    names
        Keys of `partynli.analysis.planner.figure.TITLES`; `js` is taken on the items that people answered.
    """
    found = {}
    for name in names:
        on, people = pilot, None
        if name == "js":
            assert pilot.people is not None
            answered = pilot.people.sum(-1) > 0
            on, people = pilot.on(answered), probabilities(pilot.people[answered])
        found[name] = spreads_of(on, PlannedFigure(name, people), sizes, draws=draws, seed=seed)
    return found


def spreads_of(
    pilot: Pilot, figure: PlannedFigure, sizes: Sequence[int], *, draws: int = 300, seed: int = 0
) -> list[Spread]:
    """Predict a figure of studies with so many participants.

    Parameters
    ----------
    pilot
        What it is predicted from.
    figure
        What is predicted.
    sizes
        Numbers of participants, each at least 2.
    draws
        Sets of votes that are drawn for each item, and parts of the pilot.
    seed
        The same seed gives the same prediction, whatever the other sizes.
    """
    worlds = pilot.worlds(_WORLDS, np.random.default_rng([seed, 0]))
    found: dict[int, Spread] = {}

    def modelled(size: int) -> Spread:
        if size not in found:
            rng = np.random.default_rng([seed, 1, size])
            effects = figure.effects(worlds, size, -(-draws // _WORLDS), rng)
            found[size] = _of_votes(pilot, effects, size)
        return found[size]

    if pilot.n_participants < _PARTS_FROM:
        return [modelled(size) for size in sizes]
    return [_anchored(modelled, pilot, figure, size, draws, seed) for size in sizes]


def _anchored(
    modelled: Callable[[int], Spread], pilot: Pilot, figure: PlannedFigure, size: int, draws: int, seed: int
) -> Spread:
    """What single votes predict, brought to what the pilot's participants show.

    Two studies that the pilot's participants make without sharing one are two draws: half the mean square of their
    difference is the variance, of any figure, without bias and without a model. That goes up to half of the pilot; a
    larger study is taken from there by how the effects of votes shrink. The expected figure is without bias up to the
    pilot's size, and beyond goes on as the modelled one does.
    """
    here, m, trials = modelled(size), pilot.n_participants, pilot.n_trials
    half, whole = min(size, m // 2), min(size, m)
    there = modelled(half)
    ranks = np.random.default_rng([seed, 2]).permuted(np.tile(np.arange(m), (draws, 1)), axis=1)
    of_one, of_other = (figures_of(pilot, figure, ranks // half == part) for part in (0, 1))
    total = float(item_mean((of_one - of_other) ** 2)) / 2
    if isnan(total):
        return replace(here, expected=nan)
    first = max(0.0, total - there.second(trials, pilot.n_items))
    local = half * (there.itemwise + there.within / trials) / pilot.n_items
    scale = min(1.0, first / local) if local > 0 else 1.0
    shrinks = here.first(trials, pilot.n_items) / there.first(trials, pilot.n_items) if local > 0 else 1.0
    seen = figures_of(pilot, figure, ranks[: draws if whole < m else 1] < whole)
    return replace(
        here,
        expected=here.expected + float(item_mean(seen)) - modelled(whole).expected,
        between=max(0.0, first - local) / half * shrinks,
        itemwise=here.itemwise * scale,
        within=here.within * scale,
    )


def figures_of(pilot: Pilot, figure: PlannedFigure, chosen: NDArray[np.bool_]) -> Floats:
    """The figure of some of the pilot's participants, (draws, M), averaged over its even trials: (draws,)."""
    m, k = pilot.n_participants, pilot.n_labels
    votes = (pilot.even[..., None] == np.arange(k)).reshape(m, -1).astype(np.float32)
    found, step = [], max(1, _CELLS // votes.shape[1])
    for start in range(0, len(chosen), step):
        counts = np.rint(chosen[start : start + step].astype(np.float32) @ votes).astype(np.int64)
        of_trial = figure.of(counts.reshape(-1, *pilot.even.shape[1:], k))
        found.append(item_mean(of_trial))
    return np.concatenate(found)


def _of_votes(pilot: Pilot, effects: Effects, size: int) -> Spread:
    """The spread, from the effects of the pilot's single votes: an analysis of variance, averaged over the worlds."""
    votes, n = pilot.votes, pilot.cells
    there = n > 0
    total = np.einsum("aik,wik->wai", votes, effects.vote)
    mean = total / np.maximum(n, 1)
    squares = np.einsum("aik,wik->wai", votes, effects.vote**2) - total * mean
    spare = (n - there).sum(0)
    on_all = squares.sum((1, 2))[:, None] / max(1, spare.sum())
    within = np.where(spare > 0, squares.sum(1) / np.maximum(spare, 1), on_all)
    noise = within[:, None] / np.maximum(n, 1) * there

    centred = np.where(there, mean - (mean.sum(1) / there.sum(0))[:, None], 0.0)
    items = np.maximum(there.sum(1), 1)
    score = centred.sum(-1) / items
    rest = np.where(there, centred - score[..., None], 0.0)
    degrees = max(1, int(there.sum()) - sum(there.shape) + 1)
    itemwise = max(0.0, float((rest**2).sum((1, 2)).mean() / degrees - noise.sum((1, 2)).mean() / there.sum()))
    of_scores = float((score.var(axis=1, ddof=1) - (noise.sum(-1) / items**2).mean(1)).mean())
    return Spread(
        participants=size,
        expected=float(effects.expected.mean()),
        between=max(0.0, of_scores - itemwise / float(items.mean())),
        itemwise=itemwise,
        within=float(within.mean()),
        joint=max(0.0, float(effects.joint.mean())),
        steadiness=pilot.steadiness,
        pilot=pilot.n_participants,
    )
