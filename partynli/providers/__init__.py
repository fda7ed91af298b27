"""Ways to reach models: one async method each (`partynli.providers.base.Provider`).

A route's module is imported only when a participant of that route takes part: litellm alone takes seconds.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from importlib import import_module
from importlib.util import find_spec

from partynli.errors import RegistryError
from partynli.providers.base import Provider
from partynli.records import Participant

_ROUTES: Mapping[str, tuple[str, str]] = {
    "openai": ("partynli.providers.openai_compatible", "OpenAICompatibleProvider"),
    "vllm": ("partynli.providers.vllm", "VLLMProvider"),
    "hf": ("partynli.providers.hf", "HFProvider"),
    "litellm": ("partynli.providers.litellm", "LiteLLMProvider"),
    "simulated": ("partynli.providers.simulated", "SimulatedProvider"),
}


def provider_for(participant: Participant, environ: Mapping[str, str]) -> Provider:
    """The provider that a participant is reached through; its key is read from `environ` and nowhere else."""
    if participant.route == "imported":
        raise RegistryError(f"participant {participant.name!r} was imported with its answers and cannot be asked")
    if participant.route not in _ROUTES:
        raise RegistryError(f"participant {participant.name!r}: no provider for route {participant.route!r}")
    module, name = _ROUTES[participant.route]
    # a key that was read from a file often ends in a line break, which no header may hold
    key = environ.get(participant.api_key_env, "").strip() if participant.api_key_env else None
    made: Provider = getattr(import_module(module), name).for_participant(participant, key)
    return made


def lacking(participant: Participant, environ: Mapping[str, str]) -> str | None:
    """What a participant lacks before it can be asked, as far as can be told without asking; None if nothing."""
    if participant.api_key_env and not environ.get(participant.api_key_env):
        return f"{participant.api_key_env} is not set"
    if participant.needs_server:
        why: str | None = import_module("partynli.providers.vllm.managed").missing(participant, environ)
        return why
    if participant.route == "hf" and not all(map(find_spec, ("torch", "transformers"))):
        return "torch and transformers are not installed: pip install 'partynli[hf]'"
    return None


def endpoint_of(participant: Participant) -> Hashable:
    """Participants whose endpoints are equal are reached through one provider."""
    server = participant.lane if participant.needs_server else None
    return participant.provider, participant.api_base, participant.api_key_env, server


__all__ = ["Provider", "endpoint_of", "lacking", "provider_for"]
