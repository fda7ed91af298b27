"""Answers that list explanations, taken apart: every form that models write, and what is none."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partynli.items import ItemSource
from partynli.judgments import reader_for
from partynli.listing import split_list
from partynli.prompts import load_task, render
from partynli.records import Item, Judgment, Rejection, Response
from partynli.studies.explain.asking import Questions

ROOT = Path(__file__).parents[1]
TWO = ("Rain is wet.", "It rained all day.")


@pytest.mark.parametrize(
    "text",
    [
        "1. Rain is wet.\n2. It rained all day.",
        "1) Rain is wet.\n2) It rained all day.",
        "(1) Rain is wet.\n(2) It rained all day.",
        "a) Rain is wet.\nb) It rained all day.",
        "- Rain is wet.\n- It rained all day.",
        "* Rain is wet.\n\n* It rained all day.",
        "\u2022 Rain is wet.\r\n\u2022 It rained all day.\r\n",
        "Here are two explanations:\n\n1. Rain is wet.\n2. It rained all day.",
        "Sure! I thought.\nHere they are:\n* Rain is wet.\n* It rained all day.\n\nLet me know what you think.",
        "1. Rain is wet.\n2. It rained all day.\n\nNote: the statement may be false.",
        "1. Rain is wet.\n2. It rained all day.\nTherefore, the statement is true.",
        "1. Rain is wet.\n2. It rained\n   all day.\n3.",
        "1. Rain is wet.\n2. It rained all day.\n3",
        "**1.** Rain is wet.\n**2.** It **rained** all day.",
        "## Explanations\n1. Rain is wet.\n\n## More\n1. It rained all day.",
        "1. From the context:\n   - Rain is wet.\n   - It rained all day.",
        "- From the context:\n    * Rain is wet.\n- From elsewhere:\n    * It rained all day.",
        "```\n1. Rain is wet.\n2. It rained all day.\n```",
        "Rain is wet.\nIt rained all day.",
        "Rain is wet.  \n\nIt rained\nall day.",
        "Here are the explanations:\nRain is wet.\nIt rained all day.\nI hope this helps!",
        "**Wet**\nRain is wet.\n\n**Long**\nIt rained all day.",
    ],
)
def test_two_explanations(text: str) -> None:
    assert split_list(text).explanations == TWO


def test_what_stands_around_a_list_is_kept_apart() -> None:
    listed = split_list("Why it is NOT true:\n\n* Rain is wet.\n\nNote: really.")
    assert listed == ("Why it is NOT true:", ("Rain is wet.",), "Note: really.")


def test_all_lines_of_a_closing_note_stay_behind_the_list() -> None:
    listed = split_list(
        "1. Rain is wet.\n\nLet me know if you need\nmore of them.\n2. It rained\nall day.\nNote: I\nguess."
    )
    assert listed == (
        "",
        ("Rain is wet.", "It rained all day."),
        "Let me know if you need more of them. Note: I guess.",
    )


def test_lines_below_an_explanation_belong_to_it() -> None:
    text = "1. Rain is wet.\n   - It always was.\n2. It rained.\n\n   All day."
    assert split_list(text).explanations == ("Rain is wet. It always was.", "It rained. All day.")


@pytest.mark.parametrize(
    "text",
    [
        "1.5 million people sang.",
        "A. Huxley wrote it.",
        "-5 degrees are cold.",
        "**The context says so.**",
        "It is so:",
    ],
)
def test_one_paragraph_is_one_explanation(text: str) -> None:
    assert split_list(text).explanations == (text.replace("**", ""),)


@pytest.mark.parametrize("text", ["", "   \n", "1.\n2.\n3.", "---", "```\n```", "\U0001f600\n12"])
def test_nothing_is_no_explanation(text: str) -> None:
    assert split_list(text).explanations == ()


@given(st.text(alphabet=st.sampled_from("ab1.-*:() \n\t#`\u2028"), max_size=80))
def test_whatever_comes_is_taken_apart_into_lines(text: str) -> None:
    listed = split_list(text)
    assert all(one == " ".join(one.split()) and one for one in listed.explanations)


@given(st.lists(st.from_regex(r"\A[A-Z][a-z]{2,8}( [a-z]{2,8}){1,5}\.\Z"), min_size=1, max_size=9))
def test_a_clean_list_comes_back_as_it_was(texts: list[str]) -> None:
    assert split_list("\n".join(f"{k}. {one}" for k, one in enumerate(texts, 1))).explanations == tuple(texts)


def test_a_long_answer_takes_no_time() -> None:
    assert len(split_list("- a b\n" * 50_000).explanations) == 50_000
    split_list("**" * 50_000 + "\n" + "(" * 100_000)
    started = time.process_time()
    assert split_list("It rains.\n" + "Note.\n" * 100_000).explanations == ("It rains.",)
    assert time.process_time() - started < 2.0


READER, VERSION = reader_for(load_task("explain", ROOT / "prompts"))
TEXTS = {"premise": "It rains.", "hypothesis": "It is wet.", "label": "true", "verdict": "true (entailment)"}


def read(text: str, finish: str = "stop", **given: bool) -> Judgment | Rejection:
    response = Response(text, "", finish, "", **given)
    judged = READER.judge(response, TEXTS)
    assert READER.check(response) == (judged if isinstance(judged, Rejection) else None)
    return judged


def test_a_list_is_a_judgment_for_its_label() -> None:
    assert VERSION == "list/2"
    assert read("- Rain is wet.\n- So it is.") == Judgment("true", "true", "- Rain is wet.\n- So it is.", (), ())
    found = read("<think>Hm.</think>Here you are:\n1. Rain is wet.\n2. So", "length")
    assert isinstance(found, Judgment)
    assert found.repairs == ("reasoning", "surrounding_text", "cut")
    assert found.explanation.startswith("Here you are")


@pytest.mark.parametrize(
    ("text", "finish", "given", "reason"),
    [
        ("", "stop", {}, "empty"),
        ("1.\n2.", "stop", {}, "schema"),
        ("", "length", {}, "truncated"),
        ("", "length", {"open_reasoning": True}, "truncated"),
        ("I'm sorry, but I can't help with that request.", "stop", {}, "refusal"),
        ("I cannot provide explanations for this.", "stop", {}, "refusal"),
        ("No.", "stop", {"refused": True}, "refusal"),
        ("", "content_filter", {}, "refusal"),
    ],
)
def test_what_holds_no_explanation_says_why(text: str, finish: str, given: dict[str, bool], reason: str) -> None:
    found = read(text, finish, **given)
    assert isinstance(found, Rejection)
    assert found.reason == reason


def test_saying_that_nothing_can_be_said_is_an_explanation() -> None:
    assert isinstance(read("We cannot infer from the context who sang."), Judgment)


def test_a_prompt_without_a_known_label_is_no_judgment() -> None:
    found = READER.judge(Response("- Rain is wet.", "", "stop", ""), {"label": "maybe"})
    assert isinstance(found, Rejection)


def test_prompts_are_as_they_were() -> None:
    task = load_task("explain", ROOT / "prompts")
    questions = Questions(ItemSource.of([Item("u", {"premise": "A {} sang.", "hypothesis": "B?"})], "x"), task.labels)
    asked = [render(task, item).messages for item in questions]
    golden = (Path(__file__).parent / "studies" / "explain" / "prompts.txt").read_text("utf-8")
    assert [len(messages) for messages in asked] == [1, 1, 1]
    assert "\n\n".join(f"{one['role']}: {one['content']}" for (one,) in asked) + "\n" == golden
