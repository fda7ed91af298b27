"""Whether two figures rise and fall together over items: Kendall's tau and the distance correlation."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import ArrayLike

from partynli.errors import InputError
from partynli.metrics._arrays import TIE, BoolArray, FloatArray, IntArray, chunks, laid_over
from partynli.metrics.summary import item_mean

_SAME_PLACE = 1e-12  # two points of the simplex that differ by no more than float noise
_RESOLUTION = 1e-14  # a squared correlation below this is rounding; its square root would show in the eighth digit


def kendall_tau(x: ArrayLike, y: ArrayLike) -> FloatArray:
    """Kendall's rank correlation tau-b, (C - D) / sqrt((n_0 - n_x) (n_0 - n_y)) (Kendall 1945).

    C pairs of items are in the same order on both sides, D in opposite order, n_x and n_y of all n_0 are tied on one
    side. All of these are whole numbers, so that the order of the items cannot change a bit of the result.

    Parameters
    ----------
    x, y
        (..., items) values, for instance entropies; the leading axes broadcast. Values that follow each other within
        1e-9 are tied: float noise breaks no tie. NaN leaves the item out.

    Returns
    -------
    FloatArray
        (...), -1 to 1. NaN with fewer than two items or where one side is all ties.

    Raises
    ------
    InputError
        If the shapes do not fit or a value is infinite.

    Examples
    --------
    >>> round(float(kendall_tau([12, 2, 1, 12, 2], [1, 4, 7, 1, 0])), 4)
    -0.4714
    >>> float(kendall_tau([0.1 + 0.2, 0.3, 1.0], [1, 2, 3])) == float(kendall_tau([0.3, 0.3, 1.0], [1, 2, 3]))
    True
    """
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    shape = laid_over(a.shape, b.shape, fixed=1)
    if np.isinf(a).any() or np.isinf(b).any():
        raise InputError("an infinite value has no rank that could be trusted")
    rows = (prod(shape[:-1]), shape[-1])
    ranks_x, ranks_y = (np.broadcast_to(dense_ranks(v), shape).reshape(rows) for v in (a, b))
    return kendall_tau_of_ranks(ranks_x, ranks_y).reshape(shape[:-1])[()]


def kendall_tau_of_ranks(ranks_x: IntArray, ranks_y: IntArray) -> FloatArray:
    """Kendall's tau-b of values that are ranked already, as `dense_ranks` gives them.

    Parameters
    ----------
    ranks_x, ranks_y
        (rows, items) whole numbers from 0, equal values alike, gaps allowed; -1 leaves the item out.

    Returns
    -------
    FloatArray
        (rows,), -1 to 1. NaN with fewer than two items or where one side is all ties.

    Examples
    --------
    >>> float(kendall_tau_of_ranks(np.array([[0, 1, 2]]), np.array([[4, 2, 0]]))[0])
    -1.0
    """
    if ranks_x.max(initial=0) < ranks_y.max(initial=0):
        ranks_x, ranks_y = ranks_y, ranks_x
    cells = int((ranks_x.max(initial=0) + 1) * (ranks_y.max(initial=0) + 1))
    tau = np.empty(len(ranks_x))
    start = 0
    for size in chunks(len(tau), cells):
        part = slice(start, start + size)
        tau[part] = _tau_b(_contingency(ranks_x[part], ranks_y[part]))
        start += size
    return tau


def dense_ranks(values: FloatArray) -> IntArray:
    """Rank each row (..., items) from 0, values that follow each other within 1e-9 alike; -1 for NaN.

    >>> dense_ranks(np.array([0.3, 0.1, 0.1 + 0.2, np.nan])).tolist()
    [1, 0, 1, -1]
    """
    order = np.argsort(values, axis=-1)
    ascending = np.take_along_axis(values, order, -1)
    rises = np.zeros(values.shape, dtype=np.int64)
    rises[..., 1:] = np.diff(ascending, axis=-1) > TIE
    ranks = np.empty_like(rises)
    np.put_along_axis(ranks, order, rises.cumsum(-1), -1)
    ranks[np.isnan(values)] = -1
    return ranks


def _contingency(ranks_x: IntArray, ranks_y: IntArray) -> FloatArray:
    """Count the items of each pair of ranks: (rows, items) twice to (rows, levels of x, levels of y)."""
    shape = (len(ranks_x), int(ranks_x.max(initial=0)) + 1, int(ranks_y.max(initial=0)) + 1)
    cell = (np.arange(shape[0])[:, None] * shape[1] + ranks_x) * shape[2] + ranks_y
    ranked = (ranks_x >= 0) & (ranks_y >= 0)
    if not ranked.all():
        cell = cell[ranked]
    return np.bincount(cell.ravel(), minlength=shape[0] * shape[1] * shape[2]).reshape(shape).astype(np.float64)


def _tau_b(table: FloatArray) -> FloatArray:
    """tau-b of contingency tables (rows, levels of x, levels of y) whose levels ascend."""
    rows, _, levels_y = table.shape
    lower_x = table.cumsum(1) - table
    sign_y = np.sign(np.arange(levels_y)[None, :] - np.arange(levels_y)[:, None]).astype(np.float64)
    order = (lower_x.reshape(-1, levels_y) @ sign_y).reshape(table.shape) * table
    concordant_less_discordant: FloatArray = order.reshape(rows, -1).sum(1)

    n_xk, n_yk = table.sum(2), table.sum(1)
    n = n_xk.sum(1)
    n_0, n_x, n_y = (n * (n - 1) / 2, (n_xk * (n_xk - 1)).sum(1) / 2, (n_yk * (n_yk - 1)).sum(1) / 2)
    untied = np.sqrt((n_0 - n_x) * (n_0 - n_y))
    return concordant_less_discordant / np.where(untied > 0, untied, np.nan)


def kendall_permutation_test(
    x: ArrayLike, y: ArrayLike, *, rng: np.random.Generator, permutations: int = 999
) -> tuple[float, float]:
    """Kendall's tau-b and its two-sided p under shuffling of the items (Fisher 1935, chapter 3).

    Parameters
    ----------
    x, y
        (items,) values; NaN leaves the item out.
    rng
        Source of the shuffles.
    permutations
        Number of shuffles; p cannot fall below 1 / (permutations + 1).

    Returns
    -------
    tuple of float
        tau and p, the share of shuffles (the data itself among them) whose tau is as far from 0. Both NaN where tau is
        undefined.

    Raises
    ------
    InputError
        If x and y are not two sequences over the same items.

    Examples
    --------
    >>> tau, p = kendall_permutation_test(range(8), range(8), rng=np.random.default_rng(0))
    >>> tau, p < 0.01
    (1.0, True)
    """
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise InputError(f"values of shapes {a.shape} and {b.shape} are not two sequences over the same items")
    both = ~np.isnan(a + b)
    a, b = a[both], b[both]
    tau = float(kendall_tau(a, b))
    if np.isnan(tau):
        return tau, tau
    shuffled = kendall_tau(a, rng.permuted(np.tile(b, (permutations, 1)), axis=1))
    return tau, float((1 + (np.abs(shuffled) >= abs(tau) - TIE).sum()) / (permutations + 1))


def distance_correlation(
    x: ArrayLike, y: ArrayLike, *, unbiased: bool = False, constant: float = float("nan")
) -> FloatArray:
    """Distance correlation of two samples of points (Székely, Rizzo and Bakirov 2007, section 2).

    0 only under independence, in the limit. From N items of independent data the usual, biased estimator does not give
    0 but a tenth to a third: read it beside `distance_correlation_test`, or take the unbiased one.

    Parameters
    ----------
    x, y
        (..., items, dimensions) points, for instance label distributions; the leading axes broadcast. A point with a
        NaN leaves the item out.
    unbiased
        If true, the bias-corrected estimate of the *square* (Székely and Rizzo 2014), which may be negative.
    constant
        What a constant sample gives: undefined by default, 0 in Chen et al. (2024) as in `dcor`.

    Returns
    -------
    FloatArray
        (...), 0 to 1, or up to 1 if unbiased. NaN (or `constant`) where either sample is constant; NaN with too few
        items: fewer than two, fewer than four if unbiased.

    Raises
    ------
    InputError
        If the shapes do not fit.

    Examples
    --------
    >>> x = [[1.0], [2.0], [3.0], [4.0]]
    >>> round(float(distance_correlation(x, [[1.0], [0.0], [0.0], [1.0]])), 4)
    0.5266
    >>> float(distance_correlation(x, [[5.0]] * 4)), float(distance_correlation(x, [[5.0]] * 4, constant=0.0))
    (nan, 0.0)
    """
    points = _as_points(x, y)
    present = ~np.isnan(points[0].sum(-1) + points[1].sum(-1))
    n = present.sum(-1)
    centre = _u_centred if unbiased else _double_centred
    a, b = (centre(_distances(p, present), present) for p in points)
    covariance, variance_x, variance_y = (np.asarray((u * v).sum((-2, -1))) for u, v in ((a, b), (a, a), (b, b)))

    enough, varies = n >= (4 if unbiased else 2), (variance_x > 0) & (variance_y > 0)
    square = covariance / np.sqrt(np.where(varies, variance_x * variance_y, np.nan))
    value = np.where(varies, square if unbiased else np.sqrt(np.where(square < _RESOLUTION, 0.0, square)), constant)
    return np.where(enough, value, np.nan)[()]


def _as_points(x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if a.ndim < 2 or b.ndim < 2:
        raise InputError(f"points of shapes {a.shape} and {b.shape} are not items x dimensions")
    laid_over(a.shape[:-1], b.shape[:-1], fixed=1)
    return a, b


def _distances(points: FloatArray, present: BoolArray) -> FloatArray:
    """Euclidean distances (..., items, items), 0 wherever an item is missing."""
    square = np.zeros(())
    for k in range(points.shape[-1]):
        square = square + (points[..., :, None, k] - points[..., None, :, k]) ** 2
    d = np.sqrt(square)
    return np.where((present[..., :, None] & present[..., None, :]) & (d > _SAME_PLACE), d, 0.0)


def _double_centred(d: FloatArray, present: BoolArray) -> FloatArray:
    n = np.maximum(present.sum(-1), 1)[..., None, None]
    row, column, grand = d.sum(-1, keepdims=True), d.sum(-2, keepdims=True), d.sum((-2, -1), keepdims=True)
    centred = d - row / n - column / n + grand / n**2
    return np.where(present[..., :, None] & present[..., None, :], centred, 0.0)


def _u_centred(d: FloatArray, present: BoolArray) -> FloatArray:
    n = np.maximum(present.sum(-1), 3)[..., None, None]
    row, column, grand = d.sum(-1, keepdims=True), d.sum(-2, keepdims=True), d.sum((-2, -1), keepdims=True)
    centred = d - row / (n - 2) - column / (n - 2) + grand / ((n - 1) * (n - 2))
    pairs = present[..., :, None] & present[..., None, :] & ~np.eye(d.shape[-1], dtype=np.bool_)
    return np.where(pairs, centred, 0.0)


def distance_correlation_test(
    x: ArrayLike, y: ArrayLike, *, rng: np.random.Generator, permutations: int = 999
) -> tuple[float, float]:
    """Distance correlation and its p under shuffling of the items (Székely, Rizzo and Bakirov 2007).

    Parameters
    ----------
    x
        (items, dimensions) points; one with a NaN leaves the item out.
    y
        The same, or (trials, items, dimensions): then the mean over the trials is tested, all shuffled alike.
    rng
        Source of the shuffles.
    permutations
        Number of shuffles; p cannot fall below 1 / (permutations + 1).

    Returns
    -------
    tuple of float
        The biased distance correlation, and the share of shuffles (the data itself among them) that reach it. Both NaN
        where it is undefined.

    Raises
    ------
    InputError
        If x and y are not matrices over the same items.

    Examples
    --------
    >>> x = np.arange(12.0)[:, None]
    >>> value, p = distance_correlation_test(x, x**2, rng=np.random.default_rng(0), permutations=199)
    >>> round(value, 2), p
    (0.98, 0.005)
    """
    points, others = _as_points(x, y)
    if points.ndim != 2 or others.ndim > 3:
        raise InputError(f"points of shapes {points.shape} and {others.shape} are not matrices over the same items")
    trials = others.reshape(-1, *others.shape[-2:])
    seen = ~np.isnan(points.sum(-1) + trials.sum(-1)).all(0)
    points, trials = points[seen], trials[:, seen]
    value = float(item_mean(distance_correlation(points, trials)))
    if np.isnan(value):
        return value, value
    reached = 1
    for size in chunks(permutations, len(points) ** 2):
        orders = rng.permuted(np.tile(np.arange(len(points)), (size, 1)), axis=1)
        shuffled = np.stack([_shuffled_distance_correlations(points, trial, orders) for trial in trials], axis=-1)
        reached += int((item_mean(shuffled) >= value * (1 - TIE)).sum())
    return value, reached / (permutations + 1)


def _shuffled_distance_correlations(x: FloatArray, y: FloatArray, orders: IntArray) -> FloatArray:
    """Distance correlation of x and y, shuffled by orders (shuffles, items), over the items of both: (shuffles,)."""
    there = np.flatnonzero(~np.isnan(x.sum(-1) + y.sum(-1)))
    everyone = np.ones(len(there), dtype=np.bool_)
    a, b = (_double_centred(_distances(points[there], everyone), everyone) for points in (x, y))
    scale = np.sqrt((a * a).sum() * (b * b).sum())
    if not scale > 0:
        return np.full(len(orders), np.nan)
    place = np.searchsorted(there, orders[np.isin(orders, there)].reshape(len(orders), -1))
    covariances = b[place[:, :, None], place[:, None, :]].reshape(len(orders), -1) @ a.ravel()
    return np.asarray(np.sqrt(np.maximum(covariances / scale, 0.0)))
