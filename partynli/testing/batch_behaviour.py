"""What the loopback server does with batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, get_args

from pydantic import ConfigDict

from partynli.errors import InputError, unknown_name

BatchFault = Literal[
    "server_error", "rate_limited", "cut_before", "taken_and_cut", "taken_and_500", "taken_and_hang",
    "too_large", "refused",
    "queue_full", "expired", "cancelled", "errored", "lost", "garbage", "results_cut", "results_gone",
]  # fmt: skip
"""Name of something that can go wrong with a batch; `BATCH_FAULTS` says what each does."""

BATCH_FAULTS: Mapping[BatchFault, str] = {
    "server_error": "500 when it is sent; it is not taken",
    "rate_limited": "429 when it is sent; it is not taken",
    "cut_before": "the connection is reset; it is not taken",
    "taken_and_cut": "it is taken, and the connection is reset before the answer",
    "taken_and_500": "it is taken, and answered with 500",
    "taken_and_hang": "it is taken, and never answered; ends when the client leaves",
    "too_large": "413",
    "refused": "it fails validation as a whole (Anthropic: 400 when it is sent)",
    "queue_full": "it fails because too many tokens of the account wait (Anthropic: 429 when it is sent)",
    "expired": "it ends before `share` of its requests are run",
    "cancelled": "it is cancelled before `share` of its requests are run",
    "errored": "`share` of its requests end with a server error",
    "lost": "it is taken, and 404 afterwards",
    "garbage": "its results hold a broken line, an unknown id, and a doubled line",
    "results_cut": "the first download of its results breaks off",
    "results_gone": "it ends, and its results are no longer there",
}
"""Every fault and what it does."""


@dataclass(frozen=True, kw_only=True)
class BatchBehaviour:
    """What happens to batches. The defaults: taken, run, and ended at the first look."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    polls: int = 0
    """Looks at a batch for which it is still in progress."""
    script: tuple[BatchFault | None, ...] = ()
    """What happens to the first batches that are sent; None is nothing."""
    share: float = 0.5
    """Share of the requests that ``expired``, ``cancelled`` and ``errored`` concern, the last ones."""
    page: int = 100
    """Most batches in one page of a list."""

    def __post_init__(self) -> None:
        if self.polls < 0 or self.page < 1 or not 0 <= self.share <= 1:
            raise InputError("loopback server: polls is at least 0, page at least 1, share from 0 to 1")
        for fault in self.script:
            if fault is not None and fault not in BATCH_FAULTS:
                raise InputError(f"loopback server: {unknown_name('fault', str(fault), BATCH_FAULTS)}")

    def to_json(self) -> dict[str, Any]:
        """Write it as a JSON object."""
        return asdict(self)


assert set(BATCH_FAULTS) == set(get_args(BatchFault))
