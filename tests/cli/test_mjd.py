"""``partynli mjd`` as a person runs it: a simulated participant, a server, files, and what goes wrong."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from partynli.finetune.softlabels import read_soft_labels
from partynli.items.varierr341 import FILES
from partynli.testing import Behaviour, LoopbackProcess

DATA = Path(os.environ.get("PARTYNLI_DATA") or Path(__file__).parents[3] / "shared" / "data")
ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]
needs_data = pytest.mark.skipif(not (DATA / FILES[0].path).is_file(), reason="the 341 items are not there")
ITEMS = [
    {"uid": f"i{k}", "premise": f"The {k} men sang.", "hypothesis": f"{k} people sang.", "human_true": 3 + k,
     "human_either": 2, "human_false": 1}
    for k in range(5)
]  # fmt: skip
SAID = [
    {"uid": item["uid"], "label": label, "explanation": f"Said of {item['uid']}: {label} \x1b[31m|<b>"}
    for item in ITEMS[:4]
    for label in ("true", "either")
]


@pytest.fixture
def partynli(partynli_here: Any) -> Any:
    return partynli_here


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, rows in (("items", ITEMS), ("said", SAID)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


@pytest.fixture
def mjd(partynli: Run) -> Run:
    def run(what: str, *args: str, **more: str) -> subprocess.CompletedProcess[str]:
        return partynli("mjd", what, *args, **more)

    return run


def ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    return line


def rows(folder: Path, run: str, what: str) -> list[tuple[Any, ...]]:
    db = sqlite3.connect(folder / "runs" / run / "run.sqlite")
    try:
        return db.execute(f"SELECT {what} FROM attempt ORDER BY id").fetchall()
    finally:
        db.close()


def report(mjd: Run, *args: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ok(mjd("report", *args, "--json")))
    return found


SIM = ("--participant", "sim-typical", "--items", "items.jsonl")


@pytest.mark.slow
@needs_data
def test_the_341_items_without_a_key(mjd: Run, partynli: Run) -> None:
    data = {"PARTYNLI_DATA": str(DATA)}
    said = ok(mjd("run", "--participant", "sim-typical", "--run", "plain", **data))
    assert "341 items, 6 prompts each: 2,046 prompts" in said
    assert "2,046 of 2,046 trials done" in said
    human = ("--explanations", "human", "--mode", "parallel", "--explicit", "--orders", "2")
    assert "4,092 of 4,092" in ok(mjd("run", "--participant", "sim-typical", "--run", "human", *human, **data))
    ok(partynli("sample", "--mix", "demo", "--trials", "1", "--items", "varierr341", "--run", "votes", **data))
    found = json.loads(ok(mjd("report", "human", "--with", "votes", "--with", "plain", "--json", **data)))
    by_name = {row["name"]: row for row in found["rows"]}
    assert list(by_name) == [
        "human (sim-typical)", "votes (all 10)", "plain (sim-typical)", "uniform", "mnli single label",
        "mnli distribution", "varierr distribution",
    ]  # fmt: skip
    figures = ("kl", "jsd", "tvd", "distance_correlation")
    printed = {name: [f"{row[one]['value']:.3f}" for one in figures] for name, row in by_name.items()}
    assert printed["mnli single label"] == ["9.288", "0.422", "0.435", "0.612"]
    assert printed["mnli distribution"] == ["1.242", "0.209", "0.215", "0.795"]
    assert printed["varierr distribution"] == ["3.604", "0.282", "0.286", "0.688"]
    assert printed["uniform"] == ["0.365", "0.307", "0.350", "0.000"]
    assert by_name["votes (all 10)"]["votes"] == 10
    near = json.loads(ok(mjd("report", "human", "--reference", "mjd:plain", "--json", **data)))
    assert near["rows"][0]["tvd"]["value"] < 0.05
    assert near["rows"][0]["distance_correlation"]["value"] > 0.9


def test_dry_run_says_the_number_and_sends_nothing(mjd: Run, files: Path) -> None:
    said = ok(mjd("run", *SIM, "--explanations", "said.jsonl", "--dry-run"))
    assert "48 calls" in said
    assert "1 of 5 items have no explanation and are left out" in said
    assert not (files / "runs").exists()


def test_scores_are_kept_and_resumed_and_never_asked_twice(mjd: Run, partynli: Run, files: Path) -> None:
    ok(mjd("run", *SIM, "--run", "r", "--limit", "7"))
    assert len(rows(files, "r", "id")) == 7
    half = report(mjd, "r", "--reference", "human")
    assert half["prompts"] == {"asked": 30, "answered": 7, "with_missing_options": 0, "items_in_part": 1,
                               "widest_interval": 0}  # fmt: skip
    assert "2 of 5 items that have a distribution" in half["notes"][0]
    ok(mjd("report", "r", "--reference", "human", "--items-out", "half.csv", "--soft-labels", "half.jsonl"))
    with (files / "half.csv").open(newline="") as file:
        assert [(row["prompts"], row["prompts_asked"]) for row in csv.DictReader(file)][:3] == [
            ("6", "6"), ("1", "6"), ("0", "6")
        ]  # fmt: skip
    soft = [json.loads(line) for line in (files / "half.jsonl").read_text().splitlines()]
    assert [(row["n"], row["n_asked"]) for row in soft] == [(6, 6), (1, 6)]
    assert "30 of 30 trials done" in ok(partynli("resume", "r"))
    assert "30 of 30 trials done" in ok(mjd("run", *SIM, "--run", "r"))
    assert len(set(rows(files, "r", "trial_key"))) == len(rows(files, "r", "id")) == 30
    assert "items was" in refused(mjd("run", *SIM, "--run", "r", "--explanations", "said.jsonl")) or "another plan" in (
        refused(mjd("run", *SIM, "--run", "r", "--explanations", "said.jsonl"))
    )


def test_a_run_beside_another_is_doubted_where_it_is_answered_in_part_or_of_other_texts(mjd: Run, files: Path) -> None:
    ok(mjd("run", *SIM, "--run", "r"))
    ok(mjd("run", *SIM, "--run", "half", "--limit", "7"))
    other = [item | ({"premise": "Nobody sang."} if item["uid"] == "i3" else {}) for item in ITEMS]
    (files / "other.jsonl").write_text("".join(json.dumps(row) + "\n" for row in other))
    ok(mjd("run", "--participant", "sim-typical", "--items", "other.jsonl", "--run", "other"))
    in_part, texts = "1 items have some of their prompts answered", "has other texts for 1 items of the same uid: i3"
    for how in (("--reference", "mjd:{}"), ("--reference", "human", "--with", "{}")):
        for run, said in (("half", in_part), ("other", texts)):
            notes = report(mjd, "r", *(arg.format(run) for arg in how))["notes"]
            assert any(said in note for note in notes)
    assert report(mjd, "r", "--reference", "mjd:r")["notes"] == []


def test_a_server_is_asked_for_log_probabilities_and_paid(mjd: Run, files: Path, registry: Any) -> None:
    with LoopbackProcess({"m": Behaviour()}, keep_requests=1) as server:
        registry(server.url, ["m"])
        said = ok(
            mjd("run", "--participant", "m", "--items", "items.jsonl", "--explanations", "said.jsonl", "--run", "r")
        )
        assert "4 items, 12 prompts each: 48 prompts" in said
        assert "at most about $" in said
        (body,) = (one["body"] for one in server.fetch_books().requests)
    assert body["max_tokens"] == 1
    assert body["top_logprobs"] == 20
    assert [message["role"] for message in body["messages"]] == ["user"]
    assert all(cost > 0 for (cost,) in rows(files, "r", "cost"))
    assert "raw logits that are all positive" in refused(mjd("report", "r", "--transform", "norm"))
    found = report(mjd, "r", "--reference", "human")
    assert found["rows"][0]["kl"]["n"] == 4
    assert found["rows"][0]["kl"]["ci"][0] <= found["rows"][0]["kl"]["value"] <= found["rows"][0]["kl"]["ci"][1]


def test_options_outside_the_likeliest_are_bounded_and_said(mjd: Run, files: Path, registry: Any) -> None:
    scores = {"A": -0.1, "B": -3.0, "x": -4.0, **{f"t{k}": -5.0 - k for k in range(30)}, "C": -60.0}
    with LoopbackProcess({"m": Behaviour(token_scores=scores)}) as server:
        registry(server.url, ["m"])
        ok(mjd("run", "--participant", "m", "--items", "items.jsonl", "--run", "r"))
    found = report(mjd, "r", "--reference", "human")
    assert found["prompts"]["with_missing_options"] == 30
    assert found["prompts"]["widest_interval"] > 0.1
    said = " ".join(ok(mjd("report", "r", "--reference", "human", "--soft-labels", "s.jsonl")).split())
    assert "in 30 of 30 prompts (5 items) an option was not among the tokens returned" in said
    for line in (files / "s.jsonl").read_text().splitlines():
        row = json.loads(line)
        assert all(low <= p <= high for low, p, high in zip(row["p_low"], row["p"], row["p_high"], strict=True))
        assert min(row["p"]) > 0
    assert "score of every option" in refused(mjd("report", "r", "--transform", "norm", "--reference", "human"))


def test_a_report_without_any_answer_is_dashes_and_no_warning(mjd: Run, files: Path, registry: Any) -> None:
    with LoopbackProcess({"m": Behaviour(token_scores={"(A": -0.1, "(B": -3.0, "(C": -4.0})}) as server:
        registry(server.url, ["m"])
        ok(mjd("run", "--participant", "m", "--items", "items.jsonl", "--run", "r"))
    done = mjd("report", "r", "--reference", "human", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["prompts"]["answered"], found["prompts"]["widest_interval"]) == (0, None)
    assert found["rows"][0]["kl"]["value"] is None
    said = ok(mjd("report", "r", "--reference", "human", "--plot", "p.svg"))
    assert "0 of 30 prompts are answered" in said
    assert "0 of 5 items that have a distribution" in said


def test_more_explanations_than_there_are_is_said(mjd: Run, files: Path) -> None:
    assert "4 of 4 items have fewer than 3 explanations" in ok(
        mjd("run", *SIM, "--explanations", "said.jsonl", "--count", "3", "--dry-run")
    )
    assert "fewer" not in ok(mjd("run", *SIM, "--explanations", "said.jsonl", "--count", "2", "--dry-run"))


def test_a_model_that_thinks_costs_one_call_a_slot_and_is_stopped(mjd: Run, files: Path, registry: Any) -> None:
    with LoopbackProcess({"m": Behaviour(fault_share=1.0, faults=("reasoning_content",))}) as server:
        registry(server.url, ["m"], concurrency=2)
        done = mjd("run", "--participant", "m", "--items", "items.jsonl", "--run", "r")
    assert done.returncode == 1
    assert "turn thinking off" in done.stdout
    assert len(rows(files, "r", "id")) <= 4
    assert all(answer for (answer,) in rows(files, "r", "response"))


def test_soft_labels_are_what_fine_tuning_reads(mjd: Run, files: Path) -> None:
    ok(mjd("run", *SIM, "--run", "r"))
    ok(mjd("report", "r", "--reference", "human", "--soft-labels", "s.jsonl", "--items-out", "i.csv"))
    first = json.loads((files / "s.jsonl").read_text().splitlines()[0])
    assert [first[key] for key in ("uid", "labels", "n", "source", "transform", "temperature", "run", "synthetic")] == [
        "i0", ["true", "either", "false"], 6, "option scores", "softmax", 20.0, "r", True,
    ]  # fmt: skip
    assert first["run_hash"].startswith("sha256:")
    read = read_soft_labels(files / "s.jsonl")
    assert read.pairs[0] == (ITEMS[0]["premise"], ITEMS[0]["hypothesis"])
    with (files / "i.csv").open() as table:
        listed = list(csv.DictReader(table))
    csv_p = np.array([[float(row[f"p_{label}"]) for label in ("true", "either", "false")] for row in listed])
    assert csv_p == pytest.approx(read.p, abs=1e-5)
    assert [row["synthetic"] for row in listed] == ["SYNTHETIC"] * 5
    again = report(mjd, "r", "--reference", "s.jsonl")
    assert again["rows"][0]["tvd"]["value"] == pytest.approx(0, abs=1e-12)


def test_soft_labels_as_a_reference_are_read_in_the_order_of_the_runs_labels(
    mjd: Run, files: Path, registry: Any
) -> None:
    folder = files / "turned" / "mjd"
    shutil.copytree(ROOT / "prompts" / "mjd", folder)
    task = (folder / "task.yaml").read_text().replace('["true", "either", "false"]', '["false", "true", "either"]')
    (folder / "task.yaml").write_text(task)
    ask = ("--participant", "m", "--items", "items.jsonl", "--run")
    with LoopbackProcess({"m": Behaviour()}) as server:
        registry(server.url, ["m"])
        ok(mjd("run", *ask, "plain"))
        ok(mjd("run", *ask, "turned", "--prompts", "turned"))
    ok(mjd("report", "plain", "--reference", "human", "--soft-labels", "s.jsonl"))
    found = report(mjd, "turned", "--reference", "s.jsonl")
    assert found["labels"] == ["false", "true", "either"]
    assert found["rows"][0]["tvd"]["value"] == pytest.approx(0, abs=1e-12)
    assert found["rows"][1]["tvd"]["value"] > 1e-3


def test_soft_labels_of_other_texts_as_a_reference_are_doubted(mjd: Run, files: Path) -> None:
    ok(mjd("run", *SIM, "--run", "r"))
    ok(mjd("report", "r", "--soft-labels", "s.jsonl"))
    assert report(mjd, "r", "--reference", "s.jsonl")["notes"] == []
    rows = [json.loads(line) for line in (files / "s.jsonl").read_text().splitlines()]
    rows[0]["premise"] = "Another text."
    (files / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert report(mjd, "r", "--reference", "s.jsonl")["notes"] == [
        "s.jsonl has other texts for 1 items of the same uid: i0"
    ]


def test_soft_labels_as_parquet_are_the_same(mjd: Run, files: Path) -> None:
    pytest.importorskip("pyarrow")
    ok(mjd("run", *SIM, "--run", "r"))
    for name in ("s.jsonl", "s.parquet"):
        ok(mjd("report", "r", "--reference", "human", "--soft-labels", name))
    assert read_soft_labels(files / "s.parquet").hash == read_soft_labels(files / "s.jsonl").hash


def test_soft_labels_of_a_run_of_ordinary_answers(mjd: Run, partynli: Run, files: Path) -> None:
    ok(partynli("sample", "--mix", "demo", "--trials", "1", "--items", "items.jsonl", "--run", "votes"))
    ok(mjd("report", "votes", "--reference", "human", "--soft-labels", "s.jsonl"))
    for line in (files / "s.jsonl").read_text().splitlines():
        row = json.loads(line)
        assert row["source"] == "answers"
        assert row["n"] == sum(row["counts"])
        assert row["p"] == pytest.approx([one / row["n"] for one in row["counts"]])
        assert row["p_low"] is row["transform"] is None


def test_imported_people_are_no_participants_of_a_run_of_answers(mjd: Run, partynli: Run, files: Path) -> None:
    head = "sent_id,participant,participant_type,experiment,class_multi\n"
    said = [("m1", "model", "mix", "true"), ("m2", "model", "mix", "either")]
    said += [(f"w{k}", "human", "human", "false") for k in range(6)]
    rows = [",".join((item["uid"], *one)) + "\n" for item in ITEMS for one in said]
    (files / "answers.csv").write_text(head + "".join(rows))
    ok(partynli("import", "answers.csv", "--items", "items.jsonl", "--run", "both"))
    found = report(mjd, "both", "--soft-labels", "both.jsonl")
    votes = {row["name"]: row["votes"] for row in found["rows"]}
    assert votes == {"both (all 2 models)": 2, "both: human": 6, "uniform": None}
    labels = [json.loads(line) for line in (files / "both.jsonl").read_text().splitlines()]
    assert [one["counts"] for one in labels] == [[1, 1, 0]] * len(ITEMS)
    assert [one["n"] for one in labels] == [2] * len(ITEMS)
    of_people = [line for line in rows if "human" in line]
    (files / "people.csv").write_text(head + "".join(of_people))
    ok(partynli("import", "people.csv", "--items", "items.jsonl", "--run", "people"))
    assert [row["name"] for row in report(mjd, "people")["rows"]] == ["people (all 6)", "uniform"]


@pytest.fixture
def of_texts(partynli: Run, tmp_path: Path) -> str:
    """A run of a task with other texts than premise and hypothesis, and two labels."""
    folder = tmp_path / "own" / "tone"
    folder.mkdir(parents=True)
    (folder / "task.yaml").write_text(
        "name: tone\nlabels: [bad, good]\nfields: [text]\nanswer: {label: tone, explanation: why}\n"
    )
    (folder / "system.txt").write_text("Good or bad?\n")
    (folder / "user.txt").write_text("Text: {}\n")
    (tmp_path / "texts.csv").write_text("uid,text,human_bad,human_good\na,It rains.,1,7\nb,Cats sleep.,3,3\n")
    of = ("--task", "tone", "--prompts", "own", "--items", "texts.csv", "--run", "tone")
    ok(partynli("sample", "--mix", "demo", "--trials", "1", *of))
    return "tone"


def test_a_run_of_a_task_of_ones_own(mjd: Run, of_texts: str, files: Path) -> None:
    found = report(mjd, of_texts, "--with", of_texts, "--items-out", "items.csv")
    assert [row["n_items"] for row in found["rows"]] == [2, 2, 2]
    with (files / "items.csv").open(newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)] == ["It rains.", "Cats sleep."]
    assert "three labels" in refused(mjd("report", of_texts, "--plot", "p.svg"))
    why = refused(mjd("report", of_texts, "--soft-labels", "s.jsonl"))
    assert "soft labels are of a premise and a hypothesis; the items of run tone have text" in why


def test_a_row_that_lacks_items_is_drawn(mjd: Run, files: Path) -> None:
    ok(mjd("run", *SIM, "--run", "part", "--limit", "15"))
    ok(mjd("report", "part", "--plot", "part.svg"))
    assert "part (sim-typical)" in (files / "part.svg").read_text()
    (files / "items.jsonl").write_text(json.dumps(ITEMS[0]) + "\n")
    ok(mjd("run", *SIM, "--run", "one"))
    ok(mjd("report", "one", "--plot", "one.svg"))
    assert "one (sim-typical)" in (files / "one.svg").read_text()


def test_plots_and_markdown(mjd: Run, files: Path) -> None:
    pytest.importorskip("matplotlib")
    ok(mjd("run", *SIM, "--run", "r"))
    ok(mjd("report", "r", "--reference", "human", "--plot", "p.svg"))
    assert "SYNTHETIC" in (files / "p.svg").read_text()
    text = (files / "runs/r/mjd.md").read_text()
    assert "**SYNTHETIC" in text
    assert "p\\_softmax, T = 20" in text


def test_the_newest_run_of_each_kind_is_the_default(mjd: Run, partynli: Run, files: Path) -> None:
    ok(partynli("sample", "--mix", "demo", "--trials", "1", "--items", "items.jsonl", "--run", "votes"))
    assert "no run of option scores" in refused(mjd("report"))
    ok(mjd("run", *SIM, "--run", "scores"))
    newest = report(mjd)
    assert (newest["run"], newest["reference"]) == ("scores", "human")  # the only people of these items
    assert "run votes" in ok(partynli("report"))


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("--participant", "sim-typicl"), "did you mean sim-typical"),
        (("--participant", "claude-opus-4"), "the route litellm gives no scores"),
        ((*SIM, "--explicit"), "add --explanations"),
        ((*SIM, "--explanations", "said.jsonl", "--mode", "parallel", "--count", "2"), "leave out --count"),
        ((*SIM, "--explanations", "human"), "of the items varierr341"),
        ((*SIM, "--explanations", "nowhere.jsonl"), "nowhere.jsonl cannot be read"),
        ((*SIM, "--orders", "some"), "all or a number"),
        ((*SIM, "--orders", "0"), "all or a number"),
        ((*SIM, "--prompts", "."), "unknown task 'mjd'"),
    ],
)
def test_what_cannot_be_asked_is_one_line(mjd: Run, files: Path, args: tuple[str, ...], why: str) -> None:
    more = () if "--items" in args else ("--items", "items.jsonl")
    assert why in refused(mjd("run", *args, *more))


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("--reference", "humn"), "did you mean human"),
        (("--reference", "mjd:nobody"), "unknown run"),
        (("--reference", "nowhere.jsonl"), "cannot be read"),
        (("--reference", "human", "--temperature", "inf", "--json"), "--temperature"),
        (("--reference", "human", "--temperature", "1e-320"), "--temperature"),
        (("--reference", "human", "--temperature", "nan"), "not above 0"),
        (("--reference", "human", "--soft-labels", "s.txt"), ".jsonl or .parquet"),
        (("--reference", "human", "--plot", "p.bmp"), "must end in"),
        (("--reference", "human", "--soft-labels", "no/where/s.jsonl"), "cannot be written"),
    ],
)
def test_what_cannot_be_reported_is_one_line(mjd: Run, files: Path, args: tuple[str, ...], why: str) -> None:
    ok(mjd("run", *SIM, "--run", "r"))
    assert why in refused(mjd("report", "r", *args))
