"""How alike the explanations of a set are: n-grams that they share, and similarity of their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from partynli.errors import InputError
from partynli.metrics._arrays import FloatArray
from partynli.metrics.explanation._blocks import Groups, Sparse, Vectors, blocks, over_pairs, products, width_of


class Similarity(NamedTuple):
    """Mean similarity over the pairs of each of G sets; (G,), NaN for sets of fewer than two."""

    cosine: FloatArray
    """Between -1 and 1."""
    euclidean: FloatArray
    """1 / (1 + distance): between 0 and 1."""


def ngram_bags(texts: Sequence[Sequence[str]], longest: int = 3) -> tuple[Sparse, ...]:
    """Count the n-grams of each text.

    Parameters
    ----------
    texts
        N texts as words with punctuation (`words_and_signs`), or as part-of-speech tags.
    longest
        Length of the longest n-grams, at least 1.

    Returns
    -------
    tuple of scipy.sparse.csr_matrix
        Counts (N, V_n) of the n-grams of length 1 to `longest`; a row of zeros for a text that is shorter.

    Examples
    --------
    >>> [bags.sum(axis=1).tolist() for bags in ngram_bags([["it", "rains"], ["so"]], longest=2)]
    [[[2.0], [1.0]], [[1.0], [0.0]]]
    """
    if longest < 1:
        raise InputError(f"n-grams must be of 1 word or more, not {longest}")
    number: dict[str, int] = {}
    word = np.array([number.setdefault(one, len(number)) for text in texts for one in text], dtype=np.int64)
    text = np.repeat(np.arange(len(texts)), [len(one) for one in texts])
    found, gram = [], word
    for n in range(1, longest + 1):
        if n > 1:  # an n-gram is the one before without its last word, and that word
            gram = gram[:-1] * max(1, len(number)) + word[n - 1 :]
        _, gram = np.unique(gram, return_inverse=True)
        whole = text[: len(gram)] == text[n - 1 :]  # none crosses from one text to the next
        shape = (len(texts), int(gram.max(initial=-1)) + 1)
        found.append(csr_matrix((np.ones(int(whole.sum())), (text[: len(gram)][whole], gram[whole])), shape=shape))
    return tuple(found)


def ngram_overlap(counts: Sparse, sets: Groups) -> FloatArray:
    """Share of n-grams that the texts of a set have in common (Chen et al. 2025; Giulianelli et al. 2023).

    Of a pair (a, b): the n-grams of a, each as often as it occurs, that b has, and those of b that a has, over all
    n-grams of both. Then the mean over pairs.

    Parameters
    ----------
    counts
        (N, V) `ngram_bags` of one length.
    sets
        G sets of texts.

    Returns
    -------
    numpy.ndarray
        (G,) shares between 0 and 1. A pair in which neither text is long enough is undefined and left out of its set's
        mean; NaN where no pair is defined.

    Examples
    --------
    >>> counts, *_ = ngram_bags([["it", "rains", "it", "pours"], ["it", "snows"]])
    >>> ngram_overlap(counts, [np.array([0, 1])])
    array([0.5])
    """
    there = csr_matrix((np.ones(counts.nnz), counts.indices, counts.indptr), shape=counts.shape)
    lengths = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    found = np.full(len(sets), np.nan)
    for numbers, rows in blocks(sets, 1):
        found_in = products(counts, there, rows)  # occurrences in the i-th text of what the j-th has
        length = lengths[rows]
        both = length[:, :, None] + length[:, None, :]
        shared = (found_in + found_in.transpose(0, 2, 1)) / np.where(both > 0, both, np.nan)
        found[numbers] = over_pairs(shared)
    return found


def similarity(vectors: Vectors, sets: Groups) -> Similarity:
    """Similarity of the sentence embeddings within a set (Chen et al. 2025).

    The source prints no formula for the Euclidean similarity; 1 / (1 + distance) is the usual one.

    Parameters
    ----------
    vectors
        (N, d) embeddings, dense or sparse.
    sets
        G sets of rows.

    Returns
    -------
    Similarity
        Cosine and Euclidean. NaN where a vector of zeros leaves no pair with a cosine.

    Examples
    --------
    >>> found = similarity(np.array([[1.0, 0.0], [0.0, 1.0]]), [np.array([0, 1])])
    >>> found.cosine, found.euclidean.round(3)
    (array([0.]), array([0.414]))
    """
    found = np.full((2, len(sets)), np.nan)
    exact = vectors if isinstance(vectors, csr_matrix) else np.asarray(vectors, dtype=np.float64)
    for numbers, rows in blocks(sets, width_of(exact)):
        inner = products(exact, exact, rows)
        square = np.diagonal(inner, axis1=1, axis2=2)
        length = np.sqrt(np.where(square > 0, square, np.nan))
        apart = square[:, :, None] + square[:, None, :] - 2.0 * inner
        found[0, numbers] = over_pairs(inner / (length[:, :, None] * length[:, None, :]))
        found[1, numbers] = over_pairs(1.0 / (1.0 + np.sqrt(np.maximum(apart, 0.0))))
    return Similarity(*found)
