"""The OpenAI protocol over a real connection: what is sent, what every answer and every failure becomes."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime, formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from partynli.errors import InputError, ProviderError, RegistryError
from partynli.judgments import reader_for
from partynli.prompts import load_task, render
from partynli.providers import provider_for
from partynli.providers.base import kind_of, retry_after, split_reasoning
from partynli.providers.openai_compatible import OpenAICompatibleProvider, lost, read_answer
from partynli.records import Item, Participant, Prompt, Rejection, Request, Response, Usage
from partynli.redaction import redact
from partynli.testing import FAULTS, Behaviour, LoopbackServer

ROOT = Path(__file__).parents[2]
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


@asynccontextmanager
async def saying(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> AsyncIterator[str]:
    """The address of a server that answers everything with the same bytes."""

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, body=body, headers=headers)

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def said(go: Any, status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def main() -> Response:
        async with saying(status, content, headers) as url:
            return await ask(url)

    found: Response = go(main())
    return found


def completion(content: Any, finish: Any = "stop", **message: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"content": content, **message}, "finish_reason": finish}]}


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


def test_any_answer_shows_that_a_server_is_there(go: Any) -> None:
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


# --- bodies of all kinds ---


STATUSES = {
    "retryable": (408, 409, 425, 500, 501, 502, 503, 504, 520, 524, 599),
    "rate_limited": (429, 529),
    "bad_request": (413, 422),
    "fatal_participant": (201, 204, 400, 401, 402, 403, 404, 405, 410, 418, 451),
}


@pytest.mark.parametrize("kind", STATUSES)
def test_every_status_has_a_meaning(kind: str) -> None:
    assert {status: kind_of(status, None) for status in STATUSES[kind]} == dict.fromkeys(STATUSES[kind], kind)


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (429, {"code": "insufficient_quota"}, "fatal_participant"),
        (429, {"type": "insufficient_quota", "code": None}, "fatal_participant"),
        (429, {"code": "billing_hard_limit_reached"}, "fatal_participant"),
        (429, {"code": "rate_limit_exceeded"}, "rate_limited"),
        (400, {"code": "context_length_exceeded"}, "bad_request"),
        (400, {"code": "string_above_max_length"}, "bad_request"),
        (400, {"type": "invalid_request_error"}, "fatal_participant"),
        (503, {"type": "overloaded_error"}, "rate_limited"),
        (500, {"code": 500}, "retryable"),
        (404, {"code": ["a"]}, "fatal_participant"),
    ],
)
def test_a_code_says_more_than_a_status(go: Any, status: int, error: Any, kind: str) -> None:
    with pytest.raises(ProviderError, match=f"HTTP {status}: why") as caught:
        said(go, status, {"error": {"message": "why", **error}})
    assert caught.value.kind == kind


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
def test_a_prompt_that_a_policy_stops_is_an_answer(go: Any, code: str) -> None:
    response = said(go, 400, {"error": {"message": "no", "code": code}})
    assert (response.text, response.refused, response.finish_reason) == ("", True, "content_filter")
    assert isinstance(READER.check(response), Rejection)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "no text"),
        (b"<html>\n  <b>Bad Gateway</b>\n</html>", "<html> <b>Bad Gateway</b> </html>"),
        (b"upstream\x00\xff gone", r"upstream\x00\\udcff gone"),
        (b'"down"', '"down"'),
        (b'{"error": "down for good"}', "down for good"),
        (b'{"message": "down"}', "down"),
        (b'{"error": {"message": null}}', '{"error": {"message": null}}'),
        (b'{"error": null}', '{"error": null}'),
        (b"[" * 10_000, r"\[\[\["),
        (b"x" * 100_000, "xxx"),
    ],
)
def test_an_error_body_of_any_kind_is_one_short_line(go: Any, body: bytes, text: str) -> None:
    with pytest.raises(ProviderError, match=f"^HTTP 502: {text}" if text[0] != "<" else re.escape(text)) as caught:
        said(go, 502, body)
    assert caught.value.kind == "retryable"
    assert len(str(caught.value)) <= 320
    assert "\n" not in str(caught.value)
    assert caught.value.raw is not None


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{}", b'"text"', b'{"choices": []}', b'{"choices": [{}]}', b"[" * 100_000]
)
def test_a_200_without_a_completion_may_pass_and_may_have_cost(go: Any, body: bytes) -> None:
    with pytest.raises(ProviderError, match=r"is no chat completion|is not JSON") as caught:
        said(go, 200, body)
    assert (caught.value.kind, caught.value.status, caught.value.billable) == ("retryable", 200, True)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 429, "message": "slow down"}, "rate_limited"),
        ({"code": 404, "message": "gone"}, "fatal_participant"),
        ({"code": "odd", "message": "?"}, "retryable"),
        ({"message": "?"}, "retryable"),
    ],
)
def test_an_error_inside_a_200_is_an_error(go: Any, error: Any, kind: str) -> None:
    with pytest.raises(ProviderError) as caught:
        said(go, 200, {"error": error})
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        (None, ""),
        ([], ""),
        ([{"type": "text", "text": "one "}, {"type": "text", "text": "two"}], "one two"),
        ([{"type": "thinking", "thinking": [{"text": "hm"}]}, {"type": "text", "text": "so"}], "so"),
        ([{"type": "text", "text": None}, {"type": "text", "text": 3}, "bare", None, {"text": "so"}], "so"),
        (0.5, "0.5"),
        ({"a": 1}, "{'a': 1}"),
    ],
)
def test_content_of_any_type_is_a_text(go: Any, content: Any, text: str) -> None:
    assert said(go, 200, completion(content)).text == text


@pytest.mark.parametrize(
    ("content", "message", "text", "reasoning", "is_open"),
    [
        ("<think>hm</think> so", {}, "so", "hm", False),
        ("\n <think>\nhm\n</think>\n\nso", {}, "so", "hm", False),
        ("hm</think>so", {}, "so", "hm", False),  # the chat template opened the block itself
        ("<think>a</think>b</think>so", {}, "so", "a</think>b", False),
        ("<think>hm", {}, "", "hm", True),
        ("<think></think>", {}, "", "", False),
        ("so", {"reasoning_content": "hm"}, "so", "hm", False),
        ("so", {"reasoning": "hm"}, "so", "hm", False),
        ("<think>mine</think>so", {"reasoning": "hm"}, "so", "mine", False),
        ("so", {"reasoning": ["hm"]}, "so", "", False),
        ("so <think>hm</think>", {}, "", "so <think>hm", False),
        ("", {"reasoning_content": "hm"}, "", "hm", False),
    ],
)
def test_reasoning_goes_to_a_field_of_its_own(
    go: Any, content: str, message: Any, text: str, reasoning: str, is_open: bool
) -> None:
    response = said(go, 200, completion(content, **message))
    assert (response.text, response.reasoning, response.open_reasoning) == (text, reasoning, is_open)


def test_reasoning_that_used_up_all_tokens_is_open(go: Any) -> None:
    for message in ({"reasoning_content": "hm"}, {"reasoning": "hm"}):
        response = said(go, 200, completion(None, "length", **message))
        assert response.open_reasoning
        found = READER.check(response)
        assert found is not None
        assert found.reason == "truncated"


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4}, (3, 4)),
        ({"prompt_tokens": 3}, (3, None)),
        ({"prompt_tokens": "3", "completion_tokens": 4.0}, (None, None)),
        ({"prompt_tokens": True, "completion_tokens": -1}, (None, None)),
        ({"prompt_tokens": 2**60}, (None, None)),
        (None, (None, None)),
        ([3, 4], (None, None)),
    ],
)
def test_only_counts_are_counted(go: Any, usage: Any, counted: Any) -> None:
    assert said(go, 200, {**completion("so"), "usage": usage}).usage == counted


def test_names_fit_to_be_stored(go: Any) -> None:
    odd = {**completion("so", 3), "model": "m" * 1000, "system_fingerprint": "half \ud83d"}
    response = said(go, 200, odd)
    assert response.served_model == "m" * 300
    assert response.fingerprint == "half \\ud83d"
    assert response.finish_reason == "3"


def test_bytes_that_are_no_utf_8_are_kept_as_escapes_that_json_can_read(go: Any) -> None:
    response = said(go, 200, json.dumps(completion("a?b")).encode().replace(b"?", b"\xf0\x9f"))
    response.raw.encode()
    assert response.text == "a\udcf0\udc9fb"
    assert json.loads(response.raw)["choices"][0]["message"]["content"] == response.text
    with pytest.raises(ProviderError, match=r"HTTP 500: \\udcff$"):
        said(go, 500, b"\xff")


def test_a_packed_answer_is_unpacked(go: Any) -> None:
    body = gzip.compress(json.dumps(completion("so")).encode())
    assert said(go, 200, body, {"Content-Encoding": "gzip"}).text == "so"
    with pytest.raises(ProviderError) as caught:
        said(go, 200, b"not packed", {"Content-Encoding": "gzip"})
    assert caught.value.kind == "retryable"


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_a_key_that_a_server_repeats_is_taken_out_everywhere(go: Any, status: int) -> None:
    body = {**completion(f"your key is {KEY}", reasoning=KEY), "model": KEY, "system_fingerprint": KEY}
    body["error"] = {"message": f"bad key {KEY}", "code": KEY}
    try:
        shown = repr(said(go, status, body)._replace(headers={}))
    except ProviderError as error:
        shown = f"{error} {error.raw} {error!r}"
    assert KEY not in shown
    assert "***" in shown


def test_redaction_takes_out_every_key_and_ignores_those_that_are_not_there() -> None:
    first, second = "sk-first", "sk-second"
    assert redact(f"{first} b {first}", first, None, "", second) == "*** b ***"
    assert redact(f"{first} b {second}", first, second) == "*** b ***"


def test_a_word_that_stands_for_no_key_is_left_in_answers() -> None:
    assert redact("none of them", "none", "EMPTY", "e") == "none of them"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "choices",
                        "message",
                        "content",
                        "text",
                        "error",
                        "code",
                        "type",
                        "usage",
                        "prompt_tokens",
                        "model",
                    ),
                    *("finish_reason", "refusal", "reasoning", "reasoning_content", "provider_specific_fields"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
_message = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("content", "reasoning", "reasoning_content", "refusal"), _json)
)
_choice = st.fixed_dictionaries({"message": _message}, optional={"finish_reason": _json})
_body = (
    _json
    | st.fixed_dictionaries(
        {"choices": st.lists(_choice, min_size=1, max_size=2)},
        optional=dict.fromkeys(("usage", "model", "system_fingerprint", "error"), _json),
    )
    | st.fixed_dictionaries({"error": _json})
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_body, st.sampled_from([200, 200, 400, 404, 429, 500]))
def test_any_json_is_an_answer_or_an_error_of_ours(body: Any, status: int) -> None:
    try:
        response = read_answer(status, json.dumps(body).encode(), {}, KEY)
    except ProviderError:
        return
    for name in ("finish_reason", "served_model", "fingerprint", "raw"):
        (getattr(response, name) or "").encode()
    READER.judge(response, ITEM.texts)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.sampled_from([200, 400, 500]))
def test_any_bytes_are_an_answer_or_an_error_of_ours(content: bytes, status: int) -> None:
    with pytest.raises(ProviderError):
        read_answer(status, content, {}, None)


# --- when to come back ---


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": " 1.5 "}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "Retry-After": "9"}, 0.25),
        ({"retry-after-ms": "soon", "Retry-After": "9"}, 9.0),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "tomorrow"}, None),
        ({"Retry-After": "Mon, 01 Jan 2001 00:00:00 GMT"}, 0.0),
        ({"Retry-After": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, None),
        ({"Retry-After": "Mon, 01 Jan 2030 00:99:00 GMT"}, None),
    ],
)
def test_what_retry_after_asks_for(headers: Mapping[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@pytest.mark.parametrize("skew", [-(10**8), -3600, 0, 3600, 10**8])
def test_a_date_is_read_by_the_clock_that_wrote_it(skew: int) -> None:
    def told(seconds: int) -> str:
        return formatdate(time.time() + skew + seconds, usegmt=True)

    assert retry_after({"Date": told(0), "Retry-After": told(30)}) == pytest.approx(30.5, abs=0.6)
    assert retry_after({"Date": told(30), "Retry-After": told(0)}) == 0.0


@pytest.mark.parametrize("date", ["yesterday", "", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"])
def test_a_date_of_no_sense_leaves_our_own_clock(date: str) -> None:
    ahead = formatdate(time.time() + 30, usegmt=True)
    assert retry_after({"Date": date, "Retry-After": ahead}) == pytest.approx(31, abs=1.5)


_zones = st.integers(-14 * 4, 14 * 4).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))
_moments = st.integers(-100_000, 100_000)
_FORMS = {
    "RFC 9110": lambda date: date.strftime("%a, %d %b %Y %H:%M:%S GMT"),
    "RFC 850": lambda date: date.strftime("%A, %d-%b-%y %H:%M:%S GMT"),
    "asctime": lambda date: date.strftime("%a %b %e %H:%M:%S %Y"),
    "unknown zone": lambda date: date.strftime("%a, %d %b %Y %H:%M:%S -0000"),
}


@settings(max_examples=100, deadline=None)
@given(_moments, st.sampled_from([*_FORMS, "a zone"]), _zones, st.sampled_from(["UTC", "Asia/Tokyo", "America/Lima"]))
def test_a_date_in_any_form_is_waited_for_and_not_much_longer(ahead: int, form: str, zone: Any, here: str) -> None:
    date = datetime.fromtimestamp(int(time.time()) + ahead, UTC)
    given_ = format_datetime(date.astimezone(zone)) if form == "a zone" else _FORMS[form](date)
    was = os.environ.get("TZ")
    os.environ["TZ"] = here  # a date that names no zone is UTC, wherever this machine stands
    time.tzset()
    try:
        before = time.time()
        waited = retry_after({"Retry-After": given_})
        after = time.time()
    finally:
        os.environ.pop("TZ") if was is None else os.environ.update(TZ=was)
        time.tzset()
    assert waited is not None
    # a date has whole seconds: the one that is meant may end a second later
    end = date.timestamp() + 1.0
    assert max(0.0, end - after) <= waited <= max(0.0, end - before)


@settings(max_examples=150, deadline=None)
@given(
    st.text()
    | st.from_regex(
        r"[A-Z][a-z]{2}, \d{1,3} (Jan|Feb) \d{1,12} \d{1,6}:\d{1,6}:\d{1,6} ?(GMT|[+-]\d{1,9}|)", fullmatch=True
    )
)
def test_any_text_is_a_time_to_wait_or_none(text: str) -> None:
    seconds = retry_after({"Retry-After": text, "retry-after-ms": text})
    assert seconds is None or 0 <= seconds < float("inf")


def test_no_block_of_thought_takes_long_to_part() -> None:
    started = time.process_time()
    for text in ("<think>" * 50_000, "</think>" * 50_000, "<think>" + " " * 500_000, " " * 500_000):
        split_reasoning(text)
    assert time.process_time() - started < 1.0
