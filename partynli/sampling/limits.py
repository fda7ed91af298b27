"""How fast a lane may go: pace, calls in flight, and what the answers' headers say about both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

MARGIN = 0.985
"""Share of a limit that is used: exactly at the limit, jitter on the way breaks it again and again."""

_CONNECT_S = 0.05


class Pacer:
    """Spaces starts evenly; time that went by unused is not caught up with.

    Parameters
    ----------
    per_minute
        Starts (or tokens) a minute, or None for no limit. `MARGIN` is taken off here.

    Notes
    -----
    A bucket that refills lets a burst through after every pause, and a server that counts with a bucket of one answers
    the burst with 429. Waiting and taking are separate, so that a lane can look at all its limits and take them in one
    step: neither asyncio-throttle nor aiolimiter can (docs/explanation/decisions.md).
    """

    def __init__(self, per_minute: float | None = None) -> None:
        self._next = 0.0
        self._cold = True
        self.per_minute = per_minute

    @property
    def per_minute(self) -> float | None:
        """The limit, without the margin."""
        return self._per_minute

    @per_minute.setter
    def per_minute(self, value: float | None) -> None:
        self._per_minute = value
        self._interval = 60.0 / (value * MARGIN) if value else 0.0

    def widen(self) -> None:
        """Keep a little more distance: jitter on the way made two calls arrive closer than they were sent."""
        if self._per_minute:
            self._interval = min(self._interval + 0.001, 1.05 * 60.0 / (self._per_minute * MARGIN))

    def delay(self, now: float) -> float:
        """Seconds until the next start is due; 0 or less where it may start now."""
        return self._next - now

    def take(self, now: float, amount: float = 1.0) -> None:
        """Start one call, or one that takes `amount` tokens."""
        if self._interval:
            # the first call is late, since it must connect first; the second must not come too early for that
            late = _CONNECT_S if self._cold else 0.0
            self._next = max(now, self._next) + self._interval * amount + late
            self._cold = False

    def sent(self, now: float) -> None:
        """The call that started last leaves only now; the next one keeps its distance from this moment."""
        self._next = max(self._next, now + self._interval)


class InFlight:
    """Calls in flight, bounded by an adaptive limit: additive increase, multiplicative decrease.

    Begins with a probe where nothing is known of the server's limits. Where the registry does not say either how many
    calls the server takes, it doubles with every round of answers until the first setback. Then it grows by one call a
    round.
    """

    def __init__(self, most: int, start: int) -> None:
        self.most = most
        self.limit = float(min(start, most))
        self.now = 0
        self._ramping = True
        self._calm_from = 0.0

    @property
    def full(self) -> bool:
        """Whether no further call may start."""
        return self.now >= int(self.limit)

    def went_well(self) -> None:
        """An answer came; a limit that was used to the full may grow."""
        if self.limit < self.most and self.now >= int(self.limit) - 1:
            self.limit = min(self.most, self.limit + (1.0 if self._ramping else 1.0 / self.limit))

    def open(self) -> None:
        """The probe was answered, and the registry says how many calls the server takes: no need to feel the way."""
        if self._ramping:
            self.limit = float(self.most)

    def went_badly(self, now: float, latency: float) -> None:
        """The server is overloaded; calls sent before the last decrease say nothing new."""
        if now >= self._calm_from:
            self.limit = max(1.0, self.limit / 2)
            self._ramping = False
            self._calm_from = now + latency


@dataclass(frozen=True, slots=True)
class ToldLimits:
    """Limits that an answer's headers tell, per minute; None where they do not."""

    requests: float | None = None
    tokens: float | None = None


_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def told_limits(headers: Mapping[str, str]) -> ToldLimits:
    """Read the limits in an answer's headers.

    OpenAI and those that follow it send ``x-ratelimit-limit-requests``, Anthropic
    ``anthropic-ratelimit-requests-limit``; both count by the minute. A limit whose reset lies more than a minute away
    counts by the day and sets no pace.

    >>> told_limits({"x-ratelimit-limit-requests": "500", "x-ratelimit-reset-requests": "120ms"})
    ToldLimits(requests=500.0, tokens=None)
    >>> told_limits({"x-ratelimit-limit-requests": "10000", "x-ratelimit-reset-requests": "8m38s"})
    ToldLimits(requests=None, tokens=None)
    """
    return ToldLimits(_told(headers, "requests"), _told(headers, "tokens"))


def _told(headers: Mapping[str, str], what: str) -> float | None:
    limit = headers.get(f"x-ratelimit-limit-{what}") or headers.get(f"anthropic-ratelimit-{what}-limit")
    try:
        value = float(limit) if limit else 0.0
    except ValueError:
        return None
    reset = headers.get(f"x-ratelimit-reset-{what}") or ""
    if sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(reset)) > 60.0:
        return None
    return value if 0 < value < 1e9 else None
