"""Reading answers: every repair by its name, every rejection with its reason, and nothing guessed."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from partynli.errors import RegistryError
from partynli.judgments import find_spans, reader_for
from partynli.prompts import load_task, render
from partynli.providers.base import split_reasoning
from partynli.providers.openai_compatible import OpenAICompatibleProvider
from partynli.records import Item, Judgment, Participant, Rejection, Request, Response, Span
from partynli.testing import FAULTS, Behaviour, LoopbackServer

TASK = load_task("livenli", Path(__file__).parents[1] / "prompts")
READER, _ = reader_for(TASK)
TEXTS = {"premise": "The men sang in the old house.", "hypothesis": "People sang."}
MARKED = {"context": "The <<men>> sang in the old house.", "statement": "<<People>> sang."}
SPANS = (Span("premise", "men", 4, 7), Span("hypothesis", "People", 0, 6))
SETS = ["-".join(sorted(chosen)) for n in (1, 2, 3) for chosen in itertools.combinations(TASK.labels, n)]
N = 100_000


def answer(label: Any = "true", explanation: Any = "They are people.", highlights: Any = MARKED) -> str:
    return json.dumps({"classification": {"label": label, "explanation": explanation}, "highlights": highlights})


def read(text: str, finish: str | None = "stop", task: Any = TASK, **given: Any) -> Judgment | Rejection:
    reader, _ = reader_for(task)
    return reader.judge(Response(text, "", finish, text, **given), TEXTS)


def judged(text: str, **given: Any) -> Judgment:
    found = read(text, **given)
    assert isinstance(found, Judgment), found
    return found


def reason(text: str, finish: str | None = "stop", **given: Any) -> str:
    found = read(text, finish, **given)
    assert isinstance(found, Rejection), found
    assert found.detail
    assert "\n" not in found.detail
    return found.reason


# --- valid answers ---


def test_the_form_that_the_system_prompt_shows_is_read_without_any_repair() -> None:
    lines = TASK.system.split("\n")
    start, end = lines.index("{"), lines.index("}")
    form = "\n".join(lines[start : end + 1])
    assert form.count('"..."') == 4
    values = ["either-true", "It says \\u201cmen\\u201d.", MARKED["context"], MARKED["statement"]]
    pieces = form.split('"..."')
    text = pieces[0] + "".join(f'"{value}"{piece}' for value, piece in zip(values, pieces[1:], strict=True))
    assert read(text) == Judgment("either-true", "either", "It says “men”.", SPANS, ())


def test_the_form_itself_is_no_answer() -> None:
    lines = TASK.system.split("\n")
    assert reason("\n".join(lines[lines.index("{") : lines.index("}") + 1])) == "unknown_label"


@pytest.mark.parametrize("label", SETS)
def test_every_set_of_labels_is_read_as_it_is_asked_for(label: str) -> None:
    found = judged(answer(label))
    assert found.class_multi == label
    assert found.class_simple == (label if "-" not in label else "either")
    assert found.repairs == ()


def spellings() -> Iterator[tuple[str, str]]:
    joins = ("-", ", ", ",", "/", " / ", ";", " and ", " or ", " & ", " | ", "+", " – ", "—", " ", "\n", ", and ")
    for chosen in (chosen for n in (2, 3) for chosen in itertools.permutations(TASK.labels, n)):
        for join in joins:
            yield join.join(chosen), "-".join(sorted(chosen))


def test_every_order_and_separator_gives_the_one_spelling() -> None:
    for spelt, label in spellings():
        found = judged(answer(spelt))
        assert (found.class_multi, found.repairs) == (label, () if spelt == label else ("label_spelling",)), spelt
        assert judged(answer(spelt.upper())).class_multi == label
        assert judged(answer(spelt.upper())).repairs[0] == "label_case"


def test_a_series_with_a_last_comma_is_a_set() -> None:
    assert judged(answer("true, either, and false")).class_multi == "either-false-true"
    assert judged(answer("true and/or either")).class_multi == "either-true"


@pytest.mark.parametrize("given", ["True", "TRUE", " true ", "true.", "'true'", '"true"', "\ttrue\n"])
def test_case_and_quotes_of_a_label_are_mended_by_name(given: str) -> None:
    found = judged(answer(given))
    assert (found.class_multi, found.repairs) == ("true", ("label_case",))


def test_a_label_twice_is_that_label() -> None:
    assert judged(answer("true-true")).class_multi == "true"


@pytest.mark.parametrize(
    ("given", "label", "repairs"),
    [
        (True, "true", ("label_type",)),
        (False, "false", ("label_type",)),
        (["true"], "true", ("label_type",)),
        (["true", "either"], "either-true", ("label_type",)),
        (["either", "true"], "either-true", ("label_type",)),
        (["True", "false"], "false-true", ("label_type", "label_case")),
        (["either-true"], "either-true", ("label_type",)),
    ],
)
def test_a_list_or_a_boolean_is_a_label(given: Any, label: str, repairs: tuple[str, ...]) -> None:
    found = judged(answer(given))
    assert (found.class_multi, found.repairs) == (label, repairs)


def test_a_boolean_is_no_label_of_a_task_without_true_and_false() -> None:
    task = replace(TASK, labels=("yes", "no"), collapse_to="no")
    assert reason(answer(True), task=task) == "unknown_label"
    assert judged(answer("yes"), task=task).class_multi == "yes"


# --- repairs ---


REPAIRS = {
    "reasoning": f"<think>Is it? {answer('false')} No.</think>\n\n{answer()}",
    "fence": f"```json\n{answer()}\n```",
    "surrounding_text": f"Here is my answer:\n\n{answer()}\n\nI hope this helps {{really}}.",
    "control_characters": answer(explanation="line\nbreak\ttab").replace("\\n", "\n").replace("\\t", "\t"),
    "label_case": answer("TRUE"),
    "label_spelling": answer("true-either"),
    "label_type": answer(["true"]),
    "explanation_type": answer(explanation={"true": "They are people.", "either": "Or not."}),
    "no_highlights": answer(highlights={}),
}


@pytest.mark.parametrize("repair", REPAIRS)
def test_each_repair_has_its_name(repair: str) -> None:
    assert judged(REPAIRS[repair]).repairs == (repair,)


def test_the_repairs_are_those_that_the_reader_declares() -> None:
    documented = type(READER).__doc__ or ""
    assert [name for name in REPAIRS if f"``{name}``" not in documented] == []


def test_repairs_add_up_in_the_order_in_which_they_were_made() -> None:
    inner = answer(["TRUE", "either"], {"why": "so"}, None)
    found = judged(f"<think>hm</think>```\n{inner}\n```")
    assert found.repairs == (
        *("reasoning", "fence", "label_type", "label_case", "explanation_type"),
        "no_highlights",
    )
    assert found.explanation == "why: so"


@pytest.mark.parametrize(
    ("text", "repairs"),
    [
        (f"```\n{answer()}```", ("fence",)),
        (f"```JSON  \r\n{answer()}\r\n```", ("fence",)),
        (f"  \n```json\n\n{answer()}\n\n  ```\n", ("fence",)),
        (f"```json {answer()} ```", ("surrounding_text",)),
        (f"```json\n{answer()}", ("surrounding_text",)),
        (f"{answer()}\n```", ("surrounding_text",)),
        (f"Sure!\n```json\n{answer()}\n```", ("surrounding_text",)),
        (f"\ufeff{answer()}", ("surrounding_text",)),
        (f"\n {answer()} \n", ()),
        (f"{answer()}\n{answer()}", ("surrounding_text",)),
        (f"{{}}{answer()}", ("surrounding_text",)),
    ],
)
def test_fences_and_text_around(text: str, repairs: tuple[str, ...]) -> None:
    found = judged(text)
    assert (found.class_multi, found.highlights, found.repairs) == ("true", SPANS, repairs)


def test_an_explanation_in_parts_is_put_together() -> None:
    assert judged(answer(explanation=["One.", "Two."])).explanation == "One.\nTwo."
    assert judged(answer(explanation={"true": "a", "either": "b"})).explanation == "true: a\neither: b"


def test_other_keys_do_no_harm() -> None:
    text = json.dumps({"confidence": 0.3, **json.loads(answer()), "classification_2": {"label": "false"}})
    assert judged(text).repairs == ()


# --- rejections ---


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("<think>nothing to say</think>", "empty"),
        ("```json\n```", "empty"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("I’m sorry, I cannot do this.", "refusal"),
        ("I cannot assist with this request.", "refusal"),
        ("Unfortunately I am unable to comply.", "refusal"),
        ("We must decline.", "refusal"),
        ("The label is true.", "not_json"),
        ("true", "not_json"),
        ('"true"', "not_json"),
        ('["true"]', "not_json"),
        ("{'classification': {'label': 'true', 'explanation': 'x'}}", "not_json"),
        ('{"classification": {"label": "true", "explanation": "x"}', "schema"),
        (answer()[:-1] + ",}", "schema"),
        ("{}", "schema"),
        ('{"label": "true", "explanation": "x"}', "schema"),
        ('{"classification": "true"}', "schema"),
        ('{"classification": {"label": "true"}}', "schema"),
        ('{"classification": {"explanation": "It is true."}}', "schema"),
        ('{"classification": [{"label": "true", "explanation": "x"}]}', "schema"),
        (answer(1), "schema"),
        (answer(None), "schema"),
        (answer({"true": 1}), "schema"),
        (answer([]), "schema"),
        (answer(["true", 1]), "schema"),
        (answer([["true"]]), "schema"),
        (answer(explanation=None), "schema"),
        (answer(explanation=3), "schema"),
        (answer(explanation=[]), "schema"),
        (answer(explanation=["a", None]), "schema"),
        (answer(explanation={"a": {"b": "c"}}), "schema"),
        (answer("maybe"), "unknown_label"),
        (answer("true-maybe"), "unknown_label"),
        (answer("entailment"), "unknown_label"),
        (answer("not true"), "unknown_label"),
        (answer("neither true nor false"), "unknown_label"),
        (answer("mostly true"), "unknown_label"),
        (answer("truefalse"), "unknown_label"),
        (answer("true-"), "unknown_label"),
        (answer("-"), "unknown_label"),
        (answer(""), "unknown_label"),
        (answer("or"), "unknown_label"),
        (answer("all of them"), "unknown_label"),
        (answer("tr\ud800ue"), "unknown_label"),
        (answer("trüe"), "unknown_label"),
        (answer("ｔｒｕｅ"), "unknown_label"),
    ],
)
def test_what_cannot_be_read_is_rejected_with_its_reason_and_never_guessed(text: str, wanted: str) -> None:
    assert reason(text) == wanted


@pytest.mark.parametrize("finish", ["length", "max_tokens", "MAX_TOKENS"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 0.95])
def test_an_answer_that_ends_at_the_token_limit_is_truncated(finish: str, share: float) -> None:
    text = answer()
    assert reason(text[: int(len(text) * share)], finish) == "truncated"


def test_truncation_wins_over_every_other_reading_of_a_rest() -> None:
    assert reason("", "length") == "truncated"
    assert reason("I'm sorry, but", "length") == "truncated"
    assert reason('{"classification": {"label": "true", "explanation": "x"}, "highl', "length") == "truncated"
    assert reason("", None, open_reasoning=True) == "truncated"


def test_a_whole_answer_is_whole_whatever_the_finish_reason_says() -> None:
    assert judged(answer(), finish="length").repairs == ()


@pytest.mark.parametrize("finish", ["content_filter", "refusal", "SAFETY", "safety"])
def test_a_filter_s_answer_is_a_refusal(finish: str) -> None:
    assert reason("", finish) == "refusal"


def test_what_the_provider_marks_as_a_refusal_is_one() -> None:
    assert reason("", refused=True) == "refusal"
    assert reason("No.", refused=True) == "refusal"


@pytest.mark.parametrize(
    "text",
    [
        f"{answer('true')}\n{answer('false')}",
        f"First I thought {answer('true')}, but {answer('either-true')} is better.",
        f"```json\n{answer('true')}\n```\nor\n```json\n{answer('either')}\n```",
    ],
)
def test_answers_that_disagree_are_rejected(text: str) -> None:
    assert reason(text) == "schema"


def test_of_several_objects_the_one_that_is_an_answer_counts() -> None:
    form = '{"classification": {"label": "...", "explanation": "..."}}'
    assert judged(f"As asked, in the form {form}: {answer('false')}").class_multi == "false"
    assert judged(f'{{"thought": "hm"}} {answer("false")} {{"done": true}}').class_multi == "false"


@pytest.mark.parametrize(
    "text",
    [
        '{"classification": {"label": "true", "explanation": "x", "label": "false"}}',
        '{"classification": {"label": "true", "explanation": "x", "explanation": "y"}}',
        '{"classification": {"label": "true", "explanation": "x"}, "classification": {"label": "true"}}',
        'Here: {"classification": {"label": "true", "label": "false", "label": "true", "explanation": "x"}}',
    ],
)
def test_a_key_that_is_given_twice_is_not_guessed(text: str) -> None:
    assert reason(text) == "schema"
    assert judged('{"classification": {"label": "true", "explanation": "x", "label": "true"}}').class_multi == "true"


@pytest.mark.parametrize(
    ("given", "label", "repairs"),
    [
        ("etc.", "etc.", ()),
        ("No-etc.", "No-etc.", ()),
        ("etc., No", "No-etc.", ("label_case", "label_spelling")),
        ("'etc.-No'", "No-etc.", ("label_case", "label_spelling")),
    ],
)
def test_a_label_may_end_in_a_full_stop(given: str, label: str, repairs: tuple[str, ...]) -> None:
    found = judged(answer(given), task=replace(TASK, labels=("etc.", "No"), collapse_to="No"))
    assert (found.class_multi, tuple(name for name in found.repairs if name != "no_highlights")) == (label, repairs)


def test_several_labels_are_refused_where_the_task_takes_one() -> None:
    single = replace(TASK, set_labels=False)
    assert judged(answer("true"), task=single).class_multi == "true"
    assert reason(answer("either-true"), task=single) == "schema"


def test_an_unknown_reader_is_named_with_the_known_ones() -> None:
    with pytest.raises(RegistryError, match="'nobody'; known: livenli"):
        reader_for(replace(TASK, reader="nobody"))


# --- highlights ---


@pytest.mark.parametrize(
    ("marked", "text", "spans"),
    [
        ("the <<old>> house", "the old house", [("old", 4, 7)]),
        ("<<the old house>>", "the old house", [("the old house", 0, 13)]),
        ("<<the>> old <<house>>", "the old house", [("the", 0, 3), ("house", 8, 13)]),
        ("<<house>> ... <<the>>", "the old house", [("house", 8, 13), ("the", 0, 3)]),
        ("<< old >> house", "the old house", [("old", 4, 7)]),
        ("<<OLD  House>>", "the old house", [("old house", 4, 13)]),
        ("<<old\nhouse>>", "the old house", [("old house", 4, 13)]),
        ("<<old house>>", "the old\u00a0 house", [("old\u00a0 house", 4, 14)]),
        ("<<hat>>", "the old house", [("hat", None, None)]),
        ("<<o.d>>", "the old house", [("o.d", None, None)]),
        ("<<old>> <<hat>> <<house>>", "the old house", [("old", 4, 7), ("hat", None, None), ("house", 8, 13)]),
        # a word that occurs twice is where it was marked
        ("the men saw <<the>> man", "the men saw the man", [("the", 12, 15)]),
        ("saw <<the>> man", "the men saw the man", [("the", 12, 15)]),
        ("<<a>> b <<a>> b <<a>>", "a b a b a", [("a", 0, 1), ("a", 4, 5), ("a", 8, 9)]),
        ("a b a b<< a>>", "a b a b a", [("a", 8, 9)]),
        ("<<a>> <<a>>", "a b a", [("a", 0, 1), ("a", 4, 5)]),
        ("<<a>> <<a>>", "a b", [("a", 0, 1), ("a", 0, 1)]),
        # no marks, no spans
        ("the old house", "the old house", []),
        ("", "the old house", []),
        ("the <<old house", "the old house", []),
        ("the old>> house", "the old house", []),
        ("the <<>> old << >> house", "the old house", []),
        (">>old<<", "the old house", []),
        # an item may hold such signs itself
        ("if x << 2 and y >> 1", "if x << 2 and y >> 1", []),
        ("if x << 2 and <<y>> >> 1", "if x << 2 and y >> 1", [("2 and <<y", None, None)]),
        ("<<if>> x << 2", "if x << 2", [("if", 0, 2)]),
        ("<<y >> 1", "x << y >> 1", [("y", 5, 6)]),
        ("<<<old>>>", "the <old> house", [("<old", 4, 8)]),
        ("<<old>>", "", [("old", None, None)]),
    ],
)
def test_highlights_are_placed_in_the_item_s_own_text(marked: str, text: str, spans: list[Any]) -> None:
    assert find_spans(marked, "premise", text) == [Span("premise", *span) for span in spans]


@pytest.mark.parametrize(
    "highlights",
    [
        None,
        {},
        [],
        "<<men>>",
        3,
        {"context": None},
        {"context": 3},
        {"context": {"a": "<<men>>"}},
        {"Context": "<<x>>"},
    ],
)
def test_highlights_that_are_not_there_are_named_and_cost_no_label(highlights: Any) -> None:
    found = judged(answer(highlights=highlights))
    assert (found.class_multi, found.highlights, found.repairs) == ("true", (), ("no_highlights",))


def test_answers_without_the_key_highlights_are_valid() -> None:
    assert judged('{"classification": {"label": "true", "explanation": ""}}').repairs == ("no_highlights",)


def test_a_list_of_marked_texts_is_read_too() -> None:
    found = judged(answer(highlights={"context": ["<<men>>", "<<old>>", None], "statement": "<<nobody>>"}))
    assert found.highlights == (
        Span("premise", "men", 4, 7),
        Span("premise", "old", 20, 23),
        Span("hypothesis", "nobody", None, None),
    )
    assert found.repairs == ()


def test_a_task_without_highlights_misses_none() -> None:
    assert judged(answer(highlights=None), task=replace(TASK, highlights={})).repairs == ()


# --- no input is too large ---


LARGE = {
    "braces": "{" * N,
    "pairs of braces": "{}" * (N // 2),
    "nested braces": "{" * (N // 2) + "}" * (N // 2),
    "nested objects": '{"a":' * N,
    "nested objects, closed": '{"a":' * N + "1" + "}" * N,
    "nested lists": '{"a":' + "[" * N,
    "nested label": answer("X").replace('"X"', "[" * N + "]" * N),
    "many objects": '{"a": 1}' * (N // 8),
    "many answers": answer() * (N // len(answer())),
    "objects never closed": '{"a":{' * (N // 6),
    "texts never closed": '{"a":"\n' * (N // 7),
    "one text never closed": '{"a":"' + "\\" * N,
    "digits": '{"a":' + "9" * N + "}",
    "white space": " " * N,
    "line breaks": "\n" * N + "x",
    "opening marks": answer(highlights={"context": "<<" * (N // 2)}),
    "opening marks, apart": answer(highlights={"context": "<<a " * (N // 4)}),
    "closing marks": answer(highlights={"context": ">>" * (N // 2)}),
    "marks of nothing": answer(highlights={"context": "<<>>" * (N // 4)}),
    "many highlights": answer(highlights={"context": "".join(f"<<{n}>>" for n in range(N // 9))}),
    "a long highlight": answer(highlights={"context": f"<<{'a ' * (N // 2)}>>"}),
    "white space in a highlight": answer(highlights={"context": f"<<a{' ' * N}b>>"}),
    "separators": answer("-" * N),
    "spaced separators": answer(" - " * (N // 3)),
    "and and and": answer("true" + " and" * (N // 4)),
    "a label of white space": answer(" " * N),
    "white space within a label": answer("true" + " " * N + "x"),
    "quotes": answer("'" * N),
    "labels": answer("true-" * (N // 5) + "false"),
    "a list of labels": answer(["true"] * (N // 5)),
    "fences": "```" * (N // 3),
    "a fence of white space": "```json\n" + " " * N + "x",
    "a fence of tabs and breaks": "```json\n" + "\t \n" * (N // 3) + "x",
    "a fence of letters": "```" + "a" * N,
    "think": "<think>" * (N // 7),
    "think, closed": "<think>" * (N // 7) + "</think>" * (N // 8),
    "apologies": "I " * (N // 2),
}


@pytest.mark.parametrize("name", LARGE)
def test_no_text_takes_long(name: str) -> None:
    started = time.process_time()
    assert isinstance(read(LARGE[name]), Judgment | Rejection)
    split_reasoning(LARGE[name])
    assert time.process_time() - started < 1.0


# --- any text ---


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.sampled_from(SETS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
_shaped = st.builds(
    lambda classification, highlights: json.dumps({"classification": classification, "highlights": highlights}),
    st.fixed_dictionaries({}, optional={"label": _json, "explanation": _json, "more": _json}) | _json,
    st.fixed_dictionaries({}, optional={"context": _json, "statement": st.text("<>ab m\nen", max_size=30)}) | _json,
)
_damaged = st.builds(
    lambda text, at, much, put: text[:at] + put + text[at + much :],
    st.sampled_from([answer(label) for label in SETS]),
    st.integers(0, 200),
    st.integers(0, 40),
    st.text(max_size=5) | st.sampled_from(["{", "}", '"', "<<", "```", "\n", answer("false")]),
)
_any = st.text() | st.text(alphabet='{}[]":,\\<>`\n truefalse-') | _shaped | _damaged


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_any, st.sampled_from(["stop", "length", "content_filter", None]))
def test_any_text_is_a_judgment_or_a_rejection(text: str, finish: str | None) -> None:
    response = Response(text, "", finish, text)
    found = READER.judge(response, TEXTS)
    # what the engine asks while it samples and what is derived later agree
    assert (READER.check(response) is None) == isinstance(found, Judgment)
    if isinstance(found, Rejection):
        assert found.reason in {"refusal", "truncated", "empty", "not_json", "schema", "unknown_label"}
        return
    labels = found.class_multi.split("-")
    assert set(labels) <= set(TASK.labels)
    assert labels == sorted(set(labels))
    assert found.class_simple in TASK.labels
    for span in found.highlights:
        assert (span.start is None) == (span.end is None)
        if span.start is not None:
            assert TEXTS[span.field][span.start : span.end] == span.text


_around = st.text(st.characters(exclude_characters="{}<`", exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(SETS),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    _around,
    _around,
    st.sampled_from(["plain", "fence", "prose", "think", "all"]),
    st.sampled_from([None, 1, 2]),
)
def test_a_wrapped_answer_has_the_same_label(
    label: str, explanation: str, before: str, after: str, how: str, indent: int | None
) -> None:
    text = json.dumps(json.loads(answer(label, explanation)), indent=indent)
    if how in ("fence", "all"):
        text = f"```json\n{text}\n```"
    if how in ("prose", "all"):
        text = f"{before}\n{text}\n{after}"
    if how in ("think", "all"):
        text = f"<think>{before}</think>{text}"
    found = judged(text)
    assert (found.class_multi, found.explanation, found.highlights) == (label, explanation, SPANS)
    assert bool(found.repairs) == (how not in ("plain",) and (how != "prose" or bool(before.strip() + after.strip())))


# --- what the loopback server says ---


NO_ANSWER = {
    *("rate_limited", "quota", "server_error", "overloaded", "not_found", "unauthorized", "forbidden"),
    *("bad_parameter", "echo_key", "hang", "cut", "reset", "not_http_json"),
}
READ = {
    "slow_body": (),
    "fenced": ("fence",),
    "prose": ("surrounding_text",),
    "reasoning": (),
    "reasoning_content": (),
    "set_order": ("label_spelling",),
    "drift": (),
    "no_usage": (),
    "content_policy": "refusal",
    "empty": "empty",
    "malformed": "not_json",
    "truncated": "truncated",
    "truncated_reasoning": "truncated",
    "truncated_reasoning_content": "truncated",
    "refusal": "refusal",
    "refusal_text": "refusal",
    "content_filter": "refusal",
    "unknown_label": "unknown_label",
    "schema": "schema",
}


def test_every_kind_of_answer_is_read_as_what_it_is() -> None:
    assert set(FAULTS) == NO_ANSWER | set(READ)
    item = Item("1", TEXTS)
    behaviours = {name: Behaviour(script=(name,), slow_body_s=0.05) for name in READ}

    async def main() -> dict[str, Response]:
        async with LoopbackServer(behaviours) as server:
            provider = OpenAICompatibleProvider(server.url)
            await provider.aopen()
            asked = {
                name: Request(Participant(name, "openai", name, {}), render(TASK, item)) for name in (*READ, "well")
            }
            answers = {name: await provider.generate(request, timeout=5.0) for name, request in asked.items()}
            await provider.aclose()
            return answers

    for name, response in asyncio.run(main()).items():
        found = READER.judge(response, TEXTS)
        wanted = READ.get(name, ())
        assert (found.repairs if isinstance(found, Judgment) else found.reason) == wanted, name
        if isinstance(found, Judgment):
            assert all(span.start is not None for span in found.highlights), name


# --- tasks of a user's own: other labels, other keys, no explanation ---

STEPS = replace(
    TASK,
    labels=("impossible", "technically possible", "Very likely", "7"),
    set_labels=False,
    highlights={},
    reader="json",
    answer={"label": "result.step", "explanation": "why"},
)
ALONE = replace(STEPS, answer={"label": "step"})


@pytest.mark.parametrize(
    ("given", "label", "repairs"),
    [
        ("technically possible", "technically possible", ()),
        ("Very likely", "Very likely", ()),
        ("very likely", "Very likely", ("label_case",)),
        ("Technically_Possible.", "technically possible", ("label_case", "label_spelling")),
        (["impossible"], "impossible", ("label_type",)),
        (7, "7", ("label_type",)),
    ],
)
def test_labels_of_ones_own(given: Any, label: str, repairs: tuple[str, ...]) -> None:
    said = json.dumps({"result": {"step": given}, "why": "Because."})
    found = reader_for(STEPS)[0].judge(Response(said, "", "stop", ""), {})
    assert isinstance(found, Judgment), found
    assert (found.class_multi, found.class_simple, found.explanation) == (label, label, "Because.")
    assert found.repairs == repairs


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"result": {"step": "likely"}, "why": "x"}, "unknown_label"),
        ({"result": {"step": "impossible-7"}, "why": "x"}, "schema"),
        ({"result": {"step": 8}, "why": "x"}, "schema"),
        ({"result": {"step": "7"}}, "schema"),
        ({"result": "7", "why": "x"}, "schema"),
        ({"classification": {"label": "7", "explanation": "x"}}, "schema"),
    ],
)
def test_what_such_a_task_rejects(said: Any, reason: str) -> None:
    found = reader_for(STEPS)[0].judge(Response(json.dumps(said), "", "stop", ""), {})
    assert isinstance(found, Rejection)
    assert found.reason == reason


def test_a_task_without_explanations() -> None:
    reader, version = reader_for(ALONE)
    found = reader.judge(Response('{"step": "7", "why": "nobody asked"}', "", "stop", ""), {})
    assert found == Judgment("7", "7", None, (), ())
    assert version == "json/1"


def test_the_shape_of_answers_follows_the_places() -> None:
    labels = {"type": "string", "enum": ["7", "Very likely", "impossible", "technically possible"]}
    inner = {"type": "object", "properties": {"step": labels}, "required": ["step"], "additionalProperties": False}
    assert reader_for(STEPS)[0].shape == {
        "type": "object",
        "properties": {"result": inner, "why": {"type": "string"}},
        "required": ["result", "why"],
        "additionalProperties": False,
    }
    many = replace(STEPS, labels=tuple("abcdefghi"), set_labels=True, answer={"label": "x"})
    assert reader_for(many)[0].shape["properties"] == {"x": {"type": "string"}}, "511 sets are not listed"
