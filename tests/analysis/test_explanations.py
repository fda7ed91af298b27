"""Explanations of a run beside people's: what is compared with what, what is missing, and what comes out."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from partynli.aggregate import Answers, load_answers
from partynli.analysis.explanations import (
    PEOPLE,
    Explanations,
    Variation,
    embedded,
    explanation_report,
    mean_of,
    median_of,
    populations_of,
    read_explanations,
    variations_of,
)
from partynli.analysis.explanations.split import Part, split
from partynli.analysis.explanations.variation import Values
from partynli.analysis.groups import groups_of
from partynli.analysis.resamples import Resamples
from partynli.embed import embedder_for
from partynli.embed.base import Reading
from partynli.errors import InputError
from partynli.items import Dataset, ItemSource, load_dataset
from partynli.items.litex import load_parts
from partynli.labels import ERROR, collapse
from partynli.records import Annotation, Item, Participant, Task
from partynli.sampling.plan import Plan
from partynli.store import JudgmentRow, Run
from partynli.store.embeddings import KeptVectors

Said = tuple[str, str]
"""Chosen labels and explanation."""
ITEMS = [
    Item("i1", {"premise": "The red fox sat on a hill.", "hypothesis": "A fox sat."}),
    Item("i2", {"premise": "It rains in Brussels.", "hypothesis": "It is wet in Brussels."}),
]
DATA = Path(os.environ.get("PARTYNLI_DATA") or Path(__file__).parents[3] / "shared/data")


@dataclass
class Words:
    """An embedder that counts what it is asked: vectors of the first letters of words."""

    name: str = "letters"
    reading: Reading = field(default_factory=Reading)
    width: int = 26
    texts: list[str] = field(default_factory=list)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.texts += texts
        found = np.zeros((len(texts), self.width), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                found[row, (ord(word[0]) - 97) % self.width] += 1
        return found


@pytest.fixture
def make(tmp_path: Path, task: Task) -> Callable[..., Path]:
    def write(
        said: Mapping[str, Sequence[Sequence[Said | None]]],
        groups: Mapping[str, Sequence[str]] | None = None,
        items: Sequence[Item] = ITEMS,
        name: str = "said",
        **given: Any,
    ) -> Path:
        participants = {name: Participant(name, "openai", name, {}, **given) for name in said}
        members = {name: tuple(participants[one].id for one in who) for name, who in (groups or {}).items()}
        plan = Plan(
            task=task,
            participants=tuple(participants.values()),
            trials={one.id: 1 for one in participants.values()},
            items=list(items),
            n_items=len(items),
            groups=members,
            item_source="test",
        )
        path = tmp_path / "runs" / name
        manifest = {"run": "said", "synthetic": False, "plan": plan.describe(), "task": asdict(task)}
        Run.create(path, manifest, participants.values(), items, members)
        rows = [
            JudgmentRow(
                f"{name}/{trial}/{item.uid}",
                participants[name].id,
                item.uid,
                trial,
                collapse(one[0], "either"),
                *one,
                None,
                None,
                None,
                "import",
            )
            for name, trials in said.items()
            for trial, answers in enumerate(trials, start=1)
            for item, one in zip(items, answers, strict=True)
            if one is not None
        ]
        with Run.sampling(path) as run:
            run.add_judgments(rows, 0)
        return path

    return write


def read(path: Path, task: Task, dataset: Dataset | None = None, **given: Any) -> tuple[Answers, Explanations]:
    with Run.open(path) as run:
        answers = load_answers(run, task)
        return answers, read_explanations(run, task, answers, dataset, **given)


def varied(path: Path, task: Task, dataset: Dataset | None = None, **given: Any) -> dict[tuple[str, str], Variation]:
    answers, explanations = read(path, task, dataset, **given)
    vectors = {"tfidf": embedded(explanations, embedder_for("tfidf"))}
    found = variations_of(explanations, populations_of(explanations, groups_of(answers)[0]), vectors)
    return {(one.kind, one.name): one for one in found}


def crowd(*said: tuple[str, str, str, str]) -> Dataset:
    """(worker, uid, labels, explanation) of people."""
    annotations = tuple(
        Annotation(uid, worker, multi, collapse(multi, "either"), text) for worker, uid, multi, text in said
    )
    return Dataset("people", ItemSource.of(ITEMS, "people"), annotations)


TWO = {
    "a": [[("true", "foxes love hills"), ("true", "rain is wet")], [("true", "any hill will do"), ("false", "no")]],
    "b": [[("true", "foxes love trees"), ("true", "rain is wet")], [("true", "any hill will do"), ("false", "yes")]],
}


def test_sets_are_of_one_item_one_label_and_one_trial(make, task):
    found = varied(make(TWO, {"mix": ["a", "b"]}), task)
    mix, one = found["mix", "mix"], found["participant", "a"]
    d_max = mix.vectors["tfidf"]["d_max"]
    assert (mix.n_texts, mix.n_sets, mix.n_single) == (8, 4, 0)
    assert list(zip(d_max.item.tolist(), d_max.part.tolist(), strict=True)) == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert 0 < d_max.value[0] < 1
    np.testing.assert_allclose(d_max.value[1:], [0.0, 0.0, 1.0], atol=1e-7)
    assert (one.n_sets, one.n_single) == (1, 2)  # over its trials: i1 twice true, i2 true and false
    assert one.vectors["tfidf"]["d_pair"].value[0] == pytest.approx(1.0)
    assert np.isnan(one.vectors["tfidf"]["d_pair"].value[1:]).all()


def test_jaccard_is_with_the_others_on_the_item_in_the_same_trial(make, task):
    found = varied(make(TWO, {"mix": ["a", "b"]}), task)
    single, together = found["participant", "a"].lexical["jaccard"], found["mix", "mix"].lexical["jaccard"]
    np.testing.assert_allclose(single.value, [0.5, 1.0, 1.0, 0.0])  # whatever the labels
    np.testing.assert_allclose(together.value, [0.5, 1.0, 1.0, 0.0])
    np.testing.assert_array_equal(together.part, [0, 0, 1, 1])


def test_nobody_is_compared_with_their_own_words(make, task):
    people = [("w1", "i1", "either-true", "Foxes rest. Who knows?"), ("w2", "i1", "true", "Foxes rest.")]
    known = {"i1": [Part("true", "Foxes rest."), Part("either", "Who knows?")]}
    found = varied(make({"a": [[("true", "Words."), None]]}), task, crowd(*people), by="split", parts=known)
    crowd_of_two, first = found["human", PEOPLE].lexical["jaccard"], found["worker", "w1"].lexical["jaccard"]
    assert crowd_of_two.value.tolist() == [0.5]  # of w1's two parts with w2's one: 0 and 1
    assert sorted(first.value.tolist()) == [0.0, 1.0]


def test_what_is_missing_moves_no_vector(make, task):
    """A participant that copies the item, or says nothing, changes how far nobody else is apart."""
    silent = {"c": [[("true", ""), ("true", "It rains in Brussels.")]] * 2}
    alone = varied(make(TWO, {"mix": ["a", "b"]}), task)["mix", "mix"].vectors["tfidf"]["d_pair"].value
    path = make({**TWO, **silent}, {"mix": ["a", "b"]}, name="again")
    np.testing.assert_array_equal(varied(path, task)["mix", "mix"].vectors["tfidf"]["d_pair"].value, alone)


def test_tfidf_distances_are_exact(make, task):
    """All digits of scikit-learn's own in double precision."""
    _, explanations = read(make(TWO), task)
    found = embedded(explanations, embedder_for("tfidf")).toarray()
    texts = [" ".join(words) for words in explanations.words]
    expected = TfidfVectorizer(analyzer=str.split, dtype=np.float64).fit_transform(texts).toarray()
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_equal_length_is_that_of_the_first_words(make, task):
    long = "one two three four five six seven eight nine ten"
    said = {
        "a": [[("true", f"{long} eleven twelve"), None]],
        "b": [[("true", f"{long} more"), None]],
        "c": [[("true", "one two three"), None]],
    }
    found = varied(make(said, {"mix": ["a", "b", "c"]}), task)
    assert found["participant", "a"].lexical["jaccard_matched"].value.tolist() == [1.0]
    assert np.isnan(found["participant", "c"].lexical["jaccard_matched"].value).all()
    assert found["mix", "mix"].lexical["jaccard_matched"].value.tolist() == [1.0]


def test_what_quotes_and_says_nothing_else_is_missing_and_counted(make, task):
    said = {
        "a": [[("true", "The RED fox sat..."), ("true", "wet streets")]],
        "b": [[("true", "foxes sit"), ("true", "  ")]],
        "c": [[("true", "they do sit"), ("true", "wet streets")]],
    }
    found = varied(make(said, {"mix": ["a", "b", "c"]}), task)
    mix = found["mix", "mix"]
    assert (mix.n_texts, mix.n_empty, mix.n_sets) == (6, 2, 2)
    assert sorted(mix.lexical["word_count"].value.tolist()) == [2, 2, 2, 3]
    assert mix.vectors["tfidf"]["d_pair"].value[1] == 0.0  # of a and c
    assert found["participant", "a"].n_empty == 1


def test_errors_are_no_explanations(make, task):
    _, explanations = read(make({"a": [[(ERROR, "ignored"), ("true", "kept")]]}), task)
    assert explanations.texts == ("kept",)


def test_people_are_one_population_and_each_of_them_a_writer(make, task):
    people = crowd(("w1", "i1", "true", "foxes sit"), ("w2", "i1", "true", "hills"), ("w1", "i9", "true", "elsewhere"))
    found = varied(make(TWO), task, people)
    assert found["human", PEOPLE].n_texts == 2
    assert found["human", PEOPLE].vectors["tfidf"]["d_pair"].value == pytest.approx([1.0])
    assert found["worker", "w2"].n_texts == 1
    assert found["worker", "w2"].lexical["jaccard"].value.tolist() == [0.0]


def test_imported_people_stand_for_the_datasets(make, task):
    people = crowd(("w1", "i1", "true", "foxes sit"))
    found = varied(make(TWO, {"them": ["a", "b"]}, provider="human"), task, people)
    assert {kind for kind, _ in found} == {"human", "worker"}
    assert found["human", PEOPLE].n_texts == 8


@pytest.mark.parametrize(("by", "labels"), [("class_simple", ["either"]), ("class_multi", ["false-true"])])
def test_the_label_of_several(make, task, by, labels):
    _, explanations = read(make({"a": [[("false-true", "could be both"), None]]}), task, by=by)
    assert list(explanations.labels) == labels


def test_split_by_what_is_known(make, task):
    known = {"i1": [Part("true", "It sat."), Part("false", "It  left."), Part("either", "It sat. It left.")]}
    people = crowd(
        ("w1", "i1", "false-true", "It left. Still, It sat."),
        ("w2", "i1", "false-true", "Nobody looked at this."),
        ("w3", "i1", "true", "Nobody looked at this either."),
    )
    _, explanations = read(make({"a": [[("either-true", "mine"), None]]}), task, people, by="split", parts=known)
    written = [
        (explanations.writers[w], explanations.labels[label], text)
        for w, label, text in zip(explanations.writer, explanations.label, explanations.texts, strict=True)
    ]
    assert written == [
        ("w1", "false", "It left."),
        ("w1", "true", "It sat."),
        ("w3", "true", "Nobody looked at this either."),
    ]
    assert explanations.n_unsplit == 2


def test_parts_of_a_label_are_joined_and_an_uncut_set_stays_whole():
    known = [Part("true", "One."), Part("true", "Two."), Part("true", "One."), Part("either-true", "One. Two. Three.")]
    assert split("either-true", "One. Two.", known) == [Part("true", "One. Two.")]
    assert split("either-true", "One. Two. Three.", known)[0] == Part("either-true", "One. Two. Three.")
    assert split("either", "One.", known) == [Part("either", "One.")]
    assert split("false-either", "One.", known) == []


def test_no_explanations_is_one_line(make, task):
    with pytest.raises(InputError, match="run said holds no explanations"):
        read(make({"a": [[(ERROR, ""), None]]}), task)


def test_nothing_but_quotations_is_one_line(make, task):
    _, explanations = read(make({"a": [[("true", "The red fox sat."), None]]}), task)
    with pytest.raises(InputError, match="nothing to embed"):
        embedded(explanations, embedder_for("tfidf"))


def kept_rows(path: Path) -> int:
    db = sqlite3.connect(path / "run.sqlite")
    try:
        return db.execute("SELECT count(*) FROM embedding").fetchone()[0]
    finally:
        db.close()


def test_nothing_is_embedded_twice(make, task):
    path = make(TWO)
    _, explanations = read(path, task)
    first, second = Words(), Words()
    once = embedded(explanations, first, KeptVectors(path))
    again = embedded(explanations, second, KeptVectors(path))
    assert sorted(first.texts) == sorted(set(explanations.texts))
    assert second.texts == []
    np.testing.assert_array_equal(once, again)
    assert kept_rows(path) == len(first.texts)
    other = Words(name="other")
    embedded(explanations, other, KeptVectors(path))
    assert len(other.texts) == len(first.texts)


def test_a_stop_loses_only_what_was_under_way(make, task):
    many = {"a": [[("true", f"text number {k}"), ("true", f"further {k}")] for k in range(400)]}
    path = make(many)
    _, explanations = read(path, task)

    class Stops(Words):
        def embed(self, texts: Sequence[str]) -> np.ndarray:
            if self.texts:
                raise InputError("the server is gone")
            return super().embed(texts)

    with pytest.raises(InputError, match="gone"):
        embedded(explanations, Stops(), KeptVectors(path))
    rest = Words()
    assert embedded(explanations, rest, KeptVectors(path)).shape == (800, 26)
    assert (kept_rows(path), len(rest.texts)) == (800, 800 - 512)


def test_a_run_that_is_held_works_without_keeping(make, task):
    path = make(TWO)
    _, explanations = read(path, task)
    said: list[str] = []
    with Run.sampling(path):
        found = embedded(explanations, Words(), KeptVectors(path), warn=said.append)
    assert found.shape == (8, 26)
    assert kept_rows(path) == 0
    assert len(said) == 1
    assert "are not kept" in said[0]


def test_vectors_of_another_length_are_another_model(make, task):
    path = make(TWO)
    _, explanations = read(path, task)
    embedded(explanations, Words(), KeptVectors(path))
    more = replace(explanations, texts=("something new", *explanations.texts[1:]))
    with pytest.raises(InputError, match="another length"):
        embedded(more, Words(width=30), KeptVectors(path))


def test_the_items_own_vector_is_subtracted(make, task):
    _, explanations = read(make({"a": [[("true", "foxes sit"), ("true", "")]]}), task)
    plain = Words()
    found = embedded(explanations, Words(reading=Reading(minus_item=True)))
    item = plain.embed(["The red fox sat on a hill. A fox sat."])[0]
    np.testing.assert_array_equal(found[0], plain.embed(["foxes sit"])[0] - item)
    np.testing.assert_array_equal(found[1], np.zeros(26))


def test_medians_are_those_of_resampled_items():
    rng = np.random.default_rng(0)
    item = rng.integers(0, 15, size=120)
    values = Values(rng.normal(size=120).round(1), item, rng.integers(0, 3, size=120))
    values.value[:9] = np.nan
    resamples = Resamples.draw(15, seed=1, scope="all", draws=300, shuffles=0)
    found = median_of(values, resamples)

    def plain(weights: np.ndarray) -> float:
        medians = []
        for part in range(3):
            own = (values.part == part) & ~np.isnan(values.value)
            medians.append(np.median(np.repeat(values.value[own], weights[item[own]].astype(int))))
        return float(np.mean(medians))

    assert found.value == pytest.approx(plain(np.ones(15)))
    low, high = np.percentile([plain(weights) for weights in resamples.weights], [2.5, 97.5])
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.n == len(set(item[9:]))


def test_a_resample_without_any_value_is_left_out():
    values = Values(np.array([1.0, 3.0]), np.array([0, 1]), np.array([0, 0]))
    resamples = Resamples.draw(4, seed=0, scope="all", draws=200, shuffles=0)
    assert (resamples.weights[:, :2] == 0).all(1).any()
    found = median_of(values, resamples)
    assert (found.value, found.low, found.high, found.n) == (2.0, 1.0, 3.0, 2)
    nothing = median_of(Values(np.array([np.nan]), np.array([0]), np.array([0])), resamples)
    assert isnan(nothing.value)
    assert nothing.n == 0
    assert isnan(mean_of(Values(np.zeros(0), np.zeros(0, int), np.zeros(0, int)), resamples).value)


@pytest.mark.parametrize("figure", [median_of, mean_of])
def test_one_item_has_no_interval(figure):
    """Every resample of it is the same, which would look like certainty."""
    values = Values(np.array([2.0, np.nan]), np.array([0, 1]), np.array([0, 0]))
    found = figure(values, Resamples.draw(4, seed=0, scope="all", draws=200, shuffles=0))
    assert (found.value, found.n) == (2.0, 1)
    assert isnan(found.low)
    assert isnan(found.high)


@pytest.fixture
def livenli(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    if not (DATA / "livenli/livenli.csv").is_file():
        pytest.skip("livenli/livenli.csv is not under PARTYNLI_DATA nor under ../shared/data")
    monkeypatch.setenv("PARTYNLI_DATA", str(DATA))
    return load_dataset("livenli")


def test_figures_of_people(make, task, livenli):
    """As they follow from the data; the paper prints 14 and 30 words for w9 and w4, and no figure for tf-idf."""
    path = make({"nobody": [[None] * 122]}, items=list(livenli.items))
    answers, explanations = read(path, task, livenli)
    vectors = {"tfidf": embedded(explanations, embedder_for("tfidf"))}
    report = explanation_report("all122", explanations, groups_of(answers)[0], vectors, draws=100)
    rows = {(row.kind, row.name): row for row in report.rows}
    people = rows["human", PEOPLE]
    assert (people.n_texts, people.n_empty, people.n_sets, people.n_single) == (1405, 2, 245, 56)
    figures = {name: round(one.value, 3) for name, one in people.vectors["tfidf"].items()}
    assert [figures[name] for name in ("d_pair", "d_cent", "d_max")] == [0.811, 0.389, 0.957]
    assert rows["worker", "w9"].lexical["word_count"].value == 17
    assert rows["worker", "w4"].lexical["word_count"].value == 32
    assert sum(row.kind == "worker" and row.n_texts > 100 for row in report.rows) == 6


@pytest.mark.parametrize(
    ("by", "n_texts", "n_sets", "unsplit"), [("class_multi", 1405, 274, 0), ("split", 1459, 281, 0)]
)
def test_other_labels_of_people(make, task, livenli, by, n_texts, n_sets, unsplit):
    parts = None
    if by == "split":
        if not (DATA / "litex/annotations_livenli.jsonl").is_file():
            pytest.skip("litex/annotations_livenli.jsonl is not there")
        parts = {uid: [Part(*one) for one in known] for uid, known in load_parts().items()}
    path = make({"nobody": [[None] * 122]}, items=list(livenli.items))
    answers, explanations = read(path, task, livenli, by=by, parts=parts)
    (people, *_) = variations_of(explanations, populations_of(explanations, groups_of(answers)[0]), {}, overlap=False)
    assert (people.n_texts, people.n_sets, explanations.n_unsplit) == (n_texts, n_sets, unsplit)
