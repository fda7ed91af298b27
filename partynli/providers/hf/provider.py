"""The provider of models in this process: calls that come in together are answered together."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any, NamedTuple

from partynli.errors import ProviderError
from partynli.providers.hf.answers import response_of
from partynli.records import Participant, Request, Response

_GATHER_S = 0.005
"""Wait for further calls before a batch begins; a batch takes far longer."""
_MOST = 512
"""Calls of one batch."""


class _Waiting(NamedTuple):
    request: Request
    answer: asyncio.Future[Response]


class HFProvider:
    """Scores options by a model that is loaded into this process at the first call.

    Only scores are to be had (``partynli mjd run``): for ordinary answers a server does better.
    """

    serves = False

    def __init__(self) -> None:
        self._scorers: dict[tuple[str, ...], Any] = {}
        self._waiting: list[_Waiting] = []
        self._working: asyncio.Task[None] | None = None

    @classmethod
    def for_participant(cls, participant: Participant, api_key: str | None) -> HFProvider:
        """A provider for any participant; there is no address and no key."""
        return cls()

    async def aopen(self) -> None:
        """Nothing to open."""

    async def reach(self) -> None:
        """Nothing to do: models are loaded when they are first asked."""

    async def ready(self) -> None:
        """Nothing to wait for."""

    async def aclose(self) -> None:
        """Answer nothing more, and let go of the models."""
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)
        self._scorers.clear()

    async def generate(self, request: Request, *, timeout: float) -> Response:
        """Score the options of one prompt, together with those that wait beside it."""
        if not request.participant.options:
            raise ProviderError(
                "the route hf gives scores of options (`partynli mjd run`) and no answers; take the route vllm for "
                "those",
                "fatal_participant",
            )
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(request, answer))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        try:
            return await asyncio.wait_for(answer, timeout)
        except TimeoutError:
            raise ProviderError(f"no scores within {timeout:g} s", "retryable") from None

    async def _work(self) -> None:
        while self._waiting:
            await asyncio.sleep(_GATHER_S)
            first = self._waiting[0].request.participant
            batch = [one for one in self._waiting if one.request.participant.id == first.id][:_MOST]
            taken = set(map(id, batch))
            self._waiting = [one for one in self._waiting if id(one) not in taken]
            try:
                answers = await asyncio.to_thread(self._answers, [one.request for one in batch])
            except ProviderError as error:
                for one in batch:
                    _settle(one.answer, error)
            except Exception as error:
                said = next(iter(str(error).splitlines()), type(error).__name__)
                for one in batch:
                    _settle(one.answer, ProviderError(f"the model failed: {said[:300]}", "fatal_participant"))
            else:
                for one, response in zip(batch, answers, strict=True):
                    _settle(one.answer, response)

    def _answers(self, requests: list[Request]) -> list[Response]:
        participant = requests[0].participant
        scorer = self._scorers.get(participant.lane)
        if scorer is None:
            # only here: torch takes seconds, and is an extra
            scorer = import_module("partynli.providers.hf.scorer").Scorer(participant)
            self._scorers[participant.lane] = scorer
        mark = scorer.fingerprint
        scored = scorer.score([one.prompt for one in requests])
        return [response_of(participant.model, mark, one) for one in scored]


def _settle(answer: asyncio.Future[Response], result: Response | ProviderError) -> None:
    if answer.done():  # its call has timed out
        return
    if isinstance(result, ProviderError):
        answer.set_exception(result)
    else:
        answer.set_result(result)
