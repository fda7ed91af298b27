"""Medians and means of a population, and their intervals over items."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from partynli.analysis.explanations.variation import Values
from partynli.analysis.figures import Figure
from partynli.analysis.resamples import Floats, Resamples
from partynli.metrics import item_mean, item_sd, percentile_interval

_CELLS = 8_000_000


def middle_of(values: Values) -> float:
    """Median where defined; of several parts, the mean of their medians. NaN where nothing is defined."""
    defined = ~np.isnan(values.value)
    parts = np.unique(values.part[defined])
    medians = [np.median(values.value[defined & (values.part == part)]) for part in parts]
    return float(np.mean(medians)) if medians else float("nan")


def median_of(values: Values, resamples: Resamples) -> Figure:
    """`middle_of` values, with an interval.

    Parameters
    ----------
    values
        Of one figure of one population.
    resamples
        Of the items, shared by all figures. An item is drawn with all of its values.

    Returns
    -------
    Figure
        `value` with its 95 % percentile interval; `n` items on which it is defined. NaN where nothing is defined; the
        interval on a single item, too, which cannot be drawn anew.
    """
    defined = ~np.isnan(values.value)
    times = np.ascontiguousarray(resamples.weights.T, dtype=np.int32)
    drawn = []
    for part in np.unique(values.part[defined]):
        own = defined & (values.part == part)
        drawn.append(_medians(values.value[own], times[values.item[own]]))
    if not drawn:
        return Figure()
    n_items = len(np.unique(values.item[defined]))
    low, high = _interval(item_mean(np.stack(drawn, axis=-1)), n_items)
    return Figure(value=middle_of(values), low=low, high=high, n=n_items)


def mean_of(values: Values, resamples: Resamples) -> Figure:
    """Mean over items where defined, of values that are one an item and part; of several parts, the mean of theirs.

    Returns
    -------
    Figure
        `value`, `sd` over items (the mean of the parts'), the 95 % interval, and `n` items on which it is defined. NaN
        where nothing is defined; `sd` and interval on a single item, too.
    """
    table = np.full((int(values.part.max(initial=0)) + 1, resamples.weights.shape[1]), np.nan)
    table[values.part, values.item] = values.value
    mean = float(item_mean(item_mean(table)))
    if mean != mean:
        return Figure()
    n_items = int((~np.isnan(table)).any(0).sum())
    low, high = _interval(item_mean(resamples.means(table)), n_items)
    return Figure(mean, float(item_mean(item_sd(table))), low, high, n_items)


def _interval(drawn: Floats, n_items: int) -> tuple[float, float]:
    """Bounds of resampled figures; all draws of one item are the same, which says nothing of other items."""
    if n_items < 2:
        return float("nan"), float("nan")
    interval = percentile_interval(drawn)
    return float(interval.low), float(interval.high)


def _medians(values: Floats, times: NDArray[np.int32]) -> Floats:
    """Medians of values that occur so many times: (n,) and (n, D) to (D,); NaN where none occurs."""
    order = np.argsort(values)
    ranked = values[order]
    found = np.full(times.shape[1], np.nan)
    step = max(1, _CELLS // len(values))
    for start in range(0, len(found), step):
        upto = np.cumsum(times[order, start : start + step], axis=0, dtype=np.int32)
        total = upto[-1]
        low, high = ((upto <= rank).sum(axis=0) for rank in ((total - 1) // 2, total // 2))
        last = len(ranked) - 1
        middle = (ranked[np.minimum(low, last)] + ranked[np.minimum(high, last)]) / 2
        found[start : start + step] = np.where(total > 0, middle, np.nan)
    return found
