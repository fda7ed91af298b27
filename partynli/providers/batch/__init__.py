"""Batch APIs: many requests at once, answered within a day, for less money; what each is: `base.BatchAPI`.

A protocol's module is imported only when a participant is asked through it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from importlib import import_module
from typing import Any

from partynli.errors import InputError
from partynli.providers.batch.base import BatchAPI, BatchState, Result, find
from partynli.records import Participant

_PROTOCOLS: Mapping[str, tuple[str, str]] = {
    "openai": ("partynli.providers.batch.openai", "OpenAIBatches"),
    "anthropic": ("partynli.providers.batch.anthropic", "AnthropicBatches"),
}


def unbatchable(participant: Participant) -> str | None:
    """Why a participant cannot be asked in batches, or None."""
    if participant.batch is None:
        return "no batch API is declared in the registry"
    why: str | None = _class_of(participant.batch.protocol).unsendable(participant)
    return why


def batch_api_for(participant: Participant, environ: Mapping[str, str]) -> BatchAPI:
    """The batch API that a participant is asked through; its key is read from `environ` and nowhere else."""
    why = unbatchable(participant)
    if participant.batch is None or why:
        raise InputError(f"participant {participant.name!r} cannot be asked in batches: {why}")
    key = environ.get(participant.api_key_env, "").strip() if participant.api_key_env else None
    made: BatchAPI = _class_of(participant.batch.protocol)(participant.api_base, key)
    return made


def batch_endpoint_of(participant: Participant) -> Hashable:
    """Participants whose batch endpoints are equal are asked through one API."""
    protocol = participant.batch.protocol if participant.batch else None
    return protocol, participant.api_base, participant.api_key_env


def batch_place_of(participant: Participant) -> str:
    """The same for people: the protocol, the address without what may be secret in it, and the name of the key."""
    protocol = participant.batch.protocol if participant.batch else None
    address = (participant.api_base or "its own address").rpartition("@")[2]
    return f"{protocol} at {address}, {participant.api_key_env or 'no key'}"


def _class_of(protocol: str) -> Any:
    module, name = _PROTOCOLS[protocol]
    return getattr(import_module(module), name)


__all__ = [
    "BatchAPI",
    "BatchState",
    "Result",
    "batch_api_for",
    "batch_endpoint_of",
    "batch_place_of",
    "find",
    "unbatchable",
]
