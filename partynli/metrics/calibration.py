"""Whether a model is right as often as it says."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from partynli.errors import InputError
from partynli.metrics._arrays import MISSING, FloatArray, as_codes, as_distribution, over_labels


def expected_calibration_error(gold: ArrayLike, q: ArrayLike, bins: int = 15) -> FloatArray:
    """Expected calibration error, sum_b n_b / n |accuracy_b - confidence_b| (Guo et al. 2017, equation 3).

    Items are put into `bins` equal parts of (0, 1] by the model's largest probability. Where people disagree, a model
    that gives their distribution exactly is not calibrated in this sense: see `dist_ce` (Baan et al. 2022).

    Parameters
    ----------
    gold
        (N,) codes 0 .. K - 1 of the right labels; -1 leaves the item out.
    q
        (N, K) model distributions; a row of NaN leaves the item out. A tied maximum is the first label's.
    bins
        Number of parts.

    Returns
    -------
    FloatArray
        A number from 0 to 1. NaN without items.

    Raises
    ------
    InputError
        If a row is no distribution, the shapes do not fit, or `bins` is not positive.

    Examples
    --------
    >>> round(float(expected_calibration_error([0, 0, 1, 1], [[0.8, 0.2]] * 4)), 4)
    0.3
    """
    y = as_distribution(q, "q")
    if y.ndim != 2:
        raise InputError(f"q must be items x labels, but has shape {y.shape}")
    right = as_codes(gold, y.shape[-1], "gold")
    if right.shape != y.shape[:-1]:
        raise InputError(f"{right.size} right labels, but {len(y)} distributions")
    if bins < 1:
        raise InputError(f"bins must be 1 or more, but is {bins}")
    there = (right != MISSING) & ~np.isnan(over_labels(np.add, y))
    y, right = y[there], right[there]
    if not len(y):
        return np.asarray(np.nan)[()]
    confidence = over_labels(np.maximum, y)
    correct = (y.argmax(-1) == right).astype(np.float64)
    part = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(part, weights=correct - confidence, minlength=bins).astype(np.float64)
    error: FloatArray = np.abs(gaps).sum() / len(y)
    return error
