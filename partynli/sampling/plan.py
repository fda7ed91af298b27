"""What will be asked, of whom, how often: pure and lazy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from partynli.hashing import canonical_json
from partynli.prompts import Renderer
from partynli.records import Item, Participant, Task, Trial

MIN_ROUNDS = 2
"""Trials that every item gets, where a plan stops early."""


@dataclass(frozen=True)
class Plan:
    """Participants x items x trials, made one trial at a time when they are asked for."""

    task: Task
    participants: tuple[Participant, ...]
    trials: Mapping[str, int]
    """Trials of each participant, by its id."""
    items: Iterable[Item]
    """May be gone through many times; need not be in memory."""
    n_items: int
    groups: Mapping[str, tuple[str, ...]]
    """Participant ids by name of the mix or experiment that asked for them."""
    item_source: str
    """Name of the dataset or path of the file."""
    reasks: int = 2
    """How often an answer that cannot be read is asked for again."""
    until_ci: float | None = None
    """Items get no more trials when the 95 % interval of their entropy, in nats, is narrower; None for all trials."""

    def __len__(self) -> int:
        return self.n_items * sum(self.trials[one.id] for one in self.participants)

    @property
    def synthetic(self) -> bool:
        """Whether any participant is a simulation."""
        return any(one.synthetic for one in self.participants)

    def lanes(self) -> dict[tuple[str, ...], tuple[Participant, ...]]:
        """Participants by lane: those of one provider and model wait in one queue."""
        lanes: dict[tuple[str, ...], tuple[Participant, ...]] = {}
        for participant in self.participants:
            lanes[participant.lane] = (*lanes.get(participant.lane, ()), participant)
        return lanes

    def walk(
        self, participants: Sequence[Participant], renderer: Renderer, numbers: Iterable[int] | None = None
    ) -> Iterator[Trial]:
        """The trials of some participants, round robin over trials, then items, then participants.

        A run that is stopped half way has asked every participant nearly the same items equally often. `numbers` are
        those of the trials that are wanted, all by default.
        """
        for number in numbers or range(1, 1 + max((self.trials[one.id] for one in participants), default=0)):
            asked = [one for one in participants if number <= self.trials[one.id]]
            for item in self.items:
                prompt = renderer.render(item)
                for participant in asked:
                    yield Trial.make(participant, item, prompt, number)

    def describe(self) -> dict[str, Any]:
        """What makes this plan another than that one, as the manifest keeps it."""
        return {
            "task": self.task.name,
            "prompts": self.task.hashes,
            "reader": self.task.reader,
            "participants": [one.id for one in self.participants],
            "names": [one.name for one in self.participants],
            "trials": [self.trials[one.id] for one in self.participants],
            "items": self.item_source,
            "items_hash": _hash_of(self.items),
            "n_items": self.n_items,
            "groups": {name: list(members) for name, members in self.groups.items()},
            "reasks": self.reasks,
            **({} if self.until_ci is None else {"until_ci": {"width": self.until_ci}}),
        }


def width_of(kept: Mapping[str, Any]) -> float | None:
    """`Plan.until_ci` of a plan that a manifest keeps."""
    return kept["until_ci"]["width"] if kept.get("until_ci") else None


def _hash_of(items: Iterable[Item]) -> str:
    """Content hash of all items in their order, one line of canonical JSON each."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(canonical_json([item.uid, dict(item.texts)]).encode("utf-8", "surrogatepass") + b"\n")
    return "sha256:" + digest.hexdigest()
