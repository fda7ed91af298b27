"""Files of explanations: the published ones in their four spellings, our own, and what is none of them."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from partynli.errors import ItemsError
from partynli.items import load_dataset
from partynli.items.explanation_files import KEYS, Explanation, human_explanations, read_explanations
from partynli.items.varierr341 import FILES
from partynli.records import Item

DATA = Path(os.environ.get("PARTYNLI_DATA") or Path(__file__).parents[3] / "shared/data")
MODELS = DATA / "model_explanations"
ITEMS = [Item(uid, {"premise": f"{uid} sings.", "hypothesis": "Somebody sings."}) for uid in ("a", "b")]
OWN = {"uid": "a", "label": "true", "explanation": "Because."}
PUBLISHED = {"premise": "a sings.", "hypothesis": "Somebody sings."}


def write(file: Path, *rows: object) -> Path:
    file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return file


@pytest.mark.skipif(not (DATA / FILES[0].path).is_file(), reason="VariErr's explanations are not there")
def test_peoples_explanations_are_those_of_their_votes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARTYNLI_DATA", str(DATA))
    human = human_explanations()
    votes = load_dataset("varierr341").distributions["varierr"]
    assert list(human) == list(votes)
    for uid, given in human.items():
        counts = Counter(one.label for one in given)
        assert (counts["true"], counts["either"], counts["false"]) == votes[uid]


@pytest.mark.skipif(not (MODELS / "gpt4o").is_dir(), reason="the published explanations are not there")
def test_every_published_file_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARTYNLI_DATA", str(DATA))
    items = list(load_dataset("varierr341").items)
    keys = set()
    for model in ("gpt4o", "llama3", "mixtral"):
        files = sorted((MODELS / model).glob("*.jsonl"))
        assert len(files) == 7
        for file in files:
            found = read_explanations(file, items)
            per_item = {"human": 4, "label-free": 3, "varierr": 4, "mnli": 5}
            (n,) = {len(given) for given in found.values()}
            assert (len(found), n) == (341, next(n for name, n in per_item.items() if file.name.startswith(name)))
            keys |= json.loads(file.read_text("utf-8").splitlines()[0]).keys() & set(KEYS)
            if file.stem == "human":
                assert found == human_explanations()
    assert keys == set(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_each_spelling_of_the_key(key: str, tmp_path: Path) -> None:
    file = write(tmp_path / "f.json", PUBLISHED | {key: [["One.\n", "e"], ["Two.", "n"], ["Three.", "c"]]})
    labels = [(one.label, one.text) for one in read_explanations(file, ITEMS)["a"]]
    assert labels == [("true", "One.\n"), ("either", "Two."), ("false", "Three.")]


def test_our_own_lines_are_gathered_by_item(tmp_path: Path) -> None:
    rows = [OWN, OWN | {"uid": "b"}, OWN | {"label": "false", "flagged": True, "rank": 2}]
    assert read_explanations(write(tmp_path / "f.jsonl", *rows), ITEMS) == {
        "a": (Explanation("true", "Because."), Explanation("false", "Because.", flagged=True)),
        "b": (Explanation("true", "Because."),),
    }


def test_several_participants_must_be_told_apart(tmp_path: Path) -> None:
    file = write(tmp_path / "f.jsonl", OWN | {"participant": "m"}, OWN | {"participant": "n", "label": "false"})
    with pytest.raises(ItemsError, match="explanations of 'm', 'n'; choose one participant"):
        read_explanations(file, ITEMS)
    assert read_explanations(file, ITEMS, "n") == {"a": (Explanation("false", "Because."),)}
    with pytest.raises(ItemsError, match="holds no explanations of 'x'"):
        read_explanations(file, ITEMS, "x")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("no json", "invalid JSON"),
        ("[]", "found a list"),
        ("[" * 100_000, "nested too deeply"),
        ({}, "is expected, or uid, label and explanation; found nothing"),
        (OWN | {"uid": "z"}, "there is no item 'z'"),
        (OWN | {"uid": ["a"]}, "there is no item"),
        (OWN | {"label": "maybe"}, "labels are true, either, false"),
        (OWN | {"label": ["true"]}, "labels are true, either, false"),
        (OWN | {"explanation": "  "}, "an explanation is empty"),
        (OWN | {"explanation": 5}, "an explanation is no text"),
        (OWN | {"explanation": "half \ud800"}, "half a surrogate pair, \\ud800; write it whole"),
        (OWN | {"explanation": None}, "an explanation is no text"),
        (PUBLISHED | {"comments": "x"}, "no list of pairs"),
        (PUBLISHED | {"comments": [["x", "q"]]}, "one of the letters e, n, c"),
        (PUBLISHED | {"comments": [["x", ["e"]]]}, "one of the letters e, n, c"),
        (PUBLISHED | {"comments": [["x"]]}, "one of the letters e, n, c"),
        (PUBLISHED | {"comments": [["", "e"]]}, "an explanation is empty"),
        (PUBLISHED | {"comments": [], "machine_comments": []}, "one of comments, machine_comments"),
        (PUBLISHED | {"premise": "c sings.", "comments": []}, "no item has this premise and hypothesis"),
        (PUBLISHED | {"premise": ["a"], "comments": []}, "no item has this premise and hypothesis"),
    ],
)
def test_what_is_no_explanation_is_named_with_its_line(row: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(ItemsError) as error:
        read_explanations(write(tmp_path / "f.jsonl", OWN, row), ITEMS)
    assert message in str(error.value)
    assert "f.jsonl:2: " in str(error.value)
    assert "\n" not in str(error.value)


def test_an_item_with_an_empty_list_has_no_explanations(tmp_path: Path) -> None:
    other = {"premise": ITEMS[1].texts["premise"], "hypothesis": ITEMS[1].texts["hypothesis"], "comments": [["x", "e"]]}
    found = read_explanations(write(tmp_path / "f.jsonl", PUBLISHED | {"comments": []}, other), ITEMS)
    assert found == {ITEMS[1].uid: (Explanation("true", "x"),)}
    with pytest.raises(ItemsError, match="holds no explanations"):
        read_explanations(write(tmp_path / "f.jsonl", PUBLISHED | {"comments": []}), ITEMS)


def test_an_item_on_two_lines_of_a_published_file(tmp_path: Path) -> None:
    row = PUBLISHED | {"comments": [["x", "e"]]}
    with pytest.raises(ItemsError, match="item 'a' stands on two lines"):
        read_explanations(write(tmp_path / "f.jsonl", row, row), ITEMS)


def test_a_file_that_is_not_there_or_holds_nothing(tmp_path: Path) -> None:
    with pytest.raises(ItemsError, match="cannot be read"):
        read_explanations(tmp_path / "nothing.jsonl", ITEMS)
    with pytest.raises(ItemsError, match="cannot be read"):
        read_explanations(tmp_path, ITEMS)
    with pytest.raises(ItemsError, match="holds no explanations"):
        read_explanations(write(tmp_path / "f.jsonl", ""), ITEMS)
