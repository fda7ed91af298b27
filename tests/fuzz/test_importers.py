"""Files of others, damaged or made up: tables, items, explanations, exports; taken whole, or refused in one line."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import LARGE, SIGNS, damaged, dumped, fuzz, mutated, one_line, storable_texts, texts, within

from partynli.analysis.imported import import_tables
from partynli.cli import run
from partynli.errors import InputError, ItemsError, PartyNLIError
from partynli.items.base import Dataset, ItemSource, check_items
from partynli.items.explanation_files import read_explanations
from partynli.items.table import load_table
from partynli.labels import ERROR, LABELS
from partynli.prompts import load_task
from partynli.publish.tables.export import ExportOptions, export_run
from partynli.publish.tables.folder import read_manifest
from partynli.publish.tables.formats import KINDS, Column, read_rows
from partynli.publish.tables.reading import import_export, task_in
from partynli.records import Annotation, Item, Participant, Span
from partynli.store import JudgmentRow, Run
from partynli.studies.explain.published import read_raw

TASK = load_task("livenli", Path(__file__).parents[2] / "prompts")
ITEMS = [
    Item("a", {"premise": "It rains.", "hypothesis": "It is wet."}),
    Item("b", {"premise": "No.", "hypothesis": "So."}),
]
KNOWN = Dataset("items", ItemSource.of(ITEMS, "items"))


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        yield Path(folder)


def emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


# --- tables of answers ---

COLUMNS = ("sent_id", "participant", "trial", "class_multi", "class_simple", "explanation", "temperature", "num_params")
_CELLS: dict[str, st.SearchStrategy[str]] = {
    "sent_id": st.sampled_from(["a", "b", "c", "", "9" * 5_000, *SIGNS[:5]]),
    "participant": st.sampled_from(
        ["m", "m@temperature=0.5", "m@temperature=x", "9" * 5_000, "7b", "", "w10", *SIGNS[:6]]
    ),
    "trial": st.sampled_from(["1", "2", "", "0", "-1", "1.0", "1e3", "1e400", "nan", "٣", "9" * 5_000, "1_0"]),
    "class_multi": st.sampled_from(
        ["true", "either-true", "true, either", "TRUE", "maybe", "", "error", "[true]", "not true"]
    ),
    "class_simple": st.sampled_from(["true", "either", "false", "", "nan", "maybe"]),
    "explanation": texts.map(lambda text: text.replace("\ud800", "")),
    "temperature": st.sampled_from(["", "0.5", "x", "1e999", "-1", "nan"]),
    "num_params": st.sampled_from(["", "8", "8B", "1e300", "inf"]),
}


def _plain(text: str) -> str:
    return "".join(sign for sign in text if not "\ud800" <= sign <= "\udfff")


_rows = st.lists(st.fixed_dictionaries(_CELLS), max_size=5)


def csv_of(rows: list[dict[str, str]], **dialect: Any) -> bytes:
    made = io.StringIO()
    writer = csv.DictWriter(made, COLUMNS, **dialect)
    writer.writeheader()
    writer.writerows(rows)
    return _plain(made.getvalue()).encode()


def take(path: Path, folder: Path) -> list[JudgmentRow] | None:
    """Import a table; None where it is refused, and then nothing of a run is left."""
    run = folder / "runs" / "r"
    shutil.rmtree(run, ignore_errors=True)
    try:
        done = import_tables([path], run, TASK, KNOWN, {})
    except InputError as error:
        one_line(error, str(path))
        assert not run.exists()
        return None
    with Run.open(run) as opened:
        found = list(opened.judgments())
    assert len(found) == done.n_judgments == sum(done.rows_of.values())
    assert sum(one.class_simple == ERROR for one in found) == done.n_errors
    for one in found:
        assert {one.class_simple} | set(one.class_multi.split("-")) <= {*LABELS, ERROR}
    return found


@fuzz(20)
@given(_rows, st.sampled_from(["\n", "\r\n"]), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), st.booleans())
def test_a_table_of_odd_cells_is_taken_as_it_is_written(
    scratch: Path, rows: list[dict[str, str]], end: str, quoting: Any, bom: bool
) -> None:
    path = emptied(scratch / "table") / "t.csv"
    quoting = csv.QUOTE_ALL if end == "\n" else quoting  # see tests/items/test_table.py
    path.write_bytes(b"\xef\xbb\xbf" * bom + csv_of(rows, lineterminator=end, quoting=quoting))
    found = take(path, path.parent)
    assert found == take(path, path.parent)
    for one in found or ():
        same = [row for row in rows if row["sent_id"].strip() == one.item]
        said = {" ".join((row["class_multi"], row["class_simple"])).casefold() for row in same}
        chosen = set(one.class_multi.split("-")) - {ERROR}
        assert any(chosen <= set(re.findall(r"[a-z]+", text)) for text in said)
        assert (
            not any("not true" in text and "true" in chosen for text in said) or len(same) > 1 or chosen <= {"either"}
        )


TOKENS = (
    b'"',
    b'""',
    b",",
    b"\n",
    b"\r",
    b"\r\n",
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xa8",
    b";",
    b"'",
    b"true",
)
_TABLE = csv_of([{name: "a" if name == "sent_id" else "true" if "class" in name else "1" for name in COLUMNS}] * 2)


@fuzz(20)
@given(damaged(_TABLE, TOKENS))
def test_a_damaged_table_is_taken_or_refused(scratch: Path, content: bytes) -> None:
    path = emptied(scratch / "table") / "t.csv"
    path.write_bytes(content)
    take(path, path.parent)


@pytest.mark.parametrize("kind", ["columns", "quotes", "commas", "rows", "digits", "one cell", "one column"])
def test_no_table_takes_long(tmp_path: Path, kind: str) -> None:
    row = ",".join(["a", "m", "1", "true", "true", "x", "", ""])
    head = ",".join(COLUMNS)
    text = {
        "columns": ",".join(f"c{n}" for n in range(LARGE // 6)),
        "quotes": f"{head}\n" + '"' * LARGE,
        "commas": f"{head}\n" + "," * LARGE,
        "rows": f"{head}\n" + f"{row}\n" * (LARGE // 20),
        "digits": f"{head}\n" + row.replace("m", "1" * LARGE),
        "one cell": f"{head}\n" + row.replace("x", "x" * LARGE),
        "one column": "sent_i" * (LARGE // 6),
    }[kind]
    for suffix in (".csv", ".jsonl"):
        (tmp_path / f"t{suffix}").write_text(text)
    with within(LARGE / 50_000):
        take(tmp_path / "t.csv", tmp_path)
        for suffix in (".csv", ".jsonl"):
            with pytest.raises(ItemsError):
                check_items(load_table(tmp_path / f"t{suffix}").items)


# --- parquet ---


def _columns(arrow: Any) -> dict[str, Any]:
    """A column of one value of every type that could go wrong."""
    offsets = arrow.py_buffer(b"\0\0\0\0\2\0\0\0")
    return {
        "text": arrow.array(["a"]),
        "no text": arrow.Array.from_buffers(arrow.string(), 1, [None, offsets, arrow.py_buffer(b"\xff\xfe")]),
        "null": arrow.nulls(1),
        "nan": arrow.array([float("nan")]),
        "late": arrow.array([2**30], arrow.date32()),
        "late64": arrow.array([86_400_000 * 10**8], arrow.date64()),
        "moment": arrow.array([2**62], arrow.timestamp("us")),
        "zone": arrow.array([1], arrow.timestamp("us", tz="No/Where")),
        "span": arrow.array([2**62], arrow.duration("us")),
        "bytes": arrow.array([b"\xff"]),
        "struct": arrow.array([{"a": [1]}]),
        "map": arrow.array([[("a", 1)]], arrow.map_(arrow.string(), arrow.int64())),
        "big": arrow.array([2**64 - 1], arrow.uint64()),
        "decimal": arrow.array(["1.5"]).cast(arrow.decimal128(5, 2)),
    }


@fuzz(20)
@given(st.data())
def test_parquet_of_any_types_and_damage_is_taken_or_refused(scratch: Path, data: st.DataObject) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    kinds = _columns(arrow)
    folder = emptied(scratch / "parquet")
    names = ("sent_id", "participant", "class_multi", "uid", "premise", "hypothesis")
    made = dict.fromkeys(names, kinds["text"])
    for name in data.draw(st.lists(st.sampled_from(names), max_size=2)):
        made[name] = kinds[data.draw(st.sampled_from(sorted(kinds)))]
    path = folder / "t.parquet"
    parquet.write_table(arrow.table(made), path)
    if data.draw(st.booleans()):
        content = path.read_bytes()
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    elif data.draw(st.booleans()):
        path.write_bytes(data.draw(damaged(path.read_bytes())))
    take(path, folder)
    items_in(path)


# --- items and explanations ---


def items_in(path: Path) -> None:
    try:
        found = check_items(load_table(path).items)
        list(load_table(path).distributions.items())
    except ItemsError as error:
        one_line(error, str(path))
    else:
        assert found == check_items(load_table(path).items)
        for item in load_table(path).items:
            assert item.uid.strip()
            assert all(text.strip() and text.encode() for text in item.texts.values())


_ITEM = {
    "uid": "a",
    "premise": "It rains.",
    "hypothesis": "It is wet.",
    "human_true": 1,
    "human_either": 0,
    "human_false": 2,
}
_LINES = st.lists(mutated(_ITEM, most=1).map(dumped) | st.just(json.dumps(_ITEM)), min_size=1, max_size=3)


@fuzz(30)
@given(_LINES, st.sampled_from(["\n", "\r\n", "\n\n", "\r", "\u2028"]), st.data())
def test_lines_of_items_are_items_or_refused(scratch: Path, lines: list[str], end: str, data: st.DataObject) -> None:
    path = emptied(scratch / "items") / "t.jsonl"
    content = end.join(lines).encode("utf-8", "replace")
    path.write_bytes(
        data.draw(damaged(content, (b"NaN", b"{", b'"uid":', *TOKENS))) if data.draw(st.booleans()) else content
    )
    items_in(path)
    csv_path = path.with_suffix(".csv")
    csv_path.write_bytes(data.draw(damaged(b"uid,premise,hypothesis\na,It rains.,It is wet.\n", TOKENS)))
    items_in(csv_path)


_OURS = {"uid": "a", "label": "true", "explanation": "So.", "participant": "m", "flagged": False}
_THEIRS = {"premise": "It rains.", "hypothesis": "It is wet.", "comments": [["So.", "e"], ["No.", "c"]]}
_RAW = {"item": 0, "label": "e", "text": "1. So.\n2. No."}


@fuzz(40)
@given(
    st.sampled_from([_OURS, _THEIRS, _RAW]).flatmap(lambda row: st.lists(mutated(row, most=2), min_size=1, max_size=2))
)
def test_lines_of_explanations_are_explanations_or_refused(scratch: Path, rows: list[Any]) -> None:
    path = emptied(scratch / "explanations") / "e.jsonl"
    path.write_text("".join(dumped(row) + "\n" for row in rows))
    try:
        found = read_explanations(path, ITEMS)
    except ItemsError as error:
        one_line(error, str(path))
    else:
        assert found == read_explanations(path, ITEMS)
        assert found.keys() <= {"a", "b"}
        for one in (one for explanations in found.values() for one in explanations):
            assert one.label in LABELS
            assert one.text.strip()
            assert one.text.encode()
    try:
        assert all(answer.label in LABELS for answer in read_raw(path, ["a", "b"]))
    except ItemsError as error:
        one_line(error, str(path))


# --- exports ---


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small run, exported in each kind."""
    folder = tmp_path_factory.mktemp("exports")
    people = [Participant("m", "openai", "m", {"temperature": 0.5}, size_b=8.0), Participant("n", "openai", "n", {})]
    plan = {
        "task": "livenli",
        "participants": [one.id for one in people],
        "trials": [2, 1],
        "items": "mine.csv",
        "n_items": 2,
        "groups": {"mix": [one.id for one in people]},
        "reasks": 2,
    }
    Run.create(
        folder / "run",
        {"run": "r", "synthetic": False, "plan": plan, "task": asdict(TASK)},
        people,
        ITEMS,
        plan["groups"],
    )
    marks = json.dumps([["premise", 0, 2, "It"], ["premise", None, None, "own"]])
    rows = [
        JudgmentRow(
            f"{one.name}{item.uid}",
            one.id,
            item.uid,
            1,
            "either",
            "either-true",
            "So.",
            marks,
            "fence",
            "x/1",
            "import",
        )
        for one in people
        for item in ITEMS
    ]
    with Run.sampling(folder / "run") as run:
        run.add_judgments(rows, 0)
    human = Dataset(
        "people.csv",
        ItemSource.of([], "people.csv"),
        annotations=(Annotation("a", "w1", "true", "true", "So.", (Span("premise", "It", 0, 2),)),),
        distributions={"human": {"a": (1, 2, 3)}},
    )
    with Run.open(folder / "run") as run:
        for kind in KINDS:
            export_run(run, TASK, human, folder / kind, options=ExportOptions(kind, include_texts=True), report=None)
    return {kind: folder / kind for kind in KINDS}


def read_back(folder: Path, run: Path) -> None:
    """Import an export: a run that can be read, or one line and nothing left."""
    shutil.rmtree(run, ignore_errors=True)
    try:
        export = read_manifest(folder)
        task = task_in(export)
        import_export(export, run, task, ITEMS, {})
    except PartyNLIError as error:
        one_line(error, str(folder), str(run))
        assert not run.exists()
        return
    with Run.open(run) as opened:
        for row in opened.judgments():
            assert {row.class_simple} | set(row.class_multi.split("-")) <= {*task.labels, ERROR}
        opened.participants()
        list(opened.items)


@fuzz(20)
@given(st.data())
def test_a_manifest_of_another_shape_gives_a_run_or_one_line(
    scratch: Path, exports: dict[str, Path], data: st.DataObject
) -> None:
    folder = scratch / "export"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(exports["jsonl"], folder)
    manifest = json.loads((folder / "partynli.json").read_text())
    part = data.draw(st.sampled_from([None, "run", "configs", "files", "licences"]))
    if part is None:
        changed = data.draw(mutated(manifest))
    else:
        changed = {**manifest, part: data.draw(mutated(manifest[part], most=2))}
    (folder / "partynli.json").write_text(dumped(changed))
    read_back(folder, scratch / "back")


@fuzz(30)
@given(st.data())
def test_tables_of_an_export_with_other_rows_give_a_run_or_one_line(
    scratch: Path, exports: dict[str, Path], data: st.DataObject
) -> None:
    """Whoever changes an export can give it the right hashes."""
    kind = data.draw(st.sampled_from(["jsonl", "jsonl", "csv", "parquet"]))
    folder = scratch / "export"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(exports[kind], folder)
    manifest = json.loads((folder / "partynli.json").read_text())
    name = data.draw(
        st.sampled_from([name for name in manifest["files"] if not re.search("metrics|distributions", name)])
    )
    content = (folder / name).read_bytes()
    if kind == "jsonl" and data.draw(st.booleans()):
        rows = data.draw(mutated([json.loads(line) for line in content.decode().split("\n")[:-1]], most=2))
        content = "".join(dumped(row) + "\n" for row in rows).encode()
        manifest["files"][name]["rows"] = len(rows)
    else:
        content = data.draw(damaged(content, (b"'\\" + b"[" * 3_000, b"'\\null", b"null", *TOKENS)))
    (folder / name).write_bytes(content)
    manifest["files"][name] |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "partynli.json").write_text(json.dumps(manifest))
    read_back(folder, scratch / "back")


@fuzz(30)
@given(st.data(), st.sampled_from(["string", "int64", "float64", "bool"]))
def test_a_cell_of_csv_is_of_its_type_or_refused(scratch: Path, data: st.DataObject, type_: Any) -> None:
    path = emptied(scratch / "cells") / "c.csv"
    cell = data.draw(
        st.sampled_from(
            ["'\\" + "[" * 100_000, "'\\null", "'\\1", "1_0", "9" * 5_000, "nan", "1e999", "True", "٣", "'", "\\"]
        )
        | storable_texts
    )
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["a"], [cell]])
    try:
        ((value,),) = (row.values() for row in read_rows(path, [Column("a", type_, "")], "csv", 1))
    except InputError as error:
        one_line(error, str(path))
    else:
        assert value is None or type(value) is {"string": str, "int64": int, "float64": float, "bool": bool}[type_]


# --- the command ---


@fuzz(4)
@given(damaged(_TABLE, TOKENS), st.sampled_from(["t.csv", "t.parquet", "partynli.json", "t.txt"]))
def test_the_command_says_what_is_wrong_and_harms_no_terminal(scratch: Path, content: bytes, name: str) -> None:
    folder = emptied(scratch / "command")
    (folder / name).write_bytes(content)
    (folder / "items.csv").write_text("uid,premise,hypothesis\na,It rains.,It is wet.\n")
    args = [
        "import",
        str(folder if name == "partynli.json" else folder / name),
        "--run",
        "r",
        "--runs",
        str(folder / "runs"),
    ]
    out, given_ = io.StringIO(), sys.argv
    sys.argv = ["partynli", *args, *(() if name == "partynli.json" else ("--items", str(folder / "items.csv")))]
    try:
        with redirect_stdout(out), redirect_stderr(out):
            code = run()
    finally:
        sys.argv = given_
    assert code in (0, 2)
    assert "Traceback" not in out.getvalue()
    assert all(sign.isprintable() or sign == "\n" for sign in out.getvalue())
