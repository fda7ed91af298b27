"""Nothing outlives the process that started it, whatever it does to get away."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from partynli.providers.vllm import supervisor

# a server with a child that has left session and group and ignores SIGTERM, and a grandchild whose parent is gone
SERVER = """
import os, signal, subprocess, sys, time
folder = sys.argv[1]
def stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(f"{folder}/{os.getpid()}", "w").close()
    time.sleep(600)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        stubborn()
    sys.exit()
if os.fork() == 0:
    os.setpgid(0, 0)
    stubborn()
open(f"{folder}/{os.getpid()}", "w").close()
time.sleep(600)
"""
PARENT = """
import subprocess, sys, time
process = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, start_new_session=True)
print(process.pid, flush=True)
time.sleep(600)
"""


def command(*args: str) -> list[str]:
    return [sys.executable, "-I", supervisor.__file__, *args]


def alive(folder: Path) -> list[str]:
    def lives(pid: str) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    return [file.name for file in folder.iterdir() if lives(file.name)]


def wait_until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


@pytest.mark.slow
def test_all_of_it_ends_with_the_parent(tmp_path: Path) -> None:
    server = command(sys.executable, "-c", SERVER, str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", PARENT, *server], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        wait_until(lambda: len(alive(tmp_path)) == 3)
        parent.kill()
    wait_until(lambda: not alive(tmp_path))
    wait_until(lambda: not Path(f"/proc/{pid}").exists())


@pytest.mark.slow
def test_who_is_killed_instead_of_it_takes_nothing_along(tmp_path: Path) -> None:
    given = command(sys.executable, "-c", SERVER, str(tmp_path))
    with subprocess.Popen(given, stdin=subprocess.PIPE, start_new_session=True) as process:
        wait_until(lambda: len(alive(tmp_path)) == 3)
        process.kill()
        process.wait(20)
        assert len(alive(tmp_path)) == 3
    wait_until(lambda: not alive(tmp_path))  # the pipe is closed


def test_what_the_command_left_behind_ends_with_the_command(tmp_path: Path) -> None:
    ends = SERVER.replace("time.sleep(600)\n", "time.sleep(1)\nsys.exit(7)\n").replace(
        "    time.sleep(1)\nsys.exit(7)\n", "    time.sleep(600)\n", 1
    )
    with subprocess.Popen(command(sys.executable, "-c", ends, str(tmp_path)), stdin=subprocess.PIPE) as process:
        assert process.wait(30) == 7
    assert len(list(tmp_path.iterdir())) == 3
    assert not alive(tmp_path)


def test_the_exit_code_is_the_commands() -> None:
    for code in ("import sys; sys.exit(3)", "import os; os.kill(os.getpid(), 9)"):
        with subprocess.Popen(command(sys.executable, "-c", code), stdin=subprocess.PIPE) as process:
            assert process.wait(20) == (3 if "exit" in code else 128 + signal.SIGKILL)


def test_it_is_asked_before_it_is_killed(tmp_path: Path) -> None:
    polite = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path(sys.argv[1], "clean").touch(), sys.exit()))
pathlib.Path(sys.argv[1], "up").touch()
time.sleep(600)
"""
    for end in (lambda process: process.stdin.close(), lambda process: process.terminate()):
        with subprocess.Popen(command(sys.executable, "-c", polite, str(tmp_path)), stdin=subprocess.PIPE) as process:
            wait_until((tmp_path / "up").exists)
            end(process)
            process.wait(20)
        (tmp_path / "clean").unlink()
        (tmp_path / "up").unlink()
