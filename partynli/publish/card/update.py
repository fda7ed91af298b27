"""Generated sections in a card that people write in as well: what stands outside the marks stays as it is.

A section begins and ends with a line of its own, an HTML comment that no reader sees::

    <!-- partynli:begin participants -->
    ...
    <!-- partynli:end participants -->
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from partynli.errors import InputError
from partynli.yamlfile import load_yaml

# as the Hub itself finds it; `huggingface_hub.repocard` has the same
_FRONT = re.compile(r"\A\s*---(?:\r\n|\r|\n)(.*?)(?:\r\n|\r|\n)---[ \t]*(?:\r\n|\r|\n|\Z)", re.DOTALL)
_MARK = re.compile(r"^<!-- partynli:(begin|end) ([a-z-]+) -->[ \t]*\r?$", re.MULTILINE)


class _Section(NamedTuple):
    start: int
    end: int


def read_card(text: str) -> tuple[dict[str, Any], str]:
    """The YAML block and the body of a card.

    Raises
    ------
    InputError
        The YAML block cannot be read.
    """
    match = _FRONT.match(text)
    if match is None:
        return {}, text
    try:
        found = load_yaml(match[1])
    except ValueError as error:
        said = " ".join(str(error).split())[:160]
        raise InputError(f"the YAML block of the existing README.md cannot be read ({said}); mend it first") from None
    if found is not None and not isinstance(found, dict):
        raise InputError("the YAML block of the existing README.md holds no keys; mend it first")
    return found or {}, text[match.end() :]


def write_card(data: Mapping[str, Any], body: str) -> str:
    """A card as text."""
    written = yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=1_000)
    return f"---\n{written}---\n{body}"


def put_sections(sections: Mapping[str, str], old: str | None = None) -> str:
    """The body of a card: each section at its place in the old body, and behind the one before it where it is new.

    Sections of the old body that are not generated any more are taken out.

    Raises
    ------
    InputError
        The marks of the old body do not pair up, so that nobody can tell what was written by hand.

    Examples
    --------
    >>> old = put_sections({"about": "Old."}) + "By hand.\\n"
    >>> print(put_sections({"about": "New."}, old))
    <!-- partynli:begin about -->
    <BLANKLINE>
    New.
    <BLANKLINE>
    <!-- partynli:end about -->
    By hand.
    <BLANKLINE>
    """
    body = old or ""
    there = _sections(body)
    for name in sorted(there, key=lambda one: there[one].start, reverse=True):
        start, end = there[name]
        body = body[:start] + (_marked(name, sections[name]) if name in sections else "") + body[end:]
    there = _sections(body)
    behind = None
    for name, text in sections.items():
        if name not in there:
            at = len(body) if behind is None else _sections(body)[behind].end
            gap = "" if not body[:at] else "\n" if body[:at].endswith("\n") else "\n\n"
            body = body[:at] + gap + _marked(name, text) + body[at:]
        behind = name
    return body


def _marked(name: str, text: str) -> str:
    return f"<!-- partynli:begin {name} -->\n\n{text.strip()}\n\n<!-- partynli:end {name} -->\n"


def _sections(body: str) -> dict[str, _Section]:
    """Where the sections stand, with their marks and the line break behind."""
    found: dict[str, _Section] = {}
    begun: re.Match[str] | None = None
    for mark in _MARK.finditer(body):
        sort, name = mark.groups()
        if (sort == "begin") is (begun is not None) or name in found or (begun and begun[2] != name):
            line = body.count("\n", 0, mark.start()) + 1
            raise InputError(
                f"the existing README.md has the mark {mark[0].strip()!r} in line {line} of its text where none is "
                "expected, so that what was written by hand cannot be told; mend the marks, or take all of them out"
            )
        if begun is None:
            begun = mark
        else:
            found[name] = _Section(begun.start(), min(len(body), mark.end() + 1))
            begun = None
    if begun is not None:
        raise InputError(f"section {begun[2]!r} of the existing README.md begins and does not end; mend its marks")
    return found
