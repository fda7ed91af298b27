"""Parquet files, read in batches: a file of any size takes no more memory than a small one."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, BinaryIO

from partynli.errors import ItemsError
from partynli.items.rows import At, Number, Row, check_header

_BATCH = 1024


def parquet_rows(file: BinaryIO, wanted: tuple[str, ...], human: tuple[str, ...]) -> Iterator[tuple[int, Row]]:
    """Number, from 1, and row of each record in a parquet file; other columns are not read."""
    try:
        parquet: Any = import_module("pyarrow.parquet")  # only here: the extra `parquet`
        wrong: type[Exception] = import_module("pyarrow").ArrowException
    except ImportError:
        raise ItemsError(f"{file.name}: parquet files need pyarrow: pip install 'partynli[parquet]'") from None
    number = 0
    try:
        table = parquet.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
        columns = check_header(table.schema_arrow.names, wanted, human, 1)
        for batch in table.iter_batches(batch_size=_BATCH, columns=list(columns)):
            cells = [batch.column(name).to_pylist() for name in columns]
            for values in zip(*cells, strict=True):
                number += 1
                yield number, dict(zip(columns, map(_value, values), strict=True))
    except (wrong, ValueError, OverflowError) as error:  # texts that are no UTF-8, dates beyond Python's
        said = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        raise At(number + 1, f"the file cannot be read as parquet: {said}") from None


def _value(value: Any) -> Any:
    """A cell as a JSON file would hold it."""
    if value != value:  # NaN, which stands for an empty cell
        return None
    return Number(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
