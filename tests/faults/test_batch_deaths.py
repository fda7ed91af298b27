"""Batches, death by death: a process that ends around any call of a batch, and a full disk; nothing is bought twice."""

from __future__ import annotations

import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from partynli.testing import BatchBehaviour, LoopbackProcess

BOTH = ("openai", "anthropic")
POLL = 0.03
ALL = 12


class Killed:
    """A real `partynli sample --batch` by way of a way, and what it left behind."""

    def __init__(self, server: LoopbackProcess, way: Any, protocol: str, folder: Path, environ: dict[str, str]) -> None:
        self.server, self.way, self._folder, self._environ = server, way, folder, environ
        self._begun: list[subprocess.Popen[str]] = []
        route = "openai" if protocol == "openai" else "litellm"
        model = "m" if protocol == "openai" else "anthropic/m"
        url = way.url if protocol == "openai" else way.url.removesuffix("/v1")
        price = {"input": 1, "output": 2, "as_of": "2025-07"}
        one = {"provider": "p", "model": model, "params": {"max_tokens": 300}, "price": price}
        provider = {"route": route, "api_base": url, "batch": {"protocol": protocol}}
        content = {"version": 1, "providers": {"p": provider}, "participants": {"m": one}}
        (folder / "registry.yaml").write_text(yaml.safe_dump(content))

    def start(self, *args: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "partynli", *args, "--poll", "0.1"]
        with (self._folder / "said.txt").open("w") as said:
            process = subprocess.Popen(
                command, cwd=self._folder, env=self._environ, stdout=said, stderr=subprocess.STDOUT, text=True
            )
        self._begun.append(process)
        return process

    def close(self) -> None:
        for process in self._begun:
            process.kill()
            process.wait()
        self.server.close()

    def sample(self, trials: int = 1) -> subprocess.Popen[str]:
        args = ("--participant", "m", "--items", "demo", "--trials", str(trials), "--run", "r", "--batch")
        return self.start("sample", *args)

    def resume(self, *args: str) -> int:
        return self.start("resume", "r", *args).wait(60)

    @property
    def said(self) -> str:
        return (self._folder / "said.txt").read_text()

    @property
    def database(self) -> Path:
        return self._folder / "runs" / "r" / "run.sqlite"

    @property
    def is_laid_out(self) -> bool:
        return self.database.with_name("manifest.json").exists()

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"{self.database.as_uri()}?mode=ro", uri=True, timeout=10)) as db:
            return db.execute(query).fetchall()

    @property
    def bought(self) -> int:
        return self.server.fetch_books().total.answered

    def demand_all(self, n: int) -> None:
        """Every trial was bought once and is stored once."""
        assert self.ask("SELECT count(*), count(DISTINCT trial_key) FROM attempt") == [(n, n)], self.said
        assert self.ask("SELECT count(*) FROM judgment") == [(n,)], self.said
        assert self.bought == n, self.said


@pytest.fixture
def killed(way_to: Any, tmp_path: Path, environ: dict[str, str]) -> Iterator[Callable[..., Killed]]:
    opened = []

    def make(protocol: str, **behaviour: Any) -> Killed:
        server = LoopbackProcess(batches=BatchBehaviour(**behaviour))
        server.open()
        opened.append(Killed(server, way_to(server.url), protocol, tmp_path, environ))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


# moment -> the step at which the process hangs, and whether the server has heard of it
MOMENTS = {
    "before the upload": ("upload", "not_passed_on"),
    "uploaded": ("upload", "slow_headers"),
    "before it is made": ("create", "not_passed_on"),
    "made and not noted": ("create", "slow_headers"),
    "noted": ("look", "not_passed_on"),
    "seen to have ended": ("results", "not_passed_on"),
    "looked for": ("list", "slow_headers"),
    "looked into": ("results", "slow_body_forever"),
    "half of it stored": ("results", "slow_body_forever"),
}


def deaths() -> Iterator[Any]:
    for moment, (step, _) in MOMENTS.items():
        for protocol in BOTH if step != "upload" else BOTH[:1]:
            if moment != "looked into" or protocol == "anthropic":
                first = (moment, protocol) in (("made and not noted", "openai"), ("half of it stored", "anthropic"))
                yield pytest.param(moment, protocol, marks=() if first else pytest.mark.slow)


@pytest.mark.parametrize(("moment", "protocol"), list(deaths()))
def test_killed(moment: str, protocol: str, killed: Any, until: Any) -> None:
    step, fault = MOMENTS[moment]
    looked_for = moment.startswith("looked")
    study = killed(protocol, script=("taken_and_500",) if looked_for else ())
    trials = 20 if moment == "half of it stored" else 1
    if looked_for:
        process = study.sample(trials)
        until(lambda: study.server.fetch_books().batches)
    study.way.faults = {step: (fault, None)}
    if not looked_for:
        process = study.sample(trials)
    until(lambda: study.way.done[step])
    if trials > 1:
        until(lambda: study.ask("SELECT count(*) FROM attempt") > [(0,)])
    time.sleep(0.05)
    process.kill()
    process.wait()
    study.way.faults = {}
    states = [state for (state,) in study.ask("SELECT state FROM batch")]
    assert len(states) == 1
    assert study.resume() == 0, study.said
    study.demand_all(24 * trials)


@pytest.mark.parametrize("protocol", ["openai", pytest.param("anthropic", marks=pytest.mark.slow)])
def test_a_full_disk_when_results_are_stored(protocol: str, killed: Any, until: Any) -> None:
    """A bound on the size of files stands for a full disk: what is written fails, and may be tried again."""
    study = killed(protocol, polls=10_000)
    process = study.sample(20)
    until(lambda: study.is_laid_out and study.ask("SELECT 1 FROM batch WHERE state = 'submitted'"))
    log = study.database.with_name("run.sqlite-wal")
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (log.stat().st_size + 100_000, resource.RLIM_INFINITY))
    study.server.set_batches(BatchBehaviour())
    until(lambda: "trying again" in study.said)
    process.kill()
    process.wait()
    (stored,) = study.ask("SELECT count(*) FROM attempt")[0]
    assert 0 <= stored < 480
    assert study.resume() == 0, study.said
    study.demand_all(480)


def test_a_full_disk_when_the_batch_is_to_be_noted(killed: Any, until: Any) -> None:
    study = killed("openai")
    study.way.faults = {"create": ("held", 1)}
    process = study.sample()
    until(lambda: study.bought)
    log = study.database.with_name("run.sqlite-wal")
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (log.stat().st_size, resource.RLIM_INFINITY))
    study.way.let_go.set()
    assert process.wait(20) == 2, study.said
    assert "what was committed before is safe" in study.said
    assert "Traceback" not in study.said
    assert study.ask("SELECT state FROM batch") == [("planned",)]
    assert study.resume() == 0, study.said
    study.demand_all(24)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", BOTH)
def test_left_in_haste_and_by_two_at_once(protocol: str, killed: Any, until: Any) -> None:
    study = killed(protocol)
    study.way.faults = {"create": ("slow_headers", 1)}
    process = study.sample()
    until(lambda: study.bought)
    assert study.resume() == 2
    assert "is being sampled by another process" in study.said
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    assert process.wait(20) == 130
    assert study.resume() == 0, study.said
    study.demand_all(24)
