"""Part-of-speech tags of English texts. Needs the extra ``pos``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

# as the Penn Treebank parts words: "doesn't" is "does" and "n't"
_TOKEN = re.compile(r"\w+(?=n't\b)|n't\b|'(?:s|re|ve|ll|d|m)\b|\w+|[^\w\s]+", re.IGNORECASE)


def can_tag() -> bool:
    """Whether the extra ``pos`` is installed."""
    return find_spec("textblob") is not None


def tagged(texts: Sequence[str]) -> list[list[str]]:
    """Penn Treebank tags of each text's words and punctuation.

    By TextBlob's tagger, which carries its word list and rules and downloads nothing. Chen et al. (2025) do not name
    theirs: overlaps of tags compare the rows of one report, not a row with their tables.

    Parameters
    ----------
    texts
        English texts.

    Returns
    -------
    list of list of str
        Tags of each text; none for an empty one.
    """
    find_tags = import_module("textblob.en").parser.find_tags
    return [[tag for _, tag in find_tags(_TOKEN.findall(text.replace("’", "'")))] for text in texts]
