"""What an exported folder is: the same bytes each time, whole or not there, and nothing private in it."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from partynli.errors import InputError, PartyNLIError, RunError
from partynli.items import Dataset, ItemSource
from partynli.judgments import reader_for
from partynli.prompts import load_task
from partynli.publish.tables.export import Export, ExportOptions, export_run, read_manifest
from partynli.publish.tables.formats import KINDS
from partynli.publish.tables.reading import import_export, task_in
from partynli.records import Annotation, Item, Participant, Price, Span
from partynli.store import Attempt, JudgmentRow, Run

ROOT = Path(__file__).parents[2]
TASK = load_task("livenli", ROOT / "prompts")
_, VERSION = reader_for(TASK)
HOSTILE = '=HYPERLINK("http://x")\r\n"quoted", \0 \u2028 👩‍👩‍👧 \'\\'
DAY = 1_750_000_000.0


def answer(label: str) -> str:
    text = json.dumps({"classification": {"label": label, "explanation": HOSTILE}, "highlights": {}})
    return json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}], "model": "served-1"})


PEOPLE = Dataset(
    "people.csv",
    ItemSource.of([], "people.csv"),
    annotations=(Annotation("a", "w=1", "either-true", "either", HOSTILE, (Span("premise", "It", 0, 2),)),),
    distributions={"human": {"a": (1, 2, 3), "b": (0, 0, 4)}},
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with a trial of each fate: valid, valid at the second try, refused, failed, and drifted besides."""
    price = Price(1.0, 2.0, "2025-07")
    m = Participant(
        "m@temperature=0.5", "openai", "vendor/m", {"temperature": 0.5}, size_b=8.0, provider="loop", family="m",
        api_base="http://10.1.2.3:8000/v1", api_key_env="SECRET_KEY_NAME", price=price, max_output_tokens=400,
    )  # fmt: skip
    participants = [m, Participant("=n", "openai", "n", {})]
    items = [
        Item("a", {"premise": "It rains.", "hypothesis": HOSTILE}),
        Item("b", {"premise": "No.", "hypothesis": "So."}),
    ]
    plan = {
        "task": "livenli",
        "participants": [one.id for one in participants],
        "trials": [2, 1],
        "items": "/home/ada/mine.csv",
        "n_items": 2,
        "groups": {"mix": [one.id for one in participants], "=solo": [m.id]},
        "reasks": 2,
    }
    manifest = {
        "run": "r",
        "synthetic": False,
        "plan": plan,
        "task": asdict(TASK),
        "registry": {"file": "/home/ada/r.yaml"},
    }
    path = tmp_path / "runs" / "r"
    Run.create(path, manifest, participants, items, plan["groups"])
    bodies = [("p", '[{"content":"It rains.","role":"user"}]'), ("b", '{"model":"vendor/m"}')]

    def attempt(
        key: str, n: int, item: str, trial: int, status: Any, reason: str | None, raw: str | None, cost: float
    ) -> Attempt:
        end = ("served-1", "fp", "stop", 10, 5, cost, 0.25) if raw else ("served-1", None, None, None, None, None, None)
        return Attempt(key, n, m.id, item, "p", trial, status, reason, "b", 7, raw, *end, DAY + n)

    refusal = json.dumps({"choices": [{"message": {"content": "I cannot."}, "finish_reason": "stop"}]})
    attempts = [
        attempt("k1", 1, "a", 1, "valid", None, answer("true"), 0.1),
        attempt("k2", 1, "a", 2, "rejected", "refusal", refusal, 0.1),
        attempt("k2", 2, "a", 2, "valid", None, answer("false"), 0.2),
        attempt("k3", 1, "b", 1, "rejected", "refusal", refusal, 0.4),
        attempt("k4", 1, "b", 2, "failed", "retryable: cannot reach 10.1.2.3:8000", None, 0.0),
        attempt("k1", 2, "a", 1, "drift", None, answer("either"), 0.8),
    ]
    marks = json.dumps([["premise", 0, 2, "It"], ["premise", None, None, "own words"]])
    valid = (HOSTILE, marks, "fence", VERSION, "sample")
    nothing = (None, None, None, VERSION, "sample")
    judgments = [
        JudgmentRow("k4", m.id, "b", 2, "error", "error", *nothing),
        JudgmentRow("k2", m.id, "a", 2, "false", "false", *valid),
        JudgmentRow("k1", m.id, "a", 1, "true", "true", *valid),
        JudgmentRow("k3", m.id, "b", 1, "error", "error", *nothing),
    ]
    with Run.sampling(path) as opened:
        db = sqlite3.connect(opened.database)
        marks_ = ",".join("?" * len(Attempt._fields))
        db.executemany(f"INSERT INTO attempt ({','.join(Attempt._fields)}) VALUES ({marks_})", attempts)
        db.executemany("INSERT INTO body VALUES (?, ?)", bodies)
        db.execute("INSERT INTO meta VALUES ('reader', ?)", (VERSION,))
        db.commit()
        db.close()
        opened.add_judgments(judgments, len(attempts))
    return path


def export(run: Path, out: Path, kind: str = "jsonl", dataset: Dataset | None = PEOPLE, **options: Any) -> Export:
    with Run.open(run) as opened:
        given = ExportOptions(kind, **{"include_texts": True, **options})
        return export_run(opened, TASK, dataset, out, options=given, report=None)


def read_back(folder: Path, run: Path) -> None:
    export = read_manifest(folder)
    import_export(export, run, task_in(export), [], {})


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path, kind: str) -> None:
    first = contents(export(run, tmp_path / "one", kind, raw=True).path)
    copy = tmp_path / "elsewhere" / "r"
    shutil.copytree(run, copy)
    db = sqlite3.connect(copy / "run.sqlite")
    db.execute("CREATE TABLE aside AS SELECT * FROM judgment ORDER BY trial_key")
    db.execute("DELETE FROM judgment")
    db.execute("INSERT INTO judgment SELECT * FROM aside")  # judgments in another order are the same run
    db.commit()
    db.close()
    assert contents(export(copy, tmp_path / "two", kind, raw=True).path) == first
    assert contents(export(run, tmp_path / "one", kind, raw=True).path) == first
    assert {name.split("/")[1] for name in first if "/" in name} == {
        "judgments", "raw", "participants", "items", "distributions", "human",
    }  # fmt: skip


def test_a_judgment_says_what_became_of_its_trial(run: Path, tmp_path: Path) -> None:
    rows = {row["trial_key"]: row for row in export(run, tmp_path / "out").rows("judgments")}
    assert list(rows) == ["k1", "k2", "k3", "k4"]
    plain = rows["k1"]
    assert (plain["status"], plain["reason"], plain["attempts"], plain["latency_s"]) == ("valid", None, 2, 0.25)
    assert (plain["tokens_in"], plain["tokens_out"]) == (20, 10)
    assert plain["cost"] == pytest.approx(0.9)
    assert plain["answered_at"] == "2025-06-15T15:06:41Z"
    assert (plain["id"], plain["participant"], plain["name"]) == ("m_0.5_8", "m", "m@temperature=0.5")
    assert (plain["num_params"], plain["temperature"], plain["top_p"]) == (8.0, 0.5, None)
    assert plain["experiment"] == "=solo | mix"
    assert (plain["explanation"], plain["repair"], plain["synthetic"]) == (HOSTILE, "fence", False)
    asked_again = rows["k2"]
    assert (asked_again["attempts"], asked_again["reason"], asked_again["class_multi"]) == (2, None, "false")
    assert asked_again["answered_at"] == "2025-06-15T15:06:42Z"
    assert (rows["k3"]["status"], rows["k3"]["reason"], rows["k3"]["class_simple"]) == ("error", "refusal", "error")
    assert (rows["k4"]["status"], rows["k4"]["reason"], rows["k4"]["cost"]) == ("error", "no_answer", None)


def test_a_participant_is_declared_and_no_address_or_key_is_named(run: Path, tmp_path: Path) -> None:
    folder = export(run, tmp_path / "out", raw=True)
    m, n = folder.participants
    assert "sha256:" + hashlib.sha256(m["declared"].encode()).hexdigest() == m["participant_id"]
    assert (m["begun"], m["valid"], m["invalid"], m["drift"], m["open"], m["failed"]) == (4, 2, 0, 0, 2, 1)
    assert (m["served_models"], m["first_answer"], m["trials"]) == ("served-1", "2025-06-15T15:06:41Z", 2)
    assert json.loads(m["reasons"]) == {"refusal": 2, "drift": 1, "retryable": 1}
    assert (n["begun"], n["reasons"], n["served_models"]) == (None, None, None)
    everything = b"".join(contents(folder.path).values())
    for secret in (b"10.1.2.3", b"SECRET_KEY_NAME", b"/home/ada"):
        assert secret not in everything
    assert [row["reason"] for row in folder.rows("raw") if row["status"] == "failed"] == ["retryable"]


def test_distributions_count_each_group(run: Path, tmp_path: Path) -> None:
    rows = {(row["group"], row["sent_id"]): row for row in export(run, tmp_path / "out").rows("distributions")}
    both = rows["m@temperature=0.5", "a"]
    assert [both[name] for name in ("n_asked", "n_valid", "count_true", "count_false", "p_true")] == [2, 2, 1, 1, 0.5]
    none = rows["run", "b"]
    assert [none[name] for name in ("kind", "n_asked", "n_valid", "count_true", "p_true")] == ["mix", 2, 0, 0, None]
    assert ("=n", "a") not in rows


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_run_comes_back_to_the_letter(run: Path, tmp_path: Path, kind: str) -> None:
    back = tmp_path / "runs" / "back"
    folder = export(run, tmp_path / "out", kind, raw=True)
    read_back(folder.path, back)
    with Run.open(run) as first, Run.open(back) as second:
        assert sorted(second.judgments()) == sorted(first.judgments())
        assert list(second.items) == list(first.items)
        assert second.tallies() == first.tallies()
        said, people = second.human() or ({}, [])
    assert said["name"] == "people.csv"
    assert people[0]["explanation"] == HOSTILE
    assert [row["count_true"] for row in people] == [None, 1, 0]
    assert sorted(path.name for path in back.iterdir()) == ["lock", "manifest.json", "run.sqlite"]


def test_texts_that_may_not_be_passed_on_are_left_out(run: Path, tmp_path: Path) -> None:
    folder = export(run, tmp_path / "out", include_texts=False)
    assert folder.licences["items"]["included"] is folder.licences["human"]["included"] is False
    assert folder.licences["items"]["dataset"] == "mine.csv"
    (items, people) = list(folder.rows("items")), list(folder.rows("human"))
    assert [(row["premise"], row["hypothesis"]) for row in items] == [(None, None)] * 2
    assert {row["worker"] for row in people} == {None}
    first = next(folder.rows("judgments"))
    assert first["highlights"] == '[["premise",0,2,null],["premise",null,null,"own words"]]'
    with pytest.raises(InputError, match=r"--raw holds the items' texts .* --include-texts puts them in"):
        export(run, tmp_path / "raw", include_texts=False, raw=True)
    assert not (tmp_path / "raw").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "runs"]


def test_a_folder_of_others_is_left_alone(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("all my work")
    with pytest.raises(InputError, match=r"holds other files \(thesis\.tex\)"):
        export(run, out)
    (out / "thesis.tex").rename(tmp_path / "thesis.tex")
    export(run, out)
    (out / "README.md").write_text("by hand")
    export(run, out, kind="csv")
    assert (out / "README.md").read_text() == "by hand"
    assert {path.suffix for path in (out / "data").rglob("*.*")} == {".csv"}
    (tmp_path / "thesis.tex").rename(out / "thesis.tex")
    with pytest.raises(InputError, match=r"holds thesis\.tex, which is no part of an export"):
        export(run, out)
    (out / "thesis.tex").unlink()
    other = tmp_path / "runs" / "other"
    shutil.copytree(run, other)
    with pytest.raises(InputError, match="holds an export of run 'r'"):
        export(other, out)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is no folder"):
        export(run, tmp_path / "file")


def test_what_does_not_go_together_is_refused(run: Path, tmp_path: Path) -> None:
    for given, said in (
        ({"split": "../x"}, "cannot name a split"),
        ({"split": "all"}, "cannot name a split"),
        ({"kind": "xlsx"}, "none of parquet, csv, jsonl"),
    ):
        with pytest.raises(InputError, match=said):
            export(run, tmp_path / "out", **given)
    db = sqlite3.connect(run / "run.sqlite")
    db.execute("UPDATE meta SET value = '3' WHERE key = 'judged'")
    db.commit()
    db.close()
    with pytest.raises(RunError, match="answers that are not read yet"):
        export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_that_changes_meanwhile_is_not_exported(run: Path, tmp_path: Path) -> None:
    class Meddling(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:  # read while the metrics are written
            db = sqlite3.connect(run / "run.sqlite")
            db.execute("INSERT INTO meta VALUES ('somebody', 'else')")
            db.commit()
            db.close()
            return super().__getitem__(key)

    with Run.open(run) as opened, pytest.raises(RunError, match="was changed while it was exported"):
        export_run(opened, TASK, None, tmp_path / "out", options=ExportOptions("csv"), report=Meddling(scopes={}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]


Change = Callable[[Path, dict[str, Any]], None]


def _set(*keys: str, to: Any) -> Change:
    def change(folder: Path, manifest: dict[str, Any]) -> None:
        inner = manifest
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = to

    return change


def _rename(to: str) -> Change:
    def change(folder: Path, manifest: dict[str, Any]) -> None:
        manifest["files"][to] = manifest["files"].pop("data/items/train-00000.jsonl")

    return change


def _link(folder: Path, manifest: dict[str, Any]) -> None:
    file = folder / "data" / "items" / "train-00000.jsonl"
    outside = folder.parent / "outside"
    file.rename(outside)
    file.symlink_to(outside)


ITEMS = ("files", "data/items/train-00000.jsonl")
DAMAGED: list[tuple[str, Change, str]] = [
    ("newer", _set("format", to=2), "has format 2, this partynli reads 1"),
    ("no format", _set("format", to="1"), "says no format"),
    ("no run", _set("run", to=None), "lacks 'run'"),
    ("kind", _set("kind", to="exe"), "none of parquet"),
    ("columns", _set("configs", "items", "columns", to=[{"name": "a"}]), "columns of 'items' are not described"),
    ("type", _set("configs", "items", "columns", 0, "type", to="blob"), "columns of 'items' are not described"),
    ("up", _rename("data/../../etc/passwd"), "names the file 'data/../../etc/passwd'"),
    ("absolute", _rename("/etc/passwd"), "names the file '/etc/passwd'"),
    ("elsewhere", _rename("data/human/train-00000.jsonl"), "names the file"),
    ("size", _set(*ITEMS, "bytes", to="1"), "says no size"),
    ("other size", _set(*ITEMS, "bytes", to=1), "it was changed since"),
    ("other rows", _set(*ITEMS, "rows", to=1), "more than the 1 rows"),
    ("hash", _set(*ITEMS, "sha256", to="0" * 64), "SHA-256 differs"),
    ("link", _link, "link that leaves the folder"),
    ("missing", lambda folder, _: (folder / "data" / "items" / "train-00000.jsonl").unlink(), "is missing"),
    ("no task", _set("run", "task", to={}), "no task that can be"),
    ("labels", _set("run", "task", "labels", to=["true", "true"]), "no task that can be"),
    ("other labels", _set("run", "task", "labels", to=["x", "y", "either"]), "human has no column 'count_x'"),
    ("fields", _set("run", "task", "fields", to=["premise", "text"]), "items has no column 'text'"),
    ("set", _set("run", "task", "set_labels", to="yes"), "no task that can be"),
    ("marks", _set("run", "task", "highlights", to={"context": "text"}), "highlights of 'text'"),
    ("plan", _set("run", "plan", to=[]), "its plan does not fit its participants"),
    ("trials", _set("run", "plan", "trials", to=[10**9, 1]), "its plan does not fit its participants"),
    ("few trials", _set("run", "plan", "trials", to=[1, 1]), "trial 2 of 'm@temperature=0.5', who has 1"),
    ("groups", _set("run", "plan", "groups", to={"g": ["nobody"]}), "its plan does not fit its participants"),
    ("registry", _set("run", "registry", to=5), "its plan does not fit its participants"),
    ("whose", _set("licences", "human", "about", to={"name": 1}), "whose people's answers"),
    ("surrogate", _set("run", "run", to="\ud800"), "cannot be read"),
]


@pytest.mark.parametrize(("change", "said"), [one[1:] for one in DAMAGED], ids=[one[0] for one in DAMAGED])
def test_a_damaged_or_malicious_manifest_is_one_line(run: Path, tmp_path: Path, change: Change, said: str) -> None:
    folder = export(run, tmp_path / "out").path
    manifest = json.loads((folder / "partynli.json").read_text())
    change(folder, manifest)
    (folder / "partynli.json").write_text(json.dumps(manifest))
    with pytest.raises(PartyNLIError) as caught:
        read_back(folder, tmp_path / "runs" / "back")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs" / "back").exists()


def test_a_folder_that_is_no_export_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no export: it has no partynli\.json"):
        read_manifest(tmp_path)
    for text in ("[" * 100_000, "\x00", "[]", '{"format": 1e400}'):
        (tmp_path / "partynli.json").write_text(text)
        with pytest.raises(InputError):
            read_manifest(tmp_path)


Edit = Callable[[list[dict[str, Any]]], None]


def _cell(place: int, name: str, to: Any) -> Edit:
    def edit(rows: list[dict[str, Any]]) -> None:
        rows[place][name] = to

    return edit


BAD_ROWS: list[tuple[str, str, Edit, str]] = [
    ("label", "judgments", _cell(0, "class_simple", "maybe"), "are no labels of the task"),
    ("half error", "judgments", _cell(0, "class_multi", "error"), "are no labels of the task"),
    ("order", "judgments", _cell(0, "class_multi", "true-either"), "are no labels of the task"),
    ("item", "judgments", _cell(0, "sent_id", "z"), "an answer of nobody, or to no item"),
    ("who", "judgments", _cell(0, "participant_id", "z"), "an answer of nobody, or to no item"),
    ("trial", "judgments", _cell(0, "trial", 0), "trial 0 of"),
    ("no trial", "judgments", _cell(0, "trial", None), "trial None of"),
    ("twice", "judgments", _cell(0, "trial_key", "k2"), "two of the trial 'k2'"),
    (
        "again",
        "judgments",
        lambda rows: rows.__setitem__(1, rows[0] | {"trial_key": "k9"}),
        "another one has participant, item",
    ),
    ("highlights", "judgments", _cell(0, "highlights", "[[1,2]]"), "the highlights of 'k1' cannot be read"),
    ("kept", "judgments", _cell(0, "kept", '{"note": 1}'), "what is kept of 'k1' cannot be read"),
    ("declared", "participants", _cell(0, "declared", "{}"), "is not what its hash says"),
    ("renamed", "participants", _cell(1, "name", "m@temperature=0.5"), "two have the same name"),
    ("nameless", "participants", _cell(1, "name", None), "is not what its hash says"),
    ("spent", "participants", _cell(0, "cost", -1.0), "what was spent"),
    ("reasons", "participants", _cell(0, "reasons", '{"\\ud800": 1}'), "the reasons of"),
    ("texts", "items", _cell(0, "premise", "Other."), "are not what their hash says"),
    ("uid", "items", _cell(0, "sent_id", "b"), "two have the uid 'b'"),
    ("votes", "human", _cell(1, "count_true", -1), "no answer of people's"),
    ("vote", "human", _cell(0, "class_simple", "maybe"), "no answer of people's"),
    ("marks", "human", _cell(0, "highlights", "{"), "no answer of people's"),
    ("status", "raw", _cell(0, "status", "bought"), "an attempt without a status"),
    ("prompt", "raw", _cell(0, "prompt", None), "an attempt without prompt"),
]


@pytest.mark.parametrize(("config", "edit", "said"), [one[1:] for one in BAD_ROWS], ids=[one[0] for one in BAD_ROWS])
def test_rows_that_cannot_be_are_one_line_and_no_run(
    run: Path, tmp_path: Path, config: str, edit: Edit, said: str
) -> None:
    """Whoever writes an export by hand can give it the right hashes; what it says is checked all the same."""
    folder = export(run, tmp_path / "out", raw=config == "raw").path
    name = f"data/{config}/train-00000.jsonl"
    rows = [json.loads(line) for line in (folder / name).read_text("utf-8").split("\n")[:-1]]
    edit(rows)
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "partynli.json").read_text())
    manifest["files"][name] |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "partynli.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError) as caught:
        read_back(folder, tmp_path / "runs" / "back")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs" / "back").exists()


def test_an_edited_table_is_noticed(run: Path, tmp_path: Path) -> None:
    folder = export(run, tmp_path / "out", "csv")
    file = folder.path / "data" / "judgments" / "train-00000.csv"
    file.write_bytes(file.read_bytes().replace(b",true,true,", b",true,eurt,", 1))
    with pytest.raises(InputError, match="was changed since it was exported: its SHA-256 differs"):
        read_manifest(folder.path).verify()


def test_a_participants_table_without_a_price_still_declares_it(run: Path, tmp_path: Path) -> None:
    with Run.open(run) as opened:
        m, n = opened.participants().values()
    folder = export(run, tmp_path / "out")
    back = tmp_path / "runs" / "back"
    read_back(folder.path, back)
    with Run.open(back) as opened:
        first, second = opened.participants().values()
    assert first == replace(m, api_base=None, api_key_env=None)
    assert second == n
