"""A million judgments of a run read into arrays: seconds and memory, in a process of its own.

    python benchmarks/aggregate.py [--rows 1000000] [--items 122] [--trials 5] [--seed 0]

The run is made first, in a temporary folder: participants x items x trials with random labels and explanations of 100
characters. The aim is under 2 s and 500 MB for a million.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from partynli.aggregate import NOT_ASKED, load_answers
from partynli.labels import LABELS, collapse
from partynli.prompts import load_task
from partynli.records import Item, Participant
from partynli.store import JudgmentRow, Run, importing

SETS = (*LABELS, "either-false", "either-true", "error")


def make(path: Path, rows: int, items: int, trials: int, seed: int) -> None:
    task = load_task("livenli")
    people = [
        Participant(f"model-{k}", "imported", f"model-{k}", {}) for k in range(max(1, round(rows / (items * trials))))
    ]
    pairs = [Item(f"item-{k}", {"premise": "P.", "hypothesis": "H."}) for k in range(items)]
    plan = {
        "participants": [one.id for one in people],
        "trials": [trials] * len(people),
        "items": "random",
        "n_items": items,
        "groups": {},
        "reasks": 0,
    }
    manifest = {"plan": plan, "task": asdict(task), "synthetic": False, "imported": {}}
    with importing(path, manifest, people, pairs, {}) as store:
        made = judgments(people, pairs, trials, random.Random(seed))
        while chunk := list(islice(made, 4096)):
            store.add(chunk, {})


def judgments(people: list[Participant], items: list[Item], trials: int, rng: random.Random) -> Iterator[JudgmentRow]:
    text = "x" * 100
    for one in people:
        for trial in range(1, trials + 1):
            for item in items:
                chosen = rng.choice(SETS)
                key = f"import:{one.name}:{trial}:{item.uid}"
                simple = collapse(chosen, otherwise="either")
                yield JudgmentRow(key, one.id, item.uid, trial, simple, chosen, text, None, None, "import", "import")


def measure(path: Path) -> None:
    """Read the run in this process, and print what it took as JSON."""
    before = peak_kib()
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        with Run.open(path) as run:
            answers = load_answers(run, load_task("livenli"))
        seconds.append(time.perf_counter() - start)
    n = int((answers.simple != NOT_ASKED).sum())
    print(json.dumps({"judgments": n, "seconds": seconds, "before": before, "peak": peak_kib()}))


def peak_kib() -> int:
    """The most memory that this process held."""
    try:
        status = Path("/proc/self/status").read_text()  # ru_maxrss would count the parent's, from before the exec
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=122)
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.measure)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random"
        start = time.perf_counter()
        make(path, given.rows, given.items, given.trials, given.seed)
        made = time.perf_counter() - start
        done = subprocess.run(
            [sys.executable, __file__, "--measure", str(path)], capture_output=True, text=True, check=True
        )
    found = json.loads(done.stdout)
    first, *others = found["seconds"]
    print(f"{found['judgments']:,} judgments (made in {made:.1f} s)")
    print(f"first read {first:.2f} s, then {min(others):.2f} s; aim for a million: under 2 s")
    print(f"peak {found['peak'] / 1024:.0f} MB, {found['before'] / 1024:.0f} MB of them before; aim: under 500 MB")


if __name__ == "__main__":
    main()
