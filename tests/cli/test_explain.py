"""``partynli explain`` as a person runs it: asked, cut off, garbled, picked, and mixed with people's."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from partynli.hashing import text_hash
from partynli.items.varierr341 import FILES
from partynli.testing import Behaviour, LoopbackProcess

DATA = Path(os.environ.get("PARTYNLI_DATA") or Path(__file__).parents[3] / "shared/data")
MODELS = DATA / "model_explanations"
PROMPTS = 24 * 3
INVERTED = "The statement is not true, as nobody sings or ever sang a song."
LIST = f"Here are some:\n\n1. Short.\n2. A \x1b[31m[bold]longer[/bold] one.\n3. {INVERTED}"

needs_data = pytest.mark.skipif(
    not ((DATA / FILES[0].path).is_file() and (MODELS / "raw").is_dir()), reason="the explanations are not there"
)


@pytest.fixture
def partynli(partynli_here: Any) -> Any:
    return partynli_here


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("partynli: ")
    return line


def test_a_simulated_participant_explains_every_label(partynli: Any, tmp_path: Path) -> None:
    args = ("explain", "--participant", "sim-typical", "--items", "demo")
    done = partynli(*args)
    assert done.returncode == 0, done.stderr
    assert f"{PROMPTS} of {PROMPTS} trials done, {PROMPTS} of them valid" in done.stdout
    assert "SYNTHETIC" in done.stdout
    run = tmp_path / "runs" / "explain-demo-sim-typical"
    rows = lines(run / "explanations-label-free-first.jsonl")
    assert len({(row["uid"], row["label"]) for row in rows}) == len(rows) == PROMPTS
    assert all(row["synthetic"] and row["rank"] == 1 and row["participant"] == "sim-typical" for row in rows)
    before = (run / "explanations-label-free-first.jsonl").read_bytes()
    assert partynli(*args).returncode == 0
    assert (run / "explanations-label-free-first.jsonl").read_bytes() == before
    db = sqlite3.connect(run / "run.sqlite")
    assert db.execute("SELECT count(*) FROM attempt").fetchone() == (PROMPTS,)
    db.close()


def test_one_run_serves_every_way_to_pick(partynli: Any, registry: Any, tmp_path: Path) -> None:
    with LoopbackProcess(default=Behaviour(text=LIST)) as server:
        registry(server.url, ["m"])
        done = partynli("explain", "--participant", "m", "--items", "demo", "--run", "r", "--pick", "longest")
        assert done.returncode == 0, done.stderr
        assert server.fetch_books().total.answered == PROMPTS
    assert "\x1b" not in done.stdout
    assert "24 explanations argue for another label" in done.stdout
    free = lines(tmp_path / "runs" / "r" / "explanations-label-free-longest.jsonl")
    assert {(row["explanation"], row["rank"]) for row in free} == {(INVERTED, 3)}
    assert Counter((row["label"], row["flagged"]) for row in free) == {
        ("true", True): 24,
        ("either", False): 24,
        ("false", False): 24,
    }
    uids = [row["uid"] for row in free[::3]]
    table = ["uid,premise,hypothesis,human_true,human_either,human_false"] + [f"{uid},p,h,1,4,0" for uid in uids]
    (tmp_path / "votes.csv").write_text("\n".join(table) + "\n")
    done = partynli("explain", "export", "--mode", "label-guided", "--labels", "votes.csv", "--out", "g.jsonl")
    assert done.returncode == 0, done.stderr
    assert "24 explanations are there twice" in done.stdout
    guided = lines(tmp_path / "g.jsonl")
    assert [(row["label"], row["rank"]) for row in guided[:5]] == [("true", 1)] + [("either", k) for k in (1, 2, 3, 1)]
    assert partynli("explain", "export", "r", "--published", "--out", "p.json").returncode == 0
    assert [label for _, label in lines(tmp_path / "p.json")[0]["machine_comments"]] == ["e", "n", "c"]
    # what is written can be read where explanations are taken
    shown = partynli("explain", "variability", "g.jsonl", "p.json", "--items", "demo")
    assert shown.returncode == 0, shown.stderr


def test_two_participants_stand_apart(partynli: Any, registry: Any, tmp_path: Path) -> None:
    with LoopbackProcess(default=Behaviour(text="- So it is.")) as server:
        registry(server.url, ["m", "n"])
        assert partynli("explain", "--mix", "test", "--items", "demo", "--out", "both.jsonl").returncode == 0
    assert Counter(row["participant"] for row in lines(tmp_path / "both.jsonl")) == {"m": PROMPTS, "n": PROMPTS}
    assert "choose one of m, n" in one_line(partynli("explain", "export", "--published", "--out", "x.json"))
    assert "choose one participant" in one_line(partynli("explain", "variability", "both.jsonl", "--items", "demo"))
    assert partynli("explain", "export", "--participant", "n", "--published", "--out", "x.json").returncode == 0
    assert "did you mean" in one_line(partynli("explain", "export", "--participant", "nn", "--out", "x.json"))


def test_garbage_is_asked_again_and_then_listed(partynli: Any, registry: Any, tmp_path: Path) -> None:
    with LoopbackProcess(default=Behaviour(text="1.\n2.\n3.")) as server:
        registry(server.url, ["m"])
        done = partynli("explain", "--participant", "m", "--items", "demo", "--run", "r")
        assert server.fetch_books().total.answered == 3 * PROMPTS
    assert done.returncode == 0, done.stderr
    assert f"{PROMPTS} prompts have no valid answer so far, {PROMPTS} explanations cannot be had" in done.stdout
    assert (tmp_path / "runs" / "r" / "explanations-label-free-first.jsonl").read_text() == ""


def test_faults_leave_their_marks(partynli: Any, registry: Any) -> None:
    faulty = Behaviour(
        text=LIST, fault_share=0.4, faults=("empty", "refusal_text", "truncated", "reasoning", "prose", "server_error")
    )
    with LoopbackProcess(default=faulty) as server:
        registry(server.url, ["m"])
        done = partynli("explain", "--participant", "m", "--items", "demo", "--run", "r")
    assert done.returncode == 0, done.stderr
    assert "answers end at the token limit" in done.stdout


@pytest.mark.slow
def test_a_killed_run_goes_on_and_buys_nothing_twice(
    partynli: Any, registry: Any, environ: Any, until: Any, tmp_path: Path
) -> None:
    command = ["explain", "--participant", "m", "--items", "demo", "--run", "r"]
    with LoopbackProcess(default=Behaviour(text=LIST, latency_s=0.05)) as server:
        registry(server.url, ["m"], concurrency=4)
        process = subprocess.Popen(
            [sys.executable, "-m", "partynli", *command], cwd=tmp_path, env=environ, stdout=subprocess.DEVNULL
        )
        until(lambda: server.fetch_books().total.answered >= 20)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "runs" / "r" / "explanations-label-free-first.jsonl").exists()
        done = partynli(*command)
        assert done.returncode == 0, done.stderr
        assert PROMPTS <= server.fetch_books().total.answered <= PROMPTS + 4
    assert len(lines(tmp_path / "runs" / "r" / "explanations-label-free-first.jsonl")) == PROMPTS


def test_a_limit_and_a_budget_leave_the_rest_for_later(partynli: Any, registry: Any) -> None:
    with LoopbackProcess(default=Behaviour(text=LIST)) as server:
        registry(server.url, ["m"])
        command = ("explain", "--participant", "m", "--items", "demo", "--run", "r")
        done = partynli(*command, "--limit", "10")
        assert server.fetch_books().total.answered == 10
        assert "10 of 72 trials done" in done.stdout
        assert "nothing is picked before all is answered" in done.stdout
        some = partynli("explain", "export", "--out", "some.jsonl")
        assert "62 prompts have no valid answer so far" in some.stdout
        short = partynli(*command, "--max-cost", "0.006")
        assert short.returncode == 3
        assert "the same command goes on" in short.stdout
        assert server.fetch_books().total.answered < PROMPTS
        assert partynli(*command).returncode == 0
        assert server.fetch_books().total.answered == PROMPTS


def test_a_dry_run_sends_nothing(partynli: Any, registry: Any, tmp_path: Path) -> None:
    with LoopbackProcess(default=Behaviour(text=LIST)) as server:
        registry(server.url, ["m"])
        done = partynli("explain", "--participant", "m", "--items", "demo", "--dry-run")
        assert server.fetch_books().total.received == 0
    assert "72 calls, at most $" in done.stdout
    assert not (tmp_path / "runs").exists()


def test_runs_of_explanations_are_not_taken_for_studies(partynli: Any) -> None:
    assert partynli("sample", "--participant", "sim-typical", "--trials", "2", "--run", "study").returncode == 0
    assert partynli("explain", "--participant", "sim-typical", "--items", "demo").returncode == 0
    assert "study" in partynli("report").stdout.splitlines()[0]
    assert "no lists of explanations" in one_line(partynli("explain", "export", "study", "--out", "x"))
    for command in ("report", "explore"):
        assert "`partynli explain export` reads it" in one_line(partynli(command, "explain-demo-sim-typical"))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "nothing to sample"),
        (("--participant", "sim-typicl"), "did you mean sim-typical"),
        (("--participant", "sim-typical", "--labels", "mnli"), "add --mode label-guided"),
        (("--participant", "sim-typical", "--mode", "label-guided"), "whose labels guide?"),
        (("--participant", "sim-typical", "--mode", "label-guided", "--labels", "x"), "unknown source of labels 'x'"),
        (("--participant", "sim-typical", "--mode", "label-guided", "--labels", "no.csv"), "no.csv is not there"),
        (("--mode", "label-guided", "export", "--out", "x"), "options of `explain export` go behind its name"),
        (("export", "--out", "x"), "there is no run of explanations"),
        (("replace", "--human", "h.jsonl", "--items", "demo", "--share", "25", "--out", "x"), "h.jsonl cannot be read"),
        (("select", "--validation", "v.jsonl", "--out", "x"), "choose --preferred or --unpreferred"),
        (("curve", "a.json", "--out", "x.png"), "a.json cannot be read"),
        (("curve", "a.json", "--out", "x.gif"), "must end in"),
    ],
)
def test_what_cannot_be_done_is_one_line(args: tuple[str, ...], message: str, partynli: Any) -> None:
    if {"export", "replace", "select", "curve"} & set(args):
        assert message in one_line(partynli("explain", *args))
    else:
        assert message in one_line(partynli("explain", "--items", "demo", *args))


def test_a_file_that_cannot_be_written_is_one_line(partynli: Any, tmp_path: Path) -> None:
    assert partynli("explain", "--participant", "sim-typical", "--items", "demo").returncode == 0
    assert "cannot be written" in one_line(partynli("explain", "export", "--out", "no/such/folder/x.jsonl"))


@needs_data
def test_the_published_files_come_out_and_what_differs_is_listed(partynli: Any) -> None:
    files = [str(MODELS / "mixtral" / f"label-free-{how}.jsonl") for how in ("first", "longest")]
    done = partynli("explain", "check", str(MODELS / "raw" / "mixtral.jsonl"), *files, PARTYNLI_DATA=str(DATA))
    assert done.returncode == 0, done.stderr
    assert "14 x the file has a line before or behind the list" in done.stdout
    assert done.stdout.count("    here: ") == 25
    assert "0.9853" in done.stdout
    assert "0.9902" in done.stdout


@needs_data
def test_sets_of_people_and_a_model_go_into_other_commands(partynli: Any, tmp_path: Path) -> None:
    data = {"PARTYNLI_DATA": str(DATA)}
    model = str(MODELS / "llama3" / "varierr-label-guided-first.jsonl")
    done = partynli("explain", "replace", "--model", model, "--share", "50", "--seed", "2", "--out", "m.jsonl", **data)
    assert "682 of 1,364 explanations replaced (50.00 %)" in done.stdout, done.stderr
    assert Counter(row["source"] for row in lines(tmp_path / "m.jsonl")) == {"human": 682, "model": 682}
    assert "takes none" in one_line(
        partynli("explain", "replace", "--model", model, "--with", "noise", "--share", "50", "--out", "x", **data)
    )
    free = str(MODELS / "llama3" / "label-free-first.jsonl")
    few = partynli("explain", "replace", "--model", free, "--share", "100", "--out", "f.jsonl", **data)
    assert "771 more were to be replaced" in few.stdout
    validated = str(MODELS / "validated_llama3.jsonl")
    chosen = partynli(
        "explain", "select", "--validation", validated, "--preferred", "--greedy", "--out", "s.jsonl", **data
    )
    assert "334 of 400 explanations replaced (83.50 %)" in chosen.stdout, chosen.stderr
    shown = partynli("explain", "variability", "human", "m.jsonl", "s.jsonl", **data)
    assert shown.returncode == 0, shown.stderr
    assert [row.split()[2:5] for row in shown.stdout.splitlines() if row.startswith("human")] == [
        ["0.336", "0.105", "0.046"]
    ]


def test_single_explanations_are_said_to_be_in_no_figure(partynli: Any, tmp_path: Path) -> None:
    items = [{"uid": uid, "premise": f"{uid} rains.", "hypothesis": "It is wet."} for uid in "abc"]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(one) + "\n" for one in items))
    said = [("a", "It rains."), ("a", "It snows."), ("b", "Alone."), ("c", "Yes."), ("c", "No.")]
    rows = [json.dumps({"uid": uid, "label": "true", "explanation": text}) + "\n" for uid, text in said]
    (tmp_path / "said.jsonl").write_text("".join(rows))
    done = partynli("explain", "variability", "said.jsonl", "--items", "items.jsonl")
    assert "said.jsonl: 1 item has one explanation and is in no figure" in done.stdout, done.stderr
    (row,) = [line.split() for line in done.stdout.splitlines() if line.startswith("said.jsonl  ")]
    assert row[1:6] == ["2", "0.583", "0.000", "0.000", "(1)"], "of two words and signs none is a run of three"


@pytest.mark.parametrize("name", ["tfidf", "some/model:minus-item"])
def test_variability_takes_embedders_of_whole_sentences(partynli: Any, name: str) -> None:
    done = partynli("explain", "variability", "said.jsonl", "--items", "demo", "--embedder", name)
    assert "sentences are compared as they stand" in one_line(done)


def test_two_curves_are_drawn_from_reports(partynli: Any, tmp_path: Path) -> None:
    def report(name: str, source: str, distance: float, known: int = 341, **other: object) -> str:
        given = {"source": source}
        if source != "human":
            given["hash"] = text_hash((tmp_path / source).read_text())
        rows = [
            {"kind": "mjd", "name": f"{name} (m)", "n_items": known, "jsd": {"value": distance}},
            {"kind": "baseline", "name": "uniform", "jsd": {"value": 9}},
        ]
        terms = {"run": name, "reference": "chaosnli", "transform": {"kind": "norm"}, "n_items": 341, "synthetic": True}
        design = {"items": "varierr341", "design": {"mode": "serial"}, "explanations": given}
        (tmp_path / name).write_text(json.dumps({**terms, "design": design, "rows": rows, **other}))
        return name

    reports = [report("human.json", "human", 0.2)]
    for by, far in (("model", 0.01), ("noise", 0.1)):
        for seed in (0, 1):
            made = {"with": by, "share": 100, "seed": seed}
            new = {"model": 1 + seed, "noise": 4}[by]  # of a model's less than was asked for, as some labels run out
            sources = [by] * new + ["human"] * (4 - new)
            rows = [json.dumps({"uid": "a", "source": source, "made": made}) + "\n" for source in sources]
            (tmp_path / f"{by}{seed}.jsonl").write_text("".join(rows))
            reports.append(report(f"{by}{seed}.json", f"{by}{seed}.jsonl", 0.2 + far + seed / 100))
    done = partynli("explain", "curve", *reports, "--out", "curves.svg")
    assert done.returncode == 0, done.stderr
    cells = [line.split() for line in done.stdout.splitlines()]
    assert ["noise", "100", "%", "100.0", "%", "0.305", "0.241", "0.369", "2"] in cells
    assert ["model", "100", "%", "37.5", "%", "0.215", "0.151", "0.279", "2"] in cells
    assert ["model", "0", "%", "0.0", "%", "0.200", "–", "–", "1"] in cells
    drawn = (tmp_path / "curves.svg").read_text()
    assert "replaced by noise (2 seeds)" in drawn
    assert "human explanations replaced (%)" in drawn
    assert "SYNTHETIC" in drawn
    other = report("other.json", "human", 0.2, reference="mnli", n_items=3)
    assert "they differ in reference, n_items" in one_line(
        partynli("explain", "curve", reports[1], other, "--out", "x.png")
    )
    half = report("half.json", "human", 0.2, known=185)
    assert "they differ in how many items have distributions" in one_line(
        partynli("explain", "curve", reports[1], half, "--out", "x.png")
    )
    (tmp_path / "noise1.jsonl").write_text("changed")
    assert "it has changed since" in one_line(partynli("explain", "curve", *reports, "--out", "x.png"))
    assert "two runs have" in one_line(partynli("explain", "curve", *reports[:2], reports[1], "--out", "x.png"))
    assert "there is no curve" in one_line(partynli("explain", "curve", reports[0], "--out", "x.png"))
