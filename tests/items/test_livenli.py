"""LiveNLI as published: every count, every highlight, and no trace of the canary."""

from __future__ import annotations

import csv
import os
from collections import Counter
from math import log
from pathlib import Path
from statistics import mean, stdev

import pytest

from partynli.items import Dataset, check_items, load_dataset
from partynli.items.livenli import FILES

DATA = Path(os.environ.get("PARTYNLI_DATA") or Path(__file__).parents[3] / "shared/data")
FILE = DATA / FILES[0].path


@pytest.fixture(scope="module")
def livenli() -> Dataset:
    if not FILE.is_file():
        pytest.skip(f"{FILES[0].path} is not under PARTYNLI_DATA nor under ../shared/data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PARTYNLI_DATA", str(DATA))
        return load_dataset("livenli")


def test_counts(livenli: Dataset) -> None:
    assert check_items(livenli.items).n == len(list(livenli.items)) == 122
    assert len(livenli.annotations) == 1405
    assert len({one.worker for one in livenli.annotations}) == 48
    assert Counter(one.class_multi for one in livenli.annotations) == {
        "true": 434,
        "either": 412,
        "false": 322,
        "either-true": 118,
        "either-false": 86,
        "false-true": 22,
        "either-false-true": 11,
    }
    assert Counter(one.class_simple for one in livenli.annotations) == {"either": 649, "true": 434, "false": 322}
    assert all(one.explanation.strip() for one in livenli.annotations)


def test_distributions(livenli: Dataset) -> None:
    by_source = livenli.distributions
    assert {source: len(counts) for source, counts in by_source.items()} == {
        "livenli": 122,
        "chaosnli": 50,
        "mnli": 110,
    }
    shared = set(by_source["chaosnli"]) & set(by_source["mnli"])
    assert len(shared) == 50
    assert {sum(by_source["livenli"][uid]) for uid in shared} == {10}
    assert sum(map(sum, by_source["livenli"].values())) == 1405
    assert {sum(counts) for counts in by_source["chaosnli"].values()} == {100}
    assert {sum(counts) for counts in by_source["mnli"].values()} == {5}
    assert by_source["chaosnli"]["20274n"] == (14, 75, 11)
    assert by_source["mnli"]["20274n"] == (2, 3, 0)


@pytest.mark.parametrize(
    ("source", "expected_mean", "expected_sd"),
    [("livenli", 0.639, 0.231), ("chaosnli", 0.724, 0.125), ("mnli", 0.717, 0.103)],
)
def test_entropies_of_the_shared_items(livenli: Dataset, source: str, expected_mean: float, expected_sd: float) -> None:
    """The human rows of Kulmizev et al. (2026), table 2."""
    counts = [livenli.distributions[source][uid] for uid in livenli.distributions["chaosnli"]]
    entropies = [-sum(n / sum(one) * log(n / sum(one)) for n in one if n) for one in counts]
    assert (mean(entropies), stdev(entropies)) == pytest.approx((expected_mean, expected_sd), abs=5e-4)


def test_every_highlight_is_where_it_says(livenli: Dataset) -> None:
    texts = {item.uid: item.texts for item in livenli.items}
    spans = [(one.uid, span) for one in livenli.annotations for span in one.highlights]
    assert len(spans) == 4119
    assert [span for uid, span in spans if texts[uid][span.field][span.start : span.end] != span.text] == []
    assert sum(not one.highlights for one in livenli.annotations) == 1


def test_texts_are_kept_to_the_letter(livenli: Dataset) -> None:
    spaced = {item.uid for item in livenli.items if any(text != text.strip() for text in item.texts.values())}
    assert spaced == {"14442e", "51148e", "131718n"}


def test_the_canary_is_in_no_record(livenli: Dataset) -> None:
    everything = repr(livenli) + repr(list(livenli.items)) + repr(vars(livenli.items))
    assert len(everything) > 700_000
    checked, found = _look_for_the_canary(everything)
    assert checked
    assert not found


def _look_for_the_canary(everything: str) -> tuple[bool, bool]:
    """Whether the last column is a UUID's, and whether anything of it is in a text.

    Only truth values leave this function, and it asserts nothing: a failing assert would print what it compares.
    """
    with FILE.open(encoding="utf-8", newline="") as file:
        lasts = {row[-1].strip() for row in csv.reader(file)}
    secrets = {one for one in lasts if len(one) > 8}
    return any(len(one) == 36 for one in secrets), any(one in everything for one in secrets)
