"""``kill -9`` at any moment: what was committed stays, and nothing but what was in flight is asked twice."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from partynli.testing import Behaviour, LoopbackProcess

IN_FLIGHT = 16
MODELS = ["a", "b", "c", "d"]


def stored(run: Path) -> dict[tuple[str, int], str]:
    if not (run / "manifest.json").exists():
        return {}
    db = sqlite3.connect(run / "run.sqlite")
    try:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {(key, n): raw for key, n, raw in db.execute("SELECT trial_key, n, response FROM attempt")}
    finally:
        db.close()


def kill_and_resume(seed: int, registry: Any, environ: Any, until: Any, folder: Path, kills: int) -> None:
    chance = random.Random(seed)
    with LoopbackProcess(default=Behaviour(latency_s=0.01, jitter_s=0.02, seed=seed)) as server:
        registry(server.url, MODELS, concurrency=IN_FLIGHT, rpm=600000)
        command = [sys.executable, "-m", "partynli", "sample", "--mix", "test", "--items", "demo"]
        command += ["--trials", "10", "--run", "r"]
        planned, run = 4 * 24 * 10, folder / "runs" / "r"
        kept: dict[tuple[str, int], str] = {}
        for _ in range(kills):
            before = server.fetch_books().total.answered
            process = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.DEVNULL)
            until(lambda seen=before: server.fetch_books().total.answered > seen)
            time.sleep(chance.uniform(0.0, 0.15))
            process.send_signal(signal.SIGKILL)
            process.wait()
            time.sleep(0.1)
            now = stored(run)
            assert kept.items() <= now.items(), "a committed answer was lost or changed"
            answered = server.fetch_books().total.answered - before
            assert 0 <= answered - (len(now) - len(kept)) <= IN_FLIGHT
            kept = now
        done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        final = stored(run)
        assert kept.items() <= final.items()
        assert len(final) == planned
        assert server.fetch_books().total.answered - planned <= kills * IN_FLIGHT


def test_killed_three_times(registry: Any, environ: Any, until: Any, tmp_path: Path) -> None:
    kill_and_resume(0, registry, environ, until, tmp_path, kills=3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_killed_at_twenty_random_times(seed: int, registry: Any, environ: Any, until: Any, tmp_path: Path) -> None:
    kill_and_resume(seed, registry, environ, until, tmp_path, kills=4)


def test_killed_while_the_run_is_laid_out(environ: Any, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "partynli", "sample", "--mix", "demo", "--trials", "1", "--run", "r"]
    for delay in (0.15, 0.25, 0.3, 0.35, 0.4):
        process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.DEVNULL)
        time.sleep(delay)
        process.kill()
        process.wait()
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "240 of 240 trials done" in done.stdout
