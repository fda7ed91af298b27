"""The one retry layer: when a failed call is tried again, and when that ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception
from tenacity.wait import wait_random_exponential

from partynli.errors import ProviderError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Bounds of the retries of one call."""

    attempts: int = 8
    """Calls in all, the first included; a 429 that only asks to wait does not count."""
    total_s: float = 1800.0
    """Seconds after the first failure beyond which no further call is made."""
    base_s: float = 1.0
    """The first wait is drawn between 0 and this; the bound doubles with every further failure."""
    longest_s: float = 60.0
    """Longest wait that is drawn; a server may ask for a longer one."""
    longest_asked_s: float = 86400.0
    """Longest wait that a server may ask for; one that asks for more is not asked again in this session."""


def may_pass(error: BaseException) -> bool:
    """Whether the same call may succeed later."""
    return isinstance(error, ProviderError) and error.kind in ("retryable", "rate_limited")


def within_reason(error: ProviderError, policy: RetryPolicy) -> ProviderError:
    """The same failure, one that stops its participant where the server asks for longer than anybody would wait."""
    asked = error.retry_after
    if asked is None or asked <= policy.longest_asked_s:
        return error
    return ProviderError(
        f"the server asks to come back in {asked / 86400.0:,.0f} days: {error}",
        "fatal_participant",
        status=error.status,
        raw=error.raw,
        billable=error.billable,
    )


def retrying(policy: RetryPolicy, pause: Callable[[ProviderError, float], Awaitable[None]]) -> AsyncRetrying:
    """The schedule after a first failure, which is to be raised again as its first attempt.

    Built only then: building it costs more than all the bookkeeping of a call that goes well.

    Parameters
    ----------
    policy
        When to give up.
    pause
        Waits the given seconds after the given failure.
    """
    jitter = wait_random_exponential(multiplier=policy.base_s, max=policy.longest_s)
    failures = 0

    def error_of(state: RetryCallState) -> ProviderError:
        error = state.outcome.exception() if state.outcome else None
        assert isinstance(error, ProviderError)
        return error

    def wait(state: RetryCallState) -> float:
        asked = error_of(state).retry_after
        # a server that names a time is taken at its word; the jitter keeps many callers from coming back as one
        return jitter(state) if asked is None else asked + 0.1 * jitter(state)

    def stop(state: RetryCallState) -> bool:
        nonlocal failures
        failures += error_of(state).kind != "rate_limited"
        return failures >= policy.attempts or (state.seconds_since_start or 0.0) >= policy.total_s

    async def before_sleep(state: RetryCallState) -> None:
        await pause(error_of(state), state.upcoming_sleep)

    async def asleep(seconds: float) -> None:
        """`before_sleep` has waited already, knowing why."""

    return AsyncRetrying(
        retry=retry_if_exception(may_pass),
        wait=wait,
        stop=stop,
        before_sleep=before_sleep,
        sleep=asleep,
        reraise=True,
    )
