"""The driver's book of one worker: what each of its lanes was given, and what of that is still open."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Mapping
from heapq import nlargest

from partynli.sampling.budget import worst_cost
from partynli.sampling.cluster.mail import Chunk, Given, Put
from partynli.sampling.ledger import Bodies, Pending
from partynli.store import Outcome

CHUNK = 128
"""Trials that are handed out at once."""


class Desk:
    """One lane: hands out its trials and remembers them until they have an outcome.

    Parameters
    ----------
    pending
        The lane's trials without an outcome.
    reasks
        How often an answer that cannot be read is asked for again.
    most_in_flight
        Most calls of the lane that are ever in flight.
    """

    def __init__(self, pending: AsyncGenerator[Pending, None], reasks: int, most_in_flight: int) -> None:
        self._pending = pending
        self._reasks = reasks
        self._most = most_in_flight
        self._open: dict[str, Pending] = {}
        self._again: deque[Pending] = deque()

    @property
    def n_open(self) -> int:
        """Trials handed out that have no outcome yet."""
        return len(self._open)

    @property
    def at_risk(self) -> float:
        """Most that calls in flight now can cost, in dollars: which of the open trials they are is not known here."""
        return sum(
            nlargest(self._most, (worst_cost(one.trial.participant, one.trial.prompt) for one in self._open.values()))
        )

    async def hand_out(self, stopped: Mapping[str, str]) -> Chunk:
        """The next trials, those of a lost worker first."""
        given: list[Given] = []
        while len(given) < CHUNK:
            one = self._again.popleft() if self._again else await anext(self._pending, None)
            if one is None:
                return Chunk(tuple(given), more=False)
            trial = one.trial
            if trial.participant.name not in stopped:
                self._open[trial.key] = one
                given.append(Given(trial.participant.id, trial.item, trial.number, one.before))
        return Chunk(tuple(given), more=True)

    def bodies(self, put: Put) -> Bodies:
        """What an attempt names, with the prompt that did not travel."""
        prompt = self._open[put.attempt.trial_key].trial.prompt
        return tuple((name, prompt.json if name == prompt.hash else text) for name, text in put.bodies)

    def stored(self, put: Put) -> float:
        """An attempt is on disk; returns what it cost, in dollars, or may have cost where that is not known.

        A failed one costs nothing here: what it may have cost is in the worker's letters as `lost`.
        """
        attempt = put.attempt
        trial, before = self._open.pop(attempt.trial_key)
        if attempt.status == "rejected" and before.rejected < self._reasks:  # it will be asked again
            self._open[trial.key] = Pending(trial, Outcome(attempt.n, before.rejected + 1))
        if attempt.cost is not None:
            return attempt.cost
        return 0.0 if attempt.status == "failed" else worst_cost(trial.participant, trial.prompt)

    def take_back(self) -> None:
        """The worker is lost: its open trials are handed out again, with what is stored of them."""
        self._again.extendleft(reversed(self._open.values()))
        self._open.clear()

    async def aclose(self) -> None:
        """End the walk over the plan."""
        await self._pending.aclose()
