"""The 341 items of ChaosNLI and VariErr: counts, order, and the figures that follow from them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from partynli.aggregate import human_counts
from partynli.items import Dataset, check_items, load_dataset
from partynli.items.varierr341 import FILES
from partynli.metrics import js_distance, kl_divergence, probabilities, total_variation

DATA = Path(os.environ.get("PARTYNLI_DATA") or Path(__file__).parents[3] / "shared/data")
FILE = DATA / FILES[0].path


@pytest.fixture(scope="module")
def varierr() -> Dataset:
    if not FILE.is_file():
        pytest.skip(f"{FILES[0].path} is not under PARTYNLI_DATA nor under ../shared/data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PARTYNLI_DATA", str(DATA))
        return load_dataset("varierr341")


def test_items_and_counts(varierr: Dataset) -> None:
    uids = [item.uid for item in varierr.items]
    assert check_items(varierr.items).n == len(uids) == 341
    assert (uids[0], uids[-1]) == ("varierr-001", "varierr-341")
    assert FILE.stat().st_size == FILES[0].size
    votes = {"chaosnli": 100, "mnli": 5, "varierr": 4}
    assert {source: {sum(c) for c in counts.values()} for source, counts in varierr.distributions.items()} == {
        source: {n} for source, n in votes.items()
    }
    assert all(list(counts) == uids for counts in varierr.distributions.values())
    assert {source: counts["varierr-002"] for source, counts in varierr.distributions.items()} == {
        "chaosnli": (68, 28, 4),
        "mnli": (2, 3, 0),
        "varierr": (1, 3, 0),
    }
    assert varierr.annotations == ()


def test_the_order_of_labels_is_that_of_the_letters(varierr: Dataset) -> None:
    lines = FILE.read_text(encoding="utf-8").splitlines()
    for (uid, mnli), line in zip(varierr.distributions["mnli"].items(), lines, strict=True):
        row = json.loads(line)
        assert mnli["enc".index(row["mnli labels"][0])] == max(mnli)
        given = [label for _, label in row["comments"]]
        assert varierr.distributions["varierr"][uid] == tuple(given.count(letter) for letter in "enc")


@pytest.mark.parametrize(("source", "figures"), [("mnli", (1.242, 0.209, 0.215)), ("varierr", (3.604, 0.282, 0.286))])
def test_distances_to_chaosnli(varierr: Dataset, source: str, figures: tuple[float, ...]) -> None:
    uids = [item.uid for item in varierr.items]
    p, q = (probabilities(human_counts(varierr, name, uids, 3)) for name in ("chaosnli", source))
    found = [float(np.mean(metric(p, q))) for metric in (kl_divergence, js_distance, total_variation)]
    assert [round(value, 3) for value in found] == list(figures)
