"""A lane: the queue, the pace and the in-flight limit that all participants of one model at one provider share."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from partynli.records import Participant, Trial
from partynli.sampling.limits import InFlight, Pacer, told_limits
from partynli.sampling.plan import Plan
from partynli.sampling.settings import ProviderCaps

DEFAULT_IN_FLIGHT = 64
"""Most calls in flight in a lane whose provider sets no `concurrency`."""
_RECENT = 8
"""Calls from which the present rate is told."""
_LISTEN = 5
"""Answers of a lane whose headers are read for limits."""


@dataclass(slots=True)
class Caps:
    """What one provider allows all its lanes together."""

    most: int | None
    requests: Pacer
    tokens: Pacer
    now: int = 0
    """Calls in flight."""
    kept: int = 0
    """Slots kept for lanes that were woken and have not taken them yet."""
    waiting: dict[Lane, None] = field(default_factory=dict)
    """Lanes that wait for a slot, the longest waiting first."""

    def admits(self, lane: Lane) -> bool:
        """Whether a lane may start a call; if not, it is put at the end of the queue and woken when it may.

        Slots go round: a lane that has just given one back does not take it before those that wait.
        """
        if self.most is None or lane.has_slot:
            return True
        if not self.waiting and self.now + self.kept < self.most:
            return True
        self.waiting[lane] = None
        self.pass_on()
        return False

    def pass_on(self) -> None:
        """Keep a free slot for the lane that has waited longest, and wake it."""
        if self.waiting and self.most is not None and self.now + self.kept < self.most:
            lane = next(iter(self.waiting))
            del self.waiting[lane]
            lane.has_slot = True
            self.kept += 1
            lane.wake.set()


class Lane:
    """State of one lane; `partynli.sampling.engine` moves it.

    Parameters
    ----------
    participants
        All participants of the lane.
    caps
        The provider's caps.
    """

    def __init__(self, participants: Sequence[Participant], caps: Caps) -> None:
        self.participants = participants
        self.caps = caps
        rpm = _strictest(one.rpm for one in participants)
        most = most_in_flight(participants, caps.most)
        self.requests = Pacer(rpm)
        self.tokens = Pacer(_strictest(one.tpm for one in participants))
        free = participants[0].route in ("simulated", "vllm", "hf")
        known = free or rpm is not None or caps.requests.per_minute is not None
        # a known pace needs no careful start; where none is known, one call goes ahead and its answer's headers tell
        self.in_flight = InFlight(most, start=most if known else 1)
        self._declared = caps.most is not None or any(one.concurrency is not None for one in participants)
        self.gate = 0.0
        """Nothing starts before this time (of the event loop)."""
        self.wake = asyncio.Event()
        self.returning: deque[tuple[asyncio.Future[None], Trial]] = deque()
        """Trials that wait to be sent again; they go before fresh ones."""
        self.active = 0
        """Trials begun and not ended, those that wait included."""
        self.resting = 0
        """Trials that wait to be sent again, asleep or in `returning`."""
        self.tokens_out = 300.0
        """Mean output tokens of an answer, for the token rate."""
        self.latency = 1.0
        self._given = rpm is not None
        self.has_slot = False
        """Whether a slot of the provider is kept for the lane."""
        self._heard = 0
        self._setbacks = 0
        self._limited = False
        self._sent: deque[float] = deque(maxlen=_RECENT)
        self._broke_at: float | None = None

    def delay(self, now: float) -> float:
        """Seconds until the lane's gate and all paces let a call start; 0 or less where one may start now."""
        caps = self.caps
        return max(
            self.gate - now,
            self.requests.delay(now),
            self.tokens.delay(now),
            caps.requests.delay(now),
            caps.tokens.delay(now),
        )

    def take(self, now: float, tokens: float) -> None:
        """Start one call."""
        self._drop_slot()
        self.in_flight.now += 1
        self.caps.now += 1
        self.requests.take(now)
        self.tokens.take(now, tokens)
        self.caps.requests.take(now)
        self.caps.tokens.take(now, tokens)

    def give_back(self) -> None:
        """Let another lane have the slot that is kept for this one, which cannot use it now."""
        if self.has_slot:
            self._drop_slot()
            self.caps.pass_on()

    def _drop_slot(self) -> None:
        self.caps.kept -= self.has_slot
        self.has_slot = False

    def sent(self, now: float) -> None:
        """The call that started last leaves only now."""
        self._sent.append(now)
        self.requests.sent(now)
        self.caps.requests.sent(now)

    def release(self) -> None:
        """End one call: its answer is stored, or there is none."""
        self.in_flight.now -= 1
        self.caps.now -= 1
        self.wake.set()
        self.caps.pass_on()

    def answered(self, headers: Mapping[str, str], latency: float, tokens_out: int | None) -> None:
        """An answer came: the limits may widen, and its headers may tell them."""
        self.in_flight.went_well()
        self._setbacks = 0
        self.latency += 0.1 * (latency - self.latency)
        if tokens_out is not None:
            self.tokens_out += 0.1 * (tokens_out - self.tokens_out)
        if self._heard < _LISTEN:
            self._listen(headers)
        elif self._broke_at is not None and self.requests.per_minute:
            # a learned pace returns soon to where it broke, and feels its way from there
            self.requests.per_minute *= 1.05 if self.requests.per_minute < 0.9 * self._broke_at else 1.002

    def _listen(self, headers: Mapping[str, str]) -> None:
        if self._declared and not self._heard:
            self.in_flight.open()
        self._heard += 1
        told = told_limits(headers)
        if told.requests and not self._given:
            self.requests.per_minute = told.requests
            self._given, self._broke_at = True, None
            self.in_flight.limit = float(self.in_flight.most)
        if told.tokens and self.tokens.per_minute is None:
            self.tokens.per_minute = told.tokens

    def overloaded(self, now: float, retry_after: float | None) -> None:
        """The server asked to slow down (429): close the gate, send fewer, and learn the pace where none is known."""
        if now >= self.gate:  # calls that were under way when the gate closed say nothing new
            self._setbacks += 1
            if self._given:
                self.requests.widen()
            elif len(self._sent) > 1:
                self._learn_pace()
            self.in_flight.went_badly(now, self.latency)
        pause = retry_after if retry_after is not None else min(60.0, 0.5 * 2.0**self._setbacks)
        # lanes that were closed together must not open together: the rush would close them again
        self.gate = max(self.gate, now + pause * random.uniform(1.0, 1.1))

    def _learn_pace(self) -> None:
        """No limit is told: halve the rate at which this broke, or stay just below where it has broken before."""
        rate = 60.0 * (len(self._sent) - 1) / max(1e-3, self._sent[-1] - self._sent[0])
        rate = min(rate, self.requests.per_minute or rate)
        near = self._broke_at is not None and rate > 0.8 * self._broke_at
        if self._broke_at is not None or self._limited:
            self.requests.per_minute = max(1.0, (0.93 if near else 0.5) * rate)
            self._broke_at = rate
        self._limited = True  # a single 429 may be somebody else's doing
        self._sent.clear()

    def faltered(self, now: float) -> None:
        """The server failed in another way: send fewer at once."""
        self.in_flight.went_badly(now, self.latency)


def lanes_of(plan: Plan, given: Mapping[str, ProviderCaps]) -> list[Lane]:
    """A plan's lanes, those of one provider under the same caps; `given` holds what a registry sets, by provider."""
    caps: dict[str, Caps] = {}
    lanes = []
    for participants in plan.lanes().values():
        name = participants[0].provider
        if name not in caps:
            cap = given.get(name, ProviderCaps())
            caps[name] = Caps(cap.concurrency, Pacer(cap.rpm), Pacer(cap.tpm))
        lanes.append(Lane(participants, caps[name]))
    return lanes


def most_in_flight(participants: Sequence[Participant], cap: int | None) -> int:
    """Most calls that are ever in flight in the lane of some participants, whose provider allows `cap` in all."""
    return int(_strictest(one.concurrency for one in participants) or cap or DEFAULT_IN_FLIGHT)


def _strictest(limits: Iterable[float | None]) -> float | None:
    given = [limit for limit in limits if limit is not None]
    return min(given) if given else None
