"""Figures that can be planned for: what votes give on an item, on all items, and what one vote adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partynli.analysis.planner.pilot import Floats
from partynli.metrics import (
    draw_votes,
    entropy,
    item_mean,
    js_distance,
    krippendorff_alpha,
    pairable_units,
    probabilities,
)

TITLES: Mapping[str, str] = {
    "entropy": "mean entropy H, nats",
    "js": "mean JS distance to people",
    "alpha": "Krippendorff's alpha",
}
"""Figures by the name that a person gives them."""


@dataclass(frozen=True)
class Effects:
    """What n votes an item give in each of W worlds, to the first two orders."""

    expected: Floats
    """(W,) the figure."""
    vote: Floats
    """(W, I, K) what one vote for a label adds to the figure, times the number of items; its mean over votes is 0."""
    joint: Floats
    """(W, I) variance of what an item's votes add together beyond their sum, on the same scale."""


@dataclass(frozen=True)
class PlannedFigure:
    """One figure.

    Attributes
    ----------
    name
        A key of `TITLES`.
    people
        (I, K) distributions of people's labels, for `js`.
    """

    name: str
    people: Floats | None = None

    def of(self, votes: NDArray[np.int64]) -> Floats:
        """The figure of votes (..., I, K): (...)."""
        return np.asarray(krippendorff_alpha(votes) if self.name == "alpha" else item_mean(self._on_items(votes)))

    def _on_items(self, votes: NDArray[np.int64]) -> Floats:
        """What is averaged over items, (..., I); of alpha, the share of an item's pairs of votes that differ."""
        if self.name == "alpha":
            return np.asarray(pairable_units(votes)[1] / votes.sum(-1))
        shares = probabilities(votes)
        return np.asarray(entropy(shares) if self.people is None else js_distance(self.people, shares))

    def effects(self, worlds: Floats, n: int, draws: int, rng: np.random.Generator) -> Effects:
        """What n votes an item give.

        Parameters
        ----------
        worlds
            (W, I, K) label distributions of the items.
        n
            Votes an item, at least 2.
        draws
            Draws of the other n - 1 votes, in each world.
        rng
            Their source.
        """
        others = draw_votes(n - 1, np.broadcast_to(worlds, (draws, *worlds.shape)), rng)
        given = [self._on_items(others + vote) for vote in np.eye(worlds.shape[-1], dtype=np.int64)]
        of_vote = np.stack([values.mean(0) for values in given], axis=-1)
        squares = np.stack([(values**2).mean(0) for values in given], axis=-1)
        value = (worlds * of_vote).sum(-1)
        vote = of_vote - value[..., None]
        joint = (worlds * squares).sum(-1) - value**2 - n * (worlds * vote**2).sum(-1)
        found = Effects(value.mean(-1), vote, joint)
        return _of_alpha(found, worlds, n) if self.name == "alpha" else found


def _of_alpha(disagreement: Effects, worlds: Floats, n: int) -> Effects:
    """Effects on alpha = 1 - D_o / D_e: a vote moves the disagreement on its item, D_o, and that of all labels, D_e."""
    overall = worlds.mean(1)
    by_chance = 1 - (overall**2).sum(-1)
    by_chance = np.where(by_chance > 0, by_chance, np.nan)  # with a single label, alpha is undefined
    moved = -2 / n * (overall - (overall**2).sum(-1, keepdims=True))
    ratio = disagreement.expected / by_chance
    vote = (ratio[:, None] * moved)[:, None] - disagreement.vote
    return Effects(1 - ratio, vote / by_chance[:, None, None], disagreement.joint / by_chance[:, None] ** 2)
