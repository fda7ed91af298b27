"""``sample --until-ci``: the same items get the same trials, whatever happens on the way."""

from __future__ import annotations

import csv
import json
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from partynli.testing import Behaviour, LoopbackProcess

Command = Callable[..., CompletedProcess[str]]
RULE = ("sample", "--mix", "demo", "--trials", "6", "--until-ci", "0.35")


def asked(run: Path) -> dict[str, int]:
    """Attempts of every trial that was asked, by its key."""
    db = sqlite3.connect(run / "run.sqlite")
    try:
        return dict(db.execute("SELECT trial_key, count(*) FROM attempt GROUP BY trial_key"))
    finally:
        db.close()


def rounds(run: Path) -> dict[str, int]:
    db = sqlite3.connect(run / "run.sqlite")
    try:
        return dict(db.execute("SELECT item, max(trial) FROM attempt GROUP BY item"))
    finally:
        db.close()


def test_items_get_as_many_trials_as_they_need(partynli_here: Command, tmp_path: Path) -> None:
    done = partynli_here(*RULE, "--run", "r")
    assert done.returncode == 0, done.stderr
    found = rounds(tmp_path / "runs" / "r")
    assert min(found.values()) == 2
    assert len(set(found.values())) > 2
    settled = sum(after < 6 for after in found.values())
    assert f"{10 * sum(found.values()):,} of {10 * sum(found.values()):,} trials done" in done.stdout
    status = json.loads(partynli_here("status", "r", "--json").stdout)
    assert status["items"] == 24
    assert settled <= status["items_settled"] < 24
    assert status["until_ci"] == 0.35
    assert sum(one["planned"] for one in status["participants"]) == 10 * sum(found.values())
    assert f"{status['items_settled']} of 24 items settled" in partynli_here("status", "r").stdout
    before = asked(tmp_path / "runs" / "r")
    for again in (partynli_here(*RULE, "--run", "r"), partynli_here("resume", "r")):
        assert again.returncode == 0, again.stderr
        assert asked(tmp_path / "runs" / "r") == before


def test_interrupted_and_resumed_it_comes_to_the_same_trials(partynli_here: Command, tmp_path: Path) -> None:
    partynli_here(*RULE, "--run", "whole")
    part = partynli_here(*RULE, "--run", "parts", "--limit", "300")
    assert "go on with it: partynli resume parts" in part.stdout
    status = json.loads(partynli_here("status", "parts", "--json").stdout)
    assert status["items_settled"] == 0, "the second round is not over"
    for limit in ("333", "77", "2000"):
        done = partynli_here("resume", "parts", "--limit", limit)
        assert done.returncode == 0, done.stderr
    assert asked(tmp_path / "runs" / "parts") == asked(tmp_path / "runs" / "whole")


def test_a_narrower_width_goes_on_and_a_wider_one_is_refused(partynli_here: Command, tmp_path: Path) -> None:
    strict = (*RULE[:-1], "0.3", "--run")
    partynli_here(*RULE, "--run", "r")
    first = asked(tmp_path / "runs" / "r")
    done = partynli_here(*strict, "r")
    assert done.returncode == 0, done.stderr
    partynli_here(*strict, "anew")
    assert first.keys() < asked(tmp_path / "runs" / "r").keys() == asked(tmp_path / "runs" / "anew").keys()
    manifest = json.loads((tmp_path / "runs" / "r" / "manifest.json").read_text("utf-8"))
    assert manifest["plan"]["until_ci"] == {"width": 0.3}
    for other in (RULE, RULE[:-2], (*RULE[:4], "5", *RULE[5:-1], "0.2")):
        refused = partynli_here(*other, "--run", "r")
        assert refused.returncode == 2
        assert "was made by another plan" in refused.stderr
        assert json.loads((tmp_path / "runs" / "r" / "manifest.json").read_text("utf-8")) == manifest


def test_a_dry_run_says_least_and_most(partynli_here: Command) -> None:
    done = partynli_here(*RULE, "--dry-run")
    assert "--until-ci: from 480 calls, where every item is settled at once, to 1,440" in done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--batch",), "leave out one of the two"),
        (("--engine", "ray"), "leave out --engine ray"),
        (("--trials", "2"), "give --trials of 3 or more"),
        (("--until-ci", "0"), "0.0 is not in the range x>0"),
        (("--until-ci", "nan"), "nan is no width"),
        (("--until-ci", "1.1"), "no entropy of 3 labels exceeds 1.099 nats"),
    ],
)
def test_what_cannot_go_round_by_round_gets_one_line(
    options: tuple[str, ...], said: str, partynli_here: Command, tmp_path: Path
) -> None:
    done = partynli_here(*RULE, "--run", "r", *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_damaged_rule_is_refused(partynli_here: Command, tmp_path: Path) -> None:
    partynli_here(*RULE, "--run", "r", "--limit", "20")
    file = tmp_path / "runs" / "r" / "manifest.json"
    manifest = json.loads(file.read_text("utf-8"))
    for rule in ({"width": "0.3"}, {"width": 0}, {"width": True}, [0.3], {}):
        file.write_text(json.dumps({**manifest, "plan": {**manifest["plan"], "until_ci": rule}}), "utf-8")
        done = partynli_here("resume", "r")
        assert done.returncode == 2
        assert "its plan's until_ci has no width above 0" in done.stderr


def test_reports_say_it_and_take_the_trials_that_all_items_have(partynli_here: Command) -> None:
    partynli_here(*RULE, "--run", "r")
    partynli_here("sample", "--mix", "demo", "--trials", "2", "--run", "two")
    note = "items were settled one by one (--until-ci 0.35): 20 to 60 answers an item"
    early, even = (json.loads(partynli_here("report", name, "--json").stdout) for name in ("r", "two"))
    assert any(note in line for line in early["notes"])
    assert any("figures are of trials 1 to 2, which all items have" in line for line in early["notes"])
    figures = [
        {one["name"]: one["entropy"]["value"] for one in found["scopes"]["all"]["groups"]} for found in (early, even)
    ]
    assert figures[0] == figures[1]
    assert note in partynli_here("randommix", "r", "--size", "3", "--draws", "10").stdout
    assert note in partynli_here("explore", "r", "--no-open").stdout


def test_a_first_round_that_is_not_through_is_not_said_to_be(partynli_here: Command) -> None:
    partynli_here(*RULE, "--run", "r", "--limit", "100")  # of 240 in trial 1: 24 items, 10 participants
    found = json.loads(partynli_here("report", "r", "--json").stdout)
    said = " / ".join(found["notes"])
    assert "figures are of trial 1, which not all items have yet; 0 answers to open items are left out" in said
    assert "trials that lack items: 10 of 10, which hold 10 of 24" in said


def test_answers_that_cannot_be_read_are_no_votes(registry: Callable[..., Path], partynli_here: Command) -> None:
    with LoopbackProcess(default=Behaviour(faults=("refusal",), fault_share=0.2, seed=2)) as server:
        registry(server.url, ["a", "b", "c"], rpm=600000)
        command = ("sample", "--mix", "test", "--items", "demo", "--trials", "5", "--until-ci", "0.6", "--run", "r")
        done = partynli_here(*command)
        again = partynli_here(*command)
    assert "items settled" in done.stdout, done.stderr
    last = [line for line in done.stdout.splitlines() if "items settled" in line][-1]
    assert last in again.stdout


def test_an_export_says_it_and_holds_the_figures_of_the_report(partynli_here: Command, tmp_path: Path) -> None:
    partynli_here(*RULE, "--run", "r")
    assert partynli_here("export", "r", "--out", "out", "--format", "csv").returncode == 0
    early = json.loads(partynli_here("report", "r", "--json").stdout)
    with next((tmp_path / "out" / "data" / "metrics").glob("*.csv")).open(encoding="utf-8", newline="") as file:
        written = {row["group"]: float(row["value"]) for row in csv.DictReader(file) if row["figure"] == "entropy"}
    for one in early["scopes"]["all"]["groups"]:
        assert written[one["name"]] == pytest.approx(one["entropy"]["value"])
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "Items have different numbers of answers" in card
    assert "narrower than 0.35 nats" in card
    assert "each asked 2 to 6 times of every participant" in card
    described = json.loads((tmp_path / "out" / "croissant.json").read_text("utf-8"))
    assert described["rai:annotationsPerItem"] == "20 to 60"
    assert any("different numbers of answers" in line for line in described["rai:dataAnnotationProtocol"])
    assert partynli_here("import", "out", "--run", "back").returncode == 0
    back = json.loads(partynli_here("report", "back", "--json").stdout)
    assert back["scopes"]["all"]["groups"] == early["scopes"]["all"]["groups"]


def test_who_joins_late_is_asked_all_that_is_due(
    registry: Callable[..., Path], partynli_here: Command, tmp_path: Path
) -> None:
    with LoopbackProcess(default=Behaviour(seed=2), behaviours={"c": Behaviour(script=("unauthorized",))}) as server:
        registry(server.url, ["a", "b", "c"], concurrency=1, rpm=600000)
        first = partynli_here(
            *("sample", "--mix", "test", "--items", "demo", "--trials", "4", "--until-ci", "0.6", "--run", "r")
        )
        assert "c stopped" in first.stdout
        rounds_told = re.findall(r"round \d: (\d+) of 24 items settled", first.stdout)
        assert f"\n{rounds_told[-1]} of 24 items settled" in first.stdout, "the last round is over without c"
        for limit in ("5", "1000"):
            done = partynli_here("resume", "r", "--limit", limit)
            (settled, planned) = re.findall(r"(\d+) of (\d+) trials done", done.stdout)[-1]
            assert ("go on with it" in done.stdout) == (int(settled) < int(planned)), done.stdout
            assert int(settled) <= int(planned)
        assert settled == planned
    status = json.loads(partynli_here("status", "r", "--json").stdout)
    assert all(one["planned"] == one["valid"] for one in status["participants"])
    rounds_told = re.findall(r"round \d: (\d+) of 24 items settled", done.stdout)
    assert status["items_settled"] == int(rounds_told[-1])
    assert 24 * 2 <= status["participants"][2]["valid"] < status["participants"][0]["valid"]


def test_nobody_left_ends_the_rounds(registry: Callable[..., Path], partynli_here: Command) -> None:
    with LoopbackProcess(default=Behaviour(faults=("unauthorized",), fault_share=1.0)) as server:
        registry(server.url, ["a", "b"], rpm=600000)
        done = partynli_here(
            *("sample", "--mix", "test", "--items", "demo", "--trials", "4", "--until-ci", "0.6", "--run", "r")
        )
    assert done.returncode == 1
    assert "round " not in done.stdout
    assert "0 of 192 trials done" in done.stdout
    assert "go on with it" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_in_the_middle_nothing_is_asked_twice(
    seed: int, registry: Callable[..., Path], environ: dict[str, str], until: Callable[..., None], tmp_path: Path
) -> None:
    in_flight, kills, chance = 8, 4, random.Random(seed)
    behaviour = Behaviour(latency_s=0.01, jitter_s=0.02, seed=seed)
    with LoopbackProcess(default=behaviour) as server:
        registry(server.url, ["a", "b", "c", "d"], concurrency=in_flight, rpm=600000)
        command = [sys.executable, "-m", "partynli", "sample", "--mix", "test", "--items", "demo", "--trials", "8"]
        command += ["--until-ci", "0.5", "--run", "r"]
        for _ in range(kills):
            before = server.fetch_books().total.answered
            process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.DEVNULL)
            wanted = before + chance.randrange(1, 200)
            until(
                lambda wanted=wanted, process=process: (
                    server.fetch_books().total.answered >= wanted or process.poll() is not None
                )
            )
            process.send_signal(signal.SIGKILL)
            process.wait()
            time.sleep(0.1)
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        trials = asked(tmp_path / "runs" / "r")
        assert Counter(trials.values()) == {1: len(trials)}
        assert server.fetch_books().total.answered - len(trials) <= kills * in_flight
        again = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120)
        assert asked(tmp_path / "runs" / "r") == trials, again.stderr
    settled = [line for line in done.stdout.splitlines() if "items settled" in line][-1]
    assert settled in again.stdout
    found = rounds(tmp_path / "runs" / "r")
    assert min(found.values()) < 8
