"""The plan that asks for explanations: one prompt for each item and label, each of them a trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from partynli.errors import RegistryError
from partynli.items import ItemSource
from partynli.labels import LABELS
from partynli.listing import LABEL, VERDICT
from partynli.records import Item, Participant, Task
from partynli.sampling.plan import Plan

TASK = "explain"
ITEM = "item"
"""Among the texts of a prompt: the uid of the item that it is about."""
VERDICTS: Mapping[str, str] = dict(
    zip(LABELS, ("true (entailment)", "undetermined (neutral)", "false (contradiction)"), strict=True)
)
"""Labels as a prompt says them."""


@dataclass(frozen=True)
class Questions:
    """All prompts as items of a run, made anew each time they are gone through."""

    items: ItemSource
    labels: Sequence[str]

    def __iter__(self) -> Iterator[Item]:
        for item in self.items:
            for label in self.labels:
                texts = {**item.texts, VERDICT: VERDICTS[label], LABEL: label, ITEM: item.uid}
                yield Item(f"{item.uid}/{label}", texts)


def explain_plan(
    task: Task, participants: Sequence[Participant], groups: Mapping[str, tuple[str, ...]], items: ItemSource, n: int
) -> Plan:
    """Ask each participant once for explanations of every label of every item.

    All labels are asked for, whatever will be picked: one run serves every way to pick.

    Parameters
    ----------
    task
        How it is asked, ``explain``.
    participants
        Any.
    groups
        Ids of participants by name of the mix.
    items, n
        Items to explain, and how many there are.

    Raises
    ------
    RegistryError
        The task has other labels, or does not name the verdict in its prompt.
    """
    if sorted(task.labels) != sorted(LABELS) or VERDICT not in task.fields:
        raise RegistryError(f"task {task.name!r} must have the labels {', '.join(LABELS)} and the field {VERDICT!r}")
    return Plan(
        task=task,
        participants=tuple(participants),
        trials={one.id: 1 for one in participants},
        items=Questions(items, task.labels),
        n_items=n * len(task.labels),
        groups=groups,
        item_source=f"explanations ({items.name})",
    )
