"""What can go wrong at the loopback hub, and its log of requests."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Step = Literal[
    "whoami", "create", "info", "tree", "paths_info", "refs", "branch", "validate_yaml", "preupload", "commit",
    "batch", "put_object", "complete", "verify", "resolve", "get_object",
]  # fmt: skip
"""What a request asks for: `put_object` is an upload to LFS, in one piece or in parts, `get_object` the download."""

HubFault = Literal[
    "unauthorized", "forbidden", "not_found", "conflict", "stale", "rate_limited", "server_error", "unavailable",
    "echo_token", "cut", "lost", "half", "slow", "hang",
]  # fmt: skip
"""Name of something that can go wrong with a request; `HUB_FAULTS` says what each does."""

HUB_FAULTS: Mapping[HubFault, str] = {
    "unauthorized": "401, the token is not valid",
    "forbidden": "403, the token lacks the right",
    "not_found": "404, no such repository",
    "conflict": "409, another commit is in progress",
    "stale": "412, the branch has moved on",
    "rate_limited": "429 with Retry-After",
    "server_error": "500",
    "unavailable": "503",
    "echo_token": "500 whose text contains the token that was sent",
    "cut": "resets the connection when half of the request's body was read; nothing is done",
    "lost": "does what was asked, and resets the connection before the answer",
    "half": "closes the connection in the middle of the answer's body",
    "slow": "does what was asked after `slow_s` seconds",
    "hang": "never answers; ends when the client leaves",
}
"""Every fault and what it does."""

STATUSES: Mapping[str, tuple[int, str]] = {
    "unauthorized": (401, "Invalid credentials in Authorization header"),
    "forbidden": (403, "You don't have the required permissions to perform this action"),
    "not_found": (404, "Repository not found"),
    "conflict": (409, "Another commit is in progress. Please try again."),
    "stale": (412, "A commit has happened since. Please refresh and try again."),
    "rate_limited": (429, "We had to rate limit you"),
    "server_error": (500, "Internal Server Error"),
    "unavailable": (503, "Service Unavailable"),
}
"""Faults that are an HTTP answer and nothing else."""


@dataclass(slots=True)
class HubRequest:
    """A request that came in. Neither its token nor its query, which may be a signature, is kept."""

    step: str
    """A `Step`, or ``unknown``."""
    method: str
    path: str
    authorized: bool
    """Whether it brought a token."""
    n_bytes: int
    """Length of its body, as its headers say."""
    status: int | None = None
    """HTTP status that was answered, or None where none was."""


class FaultScript:
    """Which fault comes next for each step."""

    def __init__(self) -> None:
        self._next: defaultdict[str, deque[HubFault | None]] = defaultdict(deque)
        self._always: dict[str, HubFault] = {}

    def add(self, step: Step, *faults: HubFault | None) -> None:
        """Let the next requests of a step go wrong, one fault a request; None lets one pass."""
        _known(step, faults)
        self._next[step].extend(faults)

    def always(self, step: Step, fault: HubFault | None) -> None:
        """Let all requests of a step go wrong that no scripted fault meets; None ends that."""
        _known(step, (fault,))
        if fault is None:
            self._always.pop(step, None)
        else:
            self._always[step] = fault

    def take(self, step: str) -> HubFault | None:
        """The fault of a request that has come in."""
        waiting = self._next[step]
        return waiting.popleft() if waiting else self._always.get(step)


def _known(step: str, faults: tuple[HubFault | None, ...]) -> None:
    wrong = [name for name in (step,) if name not in get_args(Step)]
    wrong += [name for name in faults if name is not None and name not in HUB_FAULTS]
    if wrong:
        raise ValueError(f"unknown at the loopback hub: {', '.join(wrong)}")
