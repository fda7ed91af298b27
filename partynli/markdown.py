"""Foreign text in Markdown: it can end no table, open no block, and be no HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~&!$])")
_LINE = re.compile(r"\r\n|[\r\n\x0b\x0c\x85\u2028\u2029]")


def escape(text: object) -> str:
    """A foreign text in one line, without control characters, markup or HTML.

    >>> escape("a|b\\n<img src=x>")
    'a\\\\|b \\\\<img src=x\\\\>'
    """
    line = "".join(sign if sign.isprintable() else " " for sign in str(text))
    return _MARKUP.sub(r"\\\1", line)


def shorten(text: str, most: int = 120) -> str:
    """A text that is long, without its end."""
    return text if len(text) <= most else text[: most - 3] + "..."


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[int] = ()) -> str:
    """A table whose cells are foreign text; the columns at `numbers` are set to the right.

    >>> print(table(["name", "n"], [["a|b", 2]], numbers=[1]))
    | name | n |
    | --- | ---: |
    | a\\|b | 2 |
    """
    rule = ["---:" if at in numbers else "---" for at in range(len(heads))]
    lines = [heads, rule, *([escape(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code(text: str) -> str:
    """A foreign text as an indented block, to the letter: other than a fence, nothing in it can end it.

    >>> print(code("a\\n```\\n<!-- b -->"))
        a
        ```
        <!-- b -->
    """
    return "\n".join(f"    {_clean(line)}" for line in _LINE.split(text))


def _clean(line: str) -> str:
    return "".join(sign if sign.isprintable() or sign in "\t\u200c\u200d" else "\ufffd" for sign in line)
