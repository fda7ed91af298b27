"""From the results of a batch to stored attempts. Collecting the same batch twice stores nothing twice."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from partynli.errors import ProviderError
from partynli.providers.batch import Result
from partynli.records import Item, Prompt, Request, Response, Trial
from partynli.sampling.budget import Budget, cost_of, worst_cost
from partynli.sampling.events import Notice, Stored
from partynli.sampling.ledger import Ledger
from partynli.sampling.plan import Plan
from partynli.sampling.rows import answered_row, failed_row, request_body
from partynli.sampling.settings import Settings, Summary
from partynli.sampling.verdicts import Verdicts
from partynli.store import Attempt, Batch, BatchRequest, Outcome, Run

_TOGETHER = 200
_TRIES = 3
"""Batches in which a trial may get no answer before it is left for another session."""
_DOWNLOADS = 3
"""Times that results are fetched which hold less than the provider counts."""
_FEW = 20
"""Of so many lines, one may be broken in results that are taken for whole."""
_PROMPTS = 1024


@dataclass
class _Tally:
    """What one batch brought."""

    seen: set[int] = field(default_factory=set)
    """Numbers of the requests that were answered, or failed."""
    counted: int = 0
    """How many of them the provider counts as answered."""
    not_run: set[int] = field(default_factory=set)
    strange: int = 0
    """Results under an id that is none of ours, or doubled."""
    broken: int = 0
    """Lines that cannot be read."""
    cost: float = 0.0
    again: bool = False


class Collector:
    """Stores what batches bring.

    Parameters
    ----------
    plan
        On batch terms.
    run, ledger
        Where trials are looked up, and where attempts go.
    settings
        Who is told, and whether drift is allowed.
    budget, summary
        Shared with the runner.
    """

    def __init__(
        self, plan: Plan, run: Run, ledger: Ledger, settings: Settings, budget: Budget, summary: Summary
    ) -> None:
        self._plan = plan
        self._participants = {one.id: one for one in plan.participants}
        self._run = run
        self._ledger = ledger
        self._settings = settings
        self._tell = settings.on_event
        self._budget = budget
        self._summary = summary
        self.verdicts = Verdicts(plan.task, ledger.served, settings, summary)
        self._prompts: dict[str, Prompt] = {}
        self._tries: dict[str, int] = {}
        self._short: Counter[str] = Counter()
        self.given_up: set[str] = set()
        """Keys of trials that are left for another session."""

    async def collect(self, batch: Batch, answered: int | None, results: AsyncIterator[Result | None]) -> bool:
        """Store what a batch brought; returns whether some of its trials are to be asked again.

        Parameters
        ----------
        batch
            It has ended.
        answered
            How many of its requests were answered, by the provider's count; None where it has none.
        results
            What it brought; None for a line that cannot be read.

        Raises
        ------
        ProviderError
            The results broke off, or hold fewer answers than were counted. What came is stored, and the batch can be
            collected again; where it was fetched often enough, the error has status 404.
        """
        tally = _Tally()
        group: list[Result] = []
        failed = None
        try:
            async for result in results:
                if result is None:
                    tally.broken += 1
                    continue
                group.append(result)
                if len(group) == _TOGETHER:
                    await self._store(batch, group, tally)
                    group = []
        except ProviderError as error:
            failed = error
        await self._store(batch, group, tally)
        if failed := failed or self._shortfall(batch, answered, tally):
            self._budget.settle(0.0, tally.cost)  # what is stored will not be counted again
            raise failed
        self._look_for_missing(batch, tally)
        self._budget.settle(batch.worst, tally.cost)
        return tally.again

    async def _store(self, batch: Batch, results: list[Result], tally: _Tally) -> None:
        outcomes: dict[int, Response | ProviderError] = {}
        for result in results:
            number = _number(result.id, batch)
            if number is None or number in tally.seen:
                tally.strange += 1
            elif result.outcome is None:
                tally.not_run.add(number)
            else:
                tally.seen.add(number)
                tally.counted += result.is_counted
                outcomes[number] = result.outcome
        requests = self._run.batches.requests(batch.mark, list(outcomes))
        known = self._run.outcomes([request.trial_key for request in requests.values()])
        stored = []
        for number, request in requests.items():
            before = known.get(request.trial_key, Outcome())
            if before.attempts >= request.n:  # before the results broke off, or the session that collected them
                tally.again |= not before.settled and before.rejected <= self._plan.reasks
                continue
            attempt = self._attempt(request, before, outcomes[number], tally)
            stored.append(self._ledger.put(attempt, (request_body(self._participants[request.participant]),)))
        await asyncio.gather(*stored)
        self._summary.stored += len(stored)

    def _attempt(
        self, request: BatchRequest, before: Outcome, outcome: Response | ProviderError, tally: _Tally
    ) -> Attempt:
        """What is to be stored of a request."""
        trial = self._trial(request)
        sent = Request(trial.participant, trial.prompt, trial.seed(request.n))
        if isinstance(outcome, ProviderError):
            tally.cost += worst_cost(trial.participant, trial.prompt) if outcome.billable else 0.0
            tally.again |= self._failed(trial, outcome)
            return failed_row(trial, request.n, sent, request_body(trial.participant)[0], outcome)
        return self._answered_attempt(trial, request.n, sent, before, outcome, tally)

    def _answered_attempt(
        self, trial: Trial, n: int, sent: Request, before: Outcome, response: Response, tally: _Tally
    ) -> Attempt:
        participant = trial.participant
        status, reason = self.verdicts.of_answer(participant, response)
        again = status == "rejected" and before.rejected < self._plan.reasks
        cost = cost_of(participant, response.usage)
        tally.cost += worst_cost(participant, trial.prompt) if cost is None else cost
        tally.again |= again
        self._tell(Stored(participant, status, reason, cost, again))
        body = request_body(participant)[0]
        attempt = answered_row(trial, n, sent, body, response, status, reason, 0.0)
        return attempt._replace(latency_s=None)  # of its own it has none: the batch had

    def _failed(self, trial: Trial, error: ProviderError) -> bool:
        participant = trial.participant
        if error.kind not in ("fatal_participant", "bad_request"):
            return self._try_again(trial.key, participant.id, str(error))
        self.verdicts.of_failure(participant, error)
        self._give_up(trial.key, participant.id, error.kind)
        return False

    def _try_again(self, key: str, participant: str, why: str) -> bool:
        self._tries[key] = self._tries.get(key, 0) + 1
        if self._tries[key] < _TRIES:
            return True
        self._give_up(key, participant, why)
        return False

    def _give_up(self, key: str, participant: str, why: str) -> None:
        self.given_up.add(key)
        self._summary.failed += 1
        self._tell(Stored(self._participants[participant], "failed", why, None, again=False))

    def _shortfall(self, batch: Batch, answered: int | None, tally: _Tally) -> ProviderError | None:
        """What it means that fewer answers came than were counted, or None where they are all that will ever come.

        Answers that are missing were paid for, and may well be in the next download. Only a few lines that stay broken
        are given up; where more is missing, the file is not whole.
        """
        due, came = min(answered or 0, batch.n), tally.counted
        if answered is None:
            due, came = batch.n, len(tally.seen | tally.not_run)
        if came >= due:
            return None
        said = f"its results hold {came:,} of {due:,}"
        self._short[batch.mark] += 1
        if batch.state != "lost" and self._short[batch.mark] < _DOWNLOADS:
            return ProviderError(f"batch {batch.remote}: {said}, they are fetched again", "retryable")
        if due - came <= min(tally.broken, 1 + due // _FEW) and came:
            return None
        return ProviderError(said, "bad_request", status=404)

    def _look_for_missing(self, batch: Batch, tally: _Tally) -> None:
        """Plan anew what was not run, and what no result came for."""
        missing, not_run = 0, tally.not_run - tally.seen
        if len(tally.seen) < batch.n:
            for number, (key, participant) in enumerate(self._run.batches.held(batch.mark)):
                if number in not_run:
                    tally.again |= self._try_again(key, participant, "not run before the batch ended")
                elif number not in tally.seen:
                    missing += 1
                    tally.again |= self._try_again(key, participant, "the batch has no result for it")
            tally.cost += batch.worst * missing / batch.n  # it may have been charged
        for count, what in (
            (missing, "have no result that can be read and are asked again"),
            (len(not_run), "were not run before it ended and are asked again"),
        ):
            if count:
                self._tell(Notice(f"batch {batch.remote}: {count:,} of {batch.n:,} requests {what}"))
        if tally.strange:
            self._tell(Notice(f"batch {batch.remote}: {tally.strange:,} results that were not asked for, or doubled"))

    def _trial(self, request: BatchRequest) -> Trial:
        prompt = self._prompts.get(request.prompt)
        if prompt is None:
            if len(self._prompts) >= _PROMPTS:
                self._prompts.clear()
            messages: tuple[Mapping[str, str], ...] = tuple(json.loads(self._run.body(request.prompt)))
            prompt = self._prompts[request.prompt] = Prompt(messages, {})
        participant = self._participants[request.participant]
        return Trial(participant, Item(request.item, {}), prompt, request.trial, request.trial_key)


def _number(id: str, batch: Batch) -> int | None:
    """Which request of a batch an id names, or None where it names none."""
    mark, _, number = id.rpartition("-")
    if mark != batch.mark or not (number.isascii() and number.isdecimal() and len(number) < 9):
        return None
    return int(number) if int(number) < batch.n else None
