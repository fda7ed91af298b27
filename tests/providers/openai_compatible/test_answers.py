"""What bodies of all kinds become, over a real connection: an answer, or an error that says what to do."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from partynli.errors import ProviderError
from partynli.judgments import reader_for
from partynli.prompts import load_task
from partynli.providers.base import kind_of, split_reasoning
from partynli.providers.openai_compatible import OpenAICompatibleProvider, read_answer
from partynli.records import Item, Participant, Prompt, Rejection, Request, Response
from partynli.redaction import redact

READER, _ = reader_for(load_task("livenli", Path(__file__).parents[3] / "prompts"))
KEY = "sk-canary-77aa31"
ITEM = Item("1", {"premise": "The men sang in the “old” house.", "hypothesis": "People sang."})
HELLO = Prompt(({"role": "user", "content": "Hello"},), {})

Said = Callable[..., Response]


@pytest.fixture
def said(go: Any, saying: Any) -> Said:
    """What an HTTP answer with a status and a body becomes; the body is encoded as JSON unless it is bytes."""

    def ask(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()

        async def main() -> Response:
            async with saying(status, content, headers) as url:
                provider = OpenAICompatibleProvider(url, KEY)
                await provider.aopen()
                try:
                    return await provider.generate(Request(Participant("m", "openai", "m", {}), HELLO), timeout=5.0)
                finally:
                    await provider.aclose()

        found: Response = go(main())
        return found

    return ask


def completion(content: Any, finish: Any = "stop", **message: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"content": content, **message}, "finish_reason": finish}]}


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
def test_a_code_says_more_than_a_status(said: Said, status: int, error: Any, kind: str) -> None:
    with pytest.raises(ProviderError, match=f"HTTP {status}: why") as caught:
        said(status, {"error": {"message": "why", **error}})
    assert caught.value.kind == kind


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
def test_a_prompt_that_a_policy_stops_is_an_answer(said: Said, code: str) -> None:
    response = said(400, {"error": {"message": "no", "code": code}})
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
def test_an_error_body_of_any_kind_is_one_short_line(said: Said, body: bytes, text: str) -> None:
    with pytest.raises(ProviderError, match=f"^HTTP 502: {text}" if text[0] != "<" else re.escape(text)) as caught:
        said(502, body)
    assert caught.value.kind == "retryable"
    assert len(str(caught.value)) <= 320
    assert "\n" not in str(caught.value)
    assert caught.value.raw is not None


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{}", b'"text"', b'{"choices": []}', b'{"choices": [{}]}', b"[" * 100_000]
)
def test_a_200_without_a_completion_may_pass_and_may_have_cost(said: Said, body: bytes) -> None:
    with pytest.raises(ProviderError, match=r"is no chat completion|is not JSON") as caught:
        said(200, body)
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
def test_an_error_inside_a_200_is_an_error(said: Said, error: Any, kind: str) -> None:
    with pytest.raises(ProviderError) as caught:
        said(200, {"error": error})
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
def test_content_of_any_type_is_a_text(said: Said, content: Any, text: str) -> None:
    assert said(200, completion(content)).text == text


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
    said: Said, content: str, message: Any, text: str, reasoning: str, is_open: bool
) -> None:
    response = said(200, completion(content, **message))
    assert (response.text, response.reasoning, response.open_reasoning) == (text, reasoning, is_open)


def test_reasoning_that_used_up_all_tokens_is_open(said: Said) -> None:
    for message in ({"reasoning_content": "hm"}, {"reasoning": "hm"}):
        response = said(200, completion(None, "length", **message))
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
def test_only_counts_are_counted(said: Said, usage: Any, counted: Any) -> None:
    assert said(200, {**completion("so"), "usage": usage}).usage == counted


def test_names_fit_to_be_stored(said: Said) -> None:
    odd = {**completion("so", 3), "model": "m" * 1000, "system_fingerprint": "half \ud83d"}
    response = said(200, odd)
    assert response.served_model == "m" * 300
    assert response.fingerprint == "half \\ud83d"
    assert response.finish_reason == "3"


def test_bytes_that_are_no_utf_8_are_kept_as_escapes_that_json_can_read(said: Said) -> None:
    response = said(200, json.dumps(completion("a?b")).encode().replace(b"?", b"\xf0\x9f"))
    response.raw.encode()
    assert response.text == "a\udcf0\udc9fb"
    assert json.loads(response.raw)["choices"][0]["message"]["content"] == response.text
    with pytest.raises(ProviderError, match=r"HTTP 500: \\udcff$"):
        said(500, b"\xff")


def test_a_packed_answer_is_unpacked(said: Said) -> None:
    body = gzip.compress(json.dumps(completion("so")).encode())
    assert said(200, body, {"Content-Encoding": "gzip"}).text == "so"
    with pytest.raises(ProviderError) as caught:
        said(200, b"not packed", {"Content-Encoding": "gzip"})
    assert caught.value.kind == "retryable"


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_a_key_that_a_server_repeats_is_taken_out_everywhere(said: Said, status: int) -> None:
    body = {**completion(f"your key is {KEY}", reasoning=KEY), "model": KEY, "system_fingerprint": KEY}
    body["error"] = {"message": f"bad key {KEY}", "code": KEY}
    try:
        shown = repr(said(status, body)._replace(headers={}))
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


def test_no_block_of_thought_takes_long_to_part() -> None:
    started = time.process_time()
    for text in ("<think>" * 50_000, "</think>" * 50_000, "<think>" + " " * 500_000, " " * 500_000):
        split_reasoning(text)
    assert time.process_time() - started < 1.0
