"""Whatever run is exported comes back with the same figures, in every format, and on a machine without its files."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from partynli.analysis.imported import import_tables
from partynli.analysis.scope import Choices, scopes_of
from partynli.cli.explaining import explanation_reports
from partynli.cli.export import write_export
from partynli.cli.manifests import make_manifest
from partynli.cli.reading import answers_of
from partynli.cli.report import overview_for
from partynli.derive import derive_judgments
from partynli.errors import InputError
from partynli.items import load_dataset
from partynli.metrics import convention
from partynli.prompts import load_task
from partynli.publish.card.details import CardDetails
from partynli.publish.tables.export import Export, ExportOptions, export_run, read_manifest
from partynli.publish.tables.formats import KINDS
from partynli.publish.tables.reading import ReadBack, import_export, task_in
from partynli.records import Item, Participant
from partynli.registry import load_registry
from partynli.report.json_report import to_json
from partynli.sampling.engine import Engine
from partynli.sampling.ledger import RunLedger
from partynli.sampling.plan import Plan
from partynli.sampling.settings import Settings
from partynli.store import Run

ROOT = Path(__file__).parents[2]
REGISTRY = ROOT / "registry.yaml"
Sampled = Callable[..., Path]


@pytest.fixture(autouse=True)
def _nothing_at_hand(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data set of people's answers is at hand, but where a test asks for it."""
    monkeypatch.setenv("PARTYNLI_CACHE", str(tmp_path / "cache"))
    if "livenli" not in request.node.name:
        (tmp_path / "data").mkdir()
        monkeypatch.setenv("PARTYNLI_DATA", str(tmp_path / "data"))


@pytest.fixture
def sampled(tmp_path: Path) -> Sampled:
    """Make a run of simulated participants, some of whose answers are refusals or cannot be read."""

    def sample(
        items: str = "demo", name: str = "first", trials: int = 2, participants: Sequence[Participant] = ()
    ) -> Path:
        task = load_task("livenli", ROOT / "prompts")
        registry, _, hash_ = load_registry(REGISTRY)
        chosen = tuple(participants) or tuple(
            replace(one, params={**one.params, "malformed": 0.3}) if one.name in ("sim-hasty", "sim-chatty") else one
            for one in registry.mix("demo")
        )
        source = load_dataset(items, task.fields, task.labels).items
        plan = Plan(
            task=task,
            participants=chosen,
            trials={one.id: trials for one in chosen},
            items=source,
            n_items=sum(1 for _ in source),
            groups={"demo": tuple(one.id for one in chosen), "some": tuple(one.id for one in chosen[:3])},
            item_source=source.name,
            reasks=0,
        )
        path = tmp_path / "runs" / name
        with Run.begin(
            path, make_manifest(name, plan, hash_, "/home/ada/registry.yaml", {}), chosen, plan.items, plan.groups
        ) as run:
            asyncio.run(Engine(plan, RunLedger(plan, run, None), {}, Settings()).run())
            derive_judgments(run, task)
        return path

    return sample


def exported(run: Path, out: Path, kind: str = "jsonl", **options: Any) -> Export:
    return write_export(run, out, ExportOptions(kind, **options), CardDetails(), REGISTRY)


def read_back(export: Export, run: Path, known: Sequence[Item] = ()) -> ReadBack:
    return import_export(read_manifest(export.path), run, task_in(export), known, {})


def report(run: Path, *, explanations: bool = False) -> str:
    """``report --json`` under one name, whatever the run is called."""
    reading = answers_of(run)
    choices = Choices(convention("kulmizev2026"), draws=100)
    scopes = scopes_of(reading.answers, reading.dataset)
    overview = overview_for(run, reading, scopes, choices, {})
    said = explanation_reports(run, reading, scopes, {}, choices, ("tfidf",), None) if explanations else []
    return to_json(replace(overview, run="run"), said)


def rows_of(run: Path, query: str) -> list[tuple[Any, ...]]:
    db = sqlite3.connect(run / "run.sqlite")
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def judgments(run: Path) -> list[tuple[Any, ...]]:
    return rows_of(
        run,
        "SELECT trial_key, participant, item, trial, class_simple, class_multi, explanation, highlights, repair, "
        "reader FROM judgment ORDER BY trial_key",
    )


def state(run: Path) -> tuple[Any, ...]:
    """What `partynli status` shows of a run."""
    with Run.open(run) as opened:
        names = {id_: one.name for id_, one in opened.participants().items()}
        return opened.tallies(), opened.reasons(), names, opened.experiments(), opened.item_uids()


@pytest.mark.parametrize("kind", KINDS)
def test_a_simulated_run_comes_back(sampled: Sampled, tmp_path: Path, kind: str) -> None:
    run = sampled()
    export = exported(run, tmp_path / "out", kind)
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "data").mkdir()
    back = tmp_path / "elsewhere" / "back"
    done = read_back(export, back)
    assert (done.n_judgments, done.n_participants, done.n_items, done.n_attempts) == (480, 10, 24, 0)
    assert 0 < done.n_errors < 100
    assert judgments(back) == judgments(run)
    assert state(back) == state(run)
    assert report(back, explanations=True) == report(run, explanations=True)
    assert json.loads(report(back))["synthetic"] is True


@pytest.mark.parametrize("kind", KINDS)
def test_with_every_attempt_a_whole_run_comes_back(sampled: Sampled, tmp_path: Path, kind: str) -> None:
    run = sampled()
    back = tmp_path / "runs" / "back"
    done = read_back(exported(run, tmp_path / "out", kind, raw=True), back)
    assert done.n_attempts == 480
    assert state(back) == state(run)
    with Run.open(run) as first, Run.open(back) as second:
        assert [one for _, one in second.attempts()] == [one for _, one in first.attempts()]
        for _, one in first.attempts():
            assert second.body(one.prompt) == first.body(one.prompt)
            assert second.body(one.body) == first.body(one.body)
        assert second.served() == first.served()
    assert report(back) == report(run)
    with Run.sampling(back) as second:  # as if a better reader had come: all is derived anew
        second.forget_judgments("older")
    assert report(back, explanations=True) == report(run, explanations=True)
    assert judgments(back) == judgments(run)


@pytest.fixture
def own_items(tmp_path: Path) -> Path:
    path = tmp_path / "private folder" / "mine.csv"
    path.parent.mkdir()
    rows = [
        (
            f"u{k}",
            f'The {k} men sang, "loud".\nTwice.',
            f"=SUM({k}) people sang.",
            *((k % 4, 3, 9 - k) if k < 7 else ("", "", "")),
        )
        for k in range(8)
    ]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("uid", "premise", "hypothesis", "human_true", "human_either", "human_false"), *rows]
        )
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_peoples_counts_travel_with_the_run(sampled: Sampled, own_items: Path, tmp_path: Path, kind: str) -> None:
    run = sampled(str(own_items))
    before = report(run)
    assert "1 of 8 items have no people's counts in mine.csv: u7" in before
    (scope,) = json.loads(before)["scopes"].values()
    assert scope["human"].keys() == {"human"}
    export = exported(run, tmp_path / "out", kind, include_texts=True)
    assert "private folder" not in (export.path / "partynli.json").read_text()
    assert "/home/ada" not in (export.path / "partynli.json").read_text()
    shutil.rmtree(own_items.parent)
    back = tmp_path / "runs" / "back"
    assert read_back(export, back).people
    assert report(back) == before
    again = exported(back, tmp_path / "again", kind, include_texts=True)
    third = tmp_path / "runs" / "third"
    read_back(again, third)
    assert report(third) == before


def test_a_file_without_peoples_counts_is_not_looked_for_again(sampled: Sampled, tmp_path: Path) -> None:
    path = tmp_path / "gone.jsonl"
    path.write_text(
        "".join(json.dumps({"uid": f"u{k}", "premise": "A.", "hypothesis": f"{k}."}) + "\n" for k in range(4))
    )
    run = sampled(str(path))
    before = report(run)
    export = exported(run, tmp_path / "out", include_texts=True)
    path.unlink()
    back = tmp_path / "runs" / "back"
    assert not read_back(export, back).people
    assert report(back) == before


def test_texts_of_ones_own_go_in_by_a_word_or_a_licence(sampled: Sampled, own_items: Path, tmp_path: Path) -> None:
    run = sampled(str(own_items))
    shut, told, licensed = (
        exported(run, tmp_path / name, **given)
        for name, given in (("a", {}), ("b", {"include_texts": True}), ("c", {"licence": "cc-by-4.0"}))
    )
    text = b"people sang."
    for export, is_in in ((shut, False), (told, True), (licensed, True)):
        of_items = b"".join(
            (export.path / name).read_bytes() for name, one in export.files.items() if one["config"] == "items"
        )
        assert (text in of_items) is is_in
        assert export.licences["items"]["included"] is is_in
        assert export.licences["human"]["included"] is is_in
    assert [row["count_true"] for row in shut.rows("human")] == [None] * 7
    assert [row["content_hash"] for row in shut.rows("human")] == [None] * 7, (
        "few counts are possible: a hash tells them"
    )
    assert all(row["content_hash"] for row in told.rows("human"))
    marks = [json.loads(row["highlights"] or "[]") for row in shut.rows("judgments")]
    assert any(marks)
    assert all(span[3] is None for spans in marks for span in spans if span[1] is not None)

    bare, full = tmp_path / "runs" / "bare", tmp_path / "runs" / "full"
    done = read_back(shut, bare)
    assert (done.without_texts, done.people) == (8, False)
    with Run.open(bare) as opened:
        assert {text for item in opened.items for text in item.texts.values()} == {""}
    known = list(load_dataset(str(own_items)).items)
    changed = [replace(known[0], texts={**known[0].texts, "premise": "Another."}), *known[1:]]
    assert read_back(shut, full, changed).without_texts == 1
    shutil.rmtree(full)
    assert read_back(shut, full, known).without_texts == 0
    assert judgments(full) == judgments(run)


TABLE = [
    "sent_id",
    "participant",
    "participant_type",
    "experiment",
    "trial",
    "class_simple",
    "class_multi",
    "explanation",
]


@pytest.mark.parametrize("kind", KINDS)
def test_an_imported_table_comes_back(own_items: Path, tmp_path: Path, kind: str) -> None:
    head = [*TABLE, "num_params", "temperature", "top_p", "note"]
    labels = ["true", "either-false", "false", "error"]
    rows = [
        [f"u{k % 10}", who, kind_, mix, trial, "", labels[(k + trial + len(who)) % 4], f"It is {k}, {who}.", *more]
        for who, kind_, mix, more in (
            ("kimi-k2", "model", "model_mix_hi", ["", "", "", "odd"]),
            ("kimi-k2", "model", "hp_ablation", ["", "0.3", "", ""]),
            ("kimi-k2", "model", "hp_ablation", ["", "0.7", "0.9", ""]),
            ("qwen3", "model", "size_ablation", ["8", "", "", "=1"]),
            ("qwen3", "model", "size_ablation", ["32", "", "", ""]),
            ("w1", "human", "human", ["", "", "", ""]),
        )
        for trial in (1, 2)
        for k in range(8 + 2 * (who == "w1"))
    ]  # fmt: skip
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    task = load_task("livenli", ROOT / "prompts")
    run, back = tmp_path / "runs" / "table", tmp_path / "runs" / "back"
    import_tables([tmp_path / "t.csv"], run, task, load_dataset(str(own_items)), {})
    before = report(run, explanations=True)
    export = exported(run, tmp_path / "out", kind, include_texts=True)
    shutil.rmtree(own_items.parent)
    assert read_back(export, back).without_texts == 0
    assert judgments(back) == judgments(run)
    assert state(back) == state(run)
    assert report(back, explanations=True) == before
    kept = rows_of(run, "SELECT hash, json FROM body ORDER BY hash")
    assert len(kept) == 32
    assert rows_of(back, "SELECT hash, json FROM body ORDER BY hash") == kept
    found = {
        (row["participant"], row["temperature"], row["top_p"], row["num_params"]) for row in export.rows("judgments")
    }
    assert ("kimi-k2", 0.3, None, None) in found
    assert ("kimi-k2", 0.7, 0.9, None) in found
    assert {row["id"] for row in export.rows("participants")} >= {"kimi-k2", "kimi-k2_0.3", "kimi-k2_0.7_0.9", "w1"}


def imported(own_items: Path, rows: Sequence[Sequence[str]]) -> Path:
    """Make a run of a table that holds the items' texts, too."""
    table, run = own_items.parent / "t.csv", own_items.parent / "runs" / "table"
    head = ["sent_id", "participant", "participant_type", "class_simple", "class_multi", "premise", "canary"]
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    import_tables([table], run, load_task("livenli", ROOT / "prompts"), load_dataset(str(own_items)), {})
    return run


@pytest.mark.parametrize("kind", KINDS)
def test_texts_in_a_table_of_others_stay_here(own_items: Path, tmp_path: Path, kind: str) -> None:
    premise = "A text that nobody may pass on."
    run = imported(own_items, [["u1", "m", "model", "true", "either-false", premise, "zebra"]])
    shut = exported(run, tmp_path / "shut", kind)
    assert [row["kept"] for row in shut.rows("judgments")] == ['{"class_multi":"either-false","class_simple":"true"}']
    assert [row["class_multi"] for row in shut.rows("judgments")] == ["either-false"]
    whole = exported(run, tmp_path / "whole", kind, include_texts=True)
    (row,) = whole.rows("judgments")
    assert json.loads(row["kept"]).keys() == {"canary", "class_multi", "class_simple", "premise"}


def test_people_among_the_participants_go_out_by_a_word_alone(own_items: Path, tmp_path: Path) -> None:
    run = imported(own_items, [["u1", "w1", "human", "true", "", "", ""], ["u1", "m", "model", "true", "", "", ""]])
    with pytest.raises(InputError, match=r"^1 participants are people \(w1\), .*; --include-texts puts") as caught:
        exported(run, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    assert len(list(exported(run, tmp_path / "out", include_texts=True).rows("judgments"))) == 2


def test_the_judgments_alone_are_a_table_for_import(sampled: Sampled, tmp_path: Path) -> None:
    run = sampled()
    exported(run, tmp_path / "out", "csv")
    task = load_task("livenli", ROOT / "prompts")
    done = import_tables(
        [tmp_path / "out" / "data" / "judgments" / "train-00000.csv"],
        tmp_path / "runs" / "table",
        task,
        load_dataset("demo"),
        {},
    )
    assert done.n_judgments == 480
    assert done.synthetic
    assert done.odd.total == 0
    key = lambda row: row[2:6]  # noqa: E731
    assert sorted(map(key, judgments(tmp_path / "runs" / "table"))) == sorted(map(key, judgments(run)))


@pytest.mark.parametrize("kind", ["parquet", *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS[1:])])
def test_livenli_comes_back_with_and_without_its_texts(sampled: Sampled, tmp_path: Path, kind: str) -> None:
    if not os.environ.get("PARTYNLI_DATA"):
        pytest.skip("PARTYNLI_DATA names no folder")
    mix = load_registry(REGISTRY)[0].mix("demo")
    run = sampled("livenli", trials=1, participants=mix[:3])
    before = report(run, explanations=kind == "parquet")
    shut = exported(run, tmp_path / "shut", kind)
    everything = b"".join(
        path.read_bytes() for path in shut.path.rglob("*") if path.is_file() and "judgments" not in str(path)
    )
    premise = next(iter(load_dataset("livenli").items)).texts["premise"]
    assert kind == "parquet" or premise.encode() not in everything
    done = read_back(shut, tmp_path / "runs" / "shut", list(load_dataset("livenli").items))
    assert (done.without_texts, done.people) == (0, False)
    assert report(tmp_path / "runs" / "shut", explanations=kind == "parquet") == before

    whole = exported(run, tmp_path / "whole", kind, include_texts=True, raw=True)
    assert read_back(whole, tmp_path / "runs" / "whole").people
    (tmp_path / "nothing").mkdir()
    kept = os.environ["PARTYNLI_DATA"]
    os.environ["PARTYNLI_DATA"] = str(tmp_path / "nothing")
    try:
        assert report(tmp_path / "runs" / "whole", explanations=kind == "parquet") == before
    finally:
        os.environ["PARTYNLI_DATA"] = kept


def test_an_imported_run_takes_no_new_answers(sampled: Sampled, tmp_path: Path) -> None:
    run = sampled()
    read_back(exported(run, tmp_path / "out"), back := tmp_path / "runs" / "back")
    with Run.open(run) as opened:
        manifest, participants = opened.manifest, list(opened.participants().values())
    with (
        pytest.raises(Exception, match="was imported and takes no new answers"),
        Run.begin(back, manifest, participants, [], {}),
    ):
        pass


def test_an_export_needs_no_report(sampled: Sampled, tmp_path: Path) -> None:
    run = sampled()
    with Run.open(run) as opened:
        export = export_run(
            opened,
            load_task("livenli", ROOT / "prompts"),
            None,
            tmp_path / "out",
            options=ExportOptions("csv"),
            report=None,
        )
    assert "metrics" not in export.configs
    assert report(run) == (read_back(export, tmp_path / "runs" / "b"), report(tmp_path / "runs" / "b"))[1]
