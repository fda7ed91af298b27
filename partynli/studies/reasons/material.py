"""What of a run can be coded: explanations of people and of a group of models, and the items that they are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from partynli.aggregate import Answers, Counts, people_of
from partynli.derive import standing_judgments
from partynli.errors import InputError, unknown_name
from partynli.hashing import canonical_json, content_hash
from partynli.items import Dataset
from partynli.labels import ERROR
from partynli.metrics import js_distance, probabilities
from partynli.records import Annotation, Item, Task
from partynli.store import Run

FIRST_TRIAL = 1
"""Models' answers of this trial are coded, as in the paper."""
OWN_FIELDS = ("label", "explanation")
"""Texts that the task ``reasons`` asks for beside those of the item."""
FARTHEST = 3
"""Items with the highest and with the lowest distance that are chosen; as many as both are drawn at random."""

_PERSON = "human"
"""Provider of imported answers that people gave."""

Why = Literal["highest JS", "lowest JS", "random", "asked for"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """One explanation, and whose it is."""

    uid: str
    """The item's."""
    source: str
    """Worker or participant."""
    is_human: bool
    trial: int
    label: str
    """The label or set of labels that it explains (``class_multi``)."""
    text: str

    @property
    def name(self) -> str:
        """Its uid in a run of codes: another text or label is another explanation."""
        content = content_hash([self.label, self.text])[-8:]
        return canonical_json([self.uid, "human" if self.is_human else "model", self.source, self.trial, content])

    @property
    def place(self) -> tuple[str, bool, str, int]:
        """Where it stands, whatever it says."""
        return self.uid, self.is_human, self.source, self.trial

    def item(self, texts: Mapping[str, str]) -> Item:
        """It as an item of the task ``reasons``, with the texts of the item that it is about; says not whose it is."""
        label = " or ".join(self.label.split("-"))
        return Item(self.name, {**texts, **dict(zip(OWN_FIELDS, (label, self.text), strict=True))})


@dataclass(frozen=True)
class Material:
    """What can be coded.

    Attributes
    ----------
    labels
        K labels of the run's task.
    texts
        Texts of the items, by uid, in the run's order: I items.
    voters
        Who the people are: a source of the dataset, such as ``livenli``, or ``human`` where they were imported into
        the run; None where nobody voted.
    people, models
        (I, K) label counts of the people who explained (of a population without explanations where nobody did), and
        of the group's first trial.
    js
        (I,) Jensen-Shannon distance between the two, in nats; NaN where one of them is empty.
    explanations
        All that are not blank: people's, then models', each by item and source.
    blank
        Answers without an explanation.
    """

    labels: tuple[str, ...]
    texts: Mapping[str, Mapping[str, str]]
    voters: str | None
    people: Counts
    models: Counts
    js: NDArray[np.float64]
    explanations: tuple[Explanation, ...]
    blank: int


@dataclass(frozen=True, slots=True)
class Choice:
    """An item that is looked at, and why."""

    uid: str
    why: Why
    js: float
    """Jensen-Shannon distance between people and models, in nats; NaN where there is none."""


def read_material(
    run: Run, task: Task, answers: Answers, dataset: Dataset | None, members: Sequence[int], fields: Sequence[str]
) -> Material:
    """Read what a run holds of people's and models' explanations.

    Parameters
    ----------
    run
        Open for reading. Answers that are not stored as judgments yet are read, too.
    task
        The run's.
    answers
        Of the run.
    dataset
        People's answers to the items, or None. Where it holds no single answers, people who were imported into the
        run stand for people.
    members
        Positions in `answers.participants` of the models.
    fields
        Names of the texts that an item must have; those without, as imports may hold, are left out.

    Raises
    ------
    InputError
        No item has these texts, or there is no explanation by any of these models.
    """
    texts = {item.uid: item.texts for item in run.items if set(fields) <= item.texts.keys()}
    if not texts:
        raise InputError(f"no item of run {run.name} has the texts {', '.join(fields)}, which a coder is shown")
    known = answers.on([uid for uid in answers.items if uid in texts])
    people = [number for number, one in enumerate(answers.participants) if one.provider == _PERSON]
    models = [number for number in members if number not in people]
    annotations = [one for one in (dataset.annotations if dataset is not None else ()) if one.uid in texts]
    answered = _of_run(run, task, answers, models, is_human=False)
    voters: str | None
    if annotations or not people:
        said = _of_people(annotations)
        voters, by_people = next(iter(people_of(dataset, known).items()), (None, known.counts(())))
    else:
        said = _of_run(run, task, answers, people, is_human=True)
        voters, by_people = _PERSON, known.counts(people, FIRST_TRIAL - 1)
    found = [one for one in (*said, *answered) if one.uid in texts]
    written = sorted((one for one in found if one.text.strip()), key=lambda one: (not one.is_human, one.name))
    if not any(not one.is_human for one in written):
        raise InputError(f"run {run.name} holds no explanations by models of this group in their first trial")
    by_models = known.counts(models, FIRST_TRIAL - 1)
    return Material(
        labels=answers.labels,
        texts={uid: texts[uid] for uid in known.items},
        voters=voters,
        people=by_people,
        models=by_models,
        js=js_distance(probabilities(by_people), probabilities(by_models)),
        explanations=tuple(written),
        blank=len(found) - len(written),
    )


def _of_people(annotations: Iterable[Annotation]) -> list[Explanation]:
    return [Explanation(one.uid, one.worker, True, 1, one.class_multi, one.explanation) for one in annotations]


def _of_run(run: Run, task: Task, answers: Answers, members: Sequence[int], *, is_human: bool) -> list[Explanation]:
    names = {answers.participants[one].id: answers.names[one] for one in members}
    return [
        Explanation(row.item, names[row.participant], is_human, row.trial, row.class_multi, row.explanation or "")
        for row in standing_judgments(run, task).values()
        if row.participant in names and row.class_simple != ERROR and row.trial == FIRST_TRIAL
    ]


def choose_items(material: Material, wanted: Sequence[str], seed: int) -> tuple[Choice, ...]:
    """Choose the items that are looked at.

    Parameters
    ----------
    material
        Of the run.
    wanted
        ``extremes``: the three items with the highest distance between people and models, the three with the lowest,
        and six others at random; twelve at random where no item has a distance. ``all``: every item with an
        explanation of a model's. Else uids.
    seed
        Of the random ones.

    Returns
    -------
    tuple of Choice
        From the highest distance to the lowest; those without one come last.

    Raises
    ------
    InputError
        An item is not in the run, or nobody explained it.
    """
    js = dict(zip(material.texts, material.js.tolist(), strict=True))
    explained = {one.uid for one in material.explanations if not one.is_human}
    uids = sorted(uid for uid in js if uid in explained)
    why: dict[str, Why] = {}
    if list(wanted) == ["extremes"]:
        why = _extremes([uid for uid in uids if js[uid] == js[uid]], uids, js, seed)
    elif list(wanted) == ["all"]:
        why.update(dict.fromkeys(uids, "asked for"))
    else:
        if strange := [uid for uid in wanted if uid not in js]:
            raise InputError(unknown_name("item", strange[0], js, "the run"))
        if silent := [uid for uid in wanted if uid not in explained]:
            raise InputError(f"no model of the group explained item {silent[0]!r} in its first trial; leave it out")
        why.update(dict.fromkeys(wanted, "asked for"))
    chosen = (Choice(uid, reason, js[uid]) for uid, reason in why.items())
    return tuple(sorted(chosen, key=lambda one: (-round(one.js, 9) if one.js == one.js else 1.0, one.uid)))


def _extremes(measured: list[str], uids: list[str], js: Mapping[str, float], seed: int) -> dict[str, Why]:
    by_distance = sorted(measured, key=lambda uid: (-round(js[uid], 9), uid))
    lowest = by_distance[FARTHEST:][-FARTHEST:]
    why: dict[str, Why] = dict.fromkeys(by_distance[:FARTHEST], "highest JS")
    why.update(dict.fromkeys(lowest, "lowest JS"))
    others = [uid for uid in (measured or uids) if uid not in why]
    drawn = Random(f"{seed}/items").sample(others, min(len(others), 4 * FARTHEST - len(why)))
    why.update(dict.fromkeys(drawn, "random"))
    return why


def shuffled(explanations: Iterable[Explanation], seed: int) -> list[Explanation]:
    """Mix explanations, so that neighbours come from different sources as far as there are others left."""
    left = sorted(set(explanations), key=lambda one: one.name)
    Random(f"{seed}/order").shuffle(left)
    order: list[Explanation] = []
    while left:
        last = order[-1].source if order else None
        order.append(left.pop(next((at for at, one in enumerate(left) if one.source != last), 0)))
    return order
