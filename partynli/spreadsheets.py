"""Foreign text in cells that a spreadsheet may open: none is run as a formula."""

from __future__ import annotations

import re

# some spreadsheets trim what stands before, and some take the wide signs of East Asian keyboards for the narrow ones
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")


def is_formula(text: str) -> bool:
    """Whether a spreadsheet could take a text for a formula.

    >>> is_formula("=1+1"), is_formula("\uff1d1+1"), is_formula("1+1")
    (True, True, False)
    """
    return _FORMULA.match(text) is not None


def spreadsheet_safe(text: str) -> str:
    """A text that a spreadsheet takes for a text: an apostrophe stands before it where it could be a formula.

    >>> spreadsheet_safe("=1+1"), spreadsheet_safe("It rains.")
    ("'=1+1", 'It rains.')
    """
    return f"'{text}" if is_formula(text) else text


def unshielded(text: str) -> str:
    """The text that `spreadsheet_safe` was given.

    >>> unshielded("'=1+1"), unshielded("'tis")
    ('=1+1', "'tis")
    """
    return text[1:] if text.startswith("'") and is_formula(text[1:]) else text
