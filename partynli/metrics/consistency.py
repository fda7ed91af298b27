"""Whether a participant answers an item the same way each time it is asked."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from partynli.metrics._arrays import FloatArray, as_counts, over_labels
from partynli.metrics.summary import item_mean


def distinct_labels(counts: ArrayLike, min_trials: int = 2) -> FloatArray:
    """Number of distinct labels that a participant gave an item over its trials (Kulmizev et al. 2026, section 4.2).

    Parameters
    ----------
    counts
        (..., items, K) how many trials gave each label.
    min_trials
        Fewest valid trials that can show a change of mind.

    Returns
    -------
    FloatArray
        (..., items), 1 to K: 1 means always the same. NaN with fewer than `min_trials` valid trials.

    Raises
    ------
    InputError
        If a count is negative or not finite.

    Examples
    --------
    >>> distinct_labels([[5, 0, 0], [3, 1, 1], [1, 0, 0]]).tolist()
    [1.0, 3.0, nan]
    """
    x = as_counts(counts)
    enough = over_labels(np.add, x) >= min_trials
    return np.where(enough, over_labels(np.add, (x > 0).astype(np.float64)), np.nan)[()]


def consistency(counts: ArrayLike, min_trials: int = 2) -> FloatArray:
    """Mean over items of the number of distinct labels (Kulmizev et al. 2026, section 4.2): lower is more consistent.

    Parameters
    ----------
    counts
        (..., items, K) how many trials gave each label.
    min_trials
        Fewest valid trials for an item to count.

    Returns
    -------
    FloatArray
        (...), 1 to K. NaN where no item has enough trials.

    Raises
    ------
    InputError
        If a count is negative or not finite.

    Examples
    --------
    >>> float(consistency([[5, 0, 0], [3, 1, 1]]))
    2.0
    """
    return item_mean(distinct_labels(counts, min_trials))


def share_consistent(counts: ArrayLike, min_trials: int = 2) -> FloatArray:
    """Share of items that got the same label in every trial.

    Parameters
    ----------
    counts
        (..., items, K) how many trials gave each label.
    min_trials
        Fewest valid trials for an item to count.

    Returns
    -------
    FloatArray
        (...), 0 to 1. NaN where no item has enough trials.

    Raises
    ------
    InputError
        If a count is negative or not finite.

    Examples
    --------
    >>> float(share_consistent([[5, 0, 0], [3, 1, 1]]))
    0.5
    """
    distinct = distinct_labels(counts, min_trials)
    return item_mean(np.where(np.isnan(distinct), np.nan, distinct == 1))
