"""Sends a batch, again where it surely did not arrive, and never where it may have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from partynli.errors import ProviderError
from partynli.providers.batch import BatchAPI
from partynli.sampling.chunks import Chunk
from partynli.sampling.retry import RetryPolicy, may_pass, retrying, within_reason


class Unheard(Exception):
    """A batch was sent, and it is not known whether it arrived."""


async def submit(
    api: BatchAPI, chunk: Chunk, policy: RetryPolicy, pause: Callable[[ProviderError, float], Awaitable[None]]
) -> str:
    """Send a batch; returns the provider's id of it.

    Parameters
    ----------
    api, chunk
        Where to, and what.
    policy
        How often it is tried.
    pause
        Waits the given seconds after the given failure.

    Raises
    ------
    Unheard
        The connection broke, or the server failed, after the batch was sent.
    ProviderError
        It did not arrive, and will not.
    """
    try:
        return await _once(api, chunk, policy)
    except ProviderError as error:
        if not may_pass(error):
            raise
        first: ProviderError | None = error
    async for attempt in retrying(policy, pause):
        with attempt:
            if first is not None:
                failed, first = first, None
                raise failed
            return await _once(api, chunk, policy)
    raise AssertionError("the schedule ends by returning or raising")


async def _once(api: BatchAPI, chunk: Chunk, policy: RetryPolicy) -> str:
    try:
        return await api.submit(chunk.mark, chunk.lines)
    except ProviderError as error:
        if error.billable:
            raise Unheard(str(error)) from None
        raise within_reason(error, policy) from None
