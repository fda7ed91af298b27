"""What an array must look like before a metric reads it, and the few steps that all metrics share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from partynli.errors import InputError

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]

MISSING = -1
"""The code of a label that is not there."""

TIE = 1e-9
"""Numbers that differ by no more than this are equal: far above float noise, far below one vote in a million."""

CHUNK = 4_000_000
"""Cells that one step of a resampling holds in memory at a time."""


def over_labels(operation: Callable[[Any, Any], Any], x: FloatArray) -> FloatArray:
    """Reduce the last axis, label after label: (..., K) to (...).

    NumPy reduces a last axis of three some twenty times slower than it adds three arrays. The order of the sum is
    fixed, too, so that a row gives the same bits wherever it stands.
    """
    result: FloatArray = reduce(operation, (x[..., k] for k in range(x.shape[-1])))
    return result


def as_counts(counts: ArrayLike, name: str = "counts") -> FloatArray:
    """Check an array (..., K) of how often each label was given; zero votes are missing data, NaN is an error."""
    x = np.asarray(counts, dtype=np.float64)
    if x.ndim == 0 or x.shape[-1] == 0:
        raise InputError(f"{name} must have the labels on its last axis, but has shape {x.shape}")
    if not (x >= 0).all() or np.isinf(x).any():
        raise InputError(f"{name} must be finite and not negative; an item without votes is a row of zeros")
    return x


def as_whole_counts(counts: ArrayLike, name: str = "counts") -> IntArray:
    """Check counts that are drawn from: whole numbers, up to float noise."""
    x = as_counts(counts, name)
    whole = np.rint(x)
    if (np.abs(x - whole) > 1e-6).any():
        raise InputError(f"{name} must be whole numbers of votes, not shares")
    return whole.astype(np.int64)


def as_distribution(p: ArrayLike, name: str = "p") -> FloatArray:
    """Check an array (..., K) of label distributions; a row of NaN is an item without a distribution."""
    x = np.asarray(p, dtype=np.float64)
    if x.ndim == 0 or x.shape[-1] == 0:
        raise InputError(f"{name} must have the labels on its last axis, but has shape {x.shape}")
    if (x < 0).any() or (np.abs(over_labels(np.add, x) - 1.0) > 1e-6).any():
        raise InputError(f"{name} must hold distributions, each summing to 1; pass counts through probabilities()")
    return x


def as_pair(p: ArrayLike, q: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Check two arrays of distributions over the same labels, whose leading axes broadcast."""
    x, y = as_distribution(p, "p"), as_distribution(q, "q")
    same_labels(x, y)
    return x, y


def same_labels(x: FloatArray, y: FloatArray) -> None:
    """Refuse two arrays whose labels or items cannot be laid over each other."""
    laid_over(x.shape, y.shape, fixed=1)


def laid_over(a: tuple[int, ...], b: tuple[int, ...], fixed: int) -> tuple[int, ...]:
    """Shape of two arrays laid over each other: leading axes broadcast, the last `fixed` ones must be equal."""
    if len(a) >= fixed <= len(b) and a[len(a) - fixed :] == b[len(b) - fixed :]:
        with suppress(ValueError):
            return np.broadcast_shapes(a, b)
    raise InputError(f"arrays of shapes {a} and {b} are not over the same items and labels")


def as_codes(codes: ArrayLike, n_labels: int, name: str = "codes") -> IntArray:
    """Check an array of label codes: 0 to K - 1, or -1 where there is no label."""
    x = np.asarray(codes)
    if x.size and not np.issubdtype(x.dtype, np.integer):
        raise InputError(f"{name} must be whole numbers (-1 for missing), not {x.dtype}")
    if x.size and (x.min() < MISSING or x.max() >= n_labels):
        raise InputError(f"{name} must lie in -1 .. {n_labels - 1}, but span {x.min()} .. {x.max()}")
    return x.astype(np.int64)


def one_hot(codes: IntArray, n_labels: int) -> FloatArray:
    """Spell each code as a row of 0 and 1; a missing one as a row of zeros: (...) to (..., K)."""
    rows: FloatArray = (codes[..., None] == np.arange(n_labels)).astype(np.float64)
    return rows


def chunks(total: int, cells_each: int) -> Iterator[int]:
    """Split `total` draws into parts that each hold at most about `CHUNK` cells; yield their sizes."""
    size = max(1, CHUNK // max(1, cells_each))
    for start in range(0, total, size):
        yield min(size, total - start)
