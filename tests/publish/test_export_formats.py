"""Tables as files: to the letter in every format, the same bytes each time, and no formula in CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from partynli.errors import InputError
from partynli.publish.tables.formats import KINDS, Cells, Column, read_rows, write_table

COLUMNS = (
    Column("text", "string", "A text."),
    Column("=whole", "int64", "A number."),
    Column("part", "float64", "Another."),
    Column("truth", "bool", "Yes or no."),
    Column("more", "string", "Another text."),
)
HOSTILE = [
    "",
    "'",
    "''=1",
    "=1+1",
    "+1",
    "-2",
    "@cmd",
    "\t=1",
    "\r",
    "\n=1",
    "a\r\nb\rc\n",
    'say "it", twice',
    "NUL \0 in it",
    "\0",
    "'\\\"",
    "=\0",
    "null",
    "nan",
    "None",
    "\ufeffmark",
    "emoji 👩‍👩‍👧 \u2028 \u0085 \x1b[31m",
    "a,b;c",
    "\\",
    " padded ",
]
texts = st.one_of(st.none(), st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
rows_ = st.lists(
    st.tuples(
        texts,
        st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
        st.one_of(st.none(), st.booleans()),
        texts,
    ),
    min_size=1,
    max_size=8,
)


def written(folder: Path, kind: str, rows: list[Cells]) -> Path:
    (part,) = write_table(folder, "train", COLUMNS, rows, kind)
    assert part.rows == len(rows)
    return folder / part.name


def read(path: Path, kind: str, n: int) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in read_rows(path, COLUMNS, kind, n)]


def signs(rows: Sequence[Cells]) -> list[float]:
    return [math.copysign(1, row[2]) for row in rows if row[2] == 0]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows_, kind=st.sampled_from(KINDS))
def test_any_row_comes_back_to_the_letter(tmp_path: Path, rows: list[Cells], kind: str) -> None:
    path = written(tmp_path, kind, rows)
    before = path.read_bytes()
    back = read(path, kind, len(rows))
    assert back == rows
    assert [math.copysign(1, row[2]) for row in back if row[2] == 0] == [
        math.copysign(1, r[2]) for r in rows if r[2] == 0
    ]
    assert written(tmp_path, kind, rows).read_bytes() == before


def test_no_cell_of_csv_is_a_formula_and_other_programs_read_it(tmp_path: Path) -> None:
    path = written(tmp_path, "csv", [(text, 1, -0.5, True, "x") for text in HOSTILE])
    head, *table = csv.reader(io.StringIO(path.read_bytes().decode(), newline=""))
    assert head == ["text", "'=whole", "part", "truth", "more"]
    assert not [row[0] for row in table if row[0].startswith(("=", "+", "-", "@", "\t", "\r", "\n")) or "\0" in row[0]]
    assert len(pandas.read_csv(path)) == len(HOSTILE)
    assert path.read_bytes().startswith(b"text,'=whole,part,truth,more\r\n'")


def test_other_programs_read_parquet_and_json_lines(tmp_path: Path) -> None:
    rows: list[Cells] = [(text, 7, 0.1, None, None) for text in HOSTILE]
    table = pyarrow.parquet.read_table(written(tmp_path, "parquet", rows))
    assert table.column("text").to_pylist() == HOSTILE
    assert {str(kind) for kind in table.schema.types} == {"string", "int64", "double", "bool"}
    assert (
        pyarrow.parquet.ParquetFile(tmp_path / "train-00000.parquet").metadata.row_group(0).column(0).compression
        == "ZSTD"
    )
    lines = written(tmp_path, "jsonl", rows).read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line)["text"] for line in lines] == HOSTILE


def test_a_large_table_is_several_files(tmp_path: Path) -> None:
    columns = (Column("n", "int64", "A number."),)
    parts = write_table(tmp_path, "dev.1", columns, ((n,) for n in range(1_000_002)), "csv")
    names = ["dev.1-00000.csv", "dev.1-00001.csv"]
    assert [(part.name, part.rows) for part in parts] == [(names[0], 1_000_000), (names[1], 2)]
    assert [list(row.values()) for row in read_rows(tmp_path / names[1], columns, "csv", 2)] == [
        [1_000_000],
        [1_000_001],
    ]


def test_no_rows_are_no_file(tmp_path: Path) -> None:
    assert write_table(tmp_path / "none", "train", COLUMNS, [], "csv") == []
    assert not (tmp_path / "none").exists()


HEAD = "text,'=whole,part,truth,more"
WRONG = {
    "csv": [
        (f"{HEAD}\r\nx,1,2,true\r\n", "behind line 1"),
        (f"{HEAD}\r\nx,one,2,true,\r\n", "invalid literal"),
        (f"{HEAD}\r\nx,{2**63},2,true,\r\n", "int64"),
        (f"{HEAD}\r\nx,1,2,yes,\r\n", "yes"),
        (f"{HEAD}\r\nx,1,inf,true,\r\n", "infinite or none"),
        (f"{HEAD}\r\nx,1,nan,true,\r\n", "infinite or none"),
        (f'{HEAD}\r\n"x,1,2,true,\r\n', "behind line 1"),
        (f'{HEAD}\r\n\'\\"\\ud800",1,2,true,\r\n', "surrogates not allowed"),
        (f"{HEAD}\r\n'\\7,1,2,true,\r\n", "no string"),
        (f"{HEAD}\r\n'\\{'[' * 100_000},1,2,true,\r\n", "recursion"),
        ("text,more\r\nx,y\r\n", "columns are not those"),
        ("", "columns are not those"),
        (f"{HEAD}\r\n", "fewer than the 1 rows"),
        (f"{HEAD}\r\n" + "x,1,2,true,\r\n" * 2, "more than the 1 rows"),
    ],
    "jsonl": [
        ('{"text": 1, "=whole": 1, "part": 1, "truth": null, "more": null}\n', "text is no string"),
        ('{"text": "\\ud800", "=whole": 1, "part": 1, "truth": null, "more": null}\n', "surrogates not allowed"),
        ('{"text": "", "=whole": true, "part": 1, "truth": null, "more": null}\n', "=whole is no int64"),
        ('{"text": "", "=whole": 1, "part": NaN, "truth": null, "more": null}\n', "infinite or none"),
        ('{"text": "", "=whole": 1, "part": 1' + "0" * 400 + ', "truth": null, "more": null}\n', "too large"),
        ('{"text": ""}\n', "columns are not those"),
        ("[" * 100_000 + "\n", "line 1"),
        ("\n", "line 1"),
        ("", "fewer than"),
    ],
    "parquet": [("PAR1", "cannot be read as parquet"), ("", "cannot be read as parquet")],
}


@pytest.mark.parametrize(("kind", "text", "said"), [(kind, *one) for kind, those in WRONG.items() for one in those])
def test_what_is_wrong_in_a_file_is_one_line(tmp_path: Path, kind: str, text: str, said: str) -> None:
    path = tmp_path / f"train-00000.{kind}"
    path.write_text(text, encoding="utf-8", newline="")
    with pytest.raises(InputError, match=said) as caught:
        read(path, kind, 1)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_parquet_of_another_schema_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path, "train", [Column("text", "int64", "")], [(1,)], "parquet")
    with pytest.raises(InputError, match="columns are not those"):
        read(tmp_path / "train-00000.parquet", "parquet", 1)


def test_a_damaged_page_is_one_line(tmp_path: Path) -> None:
    (part,) = write_table(tmp_path, "train", [Column("text", "string", "")], [("x",)], "parquet")
    content = (tmp_path / part.name).read_bytes()
    for damage in (b"\0" * 8, b"\xff" * 8):
        (tmp_path / part.name).write_bytes(content[:4] + damage + content[12:])
        with pytest.raises(InputError, match="cannot be read") as caught:
            list(read_rows(tmp_path / part.name, [Column("text", "string", "")], "parquet", 1))
        assert len(str(caught.value).splitlines()) == 1
