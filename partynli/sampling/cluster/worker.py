"""A worker: an ordinary engine whose ledger asks the driver. It needs no file of the run and none of the items.

Ray makes an actor of `Worker`; nothing here knows Ray.
"""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from itertools import count

from partynli import __version__
from partynli.errors import InputError, PartyNLIError
from partynli.prompts import Renderer
from partynli.records import Participant, Trial
from partynli.sampling.cluster.mail import Answer, Brief, Chunk, Ended, Letter, Put, Question, Wanted
from partynli.sampling.engine import Engine
from partynli.sampling.events import Event, Stopped
from partynli.sampling.ledger import Bodies, Pending
from partynli.sampling.plan import Plan
from partynli.sampling.preflight import missing
from partynli.sampling.settings import Settings, Summary
from partynli.store import Attempt


class Outbox:
    """The ledger of an engine that is not where the run is: gathers questions and events until they are fetched."""

    def __init__(self, brief: Brief) -> None:
        self.served = brief.served
        self.spent = brief.spent
        self._participants = {one.id: one for one in brief.participants}
        self._renderer = Renderer(brief.task)
        self._numbers = count()
        self._open: dict[int, asyncio.Future[Answer]] = {}
        self._questions: list[tuple[int, Question]] = []
        self._events: list[Event] = []
        self._filled = asyncio.Event()

    async def aopen(self, on_trouble: Callable[[str], None]) -> None:
        """Nothing to get ready: the writer is the driver's, and so is its trouble."""

    async def pending(
        self, participants: Sequence[Participant], stopped: Mapping[str, str]
    ) -> AsyncGenerator[Pending, None]:
        """The trials of one lane, asked for one chunk ahead; the driver knows who is stopped."""
        lane = participants[0].lane
        coming = self._ask(Wanted(lane))
        more = True
        while more:
            chunk = await coming
            assert isinstance(chunk, Chunk)
            if more := chunk.more:
                coming = self._ask(Wanted(lane))
            for given in chunk.trials:
                participant, prompt = self._participants[given.participant], self._renderer.render(given.item)
                yield Pending(Trial.make(participant, given.item, prompt, given.number), given.before)

    async def next_round(self) -> bool:
        """Nothing: a cluster has all trials in one round."""
        return False

    async def put(self, attempt: Attempt, bodies: Bodies) -> None:
        """Have an attempt stored. A prompt travels as its hash alone, for the driver has it."""
        await self._ask(Put(attempt, tuple((name, "" if name == attempt.prompt else text) for name, text in bodies)))

    async def aclose(self) -> None:
        """What is left is fetched with the last letter."""
        self.wake()

    def tell(self, event: Event) -> None:
        """Pass an event on."""
        self._events.append(event)
        self._filled.set()

    def wake(self) -> None:
        """Let a letter go out, even an empty one."""
        self._filled.set()

    def settle(self, answers: Iterable[tuple[int, Answer]]) -> None:
        """Take the driver's answers in."""
        for number, answer in answers:
            if not (asked := self._open.pop(number)).done():  # given up by the engine, when it was stopped twice
                asked.set_result(answer)

    async def fetch(self) -> tuple[tuple[tuple[int, Question], ...], tuple[Event, ...]]:
        """Wait until there is something to say, and take it out."""
        await self._filled.wait()
        self._filled.clear()
        said = tuple(self._questions), tuple(self._events)
        self._questions.clear()
        self._events.clear()
        return said

    def _ask(self, question: Question) -> asyncio.Future[Answer]:
        asked: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        number = next(self._numbers)
        self._open[number] = asked
        self._questions.append((number, question))
        self._filled.set()
        return asked


class Worker:
    """Runs an engine on some lanes of a plan; its keys come from its own environment.

    Parameters
    ----------
    brief
        Whom to ask, and how.
    """

    def __init__(self, brief: Brief) -> None:
        self._brief = brief
        self._outbox = Outbox(brief)
        plan = Plan(
            task=brief.task,
            participants=brief.participants,
            trials={},
            items=(),
            n_items=0,
            groups={},
            item_source="",
            reasks=brief.reasks,
        )
        self._lacking = missing(brief.participants, os.environ)
        settings = Settings(
            caps=brief.caps,
            max_cost=brief.max_cost,
            allow_drift=brief.allow_drift,
            skip=self._lacking,
            retry=brief.retry,
            on_event=self._outbox.tell,
        )
        self._engine = Engine(plan, self._outbox, os.environ, settings)
        self._work: asyncio.Task[Summary] | None = None

    async def exchange(self, answers: Sequence[tuple[int, Answer]]) -> Letter:
        """Take answers in, and return what there is to say as soon as there is something.

        The first call begins the work; after the letter that tells its end there is no other.
        """
        if self._work is None:
            self._work = asyncio.create_task(self._run())
            self._work.add_done_callback(lambda _: self._outbox.wake())
        self._outbox.settle(answers)
        questions, events = await self._outbox.fetch()
        ended = self._ended(self._work) if self._work.done() else None
        return Letter(questions, events, self._engine.in_flight, self._engine.budget.lost, ended)

    async def stop(self) -> None:
        """Start nothing new and let what is in flight be answered and stored; a second call gives that up too."""
        self._engine.stop()

    async def _run(self) -> Summary:
        if self._brief.version != __version__:
            raise InputError(
                f"partynli is {__version__} on {platform.node()} and {self._brief.version} where it was started: "
                "install one version on all machines"
            )
        for one in self._brief.participants:
            if one.name in self._lacking:
                self._outbox.tell(Stopped(one, f"{self._lacking[one.name]} (on {platform.node()})"))
        return await self._engine.run()

    def _ended(self, work: asyncio.Task[Summary]) -> Ended:
        error = work.exception()
        if error is not None and not isinstance(error, PartyNLIError):
            raise error
        summary = self._engine.summary
        return Ended(summary.begun, summary.budget_reached, error)
