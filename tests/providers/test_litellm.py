"""litellm against a real server in both protocols: what every answer and every failure becomes, and what is mapped."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from partynli.errors import InputError, ProviderError
from partynli.judgments import reader_for
from partynli.prompts import load_task, render
from partynli.providers import litellm as route
from partynli.providers import provider_for
from partynli.providers.litellm import LiteLLMProvider
from partynli.records import Item, Participant, Rejection, Request, Response, Usage
from partynli.sampling.limits import ToldLimits, told_limits
from partynli.testing import FAULTS, Behaviour, LoopbackServer

ROOT = Path(__file__).parents[2]
READER, _ = reader_for(load_task("livenli", ROOT / "prompts"))
ITEM = Item("1", {"premise": "The men sang in the old house.", "hypothesis": "People sang."})
PROMPT = render(load_task("livenli", ROOT / "prompts"), ITEM)
KEY = "sk-canary-77aa31"
BOTH = ("openai", "anthropic")
MODELS = {"openai": "openai/m", "anthropic": "anthropic/claude-m"}


def request(protocol: str, seed: int | None = None, **params: Any) -> Request:
    demanded = {"max_tokens": 900} if protocol == "anthropic" else {}
    return Request(Participant("m", "litellm", MODELS[protocol], {**demanded, **params}), PROMPT, seed)


async def ask(url: str, asked: Request, *, key: str | None = KEY, timeout: float = 5.0) -> Response:
    provider = LiteLLMProvider(key, url)
    await provider.aopen()
    try:
        await provider.reach()
        return await provider.generate(asked, timeout=timeout)
    finally:
        await provider.aclose()


def address(server: LoopbackServer, protocol: str) -> str:
    return server.url if protocol == "openai" else server.anthropic_url


def once(go: Any, protocol: str, behaviour: Behaviour, timeout: float = 5.0, **params: Any) -> tuple[Any, Any]:
    """What one call gives, an answer or an error, and the server's books."""

    async def main() -> tuple[Any, Any]:
        async with LoopbackServer(default=behaviour, keep_requests=3) as server:
            asked = request(protocol, **params)
            try:
                return await ask(address(server, protocol), asked, timeout=timeout), server.books
            except ProviderError as error:
                return error, server.books

    return go(main())


@asynccontextmanager
async def saying(status: int, body: Any, headers: Mapping[str, str] | None = None) -> AsyncIterator[str]:
    """The address of a server that answers everything with the same JSON."""

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.json_response(body, status=status, headers=headers)

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def said(go: Any, protocol: str, status: int, body: Any, headers: Mapping[str, str] | None = None) -> Any:
    async def main() -> Any:
        async with saying(status, body, headers) as url:
            try:
                return await ask(url, request(protocol))
            except ProviderError as error:
                return error

    return go(main())


# --- what is sent ---


def test_openai_s_protocol_gets_the_messages_and_the_parameters_alone(go: Any) -> None:
    _, books = once(go, "openai", Behaviour(), temperature=0.5, seed=7)
    (sent,) = books.requests
    assert sent["path"] == "/v1/chat/completions"
    assert sent["body"] == {
        "model": "m",
        "messages": [dict(message) for message in PROMPT.messages],
        "temperature": 0.5,
        "seed": 7,
    }


def test_anthropic_s_protocol_gets_them_in_its_own_form(go: Any) -> None:
    _, books = once(go, "anthropic", Behaviour(), temperature=0.5)
    (sent,) = books.requests
    system, user = PROMPT.messages
    assert sent["path"] == "/v1/messages"
    assert sent["body"]["model"] == "claude-m"
    assert (sent["body"]["max_tokens"], sent["body"]["temperature"]) == (900, 0.5)
    assert [part["text"] for part in sent["body"]["system"]] == [system["content"]]
    (message,) = sent["body"]["messages"]
    assert message["role"] == "user"
    assert [part["text"] for part in message["content"]] == [user["content"]]
    assert set(sent["body"]) == {"model", "messages", "system", "max_tokens", "temperature"}


@pytest.mark.parametrize("protocol", BOTH)
def test_the_key_comes_from_the_environment_that_is_given(go: Any, protocol: str) -> None:
    async def main() -> None:
        async with LoopbackServer(api_key=KEY) as server:
            url, model = address(server, protocol), MODELS[protocol]
            one = Participant("m", "litellm", model, {"max_tokens": 9}, api_base=url, api_key_env="THE_KEY")
            provider = provider_for(one, {"THE_KEY": f"{KEY}\n"})
            assert (await provider.generate(Request(one, PROMPT), timeout=5.0)).text
            await provider.aclose()
            with pytest.raises(InputError, match="whatever key it finds"):
                provider_for(one, {})
            assert server.books.total.received == 1

    go(main())


# --- every fault of the loopback server ---


ERRORS: dict[str, dict[str, tuple[str, int | None, float | None, bool]]] = {
    # fault -> protocol -> kind, status, retry_after, billable
    "rate_limited": dict.fromkeys(BOTH, ("rate_limited", 429, 1.0, False)),
    "quota": {
        "openai": ("fatal_participant", 429, None, False),
        "anthropic": ("fatal_participant", 400, None, False),
    },
    "server_error": dict.fromkeys(BOTH, ("retryable", 500, None, False)),
    "overloaded": {"openai": ("retryable", 503, None, False), "anthropic": ("retryable", 500, None, False)},
    "not_found": dict.fromkeys(BOTH, ("fatal_participant", 404, None, False)),
    "unauthorized": dict.fromkeys(BOTH, ("fatal_participant", 401, None, False)),
    "forbidden": dict.fromkeys(BOTH, ("fatal_participant", 403, None, False)),
    "bad_parameter": dict.fromkeys(BOTH, ("fatal_participant", 400, None, False)),
    "echo_key": dict.fromkeys(BOTH, ("fatal_participant", 401, None, False)),
    "hang": dict.fromkeys(BOTH, ("retryable", None, None, True)),
    "cut": dict.fromkeys(BOTH, ("retryable", 500, None, True)),
    "reset": {"openai": ("retryable", 500, None, True)},
    "not_http_json": {"openai": ("retryable", 500, None, False), "anthropic": ("retryable", 500, None, True)},
    # Anthropic has no code of its own for it; the words that it uses are tested below
    "content_policy": {"anthropic": ("fatal_participant", 400, None, False)},
    # litellm cannot read an answer of Anthropic's without counts
    "no_usage": {"anthropic": ("retryable", 500, None, True)},
}
THOUGHT = {"text": "", "reasoning": True, "finish_reason": "length", "open_reasoning": True}
BLOCKED = {"text": "", "finish_reason": "content_filter", "refused": True, "usage": Usage(), "served_model": None}
ANSWERS: dict[str, dict[str, Any]] = {
    # fault -> fields of the response, where both protocols give them
    "slow_body": {},
    "empty": {"text": ""},
    "malformed": {},
    "fenced": {},
    "prose": {},
    "truncated": {"finish_reason": "length"},
    "truncated_reasoning": THOUGHT,
    "truncated_reasoning_content": THOUGHT,
    "refusal_text": {},
    "content_filter": {"text": "", "finish_reason": "content_filter"},
    "reasoning": {"reasoning": True},
    "reasoning_content": {"reasoning": True},
    "unknown_label": {},
    "set_order": {},
    "schema": {},
}
OWN_ANSWERS: dict[tuple[str, str], dict[str, Any]] = {
    # where they differ
    ("refusal", "openai"): {"text": "", "refused": True},
    ("refusal", "anthropic"): {"finish_reason": "content_filter"},
    ("drift", "openai"): {"served_model": "m-drifted"},
    ("drift", "anthropic"): {"served_model": "claude-m-drifted"},
    ("content_policy", "openai"): BLOCKED,
    ("no_usage", "openai"): {"usage": Usage()},
    ("reset", "anthropic"): {},
}
ALL_ANSWERS = {(fault, one): fields for fault, fields in ANSWERS.items() for one in BOTH} | OWN_ANSWERS
READ = {
    "empty": "empty",
    "malformed": "not_json",
    "truncated": "truncated",
    "truncated_reasoning": "truncated",
    "truncated_reasoning_content": "truncated",
    "refusal": "refusal",
    "refusal_text": "refusal",
    "content_filter": "refusal",
    "content_policy": "refusal",
    "unknown_label": "unknown_label",
    "schema": "schema",
}
SENT_TWICE = {("reset", "anthropic")}
"""litellm itself sends a call again whose connection broke before an answer, and cannot be told not to."""


def test_every_fault_is_tested_here_in_both_protocols() -> None:
    failing = {(fault, protocol) for fault, kinds in ERRORS.items() for protocol in kinds}
    assert failing | set(ALL_ANSWERS) == {(fault, protocol) for fault in FAULTS for protocol in BOTH}
    assert not failing & set(ALL_ANSWERS)


@pytest.mark.parametrize(("fault", "protocol"), [(fault, one) for fault, kinds in ERRORS.items() for one in kinds])
def test_every_failure_says_what_it_means(go: Any, fault: Any, protocol: str) -> None:
    limit = 0.3 if fault == "hang" else 5.0
    error, books = once(go, protocol, Behaviour(script=(fault,)), limit, top_p=0.5)
    assert isinstance(error, ProviderError)
    assert (error.kind, error.status, error.retry_after, error.billable) == ERRORS[fault][protocol]
    assert "\n" not in str(error)
    assert len(str(error)) < 330
    assert KEY not in f"{error} {error.raw}"
    assert books.total.received == 1, "a provider does not try again"


@pytest.mark.parametrize(("fault", "protocol"), ALL_ANSWERS)
def test_every_answer_is_read_into_its_fields(go: Any, fault: Any, protocol: str) -> None:
    response, books = once(go, protocol, Behaviour(script=(fault,), slow_body_s=0.05))
    assert isinstance(response, Response), response
    wanted = {
        "text": True,
        "reasoning": False,
        "finish_reason": "stop",
        "usage": True,
        "served_model": MODELS[protocol].partition("/")[2],
        "refused": False,
        "open_reasoning": False,
        **ALL_ANSWERS[fault, protocol],
    }
    for name, value in wanted.items():
        found = getattr(response, name)
        assert (bool(found) if isinstance(value, bool) else found) == value, name
    if wanted["reasoning"]:
        assert "<think>" not in response.text + response.reasoning
        assert response.reasoning.strip().startswith("The context comes first.")
    if response.usage != Usage():
        assert response.usage.tokens_in is not None
        assert response.usage.tokens_in > 500
    found = READER.judge(response, ITEM.texts)
    assert (found.reason if isinstance(found, Rejection) else None) == READ.get(fault)
    assert books.total.received == 1 + ((fault, protocol) in SENT_TWICE)


@pytest.mark.parametrize("protocol", BOTH)
def test_a_good_answer_is_stored_as_json_and_read_again_the_same(go: Any, protocol: str) -> None:
    response, _ = once(go, protocol, Behaviour())
    again = route.read_completion(json.loads(response.raw), response.raw, response.headers)
    assert again == response
    assert (response.fingerprint == "fp_loopback") == (protocol == "openai")


@pytest.mark.parametrize("protocol", BOTH)
def test_the_limits_in_the_headers_come_with_the_answer(go: Any, protocol: str) -> None:
    response, _ = once(go, protocol, Behaviour(rpm=600, tpm=90_000, limit_headers=True))
    assert told_limits(response.headers) == ToldLimits(600.0, 90_000.0)


@pytest.mark.parametrize("protocol", BOTH)
def test_a_date_to_come_back_at_is_never_early(go: Any, protocol: str) -> None:
    before = time.time()
    error, books = once(go, protocol, Behaviour(script=("rate_limited",), retry_after="date", retry_after_s=2.0))
    ((_, told),) = books.total.rate_limited
    assert error.retry_after + (time.time() - before) >= told
    assert error.retry_after <= told + 1.0


@pytest.mark.parametrize("protocol", BOTH)
def test_an_answer_that_takes_too_long_may_have_been_charged(go: Any, protocol: str) -> None:
    started = time.monotonic()
    error, _ = once(go, protocol, Behaviour(script=("slow_body",), slow_body_s=30.0), timeout=0.4)
    assert (error.kind, error.billable) == ("retryable", True)
    assert time.monotonic() - started < 10.0


# --- parameters ---


@pytest.mark.parametrize("protocol", BOTH)
def test_a_parameter_that_the_server_refuses_is_an_error_and_not_dropped(go: Any, protocol: str) -> None:
    error, books = once(go, protocol, Behaviour(refuse_parameters=("top_p",)), top_p=0.5)
    assert error.kind == "fatal_participant"
    assert "top_p" in str(error)
    assert [one["body"]["top_p"] for one in books.requests] == [0.5]


def test_a_parameter_that_litellm_knows_to_be_refused_is_not_even_sent(go: Any) -> None:
    error, books = once(go, "anthropic", Behaviour(), frequency_penalty=0.5)
    assert isinstance(error, ProviderError)
    assert (error.kind, error.billable) == ("fatal_participant", False)
    assert "frequency_penalty" in str(error)
    assert books.total.received == 0


def test_nothing_is_dropped_or_changed_behind_our_back() -> None:
    assert route.litellm.drop_params is False
    assert route.litellm.modify_params is False
    assert route.litellm.telemetry is False


def test_a_model_of_no_provider_is_fatal(go: Any) -> None:
    unknown = Request(Participant("m", "litellm", "no-such-provider/m", {}), PROMPT)
    with pytest.raises(ProviderError, match="LLM Provider NOT provided") as caught:
        go(ask("http://127.0.0.1:9", unknown))
    assert caught.value.kind == "fatal_participant"
    assert "\n" not in str(caught.value)


# --- bodies of its own kinds ---


def anthropic_error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def test_what_anthropic_s_filter_stops_is_an_answer(go: Any) -> None:
    body = anthropic_error("invalid_request_error", "Output blocked by content filtering policy")
    response = said(go, "anthropic", 400, body)
    assert isinstance(response, Response)
    assert (response.text, response.refused, response.finish_reason) == ("", True, "content_filter")


def test_a_prompt_that_is_too_long_is_refused_alone(go: Any) -> None:
    long = said(go, "anthropic", 400, anthropic_error("invalid_request_error", "prompt is too long: 9 tokens > 8"))
    assert long.kind == "bad_request"
    message = "This model's maximum context length is 8 tokens. However, your messages resulted in 9 tokens."
    body = {"error": {"message": message, "type": "invalid_request_error", "code": "context_length_exceeded"}}
    assert said(go, "openai", 400, body).kind == "bad_request"


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (408, "retryable"),
        (409, "retryable"),
        (500, "retryable"),
        (502, "retryable"),
        (503, "retryable"),
        (504, "retryable"),
        (429, "rate_limited"),
        (422, "bad_request"),
        (400, "fatal_participant"),
        (401, "fatal_participant"),
        (403, "fatal_participant"),
        (404, "fatal_participant"),
        (405, "fatal_participant"),
    ],
)
def test_every_status_has_a_meaning(go: Any, protocol: str, status: int, kind: str) -> None:
    error = said(go, protocol, status, {"error": {"message": "why", "type": "odd"}})
    assert isinstance(error, ProviderError)
    assert error.kind == kind


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"Retry-After": "tomorrow"}, None),
        ({"Retry-After": "Mon, 01 Jan 2001 00:00:00 GMT"}, 0.0),
    ],
)
@pytest.mark.parametrize("protocol", BOTH)
def test_what_retry_after_asks_for(go: Any, protocol: str, headers: Mapping[str, str], seconds: float | None) -> None:
    error = said(go, protocol, 429, {"error": {"message": "slow down", "type": "odd"}}, headers)
    assert (error.kind, error.retry_after) == ("rate_limited", seconds)


def test_a_policy_s_words_fit_to_be_stored(go: Any) -> None:
    error = {"message": "half \ud83d", "type": "invalid_request_error", "code": "content_policy_violation"}
    response = said(go, "openai", 400, {"error": error})
    assert response.refused
    response.raw.encode()


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
@pytest.mark.parametrize("protocol", BOTH)
def test_a_key_that_a_server_repeats_is_taken_out_everywhere(go: Any, protocol: str, status: int) -> None:
    choice = {"message": {"role": "assistant", "content": f"your key is {KEY}"}, "finish_reason": "stop"}
    body: dict[str, Any] = {"choices": [choice], "model": KEY, "system_fingerprint": KEY}
    if protocol == "anthropic":
        counts = {"input_tokens": 1, "output_tokens": 1}
        content = [{"type": "text", "text": f"your key is {KEY}"}]
        body = {"type": "message", "role": "assistant", "model": KEY, "content": content, "usage": counts}
        body["stop_reason"] = "end_turn"
    if status != 200:
        body = {"error": {"message": f"bad key {KEY}", "type": KEY, "code": KEY}}
    found = said(go, protocol, status, body)
    shown = repr(found._replace(headers={})) if isinstance(found, Response) else f"{found} {found.raw} {found!r}"
    assert KEY not in shown
    assert "***" in shown or "REDACTED" in shown  # litellm knows Anthropic's keys itself


# --- a server that is not there ---


@pytest.mark.parametrize("protocol", BOTH)
def test_a_server_that_is_not_there_was_not_paid(go: Any, protocol: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with pytest.raises(ProviderError) as caught:
        go(ask(f"http://127.0.0.1:{port}", request(protocol)))
    assert (caught.value.kind, caught.value.billable) == ("retryable", False)
    assert "\n" not in str(caught.value)


# --- the map of litellm's exceptions ---


def exceptions() -> dict[str, type[Exception]]:
    members = inspect.getmembers(route.litellm.exceptions, inspect.isclass)
    return {name: one for name, one in members if issubclass(one, Exception)}


ELSEWHERE = {
    "APIError": "says its status, which says what it means",
    "ContentPolicyViolationError": "is an answer, caught before the map",
    "OpenAIError": "the base of the others, never raised itself",
    "InvalidRequestError": "of the openai package before version 1, never raised",
    "ImageFetchError": "no images are sent",
    "VectorStoreSearchError": "no vector stores are asked",
    "RejectedRequestError": "raised by litellm's proxy for its own users",
    "GuardrailRaisedException": "raised by guardrails, which are not set",
    "BlockedPiiEntityError": "raised by guardrails, which are not set",
    "ModifyResponseException": "raised by guardrails, which are not set",
    "SensitiveDataRouteException": "raised by guardrails, which are not set",
    "MidStreamFallbackError": "nothing is streamed",
    "MockException": "no mock answers are asked for; the registry refuses the parameter",
    "ModelNotMappedError": "about litellm's price list, which is not asked",
}


def test_the_map_of_exceptions_is_complete() -> None:
    unmapped = set(exceptions()) - set(route._KINDS) - set(ELSEWHERE)
    assert not unmapped, "say in `_KINDS` what it means, or here why it cannot come from a call"


def test_nothing_is_both_mapped_and_left_out() -> None:
    assert not set(route._KINDS) & set(ELSEWHERE)
    assert set(route._KINDS.values()) == {"retryable", "rate_limited", "bad_request", "fatal_participant"}


def made(kind: type[Exception], message: str) -> Exception:
    """An exception of litellm's as it makes them, whatever it demands to know."""
    known: dict[str, Any] = {"response": httpx.Response(418, request=httpx.Request("POST", "http://127.0.0.1"))}
    taken = inspect.signature(kind).parameters
    demanded = {name for name, one in taken.items() if one.default is one.empty} | {"message"} & set(taken)
    return kind(**{name: known.get(name, message) for name in demanded})


@pytest.mark.parametrize("name", sorted(set(exceptions()) & set(route._KINDS)))
def test_what_litellm_raises_becomes_an_error_of_ours(name: str) -> None:
    error = LiteLLMProvider(KEY)._explained(made(exceptions()[name], f"why\n{KEY}"))
    assert error.kind == route._KINDS[name]
    assert KEY not in f"{error} {error.raw}"
    assert "\n" not in str(error)


def test_what_nobody_foresaw_may_pass_and_stops_no_one() -> None:
    error = LiteLLMProvider(KEY)._explained(KeyError(f"odd\n{KEY}"))
    assert (error.kind, error.status, error.billable) == ("retryable", None, False)
    assert KEY not in f"{error} {error.raw}"


# --- what it leaves behind ---


def sockets() -> int:
    folder = Path("/proc/self/fd")
    links = [os.readlink(folder / name) for name in os.listdir(folder) if (folder / name).is_symlink()]
    return sum(link.startswith("socket:") for link in links)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted in /proc")
@pytest.mark.parametrize("protocol", BOTH)
def test_no_connection_is_left_open_and_no_warning_given(go: Any, protocol: str) -> None:
    async def main() -> None:
        faulty = Behaviour(fault_share=0.3, faults=("cut", "server_error", "fenced", "hang"), latency_s=0.01)
        async with LoopbackServer(default=faulty) as server:
            before = sockets()
            provider = LiteLLMProvider(KEY, address(server, protocol))
            await provider.aopen()
            calls = [provider.generate(request(protocol), timeout=1.0) for _ in range(30)]
            found = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(one) for one in found} == {Response, ProviderError}
            await provider.aclose()
            await asyncio.sleep(0.05)
            assert sockets() <= before

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        go(main())
        gc.collect()
    assert [str(one.message) for one in caught if "clos" in str(one.message)] == []
    assert [str(one.message) for one in caught if issubclass(one.category, ResourceWarning)] == []


def test_closing_one_provider_does_not_end_the_calls_of_another(go: Any) -> None:
    async def main() -> None:
        async with LoopbackServer(default=Behaviour(latency_s=0.2)) as server:
            first, second = LiteLLMProvider(KEY, server.url), LiteLLMProvider(KEY, server.anthropic_url)
            assert (await first.generate(request("openai"), timeout=5.0)).text
            await first.aclose()
            assert (await second.generate(request("anthropic"), timeout=5.0)).text
            assert (await first.generate(request("openai"), timeout=5.0)).text
            await second.aclose()

    go(main())


IMPORT = """
import logging, socket, sys
asked = []
class Refused(socket.socket):
    def connect(self, address):
        asked.append(address)
        raise OSError("no network here")
socket.socket = Refused
socket.getaddrinfo = lambda *given, **more: asked.append(given) or []
import partynli.providers.litellm
print(asked)
"""


def test_its_import_asks_nobody_and_says_nothing() -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LITELLM")}
    command = [sys.executable, "-c", IMPORT]
    asked = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    assert (asked.stdout, asked.stderr) == ("[]\n", "")
