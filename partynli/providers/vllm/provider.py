"""The provider of local models: calls go to a vLLM server, and what the server is gets observed."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from partynli.errors import ProviderError
from partynli.hashing import canonical_json
from partynli.providers.base import read_completion
from partynli.providers.openai_compatible import OpenAICompatibleProvider
from partynli.providers.option_scores import option_tokens
from partynli.providers.vllm.managed import ManagedServer
from partynli.records import Participant, Prompt, Request, Response

_PROBE = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Is the sky blue?"}]
_DATE = {"date_string": "26 Jul 2024"}
"""Some chat templates write today's date, unless they are given one; the probe must be the same every day."""


class VLLMProvider:
    """Calls a vLLM server: one that runs already, or one that is started for the participant's model.

    Parameters
    ----------
    participant
        Whom the server is for; it is started where the participant has no `api_base`.
    api_key
        For a server that runs already and asks for one.
    """

    def __init__(self, participant: Participant, api_key: str | None = None) -> None:
        self.serves = participant.needs_server
        self._server = ManagedServer(participant) if self.serves else None
        self._http = OpenAICompatibleProvider(participant.api_base, api_key) if participant.api_base else None
        self._observed: dict[str, asyncio.Future[str]] = {}
        self._scored: dict[str, asyncio.Future[tuple[Participant, dict[str, str]]]] = {}

    @classmethod
    def for_participant(cls, participant: Participant, api_key: str | None) -> VLLMProvider:
        """The provider of a participant's server."""
        return cls(participant, api_key)

    async def aopen(self) -> None:
        """Open connections to a server that runs already."""
        if self._http is not None:
            await self._http.aopen()

    async def reach(self) -> None:
        """Check that a server that should run already answers."""
        if self._http is not None and not self.serves:
            await self._http.reach()

    async def ready(self) -> None:
        """Have the server of this provider's own started, or started again where it died."""
        if self._server is None or self._server.is_running:
            return
        address = await self._server.start()
        if self._http is None or not self._http.is_at(address):
            before, self._http = self._http, OpenAICompatibleProvider(address, self._server.key)
            self._observed.clear()
            self._scored.clear()
            if before is not None:
                await before.aclose()

    async def aclose(self) -> None:
        """Close connections, and stop the server that was started."""
        if self._http is not None:
            await self._http.aclose()
        if self._server is not None:
            await self._server.aclose()

    async def generate(self, request: Request, *, timeout: float) -> Response:
        """Make one call; an answer that bears another model's name is refused."""
        http = self._http
        if http is None:
            raise ProviderError("the server is not started yet", "retryable")
        asked = request.participant.model
        try:
            fingerprint = await self._fingerprint(http, asked, timeout)
            response = await self._ask(http, request, timeout)
        except ProviderError as error:
            if error.kind == "retryable":  # another server may answer when it is there again
                self._observed.pop(asked, None)
                self._scored.pop(request.participant.id, None)
                if self._server is not None:
                    self._server.doubt()
            raise
        if response.served_model != asked:
            raise ProviderError(
                f"the server answers as {response.served_model!r}, not as {asked!r}: set `model` to the name under "
                "which it serves (--served-model-name), if that is the model you mean",
                "fatal_participant",
                raw=response.raw,
            )
        return response._replace(fingerprint=fingerprint)

    async def _ask(self, http: OpenAICompatibleProvider, request: Request, timeout: float) -> Response:
        if not request.participant.options:
            return await http.generate(request, timeout=timeout)
        scored = self._scored.get(request.participant.id)
        if scored is None:
            finding = _with_tokens(http, request.participant, request.prompt, timeout)
            scored = self._scored[request.participant.id] = asyncio.ensure_future(finding)
        participant, names = await asyncio.shield(scored)
        response = await http.generate(request._replace(participant=participant), timeout=timeout)
        return response if response.refused else _named(response, names)

    async def _fingerprint(self, http: OpenAICompatibleProvider, model: str, timeout: float) -> str:
        """What the server is, asked once: version of vLLM, and a hash of what its chat template makes of a probe."""
        observed = self._observed.get(model)
        if observed is None:
            observed = self._observed[model] = asyncio.ensure_future(_observe(http, model, timeout))
        return await asyncio.shield(observed)


async def _observe(http: OpenAICompatibleProvider, model: str, timeout: float) -> str:
    version = await http.ask("GET", "/version", None, timeout)
    probe = {"model": model, "messages": _PROBE, "add_generation_prompt": True, "chat_template_kwargs": _DATE}
    tokens = await http.ask("POST", "/tokenize", probe, timeout)
    return f"vllm {_text(version, 'version')}, chat template {_hash(tokens)}"


async def _with_tokens(
    http: OpenAICompatibleProvider, participant: Participant, prompt: Prompt, timeout: float
) -> tuple[Participant, dict[str, str]]:
    """The participant, asked for the tokens of its options by their numbers; and these tokens' names, by letter."""

    async def tokens(*answer: str) -> list[int]:
        messages = [*prompt.messages, *({"role": "assistant", "content": one} for one in answer)]
        body = {"model": participant.model, "messages": messages, "add_generation_prompt": not answer}
        if given := participant.params.get("chat_template_kwargs"):
            body["chat_template_kwargs"] = given
        found = (await http.ask("POST", "/tokenize", body, timeout)).get("tokens")
        if not isinstance(found, list):
            raise ProviderError(
                "the server does not tell how it divides texts into tokens (/tokenize), which options are scored by; "
                "reach it by the route openai, where their texts are enough",
                "fatal_participant",
            )
        return found

    ids = option_tokens(await tokens(), {letter: await tokens(letter) for letter in participant.options})
    wanted = {"logprob_token_ids": list(ids.values()), "return_tokens_as_token_ids": True}
    names = {letter: f"token_id:{number}" for letter, number in ids.items()}
    return replace(participant, params={**participant.params, **wanted}), names


def _named(response: Response, names: Mapping[str, str]) -> Response:
    """The answer with the names of the options' tokens, so that it can be read by itself."""
    body = {**json.loads(response.raw), "option_tokens": dict(names)}
    return read_completion(body, json.dumps(body), response.headers)


def _text(answer: Mapping[str, Any], key: str) -> str:
    value = answer.get(key)
    return value[:60] if isinstance(value, str) and value.isprintable() else "unknown"


def _hash(answer: Mapping[str, Any]) -> str:
    """Hash of the probe's tokens, which tells template and tokenizer; ``unknown`` where the server does not tell."""
    tokens = answer.get("tokens")
    return hashlib.sha256(canonical_json(tokens).encode()).hexdigest()[:12] if isinstance(tokens, list) else "unknown"
