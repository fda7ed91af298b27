"""A run on disk: what is acknowledged is there, what is damaged is said on one line, and nothing is overwritten."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from partynli.derive import derive_judgments, read_attempt, settle_drift
from partynli.errors import PartyNLIError, PlanMismatchError, RunError, RunLockedError, StoreError
from partynli.judgments import reader_for
from partynli.records import Item, Price, Rejection
from partynli.store import Attempt, Outcome, Run, Tally, Writer, held_by, is_remote, list_runs, runs_dir, storable
from partynli.store.database import file_system

ROOT = Path(__file__).parents[1]
ACCEPTED: Any = object()


@pytest.fixture
def plan(study: Any) -> Any:
    two = [study.participant("http://127.0.0.1:1/v1", name, params={"temperature": 0.5}) for name in ("a", "b")]
    return study.plan(two, items=3)


@pytest.fixture
def path(study: Any, plan: Any) -> Path:
    """A run that was laid out and is at rest."""
    create(study.path, plan)
    return Path(study.path)


def create(path: Path, plan: Any) -> None:
    Run.create(path, {"plan": plan.describe()}, plan.participants, plan.items, plan.groups)


def begin(path: Path, plan: Any) -> Any:
    return Run.begin(path, {"plan": plan.describe()}, plan.participants, plan.items, plan.groups)


def answer(label: str = "true", explanation: str = "So.") -> str:
    """A raw answer that holds a judgment."""
    labelled = {"classification": {"label": label, "explanation": explanation}}
    return said(json.dumps({**labelled, "highlights": {"context": "<<men>>"}}))


def said(text: str) -> str:
    return json.dumps({"model": "m", "choices": [{"message": {"content": text}, "finish_reason": "stop"}]})


def attempt(key: str, n: int = 1, status: Any = "valid", response: str | None = ACCEPTED, **given: Any) -> Attempt:
    fields = dict.fromkeys(Attempt._fields) | {
        "trial_key": key,
        "n": n,
        "participant": "a",
        "item": "item0",
        "prompt": "p",
        "trial": 1,
        "status": status,
        "body": "b",
        "response": answer() if response is ACCEPTED else response,
        "finish_reason": "stop",
        "at": 1.0,
    }
    return Attempt(**{**fields, **given})


def put(path: Path, attempts: Sequence[Attempt]) -> None:
    async def main(run: Run) -> None:
        writer = Writer(run.database)
        try:
            await asyncio.gather(*(writer.put(one, ((one.body, "{}"), (one.prompt, "[]"))) for one in attempts))
        finally:
            await writer.aclose()

    with Run.sampling(path) as run:
        asyncio.run(main(run))


def rows(path: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path / "run.sqlite")) as db, db:
        return db.execute(statement).fetchall()


def every_attempt(run: Run) -> list[Attempt]:
    found: list[Attempt] = []
    last = 0
    while chunk := run.attempts(after=last):
        found += [one for _, one in chunk]
        last = chunk[-1][0]
    return found


def hashes(path: Path) -> dict[str, str]:
    """Content of a run's files; the lock, which names the last process, is none of it."""
    files = [one for one in path.iterdir() if one.name != "lock"]
    return {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in files}


def one_line(error: BaseException) -> str:
    assert isinstance(error, RunError)
    text = str(error)
    assert "\n" not in text
    assert len(text) < 400
    return text


# --- layout ---


COLUMNS = {
    "participant": "id name json",
    "experiment": "name participant",
    "body": "hash json",
    "attempt": "id trial_key n participant item prompt trial status reason body seed response served_model fingerprint "
    "finish_reason tokens_in tokens_out cost latency_s at",
    "judgment": "trial_key participant item trial class_simple class_multi explanation highlights repair reader source",
    "meta": "key value",
}


def test_the_tables_are_those_of_the_design(path: Path) -> None:
    tables = {name for (name,) in rows(path, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {*COLUMNS, "item", "batch", "batch_request", "embedding"}
    for table, columns in COLUMNS.items():
        assert [row[1] for row in rows(path, f"PRAGMA table_info({table})")] == columns.split()
    assert [row[1] for row in rows(path, "PRAGMA table_info(item)")][1:] == ["uid", "json"]
    unique = [row[1] for row in rows(path, "PRAGMA index_list(attempt)") if row[2]]
    assert [[row[2] for row in rows(path, f"PRAGMA index_info({name})")] for name in unique] == [["trial_key", "n"]]
    assert rows(path, "PRAGMA user_version") == [(1,)]


def test_a_run_at_rest_is_two_files_and_a_lock(study: Any, plan: Any) -> None:
    with begin(study.path, plan) as run:
        assert run.name == "test"
        assert {one.name for one in study.path.iterdir()} >= {"run.sqlite", "manifest.json", "lock"}
    assert {one.name for one in study.path.iterdir()} == {"run.sqlite", "manifest.json", "lock"}
    assert rows(study.path, "PRAGMA journal_mode") == [("wal",)]


def test_what_is_laid_out_is_read_back_as_it_was(path: Path, plan: Any) -> None:
    with Run.open(path) as run:
        assert run.manifest["plan"] == plan.describe()
        assert list(run.participants().values()) == list(plan.participants)
        assert [one.id for one in run.participants().values()] == [one.id for one in plan.participants]
        assert run.experiments() == {name: sorted(ids) for name, ids in plan.groups.items()}
        assert len(run.items) == 3
        assert list(run.items) == list(plan.items) == list(run.items)
        assert run.is_empty
        assert run.tallies() == run.reasons() == run.label_counts() == run.served() == {}


def test_participants_keep_every_field(study: Any, plan: Any) -> None:
    whole = study.participant(
        "http://x/v1", "whole", seed="auto", rpm=7.5, size_b=8.0, price=Price(1.5, 2.0, "2025-07")
    )
    bare = study.participant(
        "http://x/v1", "bare", price=None, params={"stop": ["\n", "é"], "nested": {"a": [1, None]}}
    )
    create(study.path, study.plan([whole, bare]))
    with Run.open(study.path) as run:
        assert list(run.participants().values()) == [whole, bare]


def test_items_are_read_in_their_order_however_many_there_are(study: Any, plan: Any) -> None:
    items = [Item(f"u{k % 7}-{k}", {"premise": f"ünï {k} \U0001f600", "hypothesis": "x\ny"}) for k in range(450)]
    Run.create(study.path, {"plan": plan.describe()}, plan.participants, iter(items), {})
    with Run.open(study.path) as run:
        assert list(run.items) == items


def test_a_folder_without_a_manifest_is_no_run(tmp_path: Path) -> None:
    for there in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(RunError, match="is no run"):
            Run.open(there)
    assert not (tmp_path / "nowhere").exists()


def test_a_run_is_created_once(path: Path, plan: Any) -> None:
    put(path, [attempt("k")])
    with begin(path, plan) as run:
        assert [one.trial_key for one in every_attempt(run)] == ["k"]


def test_runs_are_listed_oldest_first(tmp_path: Path, plan: Any) -> None:
    for age, name in enumerate(("new", "mid", "old")):
        create(tmp_path / name, plan)
        os.utime(tmp_path / name / "manifest.json", (1000 - age, 1000 - age))
    (tmp_path / "no run").mkdir()
    assert [one.name for one in list_runs(tmp_path)] == ["old", "mid", "new"]
    assert list_runs(tmp_path / "nowhere") == []


def test_where_runs_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARTYNLI_RUNS", "elsewhere")
    assert runs_dir() == Path("elsewhere")
    assert runs_dir(tmp_path) == tmp_path
    monkeypatch.setenv("PARTYNLI_RUNS", "")
    assert runs_dir() == Path("runs")


@pytest.mark.skipif(not Path("/proc/self/mounts").exists(), reason="mounts are read from /proc")
def test_the_file_system_is_told(tmp_path: Path) -> None:
    assert file_system(Path("/proc/self")) == "proc"
    assert file_system(tmp_path) not in ("", "proc")
    assert not is_remote(Path("/proc"))


def test_names_that_a_uri_would_read_otherwise_are_only_names(tmp_path: Path, plan: Any) -> None:
    odd = tmp_path / "50% of a?b#c ü"
    create(odd, plan)
    put(odd, [attempt("k")])
    with Run.open(odd) as run:
        assert len(every_attempt(run)) == 1


# --- one process at a time ---


HOLD = """
import sys
from pathlib import Path
from partynli.store import Run
with Run.sampling(Path(sys.argv[1])) as run:
    print("held", flush=True)
    sys.stdin.read()
"""


def child(code: str, *args: object, **given: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, args)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, **{**pipes, **given})


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that samples into the run."""
    with child(HOLD, path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_and_told_who_is_there(path: Path, plan: Any, holder: Any) -> None:
    before = hashes(path)
    for enter in (lambda: Run.sampling(path), lambda: begin(path, plan)):
        with pytest.raises(RunLockedError, match=rf"'test' is being sampled .*\(pid {holder.pid}\)") as caught, enter():
            pass
        assert one_line(caught.value)
        assert caught.value.exit_code == 2
    assert held_by(path) == str(holder.pid)
    assert hashes(path) == before


def test_a_run_that_is_held_can_be_read(path: Path, holder: Any) -> None:
    with Run.open(path) as run:
        assert run.tallies() == {}
        assert len(run.items) == 3


def test_the_lock_is_gone_when_its_process_is_killed(path: Path, plan: Any, holder: Any) -> None:
    holder.kill()
    holder.wait()
    assert held_by(path) is None
    with begin(path, plan):
        assert held_by(path) == str(os.getpid())
    assert held_by(path) is None


def test_the_lock_of_a_longer_process_id_leaves_nothing_behind(path: Path, plan: Any) -> None:
    (path / "lock").write_text("99999999999999")
    with begin(path, plan):
        assert held_by(path) == str(os.getpid())


def test_a_reader_sees_what_is_committed_while_it_is_sampled(path: Path, go: Any) -> None:
    async def main() -> None:
        with Run.sampling(path) as run, Run.open(path) as reader:
            writer = Writer(run.database)
            for number in range(1, 4):
                await writer.put(attempt(f"k{number}"), ())
                assert len(every_attempt(reader)) == number
            await writer.aclose()

    go(main())


# --- another plan ---


def test_another_plan_is_refused_and_named_and_nothing_is_changed(path: Path, plan: Any, study: Any) -> None:
    put(path, [attempt("k")])
    before = hashes(path)
    others = {
        "items_hash": study.plan(list(plan.participants), items=4),
        "participants": study.plan(list(plan.participants[:1]), items=3),
        "trials": study.plan(list(plan.participants), items=3, trials=1),
        "reasks": study.plan(list(plan.participants), items=3, reasks=0),
    }
    for key, other in others.items():
        match = f"{key}.*nothing was changed.*partynli resume test"
        with pytest.raises(PlanMismatchError, match=match) as caught, begin(study.path, other):
            pass
        assert one_line(caught.value)
        assert hashes(path) == before
    with begin(path, plan) as run:
        assert not run.is_empty


def test_the_old_and_the_new_value_are_told(path: Path, plan: Any, study: Any) -> None:
    other = study.plan(list(plan.participants), items=3, trials=1)
    with pytest.raises(PlanMismatchError, match="trials was 2 each, now 1 each"), begin(path, other):
        pass
    one = dict(zip((one.id for one in plan.participants), (9, 1), strict=True))
    with (
        pytest.raises(PlanMismatchError, match=r"trials was 2 each, now \[9,1\]"),
        begin(path, replace(plan, trials=one)),
    ):
        pass


def test_more_trials_are_added_to_a_run_and_the_manifest_says_since_when(path: Path, plan: Any, study: Any) -> None:
    put(path, [attempt("k")])
    with begin(path, study.plan(list(plan.participants), items=3, trials=5)) as run:
        assert run.manifest["plan"]["trials"] == [5, 5]
        assert run.manifest["grown"] == [{"before": {"trials": [2, 2]}, "created": None}]
        assert not run.is_empty
    with pytest.raises(PlanMismatchError, match="trials was 5 each, now 2 each"), begin(path, plan):
        pass


# --- damage ---


def overwrite(file: Path, start: float, content: bytes) -> None:
    data = bytearray(file.read_bytes())
    at = int(start * len(data))
    data[at:] = (content * len(data))[: len(data) - at]
    file.write_bytes(bytes(data))


def ruin(statement: str) -> Callable[[Path], None]:
    def done(file: Path) -> None:
        with closing(sqlite3.connect(file)) as db, db:
            db.execute(statement)

    return done


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no database at all": lambda file: overwrite(file, 0, b"This is a text. "),
    "random bytes": lambda file: overwrite(file, 0, bytes(range(256))),
    "all pages but the first": lambda file: overwrite(file, 4096 / file.stat().st_size, b"\xff\x00garbage"),
    "the second half": lambda file: overwrite(file, 0.5, b"\0"),
    "cut to a half": lambda file: os.truncate(file, file.stat().st_size // 2),
    "cut within the first page": lambda file: os.truncate(file, 1000),
    "empty": lambda file: os.truncate(file, 0),
    "gone": lambda file: file.unlink(),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
    "another version": ruin("PRAGMA user_version = 7"),
    "no attempts": ruin("DROP TABLE attempt"),
    "no items": ruin("DROP TABLE item"),
    "an item that is not JSON": ruin("UPDATE item SET json = 'men'"),
    "a participant that is not JSON": ruin("UPDATE participant SET json = '{'"),
    "a participant of another version": ruin("""UPDATE participant SET json = '{"price": null, "wings": 2}'"""),
}


def read_whole(path: Path) -> None:
    with Run.open(path) as run:
        run.participants()
        run.experiments()
        assert len(list(run.items)) == len(run.items)
        every_attempt(run)
        run.tallies()
        run.reasons()
        run.served()
        run.label_counts()


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_database_is_an_error_of_one_line(path: Path, plan: Any, task: Any, damage: str) -> None:
    put(path, [attempt(f"k{number}", response=answer() * 9) for number in range(40)])
    file = path / "run.sqlite"
    DAMAGE[damage](file)
    before = file.read_bytes() if file.is_file() else None
    with pytest.raises(RunError) as caught:
        read_whole(path)
    assert "run.sqlite" in one_line(caught.value) or "schema" in one_line(caught.value)
    assert (file.read_bytes() if file.is_file() else None) == before, "reading changed it"

    def go_on() -> None:
        with begin(path, plan) as run:
            for one in run.items:
                assert one
            run.participants()
            derive_judgments(run, task)
            run.tallies()

    with pytest.raises(RunError) as caught:
        go_on()
    assert one_line(caught.value)


MANIFESTS = {
    b"": "cannot be read",
    b"{": "cannot be read",
    b"\xff\xfe": "cannot be read",
    b"[" * 100_000: "cannot be read",
    b"null": "no plan",
    b"[]": "no plan",
    b'"plan"': "no plan",
    b"{}": "no plan",
    b'{"plan": []}': "no plan",
    b'{"plan": {}}': "lacks participants, trials",
    b'{"plan": {"participants": null}}': "lacks participants, trials",
}


@pytest.mark.parametrize("content", MANIFESTS, ids=lambda content: repr(content[:30]))
def test_a_damaged_manifest_is_an_error_and_nothing_is_changed(path: Path, plan: Any, content: bytes) -> None:
    put(path, [attempt("k")])
    (path / "manifest.json").write_bytes(content)
    before = hashes(path)
    for enter in (lambda: Run.open(path), lambda: Run.sampling(path), lambda: begin(path, plan)):
        with pytest.raises(RunError, match=f"manifest.json .*{MANIFESTS[content]}") as caught, enter():
            pass
        assert one_line(caught.value)
    assert hashes(path) == before


@pytest.mark.parametrize("key", ["participants", "trials", "items", "n_items", "groups", "reasks"])
def test_a_manifest_whose_plan_lacks_something_says_what(path: Path, plan: Any, key: str) -> None:
    kept = {name: value for name, value in plan.describe().items() if name != key}
    (path / "manifest.json").write_text(json.dumps({"plan": kept}))
    with pytest.raises(RunError, match=f"lacks {key}"):
        Run.open(path)


def test_a_plan_with_a_number_too_few_is_damaged(path: Path, plan: Any) -> None:
    (path / "manifest.json").write_text(json.dumps({"plan": {**plan.describe(), "trials": [2]}}))
    with pytest.raises(RunError, match="number of trials"):
        Run.open(path)


def test_a_manifest_says_which_key_it_lacks(path: Path) -> None:
    with Run.open(path) as run:
        assert run.manifest.get("caps") is None
        with pytest.raises(RunError, match="lacks 'caps'"):
            run.manifest["caps"]


# --- half a creation ---


def test_a_creation_that_was_cut_short_is_done_anew(path: Path, plan: Any) -> None:
    (path / "manifest.json").unlink()
    (path / "manifest.json.part").write_text("{")
    with begin(path, plan) as run:
        assert len(run.items) == 3
    assert "manifest.json.part" not in hashes(path)


def test_a_creation_that_was_killed_behind_its_commit_is_done_anew(path: Path, plan: Any, tmp_path: Path) -> None:
    half = tmp_path / "runs" / "half"
    half.mkdir()
    with closing(sqlite3.connect(path / "run.sqlite")) as db:  # while it is open, its log is not folded into it
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("INSERT INTO meta VALUES ('half', 'done')")
        db.commit()
        for one in path.glob("run.sqlite*"):
            shutil.copy(one, half)
    assert (half / "run.sqlite-wal").stat().st_size > 0
    with begin(half, plan) as run:
        assert len(run.items) == 3
        assert run.meta("half") is None


@pytest.mark.parametrize("content", [b"", b"half of something else"])
def test_files_that_are_no_database(study: Any, plan: Any, content: bytes) -> None:
    study.path.mkdir(parents=True)
    (study.path / "run.sqlite").write_bytes(content)
    if not content:
        with begin(study.path, plan) as run:
            assert run.is_empty
        return
    with pytest.raises(StoreError, match="not a database; nothing was changed"), begin(study.path, plan):
        pass
    assert (study.path / "run.sqlite").read_bytes() == content


def test_answers_whose_manifest_is_gone_are_not_overwritten(path: Path, plan: Any) -> None:
    put(path, [attempt("k")])
    (path / "manifest.json").unlink()
    before = hashes(path)
    with pytest.raises(StoreError, match=r"holds answers, but .*manifest.json .* is gone") as caught, begin(path, plan):
        pass
    assert one_line(caught.value)
    assert hashes(path) == before


# --- places that cannot be written ---


def test_a_place_that_is_no_folder(tmp_path: Path, plan: Any) -> None:
    (tmp_path / "file").write_text("x")
    for where in (tmp_path / "file", tmp_path / "file" / "run", Path("/proc/nowhere/run")):
        with pytest.raises(StoreError, match="cannot be written") as caught, begin(where, plan):
            pass
        assert one_line(caught.value)


NOBODY = """
import os, sys
from pathlib import Path
from partynli.derive import derive_judgments
from partynli.errors import RunError
from partynli.prompts import load_task
from partynli.store import Run
task = load_task("livenli", Path("prompts"))
if os.getuid() == 0:  # who may do everything must become somebody who may not
    os.setgid(65534)
    os.setuid(65534)
path = Path(sys.argv[1])
with Run.open(path) as run:
    print(sum(tally.valid for tally in run.tallies().values()), len(run.items))
for enter in (
    lambda: Run.sampling(path),
    lambda: Run.begin(path, {}, [], [], {}),
    lambda: Run.begin(path.parent / "new", {}, [], [], {}),
):
    try:
        with enter():
            print("entered")
    except RunError as error:
        print(type(error).__name__, error)
with Run.open(path) as run:
    try:
        derive_judgments(run, task)
    except RunError as error:
        print(type(error).__name__, error)
"""


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody can read and nobody can write to but its owner."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        for one in (folder, *folder.iterdir()):
            one.chmod(0o755)


def test_a_run_that_cannot_be_written_can_be_read_and_nothing_else(public: Path, plan: Any) -> None:
    create(public / "run", plan)
    put(public / "run", [attempt("k")])
    for one in (*(public / "run").iterdir(), public / "run", public):
        one.chmod(0o555 if one.is_dir() else 0o444)
    before = hashes(public / "run")
    with child(NOBODY, public / "run", stderr=subprocess.PIPE) as process:
        said, errors = process.communicate()
    assert process.returncode == 0, errors
    read, *refused = said.splitlines()
    assert read == "1 3"
    assert len(refused) == 4
    assert [line.split()[0] for line in refused] == ["StoreError"] * 4
    assert all(re.search("cannot be written|readonly", line) for line in refused)
    assert hashes(public / "run") == before


def test_answers_in_a_log_are_not_passed_over_where_nothing_can_be_written(public: Path, path: Path) -> None:
    copy = public / "run"
    copy.mkdir()
    with closing(sqlite3.connect(path / "run.sqlite")) as db:
        db.execute("INSERT INTO meta VALUES ('key', 'committed')")
        db.commit()
        for one in path.iterdir():
            if not one.name.endswith("-shm"):
                shutil.copy(one, copy)
    copy.chmod(0o555)
    code = NOBODY.partition("with Run.open")[0] + 'with Run.open(path) as run:\n    print(run.meta("key"))'
    with child(code, copy, stderr=subprocess.PIPE) as process:
        said, errors = process.communicate()
    assert said == "committed\n" or "cannot be opened" in errors


# --- the writer ---


def test_thousands_of_attempts_are_all_there_in_the_order_of_their_coming(path: Path, go: Any) -> None:
    async def main() -> list[int]:
        done: list[int] = []
        with Run.sampling(path) as run:
            writer = Writer(run.database)

            async def one(number: int) -> None:
                await writer.put(attempt(f"k{number}", at=float(number)), (("b", "{}"), (f"p{number % 5}", "[]")))
                done.append(number)

            await asyncio.gather(*map(one, range(5000)))
            await writer.aclose()
        return done

    assert go(main()) == list(range(5000))
    with Run.open(path) as run:
        assert [one.trial_key for one in every_attempt(run)] == [f"k{number}" for number in range(5000)]
        assert run.body("p4") == "[]"
    assert rows(path, "SELECT count(*) FROM body") == [(6,)]


def test_an_attempt_comes_back_as_it_was_stored(path: Path) -> None:
    whole = Attempt(
        *("k", 2, "a", "item0", "p", 3, "rejected", "schema", "b", 2**31 - 1, 'raw "é" \U0001f600 \x00 end', "m", "fp"),
        *("stop", 10, 2**53, 0.1 + 0.2, 1.5, 1e9 + 0.25),
    )
    empty = attempt("e", response=None)
    put(path, [whole, empty])
    with Run.open(path) as run:
        assert every_attempt(run) == [whole, empty]


def test_closing_writes_what_is_queued(path: Path, go: Any) -> None:
    async def main() -> None:
        with Run.sampling(path) as run:
            writer = Writer(run.database)
            queued = [writer.put(attempt(f"k{number}"), ()) for number in range(300)]
            await writer.aclose()
            await asyncio.gather(*queued)

    go(main())
    assert rows(path, "SELECT count(*) FROM attempt") == [(300,)]


def test_an_answer_whose_caller_has_left_is_stored_all_the_same(path: Path, go: Any) -> None:
    async def main() -> None:
        with Run.sampling(path) as run:
            writer = Writer(run.database)
            left = writer.put(attempt("left"), ())
            left.cancel()
            await writer.put(attempt("stayed"), ())
            await writer.aclose()

    go(main())
    assert rows(path, "SELECT trial_key FROM attempt ORDER BY id") == [("left",), ("stayed",)]


def test_what_cannot_be_stored_is_not_acknowledged_and_the_next_is(path: Path, go: Any) -> None:
    async def main() -> None:
        with Run.sampling(path) as run:
            writer = Writer(run.database)
            await writer.put(attempt("k"), ())
            for bad in (attempt("k"), attempt("half \ud800"), attempt("big", tokens_in=2**70)):
                with pytest.raises(StoreError, match="what was committed before is safe") as caught:
                    await writer.put(bad, ())
                assert one_line(caught.value)
            await writer.put(attempt("next"), ())
            await writer.aclose()

    go(main())
    assert rows(path, "SELECT trial_key FROM attempt ORDER BY id") == [("k",), ("next",)]


@pytest.mark.parametrize("text", ["", "plain", "é \U0001f600", "half \ud83d", "\udc00\ud800", "nul \x00", "\\ud800"])
def test_any_text_can_be_made_storable(path: Path, text: str) -> None:
    put(path, [attempt("k", response=storable(text))])
    with Run.open(path) as run:
        (stored,) = (one.response for one in every_attempt(run))
    assert stored == (text if text.isascii() or text == "é \U0001f600" else stored)
    assert storable(storable(text)) == storable(text)


def test_a_body_that_is_not_there_is_damage(path: Path) -> None:
    with Run.open(path) as run, pytest.raises(StoreError, match="lacks the body sha256:0"):
        run.body("sha256:0")


KILLED = """
import asyncio, sys
from pathlib import Path
from partynli.store import Run, Writer
sys.path.insert(0, "tests")
from test_store import attempt
async def main():
    with Run.sampling(Path(sys.argv[1])) as run:
        writer = Writer(run.database)
        async def work(worker):
            for number in range(10**6):
                await writer.put(attempt(f"{worker}-{number}"), ())
                print(f"{worker}-{number}", flush=True)
        await asyncio.gather(*map(work, range(20)))
asyncio.run(main())
"""


def test_what_was_acknowledged_before_a_kill_is_there(path: Path, plan: Any) -> None:
    with child(KILLED, path) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(500)]
        process.send_signal(signal.SIGKILL)
        told += process.stdout.readlines()
    acknowledged = {line.strip() for line in told if line.endswith("\n")}
    with begin(path, plan) as run:
        stored = {one.trial_key for one in every_attempt(run)}
    assert acknowledged <= stored
    assert len(stored) <= len(acknowledged) + 20
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


FULL = """
import asyncio, json, resource, sys
from pathlib import Path
from partynli.errors import StoreError
from partynli.store import Run, Writer
sys.path.insert(0, "tests")
from test_store import attempt
path, room, freed, patience = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "True", float(sys.argv[4])
told = {"acknowledged": [], "refused": [], "notices": [], "errors": []}
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
def trouble(line):
    told["notices"].append(line)
    if freed:
        limit(resource.RLIM_INFINITY)
async def main():
    with Run.sampling(path) as run:
        writer = Writer(run.database, on_trouble=trouble, patience_s=patience)
        async def one(key):
            try:
                await writer.put(attempt(key, response="x" * 2000), (("b", "{}"),))
            except StoreError as error:
                told["errors"].append(str(error))
                told["refused"].append(key)
            else:
                told["acknowledged"].append(key)
        limit(room)
        for round in range(20):
            await asyncio.gather(*(one(f"{round}-{number}") for number in range(20)))
            if told["errors"]:
                break
        await writer.aclose()
asyncio.run(main())
print(json.dumps(told))
"""


def fill(path: Path, *, freed: bool, patience: float) -> dict[str, list[str]]:
    with child(FULL, path, 300_000, freed, patience) as process:
        said, _ = process.communicate()
    assert process.returncode == 0
    told: dict[str, list[str]] = json.loads(said)
    return told


def test_on_a_full_disk_nothing_is_acknowledged_that_is_not_there(path: Path, plan: Any) -> None:
    told = fill(path, freed=False, patience=0.5)
    assert len(told["acknowledged"]) >= 20
    assert told["refused"]
    assert len(told["notices"]) == 1
    assert "trying again" in told["notices"][0]
    (error,) = set(told["errors"])
    assert re.search(r"run.sqlite: .*; what was committed before is safe. Mend it, then `partynli resume`$", error)
    with begin(path, plan) as run:
        assert [one.trial_key for one in every_attempt(run)] == told["acknowledged"]
    put(path, [attempt(key) for key in told["refused"]])
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_full_disk_is_waited_for(path: Path) -> None:
    told = fill(path, freed=True, patience=30)
    assert not told["errors"]
    assert told["notices"]
    assert len(told["acknowledged"]) == 400
    with Run.open(path) as run:
        assert sorted(one.trial_key for one in every_attempt(run)) == sorted(told["acknowledged"])


def test_a_database_that_reached_its_size_is_waited_for_too(path: Path, go: Any) -> None:
    async def main() -> list[str]:
        notices: list[str] = []
        with Run.sampling(path) as run:
            writer = Writer(run.database, on_trouble=notices.append, patience_s=30)
            writer._db.execute("PRAGMA max_page_count = 40")  # SQLite's own "database or disk is full"
            stored = writer.put(attempt("large", response="x" * 400_000), ())
            while not notices:
                await asyncio.sleep(0.01)
            assert not stored.done()
            writer._db.execute("PRAGMA max_page_count = 4000")
            await stored
            await writer.aclose()
        return notices

    (notice,) = go(main())
    assert "database or disk is full; nothing new is sent, trying again" in notice
    assert rows(path, "SELECT trial_key FROM attempt") == [("large",)]


CREATE = """
import resource, sys
from pathlib import Path
from partynli.errors import StoreError
from partynli.records import Item
from partynli.store import Run
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
items = (Item(f"u{k}", {"premise": "x" * 500, "hypothesis": "y"}) for k in range(500))
try:
    with Run.begin(Path(sys.argv[1]), {"plan": {}}, [], items, {}):
        print("entered")
except StoreError as error:
    print(error)
"""


def test_a_run_that_could_not_be_laid_out_is_laid_out_later(study: Any, plan: Any) -> None:
    with child(CREATE, study.path) as process:
        said, _ = process.communicate()
    assert re.fullmatch(r"run .*/test cannot be written: .*\n", said)
    assert not (study.path / "manifest.json").exists()
    with begin(study.path, plan) as run:
        assert len(run.items) == 3


# --- what is stored, counted ---


@pytest.fixture
def counted(path: Path) -> Path:
    priced = {"cost": 0.5, "tokens_in": 10, "tokens_out": 2, "served_model": "m-1", "fingerprint": "f"}
    put(
        path,
        [
            attempt("valid", **priced),
            attempt("second", 1, "rejected", reason="schema", **priced),
            attempt("second", 2, **{**priced, "served_model": "m-2"}),
            attempt("never", 1, "rejected", reason="schema", **priced),
            attempt("never", 2, "rejected", reason="empty", **priced),
            attempt("never", 3, "rejected", reason="schema", **priced),
            attempt("stopped", 1, "rejected", reason="empty"),
            attempt("failed", 1, "failed", None, reason="retryable: HTTP 500"),
            attempt("drifted", 1, "drift", **priced),
            attempt("other", participant="b"),
            attempt("saved", 1, "failed", None, participant="b", reason="retryable: HTTP 500"),
            attempt("saved", 2, participant="b"),
        ],
    )
    return path


def test_outcomes_say_what_resume_goes_by(counted: Path) -> None:
    keys = ["valid", "second", "never", "stopped", "failed", "drifted", "unknown", "saved"]
    with Run.open(counted) as run:
        assert run.outcomes(keys) == {
            "valid": Outcome(1, 0, True),
            "second": Outcome(2, 1, True),
            "never": Outcome(3, 3, False),
            "stopped": Outcome(1, 1, False),
            "failed": Outcome(1, 0, False),
            "drifted": Outcome(1, 0, True),
            "saved": Outcome(2, 0, True),
        }
        assert run.outcomes([]) == {}
        assert not run.is_empty


def test_tallies_count_every_trial_once(counted: Path) -> None:
    with Run.open(counted) as run:
        tallies = run.tallies()
    a = Tally(begun=6, valid=2, invalid=1, drift=1, open=2, reasked=2, rejected=5, failed=1)
    assert tallies["a"] == replace(a, cost=3.5, unpriced=1, tokens_in=70, tokens_out=14)
    assert tallies["a"].settled == 4
    assert tallies["b"] == Tally(begun=2, valid=2, failed=1, unpriced=2)
    for tally in tallies.values():
        assert tally.begun == tally.settled + tally.open


def test_reasons_are_counted_by_participant(counted: Path) -> None:
    with Run.open(counted) as run:
        assert run.reasons() == {
            "a": {"schema": 3, "empty": 2, "retryable: HTTP 500": 1, "drift": 1},
            "b": {"retryable: HTTP 500": 1},
        }
        assert run.reasons("failed") == {"a": {"retryable: HTTP 500": 1}, "b": {"retryable: HTTP 500": 1}}
        assert run.reasons("drift") == {"a": {"drift": 1}}


def test_the_first_served_model_is_the_run_s(counted: Path) -> None:
    with Run.open(counted) as run:
        assert run.served() == {"a": ("m-1", "f")}


def test_attempts_come_in_chunks_and_by_status(path: Path) -> None:
    put(path, [attempt(f"k{k}", status="drift" if k % 2 else "valid") for k in range(1203)])
    with Run.open(path) as run:
        assert len(run.attempts()) == 500
        assert len(run.attempts(after=1000)) == 203
        assert {one.status for _, one in run.attempts(status="drift")} == {"drift"}
        assert run.attempts(after=1203) == []


# --- judgments, derived ---


def derive(path: Path, task: Any) -> int:
    with Run.sampling(path) as run:
        return derive_judgments(run, task)


def labels(path: Path) -> dict[str, str]:
    return dict(rows(path, "SELECT trial_key, class_multi FROM judgment"))


def test_a_judgment_is_derived_whole(path: Path, task: Any) -> None:
    put(path, [attempt("k", response=answer("true-either", "Why."), trial=4)])
    assert derive(path, task) == 1
    _, reader = reader_for(task)
    (row,) = rows(path, "SELECT * FROM judgment")
    assert row == (
        *("k", "a", "item0", 4, "either", "either-true", "Why.", '[["premise",6,9,"men"]]', "label_spelling"),
        *(reader, "sample"),
    )


def test_a_trial_s_answer_is_its_first_valid_one(path: Path, task: Any) -> None:
    put(
        path,
        [
            attempt("first", 1, response=answer("true")),
            attempt("first", 2, response=answer("false")),
            attempt("second", 1, "rejected", answer("maybe")),
            attempt("second", 2, response=answer("false")),
            attempt("second", 3, response=answer("true")),
            attempt("never", 1, "rejected", answer("maybe")),
            attempt("never", 2, "rejected", ""),
            attempt("failed", 1, "failed", None),
            attempt("drifted", 1, "drift"),
            attempt("better reader", 1, "rejected", answer("either")),
        ],
    )
    assert derive(path, task) == 10
    wanted = {"first": "true", "second": "false", "never": "error", "failed": "error", "better reader": "either"}
    assert labels(path) == wanted
    with Run.open(path) as run:
        assert run.label_counts() == {"a": {"true": 1, "false": 1, "error": 2, "either": 1}}


def test_only_what_is_new_is_read(path: Path, task: Any) -> None:
    put(path, [attempt(f"k{k}") for k in range(700)] + [attempt("again", 1, "rejected", "")])
    assert derive(path, task) == 701
    assert derive(path, task) == 0
    assert labels(path)["again"] == "error"
    put(path, [attempt("again", 2, response=answer("false")), attempt("k0", 2, response=answer("false"))])
    assert derive(path, task) == 2
    assert len(labels(path)) == 701
    assert labels(path)["again"] == "false"
    assert labels(path)["k0"] == "true"


def test_another_version_of_the_reader_reads_everything_anew(path: Path, task: Any) -> None:
    put(path, [attempt("k"), attempt("no longer readable", 1, "valid", "")])
    derive(path, task)
    imported = "VALUES ('i', 'a', 'item1', 1, 'false', 'false', NULL, NULL, NULL, NULL, 'import')"
    with closing(sqlite3.connect(path / "run.sqlite")) as db, db:
        db.execute("UPDATE meta SET value = 'livenli/0' WHERE key = 'reader'")
        db.execute("UPDATE judgment SET class_multi = 'false', class_simple = 'false'")
        db.execute(f"INSERT INTO judgment {imported}")
    assert derive(path, task) == 2
    assert labels(path) == {"k": "true", "no longer readable": "error", "i": "false"}
    assert derive(path, task) == 0
    assert rows(path, "SELECT source, count(*) FROM judgment GROUP BY 1") == [("import", 1), ("sample", 2)]


def test_answers_of_a_drifted_model_are_left_out_until_they_are_taken_in(path: Path, task: Any) -> None:
    put(path, [attempt("k"), attempt("d", 1, "drift"), attempt("e", 1, "drift", said("unreadable"))])
    derive(path, task)
    assert set(labels(path)) == {"k"}
    with Run.sampling(path) as run:
        assert settle_drift(run, task) == 2
        assert derive_judgments(run, task) == 3
        assert settle_drift(run, task) == 0
    assert labels(path) == {"k": "true", "d": "true", "e": "error"}
    assert rows(path, "SELECT status, reason FROM attempt ORDER BY id") == [
        ("valid", None),
        ("valid", None),
        ("rejected", "not_json"),
    ]


@pytest.mark.parametrize(
    "response",
    [
        "",
        "null",
        "{}",
        "[" * 100_000,
        "<html></html>",
        '{"choices": []}',
        '{"choices": [{"message": null}]}',
        '{"error": {"code": "content_filter", "message": "blocked"}}',
        '{"choices": [{"message": {"content": null, "refusal": "no"}, "finish_reason": "stop"}]}',
    ],
)
def test_whatever_was_stored_can_be_read_again(path: Path, task: Any, response: str) -> None:
    put(path, [attempt("k", 1, "rejected", response, finish_reason="content_filter")])
    assert derive(path, task) == 1
    assert labels(path) == {"k": "error"}


def test_an_item_that_is_not_there_costs_its_own_trial_alone(path: Path, task: Any) -> None:
    gone = attempt("gone", item="nowhere")
    put(path, [gone, attempt("k")])
    derive(path, task)
    assert labels(path) == {"gone": "error", "k": "true"}
    reader, _ = reader_for(task)
    assert read_attempt(gone, reader, {}) == Rejection("schema", "the reader failed: KeyError")


@pytest.mark.parametrize("odd", ["half \ud83d", "nul \x00 within", "\udfff", "\x00"])
def test_text_that_others_cannot_read_is_derived_all_the_same(path: Path, task: Any, odd: str) -> None:
    marked = {"classification": {"label": "true", "explanation": odd}, "highlights": {"context": f"<<{odd}>>"}}
    put(path, [attempt("k", response=said(json.dumps(marked)))])
    assert derive(path, task) == 1
    ((label, explanation, highlights),) = rows(path, "SELECT class_simple, explanation, highlights FROM judgment")
    assert (label, explanation) == ("true", storable(odd))
    assert json.loads(highlights)[0][:3] == ["premise", None, None]


def test_a_run_that_is_open_for_reading_stays_as_it_is(path: Path, task: Any) -> None:
    put(path, [attempt("k")])
    with Run.open(path) as run, pytest.raises(StoreError, match="readonly"):
        derive_judgments(run, task)
    assert labels(path) == {}


def test_every_error_of_the_store_is_one_of_ours() -> None:
    for kind in (StoreError, RunLockedError, PlanMismatchError):
        assert issubclass(kind, RunError)
    assert issubclass(RunError, PartyNLIError)
