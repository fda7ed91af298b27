"""Products of all pairs within groups, many groups at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from partynli.metrics._arrays import CHUNK, FloatArray, IntArray

Sparse: TypeAlias = csr_matrix
Vectors: TypeAlias = NDArray[np.float32] | NDArray[np.float64] | Sparse
"""(N, d) one row a text, dense or sparse."""
Groups: TypeAlias = Sequence[IntArray]
"""Row numbers of each group; groups may share rows."""


def blocks(groups: Groups, width: int, smallest: int = 2) -> Iterator[tuple[IntArray, IntArray]]:
    """Groups of equal size together, in parts that fit into memory.

    Parameters
    ----------
    groups
        G of them.
    width
        Cells that one row takes (the dense vectors' dimension; 1 for sparse ones).
    smallest
        Groups of fewer rows are left out.

    Yields
    ------
    tuple
        (B,) numbers of the groups and (B, n) their rows.
    """
    sizes = np.array([len(group) for group in groups], dtype=np.int64)
    for n in np.unique(sizes[sizes >= smallest]).tolist():
        alike = np.flatnonzero(sizes == n)
        step = max(1, CHUNK // (n * max(n, width)))
        for start in range(0, len(alike), step):
            part = alike[start : start + step]
            yield part, np.array([groups[number] for number in part], dtype=np.int64)


def width_of(vectors: Vectors) -> int:
    """Cells that a gathered row takes."""
    return 1 if isinstance(vectors, Sparse) else int(vectors.shape[1])


def products(left: Vectors, right: Vectors, rows: IntArray) -> FloatArray:
    """Inner products of all pairs within each group.

    Parameters
    ----------
    left, right
        (N, d) vectors, both dense or both sparse.
    rows
        (B, n) groups.

    Returns
    -------
    numpy.ndarray
        (B, n, n): the i-th row's left vector times the j-th row's right one.
    """
    if isinstance(left, Sparse) and isinstance(right, Sparse):
        return _sparse_products(left, right, rows)
    assert not isinstance(left, Sparse)
    assert not isinstance(right, Sparse)
    return np.asarray(np.matmul(left[rows], right[rows].transpose(0, 2, 1)), dtype=np.float64)


def _sparse_products(left: Sparse, right: Sparse, rows: IntArray) -> FloatArray:
    """One product of block-diagonal matrices: every group gets columns of its own, so that only its own pairs meet."""
    n_groups, n = rows.shape
    a, b = left[rows.ravel()], right[rows.ravel()]
    group = np.repeat(np.arange(n_groups, dtype=np.int64), n)
    columns = [np.repeat(group, np.diff(one.indptr)) * left.shape[1] + one.indices for one in (a, b)]
    kept, numbers = np.unique(np.concatenate(columns), return_inverse=True)
    shape = (len(group), len(kept))
    cut = len(columns[0])
    a = csr_matrix((a.data, numbers[:cut], a.indptr), shape=shape)
    b = csr_matrix((b.data, numbers[cut:], b.indptr), shape=shape)
    met = (a @ b.T).tocoo()
    found = np.zeros((n_groups, n, n))
    found[met.row // n, met.row % n, met.col % n] = met.data
    return found


def over_pairs(square: FloatArray) -> FloatArray:
    """Mean over the pairs of two different members where it is defined: symmetric (B, n, n) to (B,)."""
    i, j = np.triu_indices(square.shape[-1], 1)
    pairs = square[:, i, j]
    defined = ~np.isnan(pairs)
    n = defined.sum(-1)
    mean: FloatArray = np.where(defined, pairs, 0.0).sum(-1) / np.where(n > 0, n, np.nan)
    return mean
