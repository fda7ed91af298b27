"""All explanations that are compared, as columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partynli.aggregate import Answers
from partynli.analysis.explanations.split import Part, split
from partynli.derive import standing_judgments
from partynli.errors import InputError
from partynli.items import Dataset
from partynli.labels import ERROR
from partynli.metrics.explanation import delexicalise, trigrams, words
from partynli.records import Task
from partynli.store import Run

By = Literal["class_simple", "class_multi", "split"]
BY: tuple[By, ...] = ("class_simple", "class_multi", "split")
"""What the label of an explanation of several labels is. ``class_simple``: the single label that the answer collapses
to. ``class_multi``: the set of labels, as one label. ``split``: the explanation is cut into one for each label, where
it is known how; the others are left out and counted."""

PERSON = "human"
"""Provider of imported answers that people gave."""

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Explanations:
    """N explanations of I items.

    Attributes
    ----------
    items
        Uids, I of them.
    item_texts
        (I,) premise and hypothesis, joined by a blank.
    labels
        Labels that occur, in the order of their first use.
    writers
        Names: first the run's participants, in their order, then people of the dataset.
    people
        Positions in `writers` of people.
    texts
        (N,) as they were written; may be empty.
    words
        (N,) de-lexicalised words; empty where the text is, or quotes and says nothing else.
    writer, item, label
        (N,) positions.
    trial
        (N,) numbers of trials, from 1; 1 for people of the dataset.
    n_unsplit
        Explanations of several labels that were left out, as nobody has said what belongs to which label.
    """

    items: tuple[str, ...]
    item_texts: tuple[str, ...]
    labels: tuple[str, ...]
    writers: tuple[str, ...]
    people: frozenset[int]
    texts: tuple[str, ...]
    words: tuple[tuple[str, ...], ...]
    writer: IntArray
    item: IntArray
    label: IntArray
    trial: IntArray
    n_unsplit: int

    @cached_property
    def is_said(self) -> NDArray[np.bool_]:
        """(N,) whether anything is left of it; the others are missing in every figure, and counted."""
        return np.fromiter(map(bool, self.words), dtype=np.bool_, count=len(self.words))


class _Written(NamedTuple):
    writer: int
    uid: str
    trial: int
    class_simple: str
    class_multi: str
    text: str


def read_explanations(
    run: Run,
    task: Task,
    answers: Answers,
    dataset: Dataset | None,
    by: By = "class_simple",
    parts: Mapping[str, Sequence[Part]] | None = None,
) -> Explanations:
    """Read the explanations of a run's valid answers, and people's.

    Parameters
    ----------
    run
        Open for reading. Answers that are not stored as judgments yet are read, too.
    task
        The run's.
    answers
        Of the run, on the items that are wanted.
    dataset
        People's answers to the items, or None. Where people's answers were imported into the run, they stand for
        people and the dataset's are left out.
    by
        What the label of an explanation of several labels is, see `BY`.
    parts
        By item, what is known of the parts of explanations; for ``split``, see `partynli.items.litex.load_parts`.

    Raises
    ------
    InputError
        There is no explanation of these items.
    """
    place = {uid: number for number, uid in enumerate(answers.items)}
    if "explanation" not in task.answer:
        raise InputError(f"task {task.name} asks for no explanations: there is nothing to compare")
    texts = {item.uid: item.texts for item in run.items if item.uid in place}
    fields = [[texts[uid][field] for field in task.fields] for uid in answers.items]
    quoted = [trigrams(map(words, item)) for item in fields]
    imported = {number for number, one in enumerate(answers.participants) if one.provider == PERSON}
    workers = _workers(dataset, place) if dataset is not None and not imported else {}
    first = len(answers.participants)

    label_at: dict[str, int] = {}
    columns: list[tuple[int, int, int, int]] = []
    kept: list[str] = []
    unsplit = 0
    for one in (*_of_run(run, task, answers), *_of_people(dataset, workers, first)):
        if one.uid not in place:
            continue
        if by == "split":
            pieces = split(one.class_multi, one.text, (parts or {}).get(one.uid, ()))
            unsplit += not pieces
        else:
            pieces = [Part(one.class_simple if by == "class_simple" else one.class_multi, one.text)]
        for label, text in pieces:
            columns.append((one.writer, place[one.uid], label_at.setdefault(label, len(label_at)), one.trial))
            kept.append(text)
    if not kept:
        raise InputError(f"run {run.name} holds no explanations of these items: there is nothing to compare")
    writer, item, label, trial = np.array(columns, dtype=np.int64).T
    return Explanations(
        items=answers.items,
        item_texts=tuple(map(" ".join, fields)),
        labels=tuple(label_at),
        writers=(*answers.names, *workers),
        people=frozenset(imported | set(range(first, first + len(workers)))),
        texts=tuple(kept),
        words=tuple(tuple(delexicalise(words(text), quoted[at])) for text, at in zip(kept, item, strict=True)),
        writer=writer,
        item=item,
        label=label,
        trial=trial,
        n_unsplit=unsplit,
    )


def _workers(dataset: Dataset, place: Mapping[str, int]) -> dict[str, int]:
    names = dict.fromkeys(one.worker for one in dataset.annotations if one.uid in place)
    return {name: number for number, name in enumerate(names)}


def _of_run(run: Run, task: Task, answers: Answers) -> Iterator[_Written]:
    position = {one.id: number for number, one in enumerate(answers.participants)}
    rows = (row for row in standing_judgments(run, task).values() if row.class_simple != ERROR)
    found = (
        _Written(
            position[row.participant], row.item, row.trial, row.class_simple, row.class_multi, row.explanation or ""
        )
        for row in rows
    )
    yield from sorted(found)  # the order of storing changes nothing


def _of_people(dataset: Dataset | None, workers: Mapping[str, int], first: int) -> Iterator[_Written]:
    for one in dataset.annotations if dataset is not None and workers else ():
        if one.worker in workers:
            who = first + workers[one.worker]
            yield _Written(who, one.uid, 1, one.class_simple, one.class_multi, one.explanation)
