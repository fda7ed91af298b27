"""The raw answers of Chen et al. (2025), taken apart and picked, give the files that they published."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from partynli.items import load_dataset
from partynli.items.explanation_files import human_explanations, read_explanations
from partynli.items.varierr341 import FILES
from partynli.records import Item
from partynli.studies.explain.answers import Answer
from partynli.studies.explain.flags import flags
from partynli.studies.explain.picking import as_voted, one_each, pick_all
from partynli.studies.explain.published import compare, read_raw
from partynli.studies.explain.variability import variability
from partynli.studies.selection.validation import read_validation, select

DATA = Path(os.environ.get("PARTYNLI_DATA") or Path(__file__).parents[4] / "shared/data")
MODELS = DATA / "model_explanations"

pytestmark = pytest.mark.skipif(
    not ((DATA / FILES[0].path).is_file() and (MODELS / "raw").is_dir()), reason="the explanations are not there"
)

PUBLISHED = {
    # model, file -> explanations, how many do not come out, and why
    ("gpt4o", "label-free-first"): (1023, {}),
    ("gpt4o", "label-free-longest"): (1023, {"as long": 17}),
    ("gpt4o", "varierr-label-guided-first"): (1364, {}),
    ("gpt4o", "varierr-label-guided-longest"): (1364, {"as long": 17}),
    ("gpt4o", "mnli-label-guided-first"): (1705, {}),
    ("gpt4o", "mnli-label-guided-longest"): (1705, {"as long": 22}),
    ("llama3", "label-free-first"): (1023, {}),
    ("llama3", "label-free-longest"): (1023, {}),
    ("llama3", "varierr-label-guided-first"): (1364, {}),
    ("llama3", "varierr-label-guided-longest"): (1364, {}),
    ("llama3", "mnli-label-guided-first"): (1705, {}),
    ("llama3", "mnli-label-guided-longest"): (1705, {}),
    ("mixtral", "label-free-first"): (1023, {"around": 14, "mark": 1}),
    ("mixtral", "label-free-longest"): (1023, {"around": 7, "mark": 1, "other": 2}),
    ("mixtral", "varierr-label-guided-first"): (1364, {"around": 8, "mark": 1}),
    ("mixtral", "varierr-label-guided-longest"): (1364, {"around": 6, "mark": 1}),
    ("mixtral", "mnli-label-guided-first"): (1705, {"around": 9, "mark": 1}),
    ("mixtral", "mnli-label-guided-longest"): (1705, {"around": 6, "mark": 1}),
}


@pytest.fixture(scope="module", autouse=True)
def _data() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PARTYNLI_DATA", str(DATA))
        yield


@pytest.fixture(scope="module")
def items(_data: object) -> list[Item]:
    return list(load_dataset("varierr341").items)


@pytest.fixture(scope="module")
def raw(items: list[Item]) -> dict[str, tuple[Answer, ...]]:
    uids = [item.uid for item in items]
    return {model: read_raw(MODELS / "raw" / f"{model}.jsonl", uids) for model in ("gpt4o", "llama3", "mixtral")}


@pytest.mark.parametrize(("model", "file"), PUBLISHED)
def test_raw_answers_give_the_published_file(model: str, file: str, items: list[Item], raw: dict) -> None:
    n, why = PUBLISHED[model, file]
    published = read_explanations(MODELS / model / f"{file}.jsonl", items)
    match = compare(raw[model], published, "longest" if file.endswith("longest") else "first")
    assert match.n == n
    assert Counter(one.why for one in match.differences) == why
    assert match.share >= 0.98


def test_as_many_are_picked_as_people_voted(items: list[Item], raw: dict) -> None:
    """The counts of the published files follow from the votes, and are not taken from the files."""
    dataset = load_dataset("varierr341")
    uids = [item.uid for item in items]
    for wanted, name in (
        (one_each(uids), "label-free"),
        (as_voted(uids, dataset.distributions["mnli"]), "mnli-label-guided"),
        (as_voted(uids, dataset.distributions["varierr"]), "varierr-label-guided"),
    ):
        picked = pick_all(raw["llama3"], ["published"], wanted, "first")
        theirs = read_explanations(MODELS / "llama3" / f"{name}-first.jsonl", items)
        assert picked.lacking == 0
        ours = Counter((one.uid, one.label, one.text) for one in picked.picks)
        found = Counter((uid, one.label, " ".join(one.text.split())) for uid, given in theirs.items() for one in given)
        assert (ours & found).total() / found.total() > 0.99


def test_inverted_answers_are_those_that_people_marked(items: list[Item], raw: dict) -> None:
    """The validators wrote NotEntailment where Llama 3 explained why a statement is not true: 22 times."""
    uids = [item.uid for item in items]
    flagged = {
        (one.uid, one.label, text): flag
        for one in raw["llama3"]
        for text, flag in zip(one.listed.explanations, flags(one.label, one.listed), strict=True)
    }
    rows = [json.loads(line) for line in (MODELS / "validated_llama3.jsonl").read_text("utf-8").splitlines()]
    marked = [row for row in rows if row["model_label"].startswith("NotEntailment")]
    assert len(marked) == 22
    assert all(flagged[uids[row["item"]], "true", " ".join(row["explanation"].split())] for row in marked)
    asked = [row for row in rows if row["model_label"].startswith("Entailment") and row["validated_label"] == "E"]
    texts = [(uids[row["item"]], "true", " ".join(row["explanation"].split())) for row in asked]
    assert not any(flagged.get(place, False) for place in texts)


def test_few_explanations_are_flagged(raw: dict) -> None:
    found = {
        model: Counter(one.label for one in answers for flag in flags(one.label, one.listed) if flag)
        for model, answers in raw.items()
    }
    assert found == {
        "gpt4o": {"false": 2},
        "llama3": {"true": 77, "false": 10},
        "mixtral": {"true": 15, "false": 6},
    }


def test_variability_of_people_and_models(items: list[Item]) -> None:
    human = {uid: [one.text for one in given] for uid, given in human_explanations().items()}
    assert [round(one, 3) for one in variability(human).words] == [0.336, 0.105, 0.046]
    first = dict(list(human.items())[:100])
    assert [round(one, 3) for one in variability(first).words] == [0.333, 0.102, 0.045]  # printed: 0.335, 0.098, 0.042
    for model, figures in {"gpt4o": [0.385, 0.118, 0.047], "llama3": [0.450, 0.172, 0.085]}.items():
        given = read_explanations(MODELS / model / "varierr-label-guided-first.jsonl", items)
        found = variability({uid: [one.text for one in texts] for uid, texts in given.items()})
        assert [round(one, 3) for one in found.words] == figures
        assert found.n_sets == 341


@pytest.mark.parametrize(
    ("preferred", "how", "replaced"),
    [(True, "greedy", 334), (True, "representative", 118), (False, "greedy", 136), (False, "representative", 94)],
)
def test_the_two_by_two_design(preferred: bool, how: str, replaced: int, items: list[Item]) -> None:
    human = human_explanations()
    validation = read_validation(MODELS / "validated_llama3.jsonl", [item.uid for item in items])
    assert (len(validation.found), validation.left_out) == (1572, 9)
    mixed = select(human, validation, preferred=preferred, how=how)
    assert (len(mixed.of_item), mixed.n, mixed.replaced) == (100, 400, replaced)
    for uid, placed in mixed.of_item.items():
        assert [one.explanation.label for one in placed] == [one.label for one in human[uid]]
        taken = [one.explanation.text for one in placed if one.source == "model"]
        assert len(set(taken)) == len(taken)
        allowed = {
            (one.label, one.text) for one in validation.found if one.uid == uid and one.is_preferred == preferred
        }
        assert {(one.explanation.label, one.explanation.text) for one in placed if one.source == "model"} <= allowed
