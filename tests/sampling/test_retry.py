"""The one retry layer: what is tried again, how often, after how long, and when that ends."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partynli.errors import PartyNLIError, ProviderError
from partynli.sampling.retry import RetryPolicy, may_pass, retrying, within_reason

KINDS = ("retryable", "rate_limited", "fatal_participant", "bad_request")


def failure(kind: Any = "retryable", retry_after: float | None = None) -> ProviderError:
    return ProviderError(f"a {kind} failure", kind, retry_after=retry_after)


class Course:
    """A call that fails as told and then is answered; waits are noted and, unless told, not waited out."""

    def __init__(self, failures: Sequence[BaseException], policy: RetryPolicy, share: float = 0.0) -> None:
        self.failures = iter(failures)
        self.policy = policy
        self.share = share
        self.calls = 0
        self.waits: list[float] = []
        self.told: list[ProviderError] = []

    async def call(self) -> str:
        self.calls += 1
        if (error := next(self.failures, None)) is not None:
            raise error
        return "answer"

    async def pause(self, error: ProviderError, seconds: float) -> None:
        self.told.append(error)
        self.waits.append(seconds)
        await asyncio.sleep(self.share * seconds)

    async def run(self) -> str:
        async for attempt in retrying(self.policy, self.pause):
            with attempt:
                return await self.call()
        raise AssertionError

    def end(self) -> Any:
        try:
            return asyncio.run(self.run())
        except ProviderError as error:
            return error


def test_only_what_may_pass_is_tried_again() -> None:
    assert [kind for kind in KINDS if may_pass(failure(kind))] == ["retryable", "rate_limited"]
    for other in (ValueError(), PartyNLIError(), TimeoutError(), asyncio.CancelledError(), KeyboardInterrupt()):
        assert not may_pass(other)


@pytest.mark.parametrize("kind", ["fatal_participant", "bad_request"])
def test_what_cannot_pass_ends_it_at_once(kind: str) -> None:
    for before in (0, 2):
        course = Course([*[failure()] * before, failure(kind), failure()], RetryPolicy(base_s=0.01))
        assert course.end().kind == kind
        assert course.calls == before + 1


def test_errors_that_are_none_of_a_provider_go_through() -> None:
    for error in (ValueError("mine"), asyncio.CancelledError()):
        course = Course([failure(), error], RetryPolicy())
        with pytest.raises(type(error)):
            asyncio.run(course.run())
        assert course.calls == 2


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.lists(st.sampled_from(KINDS), max_size=14))
def test_failures_are_bounded_and_calls_that_only_had_to_wait_do_not_count(most: int, kinds: list[str]) -> None:
    course = Course([failure(kind) for kind in kinds], RetryPolicy(attempts=most))
    ended = course.end()
    calls = counted = 0
    for kind in kinds:
        calls += 1
        if kind in ("fatal_participant", "bad_request"):
            break
        counted += kind == "retryable"
        if counted >= most:
            break
    else:
        assert (ended, course.calls) == ("answer", len(kinds) + 1)
        assert len(course.waits) == len(kinds)
        return
    assert ended.kind == kind
    assert course.calls == calls
    assert len(course.waits) == calls - 1


def test_a_single_attempt_is_a_single_attempt() -> None:
    course = Course([failure()] * 3, RetryPolicy(attempts=1))
    assert course.end().kind == "retryable"
    assert (course.calls, course.waits) == (1, [])


def test_the_last_failure_is_the_one_that_is_told() -> None:
    errors = [failure() for _ in range(3)]
    course = Course(errors, RetryPolicy(attempts=3))
    assert course.end() is errors[-1]
    assert course.told == errors[:2]


def test_no_call_is_made_when_the_time_is_over() -> None:
    started = time.monotonic()
    policy = RetryPolicy(attempts=1000, total_s=0.3, base_s=0.05, longest_s=0.05)
    course = Course([failure("rate_limited", 0.02)] * 1000, policy, share=1.0)
    assert course.end().kind == "rate_limited"
    assert 0.3 <= time.monotonic() - started < 5.0
    assert 2 <= course.calls <= 20


@pytest.mark.parametrize("kind", ["retryable", "rate_limited"])
@pytest.mark.parametrize("asked", [0.0, 0.25, 7.0, 3600.0])
def test_a_server_that_names_a_time_is_taken_at_its_word(kind: str, asked: float) -> None:
    for seed in range(20):
        random.seed(seed)
        course = Course([failure(kind, asked)] * 4, RetryPolicy(attempts=9, base_s=1.0, longest_s=60.0))
        assert course.end() == "answer"
        for n, wait in enumerate(course.waits):
            assert asked <= wait <= asked + 0.1 * 2**n


@pytest.mark.parametrize("kind", ["retryable", "rate_limited"])
def test_a_server_that_asks_for_more_than_a_day_is_not_waited_for(kind: str) -> None:
    for asked in (None, 0.0, 3600.0, 86400.0):
        error = failure(kind, asked)
        assert within_reason(error, RetryPolicy()) is error
    for asked in (86401.0, 1e12, 1e300):
        error = within_reason(failure(kind, asked), RetryPolicy())
        assert error.kind == "fatal_participant"
        assert not may_pass(error)
        assert str(error).endswith(f" days: a {kind} failure")


def test_waits_are_drawn_below_a_bound_that_doubles() -> None:
    drawn: list[list[float]] = [[] for _ in range(7)]
    for seed in range(200):
        random.seed(seed)
        course = Course([failure()] * 7, RetryPolicy(attempts=8, base_s=1.0, longest_s=16.0))
        assert course.end() == "answer"
        for waits, wait in zip(drawn, course.waits, strict=True):
            waits.append(wait)
    for bound, waits in zip((1, 2, 4, 8, 16, 16, 16), drawn, strict=True):
        assert 0 <= min(waits) < 0.1 * bound, "full jitter: callers must not come back as one"
        assert 0.9 * bound < max(waits) <= bound
        assert sum(waits) / len(waits) == pytest.approx(bound / 2, rel=0.2)


def test_the_defaults_are_those_of_the_docs() -> None:
    assert RetryPolicy() == RetryPolicy(attempts=8, total_s=1800.0, base_s=1.0, longest_s=60.0)
