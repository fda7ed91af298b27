"""Two runs on the same items: how far each figure differs, and whether the items at hand can tell it from chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partynli.aggregate import NOT_ASKED, Answers, Codes
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
from partynli.metrics import percentile_interval

_TIE = 1e-9
CAUTION = (
    "Intervals and p speak of other items, with the same participants. p is not corrected for the number of figures."
)


@dataclass(frozen=True)
class Difference:
    """A figure in two runs; NaN where it is undefined."""

    a: float
    b: float
    difference: float
    """B less A."""
    low: float
    high: float
    """95 % interval of the difference, from a paired bootstrap over items."""
    p: float
    """Two-sided, from a paired permutation test: the runs' answers to an item change places."""
    n: int
    """Items that count in both runs."""
    undefined: int
    """Resamples and permutations that leave the figure undefined, and are left out."""


@dataclass(frozen=True)
class Comparison:
    """Two groups of participants, one of each run, on the items and trials that both have."""

    items: tuple[str, ...]
    trials: tuple[int, int]
    """Trials that each has; the first so many that both have are compared."""
    participants: tuple[int, int]
    n_valid: tuple[int, int]
    """Valid answers of each in the trials that are compared."""
    n_asked: tuple[int, int]
    differences: Mapping[Figure, Difference]

    @property
    def notes(self) -> list[str]:
        """What makes the two unlike in another way than their answers."""
        notes = []
        if self.trials[0] != self.trials[1]:
            notes.append(
                f"trials: A has {self.trials[0]}, B has {self.trials[1]}; the first {min(self.trials)} of each compared"
            )
        if self.participants[0] != self.participants[1]:
            notes.append(
                f"participants: A has {self.participants[0]}, B has {self.participants[1]}; entropy and distances "
                "depend on how many votes an item has, so that part of their difference is sample size"
            )
        return notes


def compare_groups(
    a: Answers,
    b: Answers,
    members: tuple[Sequence[int], Sequence[int]],
    human: Mapping[str, IntArray],
    *,
    seed: int = 0,
    resamples: int = 2000,
    permutations: int = 1999,
) -> Comparison:
    """Compare a group of run A with one of run B, item by item.

    Parameters
    ----------
    a, b
        Answers to the same items in the same order.
    members
        Positions of the participants in A and in B.
    human
        (I, K) votes by source.
    seed
        The same seed gives the same intervals and p.
    resamples
        Resamples of the items; both runs are given the same ones (Efron 1979).
    permutations
        Times that the two runs' answers change places on a random half of the items (Fisher 1935, chapter 3). All
        trials of an item go together.

    Raises
    ------
    InputError
        The runs have other labels or items, or no answers.
    """
    if a.labels != b.labels:
        raise InputError(f"the runs have other labels: {', '.join(a.labels)} in A, {', '.join(b.labels)} in B")
    if a.items != b.items:
        raise InputError("the runs must be cut to the items that both have, in the same order")
    codes = [_asked(one, of) for one, of in zip((a, b), members, strict=True)]
    trials = (codes[0].shape[1], codes[1].shape[1])
    for name, there in zip("AB", trials, strict=True):
        if not there:
            raise InputError(f"nobody of run {name}'s group was asked any of the {len(a.items):,} shared items")
    codes = [one[:, : min(trials)] for one in codes]
    pair = _Pair.of(codes, human, a.labels, (*METRICS, *ORDERED) if a.ordered and b.ordered else METRICS)
    boot = pair.bootstrap(resamples, np.random.default_rng([seed, 0]))
    swapped = pair.permute(permutations, np.random.default_rng([seed, 1]))
    return Comparison(
        items=a.items,
        trials=trials,
        participants=(len(codes[0]), len(codes[1])),
        n_valid=(int((codes[0] >= 0).sum()), int((codes[1] >= 0).sum())),
        n_asked=(int((codes[0] != NOT_ASKED).sum()), int((codes[1] != NOT_ASKED).sum())),
        differences={
            figure: _difference(pair.observed(figure), boot[figure], swapped[figure], pair.n_items(figure, human))
            for figure in boot
        },
    )


def _asked(answers: Answers, members: Sequence[int]) -> Codes:
    """Codes (participants, trials, items) without participants and trials that were never asked."""
    codes = answers.simple[list(members)]
    asked = codes != NOT_ASKED
    kept: Codes = codes[asked.any(axis=(1, 2))][:, asked.any(axis=(0, 2))]
    return kept


def _difference(observed: tuple[float, float], boot: FloatArray, swapped: FloatArray, n: int) -> Difference:
    in_a, in_b = observed
    gap, nan = in_b - in_a, float("nan")
    interval, known = percentile_interval(boot), swapped[~np.isnan(swapped)]
    defined = not np.isnan(gap) and len(known) > 0
    return Difference(
        a=in_a,
        b=in_b,
        difference=gap,
        low=float(interval.low) if defined else nan,
        high=float(interval.high) if defined else nan,
        p=float((1 + (np.abs(known) >= abs(gap) - _TIE).sum()) / (1 + len(known))) if defined else nan,
        n=n,
        undefined=int(np.isnan(boot).sum() + np.isnan(swapped).sum()),
    )


@dataclass(frozen=True)
class _Pair:
    """Both runs' votes as sums (trials, items), to be resampled and exchanged."""

    votes: Votes
    a: IntArray
    b: IntArray
    people: Mapping[str, People]
    labels: Sequence[str]
    metrics: Sequence[str]
    most: tuple[IntArray, IntArray]
    """Of each run (items,), the most valid answers that an item has in one trial."""

    @classmethod
    def of(
        cls, codes: Sequence[Codes], human: Mapping[str, IntArray], labels: Sequence[str], metrics: Sequence[str]
    ) -> _Pair:
        most = max(len(one) for one in codes)
        sums = [(of := Votes(one, len(labels), most)).of(np.ones((1, len(one))))[0] for one in codes]
        people = {source: People.of(counts) for source, counts in human.items()}
        n_valid = [(one >= 0).sum(axis=0).max(axis=0) for one in codes]
        return cls(of, sums[0], sums[1], people, labels, metrics, (n_valid[0], n_valid[1]))

    def observed(self, figure: Figure) -> tuple[float, float]:
        return self._whole[figure][0], self._whole[figure][1]

    @cached_property
    def _whole(self) -> Figures:
        return evaluate(self.votes, np.stack([self.a, self.b]), self.people, self.labels, None, self.metrics)

    def n_items(self, figure: Figure, human: Mapping[str, IntArray]) -> int:
        """Items that count in both runs: with a valid answer, for alpha with a pair of them."""
        needed = 2 if figure[0] in ("alpha", "alpha_ordinal") else 1
        counted = (self.most[0] >= needed) & (self.most[1] >= needed)
        return int((counted if figure[1] is None else counted & human[figure[1]].any(axis=1)).sum())

    def bootstrap(self, resamples: int, rng: np.random.Generator) -> Figures:
        """Differences, B less A, on resampled items."""
        n = self.a.shape[1]
        items = rng.integers(n, size=(resamples, n)) if n else np.empty((resamples, 0), dtype=np.int64)
        parts = []
        for some in self._chunks(items):
            a, b = (np.moveaxis(one[:, some], 0, 1) for one in (self.a, self.b))
            parts.append(self._gaps(a, b, some))
        return joined(parts)

    def permute(self, permutations: int, rng: np.random.Generator) -> Figures:
        """Differences with the runs exchanged on a random half of the items."""
        exchanged = rng.integers(2, size=(permutations, self.a.shape[1])).astype(np.bool_)
        parts = []
        for some in self._chunks(exchanged):
            a, b = (np.where(some[:, None], *pair) for pair in ((self.b, self.a), (self.a, self.b)))
            parts.append(self._gaps(a, b, None))
        return joined(parts)

    def _gaps(self, a: IntArray, b: IntArray, items: IntArray | None) -> Figures:
        in_a, in_b = (evaluate(self.votes, sums, self.people, self.labels, items, self.metrics) for sums in (a, b))
        return {figure: in_b[figure] - in_a[figure] for figure in in_a}

    def _chunks(self, rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
        step = max(1, CELLS // max(1, self.a.size))
        return (rows[start : start + step] for start in range(0, len(rows), step))
