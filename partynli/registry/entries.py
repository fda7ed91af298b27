"""What may stand in registry.yaml, key by key."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from partynli.records import Route

_MONTH_OR_DAY = r"^\d{4}-\d{2}(-\d{2})?$"
Params = dict[str, Any]
Positive = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:+-]{0,99}$")]
"""Names are typed, printed and made into file names; ``@`` and ``=`` are kept for variants."""
Members = Annotated[list[Name], Field(min_length=1)]


class Entry(BaseModel):
    """A mapping in the file; keys that it does not know are errors."""

    # strict: "50", true and 50 are three different values, and a person who wrote one of them meant that one
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PriceEntry(Entry):
    """US dollars per million tokens."""

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]
    as_of: Annotated[str, Field(pattern=_MONTH_OR_DAY)]
    """Month or day of the price list, ``2025-07``."""


class ServeEntry(Entry):
    """How `vllm serve` is started for a model whose server has no `api_base`."""

    tensor_parallel: Annotated[int, Field(gt=0)] | None = None
    """GPUs that the model is split over; by default as many as its weights need."""
    gpu_memory: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of each GPU's memory that the server takes, 0.9 by default; small ones let models run side by side."""
    max_model_len: Annotated[int, Field(gt=0)] | None = None
    """Tokens of prompt and answer together; by default what the model allows."""
    ports: Annotated[list[Annotated[int, Field(gt=0, lt=65536)]], Field(min_length=2, max_length=2)] | None = None
    """First and last port to choose from; by default any free one."""
    args: list[str] | None = None
    """Further arguments of `vllm serve`."""


class BatchEntry(Entry):
    """How a provider takes many requests at once."""

    protocol: Literal["openai", "anthropic"]
    discount: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the price that a batch saves."""
    max_requests: Annotated[int, Field(gt=0)] | None = None
    """Most requests in one batch, where the account may not send as many as the protocol allows."""


def _spelled_out(batch: object) -> object:
    """``batch: openai`` is short for ``batch: {protocol: openai}``."""
    return {"protocol": batch} if isinstance(batch, str) else batch


class Reach(Entry):
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
    guided_decoding: bool | None = None
    """Whether the server is to let through nothing but JSON of the task's shape; off by default, as in the paper."""
    serve: ServeEntry = ServeEntry()
    """How its server is started, for the route `vllm` without an `api_base`."""
    batch: Annotated[BatchEntry | None, BeforeValidator(_spelled_out)] = None
    """How it is asked in batches."""


class ProviderEntry(Reach):
    """How to reach the models of one provider."""

    route: Route


class Retired(Entry):
    """A model that can no longer be called under this name."""

    since: Annotated[str, Field(pattern=_MONTH_OR_DAY)]
    """First month or day without it; may lie ahead where the provider has announced it."""
    successor: str | None = None
    """What the provider names in its place; another model, and so another participant."""


class ParticipantEntry(Reach):
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


class Union(Entry):
    """A mix made of other mixes."""

    union: Members


class ValuesExperiment(Entry):
    """Some participants over equally spaced values of one parameter."""

    participants: Members
    points: Annotated[int, Field(ge=1)] = 10
    low: Annotated[float, Field(ge=0, le=1)] = 0.05
    high: Annotated[float, Field(ge=0, le=1)] = 0.95
    trials: Annotated[int, Field(ge=1)] = 1


class GridExperiment(Entry):
    """Some participants over every pair of a temperature and a top-p; a null leaves the parameter unset."""

    participants: Members
    temperature: Annotated[list[Annotated[float, Field(ge=0)] | None], Field(min_length=1)]
    top_p: Annotated[list[Annotated[float, Field(ge=0, le=1)] | None], Field(min_length=1)]
    trials: Annotated[int, Field(ge=1)] = 1


class SizeExperiment(Entry):
    """Families of models of different sizes."""

    families: Annotated[dict[Name, Members], Field(min_length=1)]
    trials: Annotated[int, Field(ge=1)] = 5


class Experiments(Entry):
    """The experiments of Kulmizev et al. 2026, section 3 and appendix H."""

    temperature: ValuesExperiment | None = None
    top_p: ValuesExperiment | None = None
    grid: GridExperiment | None = None
    size: SizeExperiment | None = None


class File(Entry):
    """The whole file."""

    version: Literal[1]
    providers: dict[Name, ProviderEntry]
    participants: dict[Name, ParticipantEntry]
    mixes: dict[Name, Members | Union] = {}
    experiments: Experiments = Experiments()
