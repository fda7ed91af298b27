"""A server that runs already behaves as one that is started, but that nobody stops it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from partynli.errors import ProviderError
from partynli.prompts import Renderer
from partynli.providers import provider_for
from partynli.records import Item, Participant, Request, Task, Trial
from partynli.testing import Behaviour, LoopbackServer


def connected(url: str, model: str = "m") -> Participant:
    return Participant(model, "vllm", model, {}, seed="auto", provider="vllm", api_base=url)


def test_it_is_asked_at_its_address(study: Any, go: Callable[..., Any]) -> None:
    async def main() -> None:
        async with LoopbackServer() as server:
            summary = await study.run(study.plan([connected(server.url)]))
            assert (summary.stored, summary.failed) == (12, 0)
            assert server.books["m"].answered == 12

    go(main())
    # this server tells neither version nor chat template, which is stored as it is
    assert set(study.rows("fingerprint, served_model")) == {("vllm unknown, chat template unknown", "m")}


def test_it_stops_where_another_model_answers(study: Any, go: Callable[..., Any]) -> None:
    async def main() -> None:
        async with LoopbackServer(default=Behaviour(faults=("drift",), fault_share=1.0)) as server:
            summary = await study.run(study.plan([connected(server.url)]))
            assert "not as 'm': set `model` to the name under which it serves" in summary.stopped["m"]

    go(main())


def test_what_the_server_is_is_asked_again_when_it_was_away(task: Task, go: Callable[..., Any]) -> None:
    async def main() -> None:
        server = LoopbackServer()
        await server.aopen()
        participant = connected(server.url)
        trial = Trial.make(
            participant, item := Item("1", {"premise": "A.", "hypothesis": "B."}), Renderer(task).render(item), 1
        )
        request = Request(participant, trial.prompt, 1)
        provider = provider_for(participant, {})
        await provider.aopen()
        await provider.reach()
        await provider.generate(request, timeout=5)
        await server.aclose()
        for _ in range(2):
            with pytest.raises(ProviderError) as caught:
                await provider.generate(request, timeout=5)
            assert caught.value.kind == "retryable"
        again = LoopbackServer(port=server.port)
        await again.aopen()
        answer = await provider.generate(request, timeout=5)
        assert answer.fingerprint == "vllm unknown, chat template unknown"
        await provider.aclose()
        await again.aclose()

    go(main())
