"""``partynli sample --batch`` as a person runs it: left, killed, moved to another machine, and taken up again."""

from __future__ import annotations

import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from partynli.testing import BatchBehaviour, Behaviour, LoopbackProcess

KEY = "sk-canary-batch-cli"
QUICK = ("--poll", "0.05")
TRIALS = 24 * 2


@pytest.fixture
def server() -> Iterator[LoopbackProcess]:
    with LoopbackProcess(api_key=KEY) as one:
        yield one


@pytest.fixture
def both(tmp_path: Path, server: LoopbackProcess) -> Path:
    """A registry with a participant of each protocol, and one without a batch API."""
    price = {"input": 1, "output": 2, "as_of": "2025-07"}
    shared = {"api_key_env": "LOOP_API_KEY", "batch": "openai"}
    content = {
        "version": 1,
        "providers": {
            "open": {"route": "openai", "api_base": server.url, **shared},
            "claude": {
                "route": "litellm",
                "api_base": server.anthropic_url,
                **shared,
                "batch": {"protocol": "anthropic"},
            },
            "plain": {"route": "openai", "api_base": server.url, "api_key_env": "LOOP_API_KEY"},
        },
        "participants": {
            "o": {"provider": "open", "model": "o", "price": dict(price), "max_output_tokens": 300},
            "c": {"provider": "claude", "model": "anthropic/c", "price": dict(price), "params": {"max_tokens": 300}},
            "p": {"provider": "plain", "model": "p", "price": price, "max_output_tokens": 300},
        },
        "mixes": {"two": ["o", "c"], "three": ["o", "c", "p"]},
    }
    path = tmp_path / "registry.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


SAMPLE = ("sample", "--items", "demo", "--trials", "2", "--run", "r", "--batch", *QUICK)


def stored(run: Path) -> list[tuple[Any, ...]]:
    db = sqlite3.connect(run / "run.sqlite")
    try:
        return db.execute("SELECT trial_key, n, status, cost FROM attempt").fetchall()
    finally:
        db.close()


def states(run: Path) -> list[str]:
    if not (run / "manifest.json").exists():
        return []
    db = sqlite3.connect(run / "run.sqlite")
    try:
        return [state for (state,) in db.execute("SELECT state FROM batch ORDER BY planned_at")]
    finally:
        db.close()


def test_a_batch_run_is_judged_and_reported_as_any(partynli: Any, both: Path, server: Any, tmp_path: Path) -> None:
    done = partynli(*SAMPLE, "--mix", "two", LOOP_API_KEY=KEY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{2 * TRIALS} of {2 * TRIALS} trials done" in done.stdout
    assert server.fetch_books().total.answered == 2 * TRIALS
    report = partynli("report", "r", "--json")
    assert report.returncode == 0, report.stderr
    assert {group["name"] for group in json.loads(report.stdout)["scopes"]["all"]["groups"]} >= {"o", "c", "two"}
    assert KEY.encode() not in b"".join(file.read_bytes() for file in (tmp_path / "runs" / "r").iterdir())
    assert KEY not in done.stdout + done.stderr


def test_a_dry_run_shows_half_the_price(partynli: Any, both: Path, server: Any) -> None:
    full = partynli(*SAMPLE[:-3], "--mix", "two", "--dry-run", LOOP_API_KEY=KEY)
    half = partynli(*SAMPLE, "--mix", "two", "--dry-run", LOOP_API_KEY=KEY)
    assert full.returncode == half.returncode == 0
    assert cost_in(half.stdout) == pytest.approx(cost_in(full.stdout) / 2, rel=0.03)  # as rounded in print
    assert server.fetch_books().total.received == 0


def cost_in(text: str) -> float:
    return float(text.split("calls, at most $")[1].split()[0].rstrip(",;"))


def test_who_has_no_batch_api_is_said_before_anything_is_sent(partynli: Any, both: Path, server: Any) -> None:
    done = partynli(*SAMPLE, "--mix", "three", LOOP_API_KEY=KEY)
    assert done.returncode == 2
    assert "no batch API is declared in the registry" in done.stderr
    assert "(for p)" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert server.fetch_books().total.received == 0


def test_the_others_go_call_by_call_afterwards(partynli: Any, both: Path, server: Any, tmp_path: Path) -> None:
    names = ("--participant", "o", "--participant", "p")
    done = partynli(*SAMPLE, *names, "--skip-missing", LOOP_API_KEY=KEY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.fetch_books()["p"].answered == 0
    again = partynli("resume", "r", *QUICK, LOOP_API_KEY=KEY)  # in batches by itself: nothing is left to send
    assert again.returncode == 0
    assert "p left out: no batch API is declared" in again.stdout
    done = partynli("resume", "r", "--no-batch", LOOP_API_KEY=KEY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {name: books.answered for name, books in server.fetch_books().models.items()} == dict.fromkeys("op", TRIALS)
    costs = [cost for *_, cost in stored(tmp_path / "runs" / "r")]
    assert len(costs) == 2 * TRIALS


def test_left_and_collected_days_later_elsewhere(
    partynli: Any, both: Path, server: Any, environ: Any, until: Any, tmp_path: Path
) -> None:
    server.set_batches(BatchBehaviour(polls=100_000))
    command = [sys.executable, "-m", "partynli", *SAMPLE, "--mix", "two"]
    run = tmp_path / "runs" / "r"
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environ | {"LOOP_API_KEY": KEY}, stdout=subprocess.PIPE, text=True
    )
    until(lambda: states(run) == ["submitted", "submitted"])
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "partynli resume r" in out
    assert "48 requests" in out
    status = partynli("status", "r")
    assert status.stdout.count("submitted") == 2
    told = json.loads(partynli("status", "r", "--json").stdout)["open_batches"]
    assert [one["n"] for one in told] == [TRIALS, TRIALS]
    asked = partynli("resume", "r", "--no-batch", LOOP_API_KEY=KEY)  # would ask what the batches hold once more
    assert asked.returncode == 2
    assert "would be asked twice" in asked.stderr
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "runs", elsewhere)
    server.set_batches(BatchBehaviour())
    both.unlink()  # the folder is all that is needed
    done = partynli("resume", "r", "--runs", str(elsewhere), *QUICK, LOOP_API_KEY=KEY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.fetch_books().total.answered == 2 * TRIALS
    assert len(stored(elsewhere / "r")) == 2 * TRIALS


@pytest.mark.parametrize("participant", ["o", "c"])
def test_killed_between_sending_and_writing_down(
    participant: str, partynli: Any, both: Path, server: Any, environ: Any, until: Any, tmp_path: Path
) -> None:
    server.set_batches(BatchBehaviour(script=("taken_and_hang",)))
    command = [sys.executable, "-m", "partynli", *SAMPLE, "--participant", participant]
    process = subprocess.Popen(command, cwd=tmp_path, env=environ | {"LOOP_API_KEY": KEY}, stdout=subprocess.DEVNULL)
    until(lambda: server.fetch_books().total.answered == TRIALS)
    process.kill()
    process.wait()
    run = tmp_path / "runs" / "r"
    assert states(run) == ["planned"]
    done = partynli("resume", "r", *QUICK, LOOP_API_KEY=KEY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is found again" in done.stdout
    assert server.fetch_books().total.answered == TRIALS
    assert len(stored(run)) == TRIALS


SEEDS = [3, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(10, 16))]


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_random_moments(
    seed: int, partynli: Any, both: Path, server: Any, environ: Any, until: Any, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    server.set_behaviour(None, Behaviour(fault_share=0.1, faults=("malformed",), seed=seed))
    content = yaml.safe_load(both.read_text())
    content["providers"]["open"]["batch"] = {"protocol": "openai", "max_requests": 7}
    content["providers"]["claude"]["batch"] = {"protocol": "anthropic", "max_requests": 20}
    both.write_text(yaml.safe_dump(content, sort_keys=False))
    command = [sys.executable, "-m", "partynli", *SAMPLE, "--mix", "two"]
    run = tmp_path / "runs" / "r"
    for _ in range(4):
        before = states(run)
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environ | {"LOOP_API_KEY": KEY}, stdout=subprocess.DEVNULL
        )
        until(lambda before=before, process=process: states(run) != before or process.poll() is not None)
        time.sleep(chance.uniform(0.0, 0.12))
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = partynli(*SAMPLE, "--mix", "two", LOOP_API_KEY=KEY)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = stored(run)
    assert len({(key, n) for key, n, *_ in rows}) == len(rows)
    assert server.fetch_books().total.answered == len(rows)  # whatever was bought is stored, and bought once
    assert sum(status == "valid" for *_, status, _ in rows) + invalid(rows) == 2 * TRIALS


def invalid(rows: list[tuple[Any, ...]]) -> int:
    """Trials whose every answer was rejected."""
    valid = {key for key, _, status, _ in rows if status == "valid"}
    return len({key for key, *_ in rows} - valid)


def test_the_budget_ends_with_its_exit_code(partynli: Any, both: Path, server: Any, tmp_path: Path) -> None:
    done = partynli(*SAMPLE, "--mix", "two", "--max-cost", "0.03", LOOP_API_KEY=KEY)
    assert done.returncode == 3, done.stdout + done.stderr
    assert 0 < sum(cost for *_, cost in stored(tmp_path / "runs" / "r")) <= 0.03
    done = partynli("resume", "r", *QUICK, LOOP_API_KEY=KEY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.fetch_books().total.answered == 2 * TRIALS


def test_a_batch_that_the_provider_does_not_know_any_more(partynli: Any, both: Path, server: Any) -> None:
    server.set_batches(BatchBehaviour(script=("lost",)))
    done = partynli(*SAMPLE, "--participant", "o", LOOP_API_KEY=KEY)
    assert done.returncode == 1
    assert "the provider does not know it" in done.stdout
    forgotten = partynli("resume", "r", "--forget-lost", *QUICK, LOOP_API_KEY=KEY)
    assert forgotten.returncode == 0, forgotten.stdout + forgotten.stderr
    assert server.fetch_books().total.answered == 2 * TRIALS  # bought anew, as asked


def test_batch_and_ray_exclude_each_other(partynli: Any, both: Path) -> None:
    done = partynli(*SAMPLE, "--mix", "two", "--engine", "ray", LOOP_API_KEY=KEY)
    assert done.returncode == 2
    assert "choose one" in done.stderr
