"""Tables as files hold them, CSV or parquet: a header, then rows of text cells, streamed."""

from __future__ import annotations

import csv
import difflib
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from partynli.errors import InputError

_CSV = (".csv",)
_PARQUET = (".parquet", ".pq")
_MAX_CELL = 1 << 24
_BATCH = 4096

Cells = list[str]


class Table(NamedTuple):
    """A file, open for one pass."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[int, Cells]]
    """Line (in parquet the number of the row, from 1) at which each row begins, and its cells; an empty cell, a null
    and a NaN are an empty text."""


def open_table(path: Path) -> Table:
    """Open a file by the end of its name, and read its header.

    Raises
    ------
    InputError
        The file is not there, not readable, of another kind, or two of its columns have one name. What is wrong
        further down is raised while the rows are gone through.
    """
    check_file(path)
    suffix = path.suffix.lower()
    if suffix in _PARQUET:
        table = _open_parquet(path)
    elif suffix in _CSV:
        rows = _csv_rows(path)
        _, header = next(rows, (0, []))
        table = Table(tuple(name.strip() for name in header), rows)
    else:
        kinds = f"{' or '.join(_CSV + _PARQUET)}, which says how to read it"
        raise InputError(f"{path}: the name must end in {kinds}; save a spreadsheet as CSV UTF-8")
    if twice := [name for name, times in Counter(table.columns).items() if name and times > 1]:
        raise InputError(f"{path}: two columns are named {twice[0][:40]!r}")
    return table


def check_header(path: Path, columns: Sequence[str], wanted: Iterable[Sequence[str]]) -> None:
    """See that one of each group of columns is there; the error names what is missing and what was found."""
    missing = [" or ".join(group) for group in wanted if not set(group) & set(columns)]
    if not missing:
        return
    found = ", ".join(repr(name[:40]) for name in columns[:16]) + (", ..." if len(columns) > 16 else "")
    hint = ""
    lower = {name.lower(): name for name in columns}
    if len(columns) == 1 and any(sign in columns[0] for sign in ";\t|"):
        hint = "; separate the columns by commas"
    elif near := difflib.get_close_matches(missing[0].split(" or ")[0], lower, n=1, cutoff=0.6):
        hint = f"; is {lower[near[0]][:40]!r} meant to be {missing[0]!r}?"
    raise InputError(f"{path}: no column {', no column '.join(missing)}; found {found or 'nothing'}{hint}")


def check_file(path: Path) -> None:
    """See that a file is there and can be read, before anything waits for it."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{path} is a folder; name the files in it")
        if not stat.S_ISREG(mode):
            raise InputError(f"{path} is no regular file; it is read more than once, so write it to one first")
        path.open("rb").close()
    except FileNotFoundError:
        raise InputError(f"{path} is not there; see that the path is right") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _csv_rows(path: Path) -> Iterator[tuple[int, Cells]]:
    line = 0
    csv.field_size_limit(max(_MAX_CELL, csv.field_size_limit()))  # the limit is the whole process's
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for cells in reader:
                if cells:
                    yield line + 1, cells
                line = reader.line_num
    except UnicodeDecodeError as error:
        wrong = error.object[error.start]
        where = _line_of_bad_utf8(path)
        raise InputError(f"{path}:{where}: invalid UTF-8 (byte 0x{wrong:02x}); save the file as UTF-8") from None
    except csv.Error as error:
        said = str(error)
        if "unexpected end" in said:
            said = "a quote that opens in this row is never closed"
        elif "field limit" in said:
            said = f"a cell is longer than {_MAX_CELL:,} characters, or a quote is never closed"
        else:
            said = f"{said}; write a quote inside a quoted cell twice"
        raise InputError(f"{path}:{line + 1}: {said}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read to its end: {error.strerror or error}") from None


def _line_of_bad_utf8(path: Path) -> int:
    """The reader decodes many lines at once, so that its error cannot say which; no line break is part of a letter."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1  # the file was mended meanwhile


def _open_parquet(path: Path) -> Table:
    try:
        parquet: Any = import_module("pyarrow.parquet")
        wrong = import_module("pyarrow").ArrowException
    except ImportError:
        raise InputError(f"{path}: parquet files need pyarrow: pip install 'partynli[parquet]'") from None
    try:
        file = parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
        columns = tuple(name.strip() for name in file.schema_arrow.names)
    except (wrong, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as parquet: {_first_line(error)}") from None
    return Table(columns, _parquet_rows(path, file, wrong))


def _parquet_rows(path: Path, file: Any, wrong: type[Exception]) -> Iterator[tuple[int, Cells]]:
    number = 0
    try:
        with file:
            for batch in file.iter_batches(batch_size=_BATCH):
                columns = [[_text(value) for value in column.to_pylist()] for column in batch.columns]
                for cells in zip(*columns, strict=True):
                    number += 1
                    yield number, list(cells)
    except (wrong, OSError, ValueError, OverflowError) as error:  # texts that are no UTF-8, dates beyond Python's
        raise InputError(f"{path} cannot be read behind row {number}: {_first_line(error)}") from None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or value != value:  # NaN is not itself
        return ""
    if isinstance(value, bytes):  # texts of writers that do not mark them as such
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, list):
        return " | ".join(map(_text, value))
    return str(value)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]
