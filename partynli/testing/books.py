"""What the loopback server saw and did: counts, times, and the last requests."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Tally:
    """The books of one model, or of all together. Times are monotonic seconds, the same clock in every process.

    With nothing in flight, ``received == sum(statuses.values()) + gone + faults["cut"] + faults["reset"]``.
    """

    received: int = 0
    """Calls that came in."""
    answered: int = 0
    """Chat answers, good or bad, whose whole body was written: what a provider would charge for."""
    gone: int = 0
    """Calls whose client left before the answer was written, those that hung included."""
    in_flight: int = 0
    """Calls that came in and are not done with."""
    peak_in_flight: int = 0
    """The highest `in_flight` ever."""
    faults: Counter[str] = field(default_factory=Counter)
    """Name of a fault to how often it was done; also ``over_limit`` (429 for the pace), ``wrong_key``,
    ``unknown_model``, ``refused_parameter`` and ``bad_request``, which are the client's doing."""
    statuses: Counter[int] = field(default_factory=Counter)
    """HTTP status to how many answers with it were written whole."""
    arrivals: array[float] = field(default_factory=lambda: array("d"))
    """When each call came in."""
    rate_limited: list[tuple[float, float]] = field(default_factory=list)
    """For each 429: when it was given, and the seconds that its Retry-After asks for (0 without one)."""

    def early_arrivals(self, grace_s: float = 0.05) -> int:
        """How many calls came in before the Retry-After of an earlier 429 was over.

        Those within `grace_s` seconds of the 429 do not count: they were sent before it could be read.

        >>> tally = Tally(arrivals=array("d", [0.0, 0.01, 0.5, 1.0]), rate_limited=[(0.0, 1.0)])
        >>> tally.early_arrivals()
        1
        """
        times = sorted(self.arrivals)
        early: set[int] = set()
        for at, wait in self.rate_limited:
            early.update(range(bisect_right(times, at + grace_s), bisect_left(times, at + wait)))
        return len(early)

    def to_json(self) -> dict[str, Any]:
        """Write it as a JSON object."""
        return {
            **{name: getattr(self, name) for name in _COUNTS},
            "faults": dict(self.faults),
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "arrivals": self.arrivals.tolist(),
            "rate_limited": list(self.rate_limited),
        }

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Tally:
        """Read what `to_json` wrote."""
        return cls(
            **{name: given[name] for name in _COUNTS},
            faults=Counter(given["faults"]),
            statuses=Counter({int(status): count for status, count in given["statuses"].items()}),
            arrivals=array("d", given["arrivals"]),
            rate_limited=[(at, wait) for at, wait in given["rate_limited"]],
        )


_COUNTS = ("received", "answered", "gone", "in_flight", "peak_in_flight")


class Account:
    """One call in the books: it counts in the tallies of its model and of all together."""

    __slots__ = ("_tallies",)

    def __init__(self, *tallies: Tally) -> None:
        self._tallies = tallies

    def arrive(self, at: float) -> None:
        """The call came in."""
        for tally in self._tallies:
            tally.received += 1
            tally.in_flight += 1
            tally.peak_in_flight = max(tally.peak_in_flight, tally.in_flight)
            tally.arrivals.append(at)

    def fault(self, name: str) -> None:
        """Something goes wrong with it."""
        for tally in self._tallies:
            tally.faults[name] += 1

    def limited(self, at: float, wait: float) -> None:
        """It gets a 429 that asks for `wait` seconds."""
        for tally in self._tallies:
            tally.rate_limited.append((at, wait))

    def written(self, status: int, *, answered: bool) -> None:
        """A whole HTTP answer was written; `answered` says that it was a chat answer."""
        for tally in self._tallies:
            tally.statuses[status] += 1
            tally.answered += answered

    def left(self) -> None:
        """The client left before that."""
        for tally in self._tallies:
            tally.gone += 1

    def end(self) -> None:
        """The call is done with."""
        for tally in self._tallies:
            tally.in_flight -= 1


class Books:
    """A `Tally` per model, one of all, and the last requests.

    Attributes
    ----------
    total
        All models together, and the requests that named none.
    models
        Model name to tally.
    requests
        The last requests, oldest first, each with ``path``, ``at``, ``headers`` (those that carry a key masked) and
        the parsed ``body``; empty unless the server was told to keep some.
    batches
        Batches that were taken, by id: ``requests`` in each, and how many of them were ``run``. Those that were run
        also count in the tallies, as calls do.
    """

    def __init__(self, keep_requests: int = 0) -> None:
        self.total = Tally()
        self.models: dict[str, Tally] = {}
        self.requests: deque[dict[str, Any]] = deque(maxlen=keep_requests)
        self.batches: dict[str, dict[str, int]] = {}

    def __getitem__(self, model: str) -> Tally:
        """The tally of a model; an empty one where it was never called."""
        return self.models.get(model) or Tally()

    def account(self, model: str) -> Account:
        """The account of a call of `model`."""
        tally = self.models.get(model)
        if tally is None:
            tally = self.models[model] = Tally()
        return Account(self.total, tally)

    def reset(self) -> None:
        """Start anew; calls in flight stay in flight."""
        for tally in (self.total, *self.models.values()):
            tally.received = tally.answered = tally.gone = 0
            tally.peak_in_flight = tally.in_flight
            tally.faults.clear()
            tally.statuses.clear()
            del tally.arrivals[:]
            tally.rate_limited.clear()
        self.requests.clear()
        self.batches.clear()

    def to_json(self) -> dict[str, Any]:
        """Write them as a JSON object."""
        models = {model: tally.to_json() for model, tally in self.models.items()}
        total = self.total.to_json()
        return {"total": total, "models": models, "requests": list(self.requests), "batches": self.batches}

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Books:
        """Read what `to_json` wrote."""
        books = cls(len(given["requests"]))
        books.total = Tally.from_json(given["total"])
        books.models = {model: Tally.from_json(tally) for model, tally in given["models"].items()}
        books.requests.extend(given["requests"])
        books.batches = given["batches"]
        return books
