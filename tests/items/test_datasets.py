"""Datasets by name, the demonstration items, and the pass that checks items before anything is spent."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from partynli.errors import ItemsError
from partynli.items import DATASETS, Dataset, ItemSource, check_items, load_dataset
from partynli.records import Annotation, Item


def test_demo_is_of_our_own_writing() -> None:
    demo = load_dataset("demo")
    items = list(demo.items)
    assert [item.uid for item in items] == [f"demo-{n:02}" for n in range(1, 25)]
    assert all(set(item.texts) == {"premise", "hypothesis"} for item in items)
    assert len({item.texts["premise"] for item in items}) == 24
    assert (demo.annotations, demo.distributions) == ((), {})
    assert (demo.source, demo.licence) == ("partynli demo", "Apache-2.0, as partynli")
    assert check_items(demo.items).n == 24


def test_unknown_dataset() -> None:
    with pytest.raises(ItemsError, match="unknown dataset 'livenly'; did you mean livenli"):
        load_dataset("livenly")
    with pytest.raises(ItemsError, match=r"unknown dataset ''; known: anli, demo, livenli"):
        load_dataset("")
    with pytest.raises(ItemsError, match=r"\(a file of your own ends in .jsonl, "):
        load_dataset("x" * 5000)


def test_a_name_comes_before_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("demo").write_text("no table")
    assert check_items(load_dataset("demo").items).n == 24
    with pytest.raises(ItemsError, match=r"demo: the name must end in .jsonl"):
        load_dataset("./demo")


def test_a_path_stays_as_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.csv").write_text("uid,premise,hypothesis\n1,P,H\n")
    dataset = load_dataset("mine.csv")
    assert (dataset.name, dataset.items.name, dataset.source) == ("mine.csv", "mine.csv", "mine.csv")


def test_a_dataset_without_the_texts_that_the_task_asks_for() -> None:
    with pytest.raises(ItemsError, match="'demo' has the texts premise, hypothesis and lacks context, which the task"):
        load_dataset("demo", ["premise", "context"])


def test_only_the_chosen_dataset_is_imported() -> None:
    code = (
        "import sys; from partynli.items import load_dataset; load_dataset('demo'); "
        "heavy = ('urllib.request', 'numpy', 'pandas', 'pyarrow', 'pydantic'); "
        "print(*sorted(name for name in sys.modules if name in heavy or name.startswith('partynli.items.')))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    shared = ("base", "demo", "lines", "parquet", "rows", "table")
    assert out.stdout.split() == [f"partynli.items.{name}" for name in shared]


def test_every_dataset_has_its_line_of_help() -> None:
    assert all(module.startswith("partynli.items.") and len(line) < 100 for module, line in DATASETS.values())


def item(uid: str, text: str = "T.") -> Item:
    return Item(uid, {"text": text})


def test_items_in_memory() -> None:
    source = ItemSource.of([item("a", "é"), item("b", "xyz")], "mine", "a note")
    assert [one.uid for one in source] == [one.uid for one in source] == ["a", "b"]
    assert (repr(source), source.note) == ("ItemSource('mine')", "a note")
    summary = check_items(source)
    assert (summary.n, summary.n_chars, summary.n_chars_max, summary.n_bytes) == (2, 4, 3, 5)
    assert check_items([item("a")]).n == 1


def test_doubles_are_named_by_number_where_there_are_no_lines() -> None:
    with pytest.raises(ItemsError, match=r"^mine: items 1 and 3 have the same uid 'a'"):
        check_items(ItemSource.of([item("a"), item("b"), item("a"), item("b")], "mine"))


def test_the_first_of_many_doubles_is_named() -> None:
    items = [item(str(n % 700)) for n in range(2000)]
    with pytest.raises(ItemsError, match=r"items 1 and 701 have the same uid '0'"):
        check_items(ItemSource.of(items, "mine"))
    assert Counter(one.uid for one in items)["0"] == 3


def test_no_items() -> None:
    with pytest.raises(ItemsError, match=r"^mine holds no items$"):
        check_items(ItemSource.of([], "mine"))


# --- people who chose from the same labels by other names, or from others ---


def people() -> Dataset:
    said = Annotation("a", "w", "either-true", "either", "Because.")
    return Dataset("d", ItemSource.of([item("a")], "d"), (said,), {"w": {"a": (5, 2, 1)}})


def test_a_dataset_speaks_the_labels_of_the_task() -> None:
    asked = people().asked_for(("contradiction", "entailment", "neutral"))
    assert asked.distributions == {"w": {"a": (1, 5, 2)}}
    assert (asked.annotations[0].class_multi, asked.annotations[0].class_simple) == ("entailment-neutral", "neutral")
    assert asked.withheld == ""
    assert asked.asked_for(("true", "either", "false")).distributions == people().distributions


def test_people_who_chose_from_other_labels_are_left_out_and_it_is_said() -> None:
    asked = people().asked_for(("yes", "no", "unsure"))
    assert (asked.annotations, asked.distributions) == ((), {})
    assert asked.withheld == "people in d chose from true, either, false; the task has yes, no, unsure"
    assert load_dataset("demo", labels=("yes", "no")).withheld == "", "there is nothing to leave out"
