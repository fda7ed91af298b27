"""How many participants are enough: every figure for draws of every size, with what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from partynli.aggregate import NOT_ASKED, Answers
from partynli.analysis.lookup import Figure
from partynli.analysis.randommix import Pool, Summary, draw_members
from partynli.store import Tally

_UNPRICED = 0.1
CURVE_WARNING = (
    "Entropy and distances move with the number of participants alone: few votes show little of a distribution. A "
    "curve that has not levelled out shows that bias together with what more participants would tell."
)


@dataclass(frozen=True)
class Point:
    """The learning curve at one size."""

    size: int
    """Participants in a draw."""
    draws: int
    exhaustive: bool
    """Whether these are all the subsets of this size, each once."""
    calls: float
    """Trials that so many participants take on the items, on average: size x trials x items where all have as many."""
    dollars: float | None
    """What these trials cost on average, re-asks included; None where a participant's cost is unknown."""
    summaries: Mapping[Figure, Summary]


@dataclass(frozen=True)
class Costs:
    """Calls and dollars of each participant of a pool, on the items of a scope; NaN dollars where unknown."""

    calls: NDArray[np.float64]
    dollars: NDArray[np.float64]
    unknown: tuple[str, ...]
    """Names of the participants whose cost is unknown."""

    @classmethod
    def of(cls, pool: Pool, answers: Answers, tallies: Mapping[str, Tally]) -> Costs:
        """What a pool's trials took.

        A participant's dollars are those of all its answers in the run, in proportion to the trials that lie in the
        scope.
        """
        position = {name: number for number, name in enumerate(answers.names)}
        calls, dollars = [], []
        for name in pool.names:
            one = answers.participants[position[name]]
            asked = int((answers.simple[position[name]] != NOT_ASKED).sum())
            tally = tallies.get(one.id, Tally())
            spent = dollars_spent(tally)
            calls.append(asked)
            dollars.append(np.nan if spent is None or not tally.begun else spent / tally.begun * asked)
        unknown = tuple(name for name, known in zip(pool.names, dollars, strict=True) if np.isnan(known))
        return cls(np.array(calls, dtype=np.float64), np.array(dollars, dtype=np.float64), unknown)


def dollars_spent(tally: Tally) -> float | None:
    """What a participant's answers cost; None where that is unknown.

    A few answers come without counts of tokens, as refusals by a content filter do: up to a tenth of them are taken to
    have cost what the others did.
    """
    answers = tally.valid + tally.drift + tally.rejected
    if not tally.unpriced:
        return tally.cost
    return tally.cost * answers / (answers - tally.unpriced) if tally.unpriced <= _UNPRICED * answers else None


def learning_curve(
    pool: Pool, costs: Costs, *, draws: int = 1000, seed: int = 0, sizes: Sequence[int] | None = None
) -> tuple[Point, ...]:
    """Every figure for draws of 1 participant, of 2, and so on to the whole pool.

    Where a size has no more subsets than `draws`, each is taken once. How to read it: `CURVE_WARNING`.

    Parameters
    ----------
    pool
        Whom to draw from.
    costs
        Of the same pool.
    draws
        Draws of each size, at most.
    seed
        The same seed gives the same curve.
    sizes
        Only draws of these sizes.
    """
    return tuple(_point(pool, costs, size, draws, seed) for size in sizes or range(1, len(pool.names) + 1))


def _point(pool: Pool, costs: Costs, size: int, draws: int, seed: int) -> Point:
    n = len(pool.names)
    exhaustive = comb(n, size) <= draws
    members = subsets(n, size) if exhaustive else draw_members(n, size, draws, np.random.default_rng([seed, 2, size]))
    dollars = float(costs.dollars.mean()) * size
    return Point(
        size=size,
        draws=len(members),
        exhaustive=exhaustive,
        calls=float(costs.calls.mean()) * size,
        dollars=None if np.isnan(dollars) else dollars,
        summaries={figure: Summary.of(values) for figure, values in pool.figures(members).items()},
    )


def subsets(n: int, size: int) -> NDArray[np.bool_]:
    """All subsets of a size: (subsets, n).

    >>> subsets(3, 2).astype(int).tolist()
    [[1, 1, 0], [1, 0, 1], [0, 1, 1]]
    """
    chosen: Sequence[tuple[int, ...]] = list(combinations(range(n), size))
    members = np.zeros((len(chosen), n), dtype=np.bool_)
    np.put_along_axis(members, np.array(chosen, dtype=np.int64), True, axis=1)
    return members
