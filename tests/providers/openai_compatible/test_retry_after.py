"""When to come back, as servers say it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime, formatdate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partynli.providers.base import retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": " 1.5 "}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "Retry-After": "9"}, 0.25),
        ({"retry-after-ms": "soon", "Retry-After": "9"}, 9.0),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "tomorrow"}, None),
        ({"Retry-After": "Mon, 01 Jan 2001 00:00:00 GMT"}, 0.0),
        ({"Retry-After": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, None),
        ({"Retry-After": "Mon, 01 Jan 2030 00:99:00 GMT"}, None),
    ],
)
def test_what_retry_after_asks_for(headers: Mapping[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@pytest.mark.parametrize("skew", [-(10**8), -3600, 0, 3600, 10**8])
def test_a_date_is_read_by_the_clock_that_wrote_it(skew: int) -> None:
    def told(seconds: int) -> str:
        return formatdate(time.time() + skew + seconds, usegmt=True)

    assert retry_after({"Date": told(0), "Retry-After": told(30)}) == pytest.approx(30.5, abs=0.6)
    assert retry_after({"Date": told(30), "Retry-After": told(0)}) == 0.0


@pytest.mark.parametrize("date", ["yesterday", "", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"])
def test_a_date_of_no_sense_leaves_our_own_clock(date: str) -> None:
    ahead = formatdate(time.time() + 30, usegmt=True)
    assert retry_after({"Date": date, "Retry-After": ahead}) == pytest.approx(31, abs=1.5)


_zones = st.integers(-14 * 4, 14 * 4).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))
_moments = st.integers(-100_000, 100_000)
_FORMS = {
    "RFC 9110": lambda date: date.strftime("%a, %d %b %Y %H:%M:%S GMT"),
    "RFC 850": lambda date: date.strftime("%A, %d-%b-%y %H:%M:%S GMT"),
    "asctime": lambda date: date.strftime("%a %b %e %H:%M:%S %Y"),
    "unknown zone": lambda date: date.strftime("%a, %d %b %Y %H:%M:%S -0000"),
}


@settings(max_examples=100, deadline=None)
@given(_moments, st.sampled_from([*_FORMS, "a zone"]), _zones, st.sampled_from(["UTC", "Asia/Tokyo", "America/Lima"]))
def test_a_date_in_any_form_is_waited_for_and_not_much_longer(ahead: int, form: str, zone: Any, here: str) -> None:
    date = datetime.fromtimestamp(int(time.time()) + ahead, UTC)
    given_ = format_datetime(date.astimezone(zone)) if form == "a zone" else _FORMS[form](date)
    was = os.environ.get("TZ")
    os.environ["TZ"] = here  # a date that names no zone is UTC, wherever this machine stands
    time.tzset()
    try:
        before = time.time()
        waited = retry_after({"Retry-After": given_})
        after = time.time()
    finally:
        os.environ.pop("TZ") if was is None else os.environ.update(TZ=was)
        time.tzset()
    assert waited is not None
    # a date has whole seconds: the one that is meant may end a second later
    end = date.timestamp() + 1.0
    assert max(0.0, end - after) <= waited <= max(0.0, end - before)


@settings(max_examples=150, deadline=None)
@given(
    st.text()
    | st.from_regex(
        r"[A-Z][a-z]{2}, \d{1,3} (Jan|Feb) \d{1,12} \d{1,6}:\d{1,6}:\d{1,6} ?(GMT|[+-]\d{1,9}|)", fullmatch=True
    )
)
def test_any_text_is_a_time_to_wait_or_none(text: str) -> None:
    seconds = retry_after({"Retry-After": text, "retry-after-ms": text})
    assert seconds is None or 0 <= seconds < float("inf")
