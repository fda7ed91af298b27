"""The registry, read and checked: participants as records, mixes as names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from partynli.datafiles import find_registry
from partynli.errors import RegistryError, unknown_name
from partynli.hashing import text_hash
from partynli.prices import fallback_price
from partynli.records import Batching, Participant, Price, Serving
from partynli.registry.entries import Experiments, File, ProviderEntry, Reach, Retired, ServeEntry, Union
from partynli.registry.faults import explain, is_plain_address, keys_of, shortened, unfit
from partynli.yamlfile import load_yaml

_OURS = {
    *("model", "messages", "stream", "n", "seed", "drop_params", "api_base", "base_url"),
    # these would get around the engine's own retries and limits, or answer without the model
    *("timeout", "num_retries", "max_retries", "fallbacks", "mock_response"),
}
_OUR_ARGS = frozenset(
    f"--{name}"
    for name in ("model", "host", "port", "uds", "served-model-name", "revision", "dtype", "quantization", "api-key")
)
_ELSEWHERE = re.compile(r".*(?:endpoint|_url|credentials|key_file|_proxy|logger_fn|callbacks?)")
"""What litellm would take for an address to send the key to, or for code or a file to open."""
_SECRET = re.compile(r"api[_-]?key|token$|secret|password|authorization", re.IGNORECASE)


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
        if fault := unfit(content, (), within_params=False):
            raise RegistryError(f"{source}: {fault}")
        self._file = _checked(content, source)
        self._check_references()
        self._check_calls()
        self.mixes: Mapping[str, tuple[str, ...]] = self._resolve_mixes()
        """Names of the participants of every mix."""
        self.participants: Mapping[str, Participant] = {name: self._resolve(name) for name in self._file.participants}
        self._check_serving()
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
        free = provider.route in ("vllm", "hf", "simulated")
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
            guided_decoding=bool(_own_or(entry.guided_decoding, provider.guided_decoding)),
            provider=entry.provider,
            family=entry.family,
            api_base=entry.api_base or provider.api_base,
            api_key_env=entry.api_key_env or provider.api_key_env,
            price=price or (Price(0, 0, "always") if free else None),
            max_output_tokens=entry.max_output_tokens,
            rpm=entry.rpm,
            tpm=entry.tpm,
            # servers of local models share nothing: each may have as many calls in flight as the provider's entry says
            concurrency=entry.concurrency or (provider.concurrency if provider.route in ("vllm", "hf") else None),
            temperature_max=entry.temperature_max or provider.temperature_max,
            timeout_s=entry.timeout_s or provider.timeout_s or 300.0,
            serving=Serving.from_json({**_given(provider.serve), **_given(entry.serve)}),
            batch=Batching(**batch.model_dump()) if (batch := entry.batch or provider.batch) else None,
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
        if doubles := {name for name, times in Counter(names).items() if times > 1}:
            raise RegistryError(f"{self.source}: {where} names {', '.join(sorted(doubles))} more than once")

    def _check_calls(self) -> None:
        reaches: list[tuple[str, Reach]] = [
            *((f"provider {name!r}", entry) for name, entry in self._file.providers.items()),
            *((f"participant {name!r}", entry) for name, entry in self._file.participants.items()),
        ]
        for where, reach in reaches:
            if key := next((key for key in reach.params if key in _OURS), None):
                raise RegistryError(f"{self.source}: {where}: {key!r} cannot stand in params: partynli sets it itself")
            if key := next((key for key in keys_of(reach.params) if _SECRET.search(key)), None):
                raise RegistryError(
                    f"{self.source}: {where}: {key!r} cannot stand in params: secrets are kept in the environment "
                    "(api_key_env names the variable)"
                )
            if key := next((key for key in reach.params if _ELSEWHERE.fullmatch(key)), None):
                raise RegistryError(
                    f"{self.source}: {where}: {key!r} cannot stand in params: an address belongs into api_base, and "
                    "files and secrets belong to the environment"
                )
            if reach.api_base is not None and not is_plain_address(reach.api_base):
                raise RegistryError(
                    f"{self.source}: {where}: api_base must be an http(s) address without a user name, password or "
                    "query; a key is kept in the environment (api_key_env names the variable)"
                )

    def _check_serving(self) -> None:
        for name, entry in self._file.participants.items():
            provider = self._file.providers[entry.provider]
            where = f"{self.source}: participant {name!r}"
            if (entry.batch or provider.batch) and provider.route not in ("openai", "litellm"):
                raise RegistryError(f"{where}: `batch` needs the route openai or litellm, not {provider.route}")
            if provider.route != "vllm" and (_given(entry.serve) or _given(provider.serve)):
                raise RegistryError(f"{where}: `serve` says how vLLM is started, but its route is {provider.route}")
            if provider.route not in ("vllm", "openai") and self.participants[name].guided_decoding:
                raise RegistryError(f"{where}: guided_decoding needs the route vllm or openai, not {provider.route}")
            if self.participants[name].guided_decoding and "response_format" in self.participants[name].params:
                raise RegistryError(f"{where}: guided_decoding sets response_format; take one of the two away")
            declared = (entry.model, entry.revision, entry.dtype, entry.quantization)
            if options := [one for one in declared if one and one.startswith("-")]:
                raise RegistryError(f"{where}: {options[0]!r} would be taken for an option of a command")
            serving = self.participants[name].serving
            if ours := [arg for arg in serving.args if arg.partition("=")[0].replace("_", "-") in _OUR_ARGS]:
                raise RegistryError(f"{where}: {ours[0]} cannot stand in serve.args: partynli or another key sets it")
            if serving.ports and serving.ports[0] > serving.ports[1]:
                raise RegistryError(f"{where}: serve.ports: the first port is above the last")

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
        raise RegistryError(f"{found} cannot be read: {shortened(' '.join(str(error).split()), 300)}") from None
    return Registry(content, str(found)), found, text_hash(text)


def _checked(content: Any, source: str) -> File:
    try:
        return File.model_validate(content)
    except ValidationError as error:
        wrong = explain(error, source)
    raise RegistryError(wrong)  # out here: pydantic's error repeats what was given, a key in the wrong place perhaps


def _own_or(own: bool | None, shared: bool | None) -> bool | None:
    return shared if own is None else own


def _given(serve: ServeEntry) -> dict[str, Any]:
    return serve.model_dump(exclude_none=True)
