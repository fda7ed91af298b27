"""Files that are read line by line: JSONL and CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from partynli.items.rows import At, Number, Row, Wrong, check_header, need

_MAX_LINE = 1 << 24
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def _lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    number = offset = 0
    while raw := file.readline(_MAX_LINE + 1):
        number += 1
        if len(raw) > _MAX_LINE:
            raise At(number, f"the line is longer than {_MAX_LINE:,} bytes; leave out what is no item")
        if number == 1 and raw.startswith(_UTF16):
            raise At(number, "the file is UTF-16; save it as UTF-8")
        skipped = len(_BOM) if number == 1 and raw.startswith(_BOM) else 0
        try:
            text = raw[skipped:].decode()
        except UnicodeDecodeError as error:
            at = skipped + error.start
            raise At(
                number, f"invalid UTF-8, byte 0x{raw[at]:02x} at offset {offset + at}; save the file as UTF-8"
            ) from None
        if (at := raw.find(0)) >= 0:
            raise At(number, f"a NUL byte at offset {offset + at}; the file is damaged or no UTF-8 text")
        offset += len(raw)
        yield number, text


def json_rows(file: BinaryIO, wanted: tuple[str, ...], human: tuple[str, ...]) -> Iterator[tuple[int, Row]]:
    """Line and row of each object in a JSONL file."""
    known = (*wanted, *human)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(pairs)
        if len(row) < len(pairs) and (twice := [key for key in known if [name for name, _ in pairs].count(key) > 1]):
            raise Wrong(f"{twice[0]!r} is given twice in one object")
        return row

    decode = json.JSONDecoder(object_pairs_hook=unique, parse_int=Number, parse_float=Number).decode
    for line, text in _lines(file):
        if not text.strip():
            continue
        try:
            row = decode(text)
        except json.JSONDecodeError as error:
            reason = f"{error.msg[0].lower()}{error.msg[1:]}"
            hint = "every line must be one whole JSON object"
            raise At(line, f"invalid JSON at character {error.pos + 1}: {reason}; {hint}") from None
        except RecursionError:
            raise At(line, "the JSON is nested too deeply") from None
        except Wrong as wrong:
            raise At(line, wrong) from None
        if not isinstance(row, dict):
            found = "a list" if isinstance(row, list) else f"{text.strip()[:40]!r}"
            raise At(line, f"found {found} where a JSON object is expected; write one object a line, no list of them")
        need(wanted, tuple(row), line)
        yield line, row


def csv_rows(file: BinaryIO, wanted: tuple[str, ...], human: tuple[str, ...]) -> Iterator[tuple[int, Row]]:
    """Line at which it begins, and row of each record in a CSV file."""
    rows = _csv_cells(text for _, text in _lines(file))
    top, header = next(rows, (0, []))
    if not header:
        return
    columns = [(name, header.index(name)) for name in check_header(header, wanted, human, top)]
    for line, cells in rows:
        if len(cells) != len(header):
            hint = "put a cell that holds a comma or a line break in quotes"
            raise At(line, f"{len(cells)} cells under a header of {len(header)}; {hint}")
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
            raise At(line, _explain_csv(str(error))) from None
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
