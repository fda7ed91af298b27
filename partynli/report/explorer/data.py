"""What the explorer shows, as columns: items, participants, people's votes, and every answer with its reasons."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from partynli.aggregate import Answers, people_of
from partynli.analysis.groups import EVERYBODY, groups_of
from partynli.derive import standing_judgments
from partynli.items import Dataset
from partynli.labels import ERROR, collapse
from partynli.records import Participant, Task
from partynli.store import Run

SCHEMA = 1
_PERSON = "human"
"""Provider of imported answers that people gave."""
_OWN_PEOPLE = "people of this run"

Mark = list[int | str]
"""``[field, start, end]``, or ``[field, words]`` where the words do not stand in the item's text."""


class _Answer(NamedTuple):
    """One answer as the page knows it; the first three are positions and numbers that it is sorted by."""

    item: int
    participant: int
    trial: int
    set: int
    explanation: str
    marks: list[Mark]


@dataclass(frozen=True)
class _Shelf:
    """Where an answer's parts stand in the columns."""

    items: Mapping[str, int]
    texts: Mapping[str, tuple[str, ...]]
    """By uid, in the order of `fields`."""
    fields: tuple[str, ...]
    sets: dict[str, int] = field(default_factory=dict)
    """Label sets that occurred so far, and their positions."""

    def answer(
        self, uid: str, participant: int, trial: int, class_multi: str, explanation: str, spans: Iterable[Sequence[Any]]
    ) -> _Answer:
        chosen = -1 if class_multi == ERROR else self.sets.setdefault(class_multi, len(self.sets))
        marks = [self._mark(self.texts[uid], *span) for span in spans if span[0] in self.fields]
        return _Answer(self.items[uid], participant, trial, chosen, explanation, marks)

    def _mark(self, texts: Sequence[str], name: str, start: Any, end: Any, words: Any) -> Mark:
        """A highlight; one that stands elsewhere than it says keeps its words and no place."""
        at = self.fields.index(name)
        if isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(texts[at]):
            return [at, _utf16(texts[at], start), _utf16(texts[at], end)]
        return [at, str(words)]


def explorer_data(
    run: Run, task: Task, answers: Answers, dataset: Dataset | None, notes: Sequence[str] = ()
) -> dict[str, Any]:
    """Everything that the explorer's page shows of a run, ready to become JSON.

    Parameters
    ----------
    run
        Open for reading. Answers that are not stored as judgments yet are read for this.
    task
        The run's, which says how answers are read.
    answers
        All answers of the run.
    dataset
        People's answers to the run's items; None where there are none.
    notes
        What a reader should know, one line each.

    Returns
    -------
    dict
        ``items``, ``participants`` and ``answers`` hold one list a column. An answer's ``set`` is a position in
        ``sets``, -1 for an answer asked for in vain; its ``marks`` are highlights, with offsets in UTF-16 units as
        browsers count. ``people`` holds votes by source, item after item, label after label.
    """
    models = [_participant(one) for one in answers.participants]
    workers = _workers(dataset, answers)
    shelf = _Shelf({uid: number for number, uid in enumerate(answers.items)}, _texts(run, task), task.fields)
    own = _own_answers(run, task, answers, shelf)
    people = _people(dataset, workers, len(models), shelf)
    found = sorted((*own, *people), key=lambda one: one[:3])
    return {
        "schema": SCHEMA,
        "run": run.name,
        "synthetic": answers.synthetic,
        "task": task.name,
        "labels": list(answers.labels),
        "sets": [[one, answers.labels.index(collapse(one, task.collapse_to))] for one in shelf.sets],
        "fields": list(task.fields),
        "notes": list(notes),
        "items": {
            "uid": list(answers.items),
            "texts": [[shelf.texts[uid][at] for uid in answers.items] for at in range(len(task.fields))],
        },
        "participants": _as_columns([*models, *({**_NOBODY, "name": name, "human": 1} for name in workers)]),
        "groups": _groups(answers),
        "people": _votes(dataset, answers),
        "answers": {name: [getattr(one, name) for one in found] for name in _Answer._fields},
    }


def _texts(run: Run, task: Task) -> dict[str, tuple[str, ...]]:
    return {item.uid: tuple(item.texts.get(name, "") for name in task.fields) for item in run.items}


_NOBODY = {"name": "", "model": "", "family": "", "params": "", "human": 0}


def _participant(one: Participant) -> dict[str, Any]:
    human = one.provider == _PERSON
    params = ", ".join(f"{name} {value}" for name, value in one.params.items())
    return {
        "name": one.name,
        "model": "" if human else one.model,
        "family": one.family or "",
        "params": params,
        "human": int(human),
    }


def _as_columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in _NOBODY}


def _groups(answers: Answers) -> list[dict[str, Any]]:
    groups, _ = groups_of(answers)
    named = [one for one in groups if one.kind in ("mix", "experiment") and one.name != EVERYBODY]
    people = {number for number, one in enumerate(answers.participants) if one.provider == _PERSON}
    return [
        {"name": one.name, "kind": one.kind, "members": sorted(one.members)}
        for one in named
        if not people.issuperset(one.members)
    ]


def _votes(dataset: Dataset | None, answers: Answers) -> dict[str, list[int]]:
    votes = {source: counts.ravel().tolist() for source, counts in people_of(dataset, answers).items()}
    people = [number for number, one in enumerate(answers.participants) if one.provider == _PERSON]
    own = answers.counts(people).ravel().tolist()
    return votes if not people or own in votes.values() else {**votes, _OWN_PEOPLE: own}


def _workers(dataset: Dataset | None, answers: Answers) -> dict[str, int]:
    """People whose answers the dataset knows one by one; nobody where the run brought its own people."""
    if dataset is None or any(one.provider == _PERSON for one in answers.participants):
        return {}
    known = set(answers.items)
    names = dict.fromkeys(one.worker for one in dataset.annotations if one.uid in known)
    return {name: number for number, name in enumerate(names)}


def _people(dataset: Dataset | None, workers: Mapping[str, int], first: int, shelf: _Shelf) -> Iterator[_Answer]:
    for one in dataset.annotations if dataset and workers else ():
        if one.uid in shelf.items:
            spans = [(span.field, span.start, span.end, span.text) for span in one.highlights]
            yield shelf.answer(one.uid, first + workers[one.worker], 1, one.class_multi, one.explanation, spans)


def _own_answers(run: Run, task: Task, answers: Answers, shelf: _Shelf) -> Iterator[_Answer]:
    position = {one.id: number for number, one in enumerate(answers.participants)}
    for row in standing_judgments(run, task).values():
        spans = json.loads(row.highlights) if row.highlights else ()
        who = position[row.participant]
        yield shelf.answer(row.item, who, row.trial, row.class_multi, row.explanation or "", spans)


def _utf16(text: str, offset: int) -> int:
    """An offset as JavaScript counts: a sign beyond the first 65,536 is two.

    >>> _utf16("a\\U0001f600b", 2)
    3
    """
    return offset + sum(sign > "\uffff" for sign in text[:offset])
