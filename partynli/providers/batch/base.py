"""What every batch API is, and how a batch is found again that was sent but never heard of."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from partynli.errors import ProviderError
from partynli.records import Request, Response

_CLOCKS_APART_S = 86400.0
"""How far this machine's clock may be ahead of the provider's, when batches are looked for by their age."""
_GLANCE = 20
"""Results of others after which a batch is somebody else's."""


@dataclass(frozen=True, slots=True)
class BatchState:
    """What a provider says of a batch."""

    id: str
    mark: str | None
    """Our mark, where the provider keeps one."""
    created: float | None
    """Seconds since 1970, by the provider's clock."""
    ended: bool
    """Whether nothing in it will be answered any more."""
    total: int
    """Requests in it; 0 where they are not counted yet."""
    done: int
    """Requests answered so far."""
    word: str
    """The provider's own word for how it stands, and its reason where it gives one."""
    refused: bool = False
    """It was refused as a whole, and nothing of it was run."""
    queue_full: bool = False
    """It was refused because too much of the account's waits already."""
    results: tuple[str, ...] = ()
    """Where its results lie."""
    answered: int | None = None
    """Requests that were answered and paid for, once it has ended; None where the provider does not count them."""


class Result(NamedTuple):
    """What came of one request of a batch."""

    id: str
    """The request's id, as we gave it."""
    outcome: Response | ProviderError | None
    """None: it was not run before the batch expired or was cancelled, and cost nothing."""
    is_counted: bool = False
    """Whether the provider counts it among those that were answered."""


class BatchAPI(Protocol):
    """One provider's batches. Every method raises nothing but `ProviderError`.

    ``billable`` on an error of `submit` means that the batch may have been taken although we did not hear of it.
    """

    max_requests: int
    """Most requests in one batch."""
    max_bytes: int
    """Most bytes of all lines of one batch, their line breaks included."""

    async def aopen(self) -> None:
        """Get ready."""

    async def aclose(self) -> None:
        """Let go of connections; batches stay at the provider."""

    def line(self, id: str, request: Request) -> bytes:
        """One request as it stands in a batch, under an id of ours."""
        ...

    async def submit(self, mark: str, lines: Sequence[bytes]) -> str:
        """Send a batch under our mark; returns the provider's id of it."""
        ...

    async def look(self, id: str) -> BatchState:
        """How a batch stands; a `ProviderError` of status 404 says that the provider does not know it."""
        ...

    def since(self, when: float) -> AsyncGenerator[BatchState, None]:
        """The account's batches that were created after a time, newest first."""
        ...

    def results(self, state: BatchState) -> AsyncGenerator[Result | None, None]:
        """The results of a batch that ended, in any order; None for a line that cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """What looking for a batch found."""

    id: str | None = None
    """The provider's id of it, or None where it was not found."""
    maybe: tuple[str, ...] = ()
    """Batches that may be it: they are still going on, and only their results will tell."""


async def find(api: BatchAPI, mark: str, planned_at: float, n: int, known: Collection[str]) -> Found:
    """Look for a batch of `n` requests that was planned under a mark and perhaps sent.

    Where the provider keeps marks, the mark tells. Where it does not, ids of requests begin with the mark, and results
    repeat them: batches of that size that the run does not know are looked into when they have ended.

    Raises
    ------
    ProviderError
        It was not found, and not all batches that may be it could be looked at; of status 404 where the results of
        one are no longer there.
    """
    maybe, closed = [], []
    async with aclosing(api.since(planned_at - _CLOCKS_APART_S)) as states:
        async for state in states:
            if state.mark is not None:
                if state.mark == mark:
                    return Found(state.id)
            elif state.id not in known and (state.total == n or not (state.total or state.ended)):
                if not state.ended:
                    maybe.append(state.id)
                elif (is_ours := await _is_ours(api, state, mark)) is None:
                    closed.append(state.id)
                elif is_ours:
                    return Found(state.id)
    if closed and not maybe:
        raise ProviderError(
            f"batch {closed[0]} may be it, and its results cannot be looked into", "bad_request", status=404
        )
    return Found(None, tuple(maybe))


async def _is_ours(api: BatchAPI, state: BatchState, mark: str) -> bool | None:
    """Whether a batch is the one under a mark, or None where its results do not say whose they are."""
    others = 0
    async with aclosing(api.results(state)) as results:
        async for result in results:
            if result is None:
                continue
            if result.id.startswith(f"{mark}-"):
                return True
            others += 1
            if others == _GLANCE:
                break
    return False if others else None
