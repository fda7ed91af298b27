"""Vectors on a plane, near ones near each other: t-SNE (figures 1 and 11)."""

from __future__ import annotations

from importlib import import_module

import numpy as np
from scipy.sparse import csr_matrix, issparse

from partynli.analysis.lookup import IntArray
from partynli.analysis.resamples import Floats
from partynli.embed import Vectors
from partynli.errors import InputError

FEWEST = 5
"""Points that can be laid out."""
_PERPLEXITY = 30.0
_WIDTH = 50
"""Dimensions that t-SNE is given of many points, fewer than they have (van der Maaten and Hinton 2008)."""
_MANY = 500
_AT_ONCE = 1000


def project(vectors: Vectors, seed: int = 0) -> Floats:
    """Lay vectors out by t-SNE with cosine distances.

    Parameters
    ----------
    vectors
        (N, d), dense or sparse.
    seed
        The same seed gives the same places, on the same kind of machine.

    Returns
    -------
    Floats
        (N, 2) places, whose distances have no unit: near is near, and far says little.

    Raises
    ------
    InputError
        There are fewer than `FEWEST` vectors.
    """
    n, width = vectors.shape
    if n < FEWEST:
        raise InputError(f"t-SNE takes {FEWEST} explanations or more, and there are {n}")
    if n > _MANY and width > _WIDTH:
        svd = import_module("sklearn.decomposition").TruncatedSVD(_WIDTH, random_state=seed)
        vectors = np.asarray(svd.fit_transform(vectors), dtype=np.float32)
    # imported here, since it takes a second that no other figure needs
    tsne = import_module("sklearn.manifold").TSNE(
        perplexity=min(_PERPLEXITY, (n - 1) / 3), metric="cosine", init="random", random_state=seed
    )
    # threads wait for each other here, and may add up in another order
    with import_module("threadpoolctl").threadpool_limits(1):
        return np.asarray(tsne.fit_transform(vectors), dtype=np.float64)


def neighbours_alike(vectors: Vectors, kind: IntArray) -> float:
    """Share of texts whose nearest other text, by cosine similarity, is of the same kind.

    Parameters
    ----------
    vectors
        (N, d), dense or sparse.
    kind
        (N,) codes: the item, or the label.

    Returns
    -------
    float
        0 to 1; NaN with fewer than two texts. Of equally near ones, the first counts.

    Examples
    --------
    >>> neighbours_alike(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]), np.array([0, 0, 1]))
    0.6666666666666666
    """
    n = vectors.shape[0]
    if n < 2:
        return float("nan")
    rows = csr_matrix(vectors) if issparse(vectors) else np.asarray(vectors, dtype=np.float64)
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(1)).ravel() if issparse(rows) else (rows * rows).sum(1))
    scale = 1 / np.where(length > 0, length, 1.0)
    alike = 0
    for start in range(0, n, _AT_ONCE):
        products = rows[start : start + _AT_ONCE] @ rows.T
        near = np.asarray(products.toarray() if issparse(products) else products) * scale
        here = np.arange(len(near))
        near[here, start + here] = -np.inf
        alike += int((kind[near.argmax(1)] == kind[start : start + _AT_ONCE]).sum())
    return float(alike / n)
