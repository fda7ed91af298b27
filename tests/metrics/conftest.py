"""The published data that the figures are recomputed from, read with nothing but the standard library."""

from __future__ import annotations

import ast
import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

CHAOS = ("e", "n", "c")
MNLI = ("entailment", "neutral", "contradiction")
LIVENLI = ("true", "either", "false")

Table = NDArray[np.float64]


def _data(relative: str) -> Path:
    root = os.environ.get("PARTYNLI_DATA") or Path(__file__).parents[3] / "shared" / "data"
    path = Path(root) / relative
    if not path.is_file():
        pytest.skip(f"{relative} is not under PARTYNLI_DATA nor under ../shared/data")
    return path


@dataclass(frozen=True)
class LiveNLI:
    """Items in the order of the file; (items, 3) counts of zeros where a population did not label the item."""

    uids: list[str]
    workers: list[str]
    sets: list[frozenset[str]]
    simple: NDArray[np.int64]
    """(workers, items) codes of class_simple."""
    multi: NDArray[np.int64]
    """(workers, items) codes into `sets`."""
    livenli: Table
    chaosnli: Table
    mnli: Table
    common: NDArray[np.bool_]
    """(items,) the 50 that all three share."""


@pytest.fixture(scope="session")
def livenli() -> LiveNLI:
    with _data("livenli/livenli.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    uids = list(dict.fromkeys(row["uid"] for row in rows))
    workers = list(dict.fromkeys(row["worker_id"] for row in rows))
    chosen = [frozenset(part.strip() for part in row["multilabel"].split("|")) for row in rows]
    sets = list(dict.fromkeys(chosen))
    simple, multi = (np.full((len(workers), len(uids)), -1) for _ in range(2))
    chaosnli, mnli = (np.zeros((len(uids), 3)) for _ in range(2))
    for row, labels in zip(rows, chosen, strict=True):
        at = workers.index(row["worker_id"]), uids.index(row["uid"])
        multi[at] = sets.index(labels)
        simple[at] = LIVENLI.index(next(iter(labels)) if len(labels) == 1 else "either")
        if row["chaos_dist"]:
            votes = ast.literal_eval(row["chaos_dist"])
            chaosnli[at[1]] = [votes.get(label, 0) for label in CHAOS]
        if row["mnli_labels"].startswith("["):  # a single word elsewhere: MNLI's label of its training set
            given = ast.literal_eval(row["mnli_labels"])
            mnli[at[1]] = [given.count(label) for label in MNLI]
    counts = (simple[..., None] == np.arange(3)).sum(0).astype(float)
    common = (chaosnli.sum(1) > 0) & (mnli.sum(1) > 0)
    return LiveNLI(uids, workers, sets, simple, multi, counts, chaosnli, mnli, common)


@dataclass(frozen=True)
class VariErr:
    """(341, 3) distributions of the items that ChaosNLI and VariErr share."""

    chaosnli: Table
    mnli_single: Table
    mnli: Table
    varierr: Table


@pytest.fixture(scope="session")
def varierr() -> VariErr:
    with _data("chaosnli_varierr/nli_explanations.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]

    def shares(counts: list[list[int]]) -> Table:
        x = np.array(counts, dtype=float)
        return x / x.sum(1, keepdims=True)

    return VariErr(
        chaosnli=np.array([row["chaos probs"] for row in rows]),
        mnli_single=np.array([[float(label == row["mnli labels"][0]) for label in CHAOS] for row in rows]),
        mnli=shares([row["mnli labels"][1] for row in rows]),
        varierr=shares([row["varierr labels"] for row in rows]),
    )
