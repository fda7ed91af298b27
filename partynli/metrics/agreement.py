"""Whether raters agree with each other: Krippendorff's alpha, on labels, on ordered labels and on sets of labels."""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np
from numpy.typing import ArrayLike

from partynli.errors import InputError
from partynli.metrics._arrays import FloatArray, as_counts, over_labels
from partynli.metrics.distribution import label_counts


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
    delta = None if distance is None else _as_distances(distance, n_uc.shape[-1])
    n_uc, d_u = pairable_units(n_uc, delta)
    return alpha_of_sums(n_uc.sum(-2), d_u.sum(-1), delta)


def pairable_units(counts: ArrayLike, delta: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
    """What each unit adds to alpha, so that weighted sums of units can be put into `alpha_of_sums`.

    Parameters
    ----------
    counts
        (..., items, K) numbers of votes.
    delta
        (K, K) distances; nominal if None.

    Returns
    -------
    tuple of FloatArray
        n_uc (..., items, K), rows of zeros for units that cannot be paired; and each unit's disagreement,
        sum_ck n_uc n_uk delta_ck / (n_u - 1), (..., items).

    Raises
    ------
    InputError
        If a count is negative or not finite.

    Examples
    --------
    >>> n_uc, d_u = pairable_units([[2, 2], [1, 0]])
    >>> n_uc.tolist(), d_u.round(3).tolist()
    ([[2.0, 2.0], [0.0, 0.0]], [2.667, 0.0])
    """
    n_uc = as_counts(counts)
    n_u = over_labels(np.add, n_uc)
    pairable = n_u > 1
    n_uc = n_uc * pairable[..., None]
    return n_uc, _unlike(n_uc, delta) / np.where(pairable, n_u - 1, 1.0)


def alpha_of_sums(n_c: FloatArray, d_o: FloatArray, delta: FloatArray | None = None) -> FloatArray:
    """Alpha from sums over units of what `pairable_units` gives.

    Parameters
    ----------
    n_c
        (..., K) pairable labels.
    d_o
        (...) observed disagreement.
    delta
        (K, K) distances; nominal if None.

    Returns
    -------
    FloatArray
        (...), at most 1. NaN where nothing can be paired or only one label occurs.

    Examples
    --------
    >>> n_uc, d_u = pairable_units([[3, 0], [1, 2]])
    >>> float(alpha_of_sums(n_uc.sum(0), d_u.sum(0))) == float(krippendorff_alpha([[3, 0], [1, 2]]))
    True
    """
    n = over_labels(np.add, n_c)
    d_e = _unlike(n_c, delta) / np.where(n > 1, n - 1, np.nan)
    alpha: FloatArray = 1.0 - d_o / np.where(d_e > 0, d_e, np.nan)
    return alpha[()]


def _unlike(n_c: FloatArray, delta: FloatArray | None) -> FloatArray:
    """Distances between all labels of one count, sum_ck n_c n_k delta_ck: (..., K) to (...)."""
    if delta is None:
        return over_labels(np.add, n_c) ** 2 - over_labels(np.add, n_c * n_c)
    return over_labels(np.add, (n_c @ delta) * n_c)


def ordinal_alpha(counts: ArrayLike) -> FloatArray:
    """Krippendorff's alpha for ordered labels (Krippendorff 2019, chapter 12; 2011, the ordinal metric).

    Two labels lie as far apart as their mean ranks among all pairable labels, squared:
    delta_ck = (n_c / 2 + n_c+1 + ... + n_k-1 + n_k / 2)^2. So alpha rests on the order of the labels and on no
    distances between them, and reversing the order leaves it as it is. With two labels it is the nominal one.

    Parameters
    ----------
    counts
        (..., items, K) numbers of votes; the labels stand in their order.

    Returns
    -------
    FloatArray
        (...), at most 1; 0 is chance. NaN where no unit can be paired or only one label occurs.

    Raises
    ------
    InputError
        If `counts` has no items axis.

    Examples
    --------
    Four observers, twelve units (Krippendorff 2011, "Computing Krippendorff's alpha-reliability", section D).

    >>> units = [[3, 0, 0, 0, 0], [0, 3, 1, 0, 0], [0, 0, 4, 0, 0], [0, 0, 4, 0, 0], [0, 4, 0, 0, 0], [1, 1, 1, 1, 0],
    ...          [0, 0, 0, 4, 0], [3, 1, 0, 0, 0], [0, 4, 0, 0, 0], [0, 0, 0, 0, 3], [2, 0, 0, 0, 0], [0, 0, 1, 0, 0]]
    >>> round(float(ordinal_alpha(units)), 3)
    0.815
    """
    n_uc = as_counts(counts)
    if n_uc.ndim < 2:
        raise InputError(f"counts must be items x labels, but have shape {n_uc.shape}")
    return ordinal_alpha_of_sums(coincidences(n_uc).sum(-3))


def coincidences(counts: ArrayLike) -> FloatArray:
    """What each unit adds to the coincidence matrix, o_ck = n_uc (n_uk - [c = k]) / (n_u - 1).

    Parameters
    ----------
    counts
        (..., items, K) numbers of votes.

    Returns
    -------
    FloatArray
        (..., items, K, K), symmetric; zeros for units that cannot be paired. A row sums to n_uc.

    Raises
    ------
    InputError
        If a count is negative or not finite.

    Examples
    --------
    >>> coincidences([[2, 1], [1, 0]]).tolist()
    [[[1.0, 1.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]
    """
    n_uc = as_counts(counts)
    n_u = over_labels(np.add, n_uc)
    pairs = n_uc[..., :, None] * (n_uc[..., None, :] - np.eye(n_uc.shape[-1]))
    n_u = n_u[..., None, None]
    return np.where(n_u > 1, pairs / np.where(n_u > 1, n_u - 1, 1.0), 0.0)


def ordinal_alpha_of_sums(o_ck: FloatArray) -> FloatArray:
    """Ordinal alpha from coincidence matrices: weighted sums over units of what `coincidences` gives.

    Parameters
    ----------
    o_ck
        (..., K, K).

    Returns
    -------
    FloatArray
        (...), at most 1. NaN where nothing can be paired or only one label occurs.

    Examples
    --------
    >>> units = [[3, 0, 1], [1, 2, 0]]
    >>> float(ordinal_alpha_of_sums(coincidences(units).sum(0))) == float(ordinal_alpha(units))
    True
    """
    n_c = o_ck.sum(-1)
    rank = np.cumsum(n_c, axis=-1) - n_c / 2
    delta = (rank[..., :, None] - rank[..., None, :]) ** 2
    n = over_labels(np.add, n_c)
    d_o = (o_ck * delta).sum((-1, -2))
    d_e = (n_c[..., :, None] * n_c[..., None, :] * delta).sum((-1, -2)) / np.where(n > 1, n - 1, np.nan)
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
