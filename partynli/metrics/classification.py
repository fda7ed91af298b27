"""How well one coder's categories meet another's.

A confusion table (..., K, K) holds the reference's category in the row and the coder's in the column; leading axes are
carried along.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from partynli.errors import InputError
from partynli.metrics._arrays import FloatArray, IntArray, as_codes, as_counts


def confusion_table(reference: ArrayLike, coder: ArrayLike, n_labels: int) -> IntArray:
    """Count the pairs of categories that two coders gave the same things.

    Parameters
    ----------
    reference, coder
        (N,) category codes 0 .. K - 1; -1 where there is none, which leaves the thing out.
    n_labels
        K.

    Returns
    -------
    IntArray
        (K, K) counts, the reference's category in the row.

    Raises
    ------
    InputError
        If the codes are not of the same things, or out of range.

    Examples
    --------
    >>> confusion_table([0, 0, 1, -1], [0, 1, 1, 1], n_labels=2).tolist()
    [[1, 1], [0, 1]]
    """
    a, b = as_codes(reference, n_labels, "reference"), as_codes(coder, n_labels, "coder")
    if a.shape != b.shape or a.ndim != 1:
        raise InputError(f"codes of shapes {a.shape} and {b.shape} are not of the same things")
    both = (a >= 0) & (b >= 0)
    counts = np.bincount(a[both] * n_labels + b[both], minlength=n_labels * n_labels)
    return counts.reshape(n_labels, n_labels).astype(np.int64)


def cohen_kappa(confusion: ArrayLike) -> FloatArray:
    """Agreement of two coders beyond what their own shares of the categories would give (Cohen 1960).

    Parameters
    ----------
    confusion
        (..., K, K) counts.

    Returns
    -------
    FloatArray
        (...), 1 for full agreement, 0 for that of chance. NaN for an empty table, and where both coders used one and
        the same category only: chance alone would agree fully.

    Raises
    ------
    InputError
        If the table is not square, or counts are negative.

    Examples
    --------
    Cohen's coefficient of the table [[20, 5], [10, 15]]: (0.7 - 0.5) / (1 - 0.5).

    >>> round(float(cohen_kappa([[20, 5], [10, 15]])), 6)
    0.4
    """
    n_ab = _square(confusion)
    with np.errstate(invalid="ignore"):
        p_ab = n_ab / n_ab.sum((-2, -1), keepdims=True)
        p_o = np.trace(p_ab, axis1=-2, axis2=-1)
        p_e = (p_ab.sum(-1) * p_ab.sum(-2)).sum(-1)
        kappa: FloatArray = np.where(1 - p_e > 1e-12, (p_o - p_e) / (1 - p_e), np.nan)[()]
    return kappa


def f1_by_label(confusion: ArrayLike) -> FloatArray:
    """F1 of each category: the harmonic mean of precision and recall (van Rijsbergen 1979).

    Parameters
    ----------
    confusion
        (..., K, K) counts.

    Returns
    -------
    FloatArray
        (..., K) from 0 to 1; NaN for a category that neither coder used.

    Raises
    ------
    InputError
        If the table is not square, or counts are negative.

    Examples
    --------
    >>> f1_by_label([[20, 5], [10, 15]]).round(3).tolist()
    [0.727, 0.667]
    """
    n_ab = _square(confusion)
    used = n_ab.sum(-1) + n_ab.sum(-2)
    f1: FloatArray = 2 * np.diagonal(n_ab, axis1=-2, axis2=-1) / np.where(used > 0, used, np.nan)
    return f1


def recall_by_label(confusion: ArrayLike) -> FloatArray:
    """Share of each category's things that the coder found.

    Parameters
    ----------
    confusion
        (..., K, K) counts, the reference's category in the row.

    Returns
    -------
    FloatArray
        (..., K) from 0 to 1; NaN for a category that the reference never used.

    Raises
    ------
    InputError
        If the table is not square, or counts are negative.

    Examples
    --------
    >>> recall_by_label([[20, 5], [10, 15]]).tolist()
    [0.8, 0.6]
    """
    n_ab = _square(confusion)
    support = n_ab.sum(-1)
    recall: FloatArray = np.diagonal(n_ab, axis1=-2, axis2=-1) / np.where(support > 0, support, np.nan)
    return recall


def weighted_f1(confusion: ArrayLike) -> FloatArray:
    """Mean F1 of the categories, each weighted by how often the reference used it.

    With K equally frequent categories, a coder who always gives the same one reaches 2 / (K (K + 1)): 0.167 for three.

    Parameters
    ----------
    confusion
        (..., K, K) counts, the reference's category in the row.

    Returns
    -------
    FloatArray
        (...) from 0 to 1; NaN for an empty table.

    Raises
    ------
    InputError
        If the table is not square, or counts are negative.

    Examples
    --------
    >>> round(float(weighted_f1([[0, 0, 10], [0, 0, 10], [0, 0, 10]])), 4)
    0.1667
    """
    n_ab = _square(confusion)
    support = n_ab.sum(-1)
    n = support.sum(-1)
    total: FloatArray = np.nan_to_num(f1_by_label(n_ab) * support, nan=0.0).sum(-1)
    return (total / np.where(n > 0, n, np.nan))[()]


def _square(confusion: ArrayLike) -> FloatArray:
    x = as_counts(confusion, "a confusion table")
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise InputError(f"a confusion table must be square, but has shape {x.shape}")
    return x
