"""Tables as files, parquet, CSV or JSON lines: the same rows give the same bytes, and come back to the letter.

In CSV, no cell is a formula: a text that begins like one gets an apostrophe before it, and so does an empty text (an
empty cell is a missing value) and one that begins with an apostrophe. A text with the character NUL, which few programs
read, is written as JSON after an apostrophe and a backslash.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from importlib import import_module
from math import isfinite
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from partynli.errors import InputError
from partynli.spreadsheets import spreadsheet_safe

Type = Literal["string", "int64", "float64", "bool"]
TYPES: tuple[Type, ...] = ("string", "int64", "float64", "bool")
Row = dict[str, Any]
Cells = Sequence[Any]

_GROUP_ROWS = 20_000
_GROUP_CHARS = 1 << 24
_SHARD_ROWS = 1_000_000
_SHARD_BYTES = 500_000_000
_MAX_CELL = 1 << 26
_BATCH = 1_000


class Column(NamedTuple):
    """A column of a table; every value may be missing (None)."""

    name: str
    type: Type
    description: str


class Part(NamedTuple):
    """A file that was written."""

    name: str
    """``train-00000.csv``."""
    sha256: str
    bytes: int
    rows: int


class _Writer(Protocol):
    def write(self, rows: Sequence[Cells]) -> None:
        """Add rows."""

    def size(self) -> int:
        """Bytes that were written so far."""

    def close(self) -> None:
        """End the file."""


def write_table(folder: Path, split: str, columns: Sequence[Column], rows: Iterable[Cells], kind: str) -> list[Part]:
    """Write a table into a folder of its own, in memory that does not grow with its rows.

    Parameters
    ----------
    folder
        Made where there are rows; nothing is written where there are none.
    split
        Begins the files' names.
    columns, rows
        Every row has a cell for every column, in their order.
    kind
        ``parquet``, ``csv`` or ``jsonl``.

    Returns
    -------
    list of Part
        A file for each million rows or 500 MB.

    Raises
    ------
    InputError
        Parquet is wanted and pyarrow is not there.
    OSError
        A file cannot be written.
    """
    parts: list[Part] = []
    groups = _groups(rows)
    group = next(groups, None)
    while group is not None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{split}-{len(parts):05}.{kind}"
        n = 0
        with closing(_WRITERS[kind](path, columns)) as writer:
            while group is not None and n + len(group) <= _SHARD_ROWS and writer.size() < _SHARD_BYTES:
                writer.write(group)
                n += len(group)
                group = next(groups, None)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        parts.append(Part(path.name, digest, path.stat().st_size, n))
    return parts


def read_rows(path: Path, columns: Sequence[Column], kind: str, rows: int) -> Iterator[Row]:
    """The rows of a file, by column; each value is None or of its column's type.

    Raises
    ------
    InputError
        The file cannot be read, or holds other columns, types or another number of rows. The message says where.
    """
    names = [column.name for column in columns]
    numbers = [place for place, column in enumerate(columns) if column.type == "float64"]
    n = 0
    try:
        for n, cells in enumerate(_READERS[kind](path, columns), start=1):
            if n > rows:
                break
            if any(cells[place] is not None and not isfinite(cells[place]) for place in numbers):
                raise InputError(f"{path}, row {n}: a number is infinite or none; export the run again")
            yield dict(zip(names, cells, strict=True))
    except OSError as error:
        raise InputError(f"{path} cannot be read to its end: {error.strerror or _said(error)}") from None
    if n != rows:
        raise InputError(f"{path} has {'more' if n > rows else 'fewer'} than the {rows:,} rows that were exported")


def _groups(rows: Iterable[Cells]) -> Iterator[list[Cells]]:
    """Rows that are written at once: so many, or so many characters."""
    group: list[Cells] = []
    chars = 0
    for cells in rows:
        group.append(cells)
        chars += sum([len(cell) for cell in cells if type(cell) is str])
        if len(group) == _GROUP_ROWS or chars >= _GROUP_CHARS:
            yield group
            group, chars = [], 0
    if group:
        yield group


class _ParquetWriter:
    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        arrow, parquet = _pyarrow()
        self._arrow = arrow
        self._schema = arrow.schema([(column.name, _arrow_type(arrow, column)) for column in columns])
        self._file = path.open("wb")
        self._writer = parquet.ParquetWriter(
            self._file, self._schema, version="2.6", compression="zstd", compression_level=3
        )

    def write(self, rows: Sequence[Cells]) -> None:
        arrays = [
            self._arrow.array(cells, type=field.type)
            for cells, field in zip(zip(*rows, strict=True), self._schema, strict=True)
        ]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema), row_group_size=len(rows))

    def size(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._writer.close()
        self._file.close()


class _CSVWriter:
    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._table = csv.writer(self._file)  # RFC 4180: commas, doubled quotes, CRLF
        self._table.writerow([_cell(column.name) for column in columns])

    def write(self, rows: Sequence[Cells]) -> None:
        self._table.writerows([_cell(value) for value in cells] for cells in rows)

    def size(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


class _JSONWriter:
    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="\n")
        self._names = [column.name for column in columns]

    def write(self, rows: Sequence[Cells]) -> None:
        for cells in rows:
            self._file.write(_json(dict(zip(self._names, cells, strict=True))) + "\n")

    def size(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


_WRITERS: Mapping[str, Callable[[Path, Sequence[Column]], _Writer]] = {
    "parquet": _ParquetWriter,
    "csv": _CSVWriter,
    "jsonl": _JSONWriter,
}
_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def _cell(value: Any) -> str:
    """A value as CSV holds it.

    >>> [_cell(value) for value in ("It rains.", "", None, "=1+1", "'tis", True, -0.5)]
    ['It rains.', "'", '', "'=1+1", "''tis", 'true', '-0.5']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return repr(value)
    if "\0" in value:
        return "'\\" + json.dumps(value, ensure_ascii=False)
    return f"'{value}" if not value or value.startswith("'") else spreadsheet_safe(value)


def _text(cell: str) -> str:
    """The text of a CSV cell that is not empty."""
    if not cell.startswith("'"):
        return cell
    return str(_checked(json.loads(cell[2:]), "string", "a text")) if cell.startswith("'\\") else cell[1:]


def _truth(cell: str) -> bool:
    return {"true": True, "false": False}[cell]


def _whole(cell: str) -> int:
    return int(_checked(int(cell), "int64", "a number"))


_OF_CELL: Mapping[str, Callable[[str], Any]] = {"string": _text, "int64": _whole, "float64": float, "bool": _truth}


def _csv_cells(path: Path, columns: Sequence[Column]) -> Iterator[Cells]:
    csv.field_size_limit(max(_MAX_CELL, csv.field_size_limit()))  # the limit is the whole process's
    of_cell = [_OF_CELL[column.type] for column in columns]
    line = 0
    with path.open(encoding="utf-8", newline="") as file:
        table = csv.reader(file, strict=True)
        try:
            if [_text(name) for name in next(table, [])] != [column.name for column in columns]:
                raise InputError(f"{path}:1: its columns are not those that were exported")
            for cells in table:
                yield [read(cell) if cell else None for read, cell in zip(of_cell, cells, strict=True)]
                line = table.line_num
        except (ValueError, KeyError, RecursionError, csv.Error) as error:
            raise InputError(f"{path}, behind line {line or 1}: {_said(error)}; export the run again") from None


def _json_cells(path: Path, columns: Sequence[Column]) -> Iterator[Cells]:
    names = {column.name for column in columns}
    with path.open(encoding="utf-8", newline="\n") as file:
        number = 1
        try:
            for line in file:
                row = json.loads(line)
                if not isinstance(row, dict) or row.keys() != names:
                    raise ValueError("its columns are not those that were exported")
                yield [_checked(row[name], type_, name) for name, type_, _ in columns]
                number += 1
        except (ValueError, OverflowError, RecursionError) as error:
            raise InputError(f"{path}, line {number}: {_said(error)}; export the run again") from None


def _checked(value: Any, type_: Type, name: str) -> Any:
    """A value of JSON, which must be what its column holds and what a database can store."""
    if value is None:
        return None
    if type_ == "float64" and type(value) is int:
        return float(value)
    fits = type(value) is _PYTHON[type_] and (type_ != "int64" or -(2**63) <= value < 2**63)
    if not fits:
        raise ValueError(f"{name} is no {type_}")
    if type_ == "string":
        value.encode()  # half a surrogate pair, which JSON may hold, is a ValueError
    return value


_PYTHON: Mapping[Type, type[Any]] = {"string": str, "int64": int, "float64": float, "bool": bool}


def _parquet_cells(path: Path, columns: Sequence[Column]) -> Iterator[Cells]:
    arrow, parquet = _pyarrow()
    wanted = arrow.schema([(column.name, _arrow_type(arrow, column)) for column in columns])
    try:
        with parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            if not file.schema_arrow.equals(wanted):
                raise InputError(f"{path}: its columns are not those that were exported; export the run again")
            for batch in file.iter_batches(batch_size=_BATCH):
                yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
    except (arrow.ArrowException, ValueError, OverflowError) as error:
        raise InputError(f"{path} cannot be read as parquet: {_said(error)}") from None


_READERS: Mapping[str, Callable[[Path, Sequence[Column]], Iterator[Cells]]] = {
    "parquet": _parquet_cells,
    "csv": _csv_cells,
    "jsonl": _json_cells,
}
KINDS = tuple(_READERS)


def _pyarrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise InputError(
            "parquet files need pyarrow: pip install 'partynli[parquet]', or choose csv or jsonl"
        ) from None


def _arrow_type(arrow: Any, column: Column) -> Any:
    return {"string": arrow.string(), "int64": arrow.int64(), "float64": arrow.float64(), "bool": arrow.bool_()}[
        column.type
    ]


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
