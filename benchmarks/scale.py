"""Many trials: memory of every process while they run, and the Ray engine beside the local one on the same plan.

    python benchmarks/scale.py [--items 50000] [--trials 5] [--rounds 3] [--rounds-items 2000]

Simulated participants answer, so that what is measured is partynli: walking the plan, handing trials out, storing. Each
engine runs through the command line. The first part reads items from parquet and goes through `--engine ray` once, with
the memory of driver, workers and Ray's own processes sampled on the way. The second part runs a smaller plan with both
engines in turn, and compares the judgments of both as well.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

PARTICIPANTS = ("sim-scholar", "sim-fickle", "sim-hasty", "sim-chatty")
EVERY_S = 2.0
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20
DONE = re.compile(rb"([\d,]+) of [\d,]+ trials done")
PREMISE = "In the summer of {k} the pool near the old town stages concerts, plays and other events for its {k} guests."


class Sample(NamedTuple):
    """Memory at one moment, in MB, shared pages counted in every process that has them."""

    at_s: float
    done: int
    driver: float
    workers: float
    """The largest worker."""
    ray: float
    """Ray's own processes together."""


def write_items(path: Path, n: int) -> None:
    schema = pa.schema([(name, pa.string()) for name in ("uid", "premise", "hypothesis")])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, n, 10_000):
            numbers = range(start, min(n, start + 10_000))
            rows = [
                {"uid": f"i{k}", "premise": PREMISE.format(k=k), "hypothesis": f"{k} people can hear music there."}
                for k in numbers
            ]
            writer.write_table(pa.Table.from_pylist(rows, schema))


def sample_command(engine: str, items: Path, trials: int, run: str) -> list[str]:
    chosen = [part for name in PARTICIPANTS for part in ("--participant", name)]
    command = [sys.executable, "-m", "partynli", "sample", *chosen, "--items", str(items), "--trials", str(trials)]
    return [*command, "--run", run, "--engine", engine, "--runs", str(items.parent / "runs")]


def watched(command: list[str]) -> tuple[float, list[Sample]]:
    """Run a command to its end; returns its seconds and what was sampled."""
    started, done, samples = time.perf_counter(), [0], []
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                if found := DONE.match(line):
                    done[0] = int(found[1].replace(b",", b""))

        reader = threading.Thread(target=read)
        reader.start()
        while process.poll() is None:
            samples.append(look(process.pid, time.perf_counter() - started, done[0]))
            time.sleep(EVERY_S)
        reader.join()
    assert process.returncode in (0, 1), process.returncode  # 1: some of the simulated answers fail on purpose
    return time.perf_counter() - started, samples


def look(driver: int, at_s: float, done: int) -> Sample:
    workers, ray = [0.0], 0.0
    for pid in below(driver):
        try:
            name = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if name.startswith(b"ray::Worker"):
            workers.append(resident(pid))
        else:
            ray += resident(pid)
    return Sample(at_s, done, resident(driver), max(workers), ray)


def below(pid: int) -> Iterator[int]:
    """All processes that descend from one."""
    try:
        children = [
            int(one) for task in Path(f"/proc/{pid}/task").iterdir() for one in (task / "children").read_text().split()
        ]
    except OSError:
        return
    for child in children:
        yield child
        yield from below(child)


def resident(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_MB
    except (OSError, ValueError):
        return 0.0


def stored(run: Path) -> tuple[int, float, str]:
    """Trials with a judgment, seconds between the first and the last answer, and a hash of all judgments."""
    digest = hashlib.sha256()
    with closing(sqlite3.connect(run / "run.sqlite")) as db:
        twice = db.execute("SELECT count(*) - count(DISTINCT trial_key || '/' || n) FROM attempt").fetchone()[0]
        assert twice == 0
        n = 0
        for row in db.execute("SELECT * FROM judgment ORDER BY trial_key"):
            n += 1
            digest.update(repr(row).encode())
        first, last = db.execute("SELECT min(at), max(at) FROM attempt").fetchone()
    return n, last - first, digest.hexdigest()


def print_many(folder: Path, n_items: int, trials: int) -> None:
    items = folder / "many.parquet"
    write_items(items, n_items)
    planned = n_items * trials * len(PARTICIPANTS)
    wall, samples = watched(sample_command("ray", items, trials, "many"))
    n, span, _ = stored(folder / "runs" / "many")
    size = (folder / "runs" / "many" / "run.sqlite").stat().st_size
    print(
        f"{n:,} of {planned:,} trials through --engine ray in {wall:,.0f} s, {n / span:,.0f} a second while sampling;"
    )
    print(f"run.sqlite {size / 2**20:,.0f} MB, {size / n:,.0f} bytes a trial\n")
    print("| trials done | s | driver MB | largest worker MB | Ray's own MB |\n|--:|--:|--:|--:|--:|")
    for share in (0.05, 0.25, 0.5, 0.75, 1.0):
        one = next((one for one in samples if one.done >= share * planned), samples[-1])
        print(f"| {one.done:,} | {one.at_s:,.0f} | {one.driver:.0f} | {one.workers:.0f} | {one.ray:.0f} |")
    peaks = [max(getattr(one, name) for one in samples) for name in ("driver", "workers", "ray")]
    print(f"| peak | | {peaks[0]:.0f} | {peaks[1]:.0f} | {peaks[2]:.0f} |\n")


def print_beside(folder: Path, n_items: int, trials: int, rounds: int) -> None:
    items = folder / "few.parquet"
    write_items(items, n_items)
    ratios, walls, rates = [], [], {"local": [], "ray": []}
    for number in range(rounds):
        found = {}
        for engine in ("local", "ray"):
            started = time.perf_counter()
            run = f"{engine}-{number}"
            done = subprocess.run(sample_command(engine, items, trials, run), stdout=subprocess.DEVNULL, check=False)
            assert done.returncode in (0, 1)
            found[engine] = (*stored(folder / "runs" / run), time.perf_counter() - started)
            rates[engine].append(found[engine][0] / found[engine][1])
        assert found["local"][2] == found["ray"][2], "the judgments differ"
        ratios.append(rates["ray"][-1] / rates["local"][-1])
        walls.append(found["ray"][3] - found["local"][3])
    each = n_items * trials * len(PARTICIPANTS)
    print(f"{each:,} trials, {rounds} rounds, medians; the judgments of both are the same in every round:")
    print(
        f"local {statistics.median(rates['local']):,.0f} trials/s, ray {statistics.median(rates['ray']):,.0f} trials/s"
    )
    print(f"ray / local {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"the whole command takes {statistics.median(walls):+.1f} s with ray")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=50_000, help="0 leaves the first part out")
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rounds-items", type=int, default=2_000)
    given = parser.parse_args()
    print(f"Python {platform.python_version()}, ray {version('ray')}, {os.cpu_count()} CPUs\n")
    with tempfile.TemporaryDirectory() as name:
        if given.items:
            print_many(Path(name), given.items, given.trials)
        print_beside(Path(name), given.rounds_items, given.trials, given.rounds)


if __name__ == "__main__":
    main()
