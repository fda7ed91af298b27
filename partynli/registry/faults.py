"""What can be wrong in registry.yaml, in one line each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from partynli.errors import unknown_name
from partynli.registry.entries import (
    BatchEntry,
    Experiments,
    File,
    GridExperiment,
    ParticipantEntry,
    PriceEntry,
    ProviderEntry,
    Retired,
    ServeEntry,
    SizeExperiment,
    Union,
    ValuesExperiment,
)


def unfit(value: Any, place: tuple[str, ...], *, within_params: bool) -> str | None:
    """What in the file could not be sent as JSON or printed on one line, and where; None if nothing."""
    where = ".".join(place) or "the file"
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                return f"{where}: the key {shortened(repr(key))} is no text; put it in quotes"
            if not key.isprintable():
                return f"{where}: the key {shortened(repr(key))} has characters that cannot be printed"
            if fault := unfit(inner, (*place, key), within_params=within_params or key == "params"):
                return fault
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            if fault := unfit(inner, (*place, str(number)), within_params=within_params):
                return fault
    elif isinstance(value, str):
        if any("\ud800" <= sign <= "\udfff" for sign in value) or not (within_params or value.isprintable()):
            return f"{where}: {shortened(repr(value))} has characters that cannot be printed"
    elif isinstance(value, float):
        if not math.isfinite(value):
            return f"{where}: {value} is no number that can be sent"
    elif isinstance(value, int):
        if value.bit_length() > 64:
            return f"{where}: input should be a valid number (found {shortened(str(value))}), of 64 bits at most"
    elif value is not None:
        quotes = "; put dates in quotes" if hasattr(value, "isoformat") else ""
        return f"{where}: a YAML {type(value).__name__} has no JSON form{quotes}"
    return None


def keys_of(params: Any) -> Iterable[str]:
    """Keys at every depth."""
    if isinstance(params, dict):
        yield from params
    for inner in params.values() if isinstance(params, dict) else params if isinstance(params, list) else ():
        yield from keys_of(inner)


def is_plain_address(address: str) -> bool:
    """Whether it is an http(s) address without a user name, a password, a query or a fragment."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    is_bare = not (parts.query or parts.fragment or "@" in address)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and is_bare


def shortened(text: str, most: int = 80) -> str:
    """A text cut to a length, with dots where it was."""
    return text if len(text) <= most else text[: most - 3] + "..."


def explain(error: ValidationError, source: str) -> str:
    """One line about the first thing that is wrong: the file, the key, and the nearest known one."""
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    place = [str(part) for part in first["loc"] if part != "[key]"]
    if place[:1] == ["mixes"]:
        del place[2:3]  # pydantic's name for the list or the union that was tried
    where = ".".join(place) or "the file"
    if first["type"] == "extra_forbidden":
        return f"{source}: {where}: {unknown_name('key', place[-1], _keys_at(place))}"
    if "[key]" in first["loc"]:
        return f"{source}: {where}: names are made of letters, digits and . _ : + - and begin with a letter or digit"
    if place[-1:] == ["api_key_env"]:  # who puts the key itself there must not see it in a log
        return f"{source}: {where}: must be the NAME of an environment variable, in capitals, not the key"
    message = first["msg"].partition(" or instance of")[0]
    given = first.get("input")
    shown = f" (found {shortened(repr(given))})" if isinstance(given, str | int | float | None) else ""
    return f"{source}: {where}: {message[0].lower()}{message[1:]}{shown}"


def _keys_at(place: list[str]) -> Iterable[str]:
    models: dict[str, type[BaseModel]] = {
        "providers": ProviderEntry,
        "participants": ParticipantEntry,
        "mixes": Union,
        "experiments": Experiments,
        "temperature": ValuesExperiment,
        "top_p": ValuesExperiment,
        "grid": GridExperiment,
        "size": SizeExperiment,
        "price": PriceEntry,
        "retired": Retired,
        "serve": ServeEntry,
        "batch": BatchEntry,
    }
    chosen = place[:1] in (["providers"], ["participants"], ["mixes"])  # then the second part is a name, not a key
    keys = [*place[:1], *place[2:]] if chosen else place
    return models[keys[-2]].model_fields if len(keys) > 1 and keys[-2] in models else File.model_fields
