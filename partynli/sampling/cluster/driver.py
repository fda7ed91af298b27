"""The driver: holds the run, hands out its trials, stores what comes back, and replaces workers that are lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import NodeDiedError, ObjectLostError, OutOfMemoryError, RayActorError, RayError, WorkerCrashedError

from partynli import __version__
from partynli.errors import RunError
from partynli.records import Participant
from partynli.sampling.cluster.desk import Desk
from partynli.sampling.cluster.mail import Answer, Brief, Chunk, Ended, LaneKey, Letter, Put, Question, Served, Wanted
from partynli.sampling.cluster.membership import Membership
from partynli.sampling.cluster.placement import Placement, Resources, place
from partynli.sampling.cluster.worker import Worker
from partynli.sampling.events import Event, Notice, Stopped
from partynli.sampling.lane import most_in_flight
from partynli.sampling.ledger import RunLedger
from partynli.sampling.plan import Plan
from partynli.sampling.settings import ProviderCaps, Settings, Summary
from partynli.store import Run

_RESTARTS = 3
"""How often a worker that was lost is started again."""
_LOST = (RayActorError, OutOfMemoryError, NodeDiedError, ObjectLostError, WorkerCrashedError)
"""What Ray says where a worker is gone, or its last letter is."""
_LEAVE_S = 10.0
"""How long workers that are told to leave their calls may take for a last letter."""


@dataclass
class _Post:
    """A worker's place, whoever fills it."""

    placement: Placement
    desks: dict[LaneKey, Desk]
    worker: Any = None
    has_written: bool = False
    in_flight: int = 0
    lost: float = 0.0
    """Dollars that its worker counts for calls that brought no answer."""
    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once its providers answered, or it is given up."""

    @property
    def name(self) -> str:
        return self.placement.name


class Driver:
    """Runs one plan on a Ray cluster, in the manners of `partynli.sampling.engine.Engine`.

    Parameters
    ----------
    plan
        What to ask.
    run
        Where to store it, open for sampling; no other process touches it.
    settings
        Limits, budget, and who is told of events.
    address
        The cluster to join (``auto``, ``ray://...``, ``host:port``); None for this machine alone.
    """

    def __init__(self, plan: Plan, run: Run, settings: Settings, address: str | None = None) -> None:
        self._plan = plan
        self._run = run
        self._settings = settings
        self._membership = Membership(address)
        self._tell = settings.on_event
        self._ledger = RunLedger(plan, run, settings.limit)
        self._spent = self._ledger.spent
        self._posts: list[_Post] = []
        self._serving: list[asyncio.Task[None]] = []
        self._halted = False
        self._failure: Exception | None = None
        self.summary = Summary(stopped=dict(settings.skip))

    @property
    def in_flight(self) -> int:
        """Calls sent whose answers are not stored yet, as the workers last said."""
        return sum(post.in_flight for post in self._posts)

    async def run(self) -> Summary:
        """Run the plan to its end, or until it is stopped.

        Raises
        ------
        InputError
            There is no cluster at the address, or nothing answers at a provider's.
        StoreError
            The disk failed. What was acknowledged before is safe.
        """
        loop = asyncio.get_running_loop()

        def trouble(line: str) -> None:
            loop.call_soon_threadsafe(self._tell, Notice(line))

        try:
            resources = await self._membership.join()
            await self._ledger.aopen(trouble)
            try:
                await self._work(resources)
            finally:
                await self._ledger.aclose()
        except asyncio.CancelledError:
            if not self.summary.interrupted:
                raise
        finally:
            self._membership.leave()
        return self.summary

    def stop(self) -> None:
        """Start nothing new and let what is in flight be answered and stored; a second call gives that up too."""
        if self.summary.interrupted:
            for post in self._posts:
                if post.has_written:
                    post.worker.stop.remote()
            asyncio.get_running_loop().call_later(_LEAVE_S, self._leave_workers)
        self.summary.interrupted = True
        self._halt()

    def _leave_workers(self) -> None:
        """Wait no longer for workers that say nothing, frozen or out of reach."""
        for task in self._serving:
            task.cancel()

    def _halt(self) -> None:
        """Have every worker stop once: told a second time, it would leave its calls in flight."""
        if self._halted:
            return
        self._halted = True
        self._membership.give_up_joining()
        for post in self._posts:
            if post.has_written:
                post.worker.stop.remote()
            elif post.worker is not None:  # it may wait for its GPUs, and has nothing to lose
                ray.kill(post.worker)

    async def _work(self, resources: Resources) -> None:
        placements = place(self._plan, self._settings.caps, self._settings.skip, resources)
        self._posts = [_Post(placement, self._desks(placement)) for placement in placements]
        self._serving = [asyncio.create_task(self._serve(post, resources)) for post in self._posts]
        try:
            await asyncio.gather(*self._serving)
        finally:
            self._leave_workers()
            await asyncio.gather(*self._serving, return_exceptions=True)
            for post in self._posts:
                for desk in post.desks.values():
                    await desk.aclose()
        if self._failure is not None:
            raise self._failure

    def _fail(self, error: Exception) -> None:
        """End the run by an error, once the calls in flight, which are paid for, are answered and stored."""
        self._failure = self._failure or error
        self._halt()

    def _desks(self, placement: Placement) -> dict[LaneKey, Desk]:
        lanes: dict[LaneKey, list[Participant]] = {}
        for one in placement.participants:
            lanes.setdefault(one.lane, []).append(one)
        return {lane: self._desk(those) for lane, those in lanes.items()}

    def _desk(self, lane: Sequence[Participant]) -> Desk:
        cap = self._settings.caps.get(lane[0].provider, ProviderCaps())
        pending = self._ledger.pending(lane, self.summary.stopped)
        return Desk(pending, self._plan.reasks, most_in_flight(lane, cap.concurrency))

    # One worker

    async def _serve(self, post: _Post, resources: Resources) -> None:
        """Have the trials of one place worked off, by one worker after the other if need be."""
        try:
            if post.placement.num_gpus > resources.gpus:
                self._give_up(
                    post, f"needs {post.placement.num_gpus:.0f} GPUs on one machine; the largest has {resources.gpus}"
                )
                return None
            served = self._ledger.served
            for restarts in range(1 + _RESTARTS):
                if restarts and not self._halted and not await self._membership.has_machines():
                    raise RunError("Ray has no machine left; what is stored is safe: `partynli resume` goes on with it")
                if self._halted:
                    return None
                try:
                    return await self._converse(post, served)
                except _LOST as error:
                    self._lost(post, _reason(error), restarts)
                    served = self._run.served()
                finally:
                    if post.worker is not None:
                        ray.kill(post.worker)
                    post.worker, post.has_written, post.in_flight, post.lost = None, False, 0, 0.0
        except Exception as error:
            self._fail(error)  # before anyone who waits for this place may begin
        finally:
            post.is_open.set()

    async def _converse(self, post: _Post, served: Served) -> None:
        post.worker = self._hire(post.placement, served)
        answers: list[tuple[int, Answer]] = []
        ended = None
        while ended is None:
            letter: Letter = await post.worker.exchange.remote(answers)
            post.has_written, post.in_flight, post.lost = True, letter.in_flight, letter.lost
            for event in letter.events:
                self._hear(event)
            answers = await self._answer(post, letter.questions)
            ended = letter.ended
        self._ended(ended)

    def _hire(self, placement: Placement, served: Served) -> Any:
        settings = self._settings
        brief = Brief(
            version=__version__,
            task=self._plan.task,
            participants=placement.participants,
            reasks=self._plan.reasks,
            caps=settings.caps,
            max_cost=settings.max_cost,
            allow_drift=settings.allow_drift,
            retry=settings.retry,
            served=served,
            spent=self._spent,
        )
        actor = ray.remote(Worker).options(
            num_cpus=placement.num_cpus, num_gpus=placement.num_gpus, scheduling_strategy="SPREAD"
        )
        return actor.remote(brief)

    async def _answer(self, post: _Post, questions: tuple[tuple[int, Question], ...]) -> list[tuple[int, Answer]]:
        """Store what is to be stored, in one go, then hand out trials."""
        desk_of = {one.id: post.desks[one.lane] for one in post.placement.participants}
        puts = [(number, put) for number, put in questions if isinstance(put, Put)]
        failures = await asyncio.gather(
            *(self._ledger.put(put.attempt, desk_of[put.attempt.participant].bodies(put)) for _, put in puts),
            return_exceptions=True,
        )
        answers: list[tuple[int, Answer]] = []
        for (number, put), failure in zip(puts, failures, strict=True):
            answers.append((number, None))  # also of what is not stored: no call starts any more, the others shall end
            if isinstance(failure, Exception):
                self._fail(failure)
                continue
            self._spent += desk_of[put.attempt.participant].stored(put)
            self.summary.stored += 1
            self.summary.failed += put.attempt.status == "failed"
        for number, wanted in questions:
            if isinstance(wanted, Wanted):
                post.is_open.set()
                await self._all_open()
                answers.append((number, await self._next(post.desks[wanted.lane])))
        return answers

    async def _next(self, desk: Desk) -> Chunk:
        if not self._halted:
            try:
                return await desk.hand_out(self.summary.stopped)
            except Exception as error:  # the items or the run cannot be read any further
                self._fail(error)
        return Chunk((), more=False)

    async def _all_open(self) -> None:
        """Nothing is sent before every address has answered; those that start servers of their own have none yet."""
        for post in self._posts:
            if not post.placement.participants[0].needs_server:
                await post.is_open.wait()

    # What came of it

    def _hear(self, event: Event) -> None:
        if isinstance(event, Stopped):
            self.summary.stopped.setdefault(event.participant.name, event.why)
        self._tell(event)

    def _ended(self, ended: Ended) -> None:
        self.summary.begun += ended.begun
        if ended.error is not None:
            raise ended.error
        if ended.budget_reached:
            self.summary.budget_reached = True
            self._halt()

    def _lost(self, post: _Post, why: str, restarts: int) -> None:
        if self._halted:
            if post.in_flight:
                calls = f"up to {post.in_flight:,} calls in flight may be lost with it"
                self._tell(Notice(f"worker {post.name} was lost ({why}) while it was stopping; {calls}"))
            return
        if restarts == _RESTARTS:
            self._give_up(post, f"its worker was lost {restarts + 1} times, the last time because {why}")
            return
        n_open = sum(desk.n_open for desk in post.desks.values())
        line = f"worker {post.name} was lost ({why}); it is started again, and {n_open:,} trials are planned again"
        if self._settings.max_cost is not None:
            at_risk = sum(desk.at_risk for desk in post.desks.values())
            self._spent += post.lost + at_risk
            line += f"; up to ${at_risk:,.2f} for calls whose answers are lost count as spent"
        for desk in post.desks.values():
            desk.take_back()
        self._tell(Notice(line))

    def _give_up(self, post: _Post, why: str) -> None:
        for one in post.placement.participants:
            if one.name not in self.summary.stopped:
                self._hear(Stopped(one, why))


def _reason(error: RayError) -> str:
    """Why a worker is lost, in a few words."""
    if isinstance(error, OutOfMemoryError):
        return "its machine ran out of memory"
    if not isinstance(error, RayActorError):
        return "its machine is gone"
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if "creation task" in lines[0] else "its process is gone"
