"""Providers that speak a protocol of their own (Anthropic, Gemini, Cohere, Bedrock, ...), through litellm."""

from __future__ import annotations

import asyncio
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

# litellm fetches its price list at import unless this is set before; prices here come from the registry
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
os.environ.setdefault("LITELLM_LOG", "ERROR")

import litellm

from partynli.errors import ErrorKind, InputError, ProviderError
from partynli.providers.base import error_code, kind_of, read_completion, refusal, retry_after
from partynli.records import Participant, Request, Response
from partynli.redaction import redact

# said by pydantic of litellm's own types, at the first answer; the person at the terminal can do nothing about it
warnings.filterwarnings("ignore", message="Item .* on TypedDict class", category=UserWarning)
warnings.filterwarnings("ignore", message="Pydantic serializer warnings", category=UserWarning)
# of a call that was given up in the moment in which litellm made it
warnings.filterwarnings("ignore", message="coroutine .*acompletion. was never awaited", category=RuntimeWarning)
litellm.telemetry = False
litellm.suppress_debug_info = True
litellm.drop_params = False
litellm.modify_params = False

_KINDS: Mapping[str, ErrorKind] = {
    "Timeout": "retryable",
    "APIConnectionError": "retryable",
    "InternalServerError": "retryable",
    "ServiceUnavailableError": "retryable",
    "BadGatewayError": "retryable",
    "APIResponseValidationError": "retryable",
    "JSONSchemaValidationError": "retryable",
    "RateLimitError": "rate_limited",
    "ContextWindowExceededError": "bad_request",
    "UnprocessableEntityError": "bad_request",
    "AuthenticationError": "fatal_participant",
    "PermissionDeniedError": "fatal_participant",
    "NotFoundError": "fatal_participant",
    "BadRequestError": "fatal_participant",
    "UnsupportedParamsError": "fatal_participant",
    "BudgetExceededError": "fatal_participant",
    "PaymentRequiredError": "fatal_participant",
    "LiteLLMUnknownProvider": "fatal_participant",
}
"""litellm's exceptions by name; a test holds the map complete."""

_BY_STATUS = {"APIError", "BadRequestError"}
"""What litellm raises for statuses that it has no exception for: the status says more."""
_UNANSWERED = {"Timeout", "APIConnectionError", "APIResponseValidationError"}
_BROKEN = {"ReadError", "ReadTimeout", "RemoteProtocolError", "ConnectionResetError"}
"""Causes of what litellm calls an internal server error: the connection broke after the call was sent."""


class LiteLLMProvider:
    """Calls ``litellm.acompletion`` once per request, with litellm's own retries and parameter dropping off."""

    serves = False

    def __init__(self, api_key: str | None = None, api_base: str | None = None) -> None:
        self._fixed: dict[str, Any] = {"num_retries": 0, "max_retries": 0}
        self._key = api_key
        if api_key:
            self._fixed["api_key"] = api_key
        if api_base:
            self._fixed["api_base"] = api_base

    @classmethod
    def for_participant(cls, participant: Participant, api_key: str | None) -> LiteLLMProvider:
        """The provider with a participant's key and address."""
        if participant.api_base and not api_key:
            raise InputError(
                f"participant {participant.name!r} has an api_base and no key: litellm would send there whatever "
                "key it finds; name the variable of the one that may go there (api_key_env), or take the route openai"
            )
        return cls(api_key, participant.api_base)

    async def aopen(self) -> None:
        """Nothing to do: litellm opens its clients when they are needed."""

    async def reach(self) -> None:
        """Nothing to do: litellm knows the addresses."""

    async def aclose(self) -> None:
        """Close litellm's clients, those of other providers in this process too."""
        await litellm.close_litellm_async_clients()
        litellm.in_memory_llm_clients_cache.flush_cache()  # else it would go on using some that are closed

    async def ready(self) -> None:
        """Nothing to wait for."""

    async def generate(self, request: Request, *, timeout: float) -> Response:
        """Make one call; `timeout` bounds all of it, in seconds."""
        params: dict[str, Any] = {**self._fixed, **request.participant.params}
        if request.seed is not None:
            params["seed"] = request.seed
        messages = [dict(message) for message in request.prompt.messages]
        try:
            async with asyncio.timeout(timeout):
                answer = await litellm.acompletion(
                    model=request.participant.model, messages=messages, timeout=timeout, **params
                )
        except TimeoutError:
            failed = ProviderError(f"no answer within {timeout:g} s", "retryable", billable=True)
        except litellm.ContentPolicyViolationError as error:
            # half of a surrogate pair, which an error's JSON may hold, could not be stored
            text = str(error).encode("utf-8", "backslashreplace").decode()
            return refusal(redact(text, self._key), {})
        except Exception as error:  # the boundary: whatever litellm raises is mapped here, once
            failed = self._explained(error)
        else:
            return self._read(answer)
        raise failed  # out here: an error that holds on to litellm's holds the key

    def _read(self, answer: Any) -> Response:
        body = answer.model_dump(mode="json", exclude_none=True)
        if not (body.get("usage") or {}).get("prompt_tokens"):
            body.pop("usage", None)  # litellm writes zeros where the provider did not count
        raw = redact(json.dumps(body, separators=(",", ":")), self._key)
        return read_completion(json.loads(raw), raw, _headers(answer))

    def _explained(self, error: Exception) -> ProviderError:
        name = type(error).__name__
        status = getattr(error, "status_code", None)
        status = status if isinstance(status, int) else None
        code = error_code({"error": getattr(error, "body", None)})
        kind = _KINDS.get(name)
        if kind is None or (name in _BY_STATUS and status):
            kind = kind_of(status or 500, None)
        if code in ("insufficient_quota", "context_length_exceeded"):
            kind = kind_of(status or 400, code)
        response = getattr(error, "response", None)
        headers = getattr(response, "headers", None) or getattr(error, "litellm_response_headers", None) or {}
        text = " ".join(redact(str(getattr(error, "message", "") or error), self._key).split())
        return ProviderError(
            f"{f'HTTP {status}: ' if status else ''}{text[:300]}",
            kind,
            retry_after=retry_after(headers),
            status=status,
            raw=redact(text, self._key),
            billable=name in _UNANSWERED or not _BROKEN.isdisjoint(_causes(error)),
        )


def _causes(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield type(error).__name__
        error = error.__cause__ or error.__context__


def _headers(answer: Any) -> Mapping[str, str]:
    hidden = getattr(answer, "_hidden_params", None) or {}
    found = hidden.get("additional_headers") or {}
    # litellm keeps a provider's own headers under a prefix
    return {str(key).removeprefix("llm_provider-").lower(): str(value) for key, value in found.items()}
