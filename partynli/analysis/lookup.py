"""All figures of thousands of groups of participants at once, by looking up each item's votes.

Ten votes on three labels can fall in 66 ways, however many groups are drawn. So each group's votes on an item become
one whole number, what an item contributes to a figure is worked out once for each way, by the functions of
`partynli.metrics`, and every group's figure is a mean or sum of looked-up values.

For many groups with a few figures each (RANDOMMIX, the learning curve, the exchanges of a comparison); a report, which
has few groups and resamples items only, takes `partynli.analysis.resamples`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from partynli.errors import InputError
from partynli.metrics import (
    alpha_of_sums,
    coincidences,
    dense_ranks,
    entropy,
    item_mean,
    js_distance,
    kendall_tau_of_ranks,
    kl_divergence,
    ordinal_alpha_of_sums,
    pairable_units,
    probabilities,
    same_mode,
    wasserstein,
)

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
Figure: TypeAlias = tuple[str, str | None]
"""Name of a metric, and the people it is taken against; None where it is the participants' own."""
Figures: TypeAlias = dict[Figure, FloatArray]

OWN = ("entropy", "alpha")
"""Figures of the participants alone."""
AGAINST = ("js_distance", "kl_pq", "kl_qp", "agreement", "kendall_tau")
"""Figures that set participants against people."""
METRICS = (*OWN, *AGAINST)
ORDERED = ("alpha_ordinal", "wasserstein")
"""Figures of ordered labels besides: the participants' own, and the one against people."""
CELLS = 4_000_000
"""Groups x trials x items that one step holds in memory."""
_EXACT = 2.0**53
_DENSE = 1 << 22


def figures_of(people: Mapping[str, object]) -> tuple[Figure, ...]:
    """Every figure, in the order of tables.

    >>> figures_of({"livenli": ...})[:3]
    (('entropy', None), ('alpha', None), ('js_distance', 'livenli'))
    """
    return (*((name, None) for name in OWN), *((name, source) for name in AGAINST for source in people))


class Votes:
    """Answers as numbers whose sum over participants tells how many chose each label.

    A vote for label k is base^k, and no vote is 0; with fewer than `base` votes on an item, the digits of the sum are
    the label counts.

    Parameters
    ----------
    codes
        (participants, trials, items) label codes 0 .. K - 1; below 0 where there is no valid answer.
    n_labels
        K.
    most
        The most votes that a group can have on one item in one trial.
    """

    def __init__(self, codes: NDArray[np.integer], n_labels: int, most: int) -> None:
        self.base = most + 1
        self.n_labels = n_labels
        if float(self.base) ** n_labels > _EXACT:
            raise InputError(f"{most} participants on {n_labels} labels are more than can be counted in one number")
        self.shape = codes.shape[1:]
        powers = float(self.base) ** np.arange(n_labels)
        votes = np.where(codes >= 0, powers[np.maximum(codes, 0)], 0.0)
        self._votes = votes.reshape(len(codes), -1)

    def of(self, members: NDArray[np.generic]) -> IntArray:
        """Sums of groups: (groups, participants) times each one takes part, to (groups, trials, items)."""
        sums = np.asarray(members, dtype=np.float64) @ self._votes
        return sums.astype(np.int64).reshape(len(members), *self.shape)

    def ways(self, sums: IntArray) -> tuple[IntArray, IntArray]:
        """The different sums as label counts (ways, K), and for each sum the position of its way."""
        size = self.base**self.n_labels
        if size <= _DENSE:
            there = np.zeros(size, dtype=np.bool_)
            there[sums.ravel()] = True
            different, place = np.flatnonzero(there), there.cumsum() - 1
            return self._digits(different), place[sums]
        different, place = np.unique(sums, return_inverse=True)
        return self._digits(different), place.reshape(sums.shape)

    def _digits(self, sums: IntArray) -> IntArray:
        return np.stack([sums // self.base**k % self.base for k in range(self.n_labels)], axis=-1)


@dataclass(frozen=True)
class People:
    """One human population: its different rows of votes, and which of them each item has."""

    p: FloatArray
    """(rows, K) distributions; NaN for a row without votes."""
    row: IntArray
    """(items,) position in `p`."""
    rank: IntArray
    """(rows,) rank of the entropy; -1 where undefined."""

    @classmethod
    def of(cls, counts: IntArray) -> People:
        """Votes (items, K) as a population."""
        rows, row = np.unique(counts, axis=0, return_inverse=True)
        p = probabilities(rows)
        return cls(p, row.ravel(), dense_ranks(entropy(p)))


def evaluate(
    votes: Votes,
    sums: IntArray,
    people: Mapping[str, People],
    labels: Sequence[str],
    items: IntArray | None = None,
    metrics: Collection[str] = METRICS,
) -> Figures:
    """Every figure of every group: per trial, then averaged over the trials where it is defined.

    Parameters
    ----------
    votes
        What made the sums.
    sums
        (groups, trials, items) from `Votes.of`.
    people
        Human populations by source.
    labels
        The K labels, which decide ties of the modal label.
    items
        (groups, items) positions of the items, where each group has items of its own (a resample); those of `people`
        in their order if None.
    metrics
        Names of those that are wanted.

    Returns
    -------
    dict of FloatArray
        (groups,) by figure; NaN where it is undefined in every trial. Entropy in nats, and the units of
        `partynli.metrics.compare`; alpha is Krippendorff's, with participants as raters.
    """
    groups, trials, n_items = sums.shape
    counts, way = votes.ways(sums)
    flat = way.reshape(groups * trials, n_items)
    q = probabilities(counts)
    h = entropy(q)
    found: Figures = {}
    if "entropy" in metrics:
        found["entropy", None] = _looked_up(h, flat)
    if "alpha" in metrics:
        found["alpha", None] = _alpha(counts, flat)
    if "alpha_ordinal" in metrics:
        found["alpha_ordinal", None] = _ordinal_alpha(counts, flat)
    for source, one in people.items():
        row = one.row if items is None else np.repeat(one.row[items], trials, axis=0)
        cell = row * len(counts) + flat
        for name in (*AGAINST, *ORDERED[1:]):
            if name not in metrics:
                continue
            if name == "kendall_tau":
                ranks = np.broadcast_to(one.rank[row], flat.shape)
                found[name, source] = kendall_tau_of_ranks(ranks, dense_ranks(h)[flat])
            else:
                found[name, source] = _looked_up(_TABLES[name](one.p[:, None, :], q, labels), cell)
    return {figure: item_mean(values.reshape(groups, trials)) for figure, values in found.items()}


_TABLES: Mapping[str, Callable[[FloatArray, FloatArray, Sequence[str]], FloatArray]] = {
    "js_distance": lambda p, q, _: js_distance(p, q),
    "kl_pq": lambda p, q, _: kl_divergence(p, q),
    "kl_qp": lambda p, q, _: kl_divergence(q, p),
    "agreement": same_mode,
    "wasserstein": lambda p, q, _: wasserstein(p, q),
}
"""What one item adds to a figure: people (rows, 1, K) and participants (ways, K) to (rows, ways)."""


def _looked_up(table: FloatArray, cell: IntArray) -> FloatArray:
    """Mean over items of looked-up values; items that are NaN are left out."""
    values = np.take(table.ravel(), cell)
    if np.isnan(table).any() or not cell.shape[-1]:
        return item_mean(values)
    mean: FloatArray = values.mean(-1)
    return mean


def _alpha(counts: IntArray, way: IntArray) -> FloatArray:
    """Krippendorff's nominal alpha as `partynli.metrics.krippendorff_alpha` has it, from ways (groups, items)."""
    n_uc, d_u = pairable_units(counts)
    times = _times(counts, way)
    return alpha_of_sums(times @ n_uc, times @ d_u)


def _ordinal_alpha(counts: IntArray, way: IntArray) -> FloatArray:
    """The same for ordered labels, as `partynli.metrics.ordinal_alpha` has it."""
    o_ck = coincidences(counts)
    sums = _times(counts, way) @ o_ck.reshape(len(o_ck), -1)
    return ordinal_alpha_of_sums(sums.reshape(-1, *o_ck.shape[1:]))


def _times(counts: IntArray, way: IntArray) -> FloatArray:
    """How often each way occurs in each group: (groups, items) to (groups, ways)."""
    groups = len(way)
    at = np.arange(groups)[:, None] * len(counts) + way
    return np.bincount(at.ravel(), minlength=groups * len(counts)).reshape(groups, len(counts)).astype(np.float64)


def joined(parts: Sequence[Figures]) -> Figures:
    """Figures of groups that were evaluated part by part."""
    return {figure: np.concatenate([part[figure] for part in parts]) for figure in parts[0]}
