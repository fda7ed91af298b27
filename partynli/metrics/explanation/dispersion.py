"""How far apart the explanations of a group lie: D_pair, D_cent, D_max, and all that at a common size."""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
from scipy.sparse import diags

from partynli.errors import InputError
from partynli.metrics._arrays import FloatArray, IntArray
from partynli.metrics.explanation._blocks import Groups, Sparse, Vectors, blocks, products, width_of


class Dispersion(NamedTuple):
    """Cosine distances within G groups; each (G,), between 0 and 2, NaN for groups of fewer than two."""

    d_pair: FloatArray
    """Mean over pairs; the only one that does not grow with the group."""
    d_cent: FloatArray
    """Mean distance to the centroid."""
    d_max: FloatArray
    """Largest distance of a pair (the diameter)."""


class RarefiedDispersion(NamedTuple):
    """The same of `size` explanations drawn from each group; (G,), NaN for groups of fewer than `size`."""

    d_cent: FloatArray
    d_max: FloatArray


def dispersion(vectors: Vectors, groups: Groups) -> Dispersion:
    """Distances within groups (Kulmizev et al. 2026, section 5).

    With unit vectors u_1 .. u_n, s = u_1 + ... + u_n and the centroid s / n, the figures follow from the products
    u_i u_j alone: D_pair = 1 - (s s - n) / (n (n - 1)), D_cent = 1 - |s| / n, D_max = 1 - min u_i u_j. The centroid is
    that of the unit vectors, so that an explanation's direction counts and its vector's length does not.

    Parameters
    ----------
    vectors
        (N, d) dense or sparse, of any length. A vector of zeros has no direction: its groups are NaN.
    groups
        G groups of rows.

    Returns
    -------
    Dispersion
        D_pair, D_cent, D_max.

    Examples
    --------
    >>> vectors = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
    >>> found = dispersion(vectors, [np.array([0, 1]), np.array([0, 2]), np.array([1])])
    >>> found.d_pair, found.d_cent.round(3), found.d_max
    (array([ 1.,  0., nan]), array([0.293, 0.   ,   nan]), array([ 1.,  0., nan]))
    """
    units = _units(vectors)
    found = np.full((3, len(groups)), np.nan)
    for numbers, rows in blocks(groups, width_of(units)):
        cosines = _cosines(units, rows)
        n = rows.shape[1]
        total = cosines.sum((1, 2))
        found[0, numbers] = 1.0 - (total - n) / (n * (n - 1))
        found[1, numbers] = _to_centroid(total, n)
        found[2, numbers] = _diameter(cosines)
    return Dispersion(*_without_noise(found))


def rarefied_dispersion(
    vectors: Vectors, groups: Groups, size: int, seed: int = 0, draws: int = 64
) -> RarefiedDispersion:
    """D_cent and D_max of `size` explanations drawn from each group without replacement, averaged over draws.

    Both grow with the number of explanations; at a common size ten people and twenty models can be compared. Where
    there are no more than `draws` different subsets, all of them are taken and the value is exact.

    Parameters
    ----------
    vectors
        (N, d) dense or sparse.
    groups
        G groups of rows.
    size
        Explanations in a draw, at least 2.
    seed, draws
        Of the draws. Groups of the same size are drawn from alike, so that no group's value depends on which others
        are computed with it.

    Returns
    -------
    RarefiedDispersion
        D_cent and D_max at that size.

    Examples
    --------
    >>> vectors = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
    >>> rarefied_dispersion(vectors, [np.array([0, 1, 2])], size=2).d_max.round(3)
    array([0.667])
    """
    if size < 2:
        raise InputError(f"explanations to draw must be 2 or more, not {size}")
    units = _units(vectors)
    found = np.full((2, len(groups)), np.nan)
    for numbers, rows in blocks(groups, max(width_of(units), draws * size * size), smallest=size):
        cosines = _cosines(units, rows)
        chosen = _subsets(rows.shape[1], size, draws, seed)
        drawn = cosines[:, chosen[:, :, None], chosen[:, None, :]]
        found[0, numbers] = _to_centroid(drawn.sum((-1, -2)), size).mean(-1)
        found[1, numbers] = _diameter(drawn).mean(-1)
    return RarefiedDispersion(*_without_noise(found))


def _subsets(n: int, size: int, draws: int, seed: int) -> IntArray:
    """Members of a group of n that are drawn: (draws, size), or all subsets where there are no more."""
    if comb(n, size) <= draws:
        return np.array(list(combinations(range(n), size)), dtype=np.int64)
    order = np.random.default_rng([seed, n]).random((draws, n)).argsort(axis=1)
    return np.asarray(order[:, :size], dtype=np.int64)


def _units(vectors: Vectors) -> Vectors:
    """Rows of length 1, in double precision; a row of zeros stays one, or becomes one of NaN."""
    if isinstance(vectors, Sparse):
        lengths = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1), dtype=np.float64).ravel())
        return Sparse(diags(1.0 / np.where(lengths > 0, lengths, 1.0)) @ vectors)
    dense = np.asarray(vectors, dtype=np.float64)
    norm = np.linalg.norm(dense, axis=1, keepdims=True)
    return np.asarray(dense / np.where(norm > 0, norm, np.nan))


def _cosines(units: Vectors, rows: IntArray) -> FloatArray:
    """Cosines of all pairs of each group; NaN in the groups of a vector that has no direction."""
    cosines = products(units, units, rows)
    own = np.diagonal(cosines, axis1=1, axis2=2)
    cosines[~(own > 0.5).all(1)] = np.nan
    return cosines


def _to_centroid(total: FloatArray, n: int) -> FloatArray:
    distance: FloatArray = 1.0 - np.sqrt(np.maximum(total, 0.0)) / n
    return distance


def _diameter(cosines: FloatArray) -> FloatArray:
    """Largest distance of a pair of different members: (..., n, n) to (...)."""
    i, j = np.triu_indices(cosines.shape[-1], 1)
    largest: FloatArray = 1.0 - cosines[..., i, j].min(-1)
    return largest


def _without_noise(distances: FloatArray) -> FloatArray:
    """No distance below 0, as rounding leaves between equal texts."""
    return np.maximum(distances, 0.0)
