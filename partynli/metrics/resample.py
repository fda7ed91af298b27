"""How far a figure would move with other items.

A `statistic` here is any function of this package that reduces items: it takes arrays with items on their first own
axis and any leading axes before it, and gives one number for each leading index. So a thousand resamples are one call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from partynli.errors import InputError
from partynli.metrics._arrays import FloatArray, chunks


@dataclass(frozen=True)
class Interval:
    """An interval of plausible values, elementwise over the leading axes."""

    low: FloatArray
    high: FloatArray
    level: float
    undefined: FloatArray
    """How many resamples gave NaN; they are left out of the interval."""


def percentile_interval(samples: ArrayLike, level: float = 0.95) -> Interval:
    """Interval between two percentiles of resampled values (Efron 1979).

    Parameters
    ----------
    samples
        (draws, ...) resampled values; NaN where a resample left the figure undefined.
    level
        Share of the defined resamples inside.

    Returns
    -------
    Interval
        Bounds of shape (...), in the unit of the samples; NaN where every resample is undefined.

    Raises
    ------
    InputError
        If `level` is not between 0 and 1 or there is no draw.

    Examples
    --------
    >>> interval = percentile_interval(np.arange(101.0), level=0.9)
    >>> round(float(interval.low), 6), round(float(interval.high), 6)
    (5.0, 95.0)
    """
    x = np.asarray(samples, dtype=np.float64)
    if not 0 < level < 1:
        raise InputError(f"a level of {level} is not between 0 and 1")
    if x.ndim == 0 or len(x) == 0:
        raise InputError("there is no draw to take percentiles of")
    missing = np.isnan(x)
    void = missing.all(0)
    low, high = np.nanquantile(np.where(void, 0.0, x), [(1 - level) / 2, (1 + level) / 2], axis=0)
    low, high = (np.where(void, np.nan, bound)[()] for bound in (low, high))
    return Interval(low, high, level, missing.sum(0, dtype=np.float64)[()])


def bootstrap_mean(values: ArrayLike, *, rng: np.random.Generator, draws: int = 2000) -> FloatArray:
    """Resample the items with replacement and take the mean over them each time (Efron 1979).

    Parameters
    ----------
    values
        (..., items) figures item by item, any unit; NaN leaves the item out of each mean.
    rng
        Source of the resamples; the leading axes share them, so that differences of figures are paired.
    draws
        Number of resamples.

    Returns
    -------
    FloatArray
        (draws, ...), in the unit of `values`. NaN where a resample has no defined item.

    Raises
    ------
    InputError
        If there are no items.

    Examples
    --------
    >>> means = bootstrap_mean([0.0, 1.0, 2.0, 3.0], rng=np.random.default_rng(0), draws=500)
    >>> means.shape, bool(0 <= means.min() < means.max() <= 3)
    ((500,), True)
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim == 0 or x.shape[-1] == 0:
        raise InputError("there are no items to resample")
    n = x.shape[-1]
    weights = rng.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)
    rows = x.reshape(-1, n).T
    defined = ~np.isnan(rows)
    times = weights @ defined
    means: FloatArray = (weights @ np.where(defined, rows, 0.0)) / np.where(times > 0, times, np.nan)
    return means.reshape(draws, *x.shape[:-1])


def bootstrap(
    statistic: Callable[..., FloatArray],
    arrays: Sequence[ArrayLike],
    *,
    rng: np.random.Generator,
    draws: int = 2000,
    batched: bool = True,
) -> FloatArray:
    """Resample the items with replacement and recompute a figure that is no mean over items (Efron 1979).

    Not for Krippendorff's alpha over raters: resample its items, never its raters, since a rater who is drawn twice
    agrees with itself.

    Parameters
    ----------
    statistic
        Function of the resampled arrays, in their order.
    arrays
        Each (items, ...); all are resampled with the same items.
    rng
        Source of the resamples.
    draws
        Number of resamples.
    batched
        Whether `statistic` takes leading axes, as all functions here do; if not, it is called draw by draw.

    Returns
    -------
    FloatArray
        (draws, ...) values of the statistic, in its unit; NaN where it is undefined on a resample.

    Raises
    ------
    InputError
        If the arrays have no items or not the same number.

    Examples
    --------
    >>> from partynli.metrics.correlation import kendall_tau
    >>> x = np.arange(20.0)
    >>> taus = bootstrap(kendall_tau, [x, x], rng=np.random.default_rng(0), draws=50)
    >>> taus.shape, bool((taus == 1).all())
    ((50,), True)
    """
    columns = [np.asarray(a) for a in arrays]
    sizes = {len(c) if c.ndim else 0 for c in columns}
    if len(sizes) != 1 or 0 in sizes:
        raise InputError(f"arrays of shapes {[c.shape for c in columns]} are not over the same items")
    n = sizes.pop()
    results = []
    for size in chunks(draws, sum(c.size for c in columns)):
        items = rng.integers(n, size=(size, n))
        if batched:
            results.append(np.asarray(statistic(*(c[items] for c in columns))))
        else:
            results.append(np.array([statistic(*(c[i] for c in columns)) for i in items], dtype=np.float64))
    return np.concatenate(results)
