"""Every fault of a server and of the way to it, on both routes: what becomes of its trials, said in one table.

Each fault has a participant of its own. All of them are asked in one run where the fault meets the first two calls
alone, in another where it meets every call, and once more, by `resume`, when the server is well again. A cell of the
matrix looks at what the runs hold of its participant, at what the server's books say of it, and at what was printed.
"""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from partynli.cli.running import run_to_the_end
from partynli.prompts import load_task
from partynli.records import Item, Participant, Price
from partynli.sampling.plan import Plan
from partynli.sampling.retry import RetryPolicy
from partynli.sampling.settings import Settings
from partynli.store import Run
from partynli.testing import FAULTS, Behaviour, Books, LoopbackProcess

Then = Literal["taken", "asked again", "tried again", "stops", "kept apart"]
"""``taken``: a valid answer. ``asked again``: an answer without a judgment, stored; three of them settle the trial.
``tried again``: no answer; where none comes at last, the trial is left to `resume`. ``stops``: the participant is asked
nothing more until `resume`. ``kept apart``: another model answered, and the participant stops."""

MATRIX: dict[str, dict[str, Then]] = {
    # stage -> fault -> what becomes of it
    "status": {
        "server_error": "tried again",
        "overloaded": "tried again",
        "503_seconds": "tried again",
        "502_page": "tried again",
        "408": "tried again",
        "599": "tried again",
        "unauthorized": "stops",
        "echo_key": "stops",
        "forbidden": "stops",
        "not_found": "stops",
        "quota": "stops",
        "bad_parameter": "stops",
        "redirect": "stops",
        "content_policy": "asked again",
    },
    "429": {
        "rate_limited": "tried again",
        "429_plain": "tried again",
        "429_zero": "tried again",
        "429_seconds": "tried again",
        "429_date": "tried again",
        "429_clock_ahead": "tried again",
        "429_clock_behind": "tried again",
        "429_no_time": "tried again",
        "429_absurd": "stops",
        "429_year_9999": "stops",
    },
    "connection": {
        "reset": "tried again",
        "hang": "tried again",
        "hung_up": "tried again",
    },
    "headers": {
        "slow_headers": "tried again",
        "no_http": "tried again",
        "no_colon": "tried again",
        "two_lengths": "tried again",
        "huge_header": "tried again",
        "odd_status": "tried again",
    },
    "body": {
        "cut": "tried again",
        "slow_body": "taken",
        "slow_body_forever": "tried again",
        "reset_midway": "tried again",
        "too_long_told": "tried again",
        "too_short_told": "tried again",
        "chunk_cut": "tried again",
        "chunk_garbage": "tried again",
        "no_gzip": "tried again",
        "gzip_cut": "tried again",
        "no_body": "tried again",
        "not_http_json": "tried again",
        "other_json": "tried again",
        "utf_16": "tried again",
        "latin_1": "taken",
        "enormous": "tried again",
        "no_usage": "taken",
        "drift": "kept apart",
    },
    "text": {
        "fenced": "taken",
        "prose": "taken",
        "reasoning": "taken",
        "reasoning_content": "taken",
        "set_order": "taken",
        "empty": "asked again",
        "malformed": "asked again",
        "schema": "asked again",
        "unknown_label": "asked again",
        "truncated": "asked again",
        "truncated_reasoning": "asked again",
        "truncated_reasoning_content": "asked again",
        "refusal": "asked again",
        "refusal_text": "asked again",
        "content_filter": "asked again",
    },
}
THEN: dict[str, Then] = {fault: then for faults in MATRIX.values() for fault, then in faults.items()}
OTHERWISE: dict[str, dict[str, Then]] = {
    # route -> fault -> what becomes of it there
    "openai": {},
    "litellm": {
        "latin_1": "tried again",  # litellm's client takes no byte that is not UTF-8,
        "utf_16": "taken",  # and tells UTF-16 by its first bytes
    },
}
UNCOUNTED = {"content_policy"}
"""Refused with an error status, which the server's books do not count as an answer."""
PASSING = [fault for fault, then in THEN.items() if then not in ("stops", "kept apart")]
ROUTES = [pytest.param("openai"), pytest.param("litellm", marks=pytest.mark.slow)]
ITEMS, TRIALS = 2, 1
ALL = ITEMS * TRIALS
TWICE = 2
TRIES = 3
KEY = "sk-canary-of-the-matrix"
QUICK = RetryPolicy(attempts=TRIES, total_s=0.5, base_s=0.02, longest_s=0.1)
PATIENT = RetryPolicy(attempts=9, total_s=60.0, base_s=0.02, longest_s=0.1)


@dataclass
class Seen:
    """What a run left behind, and what was asked for it."""

    code: int
    said: str
    rows: dict[str, list[tuple[str, int, str, str | None]]] = field(default_factory=dict)
    """Fault -> trial, number, status and reason of every attempt."""
    books: Books = field(default_factory=Books)
    spoilt: dict[str, int] = field(default_factory=dict)


@dataclass
class Route:
    """The three runs of one route."""

    then: dict[str, Then]
    passing: Seen
    lasting: Seen
    resumed: Seen
    folder: Path


def participants(route: str, faults: list[str], server: str, way: str, brief: float) -> list[Participant]:
    return [
        Participant(
            fault,
            route,  # type: ignore[arg-type]
            fault if route == "openai" else f"openai/{fault}",
            {},
            provider="server" if fault in FAULTS else "way",
            api_base=server if fault in FAULTS else way,
            api_key_env="FAULTS_KEY",
            price=Price(1.0, 2.0, "2025-07"),
            timeout_s=brief if fault in ("hang", "slow_headers", "slow_body_forever") else 20.0,
        )
        for fault in faults
    ]


def ask(folder: Path, members: list[Participant], policy: RetryPolicy) -> tuple[int, str]:
    """Run what is left of a plan as the commands do; its exit code, and what was printed."""
    plan = Plan(
        task=load_task("livenli", Path(__file__).parents[2] / "prompts"),
        participants=tuple(members),
        trials={one.id: TRIALS for one in members},
        items=[Item(f"i{n}", {"premise": f"{n} men sang.", "hypothesis": f"{n} sang."}) for n in range(ITEMS)],
        n_items=ITEMS,
        groups={"all": tuple(one.id for one in members)},
        item_source="test",
    )
    said = io.StringIO()
    manifest = {"plan": plan.describe()}
    with (
        redirect_stdout(said),
        redirect_stderr(said),
        Run.begin(folder, manifest, plan.participants, plan.items, plan.groups) as run,
    ):
        code = run_to_the_end(plan, run, Settings(retry=policy))
    return code, said.getvalue()


def rows(folder: Path, members: list[Participant]) -> dict[str, list[tuple[str, int, str, str | None]]]:
    db = sqlite3.connect(folder / "run.sqlite")
    try:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        query = "SELECT trial_key, n, status, reason FROM attempt WHERE participant = ? ORDER BY id"
        return {one.name: db.execute(query, (one.id,)).fetchall() for one in members}
    finally:
        db.close()


@pytest.fixture(scope="module", params=ROUTES)
def runs(request: Any, way_to: Any, spoilings: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Route]:
    folder = tmp_path_factory.mktemp("runs")
    of_the_way = [fault for fault in THEN if fault not in FAULTS]
    assert set(of_the_way) == {one for names in spoilings.values() for one in names}

    brief = 0.7 if request.param == "openai" else 3.0  # seconds; litellm takes its time on a busy machine

    def seen(run: str, members: list[Participant], policy: RetryPolicy) -> Seen:
        server.reset_books()
        way.done.clear()
        code, said = ask(folder / run, members, policy)
        books = server.fetch_books()
        return Seen(code, said, rows(folder / run, members), books, dict(way.done))

    with pytest.MonkeyPatch.context() as environ, LoopbackProcess() as server:
        environ.setenv("FAULTS_KEY", KEY)
        way = way_to(server.url)
        for fault in FAULTS:
            server.set_behaviour(fault, Behaviour(script=(fault,) * TWICE, slow_body_s=0.05))
        way.faults = {fault: (fault, TWICE) for fault in of_the_way}
        passing = seen("passing", participants(request.param, PASSING, server.url, way.url, brief), PATIENT)

        for fault in FAULTS:
            script = (None,) if fault == "drift" else ()
            lasting = Behaviour(script=script, fault_share=1.0, faults=(fault,), slow_body_s=0.05, retry_after_s=0.0)
            server.set_behaviour(fault, lasting)
        way.faults = {fault: (fault, None) for fault in of_the_way}
        everyone = participants(request.param, list(THEN), server.url, way.url, brief)
        lasting_ = seen("lasting", everyone, QUICK)

        for fault in FAULTS:
            server.set_behaviour(fault, Behaviour())
        way.faults = {}
        everyone = participants(request.param, list(THEN), server.url, way.url, 20.0)
        resumed = seen("lasting", everyone, PATIENT)
        yield Route(THEN | OTHERWISE[request.param], passing, lasting_, resumed, folder)


@pytest.fixture(scope="module")
def answered_before(spoilings: Any) -> set[str]:
    """Faults of the way that meet an answer which the server has written."""
    return set(spoilings["answered"])


def lines_of(seen: Seen, fault: str) -> list[str]:
    return [line for line in seen.said.splitlines() if line.startswith((f"{fault}: ", f"{fault} stopped: "))]


def test_the_matrix_holds_every_fault_of_the_server() -> None:
    assert set(FAULTS) <= set(THEN)
    assert len(THEN) == sum(map(len, MATRIX.values())), "a fault stands in two stages"


def test_a_fault_that_passes_costs_no_run_its_end(runs: Route) -> None:
    assert runs.passing.code == 0, runs.passing.said
    assert f"{ALL * len(PASSING)} of {ALL * len(PASSING)} trials done" in runs.passing.said.replace(",", "")


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes(runs: Route, fault: str, answered_before: set[str]) -> None:
    seen = runs.passing
    stored = [status for *_, status, _ in seen.rows[fault]]
    rejected = TWICE if runs.then[fault] == "asked again" else 0
    assert sorted(stored) == ["rejected"] * rejected + ["valid"] * ALL
    assert len({trial for trial, *_, status, _ in seen.rows[fault] if status == "valid"}) == ALL
    lost = seen.spoilt.get(fault, 0) if fault in answered_before and runs.then[fault] == "tried again" else 0
    counted = seen.books[fault].answered + (seen.books[fault].faults[fault] if fault in UNCOUNTED else 0)
    assert counted == len(stored) + lost, "an answer was lost, or bought twice"
    assert not lines_of(seen, fault)


def test_faults_that_last_are_told_by_the_exit_code(runs: Route) -> None:
    assert runs.lasting.code == 1
    assert "Traceback" not in runs.lasting.said


@pytest.mark.parametrize("fault", THEN)
def test_a_fault_that_lasts(runs: Route, fault: str, answered_before: set[str]) -> None:
    seen, then = runs.lasting, runs.then[fault]
    stored = [status for *_, status, _ in seen.rows[fault]]
    books = seen.books[fault]
    if then == "taken":
        assert stored == ["valid"] * ALL
    elif then == "asked again":
        assert stored == ["rejected"] * ALL * 3
        assert not lines_of(seen, fault)
    elif then == "tried again":
        assert stored == ["failed"] * ALL
        (line,) = lines_of(seen, fault)
        assert "calls without an answer: " in line
    else:
        assert 1 <= len(stored) <= ALL
        assert set(stored) <= ({"failed"} if then == "stops" else {"valid", "drift"})
        assert sum(line.startswith(f"{fault} stopped: ") for line in lines_of(seen, fault)) == 1
    answered = sum(status != "failed" for status in stored)
    lost = seen.spoilt.get(fault, 0) if fault in answered_before and then == "tried again" else 0
    assert books.answered + (books.faults[fault] if fault in UNCOUNTED else 0) == answered + lost


def test_resume_completes_a_run_when_the_fault_is_gone(runs: Route) -> None:
    assert runs.resumed.code == 0, runs.resumed.said
    assert f"{ALL * len(THEN)} of {ALL * len(THEN)} trials done" in runs.resumed.said.replace(",", "")


@pytest.mark.parametrize("fault", THEN)
def test_resume_asks_what_has_no_answer_and_nothing_else(runs: Route, fault: str) -> None:
    before, after = runs.lasting.rows[fault], runs.resumed.rows[fault]
    assert after[: len(before)] == before, "what was stored has changed"
    settled = {
        trial for trial, n, status, _ in before if status in ("valid", "drift") or (n == 3 and status == "rejected")
    }
    new = after[len(before) :]
    assert [status for *_, status, _ in new] == ["valid"] * (ALL - len(settled))
    assert runs.resumed.books[fault].received == len(new)
    assert not settled & {trial for trial, *_ in new}


def test_the_key_is_nowhere(runs: Route) -> None:
    assert KEY not in runs.passing.said + runs.lasting.said + runs.resumed.said
    for path in runs.folder.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes()
