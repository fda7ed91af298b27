"""What a pilot tells of the people behind its figures: how items divide them, and how steady each of them is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from partynli.aggregate import NOT_ASKED, Answers, Codes, Counts
from partynli.errors import InputError
from partynli.metrics import draw_dirichlet

Floats = NDArray[np.float64]

_WHOLE = 0.95
"""Share of a participant's items that a trial must have: a few calls always fail."""

_FIRMEST, _LOOSEST = 1e-2, 1e3
"""Bounds of the prior's weight in votes: items that all differ, and items that are all the same."""


@dataclass(frozen=True)
class Pilot:
    """Answers of a pilot, which every design is predicted from.

    Attributes
    ----------
    codes
        (M, T, I) label codes; below 0 where there is no valid answer. Each item has an answer.
    n_labels
        K.
    people
        (I, K) votes of people on the items, zeros where nobody answered; None where there are none at all.
    """

    codes: Codes
    n_labels: int
    people: Counts | None = None

    @classmethod
    def of(cls, answers: Answers, members: tuple[int, ...], people: Counts | None) -> Pilot:
        """The pilot that some participants of a run are.

        Raises
        ------
        InputError
            Fewer than two participants, or than two trials of each, or no item that two of them answered: there is no
            spread to learn from.
        """
        codes = answers.simple[list(members)]
        trials = (codes != NOT_ASKED).any(axis=2).sum(axis=1)
        needs = "a pilot needs two participants or more, and two trials of each; this one has"
        if (n := len(members)) < 2:
            raise InputError(f"{needs} {n} participant{'s' * (n != 1)} with valid answers")
        if (few := int(trials.min())) < 2:
            raise InputError(f"{needs} {few} of {answers.names[members[int(trials.argmin())]]}")
        who_answered = (codes >= 0).any(axis=1).sum(axis=0)
        if (who_answered < 2).all():
            raise InputError("no item of the pilot has valid answers of two participants: there is nothing to compare")
        answered = who_answered > 0
        return cls(codes[:, :, answered], len(answers.labels), None if people is None else people[answered])

    def on(self, items: NDArray[np.bool_]) -> Pilot:
        """The pilot on some of its items."""
        return Pilot(self.codes[:, :, items], self.n_labels, None if self.people is None else self.people[items])

    @property
    def n_participants(self) -> int:
        """M."""
        return len(self.codes)

    @property
    def uncertainty(self) -> float:
        """Standard error of a predicted width as a share of it, where participants are all that spreads."""
        return 1 / sqrt(2 * (self.n_participants - 1))

    @property
    def n_items(self) -> int:
        """I."""
        return int(self.codes.shape[2])

    @property
    def n_trials(self) -> float:
        """Valid answers of a participant to an item that it answered, on average over `even` trials."""
        cells = (self.even >= 0).sum(axis=1)
        return float(cells[cells > 0].mean())

    @cached_property
    def even(self) -> Codes:
        """(M, E, I) codes of the first trials, in which every participant was asked nearly all that it ever was.

        A figure is taken trial by trial. Trials of some participants only, or of some items, would have fewer votes,
        and give the figure of a smaller study.
        """
        asked = self.codes != NOT_ASKED
        ever = asked.any(axis=1).sum(axis=1)
        whole = (asked.sum(axis=2) >= _WHOLE * ever[:, None]).all(axis=0)
        return self.codes[:, : max(1, int(whole.cumprod().sum()))]

    @property
    def coverage(self) -> float:
        """Share of the items that a participant answered validly, on average."""
        return float((self.cells > 0).mean())

    @cached_property
    def votes(self) -> Counts:
        """(M, I, K) valid answers of each participant to each item, over its trials."""
        return np.stack([(self.codes == label).sum(axis=1) for label in range(self.n_labels)], axis=-1)

    @cached_property
    def cells(self) -> Counts:
        """(M, I) valid answers of a participant to an item."""
        return np.asarray(self.votes.sum(-1))

    @cached_property
    def shares(self) -> Floats:
        """(I, K) label shares of each item, every participant who answered it counting the same."""
        return np.asarray(self._habits.sum(0) / (self.cells > 0).sum(0)[:, None])

    @cached_property
    def _habits(self) -> Floats:
        """(M, I, K) label shares of each participant on each item; zeros where it gave no valid answer."""
        return np.asarray(self.votes / np.maximum(self.cells, 1)[..., None])

    @cached_property
    def steadiness(self) -> float:
        """Correlation of two trials of one participant on one item: 1 - D_within / D_between, from 0 to 1.

        D are the chances that two answers to an item differ, of one participant and of two.
        """
        n = self.cells
        repeated = n > 1
        alike = (self.votes * (self.votes - 1)).sum(-1)[repeated] / (n * (n - 1))[repeated]
        if not repeated.any() or self._divided <= 0:
            return 1.0
        return float(np.clip(1 - (1 - alike.mean()) / self._divided, 0.0, 1.0))

    @cached_property
    def _divided(self) -> float:
        """Chance that two participants differ on an item."""
        n = (self.cells > 0).sum(0)
        pairs = (self._habits.sum(0) ** 2).sum(-1) - (self._habits**2).sum((0, 2))
        shared = n > 1
        return float((1 - pairs[shared] / (n * (n - 1))[shared]).mean()) if shared.any() else 0.0

    @cached_property
    def independent(self) -> Floats:
        """(I,) votes of as many participants asked once as would tell as much of an item's shares."""
        n = np.maximum(self.cells, 1)
        noise = (self.cells > 0) * (self.steadiness + (1 - self.steadiness) / n)
        answered = (self.cells > 0).sum(0)
        return np.asarray(answered**2 / noise.sum(0))

    def worlds(self, draws: int, rng: np.random.Generator) -> Floats:
        """Label distributions of the items that may be behind the pilot, (draws, I, K).

        Drawn, not estimated: unanimous items of a small pilot are not all unanimous, and entropy, which is concave,
        would come out too low from shares and too high from smoothed shares. The prior is Dirichlet, around the labels'
        shares over all items; its weight makes two answers to one item agree as often as those of two participants do.
        """
        overall = self.shares.mean(0)
        by_chance = 1 - (overall**2).sum()
        alpha = 1 - self._divided / by_chance if by_chance > 0 else 0.0
        weight = float(np.clip(1 / alpha - 1 if alpha > 0 else _LOOSEST, _FIRMEST, _LOOSEST))
        known = self.shares * self.independent[:, None] + weight * overall
        return draw_dirichlet(known, rng=rng, draws=draws, prior=1e-6)
