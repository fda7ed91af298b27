"""What the rows of every kind of file have in common, and how what is wrong with one is said."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


class Wrong(Exception):
    """What is wrong with a value, and what to do."""


class At(Wrong):
    """The same, at a line or row."""

    def __init__(self, line: int, message: object) -> None:
        super().__init__(message)
        self.line = line


class Number(str):
    """A number, kept as it is written: right for a uid, wrong for a text."""

    __slots__ = ()


def check_header(header: Sequence[str], wanted: tuple[str, ...], human: tuple[str, ...], line: int) -> tuple[str, ...]:
    """The columns to read: all that are wanted, and those of people's counts, if they are there."""
    need(wanted, header, line)
    there = tuple(name for name in human if name in header)
    if lacking := [name for name in human if there and name not in there]:
        raise At(line, partly(there[0], lacking[0], human))
    known = (*wanted, *there)
    if twice := [name for name in known if header.count(name) > 1]:
        raise At(line, f"two columns are named {twice[0]!r}")
    return known


def need(wanted: Sequence[str], found: Sequence[str], line: int) -> None:
    """Say which of the wanted names are not there, and which of those found may be meant."""
    lacking = [name for name in wanted if name not in found]
    if not lacking:
        return
    near = difflib.get_close_matches(lacking[0].lower(), [name.lower() for name in found], n=1, cutoff=0.6)
    meant = next((name for name in found if near and name.lower() == near[0]), None)
    if meant is not None:
        hint = f"rename {shown(meant)} to {lacking[0]!r}"
    elif len(found) == 1 and any(sign in found[0] for sign in ";\t|"):
        hint = "separate the columns by commas"
    else:
        them = "it" if len(lacking) == 1 else "them"
        hint = f"add {them} to every row, or name the task of these items (--task)"
    columns = ", ".join(map(shown, found[:8])) + (", ..." if len(found) > 8 else "") if found else "nothing"
    raise At(line, f"no {' and no '.join(map(repr, lacking))}; found {columns}; {hint}")


def partly(there: str, lacking: str, human: Sequence[str]) -> str:
    """What is wrong with people's counts that are given for some labels only."""
    return f"{there} but no {lacking}; give all of {', '.join(human)}, or none"


def shown(name: str) -> str:
    """A name of the file's, not longer than a message bears."""
    return repr(name) if len(name) <= 40 else repr(name[:37] + "...")
