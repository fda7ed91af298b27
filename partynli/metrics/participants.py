"""How far a figure would move with other participants, and how much it owes to each of those at hand.

A `statistic` here takes label counts (..., items, K) and gives one number for each leading index, so that all groups of
participants are one call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from partynli.errors import InputError
from partynli.metrics._arrays import MISSING, FloatArray, IntArray, as_codes, chunks, one_hot


def bootstrap_participants_items(
    statistic: Callable[..., FloatArray],
    codes: ArrayLike,
    n_labels: int,
    beside: Sequence[ArrayLike] = (),
    *,
    rng: np.random.Generator,
    draws: int = 2000,
) -> FloatArray:
    """Resample participants and items at once, for distances and entropies (Owen 2007, the pigeonhole bootstrap).

    Unlike draws of 10 from 20 without replacement (RANDOMMIX), whose spread shrinks to 0 as the draw grows to the whole
    mix, this speaks of other participants than those at hand. Participants drawn twice make distributions narrower, so
    that entropies come out a little low: read the spread, not the middle. Not for alpha: a rater who is drawn twice
    agrees with itself; see `jackknife_participants`.

    Parameters
    ----------
    statistic
        Function of counts (..., items, K) and of the arrays in `beside`.
    codes
        (participants, items) label codes; -1 where there is none.
    n_labels
        K.
    beside
        Arrays (items, ...), such as the human distributions, that are resampled with the same items.
    rng
        Source of the resamples.
    draws
        Number of resamples.

    Returns
    -------
    FloatArray
        (draws, ...) values of the statistic, in its unit; NaN where it is undefined on a resample.

    Raises
    ------
    InputError
        If `codes` is no participants x items matrix, or an array in `beside` is not over its items.

    Examples
    --------
    >>> from partynli.metrics.comparison import compare
    >>> from partynli.metrics.distribution import probabilities
    >>> rng = np.random.default_rng(0)
    >>> codes, human = rng.integers(3, size=(8, 30)), rng.dirichlet(np.ones(3), size=30)
    >>> def js(counts, p):
    ...     return compare(p, probabilities(counts))["js_distance"]
    >>> bootstrap_participants_items(js, codes, 3, [human], rng=rng, draws=100).shape
    (100,)
    """
    x = _as_matrix(codes, n_labels)
    others = [np.asarray(b) for b in beside]
    people, n = x.shape
    if any(o.ndim == 0 or len(o) != n for o in others):
        raise InputError(f"arrays of shapes {[o.shape for o in others]} are not over the {n} items of the codes")
    votes = one_hot(x, n_labels).reshape(people, -1)
    results = []
    for size in chunks(draws, votes.shape[1] + sum(o.size for o in others)):
        weights = rng.multinomial(people, np.full(people, 1 / people), size=size).astype(np.float64)
        items = rng.integers(n, size=(size, n))
        counts = np.take_along_axis((weights @ votes).reshape(size, n, n_labels), items[..., None], 1)
        results.append(np.asarray(statistic(counts, *(o[items] for o in others))))
    return np.concatenate(results)


@dataclass(frozen=True)
class Jackknife:
    """A figure, how far it moves without each participant, and the interval that follows."""

    value: FloatArray
    standard_error: FloatArray
    low: FloatArray
    high: FloatArray
    level: float
    leave_one_out: FloatArray
    """(participants, ...) the figure without each participant; NaN for one who gave no label."""


def leave_one_out_counts(codes: ArrayLike, n_labels: int) -> FloatArray:
    """Label counts without each participant in turn.

    Parameters
    ----------
    codes
        (participants, items) label codes; -1 where there is none.
    n_labels
        K.

    Returns
    -------
    FloatArray
        (participants, items, K) numbers of votes.

    Raises
    ------
    InputError
        If `codes` is no participants x items matrix of codes.

    Examples
    --------
    >>> leave_one_out_counts([[0], [1], [1]], 2).tolist()
    [[[0.0, 2.0]], [[1.0, 1.0]], [[1.0, 1.0]]]
    """
    votes = one_hot(_as_matrix(codes, n_labels), n_labels)
    without: FloatArray = votes.sum(0) - votes
    return without


def jackknife_participants(
    statistic: Callable[[FloatArray], FloatArray], codes: ArrayLike, n_labels: int, level: float = 0.95
) -> Jackknife:
    """Standard error of a figure over participants, by leaving out one at a time (Tukey 1958).

    se^2 = (n - 1) / n sum_j (theta_(j) - mean theta_(.))^2, and an interval of Student's t with n - 1 degrees of
    freedom around the value. It is the way for alpha, whose raters must not be drawn twice.

    Parameters
    ----------
    statistic
        Function of counts (..., items, K).
    codes
        (participants, items) label codes; -1 where there is none. Participants without any label do not count.
    n_labels
        K.
    level
        Coverage of the interval.

    Returns
    -------
    Jackknife
        In the unit of the statistic. NaN in the error and the interval with fewer than two participants, or where the
        figure is undefined without one of them.

    Raises
    ------
    InputError
        If `codes` is no participants x items matrix of codes, or `level` is not between 0 and 1.

    Examples
    --------
    >>> from partynli.metrics.agreement import krippendorff_alpha
    >>> codes = np.random.default_rng(0).integers(3, size=(6, 40))
    >>> jack = jackknife_participants(krippendorff_alpha, codes, 3)
    >>> bool(jack.low < jack.value < jack.high), jack.leave_one_out.shape
    (True, (6,))
    """
    if not 0 < level < 1:
        raise InputError(f"a level of {level} is not between 0 and 1")
    x = _as_matrix(codes, n_labels)
    active = (x != MISSING).any(1)
    value = np.asarray(statistic(one_hot(x, n_labels).sum(0)))
    left_out = np.full((len(x), *value.shape), np.nan)
    n = int(active.sum())
    spread = np.full(value.shape, np.nan)
    if n > 1:
        left_out[active] = statistic(leave_one_out_counts(x[active], n_labels))
        theta = left_out[active]
        spread = np.sqrt((n - 1) / n * ((theta - theta.mean(0)) ** 2).sum(0))
    half = spread * float(stdtrit(max(n - 1, 1), (1 + level) / 2))
    return Jackknife(value[()], spread[()], (value - half)[()], (value + half)[()], level, left_out)


def leave_one_out_influence(
    statistic: Callable[[FloatArray], FloatArray], codes: ArrayLike, n_labels: int
) -> FloatArray:
    """How much each participant moves a figure: the figure of all less the figure without that one (Hampel 1974).

    Parameters
    ----------
    statistic
        Function of counts (..., items, K).
    codes
        (participants, items) label codes; -1 where there is none.
    n_labels
        K.

    Returns
    -------
    FloatArray
        (participants, ...), in the unit of the statistic: above 0 where the participant raises it. NaN for one who gave
        no label, or where the figure is undefined.

    Raises
    ------
    InputError
        If `codes` is no participants x items matrix of codes.

    Examples
    --------
    Two agree and the third does not: without it, alpha rises.

    >>> from partynli.metrics.agreement import krippendorff_alpha
    >>> codes = [[0, 1, 2, 0], [0, 1, 2, 0], [1, 2, 0, 1]]
    >>> leave_one_out_influence(krippendorff_alpha, codes, 3).round(2).tolist()
    [0.4, 0.4, -0.94]
    """
    jack = jackknife_participants(statistic, codes, n_labels)
    return np.asarray(jack.value - jack.leave_one_out)


def _as_matrix(codes: ArrayLike, n_labels: int) -> IntArray:
    x = as_codes(codes, n_labels)
    if x.ndim != 2 or 0 in x.shape:
        raise InputError(f"codes must be participants x items, but have shape {x.shape}")
    return x
