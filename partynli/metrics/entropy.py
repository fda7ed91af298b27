"""How spread a label distribution is, and what the number of votes does to it.

Every function takes any leading axes (items, trials, draws), keeps the labels on the last axis and returns one number
an item, in nats.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr, gammaln

from partynli.errors import InputError
from partynli.metrics._arrays import FloatArray, IntArray, as_counts, as_distribution, as_whole_counts, over_labels
from partynli.metrics.distribution import probabilities


def entropy(p: ArrayLike) -> FloatArray:
    """Shannon entropy, H = -sum p ln p (Kulmizev et al. 2026, section 4).

    Parameters
    ----------
    p
        (..., K) distributions.

    Returns
    -------
    FloatArray
        (...), in nats: 0 to ln K. NaN where the distribution is undefined. From few votes it comes out too low:
        see `rarefied_entropy` and `miller_madow_entropy`.

    Raises
    ------
    InputError
        If a row is no distribution.

    Examples
    --------
    >>> [round(h, 4) for h in entropy([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]).tolist()]
    [0.6931, 0.0]
    """
    return over_labels(np.add, entr(as_distribution(p)))[()]


def miller_madow_entropy(counts: ArrayLike) -> FloatArray:
    """Entropy of the votes with the first-order correction of its bias, H + (m - 1) / (2 n) (Miller 1955).

    Parameters
    ----------
    counts
        (..., K) numbers of votes: n in all, on m different labels.

    Returns
    -------
    FloatArray
        (...), in nats; it may pass ln K. NaN for an item without votes.

    Raises
    ------
    InputError
        If a count is negative or not finite.

    Examples
    --------
    >>> round(float(miller_madow_entropy([5, 5, 0])), 4)
    0.7431
    """
    x = as_counts(counts)
    n = over_labels(np.add, x)
    m = over_labels(np.add, (x > 0).astype(np.float64))
    corrected: FloatArray = entropy(probabilities(x)) + (m - 1) / (2 * np.where(n > 0, n, np.nan))
    return corrected[()]


def rarefied_entropy(counts: ArrayLike, n: int = 10) -> FloatArray:
    """Entropy to expect of `n` votes drawn without replacement: the exact hypergeometric mean.

    It sets groups of different size side by side: 100 workers show more of a distribution than 10 do. By linearity,
    E[H] = sum over labels of sum over j of P(J = j) h(j / n), with J hypergeometric and h(t) = -t ln t
    (Hurlbert 1971, for species).

    Parameters
    ----------
    counts
        (..., K) whole numbers of votes, N in all.
    n
        Votes to which every item is brought down.

    Returns
    -------
    FloatArray
        (...), in nats. Equal to `entropy` where N = n. NaN where N < n.

    Raises
    ------
    InputError
        If counts are not whole numbers or n is below 1.

    Examples
    --------
    One vote has no entropy; two out of an even split differ with probability 50 / 99.

    >>> round(float(rarefied_entropy([50, 50, 0], n=1)), 4)
    0.0
    >>> round(float(rarefied_entropy([50, 50, 0], n=2)) / 0.693147, 4), round(50 / 99, 4)
    (0.5051, 0.5051)
    """
    if n < 1:
        raise InputError(f"entropy cannot be rarefied to {n} votes")
    votes = as_whole_counts(counts)
    total = np.broadcast_to(votes.sum(-1, keepdims=True), votes.shape)
    base = int(total.max(initial=0)) + 1
    cells, cell_of = np.unique((votes * base + total).ravel(), return_inverse=True)
    x, size = (part[:, None] for part in np.divmod(cells, base))

    j = np.arange(1, n + 1)
    possible = (j <= x) & (n - j <= size - x)
    log_p = (
        _log_binomial(x, np.minimum(j, x))
        + _log_binomial(size - x, np.clip(n - j, 0, size - x))
        - _log_binomial(size, np.minimum(n, size))
    )
    expected: FloatArray = (np.where(possible, np.exp(log_p), 0.0) * entr(j / n)).sum(-1)
    expected[size[:, 0] < n] = np.nan
    return over_labels(np.add, expected[cell_of].reshape(votes.shape))[()]


def _log_binomial(n: IntArray, k: IntArray) -> FloatArray:
    result: FloatArray = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return result
