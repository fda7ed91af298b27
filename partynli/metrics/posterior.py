"""What the votes on one item can tell: draws from a Dirichlet posterior, and where a model differs beyond sampling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from partynli.errors import InputError
from partynli.metrics._arrays import BoolArray, FloatArray, IntArray, as_counts, as_whole_counts, chunks, same_labels
from partynli.metrics.discovery import benjamini_hochberg
from partynli.metrics.distribution import js_distance, js_divergence, probabilities
from partynli.metrics.entropy import entropy
from partynli.metrics.resample import Interval, percentile_interval

_TIED = 1e-12  # two divergences of the same counts differ by rounding alone


def draw_dirichlet(counts: ArrayLike, *, rng: np.random.Generator, draws: int = 1000, prior: float = 0.5) -> FloatArray:
    """Draw distributions from the posterior Dirichlet(votes + prior) of each item (Gelman et al. 2013, section 3.4).

    Parameters
    ----------
    counts
        (..., K) numbers of votes; an item without votes gives draws from the prior.
    rng
        Source of the draws.
    draws
        Number of draws.
    prior
        Pseudocount of each label (Jeffreys' 1/2 by default).

    Returns
    -------
    FloatArray
        (draws, ..., K) distributions.

    Raises
    ------
    InputError
        If a count is negative or the prior is not above 0.

    Examples
    --------
    >>> p = draw_dirichlet([90, 10, 0], rng=np.random.default_rng(0), draws=2000)
    >>> p.mean(0).round(2).tolist()
    [0.89, 0.1, 0.0]
    """
    if not prior > 0:
        raise InputError(f"a Dirichlet prior must be above 0, but is {prior}")
    x = as_counts(counts) + prior
    gamma = rng.standard_gamma(x, size=(draws, *x.shape))
    p: FloatArray = gamma / gamma.sum(-1, keepdims=True)
    return p


def entropy_interval(
    counts: ArrayLike, *, rng: np.random.Generator, draws: int = 1000, level: float = 0.95, prior: float = 0.5
) -> Interval:
    """Credible interval of the entropy behind votes, from the posterior of `draw_dirichlet`.

    It has a width where all votes agree, too, where a bootstrap has none. For votes of a fixed group, drawn person by
    person, it is too wide rather than too narrow: the votes of a mixture vary at least as much as those drawn from each
    of its parts in turn (Cochran 1977, section 5.6).

    Parameters
    ----------
    counts
        (..., K) numbers of votes.
    rng
        Source of the draws.
    draws
        Number of draws.
    level
        Probability of the interval, which leaves out as much below as above.
    prior
        Pseudocount of each label (Jeffreys' 1/2 by default).

    Returns
    -------
    Interval
        Bounds (...), in nats.

    Raises
    ------
    InputError
        If a count is negative, or the prior or level is out of range.

    Examples
    --------
    >>> ten, fifty = (entropy_interval([n, 0, 0], rng=np.random.default_rng(0)) for n in (10, 50))
    >>> bool(0 < fifty.high - fifty.low < ten.high - ten.low)
    True
    """
    return percentile_interval(entropy(draw_dirichlet(counts, rng=rng, draws=draws, prior=prior)), level)


def draw_votes(n: ArrayLike, p: FloatArray, rng: np.random.Generator) -> IntArray:
    """Draw n votes from each distribution: the multinomial.

    Parameters
    ----------
    n
        Votes to draw; broadcasts against the leading axes.
    p
        (..., K) distributions.
    rng
        Source of the draws.

    Returns
    -------
    IntArray
        (..., K) votes, n in each row.

    Examples
    --------
    >>> draw_votes(3, np.array([[0.0, 1.0], [1.0, 0.0]]), np.random.default_rng(0)).tolist()
    [[0, 3], [3, 0]]
    """
    return np.asarray(rng.multinomial(np.asarray(n, dtype=np.int64), p), dtype=np.int64)


@dataclass(frozen=True)
class ItemDifferences:
    """For each item, whether a model differs from people by more than the few votes on both sides explain."""

    p_value: FloatArray
    """(items,) posterior predictive p of the divergence under one common distribution; NaN without votes."""
    q_value: FloatArray
    """(items,) p adjusted for the number of items (Benjamini and Hochberg 1995)."""
    differs: BoolArray
    """(items,) whether the item is in the list with this false discovery rate."""
    distance: FloatArray
    """(items,) Jensen-Shannon distance of the shares, as observed."""
    distance_mean: FloatArray
    """(items,) posterior mean of the distance between the two distributions behind the votes."""
    distance_low: FloatArray
    distance_high: FloatArray
    """(items,) bounds that hold the distance with probability 0.95."""


def item_differences(
    human: ArrayLike,
    model: ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = 2000,
    prior: float = 0.5,
    false_discovery_rate: float = 0.05,
) -> ItemDifferences:
    """Test, item by item, whether a model's distribution differs from people's beyond sampling.

    If both sides had one distribution, its posterior would be Dirichlet(votes of both + prior). From each draw of it
    two groups of the same sizes are drawn anew; p is the share of draws (the data itself among them) whose
    Jensen-Shannon divergence reaches the observed one: a posterior predictive check (Gelman et al. 2013, section 6.3),
    somewhat conservative, as those are. The false discovery rate over items is held by Benjamini and Hochberg (1995).

    Parameters
    ----------
    human, model
        (items, K) whole numbers of votes.
    rng
        Source of the draws.
    draws
        Number of draws; p cannot fall below 1 / (draws + 1).
    prior
        Pseudocount of each label (Jeffreys' 1/2 by default).
    false_discovery_rate
        Expected share of false alarms among the items listed.

    Returns
    -------
    ItemDifferences
        NaN for items without votes on either side; they are never listed.

    Raises
    ------
    InputError
        If counts are not whole, the shapes do not fit, or the prior is not above 0.

    Examples
    --------
    >>> found = item_differences([[90, 5, 5], [40, 30, 30]], [[1, 19, 0], [8, 6, 6]], rng=np.random.default_rng(0))
    >>> found.differs.tolist()
    [True, False]
    """
    x, y = as_whole_counts(human, "human"), as_whole_counts(model, "model")
    same_labels(x.astype(np.float64), y.astype(np.float64))
    if x.ndim != 2 or x.shape != y.shape:
        raise InputError(f"counts of shapes {x.shape} and {y.shape} are not both items x labels")
    n_x, n_y = x.sum(-1), y.sum(-1)
    voted = (n_x > 0) & (n_y > 0)
    p, q = probabilities(x), probabilities(y)
    observed = js_divergence(p, q)

    reached, distances = np.ones(len(x)), []
    for size in chunks(draws, x.size * 12):
        common = draw_dirichlet(x + y, rng=rng, draws=size, prior=prior)
        again_x, again_y = (probabilities(draw_votes(n, common, rng)) for n in (n_x, n_y))
        reached += (js_divergence(again_x, again_y) >= observed - _TIED).sum(0)
        behind_x, behind_y = (draw_dirichlet(c, rng=rng, draws=size, prior=prior) for c in (x, y))
        distances.append(js_distance(behind_x, behind_y))
    p_value = np.where(voted, reached / (draws + 1), np.nan)
    q_value = benjamini_hochberg(p_value)

    behind = np.concatenate(distances)
    mean, low, high = (
        np.where(voted, bound, np.nan) for bound in (behind.mean(0), *np.quantile(behind, [0.025, 0.975], axis=0))
    )
    return ItemDifferences(p_value, q_value, q_value <= false_discovery_rate, js_distance(p, q), mean, low, high)
