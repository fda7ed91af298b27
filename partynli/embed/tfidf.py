"""Tf-idf vectors of the words that are left without quotations."""

from __future__ import annotations

from collections.abc import Sequence

from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer

from partynli.embed.base import Reading


class TfidfEmbedder:
    """Fits scikit-learn's tf-idf, as it is by default, on the texts that it embeds: all that are compared.

    Vectors depend on the other texts of the same call, so none is kept.
    """

    name = "tfidf"
    reading = Reading(delexicalised=True, alone=False)

    def embed(self, texts: Sequence[str]) -> csr_matrix:
        """Embed texts whose words stand between blanks; see `partynli.embed.base.Embedder.embed`.

        Examples
        --------
        >>> TfidfEmbedder().embed(["so it rains", "it snows"]).shape
        (2, 4)
        """
        vectors = TfidfVectorizer(analyzer=str.split).fit_transform(texts)
        return csr_matrix(vectors)
