"""Label distributions of items: from votes to shares, and how far two distributions lie apart.

P is the human distribution of an item, Q the model's. Every function takes any leading axes (items, trials, draws),
broadcasts two of them against each other, keeps the labels on the last axis and returns one number an item, in nats.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr, rel_entr

from partynli.errors import InputError
from partynli.metrics._arrays import (
    FloatArray,
    as_codes,
    as_counts,
    as_pair,
    one_hot,
    over_labels,
    same_labels,
)

_RESOLUTION = 1e-15  # a difference of entropies below this is rounding; its square root would show in the eighth digit


def label_counts(codes: ArrayLike, n_labels: int, members: ArrayLike | None = None) -> FloatArray:
    """Count each item's labels, over all raters or over every one of many groups of them.

    Parameters
    ----------
    codes
        (raters, items) label codes 0 .. K - 1; -1 where a rater gave no label.
    n_labels
        K.
    members
        (..., raters): for each group, how often each rater is in it (a boolean mask will do). All raters once if None.

    Returns
    -------
    FloatArray
        (items, K), or (..., items, K) with `members`: numbers of votes. An item without votes is a row of zeros.

    Raises
    ------
    InputError
        If `codes` is no raters x items matrix of codes or `members` does not fit it.

    Examples
    --------
    >>> codes = [[0, 1], [0, -1], [2, 1]]
    >>> label_counts(codes, 3).tolist()
    [[2.0, 0.0, 1.0], [0.0, 2.0, 0.0]]
    >>> label_counts(codes, 3, members=[[True, True, False]]).tolist()
    [[[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]
    """
    x = as_codes(codes, n_labels)
    if x.ndim != 2:
        raise InputError(f"codes must be raters x items, but have shape {x.shape}")
    votes = one_hot(x, n_labels)
    if members is None:
        everyone: FloatArray = votes.sum(0)
        return everyone
    weights = np.asarray(members, dtype=np.float64)
    if weights.ndim == 0 or weights.shape[-1] != len(x):
        raise InputError(f"members of shape {weights.shape} do not name {len(x)} raters on their last axis")
    summed: FloatArray = weights @ votes.reshape(len(x), -1)
    return summed.reshape(*weights.shape[:-1], *votes.shape[1:])


def probabilities(counts: ArrayLike, pseudocount: float = 0.0) -> FloatArray:
    """Turn label counts into distributions: (x_k + a) / (n + K a).

    Parameters
    ----------
    counts
        (..., K) numbers of votes.
    pseudocount
        a, added to every label: 0 gives the shares themselves, 1 is Laplace's rule.

    Returns
    -------
    FloatArray
        (..., K). NaN for an item without votes, whatever the pseudocount: nothing is known of it.

    Raises
    ------
    InputError
        If a count is negative or not finite.

    Examples
    --------
    >>> probabilities([[7, 2, 1], [0, 0, 0]]).tolist()
    [[0.7, 0.2, 0.1], [nan, nan, nan]]
    """
    x = as_counts(counts)
    n = over_labels(np.add, x)
    total = np.where(n > 0, n + pseudocount * x.shape[-1], np.nan)
    return (x + pseudocount) / total[..., None]


def js_divergence(p: ArrayLike, q: ArrayLike) -> FloatArray:
    """Jensen-Shannon divergence, H(M) - (H(P) + H(Q)) / 2 with M = (P + Q) / 2 (Lin 1991).

    Parameters
    ----------
    p, q
        (..., K) distributions; the leading axes broadcast.

    Returns
    -------
    FloatArray
        (...), in nats: 0 to ln 2. NaN where either is undefined.

    Raises
    ------
    InputError
        If a row is no distribution or the shapes do not fit.

    Examples
    --------
    >>> round(float(js_divergence([1, 0, 0], [0, 1, 0])), 4)
    0.6931
    """
    x, y = as_pair(p, q)
    d = over_labels(np.add, entr((x + y) / 2)) - (over_labels(np.add, entr(x)) + over_labels(np.add, entr(y))) / 2
    return np.where(d < _RESOLUTION, 0.0, d)[()]


def js_distance(p: ArrayLike, q: ArrayLike) -> FloatArray:
    """Jensen-Shannon distance, the square root of the divergence (Endres and Schindelin 2003).

    This is `scipy.spatial.distance.jensenshannon` with natural logarithms, and what Kulmizev et al. (2026, table 2)
    print as JS divergence, Chen et al. (2024) and Nie et al. (2020) as JSD.

    Parameters
    ----------
    p, q
        (..., K) distributions; the leading axes broadcast.

    Returns
    -------
    FloatArray
        (...), square root of nats: 0 to sqrt(ln 2) = 0.833. NaN where either is undefined.

    Raises
    ------
    InputError
        If a row is no distribution or the shapes do not fit.

    Examples
    --------
    >>> round(float(js_distance([1, 0, 0], [0, 1, 0])), 4)
    0.8326
    """
    return np.sqrt(js_divergence(p, q))[()]


def kl_divergence(p: ArrayLike, q: ArrayLike, eps: float = 1e-10, clip: Literal["both", "q"] = "both") -> FloatArray:
    """Kullback-Leibler divergence, KL(P || Q) = sum p ln(p / q), of clipped and renormalised distributions.

    It mostly counts the empty cells of Q, each at about p ln(1 / eps): print eps with it, and `kl_laplace` beside it.

    Parameters
    ----------
    p, q
        (..., K) distributions; the leading axes broadcast.
    eps
        Smallest probability that is left standing; 0 allows an infinite result.
    clip
        "both" distributions (Kulmizev et al. 2026, Chen et al. 2024), or only "q" (Nie et al. 2020).

    Returns
    -------
    FloatArray
        (...), in nats. NaN where either is undefined.

    Raises
    ------
    InputError
        If a row is no distribution, the shapes do not fit, or eps is not in [0, 1).

    Examples
    --------
    >>> round(float(kl_divergence([0.5, 0.5, 0.0], [0.25, 0.25, 0.5])), 4)
    0.6931
    >>> [round(float(kl_divergence([0.5, 0.5], [1.0, 0.0], eps=e)), 2) for e in (1e-12, 1e-10)]
    [13.12, 10.82]
    """
    if not 0 <= eps < 1:
        raise InputError(f"eps must lie in [0, 1), but is {eps}")
    if clip not in ("both", "q"):
        raise InputError(f"clip must be 'both' or 'q', but is {clip!r}")
    x, y = as_pair(p, q)
    y = _clipped(y, eps)
    if clip == "both":
        x = _clipped(x, eps)
    if eps == 0 or clip == "q":
        return over_labels(np.add, rel_entr(x, y))[()]
    return over_labels(np.add, x * (np.log(x) - np.log(y)))[()]


def kl_element_mean(p: ArrayLike, q: ArrayLike, eps: float = 1e-10, clip: Literal["both", "q"] = "both") -> FloatArray:
    """KL(P || Q) / K: PyTorch's ``kl_div(log_q, p, reduction="mean")``, a mean over cells and not over items.

    Chen et al. (2024, 2025) print it as KL in their fine-tuning tables: with three labels, a third of `kl_divergence`.

    Parameters
    ----------
    p, q
        (..., K) distributions; the leading axes broadcast.
    eps, clip
        As in `kl_divergence`; PyTorch clips nothing, which is eps = 0.

    Returns
    -------
    FloatArray
        (...), in nats. NaN where either is undefined.

    Raises
    ------
    InputError
        If a row is no distribution, the shapes do not fit, or eps is not in [0, 1).

    Examples
    --------
    >>> p, q = [0.5, 0.5, 0.0], [0.25, 0.25, 0.5]
    >>> round(float(kl_divergence(p, q, eps=0)), 4), round(float(kl_element_mean(p, q, eps=0)), 4)
    (0.6931, 0.231)
    """
    mean: FloatArray = kl_divergence(p, q, eps=eps, clip=clip) / np.shape(p)[-1]
    return mean


def _clipped(p: FloatArray, eps: float) -> FloatArray:
    floored = np.maximum(p, eps)
    return floored / over_labels(np.add, floored)[..., None]


def kl_laplace(p_counts: ArrayLike, q_counts: ArrayLike, pseudocount: float = 1.0) -> FloatArray:
    """KL(P || Q) between distributions that were smoothed with a pseudocount, so that no cell is empty.

    Parameters
    ----------
    p_counts, q_counts
        (..., K) numbers of votes; the leading axes broadcast.
    pseudocount
        Votes added to every label of both (Laplace's 1 by default).

    Returns
    -------
    FloatArray
        (...), in nats, finite. NaN where either has no votes.

    Raises
    ------
    InputError
        If a count is negative, the pseudocount is not above 0, or the shapes do not fit.

    Examples
    --------
    >>> round(float(kl_laplace([5, 5, 0], [10, 0, 0])), 4)
    0.5472
    """
    if not pseudocount > 0:
        raise InputError(f"a pseudocount of {pseudocount} leaves empty cells")
    x, y = probabilities(p_counts, pseudocount), probabilities(q_counts, pseudocount)
    same_labels(x, y)
    return kl_divergence(x, y, eps=0.0)


def total_variation(p: ArrayLike, q: ArrayLike) -> FloatArray:
    """Total variation distance, half the sum of |p - q| (Chen et al. 2024; `dist_ce` in Baan et al. 2022).

    Parameters
    ----------
    p, q
        (..., K) distributions; the leading axes broadcast.

    Returns
    -------
    FloatArray
        (...), a probability: 0 to 1. NaN where either is undefined.

    Raises
    ------
    InputError
        If a row is no distribution or the shapes do not fit.

    Examples
    --------
    >>> round(float(total_variation([0.7, 0.2, 0.1], [0.5, 0.5, 0.0])), 4)
    0.3
    """
    x, y = as_pair(p, q)
    return (over_labels(np.add, np.abs(x - y)) / 2)[()]


def wasserstein(p: ArrayLike, q: ArrayLike) -> FloatArray:
    """Wasserstein-1 distance of two distributions of ordered labels, sum_k |F_P(k) - F_Q(k)| / (K - 1).

    The labels lie at the ranks 0 to K - 1, so that it is the share of the whole scale by which probability has to be
    moved on average (the earth mover's distance, Vaserstein 1969; `scipy.stats.wasserstein_distance` of the ranks,
    over K - 1). It takes neighbouring labels for equally far apart. Reversing the order leaves it as it is; with two
    labels it is the total variation distance.

    Parameters
    ----------
    p, q
        (..., K) distributions, K at least 2, the labels in their order; the leading axes broadcast.

    Returns
    -------
    FloatArray
        (...), 0 (equal) to 1 (from one end of the scale to the other). NaN where either is undefined.

    Raises
    ------
    InputError
        If a row is no distribution, the shapes do not fit, or there is only one label.

    Examples
    --------
    >>> wasserstein([1, 0, 0], [[1, 0, 0], [0, 1, 0], [0, 0, 1]]).tolist()
    [0.0, 0.5, 1.0]
    """
    x, y = as_pair(p, q)
    if x.shape[-1] < 2:
        raise InputError("one label has no order: the Wasserstein distance needs at least two")
    gaps = np.abs(np.cumsum(x - y, axis=-1)[..., :-1])  # the last of them is 0, up to rounding
    distance: FloatArray = over_labels(np.add, gaps) / (x.shape[-1] - 1)
    return distance[()]
