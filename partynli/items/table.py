"""A file of the user's, JSONL, CSV or parquet: read row by row, each time anew, and strict about what it holds."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, BinaryIO

from partynli.errors import ItemsError
from partynli.items.base import Dataset, ItemSource
from partynli.items.lines import csv_rows, json_rows
from partynli.items.parquet import parquet_rows
from partynli.items.rows import At, Number, Row, Wrong, partly, shown
from partynli.labels import LABELS
from partynli.records import Item

_ROWS = {**dict.fromkeys((".jsonl", ".ndjson", ".json"), json_rows), ".csv": csv_rows, ".parquet": parquet_rows}
SUFFIXES = tuple(_ROWS)
MAX_CHARS = 100_000
"""A longer text is refused: it is a mistake, or it would cost a fortune in every trial."""
HUMAN = "human"
"""Name of the people whose counts are in a file, and with an underscore, prefix of the columns that hold them."""
_MAX_VOTES = 1_000_000_000
_WHOLE = re.compile(r"([0-9]{1,18})(?:\.0*)?")  # a table that has gaps elsewhere may write 3 as 3.0
_MAX_UID = 1_000

Votes = tuple[int, ...]


def load_table(
    path: Path, fields: Sequence[str] = ("premise", "hypothesis"), labels: Sequence[str] | None = None
) -> Dataset:
    """Items from a JSONL, CSV or parquet file with the columns ``uid`` and `fields`; other columns are ignored.

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
        The file is not there, not readable, or none of these by its name.
    """
    if path.suffix.lower() not in SUFFIXES:
        kinds = f"{', '.join(SUFFIXES)}, which says how the items are written"
        raise ItemsError(f"{path}: the name must end in {kinds}; save a spreadsheet as CSV UTF-8")
    _open(path).close()
    read = partial(_read, path, tuple(fields), human_columns(labels))
    unit = "row" if path.suffix.lower() == ".parquet" else "line"
    source = ItemSource(str(path), lambda: ((line, item) for line, item, _ in read()), unit=unit)
    chosen = LABELS if labels is None else tuple(labels)
    human = _Human(read)
    return Dataset(str(path), source, distributions=human, source=str(path), licence="your own", labels=chosen)


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
    kind = path.suffix.lower()
    with _open(path) as file:
        try:
            for line, row in _ROWS[kind](file, ("uid", *fields), human):
                try:
                    item = Item(_uid(row["uid"]), {name: _text(row[name], name) for name in fields})
                    yield line, item, _votes(row, human)
                except Wrong as wrong:
                    raise At(line, wrong) from None
        except At as wrong:
            where = f"{path}, row {wrong.line}" if kind == ".parquet" else f"{path}:{wrong.line}"
            raise ItemsError(f"{where}: {wrong}") from None
        except OSError as error:
            said = error.strerror or " ".join(str(error).split())  # of pyarrow's, which has several lines
            raise ItemsError(f"{path} cannot be read to its end: {said}") from None


def _uid(given: Any) -> str:
    if _is_blank(given):
        raise Wrong("the uid is empty; give every item a uid of its own")
    if not isinstance(given, str):
        raise Wrong(f"the uid is {_kind(given)}; make it a text or a number")
    if len(given) > _MAX_UID:
        raise Wrong(f"the uid has {len(given):,} characters, {_MAX_UID:,} at most; shorten it")
    return _clean(str(given), "uid")


def _text(given: Any, name: str) -> str:
    if _is_blank(given):
        raise Wrong(f"{name} is empty; fill it in or take the item out")
    if not isinstance(given, str) or isinstance(given, Number):
        raise Wrong(f"{name} is {_kind(given)} and no text; put it in quotes")
    if len(given) > MAX_CHARS:
        raise Wrong(f"{name} has {len(given):,} characters, {MAX_CHARS:,} at most; shorten it or take the item out")
    return _clean(given, name)


def _votes(row: Row, human: tuple[str, ...]) -> Votes | None:
    """People's counts of a row; None where it gives none of them."""
    given = {name: value for name in human if not _is_blank(value := row.get(name))}
    if not given:
        return None
    if lacking := [name for name in human if name not in given]:
        raise Wrong(partly(next(iter(given)), lacking[0], human))
    return tuple(_vote(value, name) for name, value in given.items())


def _vote(given: Any, name: str) -> int:
    if not isinstance(given, str):
        raise Wrong(f"{name} is {_kind(given)}; make it a whole number of people")
    found = _WHOLE.fullmatch(given.strip())
    if found is None:
        raise Wrong(f"{name} is {shown(given)}; make it a whole number of people, 0 or more")
    if (number := int(found[1])) > _MAX_VOTES:
        raise Wrong(f"{name} is {number:,}, {_MAX_VOTES:,} at most; make it a number of people")
    return number


def _is_blank(given: Any) -> bool:
    return given is None or (isinstance(given, str) and not given.strip())


def _clean(given: str, name: str) -> str:
    if "\0" in given:
        raise Wrong(f"{name} holds the character NUL; take it out")
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise Wrong(f"{name} holds half a surrogate pair, \\u{ord(given[error.start]):04x}; write it whole") from None
    return given


def _kind(given: Any) -> str:
    kinds = {dict: "an object", list: "a list", bool: "true or false", Number: "a number", float: "not a number"}
    return kinds.get(type(given), f"a {type(given).__name__}")
