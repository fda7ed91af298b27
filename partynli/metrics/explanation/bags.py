"""Bags of words: vocabulary, and how much of it two texts share."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import chain

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import gammaln

from partynli.errors import InputError
from partynli.metrics._arrays import FloatArray, IntArray
from partynli.metrics.explanation._blocks import Groups, Sparse, blocks, over_pairs, products


def bags_of(texts: Iterable[Sequence[Hashable]]) -> Sparse:
    """Count what occurs in each text.

    Parameters
    ----------
    texts
        Words (or n-grams, or tags) of each of N texts.

    Returns
    -------
    scipy.sparse.csr_matrix
        (N, V) counts; a row of zeros for an empty text.

    Examples
    --------
    >>> bags_of([["a", "b", "a"], [], ["b"]]).toarray()
    array([[2., 1.],
           [0., 0.],
           [0., 1.]])
    """
    number: dict[Hashable, int] = {}
    rows = [[number.setdefault(word, len(number)) for word in text] for text in texts]
    ends = np.cumsum([0, *map(len, rows)])
    columns = np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=int(ends[-1]))
    bags = csr_matrix((np.ones(len(columns)), columns, ends), shape=(len(rows), len(number)))
    bags.sum_duplicates()
    return bags


def vocabulary_size(bags: Sparse) -> FloatArray:
    """Number of different words of each text (V in Kulmizev et al. 2026, section 5).

    Returns
    -------
    numpy.ndarray
        (N,) numbers of words; NaN for an empty text.
    """
    n = np.diff(bags.indptr).astype(np.float64)
    return np.where(n > 0, n, np.nan)


def jaccard_by_text(
    bags: Sparse, groups: Groups, writer: IntArray | None = None
) -> tuple[IntArray, IntArray, FloatArray]:
    """Mean Jaccard similarity of each text to the others of its group (JAC in Kulmizev et al. 2026, section 5).

    Higher is *less* varied, and it grows with the length of the texts.

    Parameters
    ----------
    bags
        (N, V) `bags_of` the texts; how often a word occurs in one does not matter.
    groups
        G groups of texts, of two or more; smaller ones are passed over.
    writer
        (N,) who wrote each text; a writer's texts are not compared with each other. None where each has its own.

    Returns
    -------
    tuple
        Of every member of every group, M of them: (M,) number of the group, (M,) row of the text, (M,) its mean
        similarity to the others, between 0 and 1. NaN for an empty text, which no other is compared with either.

    Examples
    --------
    >>> bags = bags_of([["a", "b"], ["b", "c"], ["a", "b"]])
    >>> jaccard_by_text(bags, [np.array([0, 1, 2])])[2].round(3)
    array([0.667, 0.333, 0.667])
    """
    found: list[tuple[IntArray, IntArray, FloatArray]] = []
    for numbers, rows, similar in _jaccard_blocks(bags, groups, writer):
        others = ~np.eye(rows.shape[1], dtype=bool) & ~np.isnan(similar)
        n = others.sum(-1)
        means = np.where(others, similar, 0.0).sum(-1) / np.where(n > 0, n, np.nan)
        found.append((np.repeat(numbers, rows.shape[1]), rows.ravel(), means.ravel()))
    if not found:
        nothing = np.zeros(0, dtype=np.int64)
        return nothing, nothing, np.zeros(0)
    group, row, mean = zip(*found, strict=True)
    return np.concatenate(group), np.concatenate(row), np.concatenate(mean)


def jaccard_of_groups(bags: Sparse, groups: Groups, writer: IntArray | None = None) -> FloatArray:
    """Mean Jaccard similarity over the pairs of each group; parameters as of `jaccard_by_text`.

    Returns
    -------
    numpy.ndarray
        (G,) between 0 and 1. NaN for groups without a pair of texts that are not empty.

    Examples
    --------
    >>> jaccard_of_groups(bags_of([["a", "b"], ["b", "c"], ["a"]]), [np.array([0, 1]), np.array([2])]).round(3)
    array([0.333,   nan])
    """
    found = np.full(len(groups), np.nan)
    for numbers, _, similar in _jaccard_blocks(bags, groups, writer):
        found[numbers] = over_pairs(similar)
    return found


def _jaccard_blocks(
    bags: Sparse, groups: Groups, writer: IntArray | None
) -> Iterable[tuple[IntArray, IntArray, FloatArray]]:
    sets = csr_matrix((np.ones(bags.nnz), bags.indices, bags.indptr), shape=bags.shape)
    sizes = np.diff(bags.indptr).astype(np.float64)
    for numbers, rows in blocks(groups, 1):
        shared = products(sets, sets, rows)
        n = np.where(sizes > 0, sizes, np.nan)[rows]
        similar = shared / (n[:, :, None] + n[:, None, :] - shared)
        if writer is not None:
            own = writer[rows]
            similar[own[:, :, None] == own[:, None, :]] = np.nan
        yield numbers, rows, similar


def rarefied_vocabulary(bags: Sparse, groups: Groups, size: int) -> FloatArray:
    """Expected number of different words in `size` texts drawn from each group without replacement.

    A group's vocabulary grows with its texts; at a common size groups can be compared. Exact: a word that stands in f
    of n texts is missed with the hypergeometric probability C(n - f, size) / C(n, size) (Hurlbert 1971, for species).

    Parameters
    ----------
    bags
        (N, V) `bags_of` the texts.
    groups
        G groups of texts.
    size
        Number of texts, at least 1.

    Returns
    -------
    numpy.ndarray
        (G,) numbers of words; NaN for groups of fewer than `size` texts.

    Examples
    --------
    >>> rarefied_vocabulary(bags_of([["a", "b"], ["a", "c"], ["a"]]), [np.array([0, 1, 2])], size=2).round(3)
    array([2.333])
    """
    if size < 1:
        raise InputError(f"texts to draw must be 1 or more, not {size}")
    n = np.array([len(group) for group in groups], dtype=np.int64)
    members = np.concatenate([*groups, np.zeros(0, dtype=np.int64)])
    belongs = csr_matrix(
        (np.ones(len(members)), members, np.concatenate([[0], np.cumsum(n)])), shape=(len(groups), bags.shape[0])
    )
    sets = csr_matrix((np.ones(bags.nnz), bags.indices, bags.indptr), shape=bags.shape)
    of_words = (belongs @ sets).tocsr()  # in how many of the group's texts each word stands
    with_word = of_words.data
    total = np.repeat(n, np.diff(of_words.indptr)).astype(np.float64)
    without = total - with_word
    seldom = without >= size
    missed = np.zeros(len(with_word))
    missed[seldom] = np.exp(_log_choose(without[seldom], size) - _log_choose(total[seldom], size))
    of_words.data = 1.0 - missed
    expected = np.asarray(of_words.sum(axis=1), dtype=np.float64).ravel()
    return np.where(n >= size, expected, np.nan)


def _log_choose(n: FloatArray, k: int) -> FloatArray:
    found: FloatArray = gammaln(n + 1.0) - gammaln(n - k + 1.0)  # the k! of both sides falls out
    return found
