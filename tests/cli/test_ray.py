"""``--engine ray`` as a person runs it: the same answers, the same limits, and nothing lost with a worker."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from partynli.testing import Behaviour, LoopbackProcess

SAMPLE = ("sample", "--engine", "ray", "--items", "demo", "--run", "r")
JUDGMENTS = "SELECT * FROM judgment ORDER BY trial_key"


def rows(run: Path, query: str) -> list[Any]:
    if not (run / "manifest.json").exists():
        return []
    db = sqlite3.connect(run / "run.sqlite")
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def n_stored(run: Path) -> int:
    return sum(rows(run, "SELECT count(*) FROM attempt")[:1], (0,))[-1]


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("partynli: ")
    return lines[0]


def below(pid: int) -> Iterator[int]:
    """All processes that descend from one."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return
    for child in children:
        yield child
        yield from below(child)


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def workers(driver: int) -> list[int]:
    found = []
    for pid in below(driver):
        try:
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::Worker"):
                found.append(pid)
        except OSError:
            continue
    return found


@pytest.fixture
def start(tmp_path: Path, environ: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a command in a process group of its own, as a terminal does."""
    started = []

    def begin(*args: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "partynli", *args]
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


# --- what needs no Ray ---


def test_without_ray_one_line_says_what_to_install(tmp_path: Path, environ: dict[str, str]) -> None:
    code = (
        "import sys; sys.modules['ray'] = None; sys.argv = ['partynli', 'sample', '--mix', 'demo', '--engine', 'ray']\n"
        "from partynli.cli import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environ)
    assert done.returncode == 2
    assert "pip install 'partynli[ray]'" in one_line(done)
    assert not (tmp_path / "runs").exists()


def test_an_address_without_the_engine_is_refused(partynli: Any) -> None:
    done = partynli("sample", "--mix", "demo", "--ray-address", "auto")
    assert done.returncode == 2
    assert "--ray-address belongs to --engine ray" in one_line(done)


# --- with Ray ---


@pytest.mark.ray
@pytest.mark.parametrize(
    ("address", "said"),
    [("127.0.0.1:1", "Connection refused"), ("ray://127.0.0.1:1", "Connection refused"), ("nonsense", "HOST:PORT")],
)
def test_a_wrong_address_is_one_line(partynli: Any, tmp_path: Path, address: str, said: str) -> None:
    done = partynli("sample", "--mix", "demo", "--engine", "ray", "--ray-address", address)
    assert done.returncode == 2
    assert said in one_line(done)
    assert not (tmp_path / "runs").exists()


@pytest.mark.ray
def test_the_same_judgments_as_on_this_machine_and_ray_starts_twice_in_one_process(
    partynli: Any, tmp_path: Path, environ: dict[str, str]
) -> None:
    assert partynli("sample", "--mix", "demo", "--trials", "2", "--run", "local").returncode == 0
    code = (
        "from partynli.cli import cli\n"
        "for name in ('one', 'two'):\n"
        "    args = ['sample', '--mix', 'demo', '--trials', '2', '--run', name, '--engine', 'ray']\n"
        "    assert cli.main(args, standalone_mode=False) == 0\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environ)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("480 of 480 trials done") == 2
    assert not done.stderr
    local = rows(tmp_path / "runs" / "local", JUDGMENTS)
    assert len(local) == 480
    assert rows(tmp_path / "runs" / "one", JUDGMENTS) == rows(tmp_path / "runs" / "two", JUDGMENTS) == local


@pytest.mark.ray
def test_a_worker_is_killed_and_nothing_is_lost_or_stored_twice(start: Any, until: Any, tmp_path: Path) -> None:
    in_flight = 8
    with LoopbackProcess(default=Behaviour(latency_s=0.02)) as server:
        provider = {"route": "openai", "api_base": server.url}
        content = {
            "version": 1,
            # two without a price are free lanes, which go to two workers; the other two make the third
            "providers": {"free": provider, "paid": {**provider, "concurrency": in_flight}},
            "participants": {
                name: {"provider": kind, "model": name, "concurrency": in_flight}
                for name, kind in (("a", "free"), ("b", "free"), ("c", "paid"), ("d", "paid"))
            },
            "mixes": {"test": ["a", "b", "c", "d"]},
        }
        (tmp_path / "registry.yaml").write_text(yaml.safe_dump(content))
        process = start(*SAMPLE, "--mix", "test", "--trials", "40")
        run, planned = tmp_path / "runs" / "r", 4 * 24 * 40
        until(lambda: n_stored(run) > planned // 20, 60)
        alive = workers(process.pid)
        assert len(alive) in (2, 3)  # two CPUs, or one
        for pid in alive[:2]:
            os.kill(pid, signal.SIGKILL)
            time.sleep(0.5)
        out, _ = process.communicate(timeout=120)
        answered = server.fetch_books().total.answered
    assert process.returncode == 0, out
    assert out.count("was lost (its process is gone); it is started again") == 2
    assert f"{planned:,} of {planned:,} trials done" in out
    found = rows(run, "SELECT count(*), count(DISTINCT trial_key), sum(status = 'valid') FROM attempt")
    assert found == [(planned, planned, planned)]
    assert 0 <= answered - planned <= 2 * 2 * in_flight


@pytest.mark.ray
def test_limits_and_budget_hold_over_the_lanes_of_a_provider(partynli: Any, registry: Any, tmp_path: Path) -> None:
    rate, most, budget = 20, 4, 0.02
    with LoopbackProcess(default=Behaviour(latency_s=0.1, rps=rate, burst=2)) as server:
        registry(server.url, ["a", "b", "c"], rpm=60 * rate, concurrency=most)
        done = partynli(*SAMPLE, "--mix", "test", "--trials", "1", "--max-cost", str(budget))
        assert done.returncode == 3, done.stdout + done.stderr
        run = tmp_path / "runs" / "r"
        spent = rows(run, "SELECT sum(cost) FROM attempt")[0][0]
        assert 0.5 * budget < spent <= budget
        first = server.fetch_books().total
        assert first.answered == n_stored(run)
        again = partynli("resume", "r", "--engine", "ray")
        assert again.returncode == 0, again.stdout + again.stderr
        total = server.fetch_books().total
    assert total.answered == n_stored(run) == 72
    assert set(total.statuses) == {200}
    assert total.peak_in_flight <= most
    for arrivals in (total.arrivals[: first.received], total.arrivals[first.received :]):
        in_a_second = max(sum(one <= other < one + 1 for other in arrivals) for one in arrivals)
        assert in_a_second <= rate + 1


@pytest.mark.ray
def test_ctrl_c_waits_for_what_is_in_flight_and_resume_goes_on(
    start: Any, until: Any, partynli: Any, registry: Any, tmp_path: Path
) -> None:
    with LoopbackProcess(default=Behaviour(latency_s=0.2)) as server:
        registry(server.url, ["a", "b"], concurrency=8)
        process = start(*SAMPLE, "--mix", "test", "--trials", "4")
        run = tmp_path / "runs" / "r"
        until(lambda: n_stored(run) > 20, 60)
        everyone = list(below(process.pid))
        os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 130, out
        assert "calls in flight are waited for" in out
        stopped_at = server.fetch_books().total.answered
        assert stopped_at == n_stored(run) < 192
        until(lambda: not any(map(is_alive, everyone)), 60)
        done = partynli("resume", "--engine", "ray")
        assert done.returncode == 0, done.stderr
        assert server.fetch_books().total.answered == n_stored(run) == 192


@pytest.mark.ray
def test_kill_9_of_the_driver_leaves_no_process_and_resume_goes_on(
    start: Any, until: Any, partynli: Any, registry: Any, tmp_path: Path
) -> None:
    with LoopbackProcess(default=Behaviour(latency_s=0.1)) as server:
        registry(server.url, ["a", "b"], concurrency=8)
        process = start(*SAMPLE, "--mix", "test", "--trials", "4")
        run = tmp_path / "runs" / "r"
        until(lambda: n_stored(run) > 20, 60)
        everyone, at_work = list(below(process.pid)), workers(process.pid)
        assert at_work
        process.kill()
        until(lambda: not any(map(is_alive, at_work)), 30)
        answered, stored = server.fetch_books().total.answered, n_stored(run)
        assert 0 <= answered - stored <= 8
        done = partynli("resume")
        assert done.returncode == 0, done.stderr
        assert n_stored(run) == 192
        assert server.fetch_books().total.answered == answered + 192 - stored
        until(lambda: not any(map(is_alive, everyone)), 60)


@pytest.mark.ray
def test_nothing_is_sent_where_one_address_does_not_answer(partynli: Any, registry: Any) -> None:
    with socket.socket() as unused, LoopbackProcess() as server:
        unused.bind(("127.0.0.1", 0))
        path = registry(server.url, ["a", "b"])
        content = yaml.safe_load(path.read_text())
        nobody = {"route": "openai", "api_base": f"http://127.0.0.1:{unused.getsockname()[1]}/v1"}
        content["providers"]["nobody"] = nobody
        content["participants"]["b"] = {"provider": "nobody", "model": "b"}
        path.write_text(yaml.safe_dump(content))
        done = partynli(*SAMPLE, "--mix", "test", "--trials", "1")
        assert done.returncode == 2
        assert "nothing was sent" in one_line(done)
        assert server.fetch_books().total.received == server.fetch_books().total.answered == 0


@pytest.mark.ray
def test_a_budget_that_is_reached_and_one_ctrl_c_leave_no_call(start: Any, until: Any, tmp_path: Path) -> None:
    with LoopbackProcess({"slow": Behaviour(latency_s=5), "dear": Behaviour(latency_s=0.2)}) as server:
        provider = {"route": "openai", "api_base": server.url}
        nothing, price = ({"input": k, "output": 2 * k, "as_of": "2025-07"} for k in (0, 1))
        content = {
            "version": 1,
            "providers": {"free": provider, "paid": dict(provider)},
            "participants": {
                "slow": {"provider": "free", "model": "slow", "price": nothing},
                "dear": {"provider": "paid", "model": "dear", "price": price, "max_output_tokens": 400},
            },
            "mixes": {"test": ["slow", "dear"]},
        }
        (tmp_path / "registry.yaml").write_text(yaml.safe_dump(content))
        process = start(*SAMPLE, "--mix", "test", "--trials", "1", "--max-cost", "0.01")
        until(lambda: server.fetch_books()["slow"].received > 0, 60)
        time.sleep(2.5)  # the worker of the dear one has ended by its budget, and the other one was told to stop
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        books = server.fetch_books()
    assert process.returncode == 130, out
    assert (books["slow"].answered, books["slow"].gone) == (1, 0)
    assert 1 < books.total.answered == n_stored(tmp_path / "runs" / "r") < 24


@pytest.mark.ray
def test_where_one_answer_cannot_be_stored_those_in_flight_still_are(
    start: Any, until: Any, registry: Any, tmp_path: Path
) -> None:
    with LoopbackProcess({"a": Behaviour(latency_s=0.1), "b": Behaviour(latency_s=3)}) as server:
        registry(server.url, ["a", "b"])
        process = start(*SAMPLE, "--mix", "test", "--trials", "20", "--max-cost", "1")
        run = tmp_path / "runs" / "r"
        until(lambda: n_stored(run) > 5, 60)
        db = sqlite3.connect(run / "run.sqlite")
        (id_,) = db.execute("SELECT id FROM participant WHERE name = 'a'").fetchone()
        db.execute(
            "CREATE TRIGGER refused BEFORE INSERT ON attempt "
            f"WHEN NEW.participant = '{id_}' BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
        db.close()
        out, _ = process.communicate(timeout=60)
        books = server.fetch_books()
    assert process.returncode == 2, out
    assert (books["b"].gone, books["b"].answered) == (
        0,
        len(rows(run, f"SELECT 1 FROM attempt WHERE participant <> '{id_}'")),
    )
    assert books["b"].answered > 0


@pytest.mark.ray
def test_a_worker_that_says_nothing_does_not_outlast_a_second_ctrl_c(
    start: Any, until: Any, partynli: Any, registry: Any, tmp_path: Path
) -> None:
    with LoopbackProcess(default=Behaviour(latency_s=0.1)) as server:
        registry(server.url, ["a"], concurrency=8)
        process = start(*SAMPLE, "--mix", "test", "--trials", "8")
        run = tmp_path / "runs" / "r"
        until(lambda: n_stored(run) > 20, 60)
        everyone = list(below(process.pid))
        for pid in workers(process.pid):
            os.kill(pid, signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 130, out
        until(lambda: not any(map(is_alive, everyone)), 60)
        answered, stored = server.fetch_books().total.answered, n_stored(run)
        assert 0 <= answered - stored <= 8
        assert partynli("resume").returncode == 0
        assert n_stored(run) == 192
        assert server.fetch_books().total.answered == answered + 192 - stored


@pytest.mark.ray
def test_a_worker_that_ray_ends_for_want_of_memory_is_a_lost_one(partynli: Any, registry: Any) -> None:
    with LoopbackProcess(default=Behaviour(latency_s=0.5)) as server:
        registry(server.url, ["a"])
        want = {"RAY_memory_usage_threshold": "0.001", "RAY_memory_monitor_refresh_ms": "250"}
        done = partynli(*SAMPLE, "--mix", "test", "--trials", "20", "--max-cost", "1", **want)
    assert done.returncode == 1, done.stderr
    assert "worker api was lost (its machine ran out of memory); it is started again" in done.stdout
    assert "a stopped: its worker was lost 4 times" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.ray
def test_where_ray_itself_dies_the_run_ends_and_resume_goes_on(
    start: Any, until: Any, partynli: Any, registry: Any, tmp_path: Path
) -> None:
    with LoopbackProcess(default=Behaviour(latency_s=0.5)) as server:
        registry(server.url, ["a"], concurrency=4)
        process = start(*SAMPLE, "--mix", "test", "--trials", "40")
        run = tmp_path / "runs" / "r"
        until(lambda: n_stored(run) > 5, 60)
        everyone = list(below(process.pid))
        os.kill(next(pid for pid in everyone if b"raylet/raylet" in Path(f"/proc/{pid}/cmdline").read_bytes()), 9)
        out, _ = process.communicate(timeout=90)
        assert process.returncode == 2, out
        assert "worker api was lost" in out
        until(lambda: not any(map(is_alive, everyone)), 60)
        answered, stored = server.fetch_books().total.answered, n_stored(run)
        assert 0 <= answered - stored <= 4
        assert partynli("resume", "--limit", "40").returncode == 0
        assert (n_stored(run), server.fetch_books().total.answered) == (stored + 40, answered + 40)


@pytest.mark.ray
def test_no_key_reaches_a_file_of_rays(
    start: Any, until: Any, registry: Any, tmp_path: Path, environ: dict[str, str]
) -> None:
    key = "sk-loop-4c1d09ab77e2"
    behaviours = {"a": Behaviour(latency_s=0.1), "b": Behaviour(script=("echo_key",) * 9)}
    # a short path: sockets lie below it
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder, LoopbackProcess(behaviours) as server:
        environ |= {"LOOP_API_KEY": key, "RAY_TMPDIR": folder}
        registry(server.url, ["a", "b"], key="LOOP_API_KEY", concurrency=8)
        process = start(*SAMPLE, "--mix", "test", "--trials", "8", "--max-cost", "1")
        until(lambda: n_stored(tmp_path / "runs" / "r") > 20, 60)
        os.kill(workers(process.pid)[0], signal.SIGKILL)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 1, out
        assert "b stopped" in out
        assert server.fetch_books()["a"].answered >= 192
        files = [path for top in (Path(folder), tmp_path) for path in top.rglob("*") if path.is_file()]
        assert any(path.name == "raylet.out" for path in files)
        assert [path for path in files if key.encode() in path.read_bytes()] == []
        assert key not in out
