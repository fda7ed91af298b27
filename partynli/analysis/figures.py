"""Figures of all rows of one scope at once: the rows' own, and those that set them against one human population."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from partynli.analysis.resamples import Floats, Resamples
from partynli.metrics import (
    Convention,
    distance_correlation_test,
    distinct_labels,
    item_mean,
    item_sd,
    kendall_tau,
    kl_laplace,
    krippendorff_alpha,
    miller_madow_entropy,
    ordinal_alpha,
    percentile_interval,
    probabilities,
    rarefied_entropy,
    same_mode,
    total_variation,
    wasserstein,
)

NAN = float("nan")
RAREFIED_TO = 10
"""Votes to which the entropy of every row is brought down: as many as an item of LiveNLI has workers."""
_TIE = 1e-9

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Figure:
    """One number of a report, and what makes it mean something. NaN where undefined."""

    value: float = NAN
    sd: float = NAN
    """Over items; the mean of the trials' where the value is a mean over trials."""
    low: float = NAN
    high: float = NAN
    """95 % bootstrap interval over items."""
    n: int = 0
    """Items on which it is defined, in at least one trial or for at least one member."""
    ceiling: float = NAN
    """The same figure if the row's votes came from people: two draws of one population at the row's own size."""
    null: float = NAN
    """The same figure with the row's distributions dealt out to the wrong items."""
    p: float = NAN
    """Under shuffling of the items, two-sided for Kendall's tau; for correlations only."""


Figures = dict[str, list[Figure]]
"""Figures of all rows, by name."""


@dataclass(frozen=True)
class Rows:
    """Votes of all rows: each row is one population or, trial by trial, several, whose figures are averaged.

    Attributes
    ----------
    counts
        (C, I, K) votes of C populations; rows of zeros where nobody answered.
    q
        (C, I, K) their distributions; given apart, since null rows have no votes.
    owner
        (C,) row of each population.
    """

    counts: Counts
    q: Floats
    owner: NDArray[np.int64]
    n_rows: int

    @classmethod
    def of(cls, votes: Sequence[Counts], nulls: Sequence[Floats] = ()) -> Rows:
        """Rows of votes (T, I, K) each, and behind them null rows of distributions (I, K) each."""
        counts = [*votes, *(np.zeros((1, *q.shape), dtype=np.int64) for q in nulls)]
        q = np.concatenate([*(probabilities(one) for one in votes), *(one[None] for one in nulls)])
        owner = np.repeat(np.arange(len(counts)), [len(one) for one in counts])
        return cls(np.concatenate(counts), q, owner, len(counts))

    def average(self, values: Floats) -> Floats:
        """Mean over each row's populations where defined: (..., C) to (..., rows)."""
        defined = ~np.isnan(values)
        times = np.add.reduceat(defined, self._starts, axis=-1, dtype=np.float64)
        total = np.add.reduceat(np.where(defined, values, 0.0), self._starts, axis=-1)
        return np.asarray(total / np.where(times > 0, times, np.nan))

    def any(self, marks: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether any of a row's populations is marked: (..., C, I) to (..., rows, I)."""
        return np.logical_or.reduceat(marks, self._starts, axis=-2)

    @property
    def _starts(self) -> NDArray[np.int64]:
        """The first population of each row."""
        return np.searchsorted(self.owner, np.arange(self.n_rows))

    def sizes(self) -> list[int]:
        """Median number of valid answers an item, rounded down, of each row over the items that have any; else 0."""
        n = self.counts.sum(-1)
        of_row = ((one := n[self.owner == row])[one > 0] for row in range(self.n_rows))
        return [int(np.median(known)) if len(known) else 0 for known in of_row]


@dataclass
class Batch:
    """Figures that are worked out together: values, spread and resamples of every population, by name."""

    rows: Rows
    resamples: Resamples
    itemwise: dict[str, Floats] = field(default_factory=dict)
    """(C, I) by name: figures whose value is a mean over items."""
    whole: dict[str, tuple[Floats, Floats, NDArray[np.bool_]]] = field(default_factory=dict)
    """Value (C,), resamples (D, C) and items that count (C, I), by name: figures of all items together."""

    def figures(self) -> Figures:
        """One figure a row by name, averaged over the row's populations; ceiling, null and p are not set yet."""
        rows, found = self.rows, {}
        if self.itemwise:
            values = np.stack(list(self.itemwise.values()))
            resampled = rows.average(self.resamples.means(values))
            n = rows.any(~np.isnan(values)).sum(-1)
            for f, name in enumerate(self.itemwise):
                mean, sd = rows.average(item_mean(values[f])), rows.average(item_sd(values[f]))
                found[name] = _assembled(mean, sd, resampled[:, f], n[f])
        for name, (value, samples, counted) in self.whole.items():
            mean = rows.average(value)
            found[name] = _assembled(mean, np.full_like(mean, NAN), rows.average(samples), rows.any(counted).sum(-1))
        return found


def _assembled(mean: Floats, sd: Floats, samples: Floats, n: NDArray[np.int64]) -> list[Figure]:
    interval = percentile_interval(samples)
    unknown = np.isnan(mean) | (n < 2)  # resamples of one item are all the same, which is no certainty
    low, high = (np.where(unknown, np.nan, bound) for bound in (interval.low, interval.high))
    columns = zip(mean.tolist(), sd.tolist(), low.tolist(), high.tolist(), n.tolist(), strict=True)
    return [Figure(*numbers) for numbers in columns]


def own_figures(rows: Rows, resamples: Resamples, convention: Convention, *, ordered: bool = False) -> Figures:
    """Entropy as it is, corrected and rarefied, and alpha between the raters of each row; ordinal, too, if ordered."""
    batch = Batch(rows, resamples)
    batch.itemwise["entropy"] = np.asarray(convention.entropy(rows.q))
    batch.itemwise["entropy_rarefied"] = np.asarray(rarefied_entropy(rows.counts, RAREFIED_TO)) / convention.nats
    batch.itemwise["entropy_miller_madow"] = np.asarray(miller_madow_entropy(rows.counts)) / convention.nats
    batch.whole["alpha"] = _alphas(rows.counts, resamples)
    if ordered:
        batch.whole["alpha_ordinal"] = _alphas(rows.counts, resamples, ordinal=True)
    return batch.figures()


def alphas_of(pooled: Sequence[Counts], resamples: Resamples, *, ordinal: bool = False) -> tuple[list[Figure], Floats]:
    """Alpha of populations (I, K), and its resamples (D, C)."""
    rows = Rows.of([one[None] for one in pooled])
    whole = _alphas(rows.counts, resamples, ordinal=ordinal)
    return Batch(rows, resamples, whole={"alpha": whole}).figures()["alpha"], whole[1]


def _alphas(counts: Counts, resamples: Resamples, *, ordinal: bool = False) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    value = ordinal_alpha(counts) if ordinal else krippendorff_alpha(counts)
    samples = resamples.ordinal_alphas(counts) if ordinal else resamples.alphas(counts)
    return np.atleast_1d(value), samples, counts.sum(-1) > 1


def averaged(singles: Sequence[Figure], samples: Floats, n: int) -> Figure:
    """Mean of single participants' figures on `n` items in all, with the interval of the mean."""
    value, sd = (float(item_mean([getattr(one, name) for one in singles])) for name in ("value", "sd"))
    if value != value:
        return Figure(n=n)
    if n < 2:
        return Figure(value, sd, n=n)
    interval = percentile_interval(item_mean(samples))
    return Figure(value, sd, float(interval.low), float(interval.high), n)


def consistency_of(pooled: Sequence[Counts], resamples: Resamples) -> tuple[Figures, Floats]:
    """Distinct labels over a participant's trials, share of items without a change, and the first one's resamples."""
    rows = Rows.of([one[None] for one in pooled])
    distinct = np.asarray(distinct_labels(rows.counts))
    always = np.where(np.isnan(distinct), np.nan, distinct == 1)
    batch = Batch(rows, resamples, itemwise={"consistency": distinct, "share_consistent": always})
    return batch.figures(), resamples.means(distinct)


def figures_against(
    rows: Rows,
    people: Counts,
    labels: Sequence[str],
    resamples: Resamples,
    convention: Convention,
    *,
    ordered: bool = False,
) -> Figures:
    """Every figure of the rows against one human population, (I, K) votes; with null and p."""
    p = probabilities(people)
    h_p, h_q = np.asarray(convention.entropy(p)), np.asarray(convention.entropy(rows.q))
    batch = Batch(rows, resamples)
    batch.itemwise = _distances(p, rows.q, labels, convention, ordered)
    votes = rows.counts.sum(-1) > 0
    smooth = np.asarray(kl_laplace(people, rows.counts))
    batch.itemwise["kl_pq_laplace"] = np.where(votes, smooth, np.nan)
    h_q = np.where(np.isnan(h_p), np.nan, h_q)
    batch.whole["kendall_tau"] = (np.atleast_1d(kendall_tau(h_p, h_q)), resamples.taus(h_q, h_p), ~np.isnan(h_q))
    found = batch.figures()
    for name, values in shuffled_means(p, rows, labels, convention, ordered=ordered).items():
        found[name] = [_with(one, null=null) for one, null in zip(found[name], values, strict=True)]
    shuffled = rows.average(resamples.shuffled_taus(h_q, h_p))
    found["kendall_tau"] = [
        _with(one, p=_p_value(one.value, shuffled[:, row]), null=0.0 if one.value == one.value else NAN)
        for row, one in enumerate(found["kendall_tau"])
    ]
    return found


def _distances(p: Floats, q: Floats, labels: Sequence[str], convention: Convention, ordered: bool) -> dict[str, Floats]:
    found = {
        "js_distance": np.asarray(convention.jensen_shannon(p, q)),
        "kl_pq": np.asarray(convention.kl(p, q)),
        "kl_qp": np.asarray(convention.kl(q, p)),
        "tvd": np.asarray(total_variation(p, q)),
        "agreement": same_mode(p, q, labels),
    }
    return found | ({"wasserstein": np.asarray(wasserstein(p, q))} if ordered else {})


def shuffled_means(
    p: Floats, rows: Rows, labels: Sequence[str], convention: Convention, *, ordered: bool = False
) -> dict[str, Floats]:
    """Mean figures if each row's distributions were dealt out to random items: exact, over all ways to deal them out.

    Returns
    -------
    dict of Floats
        (rows,) by name: every item's P meets every item's Q equally often.
    """
    seen = ~np.isnan(p).any(-1)
    q = rows.q[:, seen]
    different_p, times_p = np.unique(p[seen].round(12), axis=0, return_counts=True)
    different_q, which = np.unique(q.reshape(-1, q.shape[-1]).round(12), axis=0, return_inverse=True)
    which = which.reshape(q.shape[:-1]) + len(different_q) * np.arange(len(q))[:, None]
    times_q = np.bincount(which.ravel(), minlength=len(q) * len(different_q)).reshape(len(q), len(different_q))
    real = ~np.isnan(different_q).any(-1)
    times_q, different_q = times_q[:, real].astype(np.float64), different_q[real]
    share_q = times_q / np.where(times_q.sum(1) > 0, times_q.sum(1), np.nan)[:, None]
    share_p = times_p / max(times_p.sum(), 1)
    pairs = _distances(_normal(different_p)[:, None], _normal(different_q)[None], labels, convention, ordered)
    return {name: rows.average(share_q @ (share_p @ values)) for name, values in pairs.items()}


def _normal(p: Floats) -> Floats:
    return np.asarray(p / p.sum(-1, keepdims=True))


def _p_value(value: float, shuffled: Floats) -> float:
    if np.isnan(value):
        return NAN
    return float((1 + (np.abs(shuffled) >= abs(value) - _TIE).sum()) / (len(shuffled) + 1))


def _with(figure: Figure, **changed: float) -> Figure:
    return Figure(**{**figure.__dict__, **{name: float(value) for name, value in changed.items()}})


def with_ceilings(figures: Figures, sizes: Sequence[int], ceilings: Mapping[int, Mapping[str, float]]) -> Figures:
    """The same figures with the ceiling of each row's size, where there is one."""
    return {
        name: [
            _with(one, ceiling=ceilings.get(size, {}).get(name, NAN)) for one, size in zip(column, sizes, strict=True)
        ]
        for name, column in figures.items()
    }


def distance_correlations(
    rows: Rows, people: Counts, convention: Convention, source_of_shuffles: Callable[[], np.random.Generator]
) -> list[Figure]:
    """Distance correlation of the rows with people, as Chen et al. (2024) print it, with a permutation p.

    Every row is given the same shuffles, and so they come from a source of random numbers that is begun anew.
    """
    p = probabilities(people)
    values = np.atleast_1d(np.asarray(convention.distance_correlation(p, rows.q)))
    trials = [rows.q[rows.owner == row] for row in range(rows.n_rows)]
    chances = [distance_correlation_test(p, q, rng=source_of_shuffles(), permutations=199)[1] for q in trials]
    n = rows.any(np.asarray(~np.isnan((rows.q + p).sum(-1)))).sum(-1)
    averages = zip(rows.average(values), chances, n, strict=True)
    return [Figure(value=float(value), p=float(chance), n=int(k)) for value, chance, k in averages]
