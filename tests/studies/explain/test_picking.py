"""Picks, flags and files of explanations, on answers made up for the purpose."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from partynli.errors import InputError, ItemsError
from partynli.items.explanation_files import Explanation, read_explanations
from partynli.listing import Listed
from partynli.records import Item
from partynli.studies.explain.answers import Answer
from partynli.studies.explain.files import to_jsonl, to_published
from partynli.studies.explain.flags import flags, is_inverted
from partynli.studies.explain.picking import Pick, as_voted, one_each, pick, pick_all
from partynli.studies.explain.published import compare, read_raw
from partynli.studies.explain.variability import variability

ITEMS = [Item(uid, {"premise": f"{uid} sings.", "hypothesis": "Somebody sings."}) for uid in ("a", "b")]


def answer(uid: str, label: str, *texts: str, who: str = "m", introduction: str = "") -> Answer:
    return Answer(who, uid, label, Listed(introduction, texts, ""))


def test_the_first_of_those_that_are_as_long_comes_first() -> None:
    assert pick(["aa", "b", "cc", "dd"], 2, "longest") == (0, 2)
    assert pick(["aa", "b", "cc", "dd"], 2, "first") == (0, 1)
    assert pick(["b", "aa"], 4, "longest") == (1, 0, 1, 1)
    assert pick(["b"], 0, "first") == pick([], 3, "first") == ()


def test_what_is_wanted_is_taken_repeated_or_lacking() -> None:
    answers = [
        answer("a", "true", "one", "three"),
        answer("a", "either", "two"),
        answer("b", "false", "n"),
        answer("a", "false", "not wanted"),
    ]
    picked = pick_all(answers, ["m"], as_voted(["a", "b"], {"a": (1, 3, 0), "b": (2, 0, 1)}), "longest")
    assert [(one.uid, one.label, one.text, one.rank) for one in picked.picks] == [
        ("a", "true", "three", 2),
        *[("a", "either", "two", 1)] * 3,
        ("b", "false", "n", 1),
    ]
    assert (picked.repeated, picked.lacking, picked.flagged) == (2, 2, ())
    assert pick_all(answers, ["m"], one_each(["a"]), "first").lacking == 0


def test_items_that_nobody_judged_cannot_guide() -> None:
    for votes in ({}, {"a": (0, 0, 0)}):
        with pytest.raises(InputError, match="1 items, such as 'a'"):
            as_voted(["a"], votes)


@pytest.mark.parametrize(
    ("label", "text", "inverted"),
    [
        ("true", "The statement is not entailed because nobody sings.", True),
        ("true", "None. The statement is actually false.", True),
        ("true", "There are no possible explanations why the statement is true.", True),
        ("true", "Singing contradicts the statement.", True),
        ("true", "The statement is false, as nobody sings.", True),
        ("true", "Nothing here contradicts the statement.", False),
        ("true", "The context doesn't contradict the statement.", False),
        ("true", "It is not mentioned who sings.", False),
        ("either", "The statement is not entailed by the context.", False),
        ("either", "The statement is not undetermined because of the singer.", False),
        ("either", "The statement is not undetermined.", True),
        ("false", "It is a paraphrase of the context, so it is actually true.", True),
        ("false", "The two do not contradict each other.", True),
        ("false", "The statement contradicts the context.", False),
        ("false", "They use real names, not false names.", False),
        ("false", "", False),
    ],
)
def test_inverted_explanations(label: str, text: str, inverted: bool) -> None:
    assert is_inverted(label, text) is inverted


def test_an_inverted_introduction_flags_all_that_follows() -> None:
    listed = Listed("Here is why the statement is NOT true:", ("a", "b"), "")
    assert flags("true", listed) == (True, True)
    assert flags("false", listed) == (False, False)


def test_both_forms_of_files_are_read_again(tmp_path: Path) -> None:
    picks = [Pick("a", "false", 'He "sings"\ud83d', 2, "m", True), Pick("a", "true", "=cmd()", 1, "m", False)]
    own, published = tmp_path / "own.jsonl", tmp_path / "published.json"
    own.write_text(to_jsonl(picks[1:], synthetic=True))
    published.write_text(to_published(picks, ITEMS))
    assert read_explanations(own, ITEMS) == {"a": (Explanation("true", "=cmd()"),)}
    assert json.loads(own.read_text())["synthetic"] is True
    assert read_explanations(published, ITEMS)["a"] == (
        Explanation("false", 'He "sings"\\ud83d'),  # half a surrogate pair is written out
        Explanation("true", "=cmd()"),
    )
    own.write_text(to_jsonl(picks[:1], synthetic=False))
    assert read_explanations(own, ITEMS)["a"][0].flagged


def test_the_published_form_is_one_participants() -> None:
    picks = [Pick("a", "true", "x", 1, who, False) for who in ("m", "n")]
    with pytest.raises(InputError, match="choose one of m, n"):
        to_published(picks, ITEMS)
    with pytest.raises(InputError, match="premise and a hypothesis"):
        to_published(picks[:1], [Item("a", {"text": "x"})])


def test_raw_answers_lose_their_prompt_and_special_tokens(tmp_path: Path) -> None:
    file = tmp_path / "raw.jsonl"
    texts = ["<s> [INST] List [them] [/INST] 1. Rain.</s>", "1. Wet rain.\n2. Rain"]
    file.write_text("".join(json.dumps({"item": k, "label": "e", "text": t}) + "\n" for k, t in enumerate(texts)))
    answers = read_raw(file, ["a", "b"])
    assert [one.listed.explanations for one in answers] == [("Rain.",), ("Wet rain.", "Rain")]
    published = {"a": (Explanation("true", "Rain. "),), "b": (Explanation("true", "Snow"),)}
    match = compare(answers, published, "first")
    assert (match.n, match.share) == (2, 0.5)
    assert [(one.uid, one.published, one.ours) for one in match.differences] == [("b", "Snow", "Wet rain.")]


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        '{"item": 2, "label": "e", "text": "x"}',
        '{"item": -1, "label": "e", "text": "x"}',
        '{"item": 0, "label": "x", "text": "x"}',
        '{"item": 0, "label": "e", "text": 5}',
        "[" * 5000,
    ],
)
def test_a_line_that_is_no_raw_answer_is_named(line: str, tmp_path: Path) -> None:
    file = tmp_path / "raw.jsonl"
    file.write_text('{"item": 0, "label": "e", "text": "1. x"}\n' + line + "\n")
    with pytest.raises(ItemsError, match=r"raw\.jsonl:2: no raw answer"):
        read_raw(file, ["a", "b"])


def test_variability_counts_sets_and_says_what_is_not_there() -> None:
    found = variability({"a": ["It rains.", "It rains."], "b": ["Alone."]})
    assert (found.n_sets, found.n_single) == (1, 1)
    assert found.words == (1.0, 1.0, 1.0)
    assert np.isnan(found.cosine)
    assert all(np.isnan(value) for value in variability({"b": ["Alone."]}).words)
