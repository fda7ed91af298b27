"""A person's coding, from a CSV or JSONL file; odd rows are counted and named, never dropped in silence."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from partynli.errors import InputError, unknown_name
from partynli.spreadsheets import unshielded
from partynli.studies.reasons.material import Explanation

COLUMNS = ("item", "source", "category")
"""Columns that a file must have, ``source`` also as ``participant``; ``trial`` may be there."""
_MAX_BYTES = 1 << 27
_MAX_CELL = 1 << 24
_EXAMPLES = 3
_TRIAL = re.compile(r"([0-9]{1,9})(?:\.0*)?")
_NO_OBJECT = f"no JSON object with {', '.join(COLUMNS)}"

Row = Mapping[str, str]
Odd = dict[str, list[str]]


@dataclass(frozen=True)
class Coding:
    """What a file says."""

    category: Mapping[str, str]
    """By `Explanation.name`."""
    items: tuple[str, ...]
    """Uids of items with a category, in the file's order."""
    n_rows: int
    """Rows that were read, the odd ones included."""
    odd: Mapping[str, Sequence[str]]
    """What is wrong with rows that are left out -> ``FILE:LINE (what stands there)`` of each, untrusted."""

    def odd_lines(self) -> list[str]:
        """One line for each thing that is odd, with the first rows that have it; untrusted."""
        return [
            f"{len(rows):,} rows left out, {what}: {', '.join(rows[:_EXAMPLES])}"
            + (f" and {len(rows) - _EXAMPLES:,} more" if len(rows) > _EXAMPLES else "")
            for what, rows in self.odd.items()
        ]


class _Wrong(Exception):
    """What is wrong with a row, and what stands there."""

    def __init__(self, what: str, shown: str = "") -> None:
        super().__init__(what)
        self.shown = shown


class _Key:
    """Finds the explanation and the category that a row means."""

    def __init__(self, explanations: Iterable[Explanation], labels: Sequence[str]) -> None:
        self._labels = {label.casefold(): label for label in labels}
        self._explained: dict[tuple[str, str, int], list[Explanation]] = {}
        for one in explanations:
            self._explained.setdefault((one.uid, one.source, one.trial), []).append(one)
        self._items = {uid for uid, _, _ in self._explained}
        self._sources = {(uid, source) for uid, source, _ in self._explained}

    def read(self, row: Row) -> tuple[Explanation, str]:
        uid, source, category = (row[name].strip() for name in COLUMNS)
        uid = uid if uid in self._items else unshielded(uid)
        source = source if (uid, source) in self._sources else unshielded(source)
        if not category:
            raise _Wrong("no category")
        if category.casefold() not in self._labels:
            raise _Wrong("an unknown category", unknown_name("category", category, self._labels.values()))
        if uid not in self._items:
            raise _Wrong("an item without explanations in the run", uid)
        if (uid, source) not in self._sources:
            raise _Wrong("a source that did not explain the item", f"{uid}, {source}")
        written = row.get("trial", "").strip() or "1"
        trial = _TRIAL.fullmatch(written)
        found = self._explained.get((uid, source, int(trial[1]))) if trial else None
        if found is None:
            raise _Wrong("a trial that is not coded", f"{uid}, {source}, {written}")
        if len(found) > 1:
            raise _Wrong("a source that is a person's and a model's name", f"{uid}, {source}")
        return found[0], self._labels[category.casefold()]


def read_coding(path: Path, explanations: Iterable[Explanation], labels: Sequence[str]) -> Coding:
    """Read which category somebody gave each explanation.

    Parameters
    ----------
    path
        A CSV file with a header, or a JSONL file of objects, in UTF-8.
    explanations
        Those that can be meant.
    labels
        Categories; their case does not matter.

    Raises
    ------
    InputError
        The file cannot be read, is neither, lacks a column, or holds no row that can be used.
    """
    key = _Key(explanations, labels)
    found: dict[str, str] = {}
    items: dict[str, None] = {}
    odd: Odd = {}
    n_rows = 0
    for line, row in _rows(path):
        n_rows += 1
        try:
            if isinstance(row, _Wrong):
                raise row
            explanation, label = key.read(row)
            if found.setdefault(explanation.name, label) != label:
                raise _Wrong("another category than an earlier row gives", f"{explanation.uid}, {explanation.source}")
            items[explanation.uid] = None
        except _Wrong as wrong:
            shown = f" ({_short(wrong.shown)})" if wrong.shown else ""
            odd.setdefault(str(wrong), []).append(f"{path.name}:{line}{shown}")
    coding = Coding(found, tuple(items), n_rows, odd)
    if not found:
        why = "".join(f"; {line}" for line in coding.odd_lines()[:1])
        raise InputError(f"{path} holds no row that can be used, of {n_rows:,}{why}")
    return coding


def _short(text: str) -> str:
    return text if len(text) <= 120 else text[:117] + "..."


def _rows(path: Path) -> Iterator[tuple[int, Row | _Wrong]]:
    readers = {".csv": _csv_rows, ".jsonl": _json_rows, ".ndjson": _json_rows}
    if path.suffix.lower() not in readers:
        raise InputError(f"{path}: the name must end in {', '.join(readers)}, which says how to read it")
    return readers[path.suffix.lower()](path, _read(path))


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path} has more than {_MAX_BYTES:,} bytes, which is no coding of explanations")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: invalid UTF-8; save the file as UTF-8") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, Row | _Wrong]]:
    limit = csv.field_size_limit(_MAX_CELL)  # the limit is the whole process's
    line = 1
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = _renamed(name.strip() for name in next(reader, []))
        if lacking := [name for name in COLUMNS if name not in header]:
            found = ", ".join(repr(name[:40]) for name in header[:12]) or "nothing"
            raise InputError(f"{path}: no column {', no column '.join(lacking)}; found {found}")
        if twice := [name for name in header if name and header.count(name) > 1]:
            raise InputError(f"{path}: two columns are named {twice[0][:40]!r}")
        line = reader.line_num + 1
        for cells in reader:
            if len(cells) == len(header):
                yield line, dict(zip(header, cells, strict=True))
            elif cells:
                yield line, _Wrong("more or fewer cells than the header", f"{len(cells)} for {len(header)}")
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}:{line}: invalid CSV: {error}") from None
    finally:
        csv.field_size_limit(limit)


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, Row | _Wrong]]:
    for line, written in enumerate(text.split("\n"), start=1):
        if not written.strip():
            continue
        try:
            row = json.loads(written)
        except (ValueError, RecursionError):
            row = None
        names = _renamed(row) if isinstance(row, dict) else []
        if not isinstance(row, dict) or not set(COLUMNS) <= set(names):
            yield line, _Wrong(_NO_OBJECT, written.strip())
        else:
            yield line, {name: _text(value) for name, value in zip(names, row.values(), strict=True)}


def _renamed(names: Iterable[str]) -> list[str]:
    given = list(names)
    return ["source" if name == "participant" and "source" not in given else name for name in given]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)
