"""What every provider is, and what they share: reading an answer, mapping a failure, keeping keys out of texts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from partynli.errors import ErrorKind, ProviderError
from partynli.providers.option_scores import read_option_scores
from partynli.records import Request, Response, Usage


class Provider(Protocol):
    """One way to reach models. It does no retry, no limits, no parsing of labels and no storing."""

    serves: bool
    """Whether it starts a server of its own, for one model: made ready when the model's calls are due, closed behind
    the last of them."""

    async def aopen(self) -> None:
        """Get ready; called once, before the first call."""

    async def reach(self) -> None:
        """Check that something answers, without asking a model; raises `ProviderError` where nothing does."""

    async def ready(self) -> None:
        """Wait until calls can be made; raises `ProviderError` where a server that is ours to start does not come up.

        Only asked of providers that serve.
        """

    async def generate(self, request: Request, *, timeout: float) -> Response:
        """Make one call; raises nothing but `ProviderError`. `timeout` is in seconds."""
        ...

    async def aclose(self) -> None:
        """Let go of connections and servers; may be called more than once."""


_CODES: Mapping[str, ErrorKind] = {
    # code or type in an error body -> what it means, where that differs from what the status says
    "insufficient_quota": "fatal_participant",
    "billing_hard_limit_reached": "fatal_participant",
    "context_length_exceeded": "bad_request",
    "string_above_max_length": "bad_request",
    "request_too_large": "bad_request",
    "invalid_prompt": "bad_request",
    "overloaded_error": "rate_limited",
}
_RETRYABLE = {408, 409, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524}
_RATE_LIMITED = {429, 529}
_PER_REQUEST = {413, 422}
_LONGEST_MESSAGE = 300
_CLOCKS_AGREE_S = 1.5
"""Seconds that our clock may be ahead of a server's ``Date``, which has whole seconds, and is as good."""


def kind_of(status: int, code: str | None) -> ErrorKind:
    """What a failed call means, from its HTTP status and the code in its body.

    >>> kind_of(429, None), kind_of(429, "insufficient_quota"), kind_of(400, "unsupported_parameter")
    ('rate_limited', 'fatal_participant', 'fatal_participant')
    """
    if code and code in _CODES:
        return _CODES[code]
    if status in _RATE_LIMITED:
        return "rate_limited"
    if status in _RETRYABLE or status >= 500:
        return "retryable"
    if status in _PER_REQUEST:
        return "bad_request"
    return "fatal_participant"


POLICY_CODES = frozenset({"content_filter", "content_policy_violation"})
"""Codes with which a provider refuses to answer this prompt: that is an answer, and data."""


def failure(status: int, body: Any, raw: str, headers: Mapping[str, str]) -> ProviderError:
    """The error for an answer whose HTTP status says that the call failed."""
    error = body.get("error", body) if isinstance(body, dict) else None
    error = error if isinstance(error, dict) else {"message": error if isinstance(error, str) else raw}
    message = " ".join(str(error.get("message") or raw or "no text").split())
    if 300 <= status < 400:
        message = "it redirects, and neither prompts nor keys follow; give the address that it leads to"
    if len(message) > _LONGEST_MESSAGE:
        message = message[: _LONGEST_MESSAGE - 3] + "..."
    return ProviderError(
        f"HTTP {status}: {message}",
        kind_of(status, error_code(body)),
        retry_after=retry_after(headers),
        status=status,
        raw=raw,
    )


def refusal(raw: str, headers: Mapping[str, str]) -> Response:
    """The answer of a provider whose policy filter stopped the call."""
    return Response("", "", "content_filter", raw, refused=True, headers=headers)


def error_code(body: Any) -> str | None:
    """The code or type in an error body, or None."""
    error = body.get("error") if isinstance(body, dict) else None
    code = (error.get("code") or error.get("type")) if isinstance(error, dict) else None
    return code if isinstance(code, str) else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait that the headers ask for, from ``retry-after-ms`` or ``Retry-After`` (seconds or a date).

    >>> retry_after({"Retry-After": "2"}), retry_after({"Retry-After": "soon"})
    (2.0, None)
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    given = headers.get("Retry-After")
    if given is None:
        return None
    seconds = _number(given)
    if seconds is not None:
        return seconds
    date = _moment(given)
    if date is None:
        return None
    now, theirs = time.time(), _moment(headers.get("Date"))
    if theirs is not None and not 0 <= now - theirs <= _CLOCKS_AGREE_S:
        now = theirs  # the clock that wrote the date is the one that it means: ours may be wrong, or have jumped
    # dates have whole seconds: the moment meant may lie up to one second after the one written
    return max(0.0, date + 1 - now)


def _moment(given: str | None) -> float | None:
    """Seconds since 1970 of an HTTP date, or None where it is none."""
    if given is None:
        return None
    try:
        date = parsedate_to_datetime(given)
        # a date in the oldest form names no zone
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def read_completion(body: Any, raw: str, headers: Mapping[str, str]) -> Response:
    """Read an answer in the shape of OpenAI's chat completions, as all routes store it.

    Raises
    ------
    ProviderError
        The body is not of that shape, which a proxy's error page is not either: retryable.
    """
    try:
        choice = body["choices"][0]
        message = choice["message"]
        content = message.get("content") or ""
        reasoning = message.get("reasoning_content") or message.get("reasoning") or ""
    except (KeyError, IndexError, TypeError, AttributeError):
        if isinstance(body, dict) and isinstance(body.get("error"), dict):  # some gateways put errors into a 200
            status = body["error"].get("code")
            raise failure(status if isinstance(status, int) else 500, body, raw, headers) from None
        raise ProviderError(
            "the answer is no chat completion", "retryable", status=200, raw=raw, billable=True
        ) from None
    if isinstance(content, list):  # content parts
        texts = (part.get("text") for part in content if isinstance(part, dict))
        content = "".join(text for text in texts if isinstance(text, str))
    content = content if isinstance(content, str) else str(content)
    text, thought, is_open = split_reasoning(content)
    finish = _name(choice.get("finish_reason"))
    counted = body.get("usage")
    usage = counted if isinstance(counted, dict) else {}
    return Response(
        text=text,
        reasoning=thought or (reasoning if isinstance(reasoning, str) else ""),
        finish_reason=finish,
        raw=raw,
        usage=Usage(_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))),
        served_model=_name(body.get("model")),
        fingerprint=_name(body.get("system_fingerprint")),
        refused=_refused(message),
        open_reasoning=is_open or (not text.strip() and bool(reasoning) and finish == "length"),
        headers=headers,
        option_scores=read_option_scores(choice.get("logprobs"), body.get("option_tokens")),
    )


def _refused(message: Mapping[str, Any]) -> bool:
    apart = message.get("provider_specific_fields")  # where litellm puts what it does not know
    return bool(message.get("refusal") or (isinstance(apart, dict) and apart.get("refusal")))


def split_reasoning(content: str) -> tuple[str, str, bool]:
    """Part a ``<think>`` block from the answer that follows it; the last value says that it was never closed.

    >>> split_reasoning("<think>hm</think> yes"), split_reasoning("<think>hm")
    (('yes', 'hm', False), ('', 'hm', True))
    """
    start = content.lstrip()
    if not start.startswith("<think>"):
        before, closing, after = content.partition("</think>")  # some chat templates open the block themselves
        return (after.strip(), before.strip(), False) if closing else (content, "", False)
    thought, closing, after = start.removeprefix("<think>").rpartition("</think>")
    return (after.strip(), thought.strip(), False) if closing else ("", after.strip(), True)


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < float("inf") else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def _name(value: Any) -> str | None:
    """A name that a server gave, fit to be stored: it may be of any type and hold half a surrogate pair."""
    if value is None:
        return None
    name = str(value)[:300]
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()
