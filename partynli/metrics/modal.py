"""Whether two populations choose the same label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from partynli.errors import InputError
from partynli.labels import LABELS
from partynli.metrics._arrays import MISSING, TIE, FloatArray, IntArray, as_distribution, over_labels, same_labels
from partynli.metrics.summary import item_mean


def modal_label(p: ArrayLike, labels: Sequence[str] = LABELS) -> IntArray:
    """The most probable label of each item; a tie goes to the alphabetically first (Kulmizev et al. 2026, appendix C).

    Parameters
    ----------
    p
        (..., K) distributions.
    labels
        The K labels in the order of the last axis: either < false < true for the default.

    Returns
    -------
    IntArray
        (...), positions in `labels`; -1 where the distribution is undefined. Probabilities within 1e-9 are tied.

    Raises
    ------
    InputError
        If a row is no distribution or has not K labels.

    Examples
    --------
    >>> [LABELS[k] for k in modal_label([[0.6, 0.2, 0.2], [0.4, 0.2, 0.4], [0.4, 0.4, 0.2]])]
    ['true', 'false', 'either']
    """
    x = as_distribution(p)
    if x.shape[-1] != len(labels):
        raise InputError(f"{x.shape[-1]} probabilities an item, but {len(labels)} labels")
    highest = over_labels(np.maximum, x)
    mode = np.full(x.shape[:-1], MISSING, dtype=np.int64)
    for k in sorted(range(len(labels)), key=lambda k: labels[k], reverse=True):
        mode = np.where(x[..., k] >= highest - TIE, k, mode)
    return mode[()]


def agreement(p: ArrayLike, q: ArrayLike, labels: Sequence[str] = LABELS) -> FloatArray:
    """Share of items on which two populations have the same modal label (Kulmizev et al. 2026, appendix C).

    Parameters
    ----------
    p, q
        (..., items, K) distributions; the leading axes broadcast.
    labels
        The K labels in the order of the last axis; they decide ties, see `modal_label`.

    Returns
    -------
    FloatArray
        (...), a share of the items that are defined on both sides. NaN if there is none.

    Raises
    ------
    InputError
        If a row is no distribution or the shapes do not fit.

    Examples
    --------
    >>> float(agreement([[0.6, 0.4, 0.0], [0.5, 0.0, 0.5]], [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    0.5
    """
    same_labels(as_distribution(p, "p"), as_distribution(q, "q"))
    return item_mean(same_mode(p, q, labels))


def same_mode(p: ArrayLike, q: ArrayLike, labels: Sequence[str] = LABELS) -> FloatArray:
    """Whether two populations have the same modal label, item by item; their mean is `agreement`.

    Parameters
    ----------
    p, q
        (..., K) distributions; the leading axes broadcast.
    labels
        The K labels in the order of the last axis; they decide ties, see `modal_label`.

    Returns
    -------
    FloatArray
        (...), 1 or 0. NaN where either is undefined.

    Raises
    ------
    InputError
        If a row is no distribution or has not K labels.

    Examples
    --------
    >>> same_mode([[0.6, 0.4, 0.0], [0.5, 0.0, 0.5]], [1.0, 0.0, 0.0]).tolist()
    [1.0, 0.0]
    """
    a, b = modal_label(p, labels), modal_label(q, labels)
    return np.where((a == MISSING) | (b == MISSING), np.nan, a == b)[()]
