"""How many participants a group is worth: participants who err alike count for fewer than there are."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from partynli.errors import InputError
from partynli.metrics._arrays import MISSING, FloatArray, as_codes, as_whole_counts, one_hot, over_labels


def pairwise_correlation(codes: ArrayLike, n_labels: int, human_counts: ArrayLike | None = None) -> FloatArray:
    """Correlation of each pair of participants over one-hot labels: raw, or centred item by item on people.

    Raw, participants correlate because items are easy: it is (agreement - 1/K) / (1 - 1/K). Centred on the human
    distribution of each item, what is left is whether two participants stray from people in the same direction; people
    themselves have 0. The human distribution is seen through few votes, too: the sampling variance of its shares,
    (1 - sum p^2) / (n - 1), would pass for correlation and is taken off. Centring on the group's own mean would be no
    use: deviations that sum to 0 fix the mean correlation near -1 / (N - 1), whatever the answers.

    Parameters
    ----------
    codes
        (participants, items) label codes; -1 where there is none.
    n_labels
        K.
    human_counts
        (items, K) whole numbers of human votes to centre on; the raw correlation if None. Items with fewer than two
        votes are left out.

    Returns
    -------
    FloatArray
        (participants, participants), over the items that both labelled. NaN for a pair without such items, and for one
        who never strays from people by more than sampling.

    Raises
    ------
    InputError
        If `codes` is no participants x items matrix of codes, or the human votes do not fit it.

    Examples
    --------
    >>> codes = [[0, 1, 2, 0], [0, 1, 2, 0], [0, 1, 0, 2]]
    >>> pairwise_correlation(codes, 3).round(2).tolist()
    [[1.0, 1.0, 0.25], [1.0, 1.0, 0.25], [0.25, 0.25, 1.0]]
    """
    x = as_codes(codes, n_labels)
    if x.ndim != 2:
        raise InputError(f"codes must be participants x items, but have shape {x.shape}")
    centre, noise = np.full((x.shape[1], n_labels), 1 / n_labels), np.zeros(x.shape[1])
    usable = np.ones(x.shape[1], dtype=np.bool_)
    if human_counts is not None:
        votes = as_whole_counts(human_counts, "human_counts").astype(np.float64)
        if votes.shape != centre.shape:
            raise InputError(f"human_counts of shape {votes.shape} are not the {centre.shape} of the codes")
        n = over_labels(np.add, votes)
        usable = n > 1
        centre = votes / np.where(usable, n, 1.0)[:, None]
        noise = (1 - over_labels(np.add, centre * centre)) / np.where(usable, n - 1, 1.0)
    given = ((x != MISSING) & usable).astype(np.float64)
    strays = ((one_hot(x, n_labels) - centre) * given[..., None]).reshape(len(x), -1)
    common = given @ given.T
    covariance = (strays @ strays.T - (given * noise) @ given.T) / np.where(common > 0, common, np.nan)
    variance = np.diag(covariance)
    scale = np.sqrt(np.where(variance > 0, variance, np.nan))
    correlation: FloatArray = covariance / (scale[:, None] * scale[None, :])
    return correlation


def mean_correlation(correlations: ArrayLike) -> float:
    """Mean correlation over the pairs of different participants.

    Parameters
    ----------
    correlations
        (participants, participants), as `pairwise_correlation` gives; NaN pairs are left out.

    Returns
    -------
    float
        NaN if no pair is defined.

    Raises
    ------
    InputError
        If the matrix is not square.

    Examples
    --------
    >>> round(mean_correlation([[1.0, 0.2, 0.4], [0.2, 1.0, 0.6], [0.4, 0.6, 1.0]]), 4)
    0.4
    """
    r = np.asarray(correlations, dtype=np.float64)
    if r.ndim != 2 or r.shape[0] != r.shape[1]:
        raise InputError(f"correlations of shape {r.shape} are no square matrix")
    pairs = r[np.triu_indices(len(r), 1)]
    pairs = pairs[~np.isnan(pairs)]
    return float(pairs.mean()) if pairs.size else float("nan")


def effective_number(n: int, r: float) -> float:
    """Effective number of participants, N / (1 + (N - 1) r) (Kish 1965).

    Parameters
    ----------
    n
        N, the participants there are.
    r
        Their mean pairwise correlation: 0 makes them N independent ones, 1 makes them one.

    Returns
    -------
    float
        A number of participants; above N where they stray in opposite directions. NaN if r is NaN or not above
        -1 / (N - 1).

    Raises
    ------
    InputError
        If there is no participant.

    Examples
    --------
    >>> effective_number(20, 0.0), effective_number(20, 1.0), round(effective_number(20, 0.5), 2)
    (20.0, 1.0, 1.9)
    """
    if n < 1:
        raise InputError(f"{n} participants have no effective number")
    inflation = 1 + (n - 1) * r
    return n / inflation if inflation > 0 else float("nan")
