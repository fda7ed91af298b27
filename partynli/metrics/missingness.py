"""What the answers that are missing could have done to a figure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from partynli.errors import InputError
from partynli.metrics._arrays import FloatArray, as_counts, over_labels


class Bounds(NamedTuple):
    """The range that a figure can take."""

    low: FloatArray
    high: FloatArray


def missingness_bounds(statistic: Callable[[FloatArray], FloatArray], counts: ArrayLike, n_asked: ArrayLike) -> Bounds:
    """Range of a figure if all missing answers had been one and the same label, whichever (after Manski 1989).

    Parameters
    ----------
    statistic
        Function of counts (..., items, K) that gives one number for each leading index.
    counts
        (items, K) numbers of valid answers.
    n_asked
        How many answers were asked for: a number, or (items,).

    Returns
    -------
    Bounds
        Least and greatest value over the K labels, in the unit of the statistic. Both equal the figure itself where
        nothing is missing. NaN if the figure is undefined for every label.

    Raises
    ------
    InputError
        If an item has more valid answers than were asked for.

    Examples
    --------
    >>> from partynli.metrics.entropy import entropy
    >>> from partynli.metrics.distribution import probabilities
    >>> bounds = missingness_bounds(lambda c: entropy(probabilities(c)).mean(-1), [[8, 0, 0], [5, 5, 0]], 10)
    >>> round(float(bounds.low), 3), round(float(bounds.high), 3)
    (0.347, 0.597)
    """
    x = as_counts(counts)
    missing = np.broadcast_to(np.asarray(n_asked, dtype=np.float64), x.shape[:-1]) - over_labels(np.add, x)
    if (missing < 0).any():
        raise InputError("an item has more valid answers than were asked for")
    n_labels = x.shape[-1]
    all_one_label = np.eye(n_labels).reshape(n_labels, *[1] * (x.ndim - 1), n_labels)
    values = np.asarray(statistic(x + missing[..., None] * all_one_label))
    return Bounds(np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0))
