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
    # the docstrings below fields are the meanings in docs/reference/registry.md
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class PriceEntry(Entry):
    """US dollars per million tokens."""

    input: Annotated[float, Field(ge=0)]
    """For a million tokens of prompt."""
    output: Annotated[float, Field(ge=0)]
    """For a million tokens of answer, reasoning included."""
    as_of: Annotated[str, Field(pattern=_MONTH_OR_DAY)]
    """Month or day of the price list that they were read from, `2025-07` or `2025-07-14`."""


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
    """`openai`: files and batches beside the `api_base`; `anthropic`: message batches, for models
    named `anthropic/...`."""
    discount: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of `price` that a batch saves."""
    max_requests: Annotated[int, Field(gt=0)] | None = None
    """Most requests in one batch, where the account may not send as many as the protocol allows."""


def _spelled_out(batch: object) -> object:
    """``batch: openai`` is short for ``batch: {protocol: openai}``."""
    return {"protocol": batch} if isinstance(batch, str) else batch


class Reach(Entry):
    """What a provider sets and a participant may override."""

    api_base: str | None = None
    """Address up to and including the version, `https://api.openai.com/v1`. The route `openai` needs it; for the route
    `vllm` it is the server to connect to, and without it one is started."""
    api_key_env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = None
    """Name of the environment variable that holds the key, never the key. None: no key is sent, and none is missing."""
    rpm: Positive | None = None
    """Requests a minute; no limit by default."""
    tpm: Positive | None = None
    """Tokens a minute, input and output together; no limit by default."""
    concurrency: Annotated[int, Field(gt=0)] | None = None
    """Most calls in flight at once, used to the full once a first call was answered; for the route `vllm` at each
    server, for `hf` the prompts that are scored together."""
    temperature_max: Positive | None = None
    """Upper end of the temperatures that the experiment `temperature` uses."""
    timeout_s: Positive | None = None
    """Longest wait for one answer, in seconds; 300 by default."""
    seed: Literal["auto"] | None = None
    """`auto` sends every attempt a seed of its own, derived from the trial; the default for the routes `vllm` and
    `simulated`."""
    params: Params = {}
    """Sent with every call as they are."""
    guided_decoding: bool | None = None
    """Whether the server is to let the model write nothing but JSON of the task's shape (`response_format`), for the
    routes `vllm` and `openai`. Off by default, as in the paper."""
    serve: ServeEntry = ServeEntry()
    """How its server is started, for the route `vllm` without an `api_base`."""
    batch: Annotated[BatchEntry | None, BeforeValidator(_spelled_out)] = None
    """How `--batch` asks its models; `batch: openai` is short for `batch: {protocol: openai}`."""


class ProviderEntry(Reach):
    """How to reach the models of one provider."""

    route: Route
    """`openai`: any server that speaks OpenAI's chat completions; `litellm`: through litellm (Anthropic, Gemini,
    Cohere, Bedrock, ...); `vllm`: a vLLM server of your own; `hf`: transformers in this process, for scores of options
    only; `simulated`: no model at all."""


class Retired(Entry):
    """A model that can no longer be called under this name."""

    since: Annotated[str, Field(pattern=_MONTH_OR_DAY)]
    """First month or day without it; may lie ahead where the provider has announced it."""
    successor: str | None = None
    """What the provider names in its place; another model, and so another participant."""


class ParticipantEntry(Reach):
    """One model as it takes part."""

    provider: str
    """Name of a provider."""
    model: Annotated[str, Field(min_length=1)]
    """The provider's own name of the model, a dated one where there is one; for litellm with its prefix,
    `anthropic/claude-opus-4-20250514`."""
    family: str | None = None
    """The lab's line of models, for tables."""
    size_b: Positive | None = None
    """Billions of parameters."""
    revision: str | None = None
    """Which weights, where you know and it matters."""
    dtype: str | None = None
    """Number format that the weights are loaded in."""
    quantization: str | None = None
    """How the weights are quantised."""
    max_output_tokens: Annotated[int, Field(gt=0)] | None = None
    """Most tokens that an answer is expected to take, reasoning included; 4,096 is assumed. **Not sent.** It bounds the
    estimate and what `--max-cost` sets aside for a call; a `max_tokens` in `params` goes before it."""
    price: PriceEntry | None = None
    """By default litellm's list, else unknown; 0 for the routes `vllm`, `hf` and `simulated`."""
    retired: Retired | None = None
    """Since when the model cannot be called under this name."""


class Union(Entry):
    """A mix made of other mixes."""

    union: Members
    """Names of mixes; each participant is taken once, in this order."""


class ValuesExperiment(Entry):
    """Some participants over equally spaced values of one parameter."""

    participants: Members
    """Whose parameter is varied."""
    points: Annotated[int, Field(ge=1)] = 10
    """Number of values."""
    low: Annotated[float, Field(ge=0, le=1)] = 0.05
    """First value; for `temperature` a share of the participant's `temperature_max`."""
    high: Annotated[float, Field(ge=0, le=1)] = 0.95
    """Last value, likewise."""
    trials: Annotated[int, Field(ge=1)] = 1
    """Trials of each variant on each item."""


class GridExperiment(Entry):
    """Some participants over every pair of a temperature and a top-p; a null leaves the parameter unset."""

    participants: Members
    """Whose parameters are varied."""
    temperature: Annotated[list[Annotated[float, Field(ge=0)] | None], Field(min_length=1)]
    """Temperatures; null leaves it as the participant declares it."""
    top_p: Annotated[list[Annotated[float, Field(ge=0, le=1)] | None], Field(min_length=1)]
    """Values of top-p; null as above."""
    trials: Annotated[int, Field(ge=1)] = 1
    """Trials of each pair on each item."""


class SizeExperiment(Entry):
    """Families of models of different sizes."""

    families: Annotated[dict[Name, Members], Field(min_length=1)]
    """Family → its participants, which are compared as one group."""
    trials: Annotated[int, Field(ge=1)] = 5
    """Trials of each participant on each item."""


class Experiments(Entry):
    """The experiments of Kulmizev et al. 2026, section 3 and appendix H."""

    temperature: ValuesExperiment | None = None
    """Equally spaced temperatures, as shares of each participant's `temperature_max`, which it must have."""
    top_p: ValuesExperiment | None = None
    """Equally spaced values of top-p."""
    grid: GridExperiment | None = None
    """Every pair of a listed temperature and a listed top-p."""
    size: SizeExperiment | None = None
    """The members of each family as one group."""


class File(Entry):
    """The whole file."""

    version: Literal[1]
    """Of the file's form."""
    providers: dict[Name, ProviderEntry]
    """How to reach models."""
    participants: dict[Name, ParticipantEntry]
    """Each is one model as it takes part."""
    mixes: dict[Name, Members | Union] = {}
    """Lists of participants, or `{union: [mix, ...]}`."""
    experiments: Experiments = Experiments()
    """The experiments of the paper, and whom they are made with."""
