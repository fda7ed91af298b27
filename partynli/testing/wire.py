"""What both protocols share: a call as the server understands it, and the ways to say no."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from partynli.testing.answers import Answer
from partynli.testing.limits import Quota

Problem = Literal[
    "rate_limited", "quota", "server_error", "overloaded", "not_found", "unauthorized", "forbidden", "bad_parameter",
    "bad_request", "content_policy",
]  # fmt: skip
"""Why a call gets no answer; each protocol has a status and a shape for each."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was understood."""

    model: str
    user_text: str
    """Text of the last user message."""
    body: Mapping[str, Any]
    tokens: int
    """Roughly how many tokens the prompt has."""


class RequestRefused(Exception):
    """A call gets an error body instead of an answer."""

    def __init__(self, problem: Problem, message: str, *, param: str | None = None, book: str | None = None) -> None:
        super().__init__(message)
        self.problem = problem
        self.message = message
        self.param = param
        self.book = book or problem
        """The name under which the books count it."""


class WireProtocol(Protocol):
    """One provider's way to say all this over HTTP."""

    def key(self, headers: Mapping[str, str]) -> str | None:
        """The API key that a request carries."""
        ...

    def check(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> None:
        """Raise `RequestRefused` for what only this protocol demands."""

    def success(self, call: Call, answer: Answer) -> dict[str, Any]:
        """The body of an answer, under an id of its own."""
        ...

    def error(self, problem: Problem, message: str, param: str | None) -> tuple[int, dict[str, Any]]:
        """Status and body of a refusal."""
        ...

    def limit_headers(self, calls: Quota | None, tokens: Quota | None) -> dict[str, str]:
        """The headers that tell the limits."""
        ...

    def models(self, names: Iterable[str]) -> dict[str, Any]:
        """The body that lists the models."""
        ...


MESSAGES: Mapping[Problem, str] = {
    "rate_limited": "Rate limit reached for this model. Please try again later.",
    "quota": "You exceeded your current quota, please check your plan and billing details.",
    "server_error": "The server had an error while processing your request.",
    "overloaded": "The model is currently overloaded. Please try again later.",
    "not_found": "The model does not exist or you do not have access to it.",
    "unauthorized": "Incorrect API key provided.",
    "forbidden": "Your API key does not have permission to use this model.",
    "content_policy": "The prompt was blocked by our content policy.",
}
"""What a refusal says where nothing better is known."""


def parse(raw: bytes) -> dict[str, Any]:
    """The JSON object in a request body; its model is a text and `stream` is off."""
    try:
        body = json.loads(raw)
    except ValueError:
        raise RequestRefused("bad_request", "We could not parse the JSON body of your request.") from None
    if not isinstance(body, dict) or not isinstance(body.get("model"), str) or not body["model"]:
        raise RequestRefused("bad_request", "You must provide a model parameter.", param="model")
    return body


def read_call(body: Mapping[str, Any], size: int) -> Call:
    """The call in a parsed body of `size` bytes."""
    if body.get("stream"):
        raise RequestRefused("bad_request", "This server does not stream.", param="stream")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise RequestRefused("bad_request", "'messages' must be a list of at least one message.", param="messages")
    for message in reversed(messages):
        if message.get("role") == "user":
            return Call(body["model"], _text(message.get("content")), body, max(1, size // 4))
    raise RequestRefused("bad_request", "There is no message of the role 'user'.", param="messages")


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(part for part in parts if isinstance(part, str))
    raise RequestRefused("bad_request", "The content of a message must be a text or a list of parts.", param="messages")


def count_tokens(text: str) -> int:
    """A rough count, four characters a token."""
    return -(-len(text) // 4)


def served_model(call: Call, answer: Answer) -> str:
    """The name under which the answering model presents itself."""
    return f"{call.model}-drifted" if answer.drifted else call.model
