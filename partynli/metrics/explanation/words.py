"""Texts as words, without what they quote from the item."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_WORD = re.compile(r"\w+")
_WORD_OR_SIGNS = re.compile(r"\w+|[^\w\s]+")

Trigram = tuple[str, str, str]


def words(text: str) -> list[str]:
    """Words of a text, in lower case; punctuation is none.

    >>> words("It doesn't rain: it POURS.")
    ['it', 'doesn', 't', 'rain', 'it', 'pours']
    """
    return _WORD.findall(text.lower())


def words_and_signs(text: str) -> list[str]:
    """Words of a text in lower case, and runs of punctuation, as Chen et al. (2025) count them.

    >>> words_and_signs("It rains... (a lot)")
    ['it', 'rains', '...', '(', 'a', 'lot', ')']
    """
    return _WORD_OR_SIGNS.findall(text.lower())


def trigrams(texts: Iterable[Sequence[str]]) -> frozenset[Trigram]:
    """All runs of three words; none crosses from one text to the next.

    Parameters
    ----------
    texts
        Words of each text: an item's premise and its hypothesis.
    """
    return frozenset((a, b, c) for text in texts for a, b, c in zip(text, text[1:], text[2:], strict=False))


def delexicalise(text: Sequence[str], quoted: frozenset[Trigram]) -> list[str]:
    """Drop every word that lies in a quoted run of three (Kulmizev et al. 2026, section 5).

    Parameters
    ----------
    text
        Words of an explanation.
    quoted
        `trigrams` of the item's texts.

    Returns
    -------
    list of str
        The other words, in their order; empty where everything is quoted.

    Examples
    --------
    >>> item = trigrams([words("The men sang in the old house."), words("Men sang.")])
    >>> delexicalise(words("It says the men sang in the house, so men sang."), item)
    ['it', 'says', 'house', 'so', 'men', 'sang']
    """
    # "sang in the" is quoted, "in the house" is not: "the" goes, as it lies in a quoted run
    dropped = set[int]()
    for first, run in enumerate(zip(text, text[1:], text[2:], strict=False)):
        if run in quoted:
            dropped.update((first, first + 1, first + 2))
    return [word for place, word in enumerate(text) if place not in dropped]
