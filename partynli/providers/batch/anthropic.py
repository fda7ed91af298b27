"""Anthropic's message batches: all requests in one call, answered within 24 hours.

They carry no mark of ours; the ids of their requests do, and come back with the results.
"""

from __future__ import annotations

import io
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from partynli.errors import ProviderError
from partynli.hashing import canonical_json
from partynli.providers.base import failure, read_completion
from partynli.providers.batch.base import BatchState, Result
from partynli.providers.batch.http import BatchHTTP, count_of, text_of
from partynli.records import Participant, Request, Response

_ADDRESS = "https://api.anthropic.com"
_VERSION = "2023-06-01"
_PREFIX = "anthropic/"
"""litellm's, before the model's own name."""
_TAKEN = frozenset({"max_tokens", "temperature", "top_p", "top_k", "stop_sequences", "thinking"})
"""Parameters that Anthropic and litellm call by the same names."""
_PAGE = 1000
_HEAD = b'{"requests":['
_TAIL = b"]}"
_FINISH: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_STATUSES: Mapping[str, int] = {
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class AnthropicBatches:
    """Batches at ``{api_base}/v1/messages/batches``.

    Parameters
    ----------
    api_base
        Address without the version; None for Anthropic's own.
    api_key
        Sent as ``x-api-key``.
    """

    max_requests = 100_000
    max_bytes = 256_000_000 - len(_HEAD) - len(_TAIL)

    def __init__(self, api_base: str | None, api_key: str | None) -> None:
        headers = {"anthropic-version": _VERSION, "content-type": "application/json"}
        if api_key:
            headers["x-api-key"] = api_key
        self._http = BatchHTTP((api_base or _ADDRESS).rstrip("/").removesuffix("/v1"), headers, api_key)

    @staticmethod
    def unsendable(participant: Participant) -> str | None:
        """Why a participant cannot be sent as Anthropic's API takes it, or None."""
        if not participant.model.startswith(_PREFIX):
            return f"its model is {participant.model!r}, and Anthropic's batches take those that begin with {_PREFIX}"
        if not isinstance(participant.params.get("max_tokens"), int):
            return "Anthropic demands max_tokens; set it in params"
        if participant.seed is not None:
            return "it is sent seeds, which Anthropic does not take"
        if others := sorted(participant.params.keys() - _TAKEN):
            return f"params {', '.join(others)} are put into Anthropic's words by litellm, which batches do without"
        return None

    async def aopen(self) -> None:
        """Open the session."""
        await self._http.aopen()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    def line(self, id: str, request: Request) -> bytes:
        """The request as it stands in the list, in the form that litellm gives to a single call."""
        turns = [(one["role"], [{"type": "text", "text": one["content"]}]) for one in request.prompt.messages]
        system = [block for role, blocks in turns if role == "system" for block in blocks]
        params = {
            **request.participant.params,
            **({"system": system} if system else {}),
            "model": request.participant.model.removeprefix(_PREFIX),
            "messages": [{"role": role, "content": blocks} for role, blocks in turns if role != "system"],
        }
        return canonical_json({"custom_id": id, "params": params}).encode("utf-8", "surrogatepass")

    async def submit(self, mark: str, lines: Sequence[bytes]) -> str:
        """Send the requests; the mark is in their ids."""
        body = io.BytesIO(_HEAD + b",".join(lines) + _TAIL)
        batch = await self._http.ask("POST", self._url(), data=body, buys=True)
        id = text_of(batch.get("id"))
        if id is None:
            raise ProviderError("the answer to a new batch has no id", "retryable", billable=True)
        return id

    async def look(self, id: str) -> BatchState:
        """How a batch stands."""
        return self._state(await self._http.ask("GET", self._url(f"/{quote(id, safe='')}")), id)

    async def since(self, when: float) -> AsyncGenerator[BatchState, None]:
        """The workspace's batches that were created after a time, newest first."""
        query: dict[str, Any] = {"limit": _PAGE}
        while True:
            page, batches = await self._http.page(self._url(f"?{urlencode(query)}"))
            for batch in batches:
                state = self._state(batch, "")
                if state.created is not None and state.created < when:
                    return
                if state.id:
                    yield state
            last = text_of(page.get("last_id"))
            if page.get("has_more") is not True:
                return
            if last is None or last == query.get("after_id"):
                raise ProviderError("the list of batches breaks off", "retryable", status=200)
            query["after_id"] = last

    async def results(self, state: BatchState) -> AsyncGenerator[Result | None, None]:
        """The lines of the results file."""
        for url in state.results:
            if urlsplit(url)[:2] != urlsplit(self._http.address)[:2]:
                raise ProviderError(f"the results are said to be at {url}, and no key is sent there", "bad_request")
            async with aclosing(self._http.lines(url)) as lines:
                async for line in lines:
                    yield None if line is None else _result(line)

    def _url(self, rest: str = "") -> str:
        return f"{self._http.address}/v1/messages/batches{rest}"

    def _state(self, batch: Mapping[str, Any], id: str) -> BatchState:
        counts = batch.get("request_counts")
        counts = counts if isinstance(counts, dict) else {}
        results = text_of(batch.get("results_url"))
        numbers = {name: count_of(count) for name, count in counts.items()}
        ended = batch.get("processing_status") == "ended"
        gone = ended and results is None
        unrun = ", ".join(
            f"{numbers[name]:,} {name}" for name in ("errored", "expired", "canceled") if numbers.get(name)
        )
        return BatchState(
            id=text_of(batch.get("id")) or id,
            mark=None,
            created=_seconds(batch.get("created_at")),
            ended=ended,
            total=sum(numbers.values()),
            done=sum(numbers.values()) - numbers.get("processing", 0),
            word="ended, its results are archived"
            if gone
            else f"ended, {unrun}"
            if ended and unrun
            else str(batch.get("processing_status")),
            results=(results,) if results else (),
            answered=numbers.get("succeeded"),
        )


def _seconds(date: Any) -> float | None:
    try:
        return datetime.fromisoformat(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _result(line: Mapping[str, Any]) -> Result | None:
    id, result = text_of(line.get("custom_id")), line.get("result")
    if id is None or not isinstance(result, dict):
        return None
    kind = result.get("type")
    if kind in ("expired", "canceled"):
        return Result(id, None)
    if kind == "succeeded" and isinstance(result.get("message"), dict):
        return Result(id, _answer(result["message"]), is_counted=True)
    raw = json.dumps(line, separators=(",", ":"))
    body = result.get("error") if kind == "errored" else None
    if not isinstance(body, dict):
        unread = ProviderError("the batch's result cannot be read", "retryable", raw=raw, billable=True)
        return Result(id, unread, kind == "succeeded")
    error = body["error"] if isinstance(body.get("error"), dict) else body
    named = str(error.get("type"))
    failed = failure(
        _STATUSES.get(named, 400 if named.startswith("invalid_request") else 500), {"error": error}, raw, {}
    )
    if failed.status == 400:  # of this request: a prompt that is too long, a parameter that the model does not take
        failed.kind = "bad_request"
    return Result(id, failed)


def _answer(message: Mapping[str, Any]) -> Response:
    """The answer in the shape that all routes store, with the message itself kept whole inside."""
    content = message.get("content")
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    usage = message.get("usage")
    said: dict[str, Any] = {"role": "assistant", "content": _joined(blocks, "text")}
    if thought := _joined(blocks, "thinking"):
        said["reasoning_content"] = thought
    stop = message.get("stop_reason")
    body: dict[str, Any] = {
        "id": message.get("id"),
        "object": "chat.completion",
        "model": message.get("model"),
        "choices": [{"index": 0, "message": said, "finish_reason": _FINISH.get(str(stop), stop)}],
        "anthropic": message,
    }
    if isinstance(usage, dict) and isinstance(usage.get("input_tokens"), int):
        parts = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        body["usage"] = {
            "prompt_tokens": sum(count_of(usage.get(part)) for part in parts),
            "completion_tokens": usage.get("output_tokens"),
        }
    text = json.dumps(body, separators=(",", ":"))
    return read_completion(body, text, {})


def _joined(blocks: Sequence[Mapping[str, Any]], kind: str) -> str:
    texts = (block.get(kind) for block in blocks if block.get("type") == kind)
    return "".join(text for text in texts if isinstance(text, str))
