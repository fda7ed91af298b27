"""What driver and workers say to each other.

A worker asks, the driver answers, each question by its number. Both sides send whatever has gathered while the last
letter was under way; there is no timer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from partynli.errors import PartyNLIError
from partynli.records import Item, Participant, Task
from partynli.sampling.events import Event
from partynli.sampling.ledger import Bodies
from partynli.sampling.retry import RetryPolicy
from partynli.sampling.settings import ProviderCaps
from partynli.store import Attempt, Outcome

LaneKey = tuple[str, ...]
Served = Mapping[str, tuple[str | None, str | None]]
"""Model and fingerprint of each participant's first answer, by its id, as far as there are answers."""


class Brief(NamedTuple):
    """Everything that a worker is told at its start. It holds no key: those are in the worker's own environment."""

    version: str
    """Version of the driver's partynli."""
    task: Task
    participants: tuple[Participant, ...]
    reasks: int
    caps: Mapping[str, ProviderCaps]
    max_cost: float | None
    allow_drift: bool
    retry: RetryPolicy
    served: Served
    spent: float
    """Dollars that the run has cost so far."""


class Wanted(NamedTuple):
    """A question: what is to be asked next in a lane? Answered by a `Chunk`."""

    lane: LaneKey


class Put(NamedTuple):
    """A question: is this stored? Answered once it is on disk."""

    attempt: Attempt
    bodies: Bodies
    """Hash and JSON; the JSON of a prompt is left empty, for the driver has it."""


class Given(NamedTuple):
    """A trial as it travels: the worker renders its prompt."""

    participant: str
    """The participant's id."""
    item: Item
    number: int
    before: Outcome


class Chunk(NamedTuple):
    """Trials of one lane, in the plan's order."""

    trials: tuple[Given, ...]
    more: bool
    """Whether there may be others behind them."""


Question = Wanted | Put
Answer = Chunk | None
"""None: it is stored."""


class Ended(NamedTuple):
    """How a worker's engine ended."""

    begun: int
    """Trials begun."""
    budget_reached: bool
    error: PartyNLIError | None


class Letter(NamedTuple):
    """What a worker has to say."""

    questions: tuple[tuple[int, Question], ...]
    """Each with its number."""
    events: tuple[Event, ...]
    in_flight: int
    """Calls sent whose answers are not known to be stored."""
    lost: float
    """Dollars that the worker counts, at their worst case, for calls that brought no answer."""
    ended: Ended | None
