"""The soak: a run under faults that is killed again and again, and every answer counted. `make soak` runs it.

    python tests/faults/soak.py [--trials 200000] [--kills 50] [--faults 0.1] [--seed 0]

A loopback server in a process of its own answers; a share of its calls goes wrong in every way that may pass. A real
`partynli sample`, then `partynli resume`, is ended by SIGKILL at random moments, one in five of them while it starts,
and goes on, until the run is complete. What the server's books say was answered is set beside what the run holds, kill
by kill. Prints a table; exits with 1 where a promise is broken.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from partynli.testing import Behaviour, Fault, LoopbackProcess

MODELS = 20
IN_FLIGHT = 128
"""Most calls that the registry allows in flight, of all models together: what one kill may cost."""
STALLED_S = 300.0
FAULTS: tuple[Fault, ...] = (
    *("server_error", "overloaded", "cut", "reset", "not_http_json", "malformed", "schema", "unknown_label") * 2,
    *("empty", "truncated", "truncated_reasoning", "refusal", "refusal_text", "content_filter", "no_usage") * 2,
    *("fenced", "prose", "reasoning", "reasoning_content", "set_order", "slow_body") * 2,
    *("hang", "rate_limited"),  # each keeps a model waiting for a second or more: rarer than the others
)
TALLY = """
SELECT count(*), coalesce(sum(valid), 0), coalesce(sum(valid = 0 AND rejected > 2), 0), coalesce(sum(valid > 1), 0),
  coalesce(sum(valid > 0 AND last != 'valid'), 0), coalesce(sum(rejected > 3), 0)
FROM (
  SELECT sum(status = 'valid') AS valid, sum(status = 'rejected') AS rejected,
    (SELECT status FROM attempt b WHERE b.trial_key = a.trial_key ORDER BY n DESC LIMIT 1) AS last
  FROM attempt a GROUP BY trial_key)
"""
SEGMENT = "SELECT trial_key, n, status, coalesce(response, ''), at FROM attempt WHERE id > ? AND id <= ? ORDER BY id"


@dataclass
class Books:
    """What was counted."""

    planned: int
    answered: int = 0
    """Answers that the server wrote whole, good or bad: what a provider charges for."""
    faults: Counter[str] = field(default_factory=Counter)
    lost: list[int] = field(default_factory=list)
    """Answered and not stored, by the process that asked; the last one was not killed."""
    segments: list[tuple[int, int, str]] = field(default_factory=list)
    """Rows that each process stored, with their digest: none may be gone or be another one later."""
    damaged: list[str] = field(default_factory=list)
    peak_mb: float = 0.0
    cpu_s: float = 0.0
    codes: list[int] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=200_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--faults", type=float, default=0.1, help="share of the calls that go wrong")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    began = time.monotonic()
    behaviour = Behaviour(
        latency_s=0.01, jitter_s=0.03, fault_share=asked.faults, faults=FAULTS, slow_body_s=0.2, seed=asked.seed
    )
    with tempfile.TemporaryDirectory(prefix="partynli-soak-") as folder, LoopbackProcess(default=behaviour) as server:
        soak = Soak(Path(folder), server, asked.trials, random.Random(asked.seed))
        soak.run(asked.kills)
        return report(soak, asked.kills, time.monotonic() - began)


class Soak:
    """One run under faults and kills."""

    def __init__(self, folder: Path, server: LoopbackProcess, trials: int, chance: random.Random) -> None:
        items = max(1, min(100, trials // (10 * MODELS)))
        repeats = -(-trials // (items * MODELS))
        self.run_path = folder / "runs" / "soak"
        self.books = Books(planned=items * repeats * MODELS)
        self.folder = folder
        self.server = server
        self._chance = chance
        kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
        self._environ = kept | {"PARTYNLI_RUNS": str(folder / "runs")}
        self._sample = ["sample", "--mix", "soak", "--items", "items.jsonl", "--trials", str(repeats), "--run", "soak"]
        lines = (
            {"uid": f"i{n}", "premise": f"{n} men sang at home.", "hypothesis": f"{n} sang."} for n in range(items)
        )
        (folder / "items.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        names = [f"m{n}" for n in range(MODELS)]
        provider = {"route": "openai", "api_base": server.url, "concurrency": IN_FLIGHT, "timeout_s": 3, "rpm": 10**6}
        price = {"input": 1, "output": 2, "as_of": "2025-07"}
        registry = {
            "version": 1,
            "providers": {"loop": provider},
            "participants": {name: {"provider": "loop", "model": name, "price": dict(price)} for name in names},
            "mixes": {"soak": names},
        }
        (folder / "registry.yaml").write_text(yaml.safe_dump(registry, sort_keys=False))

    def run(self, kills: int) -> None:
        """Start, kill, count, and start again; the last process is left alone.

        The last quarter of the run is left to it: a kill after the end would be none.
        """
        aims = sorted(self._chance.randrange(self.books.planned * 3 // 4) for _ in range(kills))
        for number, aim in enumerate(aims):
            process = self._start()
            if number % 5:
                self._wait_for(aim, process)
                time.sleep(self._chance.uniform(0.0, 0.1))
            else:  # while it starts, lays the run out, or looks up what is there
                self._wait_for(aim, process, at_most_s=self._chance.uniform(0.1, 3.0))
            os.kill(process.pid, signal.SIGKILL)  # which Popen.kill refuses once it has seen the end, and taken it
            self._count(process)
        self._count(self._start())

    def _start(self) -> subprocess.Popen[bytes]:
        self.server.reset_books()
        args = ["resume", "soak"] if (self.run_path / "manifest.json").exists() else self._sample
        command = [sys.executable, "-m", "partynli", *args]
        with (self.folder / "said.txt").open("ab") as said:
            return subprocess.Popen(command, cwd=self.folder, env=self._environ, stdout=said, stderr=said)

    def _wait_for(self, rows: int, process: subprocess.Popen[bytes], at_most_s: float = math.inf) -> None:
        last, since = -1, time.monotonic()
        end = since + at_most_s
        while (now := self._last_row()) < rows and not has_ended(process) and time.monotonic() < end:
            if now > last:
                last, since = now, time.monotonic()
            if time.monotonic() - since > STALLED_S:
                raise SystemExit(f"nothing was stored for {STALLED_S:.0f} s, {now:,} attempts are")
            time.sleep(0.05)

    def _last_row(self) -> int:
        if not (self.run_path / "manifest.json").exists():
            return 0
        with closing(connect(self.run_path)) as db:
            return int(db.execute("SELECT coalesce(max(id), 0) FROM attempt").fetchone()[0])

    def _count(self, process: subprocess.Popen[bytes]) -> None:
        """Take a process that has been killed, or ends by itself, into the books."""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        books = self.books
        books.codes.append(process.returncode)
        books.peak_mb = max(books.peak_mb, used.ru_maxrss / 1024)
        books.cpu_s += used.ru_utime + used.ru_stime
        end = time.monotonic() + 30
        while (total := self.server.fetch_books().total).in_flight:
            if time.monotonic() > end:
                raise SystemExit(f"the server still has {total.in_flight} calls of a process that is gone")
            time.sleep(0.05)
        books.answered += total.answered
        books.faults += total.faults
        first = books.segments[-1][1] if books.segments else 0
        last = self._last_row()
        if last:
            with closing(connect(self.run_path)) as db:
                if (said := db.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
                    books.damaged.append(said)
                query = "SELECT count(*) FROM attempt WHERE id > ? AND id <= ? AND status != 'failed'"
                stored = db.execute(query, (first, last)).fetchone()[0]
                books.segments.append((first, last, digest(db, first, last)))
        else:
            stored = 0
        books.lost.append(total.answered - stored)
        if sys.stderr.isatty():
            print(f"\r{len(books.lost) - 1} kills, {last:,} attempts stored ", end="", file=sys.stderr, flush=True)


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process is gone; its status and what it used stay there for `os.wait4`."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def connect(run: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{(run / 'run.sqlite').as_uri()}?mode=ro", uri=True, timeout=30)


def digest(db: sqlite3.Connection, first: int, last: int) -> str:
    found = hashlib.sha256()
    for row in db.execute(SEGMENT, (first, last)):
        found.update(repr(row).encode())
    return found.hexdigest()


def report(soak: Soak, kills: int, wall_s: float) -> int:
    """Print what was counted; returns the exit code."""
    books = soak.books
    with closing(connect(soak.run_path)) as db:
        trials, valid, unread, twice, after, beyond = db.execute(TALLY).fetchone()
        statuses = dict(db.execute("SELECT status, count(*) FROM attempt GROUP BY status"))
        (judged,) = db.execute("SELECT count(*) FROM judgment").fetchone()
        integrity = db.execute("PRAGMA integrity_check").fetchone()[0]
        changed = sum(digest(db, first, last) != kept for first, last, kept in books.segments)
    stored = statuses.get("valid", 0) + statuses.get("rejected", 0)
    rows = {
        "trials planned": books.planned,
        "answered by the server": books.answered,
        "answers stored": stored,
        "  of them valid": statuses.get("valid", 0),
        "  of them rejected, and asked again": statuses.get("rejected", 0),
        "calls that ended without an answer": statuses.get("failed", 0),
        "faults done by the server": sum(books.faults.values()),
        "trials with a judgment": valid,
        "trials without one, asked three times": unread,
        "answered and not stored: in flight at a kill": sum(books.lost),
        "  at one kill, at most": max(books.lost),
        "trials missing": books.planned - trials,
        "trials with two valid answers": twice,
        "trials asked again after a valid answer": after,
        "kills": sum(code == -signal.SIGKILL for code in books.codes),
        "peak memory, MB": round(books.peak_mb),
        "CPU, s": round(books.cpu_s),
        "wall, s": round(wall_s),
        "server's CPU, s": round(cpu_of(soak.server.pid)),
    }
    promises = {
        "every trial has its outcome": valid + unread == trials == books.planned,
        "no trial has two valid answers, none was asked again after one": twice == after == beyond == 0,
        f"a kill cost no more than what was in flight ({IN_FLIGHT})": 0
        <= min(books.lost)
        <= max(books.lost)
        <= IN_FLIGHT,
        "but for that, all that was answered is stored": books.lost[-1] == 0
        and stored + sum(books.lost) == books.answered,
        "nothing stored was lost or changed by a kill": changed == 0,
        "the database is whole": integrity == "ok" and not books.damaged,
        "every trial is judged": judged == books.planned,
        "of five kills at most one came after the end": len(books.codes) == kills + 1 and rows["kills"] >= 0.8 * kills,
        "the last process ended by itself, with exit code 0": books.codes[-1] == 0,
    }
    if sys.stderr.isatty():
        print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    for what, count in rows.items():
        print(f"{what:<48}{count:>12,}")
    for promise, holds in promises.items():
        print(f"{'holds ' if holds else 'BROKEN'}  {promise}")
    if not all(promises.values()):
        print((soak.folder / "said.txt").read_text()[-4000:])
    return 0 if all(promises.values()) else 1


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
