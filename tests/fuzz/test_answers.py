"""Answers that are almost right: no crash, no hang, and no label that the answer does not name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import (
    LARGE,
    MARKED,
    Said,
    almost,
    answers,
    dumped,
    fuzz,
    mutated,
    odd,
    plain_texts,
    pumped,
    sets_of,
    texts,
    tokens,
    within,
    wrapped,
)

from partynli.errors import ProviderError
from partynli.hashing import canonical_json
from partynli.judgments import reader_for
from partynli.labels import LETTERS, why_no_labels
from partynli.listing import split_list
from partynli.options import ORDER
from partynli.prompts import load_task
from partynli.providers.base import read_completion, split_reasoning
from partynli.records import Judgment, OptionScores, Rejection, Response, Task
from partynli.store import storable

PROMPTS = Path(__file__).parents[2] / "prompts"
LIVENLI, REASONS, EXPLAIN, OPTIONS = (load_task(name, PROMPTS) for name in ("livenli", "reasons", "explain", "mjd"))
REPAIRS = re.compile(
    "reasoning|fence|surrounding_text|control_characters|label_case|label_spelling|label_type|explanation_type"
    "|no_highlights|no_reason|cut"
)
WHY = {"refusal", "truncated", "empty", "not_json", "schema", "unknown_label"}
FINISH = ("stop", "stop", "length", "content_filter", None)
TEXTS = {
    "premise": "The men sang in the old house.",
    "hypothesis": "People sang.",
    "label": "true",
    ORDER: "either true false",
}

_names = st.sampled_from(
    (
        *(
            "yes",
            "No",
            "very likely",
            "likely",
            "not likely",
            "1",
            "2",
            "10",
            "A",
            "N",
            "etc.",
            "ja/nein",
            "don't know",
        ),
        *("true", "false", "either", "Wahr", "?", "not_sure", "o'clock", "'a'", "x and y", "ÄÖ", "無", "+", "a.b"),
    )
)


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    """LiveNLI, or a task of somebody else's."""
    if draw(st.booleans()):
        return LIVENLI
    labels = tuple(draw(st.lists(_names, min_size=2, max_size=4, unique=True)))
    several = draw(st.booleans())
    assume(why_no_labels(labels, several) is None)
    places = draw(
        st.sampled_from([{"label": "label"}, {"label": "a.label", "explanation": "why"}, dict(LIVENLI.answer)])
    )
    highlights = LIVENLI.highlights if "highlights" in places else {}
    return replace(
        LIVENLI,
        labels=labels,
        set_labels=several,
        collapse_to=labels[0],
        answer=places,
        highlights=highlights,
        reader="json",
    )


def read(task: Task, text: str, finish: str | None = "stop", **given: Any) -> Judgment | Rejection:
    """Read twice, by readers that know nothing of each other, and see that they agree."""
    response = Response(text, "", finish, text, **given)
    (reader, _), (other, _) = reader_for(task), reader_for(task)
    found = reader.judge(response, TEXTS)
    assert found == other.judge(response, TEXTS) == reader.judge(response, TEXTS)
    checked = reader.check(response)
    assert checked == (found if isinstance(found, Rejection) else None)
    if isinstance(found, Rejection):
        assert found.reason in WHY
        assert found.detail
        assert len(found.detail.splitlines()) == 1
        assert len(found.detail) < 200
    else:
        fits(task, found)
    return found


def fits(task: Task, found: Judgment) -> None:
    """See that a judgment is one of the task's, and can be stored."""
    labels = found.class_multi.split("-")
    assert set(labels) <= set(task.labels)
    assert labels == sorted(set(labels))
    assert len(labels) == 1 or task.set_labels
    assert found.class_simple == (labels[0] if len(labels) == 1 else task.collapse_to)
    assert all(map(REPAIRS.fullmatch, found.repairs))
    for span in found.highlights:
        assert (span.start is None) == (span.end is None)
        assert span.start is None or TEXTS[span.field][span.start : span.end] == span.text
    storable(found.explanation or "").encode()
    storable(canonical_json([[span.field, span.start, span.end, span.text] for span in found.highlights])).encode()


# --- an independent reader, which knows the form of a label and nothing else ---


def values_of(text: str, key: str) -> list[Any]:
    """Everything that a text gives for a key."""
    found = []
    quoted = r'"(?:[^"\\]|\\.)*"'
    value = rf"{quoted}|\[\s*(?:{quoted}\s*,?\s*)*\]|true|false|-?\d+"
    for token in re.findall(rf'(?="{re.escape(key)}"\s*:\s*({value}))', text, re.DOTALL):  # also within another one
        try:
            found.append(json.loads(token, strict=False))
        except ValueError:
            continue
    return found


def words_of(value: Any) -> set[str]:
    """The words of a text or of a list of them, without those that join labels."""
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return set(re.findall(r"[^\s\-–—,;/|&+\"'._]+", text.lower())) - {"and", "or"}


def is_said(text: str, found: Judgment, key: str) -> bool:
    """Whether a text names just these labels under a key."""
    return any(words_of(value) == words_of(found.class_multi) for value in values_of(text, key))


# --- answers in JSON ---


@fuzz(60)
@given(st.data(), tasks())
def test_a_valid_answer_in_any_wrapping_is_what_it_was(data: st.DataObject, task: Task) -> None:
    said: Said = data.draw(answers(task))
    found = read(task, said.text)
    assert isinstance(found, Judgment), found
    assert set(found.class_multi.split("-")) == said.labels
    assert (found.explanation or "") == said.explanation
    again = read(task, data.draw(wrapped(said.text)))
    assert isinstance(again, Judgment), again
    assert replace(again, repairs=()) == replace(found, repairs=())


@fuzz(150)
@given(st.data(), tasks(), st.sampled_from(FINISH))
def test_an_almost_valid_answer_is_never_read_as_what_it_does_not_say(
    data: st.DataObject, task: Task, finish: str | None
) -> None:
    text = data.draw(almost(data.draw(wrapped(data.draw(answers(task)).text))))
    found = read(task, text, finish)
    if isinstance(found, Judgment):
        assert is_said(text, found, task.answer["label"].rpartition(".")[2])


@fuzz(60)
@given(st.data())
def test_an_object_of_another_shape_is_never_read_as_what_it_does_not_say(data: st.DataObject) -> None:
    answer = json.loads(data.draw(answers(LIVENLI)).text)
    text = data.draw(wrapped(dumped(data.draw(mutated(answer)))))
    found = read(LIVENLI, text)
    if isinstance(found, Judgment):
        assert is_said(text, found, "label")


@fuzz(60)
@given(st.data(), tasks(), plain_texts)
def test_what_was_read_comes_back_from_its_own_form(data: st.DataObject, task: Task, explanation: str) -> None:
    """Judgment -> JSON -> judgment, without any repair; so can every label be answered that a server lets through."""
    label = "-".join(data.draw(st.sampled_from(sets_of(task))))
    shape: Mapping[str, Any] = reader_for(task)[0].shape
    given_: dict[str, Any] = {"label": label, "explanation": explanation, "highlights": MARKED}
    answer: dict[str, Any] = {}
    for part, place in task.answer.items():
        inner, properties = answer, shape["properties"]
        *above, last = place.split(".")
        for key in above:
            inner, properties = inner.setdefault(key, {}), properties[key]["properties"]
        inner[last] = given_[part]
        assert part != "label" or "enum" not in properties[last] or label in properties[last]["enum"]
    found = read(task, json.dumps(answer))
    assert isinstance(found, Judgment), found
    assert found.class_multi == label
    assert (found.explanation or "") == (explanation if "explanation" in task.answer else "")
    assert found.repairs == ()


@fuzz(40)
@given(st.data(), st.sampled_from(sets_of(LIVENLI)), st.sampled_from(sets_of(LIVENLI)), st.booleans())
def test_a_key_given_twice_is_no_answer_unless_both_say_the_same(
    data: st.DataObject, first: tuple[str, ...], second: tuple[str, ...], whole: bool
) -> None:
    one, two = (json.dumps("-".join(labels)) for labels in (first, second))
    inner = '{"label": %s, "explanation": "x"}'
    text = f'{{"classification": {inner % one}, "classification": {inner % two}}}'
    if not whole:
        text = f'{{"classification": {{"label": {one}, "explanation": "x", "label": {two}}}}}'
    found = read(LIVENLI, data.draw(wrapped(text)))
    assert isinstance(found, Judgment) == (first == second)


@fuzz(60)
@given(st.data(), st.sampled_from(REASONS.labels), texts)
def test_a_category_is_read_in_any_wrapping_and_never_made_up(data: st.DataObject, label: str, reason: str) -> None:
    spelled = data.draw(st.sampled_from([label, label.lower(), label.replace(" ", "_"), f'"{label}".', [label]]))
    reason = reason.replace("think>", "")
    text = data.draw(wrapped(json.dumps({"reason": reason, "category": spelled})))
    found = read(REASONS, text)
    assert isinstance(found, Judgment), found
    assert (found.class_multi, found.explanation) == (label, reason)
    text = data.draw(almost(text))
    found = read(REASONS, text)
    if isinstance(found, Judgment):
        wanted = re.findall(r"\w+", label_of(found))
        said = [re.findall(r"\w+", label_of(value)) for value in values_of(text, "category")]
        assert wanted in said


def label_of(value: Any) -> str:
    """A category without case and underscores."""
    given = value.class_multi if isinstance(value, Judgment) else value[0] if isinstance(value, list) else value
    return str(given).casefold().replace("_", " ")


# --- lists and scores ---


@fuzz(60)
@given(
    st.lists(texts | tokens, max_size=6),
    st.sampled_from(["\n", "\n\n", "\n- ", "\n1. ", ":\n  - ", "\r\n  * ", "\u2028"]),
)
def test_a_list_is_for_the_prompts_label_and_taken_apart_the_same_way_twice(lines: list[str], join: str) -> None:
    text = join.join(lines)
    found = read(EXPLAIN, text)
    if not isinstance(found, Judgment):
        return
    assert found.class_multi == TEXTS["label"]
    assert found.explanation in text
    listed = split_list(found.explanation or "")
    assert listed.explanations
    assert listed == split_list(text.rpartition("</think>")[2])
    for one in listed.explanations:
        signs = iter(text)
        assert all(sign == " " or sign in signs for sign in one), "made of the answer's own signs, in their order"


_bodies = st.builds(
    lambda content, scores, finish: {
        "choices": [
            {
                "message": {"role": "assistant", "content": content, "reasoning_content": None},
                "finish_reason": finish,
                "logprobs": {"content": [{"token": "A", "logprob": -0.1, "top_logprobs": scores}]},
            }
        ],
        "model": "m",
        "usage": {"prompt_tokens": 3, "completion_tokens": 4},
    },
    texts,
    st.lists(
        st.fixed_dictionaries(
            {"token": st.sampled_from(["A", " B", "C", "D", "▁A", ""]), "logprob": st.floats(-20, 0)}
        ),
        max_size=5,
    ),
    st.sampled_from(FINISH),
)


@fuzz(100)
@given(st.data(), _bodies, st.permutations(OPTIONS.labels))
def test_the_body_of_an_answer_gives_the_best_scored_option_or_an_error_of_ours(
    data: st.DataObject, body: Any, order: list[str]
) -> None:
    body = json.loads(json.dumps(body))
    if data.draw(st.booleans()):
        body = data.draw(mutated(body))
    try:
        response = read_completion(body, json.dumps(body), {})
    except ProviderError:
        return
    (response.served_model or "").encode()
    for task in (LIVENLI, EXPLAIN, REASONS):
        reader_for(task)[0].judge(response, TEXTS)
    reader, _ = reader_for(OPTIONS)
    found = reader.judge(response, {**TEXTS, ORDER: " ".join(order)})
    assert (reader.check(response) is None) == isinstance(found, Judgment)
    if isinstance(found, Judgment):
        assert isinstance(response.option_scores, OptionScores)
        scores = {label: response.option_scores.of.get(LETTERS[n]) for n, label in enumerate(order)}
        best = max(score for score in scores.values() if score is not None)
        assert found.class_multi == min(label for label, score in scores.items() if score == best)


@fuzz(10)
@given(st.sampled_from(["", "true", "true either", "true either maybe", "true true false", "very likely either false"]))
def test_options_in_an_order_of_other_labels_are_no_answer(order: str) -> None:
    response = Response("A", "", "stop", "", option_scores=OptionScores({"A": -1.0, "B": -2.0}, None))
    assert isinstance(reader_for(OPTIONS)[0].judge(response, {ORDER: order}), Rejection)


# --- no answer is too long ---


@fuzz(5)
@given(pumped, st.sampled_from(["@", '{"classification": {"label": "@"}}', "- @", "<think>@</think>x", "```\n@\n```"]))
def test_no_answer_takes_long(text: str, around: str) -> None:
    text = around.replace("@", text)
    response = Response(text, "", "stop", text)
    for task in (LIVENLI, REASONS, EXPLAIN):
        with within(LARGE / 100_000):
            reader_for(task)[0].judge(response, TEXTS)
    with within(0.5):
        split_reasoning(text)


@fuzz(30)
@given(st.data())
def test_anything_under_any_key_is_read_or_rejected(data: st.DataObject) -> None:
    part = data.draw(st.sampled_from(["label", "explanation", "highlights"]))
    value = data.draw(odd)
    answer = {"classification": {"label": "true", "explanation": "x"}, "highlights": MARKED}
    (answer if part == "highlights" else answer["classification"])[part] = value
    found = read(LIVENLI, dumped(answer))
    if isinstance(found, Judgment) and part == "label":
        assert words_of(value) == {found.class_multi}
