"""VariErr, person by person: its counts are those of the file, and its first round is that of the other file."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from partynli.items import Dataset, check_items, load_dataset
from partynli.items.varierr import FILES
from partynli.items.varierr341 import FILES as OTHERS

DATA = Path(os.environ.get("PARTYNLI_DATA") or Path(__file__).parents[3] / "shared/data")


@pytest.fixture(scope="module")
def varierr() -> Dataset:
    if not (DATA / FILES[0].path).is_file():
        pytest.skip(f"{FILES[0].path} is not under PARTYNLI_DATA nor under ../shared/data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PARTYNLI_DATA", str(DATA))
        return load_dataset("varierr")


def test_items_and_counts(varierr: Dataset) -> None:
    assert check_items(varierr.items).n == 498
    uids = {item.uid for item in varierr.items}
    assert all(counts.keys() == uids for counts in varierr.distributions.values())
    assert all(sum(votes) for counts in varierr.distributions.values() for votes in counts.values())
    assert {sum(votes) for votes in varierr.distributions["chaosnli"].values()} == {100}
    first, second = (varierr.distributions[name] for name in ("varierr", "varierr_round2"))
    assert all(b <= a for uid in uids for a, b in zip(first[uid], second[uid], strict=True))


def test_annotators_labels_add_up_to_the_first_round(varierr: Dataset) -> None:
    counts: dict[str, Counter[str]] = {}
    for one in varierr.annotations:
        counts.setdefault(one.uid, Counter()).update(one.class_multi.split("-"))
        assert len(one.explanation.split("\n")) >= len(one.class_multi.split("-"))
    labels = ("true", "either", "false")
    assert {uid: tuple(count[label] for label in labels) for uid, count in counts.items()} == varierr.distributions[
        "varierr"
    ]
    assert {one.worker for one in varierr.annotations} == {f"annotator-{n}" for n in range(4)}
    assert any(one.class_multi != one.class_simple == "either" for one in varierr.annotations)


def test_the_items_of_both_files_have_the_same_counts(varierr: Dataset) -> None:
    by_texts = {tuple(item.texts.values()): varierr.distributions["varierr"][item.uid] for item in varierr.items}
    rows = [json.loads(line) for line in (DATA / OTHERS[0].path).read_text("utf-8").splitlines()]
    shared = [row for row in rows if (row["premise"], row["hypothesis"]) in by_texts]
    assert len(shared) == 325  # the texts of the other 16 differ in white space
    assert all(by_texts[row["premise"], row["hypothesis"]] == tuple(row["varierr labels"]) for row in shared)
