"""The frozen records that pass between the stages. No stage fills in another's record.

Those that are made once a call are named tuples: they cost a third of a frozen dataclass.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from partynli.hashing import canonical_json, content_hash, text_hash

_quote = json.encoder.encode_basestring

Route = Literal["litellm", "openai", "vllm", "hf", "simulated"]
RejectionReason = Literal["refusal", "truncated", "empty", "not_json", "schema", "unknown_label"]
ANSWER: Mapping[str, str] = MappingProxyType(
    {"label": "classification.label", "explanation": "classification.explanation", "highlights": "highlights"}
)
"""Where LiveNLI's answers hold what they say, and any task's that does not name other places."""


@dataclass(frozen=True)
class Task:
    """What participants are asked to do: the prompts and how their answers are read."""

    name: str
    labels: tuple[str, ...]
    """All labels, in the order of every distribution."""
    set_labels: bool
    """Whether several labels may be chosen at once."""
    collapse_to: str
    """The single label that a set of several labels counts as."""
    fields: tuple[str, ...]
    """Names of the item's texts, in the order of the user template's ``{}``."""
    highlights: Mapping[str, str]
    """Key in the answer -> the item's text that it marks."""
    reader: str
    """Name of the reader in `partynli.judgments`."""
    human: str | None
    """Dataset that holds people's answers to this task."""
    system: str
    """The system prompt, without the file's final newline."""
    user: str
    """The user template, without the file's final newline."""
    ordered: bool = False
    """Whether the labels are ordered as they are listed: metrics of ordered labels are then reported, too."""
    answer: Mapping[str, str] = field(default_factory=lambda: dict(ANSWER))
    """Where a JSON answer holds its ``label``, ``explanation`` and ``highlights``: keys, joined by dots. What is not
    named is not asked for."""

    @property
    def hashes(self) -> dict[str, str]:
        """Content hashes of both templates, as every manifest records them."""
        return {"system": text_hash(self.system), "user": text_hash(self.user)}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to annotate: a premise and hypothesis pair, for instance."""

    uid: str
    texts: Mapping[str, str]
    """Text by field name (``premise``, ``hypothesis``)."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """One person's answer to one item."""

    uid: str
    worker: str
    class_multi: str
    """The chosen set of labels, alphabetical, joined by hyphens."""
    class_simple: str
    explanation: str
    highlights: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens, as published at a date."""

    input: float
    output: float
    as_of: str

    def cost(self, tokens_in: float, tokens_out: float) -> float:
        """Dollars for a call of this many tokens."""
        return (self.input * tokens_in + self.output * tokens_out) / 1e6


@dataclass(frozen=True, slots=True)
class Serving:
    """How a server is started for a model; none of it changes what the model answers."""

    tensor_parallel: int | None = None
    """GPUs that the model is split over; None for as many as its weights need."""
    gpu_memory: float | None = None
    """Share of each GPU's memory that the server takes; None for nearly all."""
    max_model_len: int | None = None
    """Tokens of prompt and answer together; None for what the model itself allows."""
    ports: tuple[int, int] | None = None
    """First and last port to choose from; None for any free one."""
    args: tuple[str, ...] = ()
    """Further arguments of the server's command."""

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Serving:
        """The record from its JSON form, where lists stand for tuples."""
        given: dict[str, Any] = {key: tuple(one) if isinstance(one, list) else one for key, one in stored.items()}
        return cls(**given)


@dataclass(frozen=True, slots=True)
class Batching:
    """How a participant is asked in batches; none of it changes what the model answers."""

    protocol: Literal["openai", "anthropic"]
    discount: float = 0.5
    """Share of the price that a batch saves."""
    max_requests: int | None = None
    """Most requests in one batch; None for what the protocol allows."""


@dataclass(frozen=True)
class Participant:
    """A model as it takes part: everything declared about it.

    The fields of `identity` are hashed into `id`; those after them say how to reach it and what it costs, and may
    change without making it another participant.
    """

    name: str
    route: Route | Literal["imported"]
    """How it is reached; ``imported``: its answers came in a table, and it cannot be asked."""
    model: str
    params: Mapping[str, Any]
    """What is sent besides the model's name and the messages, exactly."""
    seed: Literal["auto"] | None = None
    """``auto``: every attempt is sent a seed of its own, derived from the trial."""
    revision: str | None = None
    size_b: float | None = None
    """Billions of parameters."""
    dtype: str | None = None
    quantization: str | None = None
    guided_decoding: bool = False
    """Whether the server lets the model write nothing but JSON of the shape that the task asks for."""
    options: str = ""
    """Letters whose scores are asked for at the first token, ``ABC``; empty where an ordinary answer is wanted."""

    provider: str = ""
    family: str | None = None
    api_base: str | None = None
    api_key_env: str | None = None
    """Name of the environment variable that holds the key, or None where no key is needed."""
    price: Price | None = None
    max_output_tokens: int | None = None
    """Most tokens that an answer is expected to take; bounds reservations and estimates and is not sent."""
    rpm: float | None = None
    tpm: float | None = None
    concurrency: int | None = None
    temperature_max: float | None = None
    timeout_s: float = 300.0
    serving: Serving = Serving()
    """How a server is started for it, where it `needs_server`."""
    batch: Batching | None = None
    """How it is asked in batches; None where its provider has none."""

    @property
    def identity(self) -> dict[str, Any]:
        """What is declared and can change the answers."""
        return {
            "route": self.route,
            "model": self.model,
            "params": dict(self.params),
            "seed": self.seed,
            "revision": self.revision,
            "size_b": self.size_b,
            "dtype": self.dtype,
            "quantization": self.quantization,
            **({"guided_decoding": True} if self.guided_decoding else {}),
            **({"options": self.options} if self.options else {}),
        }

    @cached_property
    def id(self) -> str:
        """Content hash of `identity`."""
        return content_hash(self.identity)

    @property
    def needs_server(self) -> bool:
        """Whether a server has to be started for it: a local model for which no address is given."""
        return self.route == "vllm" and self.api_base is None

    @property
    def lane(self) -> tuple[str, ...]:
        """Participants of one lane share a queue, a pace and an in-flight limit, and a server that is started."""
        lane = (self.provider, self.api_base or "", self.model)
        if not self.needs_server:
            return lane
        return (*lane, canonical_json([self.revision, self.dtype, self.quantization, asdict(self.serving)]))

    @property
    def synthetic(self) -> bool:
        """Whether the answers come from a simulation and not from a model."""
        return self.route == "simulated"


@dataclass(frozen=True)
class Prompt:
    """The rendered messages of one item."""

    messages: tuple[Mapping[str, str], ...]
    texts: Mapping[str, str]
    """The item's texts that were filled in."""
    task: Task | None = None
    """What is asked, for participants that are simulated; others are sent the messages and no more."""

    @cached_property
    def json(self) -> str:
        """The messages as JSON text, as it is sent."""
        return canonical_json(list(self.messages))

    @cached_property
    def hash(self) -> str:
        """Content hash of the messages."""
        return text_hash(self.json)

    @cached_property
    def n_bytes(self) -> int:
        """Length of the messages in UTF-8 bytes."""
        return sum(len(message["content"].encode()) for message in self.messages)


class Trial(NamedTuple):
    """One participant answers one item for the `number`-th time (from 1)."""

    participant: Participant
    item: Item
    prompt: Prompt
    number: int
    key: str

    @staticmethod
    def make(participant: Participant, item: Item, prompt: Prompt, number: int) -> Trial:
        """Put a trial together; its key changes with the participant, the item, the prompt and the number."""
        # canonical JSON of a list of the four, put together by hand: this runs once a trial
        named = f'["{participant.id}",{_quote(item.uid)},"{prompt.hash}",{number}]'
        key = "sha256:" + hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()
        return Trial(participant, item, prompt, number, key)

    def seed(self, attempt: int) -> int | None:
        """Seed of this attempt (31 bits), or None where the participant is sent none."""
        if self.participant.seed is None:
            return None
        return int.from_bytes(hashlib.sha256(f"{self.key}/{attempt}".encode()).digest()[:4], "big") >> 1


class Request(NamedTuple):
    """One call, as a provider gets it."""

    participant: Participant
    prompt: Prompt
    seed: int | None = None


class Usage(NamedTuple):
    """Tokens of one call as the provider counted them; None where it did not say."""

    tokens_in: int | None = None
    tokens_out: int | None = None


class OptionScores(NamedTuple):
    """What a model makes of every answer option before it answers: scores of their letters at the first token.

    All are of one kind, raw logits or log-probabilities, which differ by a constant.
    """

    of: Mapping[str, float]
    """By letter; an option that was not returned is not in it."""
    bound: float | None
    """The highest score that an option can have that is not in `of`; None where nothing is known."""


class Response(NamedTuple):
    """One answer of a provider, whatever it says."""

    text: str
    """The answer without any reasoning."""
    reasoning: str
    """What a reasoning model thought aloud, from its own field or a ``<think>`` block; may be empty."""
    finish_reason: str | None
    raw: str
    """The body of the answer as it came, or the route's own JSON of it."""
    usage: Usage = Usage()
    served_model: str | None = None
    fingerprint: str | None = None
    refused: bool = False
    """The provider itself marks the answer as a refusal."""
    open_reasoning: bool = False
    """The reasoning was begun and never closed."""
    headers: Mapping[str, str] = MappingProxyType({})
    """Headers of the answer, for the limits that they tell."""
    option_scores: OptionScores | None = None
    """Scores of letters at the first token; None where none came."""


@dataclass(frozen=True, slots=True)
class Span:
    """A highlighted stretch of one of the item's texts."""

    field: str
    text: str
    start: int | None
    """Offset in the item's text, or None where the stretch does not occur in it."""
    end: int | None


@dataclass(frozen=True, slots=True)
class Judgment:
    """A valid answer: the chosen labels, why, and what was highlighted."""

    class_multi: str
    class_simple: str
    explanation: str | None
    """None where the task asks for none."""
    highlights: tuple[Span, ...]
    repairs: tuple[str, ...]
    """Names of what had to be mended to read the answer; empty for a clean one."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """An answer that holds no valid judgment."""

    reason: RejectionReason
    detail: str


@dataclass(frozen=True, slots=True)
class LabelDistribution:
    """How one group of raters labelled one item."""

    uid: str
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    """Valid answers by label, in the order of `labels`."""
    n_asked: int
    """Answers asked for, the invalid ones included."""

    @property
    def n_valid(self) -> int:
        """Answers that hold a label."""
        return sum(self.counts)
