"""The kinds of reasoning that people found in LiveNLI's explanations (LiTEx, Hong et al. 2025)."""

from __future__ import annotations

import json

from partynli.errors import ItemsError
from partynli.items.download import fetch
from partynli.items.litex import FILES
from partynli.labels import REASONS

Codes = dict[str, dict[str, frozenset[str]]]
"""By item and text (see `squeezed`): its categories; several where the coders saw more than one, or disagreed."""


def load_codes() -> Codes:
    """Categories of explanations, from ``PARTYNLI_DATA``, the cache, or their public home.

    The file does not say who wrote a text; some texts are parts of an explanation. One that was coded in several rows
    has the categories of all of them; one that was left without any is left out.

    Raises
    ------
    ItemsError
        The file cannot be had, or is not the expected one.
    """
    codes: Codes = {}
    for number, line in enumerate(fetch(FILES[0]).decode().splitlines(), start=1):
        row = json.loads(line)
        found = frozenset(row["explanation_category"])
        if unknown := found.difference(REASONS):
            raise ItemsError(f"{FILES[0].path}: line {number} has the unknown category {min(unknown)!r}")
        if found:
            of_item = codes.setdefault(row["pairID"], {})
            text = squeezed(row["explanation"])
            of_item[text] = of_item.get(text, frozenset()) | found
    return codes


def squeezed(text: str) -> str:
    """A text with every stretch of white space as one blank: LiTEx and LiveNLI differ in nothing else.

    >>> squeezed(" It  rains.\\n")
    'It rains.'
    """
    return " ".join(text.split())
