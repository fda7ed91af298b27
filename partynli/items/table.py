"""A file of the user's, JSONL or CSV: read line by line, each time anew, and strict about what it holds."""

from __future__ import annotations

import csv
import difflib
import json
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, BinaryIO

from partynli.errors import ItemsError
from partynli.items.base import Dataset, ItemSource
from partynli.labels import LABELS
from partynli.records import Item

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv")
MAX_CHARS = 100_000
"""A longer text is refused: it is a mistake, or it would cost a fortune in every trial."""
HUMAN = "human"
"""Name of the people whose counts are in a file, and with an underscore, prefix of the columns that hold them."""
_MAX_VOTES = 1_000_000_000
_WHOLE = re.compile(r"([0-9]{1,18})(?:\.0*)?")  # a table that has gaps elsewhere may write 3 as 3.0
_MAX_UID = 1_000
_MAX_LINE = 1 << 24
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")

Row = Mapping[str, Any]
Votes = tuple[int, ...]


def load_table(
    path: Path, fields: Sequence[str] = ("premise", "hypothesis"), labels: Sequence[str] | None = None
) -> Dataset:
    """Items from a JSONL or CSV file with the columns ``uid`` and `fields`; other columns are ignored.

    How many people gave each label may stand in the columns ``human_<label>``. Those counts become the distribution
    ``human``, which is read in a pass of its own when it is first asked for.

    The file is opened to see that it can be read. What it holds is checked whenever it is gone through; only
    `check_items` finds two items of the same uid.

    Parameters
    ----------
    path
        The file.
    fields
        Names of the texts that every item must have (``Task.fields``).
    labels
        The task's labels (``Task.labels``), in whose order counts are given; `LABELS` if None.

    Raises
    ------
    ItemsError
        The file is not there, not readable, or neither JSONL nor CSV by its name.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ItemsError(f"{path}: the name must end in {', '.join(SUFFIXES)}, which says how the items are written")
    _open(path).close()
    read = partial(_read, path, tuple(fields), human_columns(labels))
    source = ItemSource(str(path), lambda: ((line, item) for line, item, _ in read()))
    return Dataset(str(path), source, distributions=_Human(read), source=str(path), licence="your own")


def human_columns(labels: Sequence[str] | None = None) -> tuple[str, ...]:
    """Names of the columns that hold people's label counts.

    >>> human_columns()
    ('human_true', 'human_either', 'human_false')
    """
    return tuple(f"{HUMAN}_{label}" for label in (LABELS if labels is None else labels))


class _Human(Mapping[str, Mapping[str, Votes]]):
    """The counts of a file's people, read when they are first asked for; empty where the file has none."""

    def __init__(self, read: Callable[[], Iterator[tuple[int, Item, Votes | None]]]) -> None:
        self._read = read

    @cached_property
    def _found(self) -> Mapping[str, Mapping[str, Votes]]:
        counts = {item.uid: votes for _, item, votes in self._read() if votes is not None and any(votes)}
        return {HUMAN: counts} if counts else {}

    def __getitem__(self, source: str) -> Mapping[str, Votes]:
        return self._found[source]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def _open(path: Path) -> BinaryIO:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ItemsError(f"{path} is a folder; name a file in it")
        if not stat.S_ISREG(mode):
            raise ItemsError(f"{path} is no regular file; items are read more than once, so write them to one first")
        return path.open("rb")
    except FileNotFoundError:
        raise ItemsError(f"{path} is not there; see that the path is right") from None
    except (OSError, ValueError) as error:
        raise ItemsError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _read(path: Path, fields: tuple[str, ...], human: tuple[str, ...]) -> Iterator[tuple[int, Item, Votes | None]]:
    rows = _csv_rows if path.suffix.lower() == ".csv" else _json_rows
    with _open(path) as file:
        try:
            for line, row in rows(_lines(file), ("uid", *fields), human):
                try:
                    item = Item(_uid(row["uid"]), {name: _text(row[name], name) for name in fields})
                    yield line, item, _votes(row, human)
                except _Wrong as wrong:
                    raise _At(line, wrong) from None
        except _At as wrong:
            raise ItemsError(f"{path}:{wrong.line}: {wrong}") from None
        except OSError as error:
            raise ItemsError(f"{path} cannot be read to its end: {error.strerror or error}") from None


class _Wrong(Exception):
    """What is wrong with a value, and what to do."""


class _At(_Wrong):
    """The same, at a line."""

    def __init__(self, line: int, message: object) -> None:
        super().__init__(message)
        self.line = line


class _Number(str):
    """A JSON number, kept as it is written: right for a uid, wrong for a text."""

    __slots__ = ()


def _lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    number = offset = 0
    while raw := file.readline(_MAX_LINE + 1):
        number += 1
        if len(raw) > _MAX_LINE:
            raise _At(number, f"the line is longer than {_MAX_LINE:,} bytes; leave out what is no item")
        if number == 1 and raw.startswith(_UTF16):
            raise _At(number, "the file is UTF-16; save it as UTF-8")
        skipped = len(_BOM) if number == 1 and raw.startswith(_BOM) else 0
        try:
            text = raw[skipped:].decode()
        except UnicodeDecodeError as error:
            at = skipped + error.start
            raise _At(
                number, f"invalid UTF-8, byte 0x{raw[at]:02x} at offset {offset + at}; save the file as UTF-8"
            ) from None
        if (at := raw.find(0)) >= 0:
            raise _At(number, f"a NUL byte at offset {offset + at}; the file is damaged or no UTF-8 text")
        offset += len(raw)
        yield number, text


def _json_rows(
    lines: Iterable[tuple[int, str]], wanted: tuple[str, ...], human: tuple[str, ...]
) -> Iterator[tuple[int, Row]]:
    known = (*wanted, *human)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(pairs)
        if len(row) < len(pairs) and (twice := [key for key in known if [name for name, _ in pairs].count(key) > 1]):
            raise _Wrong(f"{twice[0]!r} is given twice in one object")
        return row

    decode = json.JSONDecoder(object_pairs_hook=unique, parse_int=_Number, parse_float=_Number).decode
    for line, text in lines:
        if not text.strip():
            continue
        try:
            row = decode(text)
        except json.JSONDecodeError as error:
            reason = f"{error.msg[0].lower()}{error.msg[1:]}"
            hint = "every line must be one whole JSON object"
            raise _At(line, f"invalid JSON at character {error.pos + 1}: {reason}; {hint}") from None
        except RecursionError:
            raise _At(line, "the JSON is nested too deeply") from None
        except _Wrong as wrong:
            raise _At(line, wrong) from None
        if not isinstance(row, dict):
            found = "a list" if isinstance(row, list) else f"{text.strip()[:40]!r}"
            raise _At(line, f"found {found} where a JSON object is expected; write one object a line, no list of them")
        _need(wanted, tuple(row), line)
        yield line, row


def _csv_rows(
    lines: Iterable[tuple[int, str]], wanted: tuple[str, ...], human: tuple[str, ...]
) -> Iterator[tuple[int, Row]]:
    rows = _csv_cells(text for _, text in lines)
    top, header = next(rows, (0, []))
    if not header:
        return
    _need(wanted, header, top)
    there = [name for name in human if name in header]
    if lacking := [name for name in human if there and name not in there]:
        raise _At(top, _partly(there[0], lacking[0], human))
    known = (*wanted, *there)
    if twice := [name for name in known if header.count(name) > 1]:
        raise _At(top, f"two columns are named {twice[0]!r}")
    columns = [(name, header.index(name)) for name in known]
    for line, cells in rows:
        if len(cells) != len(header):
            hint = "put a cell that holds a comma or a line break in quotes"
            raise _At(line, f"{len(cells)} cells under a header of {len(header)}; {hint}")
        yield line, {name: cells[column] for name, column in columns}


def _csv_cells(texts: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(texts, strict=True)
    while True:
        line = reader.line_num + 1
        # The limit is the whole process's and lower than that of a line, which an ignored column may fill.
        limit = csv.field_size_limit(_MAX_LINE)
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise _At(line, _explain_csv(str(error))) from None
        finally:
            csv.field_size_limit(limit)
        if cells is None:
            return
        if len(cells) > 1 or (cells and cells[0].strip()):
            yield line, cells


def _explain_csv(error: str) -> str:
    if "unexpected end" in error:
        return "a quote that opens in this row is never closed"
    if "new-line character" in error:
        return "lines end in a carriage return alone; save the file with line feeds"
    if "field limit" in error:
        return f"a cell is longer than {_MAX_LINE:,} characters, or a quote is never closed"
    return f"invalid CSV: {error}; write a quote inside a quoted cell twice"


def _need(wanted: Sequence[str], found: Sequence[str], line: int) -> None:
    lacking = [name for name in wanted if name not in found]
    if not lacking:
        return
    near = difflib.get_close_matches(lacking[0].lower(), [name.lower() for name in found], n=1, cutoff=0.6)
    meant = next((name for name in found if near and name.lower() == near[0]), None)
    if meant is not None:
        hint = f"rename {_shown(meant)} to {lacking[0]!r}"
    elif len(found) == 1 and any(sign in found[0] for sign in ";\t|"):
        hint = "separate the columns by commas"
    else:
        hint = "add it to every row" if len(lacking) == 1 else "add them to every row"
    columns = ", ".join(map(_shown, found[:8])) + (", ..." if len(found) > 8 else "") if found else "nothing"
    raise _At(line, f"no {' and no '.join(map(repr, lacking))}; found {columns}; {hint}")


def _uid(given: Any) -> str:
    if _is_blank(given):
        raise _Wrong("the uid is empty; give every item a uid of its own")
    if not isinstance(given, str):
        raise _Wrong(f"the uid is {_kind(given)}; make it a text or a number")
    if len(given) > _MAX_UID:
        raise _Wrong(f"the uid has {len(given):,} characters, {_MAX_UID:,} at most; shorten it")
    return _clean(str(given), "uid")


def _text(given: Any, name: str) -> str:
    if _is_blank(given):
        raise _Wrong(f"{name} is empty; fill it in or take the item out")
    if not isinstance(given, str) or isinstance(given, _Number):
        raise _Wrong(f"{name} is {_kind(given)} and no text; put it in quotes")
    if len(given) > MAX_CHARS:
        raise _Wrong(f"{name} has {len(given):,} characters, {MAX_CHARS:,} at most; shorten it or take the item out")
    return _clean(given, name)


def _votes(row: Row, human: tuple[str, ...]) -> Votes | None:
    """People's counts of a row; None where it gives none of them."""
    given = {name: value for name in human if not _is_blank(value := row.get(name))}
    if not given:
        return None
    if lacking := [name for name in human if name not in given]:
        raise _Wrong(_partly(next(iter(given)), lacking[0], human))
    return tuple(_vote(value, name) for name, value in given.items())


def _vote(given: Any, name: str) -> int:
    if not isinstance(given, str):
        raise _Wrong(f"{name} is {_kind(given)}; make it a whole number of people")
    found = _WHOLE.fullmatch(given.strip())
    if found is None:
        raise _Wrong(f"{name} is {_shown(given)}; make it a whole number of people, 0 or more")
    if (number := int(found[1])) > _MAX_VOTES:
        raise _Wrong(f"{name} is {number:,}, {_MAX_VOTES:,} at most; make it a number of people")
    return number


def _partly(there: str, lacking: str, human: Sequence[str]) -> str:
    return f"{there} but no {lacking}; give all of {', '.join(human)}, or none"


def _is_blank(given: Any) -> bool:
    return given is None or (isinstance(given, str) and not given.strip())


def _clean(given: str, name: str) -> str:
    if "\0" in given:
        raise _Wrong(f"{name} holds the character NUL; take it out")
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise _Wrong(f"{name} holds half a surrogate pair, \\u{ord(given[error.start]):04x}; write it whole") from None
    return given


def _kind(given: Any) -> str:
    kinds = {dict: "an object", list: "a list", bool: "true or false", _Number: "a number", float: "not a number"}
    return kinds.get(type(given), f"a {type(given).__name__}")


def _shown(name: str) -> str:
    return repr(name) if len(name) <= 40 else repr(name[:37] + "...")
