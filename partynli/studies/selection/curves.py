"""How far a model's distributions are from people's, by the share of explanations that was replaced."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from scipy import stats

from partynli.errors import InputError

By = Literal["model", "noise"]
_LEVEL = 0.95


class Measured(NamedTuple):
    """The distance of one run."""

    by: By
    """What people's explanations were replaced with."""
    share: int
    """Percent that was to be replaced."""
    seed: int
    distance: float
    replaced: float
    """Percent that really was: a model may have none left of a label."""


@dataclass(frozen=True)
class Point:
    """One place on a curve."""

    share: int
    """Percent that was to be replaced."""
    replaced: float
    """Percent that really was, on average over seeds."""
    mean: float
    """Distance, on average over seeds."""
    low: float
    """Bounds of the 95 % interval of the mean (Student's t over seeds); NaN with fewer than two."""
    high: float
    n: int
    """Seeds."""


@dataclass(frozen=True)
class Curve:
    """All shares of one kind of replacement, from the lowest on."""

    by: By
    points: tuple[Point, ...]


def curves(measured: Iterable[Measured]) -> tuple[Curve, ...]:
    """Put distances into curves, the model's first.

    People's own explanations, with share 0, are the beginning of every curve.

    Raises
    ------
    InputError
        Two distances have the same share and seed, or there is none.

    Examples
    --------
    >>> (curve,) = curves([Measured("model", 25, seed, 0.2 + seed / 10, 10.0 + seed) for seed in range(3)])
    >>> [(one.share, one.replaced, round(one.mean, 3), round(one.low, 3), one.n) for one in curve.points]
    [(25, 11.0, 0.3, 0.052, 3)]
    """
    rows = list(measured)
    if not rows:
        raise InputError("there are no distances to draw")
    places = [(row.by if row.share else "", row.share, row.seed) for row in rows]
    if twice := [place for place in places if places.count(place) > 1]:
        by, share, seed = twice[0]
        raise InputError(
            f"two runs have {share} % replaced{f' by {by}' if by else ''} with seed {seed}; give one of them"
        )
    found = []
    for by in get_args(By):
        own = [row for row in rows if row.by == by and row.share]
        if own:
            beginning = [row for row in rows if not row.share]
            shares = sorted({row.share for row in (*beginning, *own)})
            of_share = {share: [row for row in (*beginning, *own) if row.share == share] for share in shares}
            found.append(Curve(by, tuple(_point(share, same) for share, same in of_share.items())))
    if not found:
        raise InputError("nothing is replaced in any of these runs; there is no curve")
    return tuple(found)


def _point(share: int, same: Sequence[Measured]) -> Point:
    distances = np.array([one.distance for one in same])
    n = len(same)
    mean = float(distances.mean())
    half = float("nan")
    if n > 1:
        half = float(stats.t.ppf((1 + _LEVEL) / 2, n - 1) * distances.std(ddof=1) / np.sqrt(n))
    return Point(share, float(np.mean([one.replaced for one in same])), mean, mean - half, mean + half, n)
