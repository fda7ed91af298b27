"""What calls cost: never more than was set aside for them, and unknown where it is not known."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partynli.prompts import Renderer, render
from partynli.records import Item, Participant, Price, Usage
from partynli.sampling.budget import (
    DEFAULT_OUTPUT_TOKENS,
    Budget,
    cost_of,
    most_tokens_in,
    most_tokens_out,
    tokens_in,
    worst_cost,
)
from partynli.testing import Behaviour, LoopbackServer

PRICE = Price(3.0, 15.0, "2025-07")


def participant(price: Price | None = PRICE, most: int | None = None, **params: Any) -> Participant:
    return Participant("m", "openai", "m", params, price=price, max_output_tokens=most)


def test_a_price_is_per_million_tokens() -> None:
    assert PRICE.cost(1_000_000, 0) == 3.0
    assert PRICE.cost(0, 1_000_000) == 15.0
    assert PRICE.cost(1000, 200) == pytest.approx(0.006)


@pytest.mark.parametrize(
    ("params", "declared", "most"),
    [
        ({}, None, DEFAULT_OUTPUT_TOKENS),
        ({}, 1500, 1500),
        ({"max_tokens": 300}, None, 300),
        ({"max_tokens": 300}, 1500, 300),
        ({"max_completion_tokens": 400}, 1500, 400),
        ({"max_output_tokens": 400}, 1500, 400),
        ({"max_tokens": 9000, "max_completion_tokens": 700}, 1500, 700),
        ({"max_tokens": 9000}, 1500, 9000),  # what is sent is what may be charged
        ({"max_tokens": None}, 1500, 1500),
        ({"temperature": 3}, None, DEFAULT_OUTPUT_TOKENS),
    ],
)
def test_what_a_call_may_answer_at_most(params: dict[str, Any], declared: int | None, most: int) -> None:
    assert most_tokens_out(participant(most=declared, **params)) == most


@pytest.mark.parametrize(
    ("price", "usage", "cost"),
    [
        (PRICE, Usage(1000, 200), 0.006),
        (PRICE, Usage(0, 0), 0.0),
        (PRICE, Usage(None, 200), None),
        (PRICE, Usage(1000, None), None),
        (PRICE, Usage(), None),
        (None, Usage(1000, 200), None),
        (Price(0, 0, "always"), Usage(), 0.0),
        (Price(0, 1, "2025-07"), Usage(), None),
    ],
)
def test_the_cost_is_that_of_the_provider_s_own_count(price: Any, usage: Usage, cost: float | None) -> None:
    assert cost_of(participant(price), usage) == (cost if cost is None else pytest.approx(cost))


@settings(deadline=None)
@given(st.text(max_size=400), st.integers(1, 5000))
def test_the_worst_case_is_above_what_is_expected(task: Any, text: str, most: int) -> None:
    prompt = render(task, Item("1", {"premise": text, "hypothesis": "b"}))
    assert most_tokens_in(prompt) > tokens_in(prompt) > 0
    one = participant(most=most)
    assert worst_cost(one, prompt) >= PRICE.cost(tokens_in(prompt), most)
    assert worst_cost(participant(None), prompt) == 0.0


def test_no_answer_of_a_server_costs_more_than_was_set_aside(study: Any, go: Any) -> None:
    faults = ("prose", "fenced", "reasoning", "reasoning_content", "malformed", "truncated", "schema", "set_order")
    longest = 120

    async def main() -> None:
        talkative = Behaviour(fault_share=0.5, faults=faults)
        async with LoopbackServer(default=talkative) as server:
            sent = study.participant(server.url, "sent", params={"max_tokens": longest}, rpm=6e5)
            declared = study.participant(server.url, "declared", max_output_tokens=longest, rpm=6e5)
            plan = study.plan([sent, declared], items=15, trials=2)
            renderer = Renderer(plan.task)
            worst = {
                (one.id, item.uid): worst_cost(one, renderer.render(item))
                for one in plan.participants
                for item in plan.items
            }
            await study.run(plan)
            rows = study.rows("participant, item, cost, tokens_in, tokens_out")
            assert len(rows) >= 60
            for one, item, cost, _, tokens_out in rows:
                assert tokens_out <= longest
                assert 0 < cost <= worst[one, item]
            prompts = {item.uid: renderer.render(item) for item in plan.items}
            assert all(counted <= most_tokens_in(prompts[item]) for _, item, _, counted, _ in rows)

    go(main())


# --- the budget ---


def test_what_is_spent_and_what_is_set_aside_share_the_limit() -> None:
    budget = Budget(1.0, spent=0.3)
    assert budget.allows(0.7)
    assert not budget.allows(0.71)
    budget.reserve(0.5)
    assert budget.allows(0.2)
    assert not budget.allows(0.3)
    budget.settle(0.5, 0.1)
    assert budget.spent == pytest.approx(0.4)
    assert budget.reserved == pytest.approx(0.0)
    assert budget.allows(0.6)


def test_without_a_limit_everything_fits() -> None:
    assert Budget(None, spent=1e12).allows(1e12)


def test_a_limit_of_nothing_allows_what_is_free() -> None:
    assert Budget(0.0).allows(0.0)
    assert not Budget(0.0).allows(1e-6)


@settings(deadline=None)
@given(st.floats(0, 5), st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.booleans()), max_size=80))
def test_no_course_of_calls_exceeds_the_limit(limit: float, calls: list[tuple[float, float, bool]]) -> None:
    budget, flying, spent = Budget(limit), [], []
    for worst, share, settles in calls:
        if budget.allows(worst):
            budget.reserve(worst)
            flying.append((worst, share))
        if settles and flying:
            reserved, part = flying.pop(0)
            budget.settle(reserved, reserved * part)
            spent.append(reserved * part)
        assert math.fsum([*spent, *(worst for worst, _ in flying)]) <= limit + 1e-9
    for reserved, part in flying:
        budget.settle(reserved, reserved * part)
        spent.append(reserved * part)
    assert budget.spent == pytest.approx(math.fsum(spent))
    assert budget.reserved == pytest.approx(0.0, abs=1e-9)


def test_a_million_small_sums_do_not_lose_their_way() -> None:
    budget = Budget(1.0)
    for _ in range(100_000):
        assert budget.allows(1e-5) or budget.spent > 1.0 - 2e-5
        budget.reserve(1e-5)
        budget.settle(1e-5, 1e-5)
    assert budget.spent == pytest.approx(1.0)
    assert not budget.allows(1e-4)
