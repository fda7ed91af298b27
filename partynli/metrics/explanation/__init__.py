"""Metrics of explanation variation: texts and vectors in, numbers out.

Texts come as lists of words, vectors as rows of a matrix, dense or sparse; a *group* is an array of row numbers. All
groups are computed at once. What is undefined is NaN, never 0. These names are not among those of `partynli.metrics`,
which loads no sparse matrices.

Artur Kulmizev, Erika Lombart, Patrick Watrin and Marie-Catherine de Marneffe. 2026. Label and Explanation Variation in
LLM-Based Annotation, section 5 (lexical and vector measures). Beiduo Chen et al. 2025 (n-gram overlap and similarity
within a set).
"""

from partynli.metrics.explanation.bags import (
    bags_of,
    jaccard_by_text,
    jaccard_of_groups,
    rarefied_vocabulary,
    vocabulary_size,
)
from partynli.metrics.explanation.dispersion import Dispersion, RarefiedDispersion, dispersion, rarefied_dispersion
from partynli.metrics.explanation.overlap import Similarity, ngram_bags, ngram_overlap, similarity
from partynli.metrics.explanation.words import delexicalise, trigrams, words, words_and_signs

__all__ = [
    "Dispersion",
    "RarefiedDispersion",
    "Similarity",
    "bags_of",
    "delexicalise",
    "dispersion",
    "jaccard_by_text",
    "jaccard_of_groups",
    "ngram_bags",
    "ngram_overlap",
    "rarefied_dispersion",
    "rarefied_vocabulary",
    "similarity",
    "trigrams",
    "vocabulary_size",
    "words",
    "words_and_signs",
]
