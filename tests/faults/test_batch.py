"""Batches, fault by fault: whatever becomes of one of their calls, each answer is bought once and stored once.

Both protocols are run against the loopback server through a way that spoils one kind of call: the upload of the
requests, the making of the batch, the list in which it is looked for, the look at it, and the download of its results.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from partynli.errors import PartyNLIError
from partynli.records import Batching
from partynli.sampling.batches import BatchRunner
from partynli.sampling.events import Notice
from partynli.sampling.retry import RetryPolicy
from partynli.sampling.settings import Settings, Summary
from partynli.store import Run
from partynli.testing import BatchBehaviour, LoopbackServer

BOTH = ("openai", "anthropic")
ON_THE_WAY = (
    *("hung_up", "no_http", "no_colon", "two_lengths", "huge_header", "odd_status", "too_long_told", "too_short_told"),
    *("chunk_cut", "chunk_garbage", "no_gzip", "gzip_cut", "no_body", "other_json", "utf_16", "latin_1"),
    *("reset_midway", "429_plain", "429_seconds", "429_absurd", "503_seconds", "502_page", "408", "599", "redirect"),
)
IN_FILES = (
    *("empty_object", "error_in_200", "page", "half_the_lines", "doubled", "backwards", "strangers_first"),
    *("strangers_alone", "said_twice", "broken_lines"),
)
GONE = ("not_found", "gone")
OF_A_STEP = {
    "upload": ("empty_object", "error_in_200", "page"),
    "create": ("empty_object", "error_in_200", "page"),
    "list": (*IN_FILES, *GONE, "endless"),
    "look": (*IN_FILES, *GONE, "unknown_status", "uncounted", "failed_midway", "no_answers", "no_files"),
    "results": (*IN_FILES, *GONE),
}
POLL = 0.03
ALL = 12
QUICK = RetryPolicy(attempts=4, total_s=3.0, base_s=0.01, longest_s=0.02)


class Study:
    """Twelve trials in batches, by way of a way."""

    def __init__(self, study: Any, way_to: Any) -> None:
        self.study = study
        self._way_to = way_to

    def participant(self, url: str, protocol: str, name: str = "m", **batch: Any) -> Any:
        asked = Batching(protocol, **batch)  # type: ignore[arg-type]
        if protocol == "openai":
            return self.study.participant(url, name, batch=asked)
        given = {"model": f"anthropic/{name}", "route": "litellm", "params": {"max_tokens": 300}}
        return self.study.participant(url.removesuffix("/v1"), name, batch=asked, **given)

    def way(self, server: LoopbackServer, **faults: tuple[str, int | None]) -> Any:
        way = self._way_to(server.url)
        way.faults = dict(faults)
        return way

    async def run(self, participant: Any, until: Callable[[], object] | None = None, **settings: Any) -> Summary | str:
        """How a session ended, or what it ended with; it is stopped when something holds."""
        plan = self.study.plan([participant])
        chosen = Settings(**{"poll_s": POLL, "retry": QUICK, "on_event": self.study.events.append, **settings})
        with Run.begin(self.study.path, {"plan": plan.describe()}, plan.participants, plan.items, plan.groups) as run:
            runner = BatchRunner(plan, run, {}, chosen)
            session = asyncio.create_task(runner.run())
            while until and not session.done():
                if until():
                    runner.stop()
                    break
                await asyncio.sleep(0.01)
            try:
                return await session
            except PartyNLIError as error:
                return str(error)

    def states(self) -> Counter[str]:
        with Run.open(self.study.path) as run:
            return Counter(batch.state for batch in run.batches.all())

    def write(self, query: str) -> None:
        with closing(sqlite3.connect(self.study.path / "run.sqlite")) as db, db:
            db.execute(query)

    def forget_lost(self) -> int:
        with Run.sampling(self.study.path) as run:
            return run.batches.forget_lost()

    def stored(self) -> Counter[str]:
        rows = self.study.rows("trial_key, status")
        assert len({key for key, status in rows if status == "valid"}) == sum(status == "valid" for _, status in rows)
        return Counter(status for _, status in rows)

    @property
    def notices(self) -> str:
        return "\n".join(event.text for event in self.study.events if isinstance(event, Notice))


@pytest.fixture
def batches(study: Any, way_to: Any) -> Study:
    return Study(study, way_to)


def cells() -> list[Any]:
    found = []
    for step in OF_A_STEP:
        for fault in (*ON_THE_WAY, *OF_A_STEP[step]):
            for protocol in BOTH if step != "upload" else BOTH[:1]:
                marks = () if (step, fault) in FIRST else pytest.mark.slow
                found.append(pytest.param(step, fault, protocol, marks=marks, id=f"{step}-{fault}-{protocol}"))
    return found


FIRST = {("create", "hung_up"), ("list", "empty_object"), ("look", "failed_midway"), ("results", "half_the_lines")}
"""Tried with every commit; the others are slow in their number."""


@pytest.mark.parametrize(("step", "fault", "protocol"), cells())
def test_a_call_that_fails_twice(step: str, fault: str, protocol: str, batches: Study, go: Callable[..., Any]) -> None:
    async def work() -> None:
        script = ("taken_and_500",) if step == "list" else ()  # otherwise nothing need be looked for
        async with LoopbackServer(batches=BatchBehaviour(script=script)) as server:
            way = batches.way(server, **{step: (fault, 6 if step == "list" else 2)})
            asked = batches.participant(way.url, protocol)
            ended = await batches.run(asked)
            for _ in range(8):  # until what stops it is over
                if batches.stored()["valid"] < ALL:
                    ended = await batches.run(asked)
            assert way.done[step]
            assert server.books.total.answered == ALL, ended
            assert batches.stored() == {"valid": ALL}, ended

    go(work())


@pytest.mark.slow
@pytest.mark.parametrize(("step", "fault", "protocol"), [pytest.param(*one.values, id=one.id) for one in cells()])
def test_a_call_that_fails_until_the_next_session(
    step: str, fault: str, protocol: str, batches: Study, go: Callable[..., Any]
) -> None:
    async def work() -> None:
        script = ("taken_and_500",) if step == "list" else ()
        async with LoopbackServer(batches=BatchBehaviour(script=script)) as server:
            way = batches.way(server, **{step: (fault, None)})
            asked = batches.participant(way.url, protocol)
            end = time.monotonic() + 0.5
            await batches.run(asked, until=lambda: time.monotonic() > end)
            way.faults.clear()
            ended = await batches.run(asked)
            assert server.books.total.answered == ALL, ended
            assert batches.stored() == {"valid": ALL}, ended

    go(work())


@pytest.mark.parametrize("protocol", BOTH)
def test_results_that_stay_short_are_not_bought_again_unasked(
    protocol: str, batches: Study, go: Callable[..., Any]
) -> None:
    async def work() -> None:
        async with LoopbackServer() as server:
            way = batches.way(server, results=("half_the_lines", None))
            asked = batches.participant(way.url, protocol)
            for _ in range(2):
                ended = await batches.run(asked)
                assert isinstance(ended, Summary)
                assert (ended.failed, ended.stopped) == (ALL, {})
                assert batches.stored() == {"valid": ALL // 2}  # what came is kept
                assert batches.states() == {"lost": 1}
            assert "its results hold 6 of 12" in batches.notices
            assert server.books.total.answered == ALL
            assert batches.forget_lost() == 1
            way.faults.clear()
            await batches.run(asked)
            assert server.books.total.answered == ALL + ALL // 2  # as the person has said
            assert batches.stored() == {"valid": ALL}

    go(work())


@pytest.mark.parametrize("protocol", BOTH)
def test_what_a_short_download_repeats_is_no_further_try(protocol: str, batches: Study, go: Callable[..., Any]) -> None:
    """Requests that were not run are counted once a batch, however often its results are fetched."""

    async def work() -> None:
        script = ("expired", "expired", None)
        async with LoopbackServer(batches=BatchBehaviour(script=script, share=0.5)) as server:
            way = batches.way(server, results=("reset_midway", 3))
            ended = await batches.run(batches.participant(way.url, protocol))
            assert isinstance(ended, Summary)
            assert ended.failed == 0
            assert server.books.total.answered == ALL

    go(work())
    assert batches.stored() == {"valid": ALL}


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize("fault", ["expired", "cancelled", "errored"])
def test_answers_that_are_missing_beside_requests_that_were_not_run(
    fault: Any, protocol: str, batches: Study, go: Callable[..., Any]
) -> None:
    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(script=(fault,), share=0.75)) as server:
            way = batches.way(server, results=("half_the_lines", 1))  # at OpenAI of the file with the answers
            await batches.run(batches.participant(way.url, protocol))
            assert server.books.total.answered == ALL

    go(work())
    assert batches.stored()["valid"] == ALL


def test_a_batch_that_expires_before_it_is_begun_is_sent_again(batches: Study, go: Callable[..., Any]) -> None:
    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(script=("expired",), share=1.0)) as server:
            way = batches.way(server, look=("never_begun", 1))
            ended = await batches.run(batches.participant(way.url, "openai"))
            assert isinstance(ended, Summary)
            assert (ended.failed, server.books.total.answered, batches.states()) == (0, ALL, {"collected": 2})

    go(work())
    assert batches.stored() == {"valid": ALL}


def test_a_server_that_takes_batches_and_never_says_so_is_not_paid_for_ever(
    batches: Study, go: Callable[..., Any]
) -> None:
    async def work() -> None:
        async with LoopbackServer() as server:
            way = batches.way(server, create=("no_body", None), list=("no_batches", None))
            ended = await batches.run(batches.participant(way.url, "openai", max_requests=4))
            assert isinstance(ended, Summary)
            assert "3 batches in a row" in ended.stopped["m"]
            assert len(server.books.batches) == 3

    go(work())


def test_a_batch_found_again_is_no_longer_lost(batches: Study, go: Callable[..., Any]) -> None:
    """`--forget-lost` would otherwise buy anew what is being answered."""

    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(polls=1000)) as server:
            way = batches.way(server, look=("not_found", None))
            asked = batches.participant(way.url, "openai")
            await batches.run(asked)
            assert batches.states() == {"lost": 1}
            way.faults.clear()
            await batches.run(asked, until=lambda: batches.states() == {"submitted": 1})
            assert batches.forget_lost() == 0
            server.set_batches(BatchBehaviour())
            await batches.run(asked)
            assert server.books.total.answered == ALL

    go(work())
    assert batches.stored() == {"valid": ALL}


def test_a_server_that_lists_no_batches_leaves_a_way_out(batches: Study, go: Callable[..., Any]) -> None:
    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(script=("server_error",))) as server:
            way = batches.way(server, list=("not_found", None))
            asked = batches.participant(way.url, "openai")
            await batches.run(asked)
            assert batches.states() == {"lost": 1}
            assert batches.forget_lost() == 1
            await batches.run(asked)
            assert server.books.total.answered == ALL

    go(work())
    assert batches.stored() == {"valid": ALL}


@pytest.mark.parametrize("protocol", BOTH)
def test_a_batch_is_found_by_a_machine_whose_clock_is_hours_ahead(
    protocol: str, batches: Study, go: Callable[..., Any]
) -> None:
    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(script=("taken_and_500",))) as server:
            asked = batches.participant(server.url, protocol)
            await batches.run(asked, until=lambda: server.books.batches)
            assert batches.states() == {"planned": 1}
            batches.write("UPDATE batch SET planned_at = planned_at + 12 * 3600")
            await batches.run(asked)
            assert server.books.total.answered == ALL

    go(work())
    assert batches.stored() == {"valid": ALL}


def test_a_batch_that_was_sent_elsewhere_is_not_sent_again(batches: Study, go: Callable[..., Any]) -> None:
    """It was sent and not heard of; then the registry named another address."""

    async def work() -> None:
        async with (
            LoopbackServer(batches=BatchBehaviour(script=("taken_and_500",))) as server,
            LoopbackServer() as other,
        ):
            asked = batches.participant(server.url, "openai")
            await batches.run(asked, until=lambda: server.books.batches)
            moved = await batches.run(batches.participant(other.url, "openai"))
            assert isinstance(moved, Summary)
            assert moved.failed == ALL
            assert f"127.0.0.1:{server.port}" in batches.notices
            assert other.books.total.answered == 0
            await batches.run(asked)
            assert server.books.total.answered == ALL

    go(work())
    assert batches.stored() == {"valid": ALL}


@pytest.mark.parametrize("is_archived", [True, False])
def test_a_batch_that_may_be_ours_and_cannot_be_looked_into(
    is_archived: bool, batches: Study, go: Callable[..., Any]
) -> None:
    """Anthropic keeps no mark of ours: only results tell, and after a month they are gone."""

    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(script=("taken_and_500",))) as server:
            faults = {"list": ("archived", None)} if is_archived else {"results": ("page", None)}
            way = batches.way(server, **faults)
            asked = batches.participant(way.url, "anthropic")
            await batches.run(asked)
            assert batches.states() == {"lost": 1}
            assert server.books.total.answered == ALL
            way.faults.clear()
            await batches.run(asked)
            assert server.books.total.answered == ALL

    go(work())
    assert batches.stored() == {"valid": ALL}
