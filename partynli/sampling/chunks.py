"""Cuts what is left of a plan into batches: as large as the protocol, the budget and the account allow."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Container
from dataclasses import dataclass, field
from typing import NamedTuple

from partynli.providers.batch import BatchAPI
from partynli.records import Participant, Request
from partynli.sampling.budget import Budget, worst_cost
from partynli.sampling.ledger import Ledger, Pending
from partynli.sampling.settings import Summary
from partynli.store import Batch, Batches

_BREATH = 500


class Chunk(NamedTuple):
    """What one batch will hold."""

    mark: str
    lines: list[bytes]
    pending: list[Pending]
    worst: float
    """Dollars that it may cost at most, which are set aside."""


@dataclass
class BatchLane:
    """Participants of one model, whose trials share batches, and where they stand."""

    participants: tuple[Participant, ...]
    api: BatchAPI
    most: int
    """Most requests in the next batch."""
    walk: AsyncGenerator[Pending, None] | None = None
    """Goes through the trials without an outcome; None where it came to its end."""
    open: list[Batch] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    """Keys of trials in batches that were open at any time since the walk began, whose outcomes it may not know."""
    ahead: Pending | None = None
    """The next trial, which did not fit into the last batch or the budget."""
    again: bool = False
    """Trials came back that are to be asked again, which takes another walk."""
    one_by_one: bool = False
    """The account may have no more than one batch of this model waiting."""
    vanished: int = 0
    """Batches that were perhaps sent and never found, since the last that did arrive."""
    interval_s: float = 0.0

    @property
    def done(self) -> bool:
        """Whether nothing is left to send or to wait for."""
        return not self.open and self.walk is None and self.ahead is None and not self.again


class Chunks:
    """Takes trials from a ledger, batch by batch.

    Parameters
    ----------
    ledger
        What is left to ask.
    batches
        What is asked already, in batches that are open.
    budget
        The worst case of every trial that is taken is set aside here.
    summary
        Whose trials are asked no more.
    given_up
        Keys of trials that are left for another session.
    limit
        Most trials to begin; None for all.
    """

    def __init__(
        self,
        ledger: Ledger,
        batches: Batches,
        budget: Budget,
        summary: Summary,
        given_up: Container[str],
        limit: int | None,
    ) -> None:
        self._ledger = ledger
        self._batches = batches
        self._budget = budget
        self._summary = summary
        self._given_up = given_up
        self._left = limit
        self._begun: set[str] = set()

    def walk(self, lane: BatchLane) -> None:
        """Begin to go through the trials without an outcome that no open batch holds."""
        lane.again = False
        lane.held = self._batches.asked([one.id for one in lane.participants])
        lane.walk = self._ledger.pending(lane.participants, self._summary.stopped)

    async def cut(self, lane: BatchLane) -> Chunk:
        """Take as many trials as one batch may hold; none where there is nothing to ask, or no money for it."""
        if lane.again and lane.walk is None and lane.ahead is None and not lane.open:
            self.walk(lane)  # only now: what came back from all batches goes into few new ones
        mark = secrets.token_hex(8)
        lines: list[bytes] = []
        taken: list[Pending] = []
        size, total = 0, 0.0
        while len(lines) < lane.most and (pending := await self._next(lane)) is not None:
            trial = pending.trial
            seed = trial.seed(pending.before.attempts + 1)
            line = lane.api.line(f"{mark}-{len(lines)}", Request(trial.participant, trial.prompt, seed))
            worst = worst_cost(trial.participant, trial.prompt)
            if (lines and size + len(line) + 1 > lane.api.max_bytes) or not self._budget.allows(worst):
                lane.ahead = pending
                break
            self._budget.reserve(worst)
            lane.held.add(trial.key)
            lines.append(line)
            taken.append(pending)
            size, total = size + len(line) + 1, total + worst
            if len(lines) % _BREATH == 0:
                await asyncio.sleep(0)
        return Chunk(mark, lines, taken, total)

    async def _next(self, lane: BatchLane) -> Pending | None:
        pending, lane.ahead = lane.ahead, None
        if pending is not None and pending.trial.participant.name not in self._summary.stopped:
            return pending
        if lane.walk is None:
            return None
        async for pending in lane.walk:
            key = pending.trial.key
            if key not in lane.held and key not in self._given_up and self._may_begin(key):
                return pending
        lane.walk = None
        return None

    def _may_begin(self, key: str) -> bool:
        """Whether a trial is within the number of those that may begin now."""
        if self._left is None or key in self._begun:
            return True
        if self._left == 0:
            return False
        self._left -= 1
        self._begun.add(key)
        self._summary.begun += 1
        return True
