"""What turns texts into vectors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Vectors: TypeAlias = NDArray[np.float32] | csr_matrix
"""(N, d) one row a text, dense or sparse."""

E5 = re.compile(r"(^|[-_])e5([-_.]|$)", re.IGNORECASE)
"""In the last part of a model's name: the E5 family, which was trained with a word before each text."""
E5_PREFIX = "query: "


@dataclass(frozen=True, slots=True)
class Reading:
    """What an embedder is given of an explanation, and what is done with its vectors.

    Kulmizev et al. (2026, section 5) take out what belongs to the item and not to the explanation in two ways: the
    words that are quoted from it (tf-idf), or the item's own vector (E5).
    """

    delexicalised: bool = False
    """The words that are left without quotations, instead of the text as it was written."""
    minus_item: bool = False
    """The vector of the item's texts is subtracted."""
    alone: bool = True
    """A text's vector is the same whatever else is embedded with it, so that it can be kept."""


class Embedder(Protocol):
    """A model of texts."""

    @property
    def name(self) -> str:
        """What its vectors are kept under: all that they depend on."""

    @property
    def reading(self) -> Reading:
        """What it is given."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts.

        Parameters
        ----------
        texts
            N texts, none empty.

        Returns
        -------
        numpy.ndarray or scipy.sparse.csr_matrix
            (N, d), dense in single or sparse in double precision, of any length.

        Raises
        ------
        InputError
            The model cannot be had, or gave no vectors.
        """


def title_of(embedder: Embedder) -> str:
    """How tables name an embedder, and what is done with its vectors."""
    return f"{embedder.name} minus item" if embedder.reading.minus_item else embedder.name


def prefixed(model: str, texts: Sequence[str]) -> list[str]:
    """Texts as a model wants them: E5 models after ``query:``, all others as they are.

    >>> prefixed("intfloat/multilingual-e5-large", ["It rains."]), prefixed("all-MiniLM-L6-v2", ["It rains."])
    (['query: It rains.'], ['It rains.'])
    """
    is_e5 = E5.search(model.rpartition("/")[2])
    return [E5_PREFIX + text for text in texts] if is_e5 else list(texts)
