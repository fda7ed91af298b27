"""Every fault of the loopback server, over both protocols."""

import asyncio
import json
import time
from collections import Counter

import aiohttp
import pytest

from partynli.testing import FAULTS, Behaviour, LoopbackServer

KEY = "sk-a-key-of-mine"
PROMPT = "[CONTEXT] A man walks his dog.\n[STATEMENT] An animal is outside.\n\nChoose"
LENGTH = {"openai": "length", "anthropic": "max_tokens"}
LABELS = {"true", "either", "false", "either-true", "either-false"}


def run(coroutine):
    async def bounded():
        async with asyncio.timeout(30):
            return await coroutine

    return asyncio.run(bounded())


async def ask(session, server, protocol, **params):
    body = {"model": "m", "messages": [{"role": "user", "content": PROMPT}], **params}
    if protocol == "openai":
        return await session.post(
            f"{server.url}/chat/completions", json=body, headers={"Authorization": f"Bearer {KEY}"}
        )
    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    return await session.post(f"{server.anthropic_url}/v1/messages", json={"max_tokens": 99, **body}, headers=headers)


def once(fault, protocol, **behaviour):
    """Status, headers and body of a call that meets a fault, and the model's books."""

    async def main():
        async with (
            LoopbackServer(default=Behaviour(script=(fault,), **behaviour)) as server,
            aiohttp.ClientSession() as session,
            await ask(session, server, protocol, top_p=0.5) as answer,
        ):
            return answer.status, answer.headers, await answer.text(), server.books["m"]

    status, headers, text, books = run(main())
    assert books.faults == {fault: 1}
    assert books.statuses == {status: 1}
    return status, headers, text, books


def said(fault, protocol):
    """What a model says: text, reasoning, refusal, finish reason, and the whole body."""
    status, _, text, books = once(fault, protocol)
    assert status == 200
    assert books.answered == 1
    body = json.loads(text)
    if protocol == "openai":
        choice = body["choices"][0]
        message = choice["message"]
        content, reasoning = message["content"], message.get("reasoning_content", "")
        return content, reasoning, message["refusal"], choice["finish_reason"], body
    parts = {block["type"]: block for block in body["content"]}
    content = parts.get("text", {}).get("text", "")
    reasoning = parts.get("thinking", {}).get("thinking", "")
    return content, reasoning, None, body["stop_reason"], body


REFUSED = {
    # fault -> (status, code) with OpenAI, (status, type) with Anthropic
    "rate_limited": ((429, "rate_limit_exceeded"), (429, "rate_limit_error")),
    "quota": ((429, "insufficient_quota"), (400, "invalid_request_error")),
    "server_error": ((500, None), (500, "api_error")),
    "overloaded": ((503, "overloaded"), (529, "overloaded_error")),
    "not_found": ((404, "model_not_found"), (404, "not_found_error")),
    "unauthorized": ((401, "invalid_api_key"), (401, "authentication_error")),
    "forbidden": ((403, "permission_denied"), (403, "permission_error")),
    "bad_parameter": ((400, "unsupported_parameter"), (400, "invalid_request_error")),
    "content_policy": ((400, "content_policy_violation"), (400, "invalid_request_error")),
    "echo_key": ((401, "invalid_api_key"), (401, "authentication_error")),
}
SAID = {
    "empty", "malformed", "fenced", "prose", "truncated", "truncated_reasoning", "truncated_reasoning_content",
    "refusal", "refusal_text", "content_filter", "reasoning", "reasoning_content", "unknown_label", "set_order",
    "schema", "drift", "no_usage", "slow_body",
}  # fmt: skip
BROKEN = {"hang", "cut", "reset", "not_http_json"}


def test_every_fault_is_tested_here():
    assert set(FAULTS) == set(REFUSED) | SAID | BROKEN


@pytest.mark.parametrize("fault", REFUSED)
def test_refusals(fault):
    for protocol, (status, name) in zip(("openai", "anthropic"), REFUSED[fault], strict=True):
        found, headers, text, books = once(fault, protocol)
        error = json.loads(text)["error"]
        assert (found, error["code" if protocol == "openai" else "type"]) == (status, name)
        assert error["message"]
        assert books.answered == 0
        assert (KEY in text) == (fault == "echo_key")
        assert headers.get("Retry-After") == ("1" if fault == "rate_limited" else None)
        if fault == "bad_parameter":
            assert "top_p" in text


def test_the_parameter_is_named_in_openai_s_form():
    assert json.loads(once("bad_parameter", "openai")[2])["error"]["param"] == "top_p"


def test_a_429_notes_what_it_asked_for():
    _, headers, _, books = once("rate_limited", "openai", retry_after_s=2.5)
    assert headers["Retry-After"] == "3"
    ((at, wait),) = books.rate_limited
    assert wait == 3
    assert at <= time.monotonic()


def valid(text):
    return json.loads(text)["classification"]["label"] in LABELS


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
class TestWhatModelsSay:
    """Answers with status 200 that go wrong in their own ways."""

    def test_empty(self, protocol):
        assert said("empty", protocol)[0] == ""

    def test_malformed(self, protocol):
        text = said("malformed", protocol)[0]
        assert "{" not in text
        assert text

    def test_fenced(self, protocol):
        text = said("fenced", protocol)[0]
        assert valid(text.removeprefix("```json\n").removesuffix("\n```"))
        assert text.startswith("```json\n")

    def test_prose(self, protocol):
        before, _, after = said("prose", protocol)[0].partition("\n\n")
        assert before
        assert valid(after.rpartition("\n\n")[0])

    def test_truncated(self, protocol):
        text, _, _, finish, _ = said("truncated", protocol)
        assert finish == LENGTH[protocol]
        assert text.startswith("{")
        with pytest.raises(ValueError, match=r"delimiter|Unterminated|Expecting"):
            json.loads(text)

    def test_truncated_reasoning(self, protocol):
        text, _, _, finish, _ = said("truncated_reasoning", protocol)
        assert finish == LENGTH[protocol]
        assert text.startswith("<think>")
        assert "</think>" not in text

    def test_truncated_reasoning_content(self, protocol):
        text, reasoning, _, finish, _ = said("truncated_reasoning_content", protocol)
        assert (text, finish) == ("", LENGTH[protocol])
        assert reasoning

    def test_refusal(self, protocol):
        text, _, refusal, finish, _ = said("refusal", protocol)
        if protocol == "openai":
            assert text is None
            assert "sorry" in refusal
        else:
            assert "sorry" in text
            assert finish == "refusal"

    def test_refusal_text(self, protocol):
        text, _, refusal, _, _ = said("refusal_text", protocol)
        assert "sorry" in text
        assert refusal is None

    def test_content_filter(self, protocol):
        text, _, _, finish, _ = said("content_filter", protocol)
        assert text == ""
        assert finish == {"openai": "content_filter", "anthropic": "refusal"}[protocol]

    def test_reasoning(self, protocol):
        before, closing, after = said("reasoning", protocol)[0].partition("</think>")
        assert before.startswith("<think>")
        assert closing
        assert valid(after)

    def test_reasoning_content(self, protocol):
        text, reasoning, _, _, body = said("reasoning_content", protocol)
        assert reasoning
        assert valid(text)
        if protocol == "openai":
            assert body["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0

    def test_labels(self, protocol):
        unknown, order = (json.loads(said(fault, protocol)[0]) for fault in ("unknown_label", "set_order"))
        assert unknown["classification"]["label"] == "maybe"
        assert order["classification"]["label"] == "false-either"

    def test_schema(self, protocol):
        assert "classification" not in json.loads(said("schema", protocol)[0])

    def test_drift(self, protocol):
        text, _, _, _, body = said("drift", protocol)
        assert valid(text)
        assert body["model"] == "m-drifted"
        assert protocol == "anthropic" or body["system_fingerprint"] == "fp_drifted"

    def test_no_usage(self, protocol):
        text, _, _, _, body = said("no_usage", protocol)
        assert valid(text)
        assert "usage" not in body

    def test_slow_body(self, protocol):
        start = time.monotonic()
        _, _, text, books = once("slow_body", protocol, slow_body_s=0.2)
        assert time.monotonic() - start >= 0.2
        assert json.loads(text)["model"] == "m"
        assert books.answered == 1

    def test_not_http_json(self, protocol):
        status, headers, text, books = once("not_http_json", protocol)
        assert (status, headers["Content-Type"], books.answered) == (200, "text/html", 0)
        assert text.startswith("<!DOCTYPE html>")

    def test_broken_connections(self, protocol):
        async def main():
            script = ("cut", "reset", "hang", None)
            async with (
                LoopbackServer(default=Behaviour(script=script)) as server,
                aiohttp.ClientSession() as session,
            ):
                async with await ask(session, server, protocol) as answer:
                    assert answer.status == 200
                    with pytest.raises(aiohttp.ClientPayloadError):
                        await answer.read()
                with pytest.raises(aiohttp.ClientOSError):
                    await ask(session, server, protocol)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(ask(session, server, protocol), 0.2)
                async with await ask(session, server, protocol) as answer:
                    assert answer.status == 200
                    await answer.read()
                return server.books["m"]

        books = run(main())
        assert books.faults == {"cut": 1, "reset": 1, "hang": 1}
        assert (books.received, books.answered, books.gone, books.in_flight) == (4, 1, 1, 0)
        assert books.statuses == {200: 1}


def test_no_fault_leaves_a_trace_in_the_log(caplog):
    async def main():
        async with (
            LoopbackServer(default=Behaviour(script=("cut", "reset", "hang"))) as server,
            aiohttp.ClientSession() as session,
        ):
            for _ in range(3):
                with pytest.raises((aiohttp.ClientError, TimeoutError)):
                    async with asyncio.timeout(0.2), await ask(session, server, "openai") as answer:
                        await answer.read()

    run(main())
    assert not caplog.records


def test_a_share_of_calls_is_faulty_the_same_ones_for_a_seed():
    async def statuses(seed):
        behaviour = Behaviour(fault_share=0.3, faults=("server_error", "overloaded"), seed=seed)
        async with LoopbackServer(default=behaviour) as server, aiohttp.ClientSession() as session:
            found = []
            for _ in range(200):
                async with await ask(session, server, "openai") as answer:
                    found.append(answer.status)
            assert Counter(found) == server.books["m"].statuses
            return found

    first, again, other = run(statuses(1)), run(statuses(1)), run(statuses(2))
    assert first == again != other
    counts = Counter(first)
    assert 110 < counts[200] < 170
    assert counts[500] > 10
    assert counts[503] > 10


def test_the_books_add_up_under_all_faults():
    async def main():
        behaviour = Behaviour(
            fault_share=0.8, faults=tuple(FAULTS), slow_body_s=0.05, latency_s=0.01, rps=500, burst=40
        )
        async with LoopbackServer(default=behaviour) as server, aiohttp.ClientSession() as session:

            async def call():
                try:
                    async with asyncio.timeout(0.5), await ask(session, server, "openai") as answer:
                        await answer.read()
                except (aiohttp.ClientError, TimeoutError):
                    pass

            for _ in range(4):
                await asyncio.gather(*[call() for _ in range(50)])
            while server.books.total.in_flight:
                await asyncio.sleep(0.01)
            return server.books

    tally = run(main())["m"]
    assert tally.received == 200 == len(tally.arrivals)
    assert tally.received == sum(tally.statuses.values()) + tally.gone + tally.faults["cut"] + tally.faults["reset"]
    assert tally.answered <= tally.statuses[200]
    assert tally.faults["over_limit"] > 0
