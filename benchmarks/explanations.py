"""`partynli report --explanations` on as many explanations as the paper's data set has, on one core.

    PARTYNLI_DATA=... python benchmarks/explanations.py [--models 4] [--seed 0] [--embedder tfidf]

Writes a table of answers of the paper's shape (two mixes of 10 with 5 trials, grids of temperature and top-p, a size
experiment), imports it, and times the steps and the whole command. Explanations are two to four human ones of the same
item, one after the other: as long as models' (some 70 words), and about as much alike.
"""

# ruff: noqa: E402 - the number of threads is set before NumPy is imported
from __future__ import annotations

import argparse
import csv
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np

from partynli.analysis.explanations import (
    embedded,
    explanation_report,
    populations_of,
    read_explanations,
    variations_of,
)
from partynli.analysis.groups import groups_of
from partynli.cli.reading import answers_of, pick_scope
from partynli.embed import embedder_for
from partynli.items import load_dataset
from partynli.prompts import task_of
from partynli.store import Run

_Result = TypeVar("_Result")
_LABELS = ("true", "either", "false", "either-false", "either-true")
_GRID = ("", 0.1, 0.3, 0.5, 0.7, 0.9)


def rows(models: int, rng: random.Random) -> Iterator[list[object]]:
    said: dict[str, list[str]] = {}
    for one in load_dataset("livenli").annotations:
        said.setdefault(one.uid, []).append(one.explanation)

    def row(name: str, uid: str, trial: int, experiment: str, *more: object) -> list[object]:
        label = rng.choices(_LABELS, [0.25, 0.5, 0.15, 0.05, 0.05])[0]
        text = " ".join(rng.sample(said[uid], rng.randint(2, 4)))
        return [uid, name, trial, label, text, "model", experiment, *(more or ("", "", ""))]

    for uid in said:
        for trial in range(1, 6):
            for number in range(20):
                mix = "model_mix_hi" if number < 10 else "model_mix_lo"
                yield row(f"model{number:02}", uid, trial, mix)
            for size in (1, 4, 8, 14, 27, 70, 671):
                yield row(f"fam-{size}b", uid, trial, "size_ablation", size, "", "")
        for temperature in _GRID:
            for top_p in _GRID:
                for number in range(models):
                    yield row(f"model{number:02}", uid, 1, "hp_ablation", "", temperature, top_p)


def timed(what: str, step: Callable[[], _Result]) -> _Result:
    start = time.process_time()
    found = step()
    print(f"{what:34}{time.process_time() - start:7.2f} s of CPU")
    return found


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=4, help="models in the grids")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--embedder", default="tfidf")
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "answers.csv")
        with table.open("w", encoding="utf-8", newline="") as file:
            out = csv.writer(file)
            head = "sent_id,participant,trial,class_multi,explanation,participant_type,experiment,num_params"
            out.writerow([*head.split(","), "temperature", "top_p"])
            out.writerows(rows(args.models, random.Random(args.seed)))
        command = [sys.executable, "-m", "partynli"]
        where = ["--runs", folder]
        subprocess.run([*command, "import", str(table), "--run", "b", *where], check=True, capture_output=True)
        for more in ([], ["--explanations", "--embedder", args.embedder]):
            start, used = time.perf_counter(), cpu_of_children()
            subprocess.run([*command, "report", "b", *more, *where], check=True, capture_output=True, cwd=folder)
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            took = f"{cpu_of_children() - used:.2f} s of CPU ({time.perf_counter() - start:.2f} s in all)"
            print(f"partynli report {' '.join(more)}: {took}, peak {peak:.0f} MB")

        reading = answers_of(Path(folder, "b"))
        name, uids = pick_scope(reading, "all122")
        groups, _ = groups_of(reading.answers)
        with Run.open(Path(folder, "b")) as run:
            task = task_of(reading.manifest)
            explanations = timed(
                "read, words, quotations", lambda: read_explanations(run, task, reading.answers, reading.dataset)
            )
        lengths = [len(text.split()) for text in explanations.texts]
        embedder = embedder_for(args.embedder)
        vectors = {embedder.name: timed("embed", lambda: embedded(explanations, embedder))}
        populations = populations_of(explanations, groups)
        timed("values", lambda: variations_of(explanations, populations, vectors))
        timed("values without Chen's overlap", lambda: variations_of(explanations, populations, vectors, overlap=False))
        timed("values, medians and intervals", lambda: explanation_report(name, explanations, groups, vectors))
        print(
            f"{len(lengths):,} explanations of {len(uids)} items, {np.median(lengths):.0f} words in the median, "
            f"{len(populations)} populations"
        )


if __name__ == "__main__":
    main()
