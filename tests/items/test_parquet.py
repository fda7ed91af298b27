"""Items from parquet: the same rows and the same strictness as from JSONL, and memory that does not grow."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from partynli.errors import ItemsError
from partynli.items import check_items, load_dataset
from partynli.items.table import load_table

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def write(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def row(path: Path) -> list[tuple[str, str, str]]:
    return [(item.uid, item.texts["premise"], item.texts["hypothesis"]) for item in load_table(path).items]


def test_rows_and_nothing_else(tmp_path: Path) -> None:
    columns = {"hypothesis": ["H.", "I."], "extra": [b"\xff", b""], "uid": [7, 8], "premise": [" P.\n", "é"]}
    path = write(tmp_path / "I.PARQUET", **columns)
    assert row(path) == [("7", " P.\n", "H."), ("8", "é", "I.")]
    assert load_dataset(str(path)).name == str(path)


def test_texts_that_are_kept_as_a_dictionary(tmp_path: Path) -> None:
    premise = pa.array(["P.", "P."]).dictionary_encode()
    assert row(write(tmp_path / "i.parquet", uid=["a", "b"], premise=premise, hypothesis=["H.", "I."])) == [
        ("a", "P.", "H."),
        ("b", "P.", "I."),
    ]


def test_peoples_counts(tmp_path: Path) -> None:
    counts = {"human_true": [3, None], "human_either": [1.0, None], "human_false": [0, None]}
    path = write(tmp_path / "i.parquet", uid=["a", "b"], premise=["P."] * 2, hypothesis=["H."] * 2, **counts)
    assert dict(load_table(path).distributions) == {"human": {"a": (3, 1, 0)}}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"uid": ["a"], "premise": ["P."]}, "row 1: no 'hypothesis'; found 'uid', 'premise'"),
        ({"uid": ["a"], "premise": ["P."], "Hypothesis": ["H."]}, "rename 'Hypothesis' to 'hypothesis'"),
        ({"uid": ["a", "b"], "premise": ["P.", None], "hypothesis": ["H.", "H."]}, "row 2: premise is empty"),
        ({"uid": ["a"], "premise": [5], "hypothesis": ["H."]}, "row 1: premise is a number and no text"),
        ({"uid": [[1]], "premise": ["P."], "hypothesis": ["H."]}, "row 1: the uid is a list"),
        ({"uid": [True], "premise": ["P."], "hypothesis": ["H."]}, "row 1: the uid is true or false"),
        ({"uid": ["a", "a"], "premise": ["P."] * 2, "hypothesis": ["H."] * 2}, "rows 1 and 2 have the same uid"),
        (
            {"uid": ["a"], "premise": ["P."], "hypothesis": ["H."], "human_true": [1]},
            "row 1: human_true but no human_either",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_row(tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    with pytest.raises(ItemsError, match=re.escape(said)):
        check_items(load_table(write(tmp_path / "i.parquet", **columns)).items)


def test_what_is_no_parquet_or_only_half_of_it(tmp_path: Path) -> None:
    path = write(tmp_path / "i.parquet", uid=["a"], premise=["P."], hypothesis=["H."])
    for content in (b"", b"uid,premise\n", path.read_bytes()[:-9]):
        path.write_bytes(content)
        with pytest.raises(ItemsError, match=r"i\.parquet, row 1: the file cannot be read as parquet: ."):
            check_items(load_table(path).items)


def test_many_items_are_never_in_memory_together(tmp_path: Path) -> None:
    texts = [
        f"A text of some length, that of item {k}, which is like no other, wherever one looks." for k in range(300_000)
    ]
    table = pa.table({"uid": [str(k) for k in range(len(texts))], "premise": texts, "hypothesis": texts})
    pq.write_table(table, tmp_path / "i.parquet")  # one row group, the hardest case
    whole = table.nbytes
    del table
    before = pa.total_allocated_bytes()
    peak = max(pa.total_allocated_bytes() - before for _ in load_table(tmp_path / "i.parquet").items)
    assert peak < whole / 3


def test_without_pyarrow_one_line_says_what_to_install(tmp_path: Path) -> None:
    write(tmp_path / "i.parquet", uid=["a"], premise=["P."], hypothesis=["H."])
    code = (
        "import sys; sys.modules['pyarrow'] = sys.modules['pyarrow.parquet'] = None\n"
        "sys.argv = ['partynli', 'sample', '--mix', 'demo', '--items', 'i.parquet']\n"
        "from partynli.cli import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "partynli: i.parquet: parquet files need pyarrow: pip install 'partynli[parquet]'"
    ]


def test_values_that_python_cannot_hold_are_one_line(tmp_path: Path) -> None:
    for late in (pa.array([2**30], pa.date32()), pa.array([2**62], pa.timestamp("us"))):
        path = write(tmp_path / "i.parquet", uid=["a"], premise=late, hypothesis=["H."])
        with pytest.raises(ItemsError, match=r"i\.parquet, row 1: the file cannot be read as parquet: .") as caught:
            check_items(load_table(path).items)
        assert len(str(caught.value).splitlines()) == 1


def test_a_damaged_page_is_one_line(tmp_path: Path) -> None:
    path = write(tmp_path / "i.parquet", uid=["a"], premise=["P."], hypothesis=["H."])
    content = path.read_bytes()
    for damage in (b"\0" * 8, b"\xff" * 8):
        path.write_bytes(content[:4] + damage + content[12:])
        with pytest.raises(ItemsError, match="cannot be read") as caught:
            check_items(load_table(path).items)
        assert len(str(caught.value).splitlines()) == 1
