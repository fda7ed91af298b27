"""Runs a plan through the providers' batch APIs: cheaper, within a day, and left and taken up again at any time.

A batch is written down with exactly what it holds before it is sent; its id at the provider right after. What is sent
and not heard of is looked for under its mark before anything is sent again, so that no trial is bought twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial

from partynli.errors import BudgetReachedError, InputError, ProviderError
from partynli.providers.batch import BatchAPI, BatchState, batch_api_for, batch_endpoint_of, batch_place_of, find
from partynli.records import Participant
from partynli.sampling.budget import Budget
from partynli.sampling.chunks import BatchLane, Chunk, Chunks
from partynli.sampling.collecting import Collector
from partynli.sampling.events import Notice, Retrying, Waiting
from partynli.sampling.ledger import RunLedger
from partynli.sampling.plan import Plan
from partynli.sampling.retry import may_pass
from partynli.sampling.settings import Settings, Summary
from partynli.sampling.submitting import Unheard, submit
from partynli.store import Batch, BatchRequest, Run

_SLOWEST = 5
"""Most times `poll_s` between two looks."""
_GRACE = 2
"""Times `poll_s` for which a batch that was perhaps sent is looked for in vain before it is given up."""
_VANISHED = 3
"""Batches that may be sent one after the other without one of them being found."""
_GONE = (404, 410)
_A_DAY_S = 86400.0
_REACH_S = 30.0


class BatchRunner:
    """Runs one plan in batches.

    Parameters
    ----------
    plan
        Every participant of it that is not skipped has a batch API.
    run
        Where to store it, open for sampling; its open batches are gone on with.
    environ
        Where keys are read from.
    settings
        Budget, how often to look, and who is told of events.
    """

    def __init__(self, plan: Plan, run: Run, environ: Mapping[str, str], settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        self._plan = on_batch_terms(plan)
        self._run = run
        self._tell = self._settings.on_event
        self._ledger = RunLedger(self._plan, run)
        self._apis: dict[Hashable, BatchAPI] = {}
        self._missed: dict[str, float] = {}
        self._busy = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._halted = asyncio.Event()
        self.budget = Budget(self._settings.max_cost, self._ledger.spent)
        self.summary = Summary(stopped=dict(self._settings.skip))
        self._collector = Collector(self._plan, run, self._ledger, self._settings, self.budget, self.summary)
        given_up, limit = self._collector.given_up, self._settings.limit
        self._chunks = Chunks(self._ledger, run.batches, self.budget, self.summary, given_up, limit)
        self._lanes = self._make_lanes(environ)

    @property
    def in_flight(self) -> int:
        """Batches being sent or collected at this moment; those that wait at a provider need nobody here."""
        return self._busy

    async def run(self) -> Summary:
        """Run the plan to its end, or until it is stopped; batches that were sent go on at the provider.

        Raises
        ------
        InputError
            Nothing answers at a provider's address.
        StoreError
            The disk failed. What was acknowledged before is safe.
        """
        loop = self._loop = asyncio.get_running_loop()
        await self._ledger.aopen(self._trouble)
        try:
            await asyncio.gather(*map(_open, self._apis.values()))
            self._tasks = [loop.create_task(self._work(lane)) for lane in self._lanes]
            for task in self._tasks:
                task.add_done_callback(self._ended)
            await asyncio.gather(*self._tasks, return_exceptions=True)
        finally:
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)
            await self._ledger.aclose()
            await asyncio.gather(*(api.aclose() for api in self._apis.values()), return_exceptions=True)
        errors = [error for task in self._tasks if not task.cancelled() and (error := task.exception())]
        for error in errors:
            if not isinstance(error, BudgetReachedError):
                raise error
        self.summary.budget_reached = bool(errors)
        return self.summary

    def stop(self) -> None:
        """Send nothing new and finish what is being sent or collected; a second call gives that up too."""
        if self.summary.interrupted:
            for task in self._tasks:
                task.cancel()
        self.summary.interrupted = True
        self._halted.set()

    def _trouble(self, line: str) -> None:
        self._loop.call_soon_threadsafe(self._tell, Notice(line))

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._halted.set()

    def _make_lanes(self, environ: Mapping[str, str]) -> list[BatchLane]:
        groups: dict[tuple[Hashable, Hashable], tuple[Participant, ...]] = {}
        for one in self._plan.participants:
            if one.name not in self._settings.skip:
                group = one.lane, batch_endpoint_of(one)
                groups[group] = (*groups.get(group, ()), one)
        lanes: dict[str, BatchLane] = {}
        for (_, endpoint), asked in groups.items():
            if endpoint not in self._apis:
                self._apis[endpoint] = batch_api_for(asked[0], environ)
            api = self._apis[endpoint]
            own = min((one.batch.max_requests for one in asked if one.batch and one.batch.max_requests), default=None)
            lane = BatchLane(asked, api, min(own or api.max_requests, api.max_requests))
            self._chunks.walk(lane)
            lanes |= dict.fromkeys((one.id for one in asked), lane)
        for batch in self._run.batches.open():
            first = self._run.batches.requests(batch.mark, [0])
            if (lane_of := lanes.get(first[0].participant)) is not None:
                lane_of.open.append(batch)
            self.budget.reserve(batch.worst)
        return list({id(lane): lane for lane in lanes.values()}.values())

    # One lane

    async def _work(self, lane: BatchLane) -> None:
        for batch in list(lane.open):  # of an earlier session: what has ended meanwhile makes room and money
            await self._look(lane, batch)
        while not self._halted.is_set():
            await self._fill(lane)
            if lane.done or self._halted.is_set():
                return
            if not lane.open and lane.ahead is None:
                continue
            if not self._busy and not any(other.open for other in self._lanes):
                raise BudgetReachedError("the budget leaves no room for the worst case of another request")
            await self._pause(lane)
            for batch in list(lane.open):
                if not self._halted.is_set():
                    await self._look(lane, batch)

    async def _pause(self, lane: BatchLane) -> None:
        most = _SLOWEST * self._settings.poll_s
        lane.interval_s = min(most, 1.5 * lane.interval_s) if lane.interval_s else self._settings.poll_s
        with suppress(TimeoutError):
            await asyncio.wait_for(self._halted.wait(), lane.interval_s)

    # Sending

    async def _fill(self, lane: BatchLane) -> None:
        """Send what there is to send, as far as the budget and the account's queue allow."""
        while not self._halted.is_set() and not (lane.one_by_one and lane.open):
            self._busy += 1
            try:
                chunk = await self._chunks.cut(lane)
                if not chunk.lines:
                    return
                if not await self._send(lane, chunk):
                    return
            finally:
                self._busy -= 1

    async def _send(self, lane: BatchLane, chunk: Chunk) -> bool:
        """Send a batch; returns whether another one may follow at once."""
        batch = self._write_down(lane, chunk)
        try:
            remote = await submit(lane.api, chunk, self._settings.retry, partial(self._wait_to_retry, lane))
        except Unheard as unheard:
            self._tell(Notice(f"{_whose(lane)}: it is not known whether a batch arrived, it is looked for: {unheard}"))
            return False
        except ProviderError as error:
            self._drop(lane, batch, str(error))
            if error.status == 413 and batch.n > 1:
                lane.most = batch.n // 2
                self._tell(
                    Notice(f"{_whose(lane)}: {batch.n:,} requests are too many, {lane.most:,} are sent: {error}")
                )
                return True
            self._stop(lane, str(error))
            return True
        self._has_arrived(lane, batch, remote)
        self._tell(Notice(f"{_whose(lane)}: batch {remote} of {batch.n:,} requests is sent"))
        return True

    def _write_down(self, lane: BatchLane, chunk: Chunk) -> Batch:
        sent_to = batch_place_of(lane.participants[0])
        batch = Batch(chunk.mark, "planned", None, len(chunk.lines), chunk.worst, time.time(), sent_to)
        rows = (
            BatchRequest(
                chunk.mark,
                number,
                trial.key,
                before.attempts + 1,
                trial.participant.id,
                trial.item.uid,
                trial.prompt.hash,
                trial.number,
            )
            for number, (trial, before) in enumerate(chunk.pending)
        )
        prompts = {pending.trial.prompt.hash: pending.trial.prompt.json for pending in chunk.pending}
        self._run.batches.plan(batch, rows, prompts.items())
        lane.open.append(batch)
        return batch

    async def _wait_to_retry(self, lane: BatchLane, error: ProviderError, seconds: float) -> None:
        self._tell(Retrying(lane.participants[0], str(error), seconds))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._halted.wait(), seconds)
        if self._halted.is_set():
            raise error

    def _has_arrived(self, lane: BatchLane, batch: Batch, remote: str) -> None:
        self._run.batches.move(batch.mark, "submitted", remote=remote)
        lane.open[lane.open.index(batch)] = batch._replace(state="submitted", remote=remote)
        lane.interval_s = 0.0
        lane.vanished = 0

    def _drop(self, lane: BatchLane, batch: Batch, why: str) -> None:
        """Give up a batch of which nothing was bought; its trials are asked again."""
        self._run.batches.move(batch.mark, "dropped", note=why)
        self.budget.settle(batch.worst, 0.0)
        lane.open.remove(batch)
        lane.again = True

    # Waiting and collecting

    async def _look(self, lane: BatchLane, batch: Batch) -> None:
        """See how a batch stands, and collect it where it has ended."""
        try:
            if batch.remote is None:
                await self._find(lane, batch)
                return
            state = await lane.api.look(batch.remote)
            if not state.ended:
                if batch.state == "lost":  # under another key, in an earlier session
                    self._has_arrived(lane, batch, batch.remote)
                what = f"batch {batch.remote}: {state.word}, {state.done:,} of {batch.n:,} done"
                self._tell(Waiting(lane.participants, what))
                return
            await self._take(lane, batch, state)
        except ProviderError as error:
            if may_pass(error):  # the batch goes on without us
                self._tell(Retrying(lane.participants[0], str(error), self._settings.poll_s))
                return
            self._leave(lane, batch, error)

    async def _take(self, lane: BatchLane, batch: Batch, state: BatchState) -> None:
        """Collect a batch that has ended, or say why there is nothing to collect."""
        self._run.batches.move(batch.mark, "ended", note=state.word)
        if state.refused:
            self._refused(lane, batch, state)
            return
        self._busy += 1
        try:
            again = await self._collector.collect(batch, state.answered, lane.api.results(state))
        finally:
            self._busy -= 1
        self._run.batches.move(batch.mark, "collected")
        lane.open.remove(batch)
        lane.again |= again
        lane.interval_s = 0.0
        self._tell(Notice(f"{_whose(lane)}: batch {batch.remote} of {batch.n:,} requests is collected ({state.word})"))

    def _refused(self, lane: BatchLane, batch: Batch, state: BatchState) -> None:
        self._drop(lane, batch, state.word)
        if state.queue_full and batch.n > 1:
            self._tell(Notice(f"{_whose(lane)}: {state.word}; smaller batches are sent, one after the other"))
            if not lane.open:  # alone it was too large; beside others the sum may have been
                lane.most = min(lane.most, batch.n // 2)
            lane.one_by_one = True
            return
        self._stop(lane, f"batch {batch.remote}: {state.word}")

    async def _find(self, lane: BatchLane, batch: Batch) -> None:
        """Look for a batch that was planned, and perhaps sent, in a session that did not live to hear of it."""
        known = {one.remote for one in self._run.batches.all() if one.remote is not None}
        found = await find(lane.api, batch.mark, batch.planned_at, batch.n, known)
        if found.id is not None:
            self._has_arrived(lane, batch, found.id)
            self._tell(Notice(f"{_whose(lane)}: batch {found.id} of {batch.n:,} requests is found again"))
        elif found.maybe:
            self._missed.pop(batch.mark, None)
            what = f"waits for {', '.join(found.maybe)}: one may be a batch that was sent and not heard of"
            self._tell(Waiting(lane.participants, what))
        else:
            now = self._loop.time()
            if now - self._missed.setdefault(batch.mark, now) >= _GRACE * self._settings.poll_s:
                if batch.note not in (None, batch_place_of(lane.participants[0])):  # another registry, by now
                    raise ProviderError(f"it was sent to {batch.note}", "bad_request", status=404)
                self._drop(lane, batch, "it never arrived at the provider")
                lane.vanished += 1
                if lane.vanished == _VANISHED:  # one that does arrive, and is not listed, would be bought for ever
                    self._stop(lane, f"{_VANISHED} batches in a row were sent and not found at the provider")
                    return
                self._tell(Notice(f"{_whose(lane)}: a batch of {batch.n:,} requests never arrived and is sent again"))

    def _leave(self, lane: BatchLane, batch: Batch, error: ProviderError) -> None:
        """Leave a batch alone that cannot be got at: it stays open, and what it holds is not asked again."""
        lane.open.remove(batch)
        self.summary.failed += batch.n
        note = str(error) if batch.remote else None  # where it was perhaps sent is still to be known
        if error.status in _GONE:
            self._run.batches.move(batch.mark, "lost", note=note)
            why = (
                "the provider does not know it, or not all of it, at least not under this key; `partynli resume "
                f"{self._run.name} --forget-lost` would ask what is missing anew"
            )
        else:
            self._run.batches.move(batch.mark, batch.state, note=note)
            why = "it cannot be collected"
            self._stop(lane, str(error))
        self._tell(
            Notice(f"{_whose(lane)}: batch {batch.remote or batch.mark} of {batch.n:,} requests: {why}: {error}")
        )

    def _stop(self, lane: BatchLane, why: str) -> None:
        for participant in lane.participants:
            self._collector.verdicts.stop(participant, why)


def on_batch_terms(plan: Plan) -> Plan:
    """The plan with batch prices and without the limits of single calls, for participants that have a batch API."""
    return replace(plan, participants=tuple(map(_on_batch_terms, plan.participants)))


def _on_batch_terms(participant: Participant) -> Participant:
    price, batch = participant.price, participant.batch
    if batch is None:
        return participant
    share = 1 - batch.discount
    reduced = price and replace(price, input=price.input * share, output=price.output * share)
    return replace(participant, price=reduced, rpm=None, tpm=None)


def _whose(lane: BatchLane) -> str:
    first, others = lane.participants[0].name, len(lane.participants) - 1
    return f"{first} and {others} more" if others else first


async def _open(api: BatchAPI) -> None:
    """Open an API and see that something answers there, before anything is sent."""
    await api.aopen()
    try:
        async with asyncio.timeout(_REACH_S), aclosing(api.since(time.time() + _A_DAY_S)) as none:
            async for _ in none:
                break
    except TimeoutError:
        raise InputError(
            f"no answer within {_REACH_S:g} s from a batch API; nothing was sent. Try again later"
        ) from None
    except ProviderError as error:
        if error.status is None:
            raise InputError(f"{error}; nothing was sent. Mend api_base in the registry, or try again later") from None
