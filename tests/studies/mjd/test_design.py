"""Which prompts there are of an item, and what stands in them."""

from __future__ import annotations

import shutil
from collections import Counter
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partynli.errors import InputError, RegistryError
from partynli.items.explanation_files import Explanation
from partynli.labels import LABELS, LETTERS
from partynli.options import ITEM, ORDER, OptionsReader, label_scores
from partynli.prompts import render
from partynli.records import Item, Judgment, OptionScores, Participant, Prompt, Rejection, Response
from partynli.sampling.plan import Plan
from partynli.studies.mjd.asking import Prompts, scored, scores_plan
from partynli.studies.mjd.design import Design
from partynli.studies.mjd.wording import load_wording

PROMPTS = Path(__file__).parents[3] / "prompts"
GOLDEN = Path(__file__).with_name("golden")
WORDING = load_wording(PROMPTS)
ITEM_1 = Item("i1", {"premise": "The men sang {} in the old house.", "hypothesis": "People sang."})
SAID = {
    "i1": (
        Explanation("true", "Men are people.\n"),
        Explanation("either", "{label} may be hired."),
        Explanation("false", "A recording sang."),
        Explanation("true", "To sing is to sing."),
        Explanation("either", "Perhaps."),
    )
}
SIM = Participant("sim", "simulated", "persona", {})


def plan(design: Design, n: int | None = 4) -> Plan:
    explanations = None if n is None else {"i1": SAID["i1"][:n]}
    return scores_plan(SIM, Prompts([ITEM_1], explanations, WORDING, design), "test")


def prompts(design: Design, n: int | None = 4) -> list[Prompt]:
    made = plan(design, n)
    return [render(made.task, item) for item in made.items]


@pytest.mark.parametrize(
    ("design", "explanations", "expected"),
    [
        (Design(), None, 6),
        (Design("parallel"), 4, 24),
        (Design("serial"), 4, 144),
        (Design("serial"), 5, 720),
        (Design("serial"), 3, 36),
        (Design("serial", count=2), 4, 72),
        (Design("serial", count=1), 4, 24),
        (Design("serial", count=0), 4, 6),
        (Design("serial", count=4), 3, 36),
        (Design("serial", orders=5, seed=1), 4, 30),
        (Design("serial", orders=500), 4, 144),
        (Design("parallel", orders=2), 4, 12),
    ],
)
def test_prompts_of_an_item(design: Design, explanations: int | None, expected: int) -> None:
    made = plan(design, explanations)
    rendered = prompts(design, explanations)
    assert len(made) == len(rendered) == expected
    assert len({one.hash for one in rendered}) == expected
    assert len({item.uid for item in made.items}) == expected


def test_every_option_order_comes_equally_often() -> None:
    orders = Counter(item.texts[ORDER] for item in plan(Design("serial", orders=7, seed=3)).items)
    assert orders == {" ".join(order): 7 for order in permutations(LABELS)}


def test_a_draw_of_orders_depends_on_the_seed_alone() -> None:
    first, again, other = (Design("serial", orders=6, seed=seed).choices(4, "i1") for seed in (1, 1, 2))
    assert first == again != other
    assert Design("serial", orders=6, seed=1).choices(4, "i2") != first


def test_too_many_orders_are_refused() -> None:
    with pytest.raises(InputError, match="--orders N"):
        Design("serial").choices(8, "i1")
    assert len(Design("serial", orders=10).choices(20, "i1")) == 10


@pytest.mark.parametrize(
    ("name", "design", "n"),
    [
        ("none", Design(), None),
        ("serial", Design("serial"), 4),
        ("parallel", Design("parallel"), 4),
        ("explicit", Design("serial", explicit=True), 4),
    ],
)
def test_the_first_and_the_last_prompt_are_as_they_were(name: str, design: Design, n: int | None) -> None:
    rendered = prompts(design, n)
    for one in rendered:
        (message,) = one.messages
        assert message["role"] == "user"
    text = "\n-----\n".join(rendered[k].messages[0]["content"] for k in (0, -1)) + "\n"
    assert text == (GOLDEN / f"{name}.txt").read_text("utf-8")


def test_the_wording_is_taken_from_the_folder_that_is_named(tmp_path: Path) -> None:
    shutil.copytree(PROMPTS / "mjd", tmp_path / "mjd")
    (tmp_path / "mjd/wording.yaml").write_text(
        'labels: {"true": Yea, "either": Maybe, "false": Nay}\n'
        'comment: "({number}) {text}"\nexplicit: "{text} => {label}"\n'
    )
    wording = load_wording(tmp_path)
    assert wording.comments(SAID["i1"][:2], explicit=False) == "(1) Men are people.\n(2) {label} may be hired."
    assert wording.comments(SAID["i1"][:1], explicit=True) == "Men are people. => Yea"


@pytest.mark.parametrize(
    ("file", "text", "why"),
    [
        ("wording.yaml", 'labels: {"true": Yea}\ncomment: ""\nexplicit: ""\n', "name of its own"),
        (
            "wording.yaml",
            'labels: {"true": a, "either": a, "false": b}\ncomment: ""\nexplicit: ""\n',
            "name of its own",
        ),
        ("wording.yaml", 'labels: {}\ncomment: "{txt}"\nexplicit: ""\n', "places {number}, {text} and {label}"),
        ("wording.yaml", "labels: {}\n", "comment"),
        ("wording.yaml", 'labels: {"a\\nb": [1]}\ncomment: ""\nexplicit: ""\n', "wording.yaml: labels.a b: "),
        ("explained.txt", "{}\n", "1 places"),
    ],
)
def test_a_wording_that_does_not_fit_is_one_line(tmp_path: Path, file: str, text: str, why: str) -> None:
    shutil.copytree(PROMPTS / "mjd", tmp_path / "mjd")
    (tmp_path / "mjd" / file).write_text(text)
    with pytest.raises(RegistryError) as raised:
        load_wording(tmp_path)
    assert why in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_label_of_two_words_cannot_be_an_option(tmp_path: Path) -> None:
    shutil.copytree(PROMPTS / "mjd", tmp_path / "mjd")
    for name in ("task.yaml", "wording.yaml"):
        file = tmp_path / "mjd" / name
        file.write_text(file.read_text().replace('"either"', '"not sure"').replace("either:", '"not sure":'))
    with pytest.raises(RegistryError, match="the label 'not sure' must be one word"):
        load_wording(tmp_path)


def test_scores_are_no_answer_where_the_prompt_has_other_labels() -> None:
    scored_ = Response("A", "", "stop", "", option_scores=OptionScores({"A": -1.0}, None))
    for order in ("", "true", "not sure true", "true true false"):
        assert isinstance(OptionsReader(WORDING.plain).judge(scored_, {ORDER: order}), Rejection)


@given(st.dictionaries(st.sampled_from(LABELS), st.floats(-50, 50), min_size=3), st.permutations(LABELS))
def test_option_orders_undo_exactly(of_label: dict[str, float], order: list[str]) -> None:
    by_letter = {letter: of_label[label] for letter, label in zip(LETTERS, order, strict=False)}
    assert label_scores(OptionScores(by_letter, None), {ORDER: " ".join(order)}) == of_label


def test_the_words_of_the_options_follow_the_order() -> None:
    for item in plan(Design(), None).items:
        words = [item.texts[f"option_{letter}"] for letter in "abc"]
        assert words == [WORDING.options[label] for label in item.texts[ORDER].split()]
        assert item.texts[ITEM] == "i1"


def test_a_judgment_is_the_label_with_the_highest_score() -> None:
    reader = OptionsReader(WORDING.plain)
    answer = Response("B", "", "length", "{}", option_scores=OptionScores({"A": 1.0, "B": 3.0, "C": 2.0}, None))
    found = reader.judge(answer, {ORDER: "either false true"})
    assert isinstance(found, Judgment)
    assert found.class_simple == "false"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Response("B", "", "length", "{}"), "schema"),
        (Response("B", "", "length", "{}", option_scores=OptionScores({"D": 1.0}, -3.0)), "unknown_label"),
        (Response("", "", "content_filter", "{}", refused=True), "refusal"),
    ],
)
def test_an_answer_without_scores_is_rejected(answer: Response, reason: str) -> None:
    found = OptionsReader(WORDING.plain).judge(answer, {ORDER: "true either false"})
    assert isinstance(found, Rejection)
    assert found.reason == reason


def test_what_is_sent_is_part_of_who_is_asked() -> None:
    base = Participant("m", "openai", "m", {"temperature": 0.5, "max_completion_tokens": 900}, seed="auto")
    asked = scored(base, 3)
    assert asked.params == {"temperature": 0.5, "max_completion_tokens": 1, "logprobs": True, "top_logprobs": 20}
    assert asked.id != base.id
    assert asked.seed is None
    assert asked.options == "ABC"


def test_a_server_of_our_own_is_started_to_give_logits() -> None:
    own = scored(Participant("m", "vllm", "m", {}), 3)
    assert own.serving.args == ("--logprobs-mode", "raw_logits")
    running = scored(Participant("m", "vllm", "m", {}, api_base="http://127.0.0.1:1/v1"), 3)
    assert running.serving.args == ()


def test_routes_and_parameters_that_cannot_give_scores() -> None:
    with pytest.raises(InputError, match="route litellm gives no scores"):
        scored(Participant("m", "litellm", "m", {}), 3)
    with pytest.raises(InputError, match="response_format"):
        scored(Participant("m", "openai", "m", {"response_format": {}}), 3)
