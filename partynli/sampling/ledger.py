"""Where an engine takes its trials from and puts what came of them.

The engine knows nothing else of a run. One on another machine has a ledger that asks across the network.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

from partynli.prompts import Renderer
from partynli.records import Participant, Trial
from partynli.sampling.plan import Plan
from partynli.store import Attempt, Outcome, Run, Writer

_CHUNK = 256

Bodies = tuple[tuple[str, str], ...]
"""Hash and JSON of requests and prompts."""


class Pending(NamedTuple):
    """A trial that has no outcome yet, and what is stored of it."""

    trial: Trial
    before: Outcome


class Ledger(Protocol):
    """What an engine needs of a run."""

    @property
    def served(self) -> Mapping[str, tuple[str | None, str | None]]:
        """Model and fingerprint of each participant's first answer, by its id, as far as there are answers."""
        ...

    @property
    def spent(self) -> float:
        """Dollars that the run has cost so far."""
        ...

    async def aopen(self, on_trouble: Callable[[str], None]) -> None:
        """Get ready; `on_trouble` is told, from any thread, of what delays storing."""

    def pending(self, participants: Sequence[Participant], stopped: Mapping[str, str]) -> AsyncGenerator[Pending, None]:
        """The trials of one lane that have no outcome yet, but for those of participants stopped meanwhile."""
        ...

    def put(self, attempt: Attempt, bodies: Bodies) -> Awaitable[None]:
        """Store an attempt and the bodies it names; done once it is on disk, or fails with a `StoreError`."""
        ...

    async def next_round(self) -> bool:
        """Whether `pending` has more to give, now that all it gave before is stored or given up."""
        ...

    async def aclose(self) -> None:
        """Store what is queued and let go."""


class RunLedger:
    """The ledger of a run on this machine.

    Parameters
    ----------
    plan
        What to ask.
    run
        Where to store it, open for sampling.
    limit
        Most trials to begin, of all lanes together; None for all.
    """

    def __init__(self, plan: Plan, run: Run, limit: int | None = None) -> None:
        self._plan = plan
        self._run = run
        self._left = limit
        self._renderer = Renderer(plan.task)
        self._writer: Writer | None = None
        self.served = run.served()
        self.spent = sum(tally.cost for tally in run.tallies().values())

    async def aopen(self, on_trouble: Callable[[str], None]) -> None:
        """Start the writer."""
        self._writer = Writer(self._run.database, on_trouble=on_trouble)

    async def pending(
        self, participants: Sequence[Participant], stopped: Mapping[str, str]
    ) -> AsyncGenerator[Pending, None]:
        """The trials of one lane that have no outcome yet; looked up in chunks, so memory does not grow with them."""
        walk = self._walk(participants)
        is_fresh = self._run.is_empty
        fresh = Outcome()
        while chunk := list(islice(walk, _CHUNK)):
            known = {} if is_fresh else self._run.outcomes([trial.key for trial in chunk])
            for trial in chunk:
                before = known.get(trial.key, fresh)
                if before.settled or before.rejected > self._plan.reasks or trial.participant.name in stopped:
                    continue
                if self._left is not None:
                    if self._left <= 0:
                        return
                    self._left -= 1
                yield Pending(trial, before)

    def _walk(self, participants: Sequence[Participant]) -> Iterator[Trial]:
        return self._plan.walk(participants, self._renderer)

    async def next_round(self) -> bool:
        """Nothing: all trials are in one round."""
        return False

    def put(self, attempt: Attempt, bodies: Bodies) -> Awaitable[None]:
        """Queue an attempt for the writer."""
        assert self._writer is not None
        return self._writer.put(attempt, bodies)

    async def aclose(self) -> None:
        """End the writer."""
        if self._writer is not None:
            await self._writer.aclose()
