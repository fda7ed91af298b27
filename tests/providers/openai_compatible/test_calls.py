"""The OpenAI protocol over a real connection: what is sent, and what every fault and failure becomes."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from partynli.errors import InputError, ProviderError, RegistryError
from partynli.judgments import reader_for
from partynli.prompts import load_task, render
from partynli.providers import provider_for
from partynli.providers.openai_compatible import OpenAICompatibleProvider, lost
from partynli.records import Item, Participant, Prompt, Rejection, Request, Response, Usage
from partynli.testing import FAULTS, Behaviour, LoopbackServer

ROOT = Path(__file__).parents[3]
TASK = load_task("livenli", ROOT / "prompts")
READER, _ = reader_for(TASK)
KEY = "sk-canary-77aa31"
ITEM = Item("1", {"premise": "The men sang in the “old” house.", "hypothesis": "People sang."})
PROMPT = render(TASK, ITEM)
HELLO = Prompt(({"role": "user", "content": "Hello"},), {})


def participant(name: str = "m", **params: Any) -> Participant:
    return Participant(name, "openai", name, params)


async def ask(url: str, request: Request | None = None, *, key: str | None = KEY, timeout: float = 5.0) -> Response:
    provider = OpenAICompatibleProvider(url, key)
    await provider.aopen()
    try:
        return await provider.generate(request or Request(participant(), PROMPT), timeout=timeout)
    finally:
        await provider.aclose()


def once(go: Any, behaviour: Behaviour, request: Request | None = None, timeout: float = 5.0) -> tuple[Any, Any]:
    """What one call gives, an answer or an error, and the server's books."""

    async def main() -> tuple[Any, Any]:
        async with LoopbackServer(default=behaviour, keep_requests=3) as server:
            try:
                return await ask(server.url, request, timeout=timeout), server.books
            except ProviderError as error:
                return error, server.books

    return go(main())


# --- what is sent ---


def test_the_body_holds_model_messages_parameters_and_seed_and_nothing_else(go: Any) -> None:
    asked = participant("org/model-é", temperature=0.5, stop=["\n"], extra={"a": None})
    _, books = once(go, Behaviour(), Request(asked, PROMPT, seed=7))
    (request,) = books.requests
    assert request["path"] == "/v1/chat/completions"
    assert request["body"] == {
        "model": "org/model-é",
        "messages": [dict(message) for message in PROMPT.messages],
        "temperature": 0.5,
        "stop": ["\n"],
        "extra": {"a": None},
        "seed": 7,
    }
    assert request["headers"]["Content-Type"] == "application/json"


def test_without_parameters_and_seed_there_are_none(go: Any) -> None:
    _, books = once(go, Behaviour())
    assert set(books.requests[0]["body"]) == {"model", "messages"}


def test_texts_that_no_utf_8_can_hold_do_not_stop_a_call(go: Any) -> None:
    odd = Prompt(({"role": "user", "content": 'half \ud83d "quoted" \x00 \\'},), {})
    found, books = once(go, Behaviour(), Request(participant(), odd))
    assert isinstance(found, Response)
    assert books.requests[0]["body"]["messages"] == list(odd.messages)


def test_the_key_is_sent_as_a_bearer_token_or_not_at_all(go: Any) -> None:
    async def main() -> None:
        async with LoopbackServer(api_key=KEY, keep_requests=3) as server:
            assert (await ask(server.url)).text
            with pytest.raises(ProviderError, match="401"):
                await ask(server.url, key=None)
            assert ["Authorization" in one["headers"] for one in server.books.requests] == [True, False]

    go(main())


def test_a_slash_at_the_end_of_the_address_does_no_harm(go: Any) -> None:
    async def main() -> None:
        async with LoopbackServer() as server:
            assert (await ask(server.url + "/")).text

    go(main())


def test_the_provider_of_a_participant_has_its_address_and_its_key(go: Any) -> None:
    async def main() -> None:
        async with LoopbackServer(api_key=KEY) as server:
            one = Participant("m", "openai", "m", {}, api_base=server.url, api_key_env="THE_KEY")
            for environ in ({"THE_KEY": KEY}, {"THE_KEY": f" {KEY}\n"}):
                provider = provider_for(one, environ)
                assert (await provider.generate(Request(one, HELLO), timeout=5.0)).text
                await provider.aclose()
            provider = provider_for(one, {})
            with pytest.raises(ProviderError, match="401"):
                await provider.generate(Request(one, HELLO), timeout=5.0)
            await provider.aclose()

    go(main())


def test_a_participant_without_an_address_is_told_what_to_do() -> None:
    with pytest.raises(InputError, match=r"'m' has no api_base; give its address .*api_base: http"):
        provider_for(participant(), {})
    with pytest.raises(RegistryError, match="no provider for route 'pigeon'"):
        provider_for(Participant("m", "pigeon", "m", {}), {})


def test_this_route_imports_nothing_heavy() -> None:
    heavy = "{'litellm', 'openai', 'httpx', 'pandas', 'scipy', 'numpy'}"
    code = f"import sys, partynli.providers.openai_compatible; print({heavy} & set(sys.modules))"
    asked = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert asked.stdout == "set()\n"


# --- every fault of the loopback server ---


ERRORS = {
    # fault -> kind, status, retry_after, billable
    "rate_limited": ("rate_limited", 429, 1.0, False),
    "quota": ("fatal_participant", 429, None, False),
    "server_error": ("retryable", 500, None, False),
    "overloaded": ("retryable", 503, None, False),
    "not_found": ("fatal_participant", 404, None, False),
    "unauthorized": ("fatal_participant", 401, None, False),
    "forbidden": ("fatal_participant", 403, None, False),
    "bad_parameter": ("fatal_participant", 400, None, False),
    "echo_key": ("fatal_participant", 401, None, False),
    "hang": ("retryable", None, None, True),
    "cut": ("retryable", None, None, True),
    "reset": ("retryable", None, None, True),
    "not_http_json": ("retryable", 200, None, True),
}
ANSWERS: dict[str, dict[str, Any]] = {
    # fault -> fields of the response
    "slow_body": {},
    "empty": {"text": ""},
    "malformed": {},
    "fenced": {},
    "prose": {},
    "truncated": {"finish_reason": "length"},
    "truncated_reasoning": {"text": "", "reasoning": True, "finish_reason": "length", "open_reasoning": True},
    "truncated_reasoning_content": {"text": "", "reasoning": True, "finish_reason": "length", "open_reasoning": True},
    "refusal": {"text": "", "refused": True},
    "refusal_text": {},
    "content_filter": {"text": "", "finish_reason": "content_filter"},
    "content_policy": {
        "text": "",
        "finish_reason": "content_filter",
        "refused": True,
        "usage": Usage(),
        "served_model": None,
        "fingerprint": None,
    },
    "reasoning": {"reasoning": True},
    "reasoning_content": {"reasoning": True},
    "unknown_label": {},
    "set_order": {},
    "schema": {},
    "drift": {"served_model": "m-drifted", "fingerprint": "fp_drifted"},
    "no_usage": {"usage": Usage()},
}
WELL: dict[str, Any] = {
    "text": True,
    "reasoning": False,
    "finish_reason": "stop",
    "usage": True,
    "served_model": "m",
    "fingerprint": "fp_loopback",
    "refused": False,
    "open_reasoning": False,
}


def test_every_fault_is_tested_here() -> None:
    assert set(FAULTS) == set(ERRORS) | set(ANSWERS)


@pytest.mark.parametrize("fault", ERRORS)
def test_every_failure_says_what_it_means(go: Any, fault: Any) -> None:
    error, books = once(go, Behaviour(script=(fault,)), timeout=0.3 if fault == "hang" else 5.0)
    assert isinstance(error, ProviderError)
    assert (error.kind, error.status, error.retry_after, error.billable) == ERRORS[fault]
    assert "\n" not in str(error)
    assert KEY not in f"{error} {error.raw}"
    assert books.total.received == 1, "a provider does not try again"


@pytest.mark.parametrize("fault", [*ANSWERS, None])
def test_every_answer_is_read_into_its_fields(go: Any, fault: Any) -> None:
    response, books = once(go, Behaviour(script=(fault,), slow_body_s=0.05))
    wanted = {**WELL, **(ANSWERS[fault] if fault else {})}
    for name, value in wanted.items():
        found = getattr(response, name)
        assert (bool(found) if isinstance(value, bool) else found) == value, name
    assert json.loads(response.raw)
    assert books.total.received == 1
    if wanted["reasoning"]:
        assert "<think>" not in response.text + response.reasoning
        assert response.reasoning.startswith("The context comes first.")
    if response.usage != Usage():
        tokens_in, tokens_out = response.usage
        assert tokens_in > 500
        assert tokens_out >= len(response.text) // 4


@pytest.mark.parametrize("fault", ["truncated_reasoning", "truncated_reasoning_content"])
def test_truncation_inside_the_reasoning_is_truncated(go: Any, fault: Any) -> None:
    response, _ = once(go, Behaviour(script=(fault,)))
    found = READER.judge(response, ITEM.texts)
    assert isinstance(found, Rejection)
    assert found.reason == "truncated"


def test_a_parameter_that_the_server_refuses_is_an_error_and_not_dropped(go: Any) -> None:
    refusing = Behaviour(refuse_parameters=("top_k",))
    error, books = once(go, refusing, Request(participant(top_k=5), PROMPT))
    assert error.kind == "fatal_participant"
    assert "'top_k' is not supported" in str(error)
    assert [one["body"]["top_k"] for one in books.requests] == [5]


def test_an_answer_that_takes_too_long_may_have_been_charged(go: Any) -> None:
    error, _ = once(go, Behaviour(script=("slow_body",), slow_body_s=2.0), timeout=0.3)
    assert (error.kind, error.billable) == ("retryable", True)
    assert re.search(r"no answer from http://\S+ within 0.3 s", str(error))


def test_a_date_to_come_back_at_is_never_early(go: Any) -> None:
    before = time.time()
    error, books = once(go, Behaviour(script=("rate_limited",), retry_after="date", retry_after_s=2.0))
    ((_, told),) = books.total.rate_limited
    assert error.retry_after + (time.time() - before) >= told
    assert error.retry_after <= told + 1.0


def test_the_limits_in_the_headers_come_with_the_answer(go: Any) -> None:
    response, _ = once(go, Behaviour(rpm=600, tpm=90_000, limit_headers=True))
    assert response.headers.get("x-ratelimit-limit-requests") == "600"
    assert response.headers.get("X-RateLimit-Limit-Tokens") == "90000"


# --- a server that is not there ---


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_a_server_that_is_not_there(go: Any, closed_port: int) -> None:
    url = f"http://127.0.0.1:{closed_port}/v1"
    with pytest.raises(ProviderError, match="cannot connect") as caught:
        go(ask(url))
    assert (caught.value.kind, caught.value.status, caught.value.billable) == ("retryable", None, False)
    with pytest.raises(ProviderError, match=f"nothing answers at {url}/models") as unreached:
        go(reach(url))
    assert "ssl:" not in str(unreached.value)  # aiohttp's words, for an address that has no TLS


def test_a_certificate_that_is_not_trusted_is_said() -> None:
    where = SimpleNamespace(host="api.example", port=443, ssl=True, is_ssl=True)
    error = aiohttp.ClientConnectorCertificateError(where, ssl.SSLCertVerificationError(1, "self-signed certificate"))
    assert str(lost(error, "https://api.example/v1", None)) == (
        "cannot connect to api.example:443: self-signed certificate"
    )


async def reach(url: str, key: str | None = None) -> None:
    provider = OpenAICompatibleProvider(url, key)
    await provider.aopen()
    try:
        await provider.reach()
    finally:
        await provider.aclose()


def test_any_answer_shows_that_a_server_is_there(go: Any, saying: Any) -> None:
    async def main() -> None:
        async with LoopbackServer(api_key=KEY) as server:
            await reach(server.url)
            assert server.books.total.received == 0, "no model is asked"
        async with saying(500, b"<html>") as url:
            await reach(url)

    go(main())


@pytest.mark.parametrize("url", ["http://", "http://:80/v1", "no address", "http://[::1/v1"])
def test_what_is_no_address(go: Any, url: str) -> None:
    with pytest.raises(ProviderError) as caught:
        go(ask(url))
    assert caught.value.kind == "fatal_participant"
    with pytest.raises(ProviderError):
        go(reach(url))


def test_a_key_that_no_header_can_hold_is_an_error_that_does_not_show_it(go: Any) -> None:
    async def main() -> None:
        async with LoopbackServer() as server:
            with pytest.raises(ProviderError, match="cannot be sent") as caught:
                await ask(server.url, key=f"{KEY}\nX-Other: 1")
            assert caught.value.kind == "fatal_participant"
            assert KEY not in str(caught.value)
            assert server.books.total.received == 0

    go(main())


# --- connections ---


def sockets() -> int:
    links = []
    for name in os.listdir("/proc/self/fd"):
        with_link = Path("/proc/self/fd") / name
        if with_link.is_symlink():
            links.append(os.readlink(with_link))
    return sum(link.startswith("socket:") for link in links)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted in /proc")
def test_connections_are_kept_and_none_is_left_open(go: Any) -> None:
    async def main() -> None:
        async with LoopbackServer(
            default=Behaviour(latency_s=0.01, fault_share=0.2, faults=("cut", "reset"))
        ) as server:
            before = sockets()
            provider = OpenAICompatibleProvider(server.url, KEY)
            await provider.aopen()
            for _ in range(3):
                calls = [provider.generate(Request(participant(), HELLO), timeout=5.0) for _ in range(30)]
                await asyncio.gather(*calls, return_exceptions=True)
            assert sockets() - before <= 2 * 30, "both ends are counted"
            await provider.aclose()
            await provider.aclose()
            await asyncio.sleep(0.05)
            assert sockets() <= before

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        go(main())
        gc.collect()
    assert [str(one.message) for one in caught] == []


def test_a_provider_opens_when_it_is_needed_and_again_when_it_is_told_to(go: Any) -> None:
    async def main() -> None:
        async with LoopbackServer() as server:
            provider = OpenAICompatibleProvider(server.url)
            for _ in range(2):
                assert (await provider.generate(Request(participant(), HELLO), timeout=5.0)).text
                await provider.reach()
                await provider.aclose()
                with pytest.raises(ProviderError, match="is closed") as closed:
                    await provider.generate(Request(participant(), HELLO), timeout=5.0)
                assert closed.value.kind == "retryable"
                await provider.aopen()
            await provider.aclose()

    go(main())


def test_many_calls_at_once_get_their_own_answers(go: Any) -> None:
    async def main() -> None:
        models = {f"m{k}": Behaviour(text=f"I am m{k}", latency_s=0.01 * (k % 3)) for k in range(20)}
        async with LoopbackServer(models) as server:
            provider = OpenAICompatibleProvider(server.url)
            await provider.aopen()
            asked = [f"m{k % 20}" for k in range(200)]
            calls = [provider.generate(Request(participant(name), HELLO), timeout=5.0) for name in asked]
            answers = await asyncio.gather(*calls)
            assert [one.text for one in answers] == [f"I am {name}" for name in asked]
            await provider.aclose()

    go(main())
