"""Whether two populations choose the same label, and whether raters agree with each other."""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np
from numpy.typing import ArrayLike

from partynli.errors import InputError
from partynli.labels import LABELS
from partynli.metrics._arrays import (
    MISSING,
    TIE,
    FloatArray,
    IntArray,
    as_counts,
    as_distribution,
    over_labels,
    same_labels,
)
from partynli.metrics.distribution import label_counts
from partynli.metrics.summary import item_mean


def modal_label(p: ArrayLike, labels: Sequence[str] = LABELS) -> IntArray:
    """The most probable label of each item; a tie goes to the alphabetically first (Kulmizev et al. 2026, appendix C).

    Parameters
    ----------
    p
        (..., K) distributions.
    labels
        The K labels in the order of the last axis: either < false < true for the default.

    Returns
    -------
    IntArray
        (...), positions in `labels`; -1 where the distribution is undefined. Probabilities within 1e-9 are tied.

    Raises
    ------
    InputError
        If a row is no distribution or has not K labels.

    Examples
    --------
    >>> [LABELS[k] for k in modal_label([[0.6, 0.2, 0.2], [0.4, 0.2, 0.4], [0.4, 0.4, 0.2]])]
    ['true', 'false', 'either']
    """
    x = as_distribution(p)
    if x.shape[-1] != len(labels):
        raise InputError(f"{x.shape[-1]} probabilities an item, but {len(labels)} labels")
    highest = over_labels(np.maximum, x)
    mode = np.full(x.shape[:-1], MISSING, dtype=np.int64)
    for k in sorted(range(len(labels)), key=lambda k: labels[k], reverse=True):
        mode = np.where(x[..., k] >= highest - TIE, k, mode)
    return mode[()]


def agreement(p: ArrayLike, q: ArrayLike, labels: Sequence[str] = LABELS) -> FloatArray:
    """Share of items on which two populations have the same modal label (Kulmizev et al. 2026, appendix C).

    Parameters
    ----------
    p, q
        (..., items, K) distributions; the leading axes broadcast.
    labels
        The K labels in the order of the last axis; they decide ties, see `modal_label`.

    Returns
    -------
    FloatArray
        (...), a share of the items that are defined on both sides. NaN if there is none.

    Raises
    ------
    InputError
        If a row is no distribution or the shapes do not fit.

    Examples
    --------
    >>> float(agreement([[0.6, 0.4, 0.0], [0.5, 0.0, 0.5]], [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    0.5
    """
    same_labels(as_distribution(p, "p"), as_distribution(q, "q"))
    a, b = modal_label(p, labels), modal_label(q, labels)
    return item_mean(np.where((a == MISSING) | (b == MISSING), np.nan, a == b))


def krippendorff_alpha(counts: ArrayLike, distance: ArrayLike | None = None) -> FloatArray:
    """Krippendorff's alpha, 1 - D_o / D_e, from each unit's label counts (Krippendorff 2019, chapter 12).

    A unit is an item. With n_uc raters of unit u on label c, n_u in the unit, n_c on the label, n pairable in all and
    delta the squared difference of two labels: D_o = sum_u sum_ck n_uc n_uk delta_ck / (n_u - 1) and
    D_e = sum_ck n_c n_k delta_ck / (n - 1), both divided by n. Missing labels are in no count; a unit with fewer than
    two labels cannot be paired and is left out.

    Parameters
    ----------
    counts
        (..., items, K) numbers of votes.
    distance
        (K, K) symmetric with a zero diagonal, used as it stands. Nominal (0 or 1) if None; see `set_distances`.

    Returns
    -------
    FloatArray
        (...), at most 1; 0 is chance. NaN where no unit can be paired or only one label occurs.

    Raises
    ------
    InputError
        If `counts` has no items axis, or `distance` is no such matrix.

    Examples
    --------
    Four observers, twelve units (Krippendorff 2011, "Computing Krippendorff's alpha-reliability", section C).

    >>> units = [[3, 0, 0, 0, 0], [0, 3, 1, 0, 0], [0, 0, 4, 0, 0], [0, 0, 4, 0, 0], [0, 4, 0, 0, 0], [1, 1, 1, 1, 0],
    ...          [0, 0, 0, 4, 0], [3, 1, 0, 0, 0], [0, 4, 0, 0, 0], [0, 0, 0, 0, 3], [2, 0, 0, 0, 0], [0, 0, 1, 0, 0]]
    >>> round(float(krippendorff_alpha(units)), 3)
    0.743
    """
    n_uc = as_counts(counts)
    if n_uc.ndim < 2:
        raise InputError(f"counts must be items x labels, but have shape {n_uc.shape}")
    n_u = over_labels(np.add, n_uc)
    pairable = n_u > 1
    n_uc = n_uc * pairable[..., None]
    n_c = n_uc.sum(-2)
    n = over_labels(np.add, n_c)

    if distance is None:
        observed = n_u**2 - over_labels(np.add, n_uc * n_uc)
        expected = n**2 - over_labels(np.add, n_c * n_c)
    else:
        delta = _as_distances(distance, n_uc.shape[-1])
        observed = over_labels(np.add, (n_uc @ delta) * n_uc)
        expected = over_labels(np.add, (n_c @ delta) * n_c)
    d_o = np.where(pairable, observed / np.where(pairable, n_u - 1, 1.0), 0.0).sum(-1)
    d_e = expected / np.where(n > 1, n - 1, np.nan)
    alpha: FloatArray = 1.0 - d_o / np.where(d_e > 0, d_e, np.nan)
    return alpha[()]


def krippendorff_alpha_of_codes(codes: ArrayLike, n_labels: int, distance: ArrayLike | None = None) -> FloatArray:
    """Krippendorff's alpha of a raters x items matrix.

    Parameters
    ----------
    codes
        (raters, items) label codes 0 .. K - 1; -1 where a rater gave no label.
    n_labels
        K.
    distance
        (K, K); nominal if None.

    Returns
    -------
    FloatArray
        A number, at most 1. NaN where no unit can be paired or only one label occurs.

    Raises
    ------
    InputError
        If `codes` is no raters x items matrix of codes, or `distance` does not fit.

    Examples
    --------
    Two observers, ten binary units (Krippendorff 2011, section A).

    >>> meg, owen = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    >>> round(float(krippendorff_alpha_of_codes([meg, owen], 2)), 3)
    0.095
    """
    return krippendorff_alpha(label_counts(codes, n_labels), distance)


def _as_distances(distance: ArrayLike, n_labels: int) -> FloatArray:
    delta = np.asarray(distance, dtype=np.float64)
    if delta.shape != (n_labels, n_labels):
        raise InputError(f"distances of shape {delta.shape} do not fit {n_labels} labels")
    if not (delta >= 0).all() or np.diag(delta).any() or not np.allclose(delta, delta.T, rtol=0, atol=1e-12):
        raise InputError("distances must be symmetric, not negative, and 0 from a label to itself")
    return delta


def jaccard_distance(a: Set[str], b: Set[str]) -> float:
    """Jaccard distance of two sets of labels, 1 - |a and b| / |a or b| (Jaccard 1912).

    Parameters
    ----------
    a, b
        Sets of labels, at least one of them not empty.

    Returns
    -------
    float
        0 (equal) to 1 (disjoint).

    Raises
    ------
    InputError
        If both are empty.

    Examples
    --------
    >>> jaccard_distance({"true"}, {"true", "either"})
    0.5
    """
    if not a | b:
        raise InputError("two empty sets of labels have no distance")
    return 1.0 - len(a & b) / len(a | b)


def masi_distance(a: Set[str], b: Set[str]) -> float:
    """MASI distance, 1 - J M: Jaccard times how far one set contains the other (Passonneau 2006).

    M is 1 for equal sets, 2/3 where one contains the other, 1/3 where they only overlap, 0 where they are disjoint.

    Parameters
    ----------
    a, b
        Sets of labels, at least one of them not empty.

    Returns
    -------
    float
        0 (equal) to 1 (disjoint).

    Raises
    ------
    InputError
        If both are empty.

    Examples
    --------
    >>> round(masi_distance({"true"}, {"true", "either"}), 4)
    0.6667
    """
    monotonicity = 1.0 if a == b else 2 / 3 if a <= b or b <= a else 1 / 3
    return 1.0 - (1.0 - jaccard_distance(a, b)) * monotonicity


SET_DISTANCES = {"jaccard": jaccard_distance, "masi": masi_distance}
"""Distances between sets of labels, by name."""


def set_distances(sets: Sequence[Set[str]], kind: str) -> FloatArray:
    """Distances between all pairs of label sets, for `krippendorff_alpha` on answers of several labels.

    Parameters
    ----------
    sets
        The K sets that the label codes stand for, in their order.
    kind
        "jaccard" or "masi".

    Returns
    -------
    FloatArray
        (K, K), 0 to 1.

    Raises
    ------
    InputError
        If `kind` is unknown.

    Examples
    --------
    >>> set_distances([{"true"}, {"false"}, {"true", "false"}], "jaccard").tolist()
    [[0.0, 1.0, 0.5], [1.0, 0.0, 0.5], [0.5, 0.5, 0.0]]
    """
    if kind not in SET_DISTANCES:
        raise InputError(f"no distance between sets is called {kind!r}; known: {', '.join(SET_DISTANCES)}")
    between = SET_DISTANCES[kind]
    return np.array([[between(a, b) for b in sets] for a in sets], dtype=np.float64)
