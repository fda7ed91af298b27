"""A run with a million judgments exported and read back: seconds and peak memory, each in a process of its own.

    python benchmarks/export.py [--rows 1000000] [--items 2000] [--trials 5] [--kinds parquet csv jsonl]

The run is made first, in a temporary folder: participants x items x trials, each with an attempt of 600 characters and
an explanation of 100. Memory is flat when twice the rows take no more of it: compare --rows 500000 with 1000000.
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

from partynli.judgments import reader_for
from partynli.labels import LABELS, collapse
from partynli.prompts import load_task, task_of
from partynli.publish.tables.export import ExportOptions, export_run, read_manifest
from partynli.publish.tables.reading import import_export, task_in
from partynli.records import Item, Participant
from partynli.store import Attempt, JudgmentRow, Run, importing

_, VERSION = reader_for(load_task("livenli"))
SETS = (*LABELS, "either-false", "either-true", "error")


def make(path: Path, rows: int, items: int, trials: int) -> None:
    task = load_task("livenli")
    people = [Participant(f"model-{k}", "openai", f"m-{k}", {}) for k in range(max(1, round(rows / (items * trials))))]
    pairs = [Item(f"item-{k}", {"premise": f"P {k}.", "hypothesis": "H."}) for k in range(items)]
    plan = {
        "participants": [one.id for one in people],
        "trials": [trials] * len(people),
        "items": "demo",
        "n_items": items,
        "groups": {"all": [one.id for one in people]},
        "reasks": 2,
    }
    manifest = {"plan": plan, "task": asdict(task), "synthetic": False}
    rng = random.Random(0)
    n = 0
    with importing(path, manifest, people, pairs, plan["groups"]) as store:
        made = trials_of(people, pairs, trials, rng)
        while chunk := list(islice(made, 4096)):
            store.add([judgment for judgment, _ in chunk], {})
            store.add_attempts([attempt for _, attempt in chunk], [("p", "[]"), ("b", "{}")])
            n += len(chunk)
        store.note("judged", str(n))
        store.note("reader", reader_for(task)[1])


def trials_of(
    people: list[Participant], items: list[Item], trials: int, rng: random.Random
) -> Iterator[tuple[JudgmentRow, Attempt]]:
    for trial in range(1, trials + 1):
        for item in items:
            for one in people:
                chosen = rng.choice(SETS)
                key = f"sha256:{rng.getrandbits(256):064x}"
                text = "".join(rng.choices("etaoin shrdlu", k=100))
                simple = collapse(chosen, "either")
                said = None if chosen == "error" else text
                judgment = JudgmentRow(
                    key, one.id, item.uid, trial, simple, chosen, said, said and "[]", None, VERSION, "sample"
                )
                raw = "I cannot say." + " " * 500 + text
                status = "rejected" if chosen == "error" else "valid"
                answer = (status, None, "b", None, raw, one.model, None, "stop", 600, 120, 0.001, 1.0, 1.75e9 + trial)
                yield judgment, Attempt(key, 1, one.id, item.uid, "p", trial, *answer)


def measure(path: Path, out: Path, kind: str, *, back: bool) -> None:
    started = time.perf_counter()
    if back:
        export = read_manifest(out)
        import_export(export, out.with_name(f"back-{kind}"), task_in(export), (), {})
    else:
        with Run.open(path) as run:
            export_run(run, task_of(run.manifest), None, out, options=ExportOptions(kind), report=None)
    seconds = time.perf_counter() - started
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    cpu = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    found = {"seconds": round(seconds, 1), "cpu": round(cpu, 1), "peak_mb": round(peak_mb()), "mb": round(size / 1e6)}
    print(json.dumps(found))


def peak_mb() -> float:
    """The most memory that this process held."""
    status = Path("/proc/self/status").read_text()  # ru_maxrss would count the parent's, from before the exec
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=2_000)
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--kinds", nargs="+", default=["parquet", "csv", "jsonl"])
    parser.add_argument("--measure", nargs=4, metavar=("RUN", "OUT", "KIND", "WHAT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        path, out, kind, what = given.measure
        measure(Path(path), Path(out), kind, back=what == "import")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        make(path, given.rows, given.items, given.trials)
        print(f"{given.rows:,} judgments, database {(path / 'run.sqlite').stat().st_size / 1e6:,.0f} MB")
        for kind in given.kinds:
            for what in ("export", "import"):
                command = [sys.executable, __file__, "--measure", str(path), f"{folder}/{kind}", kind, what]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                print(f"{what} {kind}: {done.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main()
