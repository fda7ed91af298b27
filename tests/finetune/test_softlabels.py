"""Files of soft labels: three kinds, what they hold, and one clear line for each that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from partynli.errors import InputError, ItemsError
from partynli.finetune.softlabels import read_soft_labels
from partynli.finetune.sources import load_source
from partynli.finetune.study import compared, parse_sources

GOOD = {
    "uid": "a",
    "premise": "It rains.",
    "hypothesis": "It is wet.",
    "labels": ["true", "either", "false"],
    "p": [0.5, 0.3, 0.2],
}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_labels_in_any_order_and_by_either_names_come_out_in_ours(tmp_path: Path) -> None:
    other = {**GOOD, "uid": 7, "labels": ["Contradiction", "entailment", "neutral"], "p": [0.2, 0.5, 0.3]}
    found = read_soft_labels(write(tmp_path / "a.jsonl", GOOD, other))
    assert found.p.tolist() == [[0.5, 0.3, 0.2]] * 2
    assert [item.uid for item in found.items] == ["a", "7"]
    assert found.name == "a.jsonl"


@pytest.mark.parametrize("label", [[0.1, 0.1, 0.8], "contradiction"])
def test_a_label_beside_labels_and_p_changes_nothing(tmp_path: Path, label: object) -> None:
    found = read_soft_labels(write(tmp_path / "a.jsonl", {**GOOD, "label": label, "gold_label": "neutral"}))
    assert found.p.tolist() == [[0.5, 0.3, 0.2]]


def test_the_hash_is_of_the_content(tmp_path: Path) -> None:
    respaced = json.dumps(dict(reversed(GOOD.items())), indent=None, separators=(" ,", " : "))
    one, same, other = (
        read_soft_labels(write(tmp_path / name, row))
        for name, row in (("a.jsonl", GOOD), ("b.jsonl", respaced), ("c.jsonl", {**GOOD, "p": [0.5, 0.2, 0.3]}))
    )
    assert one.hash == same.hash != other.hash


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.Table.from_pylist([GOOD]), tmp_path / "a.parquet")
    lines = read_soft_labels(write(tmp_path / "a.jsonl", GOOD))
    assert read_soft_labels(tmp_path / "a.parquet").hash == lines.hash


def test_mnli_rows_are_single_labels_and_those_without_gold_are_left_out(tmp_path: Path) -> None:
    rows = [
        {"sentence1": "P", "sentence2": "H", "pairID": f"{k}", "gold_label": gold, "annotator_labels": []}
        for k, gold in enumerate(["entailment", "-", "neutral", "contradiction"])
    ]
    found = read_soft_labels(write(tmp_path / "multinli_1.0_train.jsonl", *rows))
    assert found.p.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert found.n_left_out == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"p": [0.5, 0.3, 0.1]}, r"a.jsonl:2: p is \[0.5, 0.3, 0.1\] with sum 0.9; make it a distribution"),
        ({"p": [1.2, -0.1, -0.1]}, "make it a distribution"),
        ({"p": [0.5, 0.5]}, "no list of 3 probabilities"),
        ({"p": ["a", 0.5, 0.5]}, "'a', which is no number"),
        ({"p": [True, 0, 0]}, "'True', which is no number"),
        ({"p": None}, "no list of 3 probabilities"),
        ({"labels": ["true", "either", "maybe"]}, "give each of true, either, false once"),
        ({"labels": ["true", "true", "false"]}, "give each of true, either, false once"),
        ({"labels": "true"}, "labels is no list of names"),
        ({"premise": "  "}, "premise is no text"),
        ({"hypothesis": 5}, "hypothesis is no text"),
        ({"premise": "a\0b"}, "holds a character that is none"),
        ({"uid": "a"}, "the uid 'a' is that of line 1"),
    ],
)
def test_a_wrong_row_is_one_line_that_says_where(tmp_path: Path, change: dict[str, object], said: str) -> None:
    path = write(tmp_path / "a.jsonl", GOOD, {**GOOD, "uid": "b", **change})
    with pytest.raises(ItemsError, match=said) as raised:
        read_soft_labels(path)
    assert "\n" not in str(raised.value)
    assert "a.jsonl:2: " in str(raised.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no soft labels"),
        ("{", "invalid JSON"),
        ("[1]", "write one object a line"),
        ('{"uid": 1, "premise": "a", "hypothesis": "b", "label": [1, 0, 0], "p": 3}', None),
        ('{"uid": "a", "premise": "a", "hypothesis": "b"}', "no 'labels' and no 'p'"),
        ('{"premise": "a", "hypothesis": "b", "label": [NaN, 0, 1]}', "no number"),
        ('{"premise": "a", "hypothesis": "b", "label": "e"}', "no list of 3"),
        ('{"sentence1": "a", "sentence2": "b", "pairID": "x", "gold_label": "maybe"}', "gold_label is 'maybe'"),
    ],
)
def test_garbage_is_one_line(tmp_path: Path, content: str, said: str | None) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(content)
    if said is None:
        assert len(read_soft_labels(path)) == 1
        return
    with pytest.raises(ItemsError, match=said) as raised:
        read_soft_labels(path)
    assert "\n" not in str(raised.value)


def test_unknown_names_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ItemsError, match=r"did you mean .*chaosnli-dev"):
        load_source("chaosnli-def")
    with pytest.raises(ItemsError, match="cannot be read"):
        load_source(str(tmp_path / "absent.jsonl"))


def test_the_real_dev_and_test_halves(real_data: Path) -> None:
    dev, test, train = map(load_source, ("chaosnli-dev", "chaosnli-test", "varierr341:chaosnli"))
    assert (len(dev), len(test), len(train)) == (629, 629, 341)
    assert dev.shared_with(test) == dev.shared_with(train) == test.shared_with(train) == 0
    np.testing.assert_allclose(dev.p.sum(1), 1)
    raw = json.loads((real_data / "chaosnli_soft/dev.jsonl").read_text().splitlines()[0])
    assert (dev.items[0].premise, list(dev.items[0].p)) == (raw["premise"], pytest.approx(raw["label"]))


def test_the_four_of_the_papers_and_their_distances(real_data: Path) -> None:
    reference = load_source("varierr341:chaosnli")
    published = {"single": (9.288, 0.422, 0.435, 0.612), "mnli": (1.242, 0.209, 0.215, 0.795)}
    for part, figures in published.items():
        found = compared(load_source(f"varierr341:{part}"), reference)
        assert found is not None
        assert tuple(round(value, 3) for value in found.values()) == figures
    raw = [
        json.loads(line) for line in (real_data / "chaosnli_varierr/nli_explanations.jsonl").read_text().splitlines()
    ]
    single = load_source("varierr341:single")
    assert single.p.argmax(1).tolist() == ["enc".index(row["mnli labels"][0]) for row in raw]
    assert compared(load_source("chaosnli-dev"), reference) is None


def test_sources_of_a_table() -> None:
    assert parse_sources(["x=data/a.jsonl", "data/b.jsonl", "varierr341:mnli"]) == {
        "x": "data/a.jsonl",
        "b.jsonl": "data/b.jsonl",
        "varierr341:mnli": "varierr341:mnli",
    }
    for wrong in (["=a.jsonl"], ["a="], ["a=1.jsonl", "a=2.jsonl"], ["zero-shot=a.jsonl"]):
        with pytest.raises(InputError, match="write NAME=FILE"):
            parse_sources(wrong)
