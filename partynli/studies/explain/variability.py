"""How much the explanations of an item differ from each other (Chen et al. 2025): less alike is more varied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from partynli.embed import Embedder
from partynli.embed.tags import can_tag, tagged
from partynli.metrics.explanation import ngram_bags, ngram_overlap, similarity, words_and_signs

NAN = float("nan")
_LONGEST = 3


@dataclass(frozen=True)
class Variability:
    """Means over items; high values are sets of explanations that are alike.

    Attributes
    ----------
    n_sets, n_single
        Items with two explanations or more, and those with one, which are in no figure.
    words, tags
        Share of n-grams in common, n = 1, 2, 3: of words with punctuation, of part-of-speech tags (NaN without the
        extra ``pos``).
    n_words, n_tags
        Items in each of these: those with a text of n words or more.
    cosine, euclidean
        Of sentence embeddings, the latter 1 / (1 + distance); NaN without an embedder.
    """

    n_sets: int
    n_single: int
    words: tuple[float, ...]
    tags: tuple[float, ...]
    n_words: tuple[int, ...]
    n_tags: tuple[int, ...]
    cosine: float = NAN
    euclidean: float = NAN


def variability(of_item: Mapping[str, Sequence[str]], embedder: Embedder | None = None) -> Variability:
    """Measure sets of explanations, whatever their labels.

    Parameters
    ----------
    of_item
        Explanations by item.
    embedder
        Of sentences, or None.

    Examples
    --------
    >>> variability({"1": ["It rains.", "It snows."], "2": ["Yes."]}).words
    (0.6666666666666666, 0.0, 0.0)
    """
    sets = [list(texts) for texts in of_item.values() if len(texts) > 1]
    texts = [text for one in sets for text in one]
    ends = np.cumsum([0, *(len(one) for one in sets)])
    groups = [np.arange(start, end) for start, end in pairwise(ends)]
    tags, n_tags = _overlaps(tagged(texts), groups) if can_tag() else ((NAN,) * _LONGEST, (0,) * _LONGEST)
    cosine = euclidean = NAN
    if embedder is not None and texts:
        found = similarity(embedder.embed(texts), groups)
        cosine, euclidean = _mean(found.cosine), _mean(found.euclidean)
    words, n_words = _overlaps([words_and_signs(text) for text in texts], groups)
    return Variability(len(sets), len(of_item) - len(sets), words, tags, n_words, n_tags, cosine, euclidean)


def _overlaps(
    texts: Sequence[Sequence[str]], groups: Sequence[NDArray[np.int64]]
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    found = [ngram_overlap(counts, groups) for counts in ngram_bags(texts, _LONGEST)]
    return tuple(map(_mean, found)), tuple(int((~np.isnan(values)).sum()) for values in found)


def _mean(values: NDArray[np.float64]) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else NAN
