"""RANDOMMIX: what another choice of participants would have shown (Kulmizev et al. 2026, appendix D).

Many draws of a few distinct participants out of a pool, every figure for each draw, and a bootstrap that looks beyond
the pool. `partynli.analysis.curve` does the same for every size of draw.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partynli.aggregate import NOT_ASKED, Answers
from partynli.analysis.groups import mixes_of
from partynli.analysis.lookup import (
    CELLS,
    METRICS,
    ORDERED,
    Figure,
    Figures,
    FloatArray,
    IntArray,
    People,
    Votes,
    evaluate,
    joined,
)
from partynli.errors import InputError
from partynli.metrics import Interval, percentile_interval

QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)
BOOTSTRAPPED = ("entropy", "js_distance", "kl_pq", "kl_qp")
"""Figures that bear a participant who is drawn twice: entropy and the distances, but neither alpha nor agreement."""
WARNING = (
    "Quantiles of draws are no confidence interval. The draws come from a finite pool and overlap: the larger the "
    "draw, the smaller the spread, and a draw of the whole pool has none. They say how much the choice of participants "
    "from this pool matters. For other participants and other items than these, read the bootstrap interval."
)


@dataclass(frozen=True)
class Summary:
    """A figure's distribution over draws; NaN where no draw defines it."""

    mean: float
    sd: float
    """Sample standard deviation (ddof = 1)."""
    quantiles: tuple[float, ...]
    """At `QUANTILES`."""
    n: int
    """Draws that define it."""
    undefined: int
    """Draws that do not: too few votes, or all alike."""

    @classmethod
    def of(cls, values: FloatArray) -> Summary:
        """Summarise the values (draws,) of one figure."""
        known = values[~np.isnan(values)]
        nan = float("nan")
        return cls(
            mean=float(known.mean()) if len(known) else nan,
            sd=float(known.std(ddof=1)) if len(known) > 1 else nan,
            quantiles=tuple(np.quantile(known, QUANTILES).tolist()) if len(known) else (nan,) * len(QUANTILES),
            n=len(known),
            undefined=len(values) - len(known),
        )


@dataclass(frozen=True)
class Pool:
    """Participants to draw from, by name, and what they answered; the order of the run plays no part.

    Attributes
    ----------
    names
        P names, sorted.
    codes
        (P, T, I) label codes; below 0 where there is no valid answer.
    people
        Human populations by source, over the same items.
    labels
        The K labels.
    ordered
        Whether they are ordered as they stand.
    """

    names: tuple[str, ...]
    codes: NDArray[np.int16]
    people: Mapping[str, People]
    labels: tuple[str, ...]
    ordered: bool = False

    @classmethod
    def of(cls, answers: Answers, members: Sequence[int], human: Mapping[str, IntArray]) -> Pool:
        """Those of some participants who were asked anything.

        Parameters
        ----------
        answers
            On the items of one scope.
        members
            Positions of the participants.
        human
            (I, K) votes by source.
        """
        asked = [one for one in set(members) if (answers.simple[one] != NOT_ASKED).any()]
        order = sorted(asked, key=lambda one: answers.names[one])
        people = {source: People.of(counts) for source, counts in human.items()}
        return cls(
            tuple(answers.names[one] for one in order), answers.simple[order], people, answers.labels, answers.ordered
        )

    def figures(self, members: NDArray[np.bool_]) -> Figures:
        """Every figure of groups (groups, P), each worked out once however often it was drawn."""
        different, place = np.unique(members, axis=0, return_inverse=True)
        votes = self._votes(int(members.sum(-1).max(initial=0)))
        parts = [
            evaluate(votes, votes.of(some), self.people, self.labels, None, self.metrics)
            for some in self._chunks(different)
        ]
        return {figure: values[place.ravel()] for figure, values in joined(parts).items()}

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the figures that these labels have."""
        return (*METRICS, *ORDERED) if self.ordered else METRICS

    def whole(self) -> Figures:
        """Every figure of all of them together, (1,) each."""
        return self.figures(np.ones((1, len(self.names)), dtype=np.bool_))

    def bootstrap(self, size: int, *, resamples: int, rng: np.random.Generator) -> Figures:
        """`BOOTSTRAPPED` figures with `size` participants and all items drawn with replacement.

        Participants and items are drawn independently (Owen 2007, the pigeonhole bootstrap); all trials share the
        draw. See `partynli.metrics.bootstrap_participants_items`, which is this for one trial and the whole pool.
        Participants drawn twice make distributions narrower: read the spread, not the middle.
        """
        pool, n = len(self.names), self.codes.shape[2]
        wanted = (*BOOTSTRAPPED, "wasserstein") if self.ordered else BOOTSTRAPPED
        members = rng.multinomial(size, np.full(pool, 1 / pool), size=resamples)
        items = rng.integers(n, size=(resamples, n)) if n else np.empty((resamples, 0), dtype=np.int64)
        votes = self._votes(size)
        parts, start = [], 0
        for some in self._chunks(members):
            of_items = items[start : start + len(some)]
            sums = np.take_along_axis(votes.of(some), of_items[:, None, :], axis=2)
            parts.append(evaluate(votes, sums, self.people, self.labels, of_items, wanted))
            start += len(some)
        return joined(parts)

    def _votes(self, most: int) -> Votes:
        return Votes(self.codes, len(self.labels), most)

    def _chunks(self, members: NDArray[np.generic]) -> Iterator[NDArray[np.generic]]:
        step = max(1, CELLS // max(1, self.codes[0].size))
        return (members[start : start + step] for start in range(0, len(members), step))


@dataclass(frozen=True)
class RandomMix:
    """What draws of `size` distinct participants from a pool show."""

    pool: tuple[str, ...]
    size: int
    seed: int
    members: NDArray[np.bool_]
    """(draws, P): who is in each draw, in the order of `pool`."""
    values: Figures
    """(draws,) by figure."""
    intervals: Mapping[Figure, Interval]
    """95 % intervals of the participants x items bootstrap, for the figures that bear it."""
    whole: Figures
    """(1,) by figure: the whole pool as one mix."""

    @property
    def summaries(self) -> dict[Figure, Summary]:
        """The distribution of each figure over the draws."""
        return {figure: Summary.of(values) for figure, values in self.values.items()}

    @property
    def distinct(self) -> int:
        """How many of the draws are different."""
        return len(np.unique(self.members, axis=0))

    def drawn(self, draw: int) -> list[str]:
        """Names of the participants of a draw (from 0)."""
        return [name for name, there in zip(self.pool, self.members[draw], strict=True) if there]


def randommix(pool: Pool, *, size: int = 10, draws: int = 1000, seed: int = 0, resamples: int = 2000) -> RandomMix:
    """Draw `size` distinct participants again and again, and take every figure of each draw.

    Parameters
    ----------
    pool
        Whom to draw from.
    size
        Participants in a draw.
    draws
        Number of draws. One draw has nobody twice; the same draw may come again.
    seed
        The same seed gives the same draws, whatever the order of the participants in the run.
    resamples
        Resamples of the bootstrap.

    Raises
    ------
    InputError
        The pool is empty or smaller than `size`.
    """
    check_size(pool, size)
    members = draw_members(len(pool.names), size, draws, np.random.default_rng([seed, 0]))
    resampled = pool.bootstrap(size, resamples=resamples, rng=np.random.default_rng([seed, 1]))
    return RandomMix(
        pool=pool.names,
        size=size,
        seed=seed,
        members=members,
        values=pool.figures(members),
        intervals={figure: percentile_interval(values) for figure, values in resampled.items()},
        whole=pool.whole(),
    )


def check_size(pool: Pool, size: int) -> None:
    """Refuse to draw more participants than there are."""
    if not pool.names:
        raise InputError("nobody of the pool was asked anything on these items; `partynli status` shows what is there")
    if not 1 <= size <= len(pool.names):
        there = f"{len(pool.names)} participant{'s' if len(pool.names) > 1 else ''}"
        raise InputError(f"--size {size} is more than the pool has: {there} that were asked; choose a smaller --size")


class Whole(NamedTuple):
    """A whole mix: how many are in it, and its figures, (1,) each."""

    n: int
    figures: Figures


def whole_mixes(answers: Answers, pool: tuple[str, Sequence[int]], people: Mapping[str, IntArray]) -> dict[str, Whole]:
    """Name and members of a pool, and every mix of the run, with their figures; each set of participants once."""
    wholes: dict[str, Whole] = {}
    seen: set[frozenset[int]] = set()
    for name, members in [pool, *((group.name, group.members) for group in mixes_of(answers))]:
        if frozenset(members) not in seen:
            seen.add(frozenset(members))
            mix = Pool.of(answers, members, people)
            wholes[name] = Whole(len(mix.names), mix.whole())
    return wholes


def draw_members(pool: int, size: int, draws: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draws without replacement: (draws, pool), `size` true in each row."""
    return rng.permuted(np.tile(np.arange(pool) < size, (draws, 1)), axis=1)
