"""What participants answered when they were asked for explanations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from partynli.derive import standing_judgments
from partynli.labels import ERROR
from partynli.listing import LABEL, Listed, split_list
from partynli.prompts import task_of
from partynli.records import Item
from partynli.store import Run
from partynli.studies.explain.asking import ITEM


@dataclass(frozen=True, slots=True)
class Answer:
    """A participant's explanations for one label of one item."""

    participant: str
    """Its name."""
    uid: str
    """The item's."""
    label: str
    listed: Listed
    is_cut: bool = False
    """Whether the answer ended at the token limit, so that its last explanation may be half of one."""


@dataclass(frozen=True)
class Answers:
    """A run of explanations."""

    items: Sequence[Item]
    """The items that were explained, in the run's order."""
    participants: tuple[str, ...]
    found: tuple[Answer, ...]
    """By participant, item and label."""
    missing: tuple[tuple[str, str, str], ...]
    """Participant, uid and label of prompts without a valid answer."""
    synthetic: bool


def answers_of(run: Run) -> Answers:
    """Read a run of explanations, as far as it has come."""
    task = task_of(run.manifest)
    judged = {(row.participant, row.item): row for row in standing_judgments(run, task).values()}
    participants = run.participants()
    items: dict[str, Item] = {}
    found: list[Answer] = []
    missing: list[tuple[str, str, str]] = []
    questions = list(run.items)
    for question in questions:
        texts = {name: question.texts[name] for name in task.fields if name in question.texts}
        items.setdefault(question.texts[ITEM], Item(question.texts[ITEM], texts))
    for id_, participant in participants.items():
        for question in questions:
            uid, label = question.texts[ITEM], question.texts[LABEL]
            row = judged.get((id_, question.uid))
            if row is None or row.class_simple == ERROR:
                missing.append((participant.name, uid, label))
                continue
            is_cut = "cut" in (row.repair or "").split(",")
            found.append(Answer(participant.name, uid, label, split_list(row.explanation or ""), is_cut))
    return Answers(
        items=tuple(items.values()),
        participants=tuple(one.name for one in participants.values()),
        found=tuple(found),
        missing=tuple(missing),
        synthetic=any(one.synthetic for one in participants.values()),
    )
