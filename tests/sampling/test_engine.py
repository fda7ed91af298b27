"""The engine against a real server: all is asked once, every answer stored once, nothing sent that should not be."""

from __future__ import annotations

import asyncio
import json
import math
import statistics
import time
from typing import Any

import pytest

from partynli.errors import StoreError
from partynli.sampling.events import Retrying, Stopped
from partynli.sampling.retry import RetryPolicy
from partynli.sampling.settings import ProviderCaps
from partynli.store import Run
from partynli.testing import Behaviour, LoopbackServer

QUICK = RetryPolicy(attempts=8, base_s=0.01, longest_s=0.05)
READABLE = ("fenced", "prose", "reasoning", "reasoning_content", "set_order", "no_usage", "slow_body")
UNREADABLE = (
    "empty",
    "malformed",
    "truncated",
    "truncated_reasoning",
    "refusal",
    "refusal_text",
    "unknown_label",
    "schema",
)
PASSING = ("server_error", "overloaded", "cut", "reset", "not_http_json")


def test_every_trial_is_asked_once_and_stored_once(study: Any, go: Any) -> None:
    async def main() -> None:
        async with LoopbackServer() as server:
            plan = study.plan([study.participant(server.url, f"m{k}") for k in range(3)])
            summary = await study.run(plan)
            assert summary.begun == summary.stored == len(plan) == server.books.total.answered == 36
            assert not summary.failed
            assert not summary.stopped

    go(main())
    rows = study.rows("trial_key, n, status, tokens_in, tokens_out, cost, latency_s")
    assert len({row[0] for row in rows}) == 36
    for _, n, status, tokens_in, tokens_out, cost, latency in rows:
        assert (n, status) == (1, "valid")
        assert cost == pytest.approx((tokens_in + 2 * tokens_out) / 1e6)
        assert latency > 0


def test_the_request_holds_the_two_prompts_and_nothing_else(study: Any, go: Any) -> None:
    async def main() -> list[dict[str, Any]]:
        async with LoopbackServer(keep_requests=10) as server:
            plain = study.participant(server.url, "plain")
            warm = study.participant(server.url, "warm", params={"temperature": 0.7, "stop": ["\n"]})
            seeded = study.participant(server.url, "seeded", seed="auto")
            await study.run(study.plan([plain, warm, seeded], items=1, trials=1))
            return [request["body"] for request in server.books.requests]

    bodies = {body["model"]: body for body in go(main())}
    assert set(bodies["plain"]) == {"model", "messages"}
    assert [message["role"] for message in bodies["plain"]["messages"]] == ["system", "user"]
    assert bodies["plain"]["messages"][0]["content"] == study.task.system
    assert set(bodies["warm"]) == {"model", "messages", "temperature", "stop"}
    assert bodies["warm"]["temperature"] == 0.7
    assert bodies["seeded"]["seed"] == study.rows("seed", "seed IS NOT NULL")[0][0]


def test_what_was_sent_can_be_put_together_again_from_the_store(study: Any, go: Any) -> None:
    async def main() -> list[dict[str, Any]]:
        async with LoopbackServer(keep_requests=10) as server:
            await study.run(study.plan([study.participant(server.url, params={"top_p": 0.5})], items=2, trials=1))
            return [request["body"] for request in server.books.requests]

    sent = go(main())
    with Run.open(study.path) as run:
        stored = [
            {**json.loads(run.body(attempt.body)), "messages": json.loads(run.body(attempt.prompt))}
            for _, attempt in run.attempts()
        ]
    key = json.dumps
    assert sorted(map(key, stored)) != []
    assert sorted(key(one, sort_keys=True) for one in stored) == sorted(key(one, sort_keys=True) for one in sent)


def test_under_faults_each_valid_answer_is_stored_exactly_once(study: Any, go: Any) -> None:
    faults = READABLE + UNREADABLE + PASSING
    models = {f"m{k}": Behaviour(fault_share=0.4, faults=faults, seed=k, slow_body_s=0.05) for k in range(4)}

    async def main() -> None:
        async with LoopbackServer(models) as server:
            plan = study.plan([study.participant(server.url, name) for name in models], items=20, trials=3)
            summary = await study.run(plan, retry=QUICK)
            stored = study.rows("status, reason", "status IN ('valid', 'rejected')")
            total = server.books.total
            # everything that was answered whole is stored, but for pages that are no answer
            assert len(stored) == total.answered
            assert summary.begun == len(plan) == 240
            assert set(total.faults) == set(faults)

    go(main())
    keys = study.rows("trial_key, count(*), sum(status = 'valid')", "1 GROUP BY trial_key")
    assert len(keys) == 240
    assert all(valid <= 1 and answers <= 3 for _, answers, valid in keys)
    assert sum(valid for *_, valid in keys) >= 230


def test_an_unreadable_answer_is_asked_again_unchanged_at_most_twice(study: Any, go: Any) -> None:
    async def main() -> list[dict[str, Any]]:
        behaviours = {
            "never": Behaviour(script=("malformed",) * 9),
            "third": Behaviour(script=("empty", "unknown_label")),
        }
        async with LoopbackServer(behaviours, keep_requests=20) as server:
            participants = [study.participant(server.url, name) for name in behaviours]
            summary = await study.run(study.plan(participants, items=1, trials=1))
            assert not summary.failed
            return [request["body"] for request in server.books.requests]

    bodies = go(main())
    assert len(bodies) == 6
    for model in ("never", "third"):
        assert len({json.dumps(body, sort_keys=True) for body in bodies if body["model"] == model}) == 1
    assert sorted(study.rows("n, status, reason"), key=str) == [
        (1, "rejected", "empty"),
        (1, "rejected", "not_json"),
        (2, "rejected", "not_json"),
        (2, "rejected", "unknown_label"),
        (3, "rejected", "not_json"),
        (3, "valid", None),
    ]


@pytest.mark.parametrize("fault", ["unauthorized", "forbidden", "not_found", "bad_parameter", "quota"])
def test_a_participant_that_cannot_go_on_is_stopped_and_the_others_go_on(study: Any, go: Any, fault: Any) -> None:
    async def main() -> Any:
        bad = Behaviour(fault_share=1.0, faults=(fault,))
        async with LoopbackServer({"bad": bad}) as server:
            plan = study.plan([study.participant(server.url, "bad"), study.participant(server.url, "good")], items=40)
            summary = await study.run(plan)
            assert server.books["good"].answered == 80
            assert server.books["bad"].received <= 8
            return summary

    summary = go(main())
    assert set(summary.stopped) == {"bad"}
    assert [event.participant.name for event in study.events if isinstance(event, Stopped)] == ["bad"]


def test_no_retry_comes_before_the_time_a_429_asks_for(study: Any, go: Any) -> None:
    async def main() -> None:
        once = Behaviour(script=(None, "rate_limited", None, "rate_limited"), retry_after_s=1.0)
        async with LoopbackServer({"s": once, "d": Behaviour(script=once.script, retry_after="date")}) as server:
            plan = study.plan([study.participant(server.url, name) for name in ("s", "d")], items=6, trials=1)
            summary = await study.run(plan)
            assert summary.stored == 12
            assert server.books["s"].early_arrivals() == server.books["d"].early_arrivals() == 0
            assert server.books["s"].faults["rate_limited"] == 2

    go(main())


def test_a_lane_keeps_its_pace_and_all_answers(study: Any, go: Any) -> None:
    async def main() -> Any:
        limited = Behaviour(rps=20, burst=2, latency_s=0.05)  # two, since client and server share a loop here
        async with LoopbackServer({"m": limited}) as server:
            started = time.monotonic()
            summary = await study.run(study.plan([study.participant(server.url, rpm=1200)], items=40, trials=1))
            assert summary.stored == 40
            assert time.monotonic() - started < 1.4 * 2.0
            return server.books["m"]

    books = go(main())
    gaps = [after - before for before, after in zip(books.arrivals, books.arrivals[1:], strict=False)]
    assert statistics.median(gaps) == pytest.approx(0.0508, abs=0.006)
    assert len(books.rate_limited) <= 2


@pytest.mark.parametrize("headers", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_limit_that_nobody_declared_is_learned(study: Any, go: Any, headers: bool) -> None:
    async def main() -> Any:
        behaviour = Behaviour(rps=10, burst=1, latency_s=0.02, limit_headers=headers)
        async with LoopbackServer({"m": behaviour}) as server:
            summary = await study.run(study.plan([study.participant(server.url)], items=25, trials=1))
            assert summary.stored == 25
            return server.books["m"]

    books = go(main())
    # a bucket of one turns away a call that a busy machine delayed by more than the 1.5 % of reserve: a few may be
    assert len(books.rate_limited) <= (3 if headers else 6)
    assert books.early_arrivals() == 0


def test_caps_of_a_provider_hold_for_all_its_lanes_together(study: Any, go: Any) -> None:
    async def main() -> None:
        async with LoopbackServer(default=Behaviour(latency_s=0.02)) as server:
            plan = study.plan([study.participant(server.url, f"m{k}", rpm=6e5) for k in range(6)])
            await study.run(plan, caps={"loop": ProviderCaps(concurrency=5)})
            assert server.books.total.peak_in_flight == 5
            assert server.books.total.answered == len(plan)

    go(main())


def test_the_budget_is_never_exceeded_not_even_by_what_is_in_flight(study: Any, go: Any) -> None:
    async def main() -> Any:
        async with LoopbackServer(default=Behaviour(latency_s=0.01)) as server:
            participants = [study.participant(server.url, f"m{k}", max_output_tokens=400) for k in range(3)]
            plan = study.plan(participants, items=50)
            summary = await study.run(plan, max_cost=0.05)
            again = await study.run(plan, max_cost=0.05)
            assert again.budget_reached
            assert again.stored <= 1
            return summary

    summary = go(main())
    assert summary.budget_reached
    spent = math.fsum(cost for (cost,) in study.rows("cost"))
    assert 0.04 < spent <= 0.05


def test_re_asks_count_against_the_budget_too(study: Any, go: Any) -> None:
    async def main() -> Any:
        async with LoopbackServer(default=Behaviour(fault_share=1.0, faults=("malformed",))) as server:
            plan = study.plan([study.participant(server.url, max_output_tokens=400)], items=50)
            return await study.run(plan, max_cost=0.02)

    assert go(main()).budget_reached
    assert math.fsum(cost for (cost,) in study.rows("cost")) <= 0.02


def test_a_second_run_asks_only_what_is_missing(study: Any, go: Any) -> None:
    async def main() -> None:
        async with LoopbackServer() as server:
            plan = study.plan([study.participant(server.url, f"m{k}") for k in range(2)], items=9, trials=2)
            first = await study.run(plan, limit=11)
            assert first.stored == 11
            second = await study.run(plan)
            assert second.stored == len(plan) - 11
            assert (await study.run(plan)).begun == 0
            assert server.books.total.answered == len(plan)

    go(main())


def test_a_failed_call_is_asked_again_by_the_next_run_and_a_rejected_trial_is_not(study: Any, go: Any) -> None:
    async def main() -> None:
        broken = {
            "down": Behaviour(fault_share=1.0, faults=("server_error",)),
            "bad": Behaviour(script=("malformed",) * 3),
        }
        async with LoopbackServer(broken) as server:
            plan = study.plan([study.participant(server.url, name) for name in broken], items=1, trials=1)
            first = await study.run(plan, retry=RetryPolicy(attempts=2, base_s=0.01))
            assert first.failed == 1
            server.set_behaviour("down", Behaviour())
            second = await study.run(plan)
            assert (second.begun, second.failed) == (1, 0)

    go(main())
    assert sorted(study.rows("n, status", "status IN ('failed', 'valid')")) == [(1, "failed"), (2, "valid")]


def test_stopping_stores_what_is_in_flight_and_begins_nothing(study: Any, go: Any) -> None:
    async def main() -> Any:
        async with LoopbackServer(default=Behaviour(latency_s=0.2)) as server:
            plan = study.plan([study.participant(server.url, f"m{k}", rpm=6e5) for k in range(3)], items=1000)
            running = asyncio.create_task(study.run(plan))
            await asyncio.sleep(0.3)
            study.engine.stop()
            summary = await running
            assert server.books.total.answered == server.books.total.received == summary.stored
            assert 0 < summary.stored < len(plan)
            return summary

    assert go(main()).interrupted


def test_stopping_twice_leaves_calls_that_hang(study: Any, go: Any) -> None:
    async def main() -> Any:
        async with LoopbackServer(default=Behaviour(fault_share=1.0, faults=("hang",))) as server:
            plan = study.plan([study.participant(server.url, timeout_s=60.0)])
            running = asyncio.create_task(study.run(plan))
            await asyncio.sleep(0.3)
            study.engine.stop()
            await asyncio.sleep(0.1)
            assert not running.done()
            study.engine.stop()
            return await running

    summary = go(main(), 10)
    assert summary.interrupted
    assert summary.stored == 0


def test_stopping_does_not_wait_for_trials_that_wait_themselves(study: Any, go: Any) -> None:
    async def main() -> Any:
        limited = Behaviour(fault_share=1.0, faults=("rate_limited",), retry_after_s=50.0)
        async with LoopbackServer(default=limited) as server:
            running = asyncio.create_task(study.run(study.plan([study.participant(server.url)])))
            await asyncio.sleep(0.3)
            study.engine.stop()
            return await running

    assert go(main(), 5).interrupted
    assert any(isinstance(event, Retrying) and event.wait_s >= 50 for event in study.events)


def test_a_call_that_hangs_is_given_up_and_tried_again(study: Any, go: Any) -> None:
    async def main() -> Any:
        async with LoopbackServer(default=Behaviour(script=("hang",))) as server:
            plan = study.plan([study.participant(server.url, timeout_s=0.3)], items=3, trials=1)
            return await study.run(plan, retry=QUICK)

    assert go(main()).stored == 3
    assert {status for (status,) in study.rows("status")} == {"valid"}


def test_answers_of_another_model_are_kept_apart_until_they_are_accepted(study: Any, go: Any) -> None:
    async def main() -> None:
        async with LoopbackServer(default=Behaviour(script=(None, None, "drift"))) as server:
            plan = study.plan([study.participant(server.url, concurrency=1)], items=6, trials=1)
            summary = await study.run(plan)
            assert "drift" not in study.rows("status", "served_model = 'm'")
            assert set(summary.stopped) == {"m"}
            assert [status for (status,) in study.rows("status")] == ["valid", "valid", "drift"]
            accepted = await study.run(plan, allow_drift=True)
            assert not accepted.stopped
            assert server.books.total.answered == 6, "what was paid for is not asked again"

    go(main())


def test_a_trial_whose_prompt_is_refused_fails_alone(study: Any, go: Any) -> None:
    async def main() -> Any:
        async with LoopbackServer(default=Behaviour(script=(None, "content_policy"))) as server:
            return await study.run(study.plan([study.participant(server.url, concurrency=1)], items=4, trials=1))

    summary = go(main())
    assert not summary.stopped
    assert [(status, reason) for status, reason in study.rows("status, reason", "status != 'valid'")] == [
        ("rejected", "refusal")
    ]


def test_a_key_that_a_server_echoes_reaches_no_file_and_no_event(study: Any, go: Any) -> None:
    secret = "canary-5f3a9c-key"

    async def main() -> Any:
        echo = Behaviour(fault_share=1.0, faults=("echo_key",))
        async with LoopbackServer({"bad": echo}, api_key=secret) as server:
            participants = [study.participant(server.url, name, api_key_env="CANARY_KEY") for name in ("bad", "good")]
            return await study.run(study.plan(participants), {"CANARY_KEY": secret})

    summary = go(main())
    assert "***" in summary.stopped["bad"]
    assert secret not in repr(study.events)
    for path in study.path.rglob("*"):
        assert secret.encode() not in path.read_bytes(), path


def test_text_that_no_database_takes_is_stored_all_the_same(study: Any, go: Any) -> None:
    answer = {"classification": {"label": "true", "explanation": "half a pair \ud83d and a nul \x00"}, "highlights": {}}

    async def main() -> Any:
        async with LoopbackServer(default=Behaviour(text=json.dumps(answer))) as server:
            return await study.run(study.plan([study.participant(server.url)], items=1, trials=1))

    assert go(main()).stored == 1
    assert study.rows("status") == [("valid",)]


def test_an_attempt_is_never_overwritten(study: Any, go: Any) -> None:
    async def main() -> Any:
        async with LoopbackServer() as server:
            plan = study.plan([study.participant(server.url)], items=1, trials=1)
            await study.run(plan)
            manifest = {"plan": plan.describe()}
            with Run.begin(study.path, manifest, plan.participants, plan.items, plan.groups) as run:
                from partynli.store import Writer

                ((_, attempt),) = run.attempts()
                writer = Writer(run.database)
                try:
                    with pytest.raises(StoreError, match="UNIQUE"):
                        await writer.put(attempt, ())
                finally:
                    await writer.aclose()

    go(main())
    assert len(study.rows()) == 1
