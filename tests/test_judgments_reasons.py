"""Reading a judge's answers: one category of eight, and no guess."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from partynli.judgments import reader_for
from partynli.labels import REASONS
from partynli.prompts import load_task, render
from partynli.records import Item, Judgment, Rejection, Response

TASK = load_task("reasons", Path(__file__).parents[1] / "prompts")
READER, VERSION = reader_for(TASK)


def read(text: str, finish: str = "stop") -> Judgment | Rejection:
    response = Response(text, "", finish, "{}")
    found = READER.judge(response, {})
    checked = READER.check(response)
    assert (checked is None) == isinstance(found, Judgment)
    return found


def answer(category: Any, **more: Any) -> str:
    return json.dumps({"reason": "It compares words.", "category": category, **more})


def test_the_task_asks_for_litex_and_names_its_source() -> None:
    assert TASK.labels == REASONS
    assert not TASK.set_labels
    assert VERSION == "reasons/2"
    folder = Path(__file__).parents[1] / "prompts" / "reasons"
    assert "2505.22848" in (folder / "task.yaml").read_text()
    assert all(f'"{label}"' in TASK.system for label in REASONS)
    texts = {"premise": "P {}", "hypothesis": "H", "label": "true", "explanation": "E {x}"}
    user = render(TASK, Item("1", texts)).messages[1]["content"]
    assert user == "[CONTEXT] P {}\n[STATEMENT] H\n[LABEL] true\n[EXPLANATION] E {x}"


@pytest.mark.parametrize("label", REASONS)
def test_a_clean_answer_of_every_category(label: str) -> None:
    assert read(answer(label)) == Judgment(label, label, "It compares words.", (), ())
    assert label in READER.shape["properties"]["category"]["enum"]


@pytest.mark.parametrize(
    ("text", "label", "repairs"),
    [
        (answer("semantic"), "Semantic", ("label_case",)),
        (answer("absence_of_mention"), "Absence of Mention", ("label_spelling",)),
        (answer(' "Logic-Conflict". '), "Logic Conflict", ("label_spelling",)),
        (answer(["Pragmatic"]), "Pragmatic", ("label_type",)),
        ('{"category": "Syntactic"}', "Syntactic", ("no_reason",)),
        (f"```json\n{answer('Syntactic')}\n```", "Syntactic", ("fence",)),
        (f"<think>hm</think>{answer('Syntactic')}", "Syntactic", ("reasoning",)),
        (f"Here: {answer('Syntactic')} Bye.", "Syntactic", ("surrounding_text",)),
        (answer("Syntactic") + answer("Syntactic"), "Syntactic", ("surrounding_text",)),
    ],
)
def test_what_can_be_mended_has_a_name(text: str, label: str, repairs: tuple[str, ...]) -> None:
    found = read(text)
    assert isinstance(found, Judgment)
    assert (found.class_simple, found.class_multi) == (label, label)
    assert found.repairs == repairs


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (answer("Semantics"), "unknown_label"),
        (answer("Semantic, Pragmatic"), "unknown_label"),
        (answer(["Semantic", "Pragmatic"]), "schema"),
        (answer(3), "schema"),
        (answer(None), "schema"),
        ('{"label": "Semantic"}', "schema"),
        (answer("Semantic") + answer("Pragmatic"), "schema"),
        ("", "empty"),
        ("Semantic", "not_json"),
        ("I'm sorry, but I cannot help.", "refusal"),
        ('{"reason": "It', "not_json"),
    ],
)
def test_what_cannot_be_read_is_a_rejection(text: str, reason: str) -> None:
    found = read(text)
    assert isinstance(found, Rejection)
    assert found.reason == reason


def test_a_cut_answer_is_truncated() -> None:
    found = read('{"reason": "It', finish="length")
    assert isinstance(found, Rejection)
    assert found.reason == "truncated"


def test_a_category_that_is_given_twice_is_not_guessed() -> None:
    found = read('{"category": "Semantic", "reason": "x", "category": "Pragmatic"}')
    assert isinstance(found, Rejection)
    assert found.reason == "schema"
