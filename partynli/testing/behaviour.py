"""What the loopback server does when a model is called, and how a server is set up."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeVar, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError

from partynli.errors import InputError
from partynli.testing.batch_behaviour import BatchBehaviour

Fault = Literal[
    "rate_limited", "quota", "server_error", "overloaded", "not_found", "unauthorized", "forbidden", "bad_parameter",
    "content_policy", "echo_key", "hang", "cut", "reset", "slow_body", "not_http_json", "empty", "malformed", "fenced",
    "prose", "truncated", "truncated_reasoning", "truncated_reasoning_content", "refusal", "refusal_text",
    "content_filter", "reasoning", "reasoning_content", "unknown_label", "set_order", "schema", "drift", "no_usage",
]  # fmt: skip
"""Name of something that can go wrong with a call; `FAULTS` says what each does."""

FAULTS: Mapping[Fault, str] = {
    "rate_limited": "429 with Retry-After",
    "quota": "the account is out of credit: 429 insufficient_quota (Anthropic: 400)",
    "server_error": "500",
    "overloaded": "503 (Anthropic: 529)",
    "not_found": "404, no such model",
    "unauthorized": "401",
    "forbidden": "403",
    "bad_parameter": "400, a parameter that the model does not take",
    "content_policy": "400, the prompt is blocked by a policy",
    "echo_key": "401 whose text contains the key that was sent",
    "hang": "never answers; ends when the client leaves",
    "cut": "closes the connection in the middle of the body",
    "reset": "resets the connection before any answer",
    "slow_body": "a valid answer, its body in pieces over `slow_body_s` seconds",
    "not_http_json": "200 with an HTML page",
    "empty": "200 with no text",
    "malformed": "the text is no JSON",
    "fenced": "a valid answer in a code fence",
    "prose": "a valid answer between two sentences",
    "truncated": "JSON cut off, finish_reason length",
    "truncated_reasoning": "an unclosed <think> block, finish_reason length",
    "truncated_reasoning_content": "reasoning in a field of its own, no text, finish_reason length",
    "refusal": "a refusal marked as such (OpenAI: message.refusal, Anthropic: stop_reason refusal)",
    "refusal_text": "a polite refusal as plain text",
    "content_filter": "no text, finish_reason content_filter (Anthropic: stop_reason refusal)",
    "reasoning": "a <think> block before a valid answer",
    "reasoning_content": "a valid answer, reasoning in a field of its own (Anthropic: a thinking block)",
    "unknown_label": "a label that the task does not know",
    "set_order": "the labels of a set in another order than asked for: false-either",
    "schema": "valid JSON with wrong keys",
    "drift": "a valid answer from a model of another name and fingerprint",
    "no_usage": "a valid answer without token counts",
}
"""Every fault and what it does."""


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What the server does when one model is called. The defaults: a valid answer, at once, without limits.

    >>> Behaviour(rps=2.5, burst=2, script=("server_error", None), latency_s=0.3).limit_per_minute
    150.0
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    latency_s: float = 0.0
    """Seconds before an answer; calls refused for their form, key or pace are refused at once."""
    jitter_s: float = 0.0
    """Up to so many seconds more, drawn evenly."""

    rps: float | None = None
    """Calls allowed per second; counted when a call comes in."""
    rpm: float | None = None
    """Calls allowed per minute; give this or `rps`."""
    burst: int = 1
    """Calls that an idle bucket takes at once. The smallest is the strictest: then calls must be evenly spaced."""
    limiter: Literal["bucket", "window"] = "bucket"
    """``bucket`` refills all the time; ``window`` takes so many calls in any second (`rps`) or minute (`rpm`)."""
    count_refused: bool = False
    """True where calls refused for their pace use up the limit too, as some providers do."""
    tpm: int | None = None
    """Tokens allowed per minute, those of prompt and answer; a full minute's worth may be used at once."""
    limit_headers: bool = False
    """True sends each protocol's limit headers with answers and with 429; limits are told per minute."""

    retry_after: Literal["seconds", "date", "none"] = "seconds"
    """How a 429 says when to come back: whole seconds, an HTTP date, or not at all."""
    retry_after_s: float = 1.0
    """What the fault ``rate_limited`` asks for; over a limit, the true wait is told. Both are rounded up."""

    script: tuple[Fault | None, ...] = ()
    """What happens to the first calls that pass the checks and limits; None is a normal answer."""
    fault_share: float = 0.0
    """Share of the calls after the script that get one of `faults`."""
    faults: tuple[Fault, ...] = ()
    """What `fault_share` draws from, evenly; name a fault twice to draw it twice as often."""
    slow_body_s: float = 0.5
    """Seconds that the fault ``slow_body`` takes to write an answer."""

    refuse_parameters: tuple[str, ...] = ()
    """Names of request parameters that are answered with 400."""
    labels: tuple[str, ...] = ("true", "either", "false", "either-true", "either-false")
    """Labels to choose from, evenly; name one twice to choose it twice as often."""
    text: str | None = None
    """A fixed text in place of an answer to LiveNLI's question, for tasks of your own."""
    token_scores: Mapping[str, float] = field(default_factory=dict)
    """Log-probabilities of an answer's first token, by its text, where a request asks for them; made up if empty."""
    seed: int = 0
    """Same seed, same answers: a label is the hash of seed, model, user text and how often that text was answered."""

    def __post_init__(self) -> None:
        for name in ("latency_s", "jitter_s", "retry_after_s", "slow_body_s"):
            _demand(getattr(self, name) >= 0, f"{name} must not be negative")
        for name in ("rps", "rpm", "tpm"):
            _demand(getattr(self, name) is None or getattr(self, name) > 0, f"{name} must be above 0")
        _demand(self.rps is None or self.rpm is None, "give rps or rpm, not both")
        _demand(self.burst >= 1, "burst must be at least 1")
        _demand(
            self.limiter == "bucket" or float(self.rps or self.rpm or 0.5).is_integer(),
            "a window needs a whole number of calls in rps or rpm",
        )
        _demand(0 <= self.fault_share <= 1, "fault_share must lie in 0 to 1")
        _demand(bool(self.faults) or not self.fault_share, "fault_share needs faults to draw from")
        for fault in (*self.script, *self.faults):
            _demand(fault is None or fault in FAULTS, f"unknown fault {fault!r}{_nearest(str(fault), FAULTS)}")
        _demand(bool(self.labels), "labels must not be empty")

    @property
    def limit_per_minute(self) -> float | None:
        """Calls allowed per minute, or None without a limit."""
        return self.rpm if self.rps is None else self.rps * 60

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Behaviour:
        """Read a behaviour from a JSON object; an `InputError` names what is wrong.

        >>> Behaviour.from_json({"script": ["hang"], "latency_s": 1}).script
        ('hang',)
        """
        return _validated(_BEHAVIOUR, given)

    def to_json(self) -> dict[str, Any]:
        """Write it as a JSON object, the inverse of `from_json`."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """All that a server is told before it starts; the file that the command line takes has these keys."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    behaviours: Mapping[str, Behaviour] = field(default_factory=dict)
    """Model name to behaviour."""
    default: Behaviour = field(default_factory=Behaviour)
    """For models not named in `behaviours`."""
    batches: BatchBehaviour = field(default_factory=BatchBehaviour)
    """What happens to batches, whatever their model."""
    models: tuple[str, ...] | None = None
    """Models that exist, others get 404; None: every name is a model."""
    api_key: str | None = field(default=None, repr=False)
    """Key to demand; None takes any, or none."""
    keep_requests: int = 0
    """How many of the last requests the books keep."""
    port: int = 0
    """Port to listen on; 0 takes a free one."""

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Setup:
        """Read a setup from a JSON object; an `InputError` names what is wrong."""
        return _validated(_SETUP, given)

    def to_json(self) -> str:
        """Write it as one line of JSON, key included."""
        return json.dumps(asdict(self))


_T = TypeVar("_T")
_BEHAVIOUR = TypeAdapter(Behaviour)
_SETUP = TypeAdapter(Setup)
_NAMES = {one.name for cls in (Behaviour, BatchBehaviour, Setup) for one in fields(cls)}


def _validated(adapter: TypeAdapter[_T], given: Mapping[str, Any]) -> _T:
    try:
        return adapter.validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the setup"
        unknown = first["type"] in ("extra_forbidden", "unexpected_keyword_argument")
        what = f"unknown key{_nearest(where.rpartition('.')[2], _NAMES)}" if unknown else first["msg"]
        raise InputError(f"loopback server, {where}: {what}") from None


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _demand(holds: bool, message: str) -> None:
    if not holds:
        raise InputError(f"loopback server: {message}")


assert set(FAULTS) == set(get_args(Fault))
