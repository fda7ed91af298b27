"""Anthropic's messages, as the loopback server speaks them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from partynli.testing.answers import Answer
from partynli.testing.limits import Quota
from partynli.testing.wire import Call, Problem, RequestRefused, count_tokens, served_model

_ERRORS: Mapping[Problem, tuple[int, str]] = {
    "rate_limited": (429, "rate_limit_error"),
    "quota": (400, "invalid_request_error"),
    "server_error": (500, "api_error"),
    "overloaded": (529, "overloaded_error"),
    "not_found": (404, "not_found_error"),
    "unauthorized": (401, "authentication_error"),
    "forbidden": (403, "permission_error"),
    "bad_parameter": (400, "invalid_request_error"),
    "bad_request": (400, "invalid_request_error"),
    "content_policy": (400, "invalid_request_error"),
}
_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal", "refusal": "refusal"}


class AnthropicProtocol:
    """POST /v1/messages."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def key(self, headers: Mapping[str, str]) -> str | None:
        """The header ``x-api-key``."""
        return headers.get("x-api-key") or None

    def check(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> None:
        """The header ``anthropic-version`` and the parameter ``max_tokens`` are mandatory."""
        if not headers.get("anthropic-version"):
            raise RequestRefused("bad_request", "anthropic-version: header is required")
        if not isinstance(body.get("max_tokens"), int):
            raise RequestRefused("bad_request", "max_tokens: Field required", param="max_tokens")

    def success(self, call: Call, answer: Answer) -> dict[str, Any]:
        """A message of content blocks."""
        text = answer.text if answer.refusal is None else answer.refusal
        content: list[dict[str, Any]] = []
        if answer.reasoning:
            content.append({"type": "thinking", "thinking": answer.reasoning, "signature": "bG9vcGJhY2s="})
        if text or not answer.reasoning:
            content.append({"type": "text", "text": text})
        body: dict[str, Any] = {
            "id": f"msg_{next(self._numbers)}",
            "type": "message",
            "role": "assistant",
            "model": served_model(call, answer),
            "content": content,
            "stop_reason": _STOP_REASONS[answer.finish],
            "stop_sequence": None,
        }
        if answer.usage:
            output = count_tokens(text) + count_tokens(answer.reasoning)
            body["usage"] = {"input_tokens": call.tokens, "output_tokens": output}
        return body

    def error(self, problem: Problem, message: str, param: str | None) -> tuple[int, dict[str, Any]]:
        """Status and ``{"type": "error", "error": {"type", "message"}}``."""
        status, kind = _ERRORS[problem]
        return status, {"type": "error", "error": {"type": kind, "message": message}}

    def limit_headers(self, calls: Quota | None, tokens: Quota | None) -> dict[str, str]:
        """``anthropic-ratelimit-requests-limit`` and the like; resets as RFC 3339 times."""
        headers = {}
        for name, quota in (("requests", calls), ("tokens", tokens)):
            if quota is not None:
                reset = datetime.now(UTC) + timedelta(seconds=quota.reset_s)
                headers[f"anthropic-ratelimit-{name}-limit"] = str(quota.limit)
                headers[f"anthropic-ratelimit-{name}-remaining"] = str(quota.remaining)
                headers[f"anthropic-ratelimit-{name}-reset"] = reset.strftime("%Y-%m-%dT%H:%M:%SZ")
        return headers

    def models(self, names: Iterable[str]) -> dict[str, Any]:
        """One page with every model."""
        data = [
            {"type": "model", "id": name, "display_name": name, "created_at": "2025-01-01T00:00:00Z"} for name in names
        ]
        ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
        return {"data": data, "has_more": False, **ends}
