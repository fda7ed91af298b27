"""OpenAI's chat completions, as the loopback server speaks them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping
from typing import Any

from partynli.testing.answers import Answer, draw, made_up_scores
from partynli.testing.limits import Quota
from partynli.testing.wire import Call, Problem, count_tokens, served_model

_ERRORS: Mapping[Problem, tuple[int, str, str | None]] = {
    # status, type, code
    "rate_limited": (429, "requests", "rate_limit_exceeded"),
    "quota": (429, "insufficient_quota", "insufficient_quota"),
    "server_error": (500, "server_error", None),
    "overloaded": (503, "service_unavailable_error", "overloaded"),
    "not_found": (404, "invalid_request_error", "model_not_found"),
    "unauthorized": (401, "invalid_request_error", "invalid_api_key"),
    "forbidden": (403, "request_forbidden", "permission_denied"),
    "bad_parameter": (400, "invalid_request_error", "unsupported_parameter"),
    "bad_request": (400, "invalid_request_error", None),
    "content_policy": (400, "invalid_request_error", "content_policy_violation"),
}


class OpenAIProtocol:
    """POST /v1/chat/completions."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def key(self, headers: Mapping[str, str]) -> str | None:
        """The bearer token."""
        scheme, _, key = headers.get("Authorization", "").partition(" ")
        return key.strip() if scheme.lower() == "bearer" and key else None

    def check(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> None:
        """Nothing is demanded beyond what both protocols demand."""

    def success(self, call: Call, answer: Answer) -> dict[str, Any]:
        """A chat completion with one choice."""
        message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": answer.refusal}
        if answer.refusal is not None:
            message["content"] = None
        if answer.reasoning:
            message["reasoning_content"] = answer.reasoning
        finish = "stop" if answer.finish == "refusal" else answer.finish
        body: dict[str, Any] = {
            "id": f"chatcmpl-{next(self._numbers)}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": served_model(call, answer),
            "choices": [{"index": 0, "message": message, "logprobs": _logprobs(call, answer), "finish_reason": finish}],
            "system_fingerprint": "fp_drifted" if answer.drifted else "fp_loopback",
        }
        if answer.usage:
            thought = count_tokens(answer.reasoning)
            completion = count_tokens(answer.text) + thought
            usage: dict[str, Any] = {"prompt_tokens": call.tokens, "completion_tokens": completion}
            usage["total_tokens"] = call.tokens + completion
            if thought:
                usage["completion_tokens_details"] = {"reasoning_tokens": thought}
            body["usage"] = usage
        return body

    def error(self, problem: Problem, message: str, param: str | None) -> tuple[int, dict[str, Any]]:
        """Status and ``{"error": {"message", "type", "param", "code"}}``."""
        status, kind, code = _ERRORS[problem]
        return status, {"error": {"message": message, "type": kind, "param": param, "code": code}}

    def limit_headers(self, calls: Quota | None, tokens: Quota | None) -> dict[str, str]:
        """``x-ratelimit-limit-requests`` and the like; times as ``6m0s``, ``1.5s`` or ``20ms``."""
        headers = {}
        for name, quota in (("requests", calls), ("tokens", tokens)):
            if quota is not None:
                headers[f"x-ratelimit-limit-{name}"] = str(quota.limit)
                headers[f"x-ratelimit-remaining-{name}"] = str(quota.remaining)
                headers[f"x-ratelimit-reset-{name}"] = duration(quota.reset_s)
        return headers

    def models(self, names: Iterable[str]) -> dict[str, Any]:
        """A list of model objects."""
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "loopback"} for name in names]
        return {"object": "list", "data": data}


def _logprobs(call: Call, answer: Answer) -> dict[str, Any] | None:
    """The likeliest tokens at the first place of an answer, for calls that ask for them."""
    if not call.body.get("logprobs") or not answer.text:
        return None
    scores = answer.token_scores or made_up_scores(draw(0, call.model, call.user_text, 0))
    ranked = sorted(scores.items(), key=lambda one: -one[1])
    listed = [{"token": token, "logprob": score, "bytes": list(token.encode())} for token, score in ranked]
    return {"content": [{**listed[0], "top_logprobs": listed[: int(call.body.get("top_logprobs") or 0)]}]}


def duration(seconds: float) -> str:
    """Spell a duration the way OpenAI's headers do.

    >>> duration(0.02), duration(1.5), duration(360)
    ('20ms', '1.5s', '6m0s')
    """
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    return f"{int(minutes)}m{rest:g}s" if minutes else f"{rest:g}s"
