"""Pace and calls in flight: never closer than the limit, never caught up, and as fast as the limit allows."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from partynli.records import Participant
from partynli.sampling.lane import DEFAULT_IN_FLIGHT, Caps, Lane
from partynli.sampling.limits import MARGIN, InFlight, Pacer, ToldLimits, told_limits

EPSILON = 1e-9
rates = st.floats(0.5, 60_000)
pauses = st.lists(st.floats(0, 10), min_size=2, max_size=60)


def start_all(pacer: Pacer, pauses: list[float], amount: float = 1.0) -> list[float]:
    """When calls start that become ready after these pauses and wait as long as they are told."""
    now, starts = 1000.0, []
    for pause in pauses:
        now += pause
        now += max(0.0, pacer.delay(now))
        pacer.take(now, amount)
        starts.append(now)
    return starts


# --- the pace ---


@settings(deadline=None)
@given(rates, pauses)
def test_no_two_calls_start_closer_than_the_interval(per_minute: float, pauses: list[float]) -> None:
    starts = start_all(Pacer(per_minute), pauses)
    interval = 60.0 / (per_minute * MARGIN)
    assert all(after - before >= interval - EPSILON for before, after in pairwise(starts))


@settings(deadline=None)
@given(rates, pauses, st.floats(0, 100))
def test_time_that_went_by_unused_is_not_caught_up_with(per_minute: float, pauses: list[float], idle: float) -> None:
    pacer = Pacer(per_minute)
    start_all(pacer, pauses)
    after = start_all(pacer, [idle + 5000, *([0.0] * 10)])
    interval = 60.0 / (per_minute * MARGIN)
    assert all(later - sooner == pytest.approx(interval, abs=1e-6) for sooner, later in pairwise(after))


@settings(deadline=None)
@given(rates)
def test_calls_that_are_ready_are_as_fast_as_the_limit_allows(per_minute: float) -> None:
    starts = start_all(Pacer(per_minute), [0.0] * 200)
    reached = 60.0 * 198 / (starts[-1] - starts[1])  # the first waits longer, for the connection to be made
    assert reached == pytest.approx(per_minute * MARGIN, rel=1e-6)
    assert reached < per_minute


def test_only_the_first_call_is_given_time_to_connect() -> None:
    first, second, third = start_all(Pacer(600), [0.0] * 3)
    assert second - first == pytest.approx(60 / (600 * MARGIN) + 0.05)
    assert third - second == pytest.approx(60 / (600 * MARGIN))


def test_a_pace_that_is_felt_out_step_by_step_is_kept_at_every_step() -> None:
    pacer, now, starts = Pacer(600), 0.0, []
    for _ in range(101):
        now += max(0.0, pacer.delay(now))
        pacer.take(now)
        starts.append(now)
        pacer.per_minute = (pacer.per_minute or 0) * 1.002
    mean = (starts[-1] - starts[1]) / 99
    assert 60 / (600 * MARGIN * 1.002**101) < mean < 60 / (600 * MARGIN)


@settings(deadline=None)
@given(rates, st.lists(st.tuples(st.floats(0, 5), st.floats(0, 3)), min_size=2, max_size=40))
def test_the_distance_is_kept_from_when_a_call_really_left(per_minute: float, waits: list[tuple[float, float]]) -> None:
    pacer, now, left = Pacer(per_minute), 0.0, []
    for pause, lag in waits:
        now += pause + max(0.0, pacer.delay(now + pause))
        pacer.take(now)
        now += lag  # a busy event loop
        pacer.sent(now)
        left.append(now)
    interval = 60.0 / (per_minute * MARGIN)
    assert all(after - before >= interval - 1e-6 for before, after in pairwise(left))


def test_without_a_limit_nothing_waits() -> None:
    pacer = Pacer(None)
    assert start_all(pacer, [0.0] * 50) == [1000.0] * 50
    pacer.sent(5000.0)
    assert pacer.delay(5000.0) <= 0
    pacer.widen()
    assert pacer.per_minute is None


def test_tokens_are_paced_by_their_number() -> None:
    starts = start_all(Pacer(60_000), [0.0] * 5, amount=500.0)
    gaps = [after - before for before, after in pairwise(starts)]
    assert gaps[1:] == pytest.approx([0.5 / MARGIN] * 3)


@settings(deadline=None)
@given(rates, st.integers(0, 500))
def test_a_little_more_distance_stays_a_little(per_minute: float, times: int) -> None:
    pacer = Pacer(per_minute)
    start_all(pacer, [0.0])
    for _ in range(times):
        pacer.widen()
    first, second = start_all(pacer, [100.0 + 1000.0, 0.0])
    interval = 60.0 / (per_minute * MARGIN)
    assert interval - 1e-6 <= second - first <= 1.05 * interval + 1e-6


def test_another_limit_holds_from_the_next_call_on() -> None:
    pacer = Pacer(None)
    start_all(pacer, [0.0] * 3)
    pacer.per_minute = 600
    assert pacer.per_minute == 600
    starts = start_all(pacer, [1.0, *([0.0] * 5)])
    assert all(after - before >= 0.1 for before, after in pairwise(starts))


# --- calls in flight ---


@settings(deadline=None)
@given(
    st.integers(1, 200),
    st.integers(1, 200),
    st.lists(st.tuples(st.sampled_from(["start", "well", "badly"]), st.floats(0, 1), st.floats(0, 2)), max_size=150),
)
def test_the_limit_stays_between_one_and_the_most(most: int, start: int, events: list[Any]) -> None:
    flying, now = InFlight(most, start), 0.0
    assert flying.limit == min(start, most)
    for event, wait, latency in events:
        now += wait
        before = flying.limit
        if event == "start" and not flying.full:
            flying.now += 1
        elif event == "well" and flying.now:
            flying.went_well()
            flying.now -= 1
            assert before <= flying.limit <= before + 1
        elif event == "badly" and flying.now:
            flying.went_badly(now, latency)
            flying.now -= 1
            assert flying.limit in (before, max(1.0, before / 2))
        assert 1 <= flying.limit <= most
        assert flying.now <= most


def one_round(flying: InFlight) -> None:
    """Fill the limit, and let everything be answered."""
    while not flying.full:
        flying.now += 1
    for _ in range(flying.now):
        flying.went_well()
        flying.now -= 1


def test_it_doubles_with_every_round_until_the_first_setback_and_then_grows_by_one() -> None:
    flying = InFlight(64, 2)
    limits = []
    for _ in range(3):
        one_round(flying)
        limits.append(int(flying.limit))
    assert limits == sorted(set(limits))
    before = flying.limit
    flying.went_badly(10.0, 1.0)
    assert flying.limit == before / 2
    for _ in range(4):
        grown = flying.limit
        one_round(flying)
        assert grown < flying.limit <= grown + 1.01


def test_a_limit_that_is_not_used_does_not_grow() -> None:
    flying = InFlight(64, 8)
    for _ in range(20):
        flying.now += 1
        flying.went_well()
        flying.now -= 1
    assert flying.limit == 8


def test_calls_sent_before_a_decrease_say_nothing_new() -> None:
    flying = InFlight(64, 64)
    flying.now = 64
    for moment in (1.0, 1.1, 1.9):
        flying.went_badly(moment, latency=1.0)
    assert flying.limit == 32
    flying.went_badly(2.0, latency=1.0)
    assert flying.limit == 16
    for moment in range(3, 20):
        flying.went_badly(float(moment), latency=0.5)
    assert flying.limit == 1
    assert InFlight(1, 1).full is False


# --- what headers tell ---


OPENAI = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-limit-tokens": "30000",
    "x-ratelimit-remaining-requests": "499",
    "x-ratelimit-remaining-tokens": "29349",
    "x-ratelimit-reset-requests": "120ms",
    "x-ratelimit-reset-tokens": "1.302s",
}
ANTHROPIC = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": "2025-07-21T10:00:01Z",
    "anthropic-ratelimit-tokens-limit": "40000",
    "anthropic-ratelimit-tokens-remaining": "39000",
    "anthropic-ratelimit-tokens-reset": "2025-07-21T10:00:02Z",
    "anthropic-ratelimit-input-tokens-limit": "30000",
}
GROQ = {  # requests by the day, tokens by the minute
    "x-ratelimit-limit-requests": "14400",
    "x-ratelimit-limit-tokens": "18000",
    "x-ratelimit-reset-requests": "2m59.56s",
    "x-ratelimit-reset-tokens": "7.66s",
}


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, ToldLimits(None, None)),
        (OPENAI, ToldLimits(500, 30_000)),
        (CIMultiDict({name.title(): value for name, value in OPENAI.items()}), ToldLimits(500, 30_000)),
        (ANTHROPIC, ToldLimits(50, 40_000)),
        (GROQ, ToldLimits(None, 18_000)),
        ({**OPENAI, "x-ratelimit-reset-requests": "1h2m3s"}, ToldLimits(None, 30_000)),
        ({**OPENAI, "x-ratelimit-reset-tokens": "6m0s"}, ToldLimits(500, None)),
        ({**OPENAI, "x-ratelimit-reset-requests": "1m0s"}, ToldLimits(500, 30_000)),
        ({**OPENAI, "x-ratelimit-reset-requests": "soon"}, ToldLimits(500, 30_000)),
        ({"x-ratelimit-limit-requests": "500"}, ToldLimits(500, None)),
        ({"x-ratelimit-limit-tokens": "1.5"}, ToldLimits(None, 1.5)),
    ],
)
def test_the_limits_of_known_providers_are_read(headers: Any, told: ToldLimits) -> None:
    assert told_limits(headers) == told


@pytest.mark.parametrize("value", ["", "0", "-1", "many", "nan", "inf", "1e12", "500, 500"])
def test_what_is_no_limit_sets_none(value: str) -> None:
    assert told_limits({"x-ratelimit-limit-requests": value}) == ToldLimits(None, None)


@settings(deadline=None)
@given(st.text(), st.text())
def test_any_header_is_a_limit_or_none(limit: str, reset: str) -> None:
    told = told_limits({"x-ratelimit-limit-requests": limit, "x-ratelimit-reset-requests": reset})
    assert told.requests is None or 0 < told.requests < 1e9


# --- a lane puts them together ---


def lane(*participants: Participant, **caps: Any) -> Lane:
    most, rpm, tpm = caps.get("most"), caps.get("rpm"), caps.get("tpm")
    return Lane(participants or (member(),), Caps(most, Pacer(rpm), Pacer(tpm)))


def member(name: str = "m", **given: Any) -> Participant:
    return Participant(name, given.pop("route", "openai"), "m", {}, **given)


def test_every_kind_of_wait_holds_and_the_longest_decides() -> None:
    waits = {
        "pace": lane(member(rpm=6)),
        "tokens": lane(member(tpm=600)),
        "the provider's pace": lane(rpm=6),
        "the provider's tokens": lane(tpm=600),
    }
    for name, one in waits.items():
        assert one.delay(100.0) <= 0, name
        one.take(100.0, tokens=100.0)
        assert one.delay(100.0) == pytest.approx(10 / MARGIN + 0.05), name
    both = lane(member(rpm=6, tpm=60_000))
    both.take(100.0, tokens=10.0)
    assert both.delay(100.0) == pytest.approx(10 / MARGIN + 0.05)


def test_a_429_closes_the_gate_for_at_least_as_long_as_it_asks() -> None:
    for asked in (0.0, 0.5, 30.0, 3600.0):
        one = lane(member(rpm=600))
        one.take(100.0, 1.0)
        one.overloaded(100.0, asked)
        assert asked <= one.gate - 100.0 <= 1.1 * asked + EPSILON
        assert one.delay(100.0) >= asked
    one.overloaded(101.0, 0.1)
    assert one.gate >= 3700.0, "a shorter wait does not open it"


def test_a_429_that_names_no_time_closes_it_for_longer_each_time() -> None:
    one = lane(member(rpm=600))
    now = 100.0
    for wait in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0):
        one.overloaded(now, None)
        assert wait - EPSILON <= one.gate - now <= 1.1 * wait + EPSILON
        now = one.gate
    one.answered({}, 0.1, None)
    one.overloaded(now, None)
    assert one.gate - now <= 1.1 + EPSILON, "after an answer it begins anew"


def test_a_lane_takes_the_strictest_limits_of_its_participants() -> None:
    one = lane(member("a", rpm=60, concurrency=9), member("b", rpm=30, tpm=500), most=20)
    assert one.requests.per_minute == 30
    assert one.tokens.per_minute == 500
    assert one.in_flight.most == 9
    assert lane(most=7).in_flight.most == 7
    assert lane().in_flight.most == DEFAULT_IN_FLIGHT


def test_where_no_limit_is_known_one_call_goes_ahead() -> None:
    assert lane().in_flight.limit == 1
    for known in (lane(member(rpm=60)), lane(rpm=60), lane(member(route="simulated"))):
        assert known.in_flight.limit == known.in_flight.most


def test_a_declared_concurrency_is_used_once_the_probe_is_answered() -> None:
    for declared in (lane(member(concurrency=9)), lane(most=9)):
        assert declared.in_flight.limit == 1
        declared.answered({}, 0.1, 50)
        assert declared.in_flight.limit == 9
    guessed = lane()
    guessed.answered({}, 0.1, 50)
    assert guessed.in_flight.limit <= 2
    refused = lane(most=8)
    refused.overloaded(100.0, 0.1)
    refused.answered({}, 0.1, 50)
    assert refused.in_flight.limit <= 2, "after a 429 it feels its way, whatever is declared"


def test_told_limits_are_kept_to_and_those_of_the_registry_are_not_overruled() -> None:
    one = lane()
    one.answered(OPENAI, 0.1, 50)
    assert (one.requests.per_minute, one.tokens.per_minute) == (500, 30_000)
    assert one.in_flight.limit == one.in_flight.most
    given_ = lane(member(rpm=60, tpm=700))
    given_.answered(OPENAI, 0.1, 50)
    assert (given_.requests.per_minute, given_.tokens.per_minute) == (60, 700)


@settings(deadline=None)
@given(
    st.integers(1, 6),
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["start", "end", "rest"])), max_size=200),
)
def test_lanes_together_never_exceed_the_provider_s_cap_and_no_slot_is_lost(
    most: int, n_lanes: int, events: list[Any]
) -> None:
    caps = Caps(most, Pacer(None), Pacer(None))
    # waking a lane is all that it is told; no loop turns here
    lanes = [Lane((member(f"m{k}", route="simulated"),), caps) for k in range(n_lanes)]
    for k, event in events:
        one = lanes[k % n_lanes]
        if event == "start" and not one.in_flight.full and caps.admits(one):
            one.take(0.0, 1.0)
        elif event == "end" and one.in_flight.now:
            one.release()
        elif event == "rest":
            one.give_back()
            caps.waiting.pop(one, None)
        assert caps.now == sum(each.in_flight.now for each in lanes) <= most
        assert caps.kept == sum(each.has_slot for each in lanes)
        assert caps.now + caps.kept <= most
    for one in lanes:
        while one.in_flight.now:
            one.release()
    while any(one.has_slot for one in lanes):
        for one in lanes:
            one.give_back()
    assert (caps.now, caps.kept, caps.waiting) == (0, 0, {})
