"""registry.yaml: participants, providers, mixes and experiments; the only place where a model is named."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from partynli.datafiles import find_registry
from partynli.errors import RegistryError, unknown_name
from partynli.hashing import text_hash
from partynli.prices import fallback_price
from partynli.records import Participant, Price, Route
from partynli.yamlfile import load_yaml

_MONTH_OR_DAY = r"^\d{4}-\d{2}(-\d{2})?$"
Params = dict[str, Any]
Positive = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:+-]{0,99}$")]
"""Names are typed, printed and made into file names; ``@`` and ``=`` are kept for variants."""
Members = Annotated[list[Name], Field(min_length=1)]
_OURS = {
    *("model", "messages", "stream", "n", "seed", "drop_params", "api_base", "base_url"),
    # these would get around the engine's own retries and limits, or answer without the model
    *("timeout", "num_retries", "max_retries", "fallbacks", "mock_response"),
}
_SECRET = re.compile(r"api[_-]?key|token$|secret|password|authorization", re.IGNORECASE)


class _Entry(BaseModel):
    # strict: "50", true and 50 are three different values, and a person who wrote one of them meant that one
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PriceEntry(_Entry):
    """US dollars per million tokens."""

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]
    as_of: Annotated[str, Field(pattern=_MONTH_OR_DAY)]
    """Month or day of the price list, ``2025-07``."""


class _Reach(_Entry):
    """What a provider sets and a participant may override."""

    api_base: str | None = None
    api_key_env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = None
    """Name of the environment variable that holds the key, never the key."""
    rpm: Positive | None = None
    """Requests per minute."""
    tpm: Positive | None = None
    """Tokens per minute, input and output together."""
    concurrency: Annotated[int, Field(gt=0)] | None = None
    """Most calls in flight at once."""
    temperature_max: Positive | None = None
    """Upper end of the temperatures that the experiments use."""
    timeout_s: Positive | None = None
    """Longest wait for one answer."""
    seed: Literal["auto"] | None = None
    """``auto`` sends every attempt a seed of its own."""
    params: Params = {}
    """Sent with every call, exactly."""


class ProviderEntry(_Reach):
    """How to reach the models of one provider."""

    route: Route


class Retired(_Entry):
    """A model that can no longer be called under this name."""

    since: Annotated[str, Field(pattern=_MONTH_OR_DAY)]
    """First month or day without it; may lie ahead where the provider has announced it."""
    successor: str | None = None
    """What the provider names in its place; another model, and so another participant."""


class ParticipantEntry(_Reach):
    """One model as it takes part."""

    provider: str
    model: Annotated[str, Field(min_length=1)]
    """The provider's own name of it."""
    family: str | None = None
    size_b: Positive | None = None
    revision: str | None = None
    dtype: str | None = None
    quantization: str | None = None
    max_output_tokens: Annotated[int, Field(gt=0)] | None = None
    price: PriceEntry | None = None
    retired: Retired | None = None


class Union(_Entry):
    """A mix made of other mixes."""

    union: Members


class ValuesExperiment(_Entry):
    """Some participants over equally spaced values of one parameter."""

    participants: Members
    points: Annotated[int, Field(ge=1)] = 10
    low: Annotated[float, Field(ge=0, le=1)] = 0.05
    high: Annotated[float, Field(ge=0, le=1)] = 0.95
    trials: Annotated[int, Field(ge=1)] = 1


class GridExperiment(_Entry):
    """Some participants over every pair of a temperature and a top-p; a null leaves the parameter unset."""

    participants: Members
    temperature: Annotated[list[Annotated[float, Field(ge=0)] | None], Field(min_length=1)]
    top_p: Annotated[list[Annotated[float, Field(ge=0, le=1)] | None], Field(min_length=1)]
    trials: Annotated[int, Field(ge=1)] = 1


class SizeExperiment(_Entry):
    """Families of models of different sizes."""

    families: Annotated[dict[Name, Members], Field(min_length=1)]
    trials: Annotated[int, Field(ge=1)] = 5


class Experiments(_Entry):
    """The experiments of Kulmizev et al. 2026, section 3 and appendix H."""

    temperature: ValuesExperiment | None = None
    top_p: ValuesExperiment | None = None
    grid: GridExperiment | None = None
    size: SizeExperiment | None = None


class _File(_Entry):
    version: Literal[1]
    providers: dict[Name, ProviderEntry]
    participants: dict[Name, ParticipantEntry]
    mixes: dict[Name, Members | Union] = {}
    experiments: Experiments = Experiments()


class Registry:
    """The registry, read and checked.

    Parameters
    ----------
    content
        Parsed YAML.
    source
        Where it came from, for messages.
    """

    def __init__(self, content: Any, source: str = "the registry") -> None:
        self.source = source
        if fault := _unfit(content, (), within_params=False):
            raise RegistryError(f"{source}: {fault}")
        try:
            self._file = _File.model_validate(content)
        except ValidationError as error:
            raise RegistryError(_explain(error, source)) from None
        self._check_references()
        self._check_calls()
        self.mixes: Mapping[str, tuple[str, ...]] = self._resolve_mixes()
        """Names of the participants of every mix."""
        self.participants: Mapping[str, Participant] = {name: self._resolve(name) for name in self._file.participants}
        self._check_clones()

    @property
    def experiments(self) -> Experiments:
        """The experiments as declared."""
        return self._file.experiments

    @property
    def providers(self) -> Mapping[str, ProviderEntry]:
        """The providers as declared."""
        return self._file.providers

    def retired(self, name: str) -> Retired | None:
        """Since when a participant can no longer be called, or None."""
        self.participant(name)
        return self._file.participants[name].retired

    def participant(self, name: str) -> Participant:
        """Look a participant up by name."""
        if name not in self.participants:
            raise RegistryError(unknown_name("participant", name, self.participants, self.source))
        return self.participants[name]

    def mix(self, name: str) -> tuple[Participant, ...]:
        """The participants of a mix, in its order."""
        if name not in self.mixes:
            raise RegistryError(unknown_name("mix", name, self.mixes, self.source))
        return tuple(self.participants[member] for member in self.mixes[name])

    def _resolve_mixes(self) -> dict[str, tuple[str, ...]]:
        declared = self._file.mixes
        resolved = {name: tuple(mix) for name, mix in declared.items() if isinstance(mix, list)}
        unions = {name: mix.union for name, mix in declared.items() if isinstance(mix, Union)}
        while unions:
            ready = [name for name, parts in unions.items() if all(part in resolved for part in parts)]
            if not ready:
                name, above = next(iter(unions)), set[str]()
                while name not in above:  # what depends on a circle is not yet in it
                    above.add(name)
                    name = next(part for part in unions[name] if part not in resolved)
                raise RegistryError(f"{self.source}: mix {name!r} is a union that contains itself")
            for name in ready:
                resolved[name] = tuple(dict.fromkeys(one for part in unions.pop(name) for one in resolved[part]))
        return {name: resolved[name] for name in declared}

    def _resolve(self, name: str) -> Participant:
        entry = self._file.participants[name]
        provider = self._file.providers[entry.provider]
        free = provider.route in ("vllm", "simulated")
        price = Price(**entry.price.model_dump()) if entry.price else None if free else fallback_price(entry.model)
        return Participant(
            name=name,
            route=provider.route,
            model=entry.model,
            params={**provider.params, **entry.params},
            seed=entry.seed or provider.seed or ("auto" if provider.route in ("vllm", "simulated") else None),
            revision=entry.revision,
            size_b=entry.size_b,
            dtype=entry.dtype,
            quantization=entry.quantization,
            provider=entry.provider,
            family=entry.family,
            api_base=entry.api_base or provider.api_base,
            api_key_env=entry.api_key_env or provider.api_key_env,
            price=price or (Price(0, 0, "always") if free else None),
            max_output_tokens=entry.max_output_tokens,
            rpm=entry.rpm,
            tpm=entry.tpm,
            concurrency=entry.concurrency,
            temperature_max=entry.temperature_max or provider.temperature_max,
            timeout_s=entry.timeout_s or provider.timeout_s or 300.0,
        )

    def _check_references(self) -> None:
        file = self._file
        for name, entry in file.participants.items():
            self._known(f"participant {name!r}", "provider", [entry.provider], file.providers)
        for name, mix in file.mixes.items():
            if isinstance(mix, list):
                self._known(f"mix {name!r}", "participant", mix, file.participants)
            else:
                self._known(f"mix {name!r}", "mix", mix.union, file.mixes)
        for kind in ("temperature", "top_p", "grid"):
            if experiment := getattr(file.experiments, kind):
                self._known(f"experiment {kind!r}", "participant", experiment.participants, file.participants)
        if file.experiments.size:
            for family, members in file.experiments.size.families.items():
                self._known(f"experiment 'size', family {family!r}", "participant", members, file.participants)

    def _known(self, where: str, kind: str, names: list[str], known: Mapping[str, object]) -> None:
        for name in names:
            if name not in known:
                raise RegistryError(f"{where}: {unknown_name(kind, name, known, self.source)}")
        if doubles := {name for name in names if names.count(name) > 1}:
            raise RegistryError(f"{self.source}: {where} names {', '.join(sorted(doubles))} more than once")

    def _check_calls(self) -> None:
        reaches: list[tuple[str, _Reach]] = [
            *((f"provider {name!r}", entry) for name, entry in self._file.providers.items()),
            *((f"participant {name!r}", entry) for name, entry in self._file.participants.items()),
        ]
        for where, reach in reaches:
            if key := next((key for key in reach.params if key in _OURS), None):
                raise RegistryError(f"{self.source}: {where}: {key!r} cannot stand in params: partynli sets it itself")
            if key := next((key for key in _keys(reach.params) if _SECRET.search(key)), None):
                raise RegistryError(
                    f"{self.source}: {where}: {key!r} cannot stand in params: secrets are kept in the environment "
                    "(api_key_env names the variable)"
                )
            if reach.api_base is not None and not _is_plain_address(reach.api_base):
                raise RegistryError(
                    f"{self.source}: {where}: api_base must be an http(s) address without a user name or password"
                )

    def _check_clones(self) -> None:
        seen: dict[str, str] = {}
        for name, participant in self.participants.items():
            if (first := seen.setdefault(participant.id, name)) != name:
                raise RegistryError(
                    f"{self.source}: participants {first!r} and {name!r} declare the same model and parameters; "
                    "they would be one participant, counted twice"
                )


def vary(participant: Participant, **params: float | None) -> Participant:
    """A variant of a participant with other decoding parameters; None leaves a parameter as it is.

    >>> vary(Participant("m", "openai", "m", {}), temperature=0.5, top_p=None).name
    'm@temperature=0.5'
    """
    given = {key: value for key, value in params.items() if value is not None}
    if not given:
        return participant
    name = participant.name + "".join(f"@{key}={value:.6g}" for key, value in given.items())
    return replace(participant, name=name, params={**participant.params, **given})


def load_registry(path: Path | None = None) -> tuple[Registry, Path, str]:
    """Read the registry.

    Parameters
    ----------
    path
        The file; by default ``./registry.yaml``, or the one that came with partynli.

    Returns
    -------
    tuple
        The registry, the path it was read from, and the content hash of the file.

    Raises
    ------
    RegistryError
        The file is missing, unreadable or wrong; the message names the file, the key and the nearest known one.
    """
    found = find_registry(path)
    try:
        text = found.read_text("utf-8")
        content = load_yaml(text)
    except (OSError, ValueError) as error:
        raise RegistryError(f"{found} cannot be read: {_shortened(' '.join(str(error).split()), 300)}") from None
    return Registry(content, str(found)), found, text_hash(text)


def _unfit(value: Any, place: tuple[str, ...], *, within_params: bool) -> str | None:
    """What in the file could not be sent as JSON or printed on one line, and where; None if nothing."""
    where = ".".join(place) or "the file"
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                return f"{where}: the key {_shortened(repr(key))} is no text; put it in quotes"
            if not key.isprintable():
                return f"{where}: the key {_shortened(repr(key))} has characters that cannot be printed"
            if fault := _unfit(inner, (*place, key), within_params=within_params or key == "params"):
                return fault
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            if fault := _unfit(inner, (*place, str(number)), within_params=within_params):
                return fault
    elif isinstance(value, str):
        if any("\ud800" <= sign <= "\udfff" for sign in value) or not (within_params or value.isprintable()):
            return f"{where}: {_shortened(repr(value))} has characters that cannot be printed"
    elif isinstance(value, float):
        if not math.isfinite(value):
            return f"{where}: {value} is no number that can be sent"
    elif value is not None and not isinstance(value, int):
        quotes = "; put dates in quotes" if hasattr(value, "isoformat") else ""
        return f"{where}: a YAML {type(value).__name__} has no JSON form{quotes}"
    return None


def _keys(params: Any) -> Iterable[str]:
    """Keys at every depth."""
    if isinstance(params, dict):
        yield from params
    for inner in params.values() if isinstance(params, dict) else params if isinstance(params, list) else ():
        yield from _keys(inner)


def _is_plain_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.username or parts.password)


def _shortened(text: str, most: int = 80) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def _explain(error: ValidationError, source: str) -> str:
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
    shown = f" (found {_shortened(repr(given))})" if isinstance(given, str | int | float | None) else ""
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
    }
    chosen = place[:1] in (["providers"], ["participants"], ["mixes"])  # then the second part is a name, not a key
    keys = [*place[:1], *place[2:]] if chosen else place
    return models[keys[-2]].model_fields if len(keys) > 1 and keys[-2] in models else _File.model_fields
