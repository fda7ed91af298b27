"""The machine fails: its disk, its network, its file descriptors, its clock, and those who send signals.

Every run here is the real command in a process of its own, beside a server in another one.
"""

from __future__ import annotations

import ast
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

import partynli
from partynli.testing import Behaviour, LoopbackProcess

IN_FLIGHT = 16
TRIALS = 10
PLANNED = 24 * TRIALS
SAMPLE = ["sample", "--mix", "test", "--items", "demo", "--trials", str(TRIALS), "--run", "r"]
CALM = Behaviour(latency_s=0.01)


class Command:
    """A command that runs, and what it has said so far."""

    def __init__(self, args: list[str], folder: Path, environ: dict[str, str], before: tuple[str, ...] = ()) -> None:
        self._said = folder / "said.txt"
        self._errors = folder / "errors.txt"
        command = [*before, sys.executable, "-m", "partynli", *args]
        with self._said.open("w") as said, self._errors.open("w") as errors:
            self.process = subprocess.Popen(command, cwd=folder, env=environ, stdout=said, stderr=errors)

    @property
    def said(self) -> str:
        return self._said.read_text()

    def end(self, seconds: float = 60.0) -> int:
        """Its exit code; whatever the fault was, nobody sees a traceback."""
        try:
            code = self.process.wait(seconds)
        finally:
            self.process.kill()
            self.process.wait()
        assert "Traceback" not in self.errors + self.said, self.errors
        assert len(self.errors.split("\n\n")[-1].strip().splitlines()) <= 1, self.errors
        return code

    @property
    def errors(self) -> str:
        return self._errors.read_text()


@pytest.fixture
def start(tmp_path: Path, environ: dict[str, str]) -> Iterator[Callable[..., Command]]:
    """Start commands that the end of the test ends too."""
    begun: list[Command] = []

    def begin(args: list[str], before: tuple[str, ...] = ()) -> Command:
        begun.append(Command(args, tmp_path, environ, before))
        return begun[-1]

    yield begin
    for one in begun:
        one.process.kill()
        one.process.wait()


def count(database: Path) -> int:
    """Answers that a run holds, each of them once."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=10)) as db:
        assert db.execute("PRAGMA quick_check").fetchone() == ("ok",)
        answers, trials = db.execute(
            "SELECT count(*), count(DISTINCT trial_key) FROM attempt WHERE status != 'failed'"
        ).fetchone()
        assert answers == trials
        return int(answers)


# --- the network ---


def test_a_name_that_nothing_answers_to_is_said_before_anything_is_sent(start: Any, registry: Any) -> None:
    registry("http://nobody.invalid/v1", ["a"])
    command = start(SAMPLE)
    assert command.end() == 2
    assert "nothing answers at http://nobody.invalid/v1" in command.errors
    assert "mend api_base in the registry" in command.errors


@pytest.mark.slow
def test_a_server_that_goes_away_and_comes_back(start: Any, registry: Any, until: Any, tmp_path: Path) -> None:
    with LoopbackProcess(default=CALM) as server:
        port = int(server.url.removesuffix("/v1").rpartition(":")[2])
        registry(server.url, ["a"], concurrency=IN_FLIGHT, rpm=600000)
        command = start(SAMPLE)
        until(lambda: server.fetch_books().total.answered > 20)
        before = server.fetch_books().total.answered
    time.sleep(0.3)
    with LoopbackProcess(default=CALM, port=port) as server:
        assert command.end() == 0
        after = server.fetch_books().total.answered
    assert f"{PLANNED} of {PLANNED} trials done" in command.said
    assert count(tmp_path / "runs" / "r" / "run.sqlite") == PLANNED
    assert after <= PLANNED - before, "what was stored before was bought again"


@pytest.mark.slow
@pytest.mark.parametrize(("files", "in_flight"), [("40:40", 200), ("256:256", 2000)])
def test_out_of_file_descriptors(start: Any, registry: Any, tmp_path: Path, files: str, in_flight: int) -> None:
    trials = max(TRIALS, 2 * in_flight // 24)
    with LoopbackProcess(default=Behaviour(latency_s=0.2)) as server:
        registry(server.url, ["a"], concurrency=in_flight, rpm=600000)
        args = [str(trials) if arg == str(TRIALS) else arg for arg in SAMPLE]
        command = start(args, before=("prlimit", f"--nofile={files}"))
        code = command.end(120)
        stored = count(tmp_path / "runs" / "r" / "run.sqlite")
        assert server.fetch_books().total.answered == stored
        assert code == (0 if stored == 24 * trials else 1)
        assert start(["resume", "r"]).end() == 0
        assert server.fetch_books().total.answered == 24 * trials


@pytest.mark.slow
def test_every_file_descriptor_that_is_granted_is_used(start: Any, registry: Any, tmp_path: Path) -> None:
    with LoopbackProcess(default=Behaviour(latency_s=0.3)) as server:
        registry(server.url, ["a"], concurrency=200, rpm=600000)
        assert start(SAMPLE, before=("prlimit", "--nofile=40:4096")).end() == 0
        books = server.fetch_books().total
        assert books.received == books.answered == count(tmp_path / "runs" / "r" / "run.sqlite") == PLANNED
        assert books.peak_in_flight > 40


# --- the disk ---


class Disk:
    """A small disk of its own under a folder, in a mount namespace that the test alone sees."""

    def __init__(self, folder: Path) -> None:
        script = f'mount -t tmpfs -o size=700k partynli "{folder}" && echo mounted && exec cat'
        command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
        self._holder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._holder.stdout is not None
        assert self._holder.stderr is not None
        if self._holder.stdout.readline() != "mounted\n":
            pytest.skip(f"no mount of one's own here: {self._holder.stderr.read().strip()}")
        self._folder = folder
        self.enter = (
            *("nsenter", "--target", str(self._holder.pid), "--user", "--mount", "--preserve-credentials"),
            f"--wd={folder.parent}",
        )

    @property
    def seen(self) -> Path:
        """The folder as those who live with the disk see it."""
        return Path(f"/proc/{self._holder.pid}/root{self._folder}")

    @property
    def stored(self) -> int:
        """Answers that its run holds; counted in a copy, since SQLite follows /proc's link to the root out of here."""
        copy = self._folder.parent / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.seen / "r", copy, ignore=shutil.ignore_patterns("*-shm"))
        return count(copy / "run.sqlite")

    def fill(self) -> None:
        """Leave not a byte."""
        with (self.seen / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while ballast.write(b"x" * 512):
                pass

    def change(self, options: str) -> None:
        subprocess.run([*self.enter, "mount", "-o", f"remount,{options}", str(self._folder)], check=True)

    def close(self) -> None:
        self._holder.communicate()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    (tmp_path / "runs").mkdir()
    made = Disk(tmp_path / "runs")
    yield made
    made.close()


def test_a_full_disk_that_is_made_room_on(start: Any, registry: Any, until: Any, disk: Disk) -> None:
    with LoopbackProcess(default=CALM) as server:
        registry(server.url, ["a"], concurrency=IN_FLIGHT, rpm=600000)
        command = start(SAMPLE, disk.enter)
        until(lambda: "trying again" in command.said)
        answered = server.fetch_books().total.answered
        assert 0 <= answered - disk.stored <= IN_FLIGHT
        disk.change("size=50m")
        assert command.end() == 0
        assert "disk" in command.said
        assert server.fetch_books().total.answered == disk.stored == PLANNED


@pytest.mark.slow
def test_a_full_disk_that_is_left_for_later(start: Any, registry: Any, until: Any, disk: Disk) -> None:
    with LoopbackProcess(default=CALM) as server:
        registry(server.url, ["a"], concurrency=IN_FLIGHT, rpm=600000)
        command = start(SAMPLE, disk.enter)
        until(lambda: "trying again" in command.said)
        command.process.send_signal(signal.SIGINT)
        until(lambda: "stopping" in command.said)
        command.process.send_signal(signal.SIGINT)
        assert command.end() == 2
        assert "what was committed before is safe" in command.errors
        stored = disk.stored
        answered = server.fetch_books().total.answered
        assert 0 <= answered - stored <= IN_FLIGHT

        disk.fill()
        other = start([*SAMPLE[:-1], "other"], disk.enter)
        assert other.end() == 2
        assert "other cannot be written: " in other.errors

        disk.change("size=50m")
        assert start(["resume", "r"], disk.enter).end() == 0
        assert disk.stored == PLANNED
        assert server.fetch_books().total.answered == answered + PLANNED - stored


@pytest.mark.slow
def test_a_disk_that_cannot_be_written(start: Any, registry: Any, disk: Disk) -> None:
    disk.change("size=50m")
    with LoopbackProcess(default=CALM) as server:
        registry(server.url, ["a"], concurrency=IN_FLIGHT, rpm=600000)
        disk.change("ro")
        fresh = start(SAMPLE, disk.enter)
        assert fresh.end() == 2
        assert "cannot be written: Read-only file system" in fresh.errors
        disk.change("rw")
        assert start([*SAMPLE, "--limit", "20"], disk.enter).end() == 0
        disk.change("ro")
        again = start(["resume", "r"], disk.enter)
        assert again.end() == 2
        assert "cannot be written: Read-only file system" in again.errors
        assert start(["status", "r"], disk.enter).end() == 0
        disk.change("rw")
        assert server.fetch_books().total.answered == 20
        assert start(["resume", "r"], disk.enter).end() == 0
        assert server.fetch_books().total.answered == disk.stored == PLANNED


def test_another_process_holds_the_database(start: Any, registry: Any, until: Any, tmp_path: Path) -> None:
    database = tmp_path / "runs" / "r" / "run.sqlite"
    with LoopbackProcess(default=CALM) as server:
        registry(server.url, ["a"], concurrency=IN_FLIGHT, rpm=600000)
        command = start(SAMPLE)
        until(lambda: server.fetch_books().total.answered > 20)
        with closing(sqlite3.connect(database, timeout=10, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            time.sleep(0.8)
            answered = server.fetch_books().total.answered
            (stored,) = db.execute("SELECT count(*) FROM attempt").fetchone()
            db.execute("ROLLBACK")
        assert 0 < answered - stored <= IN_FLIGHT, "it goes on buying what it cannot store"
        assert command.end() == 0
        assert server.fetch_books().total.answered == count(database) == PLANNED


# --- signals ---


def interrupt_at_random(
    seed: int, start: Any, registry: Any, until: Any, folder: Path, times: int, *, early: float = 0.0
) -> None:
    """Stop a run at random moments, politely or not, until it is done."""
    chance = random.Random(seed)
    database = folder / "runs" / "r" / "run.sqlite"
    lost = 0
    with LoopbackProcess(default=Behaviour(latency_s=0.02, jitter_s=0.03, seed=seed)) as server:
        registry(server.url, ["a"], concurrency=IN_FLIGHT, rpm=600000)
        for _ in range(times):
            before = server.fetch_books().total.answered
            stored = count(database) if (folder / "runs" / "r" / "manifest.json").exists() else 0
            command = start(SAMPLE)
            if chance.random() < early:
                until(lambda it=command: it.said or it.process.poll() is not None)  # before that, Python itself starts
                time.sleep(chance.uniform(0.0, 0.5))
            else:
                until(lambda seen=before, it=command: (
                    server.fetch_books().total.answered > seen or it.process.poll() is not None))  # fmt: skip
                time.sleep(chance.uniform(0.0, 0.15))
            name = chance.choice([signal.SIGINT, signal.SIGTERM])
            command.process.send_signal(name)
            if hard := chance.random() < 0.3:
                time.sleep(chance.uniform(0.0, 0.05))
                command.process.send_signal(name)
            code = command.end()
            # before and after the engine, SIGTERM ends a process as it ends any other; Ctrl-C does where it is ending
            assert code in (0, 130, -signal.SIGTERM, -signal.SIGINT), (code, command.errors)
            until(lambda: server.fetch_books().total.in_flight == 0)
            if (folder / "runs" / "r" / "manifest.json").exists():
                left = server.fetch_books().total.answered - before - (count(database) - stored)
                assert 0 <= left <= (IN_FLIGHT if hard or code < 0 else 0)
                lost += left
        assert start(SAMPLE).end() == 0
        assert count(database) == PLANNED
        assert server.fetch_books().total.answered == PLANNED + lost


@pytest.mark.slow
def test_interrupted_twice(start: Any, registry: Any, until: Any, tmp_path: Path) -> None:
    interrupt_at_random(1, start, registry, until, tmp_path, times=2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 8))
def test_interrupted_at_any_time(seed: int, start: Any, registry: Any, until: Any, tmp_path: Path) -> None:
    interrupt_at_random(seed, start, registry, until, tmp_path, times=6, early=0.5)


# --- the clock ---

WALL = {
    # what may ask for the time of day -> why
    "sampling/rows.py": "an answer is stored with the date of its coming",
    "sampling/batches.py": "a batch is looked for among those of its day",
    "providers/base.py": "a server that names a date to come back at, and no date of its own",
}


def test_no_limit_rests_on_the_time_of_day() -> None:
    """A clock that jumps moves no pace, gate, wait or timeout: nothing that keeps one asks for the time of day."""
    root = Path(partynli.__file__).parent
    asking = {
        str(path.relative_to(root))
        for room in ("sampling", "providers", "store")
        for path in (root / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and (node.attr in ("now", "utcnow", "today") or (node.attr == "time" and ast.unparse(node) == "time.time"))
        and ast.unparse(node.value) in ("time", "datetime", "date")
    }
    assert asking == set(WALL)
