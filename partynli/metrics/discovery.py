"""Many tests at once: adjusting p so that few of those called significant are false alarms."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from partynli.errors import InputError
from partynli.metrics._arrays import FloatArray


def benjamini_hochberg(p: ArrayLike) -> FloatArray:
    """Adjust p-values for the false discovery rate of independent tests (Benjamini and Hochberg 1995).

    Parameters
    ----------
    p
        (..., tests) p-values; NaN marks a test that could not be made and does not count.

    Returns
    -------
    FloatArray
        (..., tests) adjusted values: those up to 0.05 hold a rate of 0.05. NaN where p is.

    Raises
    ------
    InputError
        If a p-value is not between 0 and 1.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.02, 0.03, 0.5]).round(4).tolist()
    [0.04, 0.04, 0.04, 0.5]
    """
    return _step_up(p, dependent=False)


def benjamini_yekutieli(p: ArrayLike) -> FloatArray:
    """Adjust p-values for the false discovery rate of tests with any dependence (Benjamini and Yekutieli 2001).

    Parameters
    ----------
    p
        (..., tests) p-values; NaN marks a test that could not be made and does not count.

    Returns
    -------
    FloatArray
        (..., tests) adjusted values: those up to 0.05 hold a rate of 0.05. NaN where p is.

    Raises
    ------
    InputError
        If a p-value is not between 0 and 1.

    Examples
    --------
    >>> benjamini_yekutieli([0.01, 0.02, 0.03, 0.5]).round(4).tolist()
    [0.0833, 0.0833, 0.0833, 1.0]
    """
    return _step_up(p, dependent=True)


def _step_up(p: ArrayLike, *, dependent: bool) -> FloatArray:
    x = np.asarray(p, dtype=np.float64)
    if x.ndim == 0 or (x < 0).any() or (x > 1).any():
        raise InputError("p-values must be numbers between 0 and 1, with the tests on the last axis")
    m = (~np.isnan(x)).sum(-1, keepdims=True)
    rank = np.arange(1, x.shape[-1] + 1)
    harmonic = np.concatenate([[1.0], (1 / rank).cumsum()])[m] if dependent else 1.0
    order = np.argsort(x, axis=-1)
    scaled = np.take_along_axis(x, order, -1) * m * harmonic / rank
    scaled = np.where(np.isnan(scaled), np.inf, scaled)
    ascending = np.minimum.accumulate(scaled[..., ::-1], axis=-1)[..., ::-1]
    adjusted = np.empty_like(x)
    np.put_along_axis(adjusted, order, np.minimum(ascending, 1.0), -1)
    return np.where(np.isnan(x), np.nan, adjusted)
