"""Both batch APIs against a real server: what is sent, what every answer and every failure becomes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from partynli.errors import InputError, ProviderError
from partynli.prompts import load_task, render
from partynli.providers import provider_for
from partynli.providers.base import read_completion
from partynli.providers.batch import BatchAPI, Result, batch_api_for, batch_endpoint_of, find, unbatchable
from partynli.records import Batching, Item, Participant, Request, Response, Usage
from partynli.testing import BatchBehaviour, Behaviour, LoopbackServer

PROMPT = render(
    load_task("livenli", Path(__file__).parents[2] / "prompts"),
    Item("1", {"premise": "The men sang in the old house.", "hypothesis": "People sang – à deux."}),
)
KEY = "sk-canary-4411"
BOTH = ("openai", "anthropic")


def participant(protocol: str, address: str, **params: Any) -> Participant:
    batch = Batching(protocol)  # type: ignore[arg-type]
    if protocol == "openai":
        return Participant("m", "openai", "m", params, api_base=f"{address}/v1", api_key_env="K", batch=batch)
    params = {"max_tokens": 300, **params}
    return Participant("m", "litellm", "anthropic/m", params, api_base=address, api_key_env="K", batch=batch)


@asynccontextmanager
async def opened(one: Participant) -> AsyncIterator[BatchAPI]:
    api = batch_api_for(one, {"K": f"{KEY}\n"})
    await api.aopen()
    try:
        yield api
    finally:
        await api.aclose()


async def collected(api: BatchAPI, id: str) -> dict[str, Response | ProviderError | None]:
    results = [result async for result in api.results(await api.look(id))]
    return {result.id: result.outcome for result in results if result is not None}


@pytest.mark.parametrize("protocol", BOTH)
def test_a_request_is_that_of_a_single_call(protocol: str, go: Callable[..., Any]) -> None:
    params: dict[str, Any] = {"max_tokens": 300, "temperature": 0.25, "top_p": 0.9}

    async def work() -> None:
        async with LoopbackServer(keep_requests=1) as server:
            one = participant(protocol, server.anthropic_url, **params)
            provider = provider_for(one, {"K": KEY})
            await provider.aopen()
            seed = 7 if protocol == "openai" else None
            await provider.generate(Request(one, PROMPT, seed), timeout=20)
            await provider.aclose()
            line = json.loads(batch_api_for(one, {}).line("x-0", Request(one, PROMPT, seed)))
            assert line["custom_id"] == "x-0"
            assert line["body" if protocol == "openai" else "params"] == server.books.requests[-1]["body"]

    go(work())


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize(
    "fault",
    [
        *(None, "fenced", "refusal", "content_filter", "reasoning", "reasoning_content", "truncated", "no_usage"),
        *("drift", "truncated_reasoning_content", "empty"),
    ],
)
def test_an_answer_reads_as_that_of_a_single_call(fault: Any, protocol: str, go: Callable[..., Any]) -> None:
    async def work() -> None:
        async with LoopbackServer({"m": Behaviour(script=(fault, fault))}) as server:
            one = participant(protocol, server.anthropic_url)
            async with opened(one) as api:
                id = await api.submit("mark", [api.line("mark-0", Request(one, PROMPT))])
                answer = (await collected(api, id))["mark-0"]
            assert isinstance(answer, Response)
            again = read_completion(json.loads(answer.raw), answer.raw, {})
            assert again == answer._replace(headers={})  # what is stored reads as it did when it came
            if (protocol, fault) == ("anthropic", "no_usage"):  # which litellm cannot read
                assert answer.usage == Usage()
                return
            server.set_behaviour("m", Behaviour(script=(fault,), seed=0))
            single = provider_for(one, {"K": KEY})
            await single.aopen()
            called = await single.generate(Request(one, PROMPT), timeout=20)
            await single.aclose()
            for field in ("reasoning", "finish_reason", "served_model", "refused", "open_reasoning"):
                assert getattr(answer, field) == getattr(called, field), field
            assert bool(answer.text) == bool(called.text)
            assert (answer.usage == Usage()) == (called.usage == Usage())

    go(work())


@pytest.mark.parametrize("protocol", BOTH)
def test_a_request_s_own_failure(protocol: str, go: Callable[..., Any]) -> None:
    script = ("server_error", "overloaded", "bad_parameter", "content_policy", "not_found", None)

    async def work() -> None:
        async with LoopbackServer({"m": Behaviour(script=script)}) as server:  # type: ignore[arg-type]
            one = participant(protocol, server.anthropic_url)
            async with opened(one) as api:
                lines = [api.line(f"k-{n}", Request(one, PROMPT)) for n in range(6)]
                found = await collected(api, await api.submit("k", lines))
        kinds = [
            one.kind if isinstance(one, ProviderError) else type(one).__name__ for one in map(found.get, sorted(found))
        ]
        expected = {
            "openai": ["retryable", "retryable", "fatal_participant", "Response", "fatal_participant", "Response"],
            # one type for all that is wrong with a request
            "anthropic": ["retryable", "rate_limited", "bad_request", "bad_request", "fatal_participant", "Response"],
        }
        assert kinds == expected[protocol]

    go(work())


@pytest.mark.parametrize("protocol", BOTH)
def test_states_and_ages(protocol: str, go: Callable[..., Any]) -> None:
    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(polls=1, page=2)) as server:
            one = participant(protocol, server.anthropic_url)
            async with opened(one) as api:
                ids = [await api.submit(f"m{n}", [api.line(f"m{n}-0", Request(one, PROMPT))]) for n in range(5)]
                state = await api.look(ids[4])
                assert (state.ended, state.total, state.results) == (False, 1, ())
                state = await api.look(ids[4])
                assert (state.ended, state.done) == (True, 1)
                assert state.results
                assert [state.id async for state in api.since(0.0)] == ids[::-1]
                assert [state.id async for state in api.since(state.created + 3600)] == []
                with pytest.raises(ProviderError) as unknown:
                    await api.look("batch/../unknown?x")
                assert unknown.value.status == 404

    go(work())


@pytest.mark.parametrize("protocol", BOTH)
def test_a_batch_is_found_by_its_mark_alone(protocol: str, go: Callable[..., Any]) -> None:
    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(page=1)) as server:
            one = participant(protocol, server.anthropic_url)
            async with opened(one) as api:
                for mark in ("abc", "abcd", "x"):  # one is the beginning of another
                    await api.submit(mark, [api.line(f"{mark}-0", Request(one, PROMPT))])
                batches = [state.id async for state in api.since(0.0)]
                assert (await find(api, "abc", 0.0, 1, ())).id == batches[2]
                assert (await find(api, "none", 0.0, 1, ())).id is None
                if protocol == "anthropic":
                    assert (await find(api, "abc", 0.0, 2, ())).id is None  # another size
                    assert (await find(api, "abc", 0.0, 1, {batches[2]})).id is None  # known already

    go(work())


def test_anthropic_s_unfinished_batches_may_be_ours(go: Callable[..., Any]) -> None:
    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(polls=9)) as server:
            one = participant("anthropic", server.anthropic_url)
            async with opened(one) as api:
                id = await api.submit("abc", [api.line("abc-0", Request(one, PROMPT))])
                assert (await find(api, "abc", 0.0, 1, ())).maybe == (id,)

    go(work())


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize(
    ("fault", "billable"),
    [
        ("server_error", True),
        ("rate_limited", False),
        ("cut_before", True),
        ("taken_and_cut", True),
        ("too_large", False),
    ],
)
def test_whether_a_failed_call_may_have_bought(
    fault: Any, billable: bool, protocol: str, go: Callable[..., Any]
) -> None:
    async def work() -> None:
        async with LoopbackServer(batches=BatchBehaviour(script=(fault,))) as server:
            one = participant(protocol, server.anthropic_url)
            async with opened(one) as api:
                with pytest.raises(ProviderError) as failed:
                    await api.submit("m", [api.line("m-0", Request(one, PROMPT))])
                assert failed.value.billable is billable

    go(work())


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize(("status", "billable"), [(400, False), (404, False), (408, True), (409, True), (504, True)])
def test_a_gateway_may_give_up_what_went_through(
    status: int, billable: bool, protocol: str, go: Callable[..., Any]
) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        await request.read()
        is_file = request.path.endswith("/files")
        return web.json_response({"id": "file-1"}, status=200 if is_file else status)

    async def work() -> None:
        async with served(answer) as address:
            one = participant(protocol, address)
            async with opened(one) as api:
                with pytest.raises(ProviderError) as failed:
                    await api.submit("m", [api.line("m-0", Request(one, PROMPT))])
                assert failed.value.billable is billable

    go(work())


def test_an_upload_that_fails_has_bought_nothing(go: Callable[..., Any]) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        await request.read()
        return web.Response(status=500)

    async def work() -> None:
        async with served(answer) as address:
            one = participant("openai", address)
            async with opened(one) as api:
                with pytest.raises(ProviderError) as failed:
                    await api.submit("m", [api.line("m-0", Request(one, PROMPT))])
                assert (failed.value.kind, failed.value.billable) == ("retryable", False)

    go(work())


@asynccontextmanager
async def served(answer: Any) -> AsyncIterator[str]:
    """A server that gives one answer to everything."""
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b"{}", b'{"id": 7}', b'{"id": null, "status": []}', b"\xff", b"[" * 5000]
)
def test_nonsense_for_a_new_batch_may_have_bought(body: bytes, protocol: str, go: Callable[..., Any]) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        await request.read()
        return web.Response(body=b'{"id": "file-1"}' if request.path.endswith("/files") else body)

    async def work() -> None:
        async with served(answer) as address:
            one = participant(protocol, address)
            async with opened(one) as api:
                with pytest.raises(ProviderError) as failed:
                    await api.submit("m", [api.line("m-0", Request(one, PROMPT))])
                assert failed.value.billable
                assert len(str(failed.value).splitlines()) == 1

    go(work())


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize(
    "body",
    [
        b'{"data": 3}',
        b'{"data": [1, null, {}, {"id": 5}], "has_more": true}',
        b'{"data": [], "has_more": true, "last_id": "x"}',
    ],
)
def test_a_list_that_cannot_be_read_is_never_taken_for_a_whole_one(
    body: bytes, protocol: str, go: Callable[..., Any]
) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(body=body)

    async def work() -> None:
        async with served(answer) as address, opened(participant(protocol, address)) as api:
            with pytest.raises(ProviderError) as failed:  # what is not found in it would be bought again
                await find(api, "mark", 0.0, 1, ())
            assert failed.value.kind == "retryable"

    go(work())


def test_no_key_goes_to_another_host(go: Callable[..., Any]) -> None:
    seen: list[str | None] = []

    async def other(request: web.BaseRequest) -> web.Response:
        seen.append(request.headers.get("x-api-key"))
        return web.Response(body=b"")

    async def work() -> None:
        async with served(other) as elsewhere:

            async def answer(request: web.BaseRequest) -> web.Response:
                if request.path.endswith("/redirected"):
                    return web.Response(status=302, headers={"Location": elsewhere})
                url = str(request.url.with_path("/redirected")) if "/again" in request.path else elsewhere
                state = {"id": "b", "processing_status": "ended", "results_url": url}
                return web.json_response(state)

            async with served(answer) as address, opened(participant("anthropic", address)) as api:
                for id in ("b", "again"):
                    with pytest.raises(ProviderError):
                        await collected(api, id)
        assert seen == []

    go(work())


def test_the_key_is_in_no_error_and_no_answer(go: Callable[..., Any]) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path.endswith("/content"):
            said = {"role": "assistant", "content": f"your key is {KEY}"}
            body = {"model": "m", "choices": [{"message": said, "finish_reason": "stop"}]}
            return web.json_response({"custom_id": "m-0", "response": {"status_code": 200, "body": body}})
        if request.path.endswith("/files"):
            return web.json_response({"error": {"message": f"bad key {KEY}"}}, status=401)
        return web.json_response({"id": "b", "status": "completed", "output_file_id": "f"})

    async def work() -> None:
        async with served(answer) as address:
            one = participant("openai", address)
            async with opened(one) as api:
                with pytest.raises(ProviderError) as failed:
                    await api.submit("m", [api.line("m-0", Request(one, PROMPT))])
                assert KEY not in f"{failed.value}{failed.value.raw}"
                found = (await collected(api, "b"))["m-0"]
        assert isinstance(found, Response)
        assert found.text == "your key is ***"
        assert KEY not in found.raw

    go(work())


@pytest.mark.parametrize(
    ("line", "is_result"),
    [
        ({"custom_id": "a", "response": None, "error": {"code": "batch_expired", "message": "late"}}, True),
        ({"custom_id": "a"}, True),
        ({"custom_id": "a", "response": {"status_code": 200, "body": None}}, True),
        ({"custom_id": "a", "response": {"status_code": "200", "body": {}}, "error": 3}, True),
        ({"custom_id": None}, False),
        ({"custom_id": ["a"]}, False),
        ([], False),
    ],
)
def test_strange_lines_never_break_the_reading(line: Any, is_result: bool, go: Callable[..., Any]) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path.endswith("/content"):
            return web.Response(text=json.dumps(line))
        return web.json_response({"id": "b", "status": "completed", "output_file_id": "f"})

    async def work() -> list[Result | None]:
        async with served(answer) as address, opened(participant("openai", address)) as api:
            return [result async for result in api.results(await api.look("b"))]

    (result,) = go(work())
    assert (result is not None) == is_result
    assert result is None or not isinstance(result.outcome, Response)


@pytest.mark.parametrize(
    "result",
    [
        *(
            {"type": "succeeded", "message": message}
            for message in ({}, {"content": "text"}, {"content": [3, {"type": 4}]})
        ),
        *({"type": "errored", "error": error} for error in (None, "text", {}, {"error": {"type": None}})),
        *({"type": "expired"}, {"type": "unheard of"}, {}),
    ],
)
def test_strange_results_of_anthropic(result: Any, go: Callable[..., Any]) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path.endswith("/results"):
            return web.Response(text=json.dumps({"custom_id": "a", "result": result}) + "\n")
        url = f"http://{request.host}/results"
        return web.json_response({"id": "b", "processing_status": "ended", "results_url": url})

    async def work() -> list[Result | None]:
        async with served(answer) as address, opened(participant("anthropic", address)) as api:
            return [found async for found in api.results(await api.look("b"))]

    (found,) = go(work())
    assert found is not None
    if isinstance(found.outcome, Response):
        assert found.outcome.text == ""
        assert found.outcome.usage == Usage()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"batch": None}, "no batch API is declared"),
        ({"params": {}}, "max_tokens"),
        ({"params": {"max_tokens": 5, "reasoning_effort": "low"}}, "reasoning_effort"),
        ({"model": "gemini/x"}, "begin with anthropic/"),
        ({"seed": "auto"}, "seeds"),
        ({}, None),
    ],
)
def test_who_can_be_asked_in_batches(given: dict[str, Any], why: str | None) -> None:
    fields = {"model": "anthropic/m", "params": {"max_tokens": 5}, "batch": Batching("anthropic"), **given}
    one = Participant("m", "litellm", **fields)
    said = unbatchable(one)
    assert (said is None) == (why is None)
    if why:
        assert why in str(said)
        with pytest.raises(InputError, match="cannot be asked in batches"):
            batch_api_for(one, {})


def test_an_address_and_a_key_make_an_endpoint() -> None:
    one = participant("openai", "http://127.0.0.1:1")
    assert batch_endpoint_of(one) == batch_endpoint_of(participant("openai", "http://127.0.0.1:1", temperature=1))
    assert batch_endpoint_of(one) != batch_endpoint_of(participant("anthropic", "http://127.0.0.1:1"))
