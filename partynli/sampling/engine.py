"""Runs a plan: every trial asked, every answer judged and stored, within limits and budget.

Each lane has one dispatcher, which starts a call only when the lane's slot, pace, gate, the provider's caps and the
budget all allow it; then the call runs as a task of its own. A slot is free again once the answer is on disk, so what a
crash can lose is what is in flight. A trial that must wait before it is sent again holds no slot while it waits.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing

from partynli.errors import BudgetReachedError, ProviderError
from partynli.providers import Provider
from partynli.records import Request, Response, Trial
from partynli.sampling.budget import Budget, cost_of, tokens_in, worst_cost
from partynli.sampling.endpoints import Endpoints
from partynli.sampling.events import Notice, Retrying, Stored
from partynli.sampling.lane import Lane, lanes_of
from partynli.sampling.ledger import Ledger, Pending, RunLedger
from partynli.sampling.plan import Plan
from partynli.sampling.retry import may_pass, retrying, within_reason
from partynli.sampling.rows import NewBodies, answered_row, failed_row
from partynli.sampling.settings import Settings, Summary
from partynli.sampling.verdicts import Verdicts
from partynli.store import Attempt, Outcome, Run

_GC_YOUNG = 50_000


class Engine:
    """Runs one plan.

    Parameters
    ----------
    plan
        Whom to ask, and how; the trials themselves come from the ledger.
    ledger
        What is left to ask, and where to store it.
    environ
        Where keys are read from.
    settings
        Limits, budget, and who is told of events.
    """

    def __init__(
        self, plan: Plan, ledger: Ledger, environ: Mapping[str, str], settings: Settings | None = None
    ) -> None:
        self._plan = plan
        self._ledger = ledger
        self._settings = settings or Settings()
        self._tell = self._settings.on_event
        asked = [one for one in plan.participants if one.name not in self._settings.skip]
        self._endpoints = Endpoints(asked, environ)
        self._bodies = NewBodies(plan.participants)
        self.budget = Budget(self._settings.max_cost, ledger.spent)
        self._waiting_for_money: list[Lane] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._sleepers: set[asyncio.Future[None]] = set()
        self._error: BaseException | None = None
        self.summary = Summary(stopped=dict(self._settings.skip))
        self._verdicts = Verdicts(plan.task, ledger.served, self._settings, self.summary)
        self._lanes = lanes_of(plan, self._settings.caps)

    @property
    def in_flight(self) -> int:
        """Calls sent whose answers are not stored yet."""
        return sum(lane.in_flight.now for lane in self._lanes)

    async def run(self) -> Summary:
        """Run the plan to its end, or until it is stopped; what is asked of it again later, it skips.

        Raises
        ------
        InputError
            Nothing answers at a provider's address.
        StoreError
            The disk failed. What was acknowledged before is safe.
        """
        self._loop = asyncio.get_running_loop()
        await self._ledger.aopen(self._trouble)
        thresholds = gc.get_threshold()
        # calls leave few cycles behind; looking for them every 700 objects takes a tenth of the engine's time
        gc.set_threshold(_GC_YOUNG, *thresholds[1:])
        try:
            await self._endpoints.aopen()
            await self._dispatch_all()
            while not self._halted and self._somebody_left and await self._ledger.next_round():
                await self._dispatch_all()
        finally:
            gc.set_threshold(*thresholds)
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)
            try:  # first: idle connections may hold every file descriptor that there is
                await self._endpoints.aclose()
            finally:
                await self._ledger.aclose()
        if isinstance(self._error, BudgetReachedError):
            self.summary.budget_reached = True
        elif self._error is not None:
            raise self._error
        return self.summary

    @property
    def _somebody_left(self) -> bool:
        return any(one.name not in self.summary.stopped for one in self._plan.participants)

    def stop(self) -> None:
        """Start nothing new and let what is in flight be answered and stored; a second call gives that up too."""
        if self.summary.interrupted:
            for task in self._tasks:
                task.cancel()
        self.summary.interrupted = True
        self._halt()

    def _halt(self) -> None:
        self._halted = True
        for sleeper in list(self._sleepers):
            sleeper.cancel()
        for lane in self._lanes:
            for turn, _ in lane.returning:
                turn.cancel()
            lane.wake.set()

    _halted = False

    def _trouble(self, line: str) -> None:
        self._loop.call_soon_threadsafe(self._tell, Notice(line))

    # Choosing what starts next

    async def _dispatch_all(self) -> None:
        dispatchers = [self._loop.create_task(self._dispatch(lane)) for lane in self._lanes]
        for dispatcher in dispatchers:
            dispatcher.add_done_callback(self._ended)
        await asyncio.gather(*dispatchers, return_exceptions=True)
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _dispatch(self, lane: Lane) -> None:
        async with aclosing(self._ledger.pending(lane.participants, self.summary.stopped)) as pending:
            await self._start_calls(lane, pending)
        server = self._endpoints.server_for(lane.participants)
        if server is not None and not self._halted:  # where it is halted, calls may be in flight still
            await server.aclose()

    async def _start_calls(self, lane: Lane, pending: AsyncIterator[Pending]) -> None:
        ahead: Pending | None = None
        exhausted = False
        server = self._endpoints.server_for(lane.participants)
        ready = server is None
        while not self._halted:
            lane.wake.clear()
            while lane.returning and lane.returning[0][0].done():  # cancelled while it waited
                lane.returning.popleft()
            if not lane.returning and ahead is None and not exhausted and lane.resting < lane.in_flight.most:
                ahead = await anext(pending, None)
                exhausted = ahead is None
            if lane.returning:
                trial = lane.returning[0][1]
            elif ahead is not None:
                trial = ahead.trial
                if trial.participant.name in self.summary.stopped:
                    ahead = None
                    continue
                if server is not None and not ready and not (ready := await self._has_started(lane, server)):
                    continue
            elif exhausted and lane.active == 0:
                lane.give_back()
                return
            else:
                lane.give_back()
                await lane.wake.wait()
                continue
            worst = self._worst(trial)
            if not await self._may_start(lane, worst):
                continue
            self.budget.reserve(worst)
            lane.take(self._loop.time(), tokens_in(trial.prompt) + lane.tokens_out)
            if lane.returning:
                lane.returning.popleft()[0].set_result(None)
            elif ahead is not None:
                self._begin(lane, *ahead)
                ahead = None

    async def _has_started(self, lane: Lane, server: Provider) -> bool:
        """Wait, without a slot, until the lane's own server runs; False where it does not start, or the run halts."""
        self._tell(Notice(f"{lane.participants[0].model}: starting a server for it, as soon as there is room"))
        begun = self._loop.time()
        starting = asyncio.ensure_future(server.ready())
        self._sleepers.add(starting)
        try:
            await starting
        except ProviderError as error:
            for participant in lane.participants:
                self._verdicts.stop(participant, str(error))
            return False
        except asyncio.CancelledError:
            if not self._halted:
                raise
            return False
        finally:
            self._sleepers.discard(starting)
        self._tell(Notice(f"{lane.participants[0].model}: served after {self._loop.time() - begun:.0f} s"))
        return True

    def _worst(self, trial: Trial) -> float:
        return 0.0 if self.budget.limit is None else worst_cost(trial.participant, trial.prompt)

    async def _may_start(self, lane: Lane, worst: float) -> bool:
        """Whether a call may start this moment; if not, returns when that may have changed."""
        if lane.in_flight.full:
            lane.give_back()
            await lane.wake.wait()
            return False
        if (delay := lane.delay(self._loop.time())) > 0:
            lane.give_back()
            timer = self._loop.call_later(delay, lane.wake.set)
            await lane.wake.wait()
            timer.cancel()
            return False
        if not lane.caps.admits(lane):
            await lane.wake.wait()
            return False
        if not self.budget.allows(worst):
            if self.in_flight == 0:  # nothing is set aside that could come free
                self._error = BudgetReachedError("the budget leaves no room for the worst case of another call")
                self._halt()
                return False
            lane.give_back()
            self._waiting_for_money.append(lane)
            await lane.wake.wait()
            return False
        return True

    def _release(self, lane: Lane) -> None:
        lane.release()
        while self._waiting_for_money:
            self._waiting_for_money.pop().wake.set()

    def _begin(self, lane: Lane, trial: Trial, before: Outcome) -> None:
        lane.active += 1
        self.summary.begun += 1
        task = self._loop.create_task(self._trial(lane, trial, before))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and self._error is None:
            self._error = error
            self._halt()

    # One trial

    async def _trial(self, lane: Lane, trial: Trial, before: Outcome) -> None:
        """Ask until there is a valid answer, or none is to be had. Holds a slot when it begins."""
        n, rejected = before.attempts + 1, before.rejected
        try:
            while await self._attempt(lane, trial, n, last=rejected >= self._plan.reasks):
                n += 1
                rejected += 1
                lane.resting += 1
                try:
                    await self._permit(lane, trial)
                finally:
                    lane.resting -= 1
        finally:
            lane.active -= 1
            lane.wake.set()

    async def _attempt(self, lane: Lane, trial: Trial, n: int, *, last: bool) -> bool:
        """Make one call and store what came of it; True where the trial is to be asked again."""
        participant = trial.participant
        request = Request(participant, trial.prompt, trial.seed(n))
        try:
            response, latency = await self._call(lane, trial, request)
        except ProviderError as error:
            self._verdicts.of_failure(participant, error)
            self.summary.failed += 1
            await self._store(trial, failed_row(trial, n, request, self._bodies.request(participant), error))
            self._tell(Stored(participant, "failed", error.kind, None, again=False))
            return False
        worst = self._worst(trial)
        cost = cost_of(participant, response.usage)
        try:
            lane.answered(response.headers, latency, response.usage.tokens_out)
            status, reason = self._verdicts.of_answer(participant, response)
            body = self._bodies.request(participant)
            attempt = answered_row(trial, n, request, body, response, status, reason, latency)
            await self._store(trial, attempt)
        finally:
            self.budget.settle(worst, worst if cost is None else cost)
            self._release(lane)
        again = status == "rejected" and not last
        self._tell(Stored(participant, status, reason, cost, again))
        return again

    async def _call(self, lane: Lane, trial: Trial, request: Request) -> tuple[Response, float]:
        """Call, and call again where the failure may pass. Holds a slot when it begins and when it returns.

        The seconds are those of the call that was answered.
        """
        try:
            return await self._once(lane, trial, request)
        except ProviderError as error:
            if not may_pass(error):
                raise
            first: ProviderError | None = error

        async def pause(error: ProviderError, seconds: float) -> None:
            self._tell(Retrying(trial.participant, str(error), seconds))
            await self._sleep(seconds)

        lane.resting += 1
        try:
            async for attempt in retrying(self._settings.retry, pause):
                with attempt:
                    if first is not None:
                        failed, first = first, None
                        raise failed
                    await self._permit(lane, trial)
                    return await self._once(lane, trial, request)
        finally:
            lane.resting -= 1
        raise AssertionError("the schedule ends by returning or raising")

    async def _once(self, lane: Lane, trial: Trial, request: Request) -> tuple[Response, float]:
        """One call, and its seconds; gives its slot back where it fails."""
        participant = trial.participant
        provider = self._endpoints[participant]
        try:
            if provider.serves:  # it may have died and be starting again
                await provider.ready()
            started = self._loop.time()
            lane.sent(started)
            response = await provider.generate(request, timeout=participant.timeout_s)
            return response, self._loop.time() - started
        except BaseException as raised:
            error = within_reason(raised, self._settings.retry) if isinstance(raised, ProviderError) else raised
            worst = self._worst(trial)
            lost = not isinstance(error, ProviderError) or error.billable
            if lost:
                self.budget.lose(worst)
            else:
                self.budget.settle(worst, 0.0)
            if isinstance(error, ProviderError):
                now = self._loop.time()
                if error.kind == "rate_limited":
                    lane.overloaded(now, error.retry_after)
                elif error.kind == "retryable":
                    lane.faltered(now)
            self._release(lane)
            raise error from None

    async def _permit(self, lane: Lane, trial: Trial) -> None:
        """Wait, without a slot, until the lane lets this trial be sent again; then hold one."""
        if self._halted:
            raise asyncio.CancelledError
        turn: asyncio.Future[None] = self._loop.create_future()
        lane.returning.append((turn, trial))
        lane.wake.set()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given a slot in the same moment
                self.budget.settle(self._worst(trial), 0.0)
                self._release(lane)
            raise

    async def _sleep(self, seconds: float) -> None:
        """Sleep, unless the run is halted."""
        if self._halted:
            raise asyncio.CancelledError
        asleep = self._loop.create_task(asyncio.sleep(seconds))
        self._sleepers.add(asleep)
        try:
            await asleep
        finally:
            self._sleepers.discard(asleep)

    async def _store(self, trial: Trial, attempt: Attempt) -> None:
        """Store one attempt; returns once it is on disk."""
        await self._ledger.put(attempt, self._bodies.of(trial))
        self.summary.stored += 1


async def run_plan(plan: Plan, run: Run, environ: Mapping[str, str], settings: Settings | None = None) -> Summary:
    """Ask everything of a plan that the run does not hold yet, and store the answers."""
    settings = settings or Settings()
    return await Engine(plan, RunLedger(plan, run, settings.limit), environ, settings).run()
