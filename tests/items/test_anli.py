"""ANLI's test sets, from files of our own in its format."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from partynli.errors import ItemsError
from partynli.items.anli import ROUNDS, load_rounds

ROWS = [
    {"uid": "a", "context": "It rains.", "hypothesis": "It is wet.", "label": "e", "model_label": "c", "reason": "wet"},
    {"uid": "b", "context": "It rains.", "hypothesis": "It is late.", "label": "n", "model_label": "e", "reason": ""},
    {"uid": "c", "context": "It rains.", "hypothesis": "It is dry.", "label": "c", "model_label": "n", "reason": ""},
]


def lines(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def folder(path: Path) -> Path:
    for name in ROUNDS:
        (path / name).mkdir(parents=True)
        (path / name / "test.jsonl").write_text(lines(ROWS))
    return path


def test_letters_are_labels(tmp_path: Path) -> None:
    """Entailment is true, neutral either, contradiction false; the label is people's, not the fooled model's."""
    (tmp_path / "own.jsonl").write_text(lines(ROWS))
    (labelled,) = load_rounds(tmp_path / "own.jsonl").values()
    assert [(row.item.texts["hypothesis"], row.label) for row in labelled] == [
        ("It is wet.", "true"),
        ("It is late.", "either"),
        ("It is dry.", "false"),
    ]


def test_folder_archive_and_file_hold_the_same(tmp_path: Path) -> None:
    folder(tmp_path / "up/anli_v1.0")
    archive = tmp_path / "anli_v1.0.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in ROUNDS:
            file.writestr(f"anli_v1.0/{name}/test.jsonl", lines(ROWS))
    found = load_rounds(archive)
    assert list(found) == list(ROUNDS)
    assert found == load_rounds(tmp_path / "up") == load_rounds(tmp_path / "up/anli_v1.0")
    assert load_rounds(tmp_path / "up/anli_v1.0/R2/test.jsonl") == {"R2": found["R2"]}
    assert found["R2"][0].item.uid == "R2-a"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"uid": "a", "context": "P", "hypothesis": "H", "label": "x"}', r":1: the label is 'x'; ANLI's are e, n, c"),
        ('{"uid": "a", "context": "P", "hypothesis": "H", "label": 0}', "label is no text"),
        ('{"uid": "a", "context": " ", "hypothesis": "H", "label": "e"}', "context is no text"),
        ('{"uid": "a", "premise": "P", "hypothesis": "H", "label": "e"}', "no 'context'"),
        (
            '{"uid": "a", "context": "P", "hypothesis": "H", "label": "e"}\n' * 2,
            ":2: the uid 'a' is that of line 1, too; give every item its own",
        ),
        ('{"uid": "a", "context": "\\ud800", "hypothesis": "H", "label": "e"}', "context holds half a surrogate pair"),
        ("", "holds no items"),
        ("PK\x03\x04", "invalid JSON"),
    ],
)
def test_garbage_is_one_line(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "own.jsonl").write_text(content)
    with pytest.raises(ItemsError, match=said) as raised:
        load_rounds(tmp_path / "own.jsonl")
    assert "\n" not in str(raised.value)


def test_what_is_no_anli(tmp_path: Path) -> None:
    with pytest.raises(ItemsError, match="holds no folder R1"):
        load_rounds(tmp_path)
    with pytest.raises(ItemsError, match="cannot be read"):
        load_rounds(tmp_path / "absent.zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as file:
        file.writestr("anything", "x")
    with pytest.raises(ItemsError, match=r"holds no R1/test\.jsonl"):
        load_rounds(tmp_path / "other.zip")
