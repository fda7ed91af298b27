"""What the engine tells while it works. It prints nothing; whoever listens decides what to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from partynli.records import Participant
from partynli.store import AttemptStatus


class Stored(NamedTuple):
    """An attempt is on disk."""

    participant: Participant
    status: AttemptStatus
    reason: str | None
    cost: float | None
    again: bool
    """Whether the same trial will be asked again."""


@dataclass(frozen=True, slots=True)
class Retrying:
    """A call failed in a way that may pass."""

    participant: Participant
    why: str
    wait_s: float


@dataclass(frozen=True, slots=True)
class Stopped:
    """A participant is asked nothing more; the others go on."""

    participant: Participant
    why: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the person at the terminal should know."""

    text: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """What some participants are waited for."""

    participants: tuple[Participant, ...]
    what: str


@dataclass(frozen=True, slots=True)
class Settled:
    """A round of trials is over, of a plan that stops asking about items that are known well enough."""

    round: int
    settled: int
    """Items that get no more trials."""
    items: int
    due: Mapping[str, int]
    """Trials that each participant is still to be asked in all, by its id, where no other item is settled."""


Event = Stored | Retrying | Stopped | Waiting | Notice | Settled
