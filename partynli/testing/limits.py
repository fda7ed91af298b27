"""Rate limits as providers keep them: strict, and counted when a call comes in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from partynli.testing.behaviour import Behaviour

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit as headers tell it."""

    limit: int
    """Allowed per minute."""
    remaining: int
    """How many more would be taken now."""
    reset_s: float
    """Seconds until all that may be used at once is there again."""


class Limiter(Protocol):
    """Says whether there is room, and takes note of what was used. Times are monotonic seconds."""

    def wait(self, now: float) -> float:
        """Seconds until there is room; 0 if there is."""
        ...

    def spend(self, now: float, amount: float) -> None:
        """Use up some of the limit."""

    def left(self, now: float) -> tuple[int, float]:
        """How much is left, and the seconds until all is."""
        ...


class Bucket:
    """A bucket of `burst` tokens that refills all the time, `rate` of them a second.

    >>> bucket = Bucket(rate=2.0, burst=1)
    >>> bucket.spend(0.0, 1); bucket.wait(0.1), bucket.wait(0.5)
    (0.4, 0.0)
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._at = float("-inf")

    def _refill(self, now: float) -> None:
        if now > self._at:
            self._level = min(self._burst, self._level + (now - self._at) * self._rate)
            self._at = now

    def wait(self, now: float) -> float:
        """Seconds until one token is there."""
        self._refill(now)
        return 0.0 if self._level >= 1 - _ROUNDING else (1 - self._level) / self._rate

    def spend(self, now: float, amount: float) -> None:
        """Take tokens out; the level may fall below zero."""
        self._refill(now)
        self._level -= amount

    def left(self, now: float) -> tuple[int, float]:
        """Whole tokens in the bucket, and the seconds until it is full."""
        self._refill(now)
        return max(0, int(self._level + _ROUNDING)), (self._burst - self._level) / self._rate


class Window:
    """So many calls in any stretch of `period` seconds.

    >>> window = Window(limit=2, period=1.0)
    >>> window.spend(0.0, 1); window.spend(0.25, 1); window.wait(0.5), window.wait(1.0)
    (0.5, 0.0)
    """

    def __init__(self, limit: int, period: float) -> None:
        self._limit = limit
        self._period = period
        self._used: deque[float] = deque()

    def wait(self, now: float) -> float:
        """Seconds until enough earlier calls have left the window."""
        while self._used and self._used[0] + self._period <= now + _ROUNDING:
            self._used.popleft()
        over = len(self._used) - self._limit
        return 0.0 if over < 0 else self._used[over] + self._period - now

    def spend(self, now: float, amount: float) -> None:
        """Note one call."""
        self._used.append(now)

    def left(self, now: float) -> tuple[int, float]:
        """Calls still allowed, and the seconds until the window is empty."""
        self.wait(now)
        reset = self._used[-1] + self._period - now if self._used else 0.0
        return max(0, self._limit - len(self._used)), reset


class Limits:
    """The limits of one model."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._count_refused = behaviour.count_refused
        self._rpm = behaviour.limit_per_minute
        self._tpm = behaviour.tpm
        self._calls = _calls_limiter(behaviour)
        self._tokens = Bucket(self._tpm / 60, self._tpm) if self._tpm else None

    def admit(self, now: float, tokens: int = 0) -> float:
        """Let a call with a prompt of so many tokens in (0), or say in how many seconds it may come again."""
        wait = self._wait(now)
        if wait and not self._count_refused:
            return wait
        if self._calls is not None:
            self._calls.spend(now, 1)
        self.spend_tokens(now, 0 if wait else tokens)
        return self._wait(now) if wait else 0.0

    def spend_tokens(self, now: float, tokens: int) -> None:
        """Note tokens beyond those of the prompt."""
        if self._tokens is not None:
            self._tokens.spend(now, tokens)

    def quotas(self, now: float) -> tuple[Quota | None, Quota | None]:
        """The limits of calls and of tokens, for the headers."""
        calls = Quota(round(self._rpm), *self._calls.left(now)) if self._rpm and self._calls else None
        tokens = Quota(self._tpm, *self._tokens.left(now)) if self._tpm and self._tokens else None
        return calls, tokens

    def _wait(self, now: float) -> float:
        waits = [limiter.wait(now) for limiter in (self._calls, self._tokens) if limiter is not None]
        return max(waits, default=0.0)


def _calls_limiter(behaviour: Behaviour) -> Limiter | None:
    if behaviour.limit_per_minute is None:
        return None
    if behaviour.limiter == "bucket":
        return Bucket(behaviour.limit_per_minute / 60, behaviour.burst)
    if behaviour.rps is not None:
        return Window(int(behaviour.rps), 1.0)
    return Window(int(behaviour.limit_per_minute), 60.0)
