"""A figure that is taken item by item: its mean and its spread over items."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from partynli.metrics._arrays import FloatArray


def item_mean(values: ArrayLike, axis: int = -1) -> FloatArray:
    """Mean over the items where the figure is defined.

    Parameters
    ----------
    values
        (..., items), any unit; NaN marks an item for which the figure is undefined.
    axis
        The axis of the items.

    Returns
    -------
    FloatArray
        (...), in the unit of `values`. NaN where no item is defined. Report `items_defined` beside it.

    Examples
    --------
    >>> float(item_mean([0.2, float("nan"), 0.4]))
    0.30000000000000004
    """
    x = np.asarray(values, dtype=np.float64)
    n = items_defined(x, axis)
    total: FloatArray = np.where(np.isnan(x), 0.0, x).sum(axis)
    return (total / np.where(n > 0, n, np.nan))[()]


def item_sd(values: ArrayLike, axis: int = -1) -> FloatArray:
    """Sample standard deviation (ddof = 1) over the items where the figure is defined.

    Parameters
    ----------
    values
        (..., items), any unit; NaN marks an item for which the figure is undefined.
    axis
        The axis of the items.

    Returns
    -------
    FloatArray
        (...), in the unit of `values`. NaN with fewer than two defined items.

    Examples
    --------
    >>> round(float(item_sd([1.0, 2.0, float("nan"), 4.0])), 4)
    1.5275
    """
    x = np.asarray(values, dtype=np.float64)
    n = items_defined(x, axis)
    deviation = x - np.expand_dims(item_mean(x, axis), axis)
    squares: FloatArray = np.where(np.isnan(x), 0.0, deviation**2).sum(axis)
    return np.sqrt(squares / np.where(n > 1, n - 1, np.nan))[()]


def items_defined(values: ArrayLike, axis: int = -1) -> FloatArray:
    """Count the items for which a figure is defined.

    Parameters
    ----------
    values
        (..., items); NaN marks an item for which the figure is undefined.
    axis
        The axis of the items.

    Returns
    -------
    FloatArray
        (...), a number of items; never NaN.

    Examples
    --------
    >>> float(items_defined([0.2, float("nan"), 0.4]))
    2.0
    """
    defined = ~np.isnan(np.asarray(values, dtype=np.float64))
    n: FloatArray = defined.sum(axis, dtype=np.float64)[()]
    return n
