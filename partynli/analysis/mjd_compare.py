"""Distributions set beside a reference, as in the tables of Chen et al. (2024, 2025): KL, JSD, TVD and D.Corr."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from partynli.analysis.figures import Counts, Figure
from partynli.analysis.resamples import Floats, Resamples, generator
from partynli.metrics import (
    Convention,
    distance_correlation,
    distance_correlation_test,
    item_mean,
    item_sd,
    percentile_interval,
    probabilities,
    total_variation,
)

Kind = Literal["mjd", "ensemble", "baseline"]
_PERMUTATIONS = 999
_NORMAL = 1.96


@dataclass(frozen=True)
class Distributions:
    """One row: a distribution for each of I items."""

    name: str
    kind: Kind
    p: Floats
    """(I, K); NaN where there is none."""
    votes: int | None = None
    """Median number of answers behind a distribution; None where it is not made of votes."""


@dataclass(frozen=True)
class Compared:
    """A row beside the reference."""

    row: Distributions
    n_items: int
    """On which both are known."""
    kl: Figure
    """KL(reference || row), in nats."""
    jsd: Figure
    tvd: Figure
    distance_correlation: Figure
    unbiased: float
    """Bias-corrected squared distance correlation, which is 0 on average where nothing is shared."""

    @property
    def figures(self) -> Mapping[str, Figure]:
        """The figures by name, in the tables' order."""
        return {"kl": self.kl, "jsd": self.jsd, "tvd": self.tvd, "distance_correlation": self.distance_correlation}


def baselines(people: Mapping[str, Counts], reference: str, shape: tuple[int, ...]) -> list[Distributions]:
    """Rows without a model: uniform, and what other people said of the same items.

    Parameters
    ----------
    people
        (I, K) votes of each human population.
    reference
        The one that rows are compared with, which is no row itself.
    shape
        (I, K).
    """
    rows = [Distributions("uniform", "baseline", np.full(shape, 1 / shape[1]))]
    for source, counts in people.items():
        if source == reference:
            continue
        n, shares = counts.sum(-1), probabilities(counts)
        votes = int(np.median(n[n > 0])) if (n > 0).any() else 0
        if source == "mnli":
            single = np.where(np.isnan(shares), np.nan, np.eye(shape[1])[counts.argmax(-1)])
            rows.append(Distributions("mnli single label", "baseline", single, 1))
        rows.append(Distributions(f"{source} distribution", "baseline", shares, votes))
    return rows


def compare_rows(
    reference: Floats, rows: Sequence[Distributions], convention: Convention, *, draws: int = 1000, seed: int = 0
) -> list[Compared]:
    """Set rows beside a reference.

    Parameters
    ----------
    reference
        (I, K) distributions; NaN where there is none.
    rows
        On the same items.
    convention
        Whose choices.
    draws
        Bootstrap resamples of the items.
    seed
        Of resamples and permutations.
    """
    return [_compared(reference, row, convention, draws, seed) for row in rows]


def _compared(reference: Floats, row: Distributions, convention: Convention, draws: int, seed: int) -> Compared:
    both = ~np.isnan((reference + row.p).sum(-1))
    p, q = reference[both], row.p[both]
    n = int(both.sum())
    if not n:
        return Compared(row, 0, Figure(), Figure(), Figure(), Figure(), float("nan"))
    resamples = Resamples.draw(n, seed=seed, scope="mjd", draws=draws, shuffles=0)
    kl, jsd, tvd = (
        _mean(values, resamples)
        for values in (convention.kl(p, q), convention.jensen_shannon(p, q), total_variation(p, q))
    )
    # a mean over prompts of equal distributions differs from them by rounding, and rounding is no variation
    p, q = p.round(12), q.round(12)
    value = float(convention.distance_correlation(p, q))
    chance = distance_correlation_test(p, q, rng=generator(seed, "mjd", row.name), permutations=_PERMUTATIONS)[1]
    drawn = resampled_correlations(p, q, resamples.weights)
    # an item that is drawn twice lies on itself on both sides, which lifts every resample above the value: only the
    # spread of the resamples is used
    half = _NORMAL * float(np.std(drawn, ddof=1)) if np.isfinite(drawn).all() else float("nan")
    low, high = np.clip([value - half, value + half], 0, 1)
    correlation = Figure(value, low=float(low), high=float(high), n=n, p=float(chance))
    return Compared(row, n, kl, jsd, tvd, correlation, float(distance_correlation(p, q, unbiased=True)))


def _mean(values: Floats, resamples: Resamples) -> Figure:
    n = int((~np.isnan(values)).sum())
    figure = Figure(float(item_mean(values)), sd=float(item_sd(values)), n=n)
    if n < 2:  # resamples of one item are all the same, which is no certainty
        return figure
    interval = percentile_interval(resamples.means(values))
    return replace(figure, low=float(interval.low), high=float(interval.high))


def resampled_correlations(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Distance correlation of resampled items, x and y (I, K), weights (D, I) how often each was drawn: (D,).

    The squared covariance of weighted points is S1 + S2 - 2 S3, with S1 = w' (a b) w / n2, S2 = w' a w  w' b w / n4 and
    S3 = w' (a w) (b w) / n3 for distances a and b (Székely, Rizzo and Bakirov 2007, theorem 1). NaN where a sample does
    not vary.
    """
    w = weights / weights.sum(-1, keepdims=True)
    a, b = (np.sqrt(((z[:, None] - z[None]) ** 2).sum(-1)) for z in (x, y))
    to_a, to_b = w @ a, w @ b

    def covariance(u: Floats, v: Floats, to_u: Floats, to_v: Floats) -> Floats:
        s1 = ((w @ (u * v)) * w).sum(-1)
        s2 = (to_u * w).sum(-1) * (to_v * w).sum(-1)
        return np.asarray(s1 + s2 - 2 * (to_u * to_v * w).sum(-1))

    variance = covariance(a, a, to_a, to_a) * covariance(b, b, to_b, to_b)
    square = covariance(a, b, to_a, to_b) / np.sqrt(np.where(variance > 0, variance, np.nan))
    return np.asarray(np.sqrt(np.maximum(square, 0.0)))
