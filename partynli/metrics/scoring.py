"""How well one distribution stands for single votes or for another distribution, in the words of other papers.

P is the human distribution of an item (or its votes), Q the model's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy

from partynli.errors import InputError
from partynli.labels import LABELS
from partynli.metrics._arrays import TIE, FloatArray, as_counts, as_distribution, as_pair, over_labels, same_labels
from partynli.metrics.distribution import probabilities, total_variation
from partynli.metrics.entropy import entropy
from partynli.metrics.summary import item_mean


def brier_score(votes: ArrayLike, q: ArrayLike) -> FloatArray:
    """Brier score per vote: the mean over votes v of sum_k (q_k - [v = k])^2 (Brier 1950).

    Parameters
    ----------
    votes
        (..., K) numbers of human votes.
    q
        (..., K) model distributions; the leading axes broadcast.

    Returns
    -------
    FloatArray
        (...), 0 to 2, lower is better; at its least when Q equals the share of votes. NaN without votes or without Q.

    Raises
    ------
    InputError
        If a row is no distribution, a count is negative, or the shapes do not fit.

    Examples
    --------
    >>> round(float(brier_score([7, 2, 1], [0.7, 0.2, 0.1])), 4)
    0.46
    """
    p, y = _votes_and_model(votes, q)
    return (over_labels(np.add, y * y) - 2 * over_labels(np.add, p * y) + over_labels(np.add, p))[()]


def log_score(votes: ArrayLike, q: ArrayLike) -> FloatArray:
    """Logarithmic score per vote: the mean over votes v of -ln q_v, which is the cross-entropy H(P, Q) (Good 1952).

    Parameters
    ----------
    votes
        (..., K) numbers of human votes.
    q
        (..., K) model distributions; the leading axes broadcast. Smooth them first to keep the score finite.

    Returns
    -------
    FloatArray
        (...), in nats, lower is better; infinite where a vote falls on a label of probability 0. NaN without votes or
        without Q.

    Raises
    ------
    InputError
        If a row is no distribution, a count is negative, or the shapes do not fit.

    Examples
    --------
    >>> [round(s, 4) for s in log_score([[5, 5, 0], [9, 1, 0]], [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]).tolist()]
    [0.6931, inf]
    """
    p, y = _votes_and_model(votes, q)
    log_q = np.asarray(xlogy(p, y), dtype=np.float64)
    return (0.0 - over_labels(np.add, log_q))[()]


def _votes_and_model(votes: ArrayLike, q: ArrayLike) -> tuple[FloatArray, FloatArray]:
    p, y = probabilities(as_counts(votes, "votes")), as_distribution(q, "q")
    same_labels(p, y)
    return p, y


def dist_ce(p: ArrayLike, q: ArrayLike) -> FloatArray:
    """Human distribution calibration error: the total variation distance (Baan et al. 2022).

    Parameters
    ----------
    p, q
        (..., K) distributions; the leading axes broadcast.

    Returns
    -------
    FloatArray
        (...), 0 to 1. NaN where either is undefined.

    Raises
    ------
    InputError
        If a row is no distribution or the shapes do not fit.

    Examples
    --------
    >>> round(float(dist_ce([0.7, 0.2, 0.1], [0.5, 0.5, 0.0])), 4)
    0.3
    """
    return total_variation(p, q)


def ent_ce(p: ArrayLike, q: ArrayLike) -> FloatArray:
    """Human entropy calibration error, H(Q) - H(P) (Baan et al. 2022).

    Parameters
    ----------
    p, q
        (..., K) distributions; the leading axes broadcast.

    Returns
    -------
    FloatArray
        (...), in nats: below 0 where the model is more certain than people. NaN where either is undefined.

    Raises
    ------
    InputError
        If a row is no distribution or the shapes do not fit.

    Examples
    --------
    >>> round(float(ent_ce([0.5, 0.5, 0.0], [1.0, 0.0, 0.0])), 4)
    -0.6931
    """
    x, y = as_pair(p, q)
    return (entropy(y) - entropy(x))[()]


def rank_cs(p: ArrayLike, q: ArrayLike, labels: Sequence[str] = LABELS) -> FloatArray:
    """Human ranking calibration score: 1 where model and people rank the labels alike (Baan et al. 2022).

    Parameters
    ----------
    p, q
        (..., K) distributions; the leading axes broadcast.
    labels
        The K labels in the order of the last axis. Tied labels (within 1e-9) rank alphabetically, as in `modal_label`.

    Returns
    -------
    FloatArray
        (...), 0 or 1; its mean over items is the paper's score. NaN where either is undefined.

    Raises
    ------
    InputError
        If a row is no distribution or the shapes do not fit.

    Examples
    --------
    >>> rank_cs([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1]], [[0.5, 0.4, 0.1], [0.5, 0.1, 0.4]]).tolist()
    [1.0, 0.0]
    """
    x, y = as_pair(p, q)
    if x.shape[-1] != len(labels):
        raise InputError(f"{x.shape[-1]} probabilities an item, but {len(labels)} labels")
    by_name = sorted(range(len(labels)), key=lambda k: labels[k])
    same = np.ones(np.broadcast_shapes(x.shape, y.shape)[:-1], dtype=np.bool_)
    for i, a in enumerate(by_name):
        for b in by_name[i + 1 :]:
            same &= (x[..., a] >= x[..., b] - TIE) == (y[..., a] >= y[..., b] - TIE)
    undefined = np.isnan(over_labels(np.add, x) + over_labels(np.add, y))
    return np.where(undefined, np.nan, same)[()]


def soft_accuracy(p: ArrayLike, q: ArrayLike) -> FloatArray:
    """Soft accuracy, sum_k min(p_k, q_k) = 1 - TVD (Kurniawan et al. 2025).

    Parameters
    ----------
    p, q
        (..., K) distributions; the leading axes broadcast.

    Returns
    -------
    FloatArray
        (...), 0 to 1; its mean over items is the paper's figure. NaN where either is undefined.

    Raises
    ------
    InputError
        If a row is no distribution or the shapes do not fit.

    Examples
    --------
    >>> round(float(soft_accuracy([0.2, 0.8], [0.6, 0.4])), 4)
    0.6
    """
    x, y = as_pair(p, q)
    return over_labels(np.add, np.minimum(x, y))[()]


def soft_f1(p: ArrayLike, q: ArrayLike, average: Literal["macro", "micro"] = "macro") -> FloatArray:
    """Soft F1 of fuzzy sets, 2 sum_i min(p_ik, q_ik) / sum_i (p_ik + q_ik) (Kurniawan et al. 2025).

    Parameters
    ----------
    p, q
        (..., items, K) distributions; the leading axes broadcast.
    average
        "macro": of each label, then the mean over labels; "micro": over all cells at once, which for distributions is
        the mean soft accuracy.

    Returns
    -------
    FloatArray
        (...), 0 to 1, over the items that are defined on both sides. A label that nobody uses is left out of the mean.
        NaN if no item is defined.

    Raises
    ------
    InputError
        If a row is no distribution, the shapes do not fit, or `average` is unknown.

    Examples
    --------
    >>> p, q = [[0.2, 0.8], [0.3, 0.7], [0.3, 0.7], [0.9, 0.1]], [[0.4, 0.6], [0.1, 0.9], [0.7, 0.3], [0.8, 0.2]]
    >>> round(float(soft_f1(p, q)), 4), round((2 * 1.4 / 3.7 + 2 * 1.7 / 4.3) / 2, 4)
    (0.7737, 0.7737)
    """
    if average not in ("macro", "micro"):
        raise InputError(f"average must be 'macro' or 'micro', but is {average!r}")
    x, y = np.broadcast_arrays(*as_pair(p, q))
    defined = ~np.isnan(over_labels(np.add, x + y))[..., None]
    both: FloatArray = np.where(defined, np.minimum(x, y), 0.0).sum(-2)
    either: FloatArray = np.where(defined, x + y, 0.0).sum(-2)
    if average == "micro":
        both, either = both.sum(-1, keepdims=True), either.sum(-1, keepdims=True)
    return item_mean(2 * both / np.where(either > 0, either, np.nan))


def entropy_correlation(p: ArrayLike, q: ArrayLike) -> FloatArray:
    """Pearson correlation of the normalised entropies of model and people over items (Uma et al. 2021).

    Dividing both entropies by ln K does not change it. `kendall_tau` asks the same with ranks alone.

    Parameters
    ----------
    p, q
        (..., items, K) distributions; the leading axes broadcast.

    Returns
    -------
    FloatArray
        (...), -1 to 1, over the items that are defined on both sides. NaN if either side has one entropy throughout.

    Raises
    ------
    InputError
        If a row is no distribution or the shapes do not fit.

    Examples
    --------
    >>> p = [[1.0, 0.0], [0.5, 0.5], [0.9, 0.1]]
    >>> round(float(entropy_correlation(p, p)), 4)
    1.0
    """
    h_p, h_q = np.broadcast_arrays(*(entropy(x) for x in as_pair(p, q)))
    missing = np.isnan(h_p + h_q)
    a, b = (np.where(missing, np.nan, h) for h in (h_p, h_q))
    a, b = (h - item_mean(h)[..., None] for h in (a, b))
    var_a, var_b = item_mean(a * a), item_mean(b * b)
    varies = (var_a > TIE**2) & (var_b > TIE**2)
    r = item_mean(a * b) / np.sqrt(np.where(varies, var_a * var_b, np.nan))
    return np.clip(r, -1.0, 1.0)[()]
