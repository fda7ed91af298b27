"""Batches against a real server in both protocols: what is bought, what is stored, what goes wrong."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from partynli.derive import derive_judgments
from partynli.errors import InputError
from partynli.records import Batching
from partynli.sampling.batches import BatchRunner, on_batch_terms
from partynli.sampling.events import Notice
from partynli.sampling.retry import RetryPolicy
from partynli.sampling.settings import Settings, Summary
from partynli.store import Run
from partynli.testing import BatchBehaviour, Behaviour, LoopbackServer

POLL = 0.02
BOTH = ("openai", "anthropic")
QUICK = RetryPolicy(attempts=4, base_s=0.01, longest_s=0.02)


class Batches:
    """A study whose participants are asked in batches."""

    def __init__(self, study: Any) -> None:
        self.study = study
        self.runner: BatchRunner | None = None

    def participant(self, server: LoopbackServer, protocol: str = "openai", name: str = "m", **given: Any) -> Any:
        batch = Batching(protocol, **given.pop("batch", {}))  # type: ignore[arg-type]
        if protocol == "openai":
            return self.study.participant(server.url, name, batch=batch, **given)
        params = {"max_tokens": 300, **given.pop("params", {})}
        return self.study.participant(
            server.anthropic_url, name, model=f"anthropic/{name}", route="litellm", params=params, batch=batch, **given
        )

    async def run(self, plan: Any, stop_after: float | None = None, **settings: Any) -> Summary:
        chosen = Settings(**{"poll_s": POLL, "retry": QUICK, "on_event": self.study.events.append, **settings})
        with Run.begin(self.study.path, {"plan": plan.describe()}, plan.participants, plan.items, plan.groups) as run:
            self.runner = BatchRunner(plan, run, {}, chosen)
            if stop_after is not None:
                asyncio.get_running_loop().call_later(stop_after, self.runner.stop)
            summary = await self.runner.run()
            derive_judgments(run, plan.task)
        leftover = [task for task in asyncio.all_tasks() if "partynli/sampling" in str(task.get_coro())]
        assert not leftover, "the runner left tasks behind"
        return summary

    @property
    def stored(self) -> list[Any]:
        with Run.open(self.study.path) as run:
            return run.batches.all()

    @property
    def notices(self) -> str:
        return "\n".join(event.text for event in self.study.events if isinstance(event, Notice))

    def statuses(self) -> Counter[str]:
        return Counter(status for (status,) in self.study.rows("status"))


@pytest.fixture
def batches(study: Any) -> Batches:
    return Batches(study)


@pytest.mark.parametrize("protocol", BOTH)
def test_a_plan_is_answered_in_one_batch(protocol: str, batches: Batches, go: Callable[..., Any]) -> None:
    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(polls=2)) as server:
            plan = batches.study.plan([batches.participant(server, protocol)])
            summary = await batches.run(plan)
            assert server.books.total.answered == 12
            assert [one["requests"] for one in server.books.batches.values()] == [12]
            assert not summary.stopped
            assert summary.failed == 0
            again = await batches.run(plan)  # nothing is left
            assert (again.stored, server.books.total.answered) == (0, 12)

    go(work())
    assert batches.statuses() == {"valid": 12}
    assert {one.state for one in batches.stored} == {"collected"}
    with Run.open(batches.study.path) as run:
        (counts,) = run.label_counts().values()
    assert sum(counts.values()) == 12
    assert "error" not in counts


@pytest.mark.parametrize("protocol", BOTH)
def test_answers_are_those_of_single_calls(protocol: str, batches: Batches, go: Callable[..., Any]) -> None:
    """The same server says the same to the same prompts, so stored answers must read the same."""

    async def work() -> None:
        async with LoopbackServer() as server:
            plan = batches.study.plan([batches.participant(server, protocol)])
            await batches.run(plan)

    go(work())
    rows = batches.study.rows("response, served_model, finish_reason, tokens_in, tokens_out, cost, latency_s")
    for response, served, finish, tokens_in, tokens_out, cost, latency in rows:
        body = json.loads(response)
        assert served == body["model"] == "m"
        assert finish == "stop"
        assert json.loads(body["choices"][0]["message"]["content"])["classification"]["label"]
        assert cost == pytest.approx(0.5 * (tokens_in * 1.0 + tokens_out * 2.0) / 1e6)  # half the price
        assert latency is None
        if protocol == "anthropic":
            assert body["anthropic"]["content"][0]["type"] == "text"


def test_variants_of_a_model_share_batches_and_models_do_not(batches: Batches, go: Callable[..., Any]) -> None:
    async def work() -> None:
        async with LoopbackServer() as server:
            warm = batches.participant(server, name="a", model="m", params={"temperature": 1.0})
            cool = batches.participant(server, name="b", model="m", params={"temperature": 0.1})
            other = batches.participant(server, name="c")
            await batches.run(batches.study.plan([warm, cool, other]))
            assert sorted(one["requests"] for one in server.books.batches.values()) == [12, 24]

    go(work())
    assert batches.statuses() == {"valid": 36}


def test_the_account_s_own_limit_cuts_batches(batches: Batches, go: Callable[..., Any]) -> None:
    async def work() -> None:
        async with LoopbackServer() as server:
            await batches.run(batches.study.plan([batches.participant(server, batch={"max_requests": 5})]))
            assert [one["requests"] for one in server.books.batches.values()] == [5, 5, 2]

    go(work())


def test_bytes_cut_batches(batches: Batches, go: Callable[..., Any]) -> None:
    async def work() -> None:
        async with LoopbackServer() as server:
            plan = batches.study.plan([batches.participant(server)])
            with Run.begin(batches.study.path, {"plan": plan.describe()}, plan.participants, plan.items, {}) as run:
                runner = BatchRunner(plan, run, {}, Settings(poll_s=POLL))
                (api,) = runner._apis.values()
                api.max_bytes = 10_000  # about four prompts
                await runner.run()
            sizes = [one["requests"] for one in server.books.batches.values()]
            assert sum(sizes) == 12
            assert len(sizes) > 2

    go(work())


def test_what_cannot_be_read_is_asked_again_in_a_following_batch(batches: Batches, go: Callable[..., Any]) -> None:
    async def work() -> None:
        async with LoopbackServer({"m": Behaviour(script=("malformed", "fenced", "refusal"))}) as server:
            await batches.run(batches.study.plan([batches.participant(server)]))
            assert [one["requests"] for one in server.books.batches.values()] == [12, 2]

    go(work())
    assert batches.statuses() == {"valid": 12, "rejected": 2}


def test_re_asks_end(batches: Batches, go: Callable[..., Any]) -> None:
    async def work() -> None:
        async with LoopbackServer(default=Behaviour(fault_share=1.0, faults=("malformed",))) as server:
            summary = await batches.run(batches.study.plan([batches.participant(server)], reasks=1))
            assert [one["requests"] for one in server.books.batches.values()] == [12, 12]
            assert summary.failed == 0

    go(work())
    assert batches.statuses() == {"rejected": 24}


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize("fault", ["expired", "cancelled", "errored"])
def test_what_was_answered_is_kept_and_only_the_rest_is_sent_again(
    fault: Any, protocol: str, batches: Batches, go: Callable[..., Any]
) -> None:
    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(script=(fault,), share=0.25)) as server:
            summary = await batches.run(batches.study.plan([batches.participant(server, protocol)]))
            assert [one["requests"] for one in server.books.batches.values()] == [12, 3]
            assert server.books.total.answered == 12
            assert summary.failed == 0

    go(work())
    assert batches.statuses()["valid"] == 12
    assert batches.statuses()["failed"] == (3 if fault == "errored" else 0)


def test_what_always_expires_is_given_up(batches: Batches, go: Callable[..., Any]) -> None:
    async def work() -> None:
        script = ("expired",) * 9
        async with LoopbackServer(batches=BatchBehaviour(script=script, share=1.0)) as server:
            summary = await batches.run(batches.study.plan([batches.participant(server)]))
            assert len(server.books.batches) == 3
            assert summary.failed == 12
            assert server.books.total.answered == 0

    go(work())
    assert batches.statuses() == {}  # it was never run, and the next session may try again


@pytest.mark.parametrize("protocol", BOTH)
def test_a_batch_that_is_refused_stops_its_participants(
    protocol: str, batches: Batches, go: Callable[..., Any]
) -> None:
    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(script=("refused",))) as server:
            summary = await batches.run(batches.study.plan([batches.participant(server, protocol)]))
            assert list(summary.stopped) == ["m"]
            assert len(server.books.batches) == (1 if protocol == "openai" else 0)

    go(work())
    assert {one.state for one in batches.stored} == {"dropped"}


def test_a_full_queue_makes_batches_smaller_and_one_after_the_other(batches: Batches, go: Callable[..., Any]) -> None:
    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(script=("queue_full", "queue_full"))) as server:
            summary = await batches.run(batches.study.plan([batches.participant(server)]))
            assert [one["requests"] for one in server.books.batches.values()] == [12, 6, 3, 3, 3, 3]
            assert not summary.stopped

    go(work())
    assert batches.statuses() == {"valid": 12}


def test_a_batch_too_large_for_the_server_is_halved(batches: Batches, go: Callable[..., Any]) -> None:
    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(script=("too_large",))) as server:
            await batches.run(batches.study.plan([batches.participant(server, "anthropic")]))
            assert [one["requests"] for one in server.books.batches.values()] == [6, 6]

    go(work())


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize("fault", ["server_error", "rate_limited", "cut_before"])
def test_a_batch_that_did_not_arrive_is_sent_again(
    fault: Any, protocol: str, batches: Batches, go: Callable[..., Any]
) -> None:
    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(script=(fault,))) as server:
            await batches.run(batches.study.plan([batches.participant(server, protocol)]))
            assert server.books.total.answered == 12

    go(work())
    assert batches.statuses() == {"valid": 12}


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize("fault", ["taken_and_cut", "taken_and_500"])
@pytest.mark.parametrize("polls", [0, 3])
def test_a_batch_that_arrived_unheard_is_found_and_not_bought_twice(
    polls: int, fault: Any, protocol: str, batches: Batches, go: Callable[..., Any]
) -> None:
    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(script=(fault,), polls=polls, page=1)) as server:
            plan = batches.study.plan([batches.participant(server, protocol)])
            if polls:  # others' batches, which must be left alone
                other = batches.study.plan([batches.participant(server, protocol, name="x")], trials=1)
                server.set_batches(BatchBehaviour(page=1))
                path, batches.study.path = batches.study.path, batches.study.path.with_name("other")
                await batches.run(other)
                batches.study.path = path
                server.set_batches(BatchBehaviour(script=(fault,), polls=polls, page=1))
            before = server.books.total.answered
            await batches.run(plan)
            assert server.books.total.answered - before == 12

    go(work())
    assert batches.statuses() == {"valid": 12}


@pytest.mark.parametrize("protocol", BOTH)
def test_garbage_among_the_results(protocol: str, batches: Batches, go: Callable[..., Any]) -> None:
    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(script=("garbage",))) as server:
            summary = await batches.run(batches.study.plan([batches.participant(server, protocol)]))
            assert [one["requests"] for one in server.books.batches.values()] == [12, 1]  # the broken line
            assert summary.failed == 0

    go(work())
    assert batches.statuses() == {"valid": 12}
    assert "1 of 12 requests have no result that can be read" in batches.notices
    assert "2 results that were not asked for, or doubled" in batches.notices


@pytest.mark.parametrize("protocol", BOTH)
def test_results_that_break_off_are_fetched_again(protocol: str, batches: Batches, go: Callable[..., Any]) -> None:
    async def work() -> None:
        model = Behaviour(fault_share=0.3, faults=("malformed",), seed=3)
        async with LoopbackServer(default=model, batches=BatchBehaviour(script=("results_cut",))) as server:
            plan = batches.study.plan([batches.participant(server, protocol)], items=300, reasks=20)
            summary = await batches.run(plan, max_cost=5.0)
            assert server.books.total.answered == len(batches.study.rows())
            assert (summary.stopped, summary.failed, summary.budget_reached) == ({}, 0, False)
            assert batches.runner is not None
            spent = sum(cost for (cost,) in batches.study.rows("cost"))
            assert batches.runner.budget.spent == pytest.approx(spent)
            assert batches.runner.budget.reserved == pytest.approx(0)

    go(work())
    assert batches.statuses()["valid"] == 600


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize("fault", ["lost", "results_gone"])
def test_a_batch_that_is_gone_is_said_and_not_bought_again(
    fault: Any, protocol: str, batches: Batches, go: Callable[..., Any]
) -> None:
    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(script=(fault,))) as server:
            plan = batches.study.plan([batches.participant(server, protocol)])
            for _ in range(2):
                summary = await batches.run(plan)
                assert summary.failed == 12
            assert len(server.books.batches) == 1

    go(work())
    assert "the provider does not know it" in batches.notices
    (batch,) = batches.stored
    assert batch.state == "lost"
    assert batch.note


def test_what_a_lost_batch_holds_is_not_asked_again_beside_others(batches: Batches, go: Callable[..., Any]) -> None:
    async def work() -> None:
        model = Behaviour(script=(None,) * 7 + ("malformed",) * 2)
        async with LoopbackServer({"m": model}, batches=BatchBehaviour(script=("lost",))) as server:
            plan = batches.study.plan([batches.participant(server, batch={"max_requests": 6})])
            await batches.run(plan)
            assert [one["requests"] for one in server.books.batches.values()] == [6, 6, 2]
            await batches.run(plan)
            assert len(server.books.batches) == 3
            with Run.sampling(batches.study.path) as run:
                assert run.batches.forget_lost() == 1
            await batches.run(plan)
            assert [one["requests"] for one in server.books.batches.values()] == [6, 6, 2, 6]

    go(work())
    assert batches.statuses() == {"valid": 12, "rejected": 2}


def test_a_batch_that_was_collected_half_way_is_collected_once(batches: Batches, go: Callable[..., Any]) -> None:
    """As after a crash between two of its answers: the batch is not collected, some of its attempts are stored."""

    async def work() -> None:
        async with LoopbackServer(default=Behaviour(script=("malformed",) * 5)) as server:
            plan = batches.study.plan([batches.participant(server)])
            await batches.run(plan)
            assert [one["requests"] for one in server.books.batches.values()] == [12, 5]
            first = batches.study.rows("trial_key, n, status, response", "n = 1")
            db = sqlite3.connect(batches.study.path / "run.sqlite")
            db.execute("DELETE FROM attempt WHERE n > 1 OR (id > 4 AND status = 'valid')")
            db.execute("DELETE FROM batch WHERE n = 5")
            db.execute("UPDATE batch SET state = 'ended'")
            db.commit()
            db.close()
            await batches.run(plan)
            assert sorted(batches.study.rows("trial_key, n, status, response", "n = 1")) == sorted(first)
            assert [one["requests"] for one in server.books.batches.values()] == [12, 5, 5]

    go(work())
    assert batches.statuses() == {"valid": 12, "rejected": 5}


def test_a_participant_that_moved_to_another_address_is_not_asked_twice(
    batches: Batches, go: Callable[..., Any]
) -> None:
    """Two variants shared a batch; then the registry gives one of them an address of its own."""

    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(polls=1000)) as server:
            one = batches.participant(server, name="a", model="m", params={"temperature": 1.0})
            two = batches.participant(server, name="b", model="m", params={"temperature": 0.1})
            await batches.run(batches.study.plan([one, two]), stop_after=0.2)
            assert [one.state for one in batches.stored] == ["submitted"]
            server.set_batches(BatchBehaviour())
            moved = replace(two, api_base=server.url + "/")
            await batches.run(batches.study.plan([one, moved]))
            assert server.books.total.answered == 24

    go(work())
    assert batches.statuses() == {"valid": 24}


def test_a_stop_leaves_the_batch_and_the_next_session_collects_it(batches: Batches, go: Callable[..., Any]) -> None:
    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(polls=1000)) as server:
            plan = batches.study.plan([batches.participant(server)])
            summary = await batches.run(plan, stop_after=0.2)
            assert summary.interrupted
            assert batches.statuses() == {}
            assert [one.state for one in batches.stored] == ["submitted"]
            server.set_batches(BatchBehaviour())
            await batches.run(plan)
            assert len(server.books.batches) == 1

    go(work())
    assert batches.statuses() == {"valid": 12}


def test_the_budget_holds_the_worst_case_of_every_open_batch(batches: Batches, go: Callable[..., Any]) -> None:
    async def work() -> None:
        async with LoopbackServer() as server:
            one = batches.participant(server, max_output_tokens=400)
            plan = batches.study.plan([one], items=30)
            summary = await batches.run(plan, max_cost=0.01)
            assert summary.budget_reached
            assert 0 < server.books.total.answered < 60
            assert len(server.books.batches) > 1  # the first one's real cost left room for another
            spent = sum(cost for (cost,) in batches.study.rows("cost"))
            assert spent <= 0.01
            assert batches.runner is not None
            assert batches.runner.budget.spent == pytest.approx(spent)
            summary = await batches.run(plan, max_cost=1.0)
            assert not summary.budget_reached
            assert server.books.total.answered == 60

    go(work())
    assert batches.statuses() == {"valid": 60}


def test_a_session_knows_what_the_open_batches_of_the_last_may_cost(batches: Batches, go: Callable[..., Any]) -> None:
    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(polls=10_000)) as server:
            plan = batches.study.plan([batches.participant(server, max_output_tokens=400)], items=30)
            await batches.run(plan, limit=20, stop_after=0.2)
            (batch,) = batches.stored
            assert batch.n == 20
            await batches.run(plan, max_cost=1.075 * batch.worst, stop_after=0.2)
            assert sum(one["requests"] for one in server.books.batches.values()) == 21

    go(work())


def test_a_limit_begins_so_many_trials(batches: Batches, go: Callable[..., Any]) -> None:
    async def work() -> None:
        async with LoopbackServer(default=Behaviour(script=("malformed",))) as server:
            plan = batches.study.plan([batches.participant(server)])
            summary = await batches.run(plan, limit=5)
            assert (summary.begun, server.books.total.answered) == (5, 6)
            await batches.run(plan)
            assert server.books.total.answered == 13

    go(work())


def test_another_model_s_answers_are_kept_apart(batches: Batches, go: Callable[..., Any]) -> None:
    async def work() -> None:
        script = (None,) * 6 + ("drift",) * 3
        async with LoopbackServer({"m": Behaviour(script=script)}) as server:
            plan = batches.study.plan([batches.participant(server)])
            summary = await batches.run(plan)
            assert "m-drifted" in summary.stopped["m"]

    go(work())
    assert batches.statuses() == {"valid": 9, "drift": 3}


def test_requests_that_are_refused_stop_a_participant(batches: Batches, go: Callable[..., Any]) -> None:
    async def work() -> None:
        async with LoopbackServer({"m": Behaviour(refuse_parameters=("max_tokens", "temperature"))}) as server:
            bad = batches.participant(server, params={"temperature": 0.3})
            good = batches.participant(server, "anthropic", name="a")
            summary = await batches.run(batches.study.plan([bad, good]))
            assert list(summary.stopped) == ["m"]
            assert "temperature" in summary.stopped["m"]

    go(work())
    assert batches.statuses() == {"valid": 12, "failed": 12}


def test_a_wrong_key_stops_and_is_in_no_file(study: Any, batches: Batches, go: Callable[..., Any]) -> None:
    key = "sk-canary-batch"

    async def work() -> None:
        async with LoopbackServer(api_key="another") as server:
            one = batches.participant(server, api_key_env="K")
            plan = study.plan([one])
            with Run.begin(study.path, {"plan": plan.describe()}, plan.participants, plan.items, plan.groups) as run:
                summary = await BatchRunner(plan, run, {"K": key}, Settings(poll_s=POLL)).run()
                assert "401" in summary.stopped["m"]

    go(work())
    assert all(key.encode() not in file.read_bytes() for file in study.path.iterdir())


def test_nothing_answers_at_the_address(batches: Batches, go: Callable[..., Any]) -> None:
    async def work() -> None:
        async with LoopbackServer() as server:
            plan = batches.study.plan([batches.participant(server)])
        await batches.run(plan)

    with pytest.raises(InputError, match="nothing was sent"):
        go(work())


def test_who_has_no_batch_api_keeps_price_and_limits(batches: Batches) -> None:
    one = batches.study.participant("http://127.0.0.1:1/v1", rpm=3)
    plan = batches.study.plan([one])
    assert on_batch_terms(plan) == plan
