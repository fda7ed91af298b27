"""What the explorer knows of a run: every answer once, where it belongs, and people beside the models."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from partynli.aggregate import Answers
from partynli.analysis.imported.load import import_tables
from partynli.items import Dataset, ItemSource
from partynli.records import Annotation, Item, Participant, Span, Task
from partynli.report.explorer import explorer_data, to_html
from partynli.store import Run

DataOf = Callable[..., dict[str, Any]]
SAID = [
    ("a", "i1", 1, "true", "It rained.", [["premise", 0, 4, "Rain"], ["hypothesis", 6, 9, "wet"]]),
    ("a", "i1", 2, "either-true", "", []),
    ("b", "i1", 1, "error", "", []),
    ("b", "i2", 1, "false", "No.", [["premise", None, None, "hail"]]),
]


def rows(data: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The answers as a reader sees them: names instead of positions."""
    answers, names, uids = data["answers"], data["participants"]["name"], data["items"]["uid"]
    sets = [*(name for name, _ in data["sets"]), "error"]  # -1 is the last
    columns = (answers[name] for name in ("participant", "item", "trial", "set", "explanation", "marks"))
    return [(names[p], uids[i], t, sets[s], why, marks) for p, i, t, s, why, marks in zip(*columns, strict=True)]


def dataset_of(**given: Any) -> Dataset:
    return Dataset("people", ItemSource.of([], "people"), **given)


def test_every_answer_is_there_once(make_run: Callable[..., Path], data_of: DataOf) -> None:
    data = data_of(make_run(SAID, families={"a": "f"}), notes=["no human data: none"])
    assert rows(data) == [
        ("a", "i1", 1, "true", "It rained.", [[0, 0, 4], [1, 6, 9]]),
        ("a", "i1", 2, "either-true", "", []),
        ("b", "i1", 1, "error", "", []),
        ("b", "i2", 1, "false", "No.", [[0, "hail"]]),
    ]
    assert dict(data["sets"]) == {"true": 0, "either-true": 1, "false": 2}  # positions of true, either, false
    assert data["items"]["texts"] == [["Rain fell on i1.", "Rain fell on i2."], ["i1 is wet.", "i2 is wet."]]
    assert (data["participants"]["family"], data["participants"]["human"]) == (["f", ""], [0, 0])
    assert (data["people"], data["synthetic"], data["notes"]) == ({}, False, ["no human data: none"])
    assert [(one["name"], one["kind"], one["members"]) for one in data["groups"]] == [("mix", "mix", [0, 1])]


def test_offsets_are_those_of_a_browser(make_run: Callable[..., Path], data_of: DataOf) -> None:
    said = [("a", "i1", 1, "true", "", [["premise", 2, 5, "sun"]])]
    data = data_of(make_run(said, texts={"i1": ("\U0001f600 sun", "hot")}))
    assert data["answers"]["marks"] == [[[0, 3, 6]]]


@pytest.mark.parametrize("span", [[0, 99], [-1, 3], [3, 3], [5, 2], ["0", 3], [True, None]])
def test_a_highlight_outside_of_its_text_keeps_its_words(
    make_run: Callable[..., Path], data_of: DataOf, span: list[Any]
) -> None:
    said = [("a", "i1", 1, "true", "", [["premise", *span, "Rain"], ["title", 0, 1, "x"]])]
    assert data_of(make_run(said))["answers"]["marks"] == [[[0, "Rain"]]]


def test_people_of_the_dataset_stand_beside_the_models(make_run: Callable[..., Path], data_of: DataOf) -> None:
    dataset = dataset_of(
        annotations=(
            Annotation("i1", "w1", "either-false", "either", "Maybe.", (Span("premise", "Rain", 0, 4),)),
            Annotation("elsewhere", "w2", "true", "true", "Not ours."),
        ),
        distributions={"crowd": {"i1": (1, 8, 1)}, "strangers": {"elsewhere": (5, 0, 0)}},
    )
    data = data_of(make_run(SAID), dataset)
    assert data["participants"]["name"] == ["a", "b", "w1"]
    assert data["participants"]["human"] == [0, 0, 1]
    assert ("w1", "i1", 1, "either-false", "Maybe.", [[0, 0, 4]]) in rows(data)
    assert data["people"] == {"crowd": [1, 8, 1, 0, 0, 0]}


def test_people_who_were_imported_are_people(make_run: Callable[..., Path], data_of: DataOf) -> None:
    said = [*SAID, ("w", "i1", 1, "true", "Of course.", [])]
    path = make_run(said, people=["w"], groups={"mix": ["a", "b"], "human": ["w"]})
    workers = (Annotation("i1", "w", "true", "true", "Of course."),)
    data = data_of(path, dataset_of(annotations=workers))
    assert data["participants"]["human"] == [0, 0, 1]
    assert [one["name"] for one in data["groups"]] == ["mix"]
    assert data["people"] == {"people of this run": [1, 0, 0, 0, 0, 0]}
    assert len(rows(data)) == 5  # the worker whom the dataset knows, too, is one person
    same = dataset_of(distributions={"crowd": {"i1": (1, 0, 0)}})
    assert list(data_of(path, same)["people"]) == ["crowd"]


def test_answers_that_were_not_derived_yet_are_shown(study: Any, go: Any, task: Task) -> None:
    simulated = Participant("sim", "simulated", "simulated/typical", {}, seed="auto", provider="simulated")
    go(study.run(study.plan([simulated], items=3, trials=2)))
    with Run.open(study.path) as run:
        answers = Answers(
            labels=task.labels,
            sets=(),
            items=tuple(run.item_uids()),
            participants=(simulated,),
            simple=np.zeros((1, 0, 3), dtype=np.int16),
            multi=np.zeros((1, 0, 3), dtype=np.int16),
            groups={},
            synthetic=True,
        )
        data = explorer_data(run, task, answers, None)
    assert len(data["answers"]["item"]) == 6
    assert set(data["answers"]["trial"]) == {1, 2}
    assert all(0 <= one < len(data["sets"]) for one in data["answers"]["set"])
    assert all(data["answers"]["explanation"])


def test_an_imported_run(tmp_path: Path, task: Task, data_of: DataOf) -> None:
    table = tmp_path / "answers.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sent_id", "participant", "trial", "class_multi", "explanation", "experiment"])
        writer.writerow(["i1", "m", "1", "false-either", "=1+1", "model_mix_hi"])
        writer.writerow(["i1", "w1", "1", "true", "Yes.", "human"])
    dataset = Dataset("mine", ItemSource.of([Item("i1", {"premise": "It rains.", "hypothesis": "It is wet."})], "mine"))
    import_tables([table], tmp_path / "run", task, dataset, {"run": "run"})
    data = data_of(tmp_path / "run")
    assert rows(data) == [("m", "i1", 1, "either-false", "=1+1", []), ("w1", "i1", 1, "true", "Yes.", [])]
    assert data["participants"]["human"] == [0, 1]
    assert data["items"]["texts"] == [["It rains."], ["It is wet."]]


def test_a_task_of_its_own(make_run: Callable[..., Path], data_of: DataOf, task: Task) -> None:
    other = replace(task, labels=("yes", "no"), fields=("text",), set_labels=False, collapse_to="no", highlights={})
    data = data_of(make_run([("a", "i1", 1, "yes", "", [])], texts={"i1": ("A.",)}, task=other))
    assert (data["labels"], data["fields"], data["items"]["texts"]) == (["yes", "no"], ["text"], [["A."]])


def test_a_run_without_answers(make_run: Callable[..., Path], data_of: DataOf) -> None:
    data = data_of(make_run([], texts={"i1": ("A.", "B.")}))
    assert data["answers"]["item"] == []
    assert to_html(data)


def test_a_large_run_is_written_in_seconds(make_run: Callable[..., Path], data_of: DataOf, huge: list[Any]) -> None:
    path = make_run(huge)
    before = time.process_time()
    data = data_of(path)
    page = to_html(data)
    assert time.process_time() - before < 6
    assert len(data["answers"]["item"]) == 33_000
    assert len(page) < 4_000_000
