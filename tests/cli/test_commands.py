"""Every command, as a person runs it: what it prints, what it leaves behind, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from partynli.cli import COMMANDS
from partynli.testing import Behaviour, LoopbackProcess

HEAVY = ("litellm", "aiohttp", "pandas", "scipy", "sklearn", "pyarrow", "torch", "numpy")
LIVENLI = Path(os.environ.get("PARTYNLI_DATA") or Path(__file__).parents[3] / "shared" / "data")


def rows(run: Path, query: str) -> list[Any]:
    db = sqlite3.connect(run / "run.sqlite")
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The error of a command: exactly one line, no traceback."""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("partynli: ")
    assert "Traceback" not in done.stderr
    return lines[0]


def test_help_loads_nothing_heavy_and_takes_little_time(tmp_path: Path) -> None:
    code = (
        "import sys, time\nsys.argv = ['partynli', '--help']\nfrom partynli.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules], time.process_time())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    loaded, _, seconds = done.stdout.splitlines()[-1].rpartition(" ")
    assert loaded == "[]"
    assert float(seconds) < 0.3


def test_ctrl_c_while_the_process_ends_shows_no_traceback(tmp_path: Path) -> None:
    code = (
        "import atexit, os, signal, sys\nsys.argv = ['partynli', '--version']\nfrom partynli.cli import main\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str, partynli: Any) -> None:
    done = partynli(command, "--help")
    assert done.returncode == 0
    assert "Example" in done.stdout
    assert f"partynli {command}" in done.stdout


def test_the_first_try_needs_no_key_and_no_network(partynli: Any, tmp_path: Path) -> None:
    done = partynli("sample", "--mix", "demo", "--trials", "5")
    assert done.returncode == 0, done.stderr
    assert "1,200 of 1,200 trials done" in done.stdout
    assert "SYNTHETIC" in done.stdout
    (run,) = (tmp_path / "runs").iterdir()
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["synthetic"] is True
    assert manifest["plan"]["prompts"]["system"].startswith("sha256:f1f12a82")
    assert rows(run, "SELECT count(*), count(DISTINCT trial_key) FROM judgment WHERE class_simple != 'error'") == [
        (1200, 1200)
    ]
    status = partynli("status", "--json")
    assert sum(one["valid"] for one in json.loads(status.stdout)["participants"]) == 1200


def test_simulated_answers_are_the_same_every_time(partynli: Any, tmp_path: Path) -> None:
    query = "SELECT trial_key, class_multi, explanation, highlights FROM judgment ORDER BY trial_key"
    found = []
    for name in ("one", "two"):
        assert partynli("sample", "--mix", "demo", "--trials", "1", "--run", name).returncode == 0
        found.append(rows(tmp_path / "runs" / name, query))
    assert found[0] == found[1]


@pytest.mark.skipif(not (LIVENLI / "livenli").is_dir(), reason="the LiveNLI data is not on this machine")
def test_the_122_real_items(partynli: Any) -> None:
    args = ("sample", "--mix", "demo", "--items", "livenli", "--trials", "1", "--run", "first")
    done = partynli(*args, PARTYNLI_DATA=str(LIVENLI))
    assert done.returncode == 0, done.stderr
    assert "1,220 of 1,220 trials done" in done.stdout
    again = partynli(*args, PARTYNLI_DATA=str(LIVENLI))
    assert again.returncode == 0


def test_a_run_over_http_under_faults_ends_complete(partynli: Any, registry: Any, tmp_path: Path) -> None:
    faulty = Behaviour(fault_share=0.1, faults=("server_error", "cut", "reset", "fenced", "malformed", "empty"))
    with LoopbackProcess(default=faulty) as server:
        registry(server.url, ["a", "b", "c"])
        done = partynli("sample", "--mix", "test", "--items", "demo", "--trials", "2", "--run", "r")
        books = server.fetch_books()
    assert done.returncode == 0, done.stderr + done.stdout
    assert "144 of 144 trials done" in done.stdout
    stored = rows(tmp_path / "runs" / "r", "SELECT count(*) FROM attempt WHERE status IN ('valid', 'rejected')")
    assert stored == [(books.total.answered,)]


def test_a_key_is_sent_and_is_found_nowhere_afterwards(partynli: Any, registry: Any, tmp_path: Path) -> None:
    secret = "canary-77b1-secret"
    with LoopbackProcess({"b": Behaviour(fault_share=1, faults=("echo_key",))}, api_key=secret) as server:
        registry(server.url, ["a", "b"], key="LOOP_KEY")
        done = partynli("sample", "--mix", "test", "--items", "demo", "--trials", "1", "--run", "r", LOOP_KEY=secret)
        wrong = partynli(
            "sample", "--mix", "test", "--items", "demo", "--trials", "1", "--run", "w", LOOP_KEY="bad-key"
        )
    assert done.returncode == wrong.returncode == 1
    assert "stopped: HTTP 401" in done.stdout
    for text in (done.stdout, done.stderr):
        assert secret not in text
    assert "bad-key" not in wrong.stdout + wrong.stderr
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or secret.encode() not in path.read_bytes()


def test_the_budget_ends_a_run_with_its_own_code(partynli: Any, registry: Any, tmp_path: Path) -> None:
    with LoopbackProcess() as server:
        registry(server.url, ["a", "b"])
        args = ("--mix", "test", "--items", "demo", "--trials", "5", "--run", "r")
        done = partynli("sample", *args, "--max-cost", "0.03")
        assert done.returncode == 3
        assert "budget is reached" in done.stdout
        (spent,) = rows(tmp_path / "runs" / "r", "SELECT sum(cost) FROM attempt")[0]
        assert 0.02 < spent <= 0.03
        more = partynli("resume", "r", "--max-cost", "1")
        assert more.returncode == 0, more.stderr
        assert "240 of 240 trials done" in more.stdout
        assert server.fetch_books().total.answered == 240


def test_a_dry_run_sends_and_writes_nothing(partynli: Any, registry: Any, tmp_path: Path) -> None:
    with LoopbackProcess() as server:
        registry(server.url, ["a", "b"], rpm=60, key="LOOP_KEY")
        done = partynli("sample", "--mix", "test", "--items", "demo", "--trials", "5", "--dry-run")
        assert server.fetch_books().total.received == 0
    assert done.returncode == 0, done.stderr
    assert "LOOP_KEY is not set" in done.stdout
    assert "240 calls" in done.stdout
    assert "4 min" in done.stdout
    assert not (tmp_path / "runs").exists()


def test_participants_without_a_key_can_be_left_for_later(partynli: Any, registry: Any, tmp_path: Path) -> None:
    with LoopbackProcess() as server:
        path = registry(server.url, ["a", "b"])
        text = path.read_text()
        path.write_text(text.replace("model: b", "model: b\n    api_key_env: LATER_KEY"))
        args = ("sample", "--mix", "test", "--items", "demo", "--trials", "1", "--run", "r")
        missing = partynli(*args)
        assert missing.returncode == 2
        assert "LATER_KEY is not set (for b)" in one_line(missing)
        assert not (tmp_path / "runs").exists()
        part = partynli(*args, "--skip-missing")
        assert part.returncode == 0, part.stderr
        assert "b left out: LATER_KEY is not set" in part.stdout
        rest = partynli("resume", LATER_KEY="k")
        assert rest.returncode == 0
        assert "48 of 48 trials done" in rest.stdout


def test_two_processes_on_one_run_the_second_is_refused(
    partynli: Any, registry: Any, environ: Any, until: Any, tmp_path: Path
) -> None:
    with LoopbackProcess(default=Behaviour(latency_s=0.3)) as server:
        registry(server.url, ["a"], concurrency=1)
        args = ["sample", "--mix", "test", "--items", "demo", "--trials", "1", "--run", "r"]
        first = subprocess.Popen(
            [sys.executable, "-m", "partynli", *args], cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True
        )
        try:
            until((tmp_path / "runs" / "r" / "manifest.json").exists)
            time.sleep(0.3)
            second = partynli(*args)
            assert second.returncode == 2
            assert f"is being sampled by another process (pid {first.pid})" in one_line(second)
            status = partynli("status", "r")
            assert f"going on (pid {first.pid})" in status.stdout
            first.send_signal(signal.SIGINT)
            out, _ = first.communicate(timeout=30)
            assert first.returncode == 130
            assert "partynli resume r" in out
        finally:
            first.kill()
            first.wait()
        resumed = partynli("resume", "r")
        assert resumed.returncode == 0, resumed.stderr
        assert server.fetch_books().total.answered == 24


def test_ctrl_c_stores_what_is_in_flight(registry: Any, environ: Any, until: Any, tmp_path: Path) -> None:
    with LoopbackProcess(default=Behaviour(latency_s=0.4)) as server:
        registry(server.url, ["a", "b"], rpm=60000)
        args = ["sample", "--mix", "test", "--items", "demo", "--trials", "40", "--run", "r"]
        run = subprocess.Popen([sys.executable, "-m", "partynli", *args], cwd=tmp_path, env=environ)
        until(lambda: server.fetch_books().total.answered >= 20)
        run.send_signal(signal.SIGINT)
        assert run.wait(30) == 130
        answered = server.fetch_books().total.answered
    assert rows(tmp_path / "runs" / "r", "SELECT count(*) FROM attempt") == [(answered,)]


BAD = {
    "unknown mix": (["--mix", "demmo"], "unknown mix 'demmo'", "did you mean demo"),
    "unknown participant": (["--participant", "sim-juge"], "unknown participant 'sim-juge'", "did you mean sim-judge"),
    "unknown experiment": (["--experiment", "temprature"], "unknown experiment", "did you mean temperature"),
    "mix with an experiment": (["--mix", "hi", "--experiment", "temperature"], "brings its own participants", ""),
    "nothing named": ([], "nothing to sample", "--mix"),
    "no trials": (["--mix", "demo", "--trials", "0"], "--trials", ""),
    "unknown dataset": (["--mix", "demo", "--items", "livnli"], "unknown dataset 'livnli'", "did you mean livenli"),
    "no such file": (["--mix", "demo", "--items", "no/such.jsonl"], "no/such.jsonl", ""),
    "a run's name that is a path": (["--mix", "demo", "--run", "../x"], "cannot name a folder", ""),
    "a registry that is not there": (["--mix", "demo", "--registry", "nope.yaml"], "nope.yaml is not there", ""),
    "unknown task": (["--mix", "demo", "--task", "nope"], "nope", ""),
    "no keys": (["--mix", "hi"], "ANTHROPIC_API_KEY is not set (for claude-opus-4)", "OPENAI_API_KEY"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_line_and_nothing_is_made(case: str, partynli: Any, tmp_path: Path) -> None:
    args, *expected = BAD[case]
    done = partynli("sample", *args)
    assert done.returncode == 2, done.stdout
    line = one_line(done)
    for words in expected:
        assert words in line
    assert not list(tmp_path.glob("runs/*"))


ITEMS = {
    "missing uid": (b'{"premise": "a", "hypothesis": "b"}\n', "uid"),
    "duplicate uid": (b'{"uid": "1", "premise": "a", "hypothesis": "b"}\n' * 2, "'1'"),
    "empty text": (b'{"uid": "1", "premise": "", "hypothesis": "b"}\n', "premise"),
    "10 MB": (b'{"uid": "1", "premise": "' + b"a" * 10_000_000 + b'", "hypothesis": "b"}\n', "premise"),
    "not UTF-8": (b'{"uid": "1", "premise": "\xff", "hypothesis": "b"}\n', "UTF-8"),
    "not JSON": (b"{nonsense\n", "JSON"),
    "nothing": (b"", "no item"),
}


@pytest.mark.parametrize("case", ITEMS)
def test_bad_items_get_one_line_that_says_where(case: str, partynli: Any, tmp_path: Path) -> None:
    content, word = ITEMS[case]
    (tmp_path / "items.jsonl").write_bytes(content)
    done = partynli("sample", "--mix", "demo", "--items", "items.jsonl")
    assert done.returncode == 2
    line = one_line(done)
    assert "items.jsonl" in line
    assert word in line
    assert not list(tmp_path.glob("runs/*"))


def test_a_server_that_is_not_there_is_said_before_anything(partynli: Any, registry: Any) -> None:
    registry("http://127.0.0.1:9/v1", ["a"])
    done = partynli("sample", "--mix", "test", "--items", "demo")
    assert done.returncode == 2
    assert "nothing answers at http://127.0.0.1:9" in one_line(done)


def test_a_price_that_is_not_known_refuses_a_budget(partynli: Any, registry: Any) -> None:
    path = registry("http://127.0.0.1:9/v1", ["a"])
    path.write_text(
        "\n".join(
            line
            for line in path.read_text().splitlines()
            if "price" not in line and "put:" not in line and "as_of" not in line
        )
    )
    done = partynli("sample", "--mix", "test", "--items", "demo", "--max-cost", "1")
    assert done.returncode == 2
    assert "has none for a" in one_line(done)


def test_more_trials_on_the_same_run_ask_only_for_what_is_new(partynli: Any, tmp_path: Path) -> None:
    def trials_of(run: str) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(tmp_path / "runs" / run / "run.sqlite")) as db:
            return sorted(db.execute("SELECT trial_key, class_multi, explanation FROM judgment"))

    assert partynli("sample", "--mix", "demo", "--trials", "2", "--run", "r").returncode == 0
    first = trials_of("r")
    more = partynli("sample", "--mix", "demo", "--trials", "3", "--run", "r")
    assert more.returncode == 0, more.stderr
    assert "720 of 720 trials done" in more.stdout
    partynli("sample", "--mix", "demo", "--trials", "3", "--run", "anew")
    assert set(first) < set(trials_of("r"))
    assert trials_of("r") == trials_of("anew")


def test_a_run_of_another_plan_is_not_touched(partynli: Any, tmp_path: Path) -> None:
    assert partynli("sample", "--mix", "demo", "--trials", "2", "--run", "r").returncode == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "runs" / "r").iterdir()}
    done = partynli("sample", "--mix", "demo", "--trials", "1", "--run", "r")
    assert done.returncode == 2
    assert "made by another plan" in one_line(done)
    after = {path.name: path.read_bytes() for path in (tmp_path / "runs" / "r").iterdir()}
    assert before["run.sqlite"] == after["run.sqlite"]
    assert before["manifest.json"] == after["manifest.json"]


def test_unknown_runs_and_commands_are_named(partynli: Any, tmp_path: Path) -> None:
    assert f"there is no run in {tmp_path / 'runs'}: go to the folder" in one_line(partynli("status"))
    assert partynli("sample", "--mix", "demo", "--trials", "1", "--run", "pilot").returncode == 0
    assert "did you mean pilot" in one_line(partynli("resume", "pliot"))
    assert "did you mean sample" in one_line(partynli("sampel"))
    assert "'five' is not a valid whole number." in one_line(partynli("sample", "--trials", "five"))


def test_a_folder_that_cannot_be_written(partynli: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = partynli("sample", "--mix", "demo", "--trials", "1", PARTYNLI_RUNS=str(tmp_path / "file"))
    assert done.returncode == 2
    assert "cannot be written" in one_line(done)


def test_init_copies_and_never_overwrites_unasked(partynli: Any, tmp_path: Path) -> None:
    assert partynli("init", "study").returncode == 0
    assert (tmp_path / "study" / "prompts" / "livenli" / "user.txt").exists()
    done = partynli("init", "study")
    assert done.returncode == 2
    assert "--force" in one_line(done)
    assert partynli("init", "study", "--force").returncode == 0


def test_init_keeps_what_is_ones_own(partynli: Any, tmp_path: Path) -> None:
    mine = {"prompts/rude/task.yaml": "name: rude", "prompts/livenli/user.txt": "{} so {}?"}
    for name, text in mine.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    done = partynli("init")
    assert done.returncode == 0, done.stderr
    assert "kept as it was: prompts/livenli;" in done.stdout
    assert (tmp_path / "registry.yaml").exists()
    assert (tmp_path / "prompts" / "varierr" / "user.txt").exists()
    assert {name: (tmp_path / name).read_text() for name in mine} == mine
    assert not (tmp_path / "prompts" / "livenli" / "task.yaml").exists()  # no task of two makers


@pytest.mark.parametrize("width", ["80", "100"])
def test_participants_in_a_narrow_terminal_says_which_keys_are_missing(partynli_alone: Any, width: str) -> None:
    listed = partynli_alone("participants", FORCE_COLOR="1", COLUMNS=width)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", listed.stdout).splitlines()
    assert max(map(len, lines)) <= int(width)
    assert "…" not in listed.stdout
    assert any(line.startswith("gpt-4.1 ") and "OPENAI_API_KEY is not set" in line for line in lines)
    assert any("mistral-medium," in line.split() for line in lines)  # a list of members breaks between names


def test_the_same_command_without_a_name_says_which_run_is_not_done(
    partynli_here: Any, registry: Any, tmp_path: Path
) -> None:
    (tmp_path / "my.csv").write_text("uid,premise,hypothesis\na,It rains.,It is wet.\nb,A dog.,A cat.\n")
    command = ("sample", "--mix", "test", "--items", "my.csv", "--trials", "2")
    with LoopbackProcess() as server:
        registry(server.url, ["a"])
        assert "the same plan" not in partynli_here(*command, "--limit", "3").stdout
        again = partynli_here(*command).stdout
        assert "-test-1 has the same plan and 3 of 4 trials done" in again
        assert "-test-1\n" in again  # partynli resume NAME
        assert "the same plan" not in partynli_here(*command).stdout  # the newest is done
        assert server.fetch_books().total.answered == 11


def test_status_says_that_the_cost_of_some_answers_is_unknown(
    partynli_here: Any, registry: Any, tmp_path: Path
) -> None:
    (tmp_path / "my.csv").write_text("uid,premise,hypothesis\na,It rains.,It is wet.\n")
    with LoopbackProcess({"a": Behaviour(fault_share=1, faults=("no_usage",))}) as server:
        registry(server.url, ["a", "b"])
        sampled = partynli_here("sample", "--mix", "test", "--items", "my.csv", "--trials", "1")
    assert "and 1 answer whose cost is unknown" in sampled.stdout
    assert "2 of 2 trials done, ≥ $0.00" in partynli_here("status").stdout


def test_status_in_a_narrow_terminal_says_what_is_left_to_ask(partynli_here: Any, partynli_alone: Any) -> None:
    partynli_here("sample", "--mix", "demo", "--items", "demo", "--trials", "1", "--run", "r", "--limit", "30")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", partynli_alone("status", FORCE_COLOR="1", COLUMNS="60").stdout)
    assert max(map(len, shown.splitlines())) <= 60
    assert "…" not in shown
    counted = [line.split() for line in shown.splitlines() if line.startswith("sim-") and len(line.split()) > 4]
    assert len(counted) == 10
    assert all(int(planned) == int(valid) + int(left) for _, planned, valid, _, left, *_ in counted)
    assert sum(int(left) for *_, left, _, _ in counted) == 210


def test_a_task_that_is_not_there(partynli: Any) -> None:
    assert "unknown task 'livenly' in prompts; did you mean livenli?" in one_line(
        partynli("sample", "--mix", "demo", "--task", "livenly")
    )


def test_counts_for_other_labels_than_the_tasks_are_said(partynli: Any, tmp_path: Path) -> None:
    (tmp_path / "my.csv").write_text("uid,premise,hypothesis,human_likly\na,It rains.,It is wet.,3\n")
    sampled = partynli("sample", "--mix", "demo", "--task", "likelihood", "--items", "my.csv", "--trials", "1")
    assert sampled.returncode == 0, sampled.stderr
    note = " ".join(partynli("report").stdout.split())
    assert "no human data: my.csv has no columns human_" in note


def test_a_file_without_counts_is_named_where_the_tasks_people_do_not_know_its_items(
    partynli: Any, tmp_path: Path
) -> None:
    (tmp_path / "my.csv").write_text("uid,premise,hypothesis,human_True,human_Either\na,It rains.,It is wet.,3,1\n")
    assert partynli("sample", "--mix", "demo", "--items", "my.csv", "--trials", "1").returncode == 0
    note = " ".join(partynli("report", PARTYNLI_DATA=str(tmp_path / "gone")).stdout.split())
    assert "no human data: my.csv has no columns human_true, human_either, human_false, and PARTYNLI_DATA" in note


def test_participants_lists_mixes_and_what_is_missing(partynli: Any) -> None:
    listed = partynli("participants")
    assert listed.returncode == 0
    for words in ("claude-opus-4", "mix all (20)", "experiment temperature", "OPENAI_API_KEY is not set"):
        assert words in listed.stdout
    variants = partynli("participants", "--experiment", "temperature")
    assert variants.stdout.count("kimi-k2@temperature=") == 10


def test_doctor_probes_what_it_has_a_key_for(partynli: Any, registry: Any) -> None:
    with LoopbackProcess(default=Behaviour(text="OK")) as server:
        registry(server.url, ["a"], key="LOOP_KEY")
        done = partynli("doctor", LOOP_KEY="k")
        assert done.returncode == 0, done.stdout
        assert "a answered in" in done.stdout
        assert server.fetch_books().total.answered == 1
        assert partynli("doctor", "--no-probe", LOOP_KEY="k").returncode == 0
        assert server.fetch_books().total.answered == 1
    gone = partynli("doctor", LOOP_KEY="k")
    assert gone.returncode == 1
    assert "cannot connect" in gone.stdout


def test_data_lists_datasets(partynli: Any) -> None:
    done = partynli("data")
    assert done.returncode == 0
    assert "livenli" in done.stdout
    assert "did you mean livenli" in one_line(partynli("data", "--fetch", "livnli"))


def test_what_a_server_says_cannot_harm_the_terminal(partynli: Any, registry: Any) -> None:
    with LoopbackProcess({"a": Behaviour(text="\x1b]0;evil\x07[bold red]x")}) as server:
        registry(server.url, ["a"])
        done = partynli("sample", "--mix", "test", "--items", "demo", "--trials", "1")
    assert "\x1b" not in done.stdout + done.stderr
    assert "\x07" not in done.stdout
    assert "24 ended without an answer that can be read; why: partynli status " in done.stdout
