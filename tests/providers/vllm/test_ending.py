"""However partynli ends, no server of it stays behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

COMMAND = [
    sys.executable,
    "-m",
    "partynli",
    "sample",
    "--mix",
    "local",
    "--items",
    "demo",
    "--trials",
    "3",
    "--run",
    "r",
]


def until(holds: Callable[[], Any], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    content = {
        "version": 1,
        "providers": {"vllm": {"route": "vllm", "concurrency": 4, "seed": "auto"}},
        "participants": {
            "a": {"provider": "vllm", "model": "org/a", "size_b": 1},
            "b": {"provider": "vllm", "model": "org/a", "params": {"temperature": 0.5}},
            "c": {"provider": "vllm", "model": "org/c"},
        },
        "mixes": {"local": ["a", "b", "c"]},
    }
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


def environ(folder: Path) -> dict[str, str]:
    return {**os.environ, "PARTYNLI_RUNS": str(folder / "runs"), "COLUMNS": "200"}


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *more], cwd=folder, env=environ(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("moment", ["starting", "sampling"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_of_a_server(folder: Path, double: Any, moment: str, number: signal.Signals) -> None:
    double.behave(**({"start_s": 5} if moment == "starting" else {"latency_s": 0.05}))
    with start(folder) as process:
        until(lambda: double.log("started" if moment == "starting" else "grandchild"))
        time.sleep(0.3 if moment == "starting" else 1.0)
        process.send_signal(number)
        assert process.stdout is not None
        told = process.stdout.read()
        code = process.wait(30)
    until(lambda: not double.alive())
    until(lambda: is_free(double.log("started")[0]["port"]))
    if number != signal.SIGKILL:
        assert code == 130, told
        assert "partynli resume r" in told
        assert "Traceback" not in told


@pytest.mark.ray
def test_nothing_is_left_of_servers_in_rays_workers(folder: Path, double: Any) -> None:
    double.behave(latency_s=0.5)
    with start(folder, "--engine", "ray") as process:
        until(lambda: len(double.log("grandchild")) == 2, 60)  # one server a model, side by side
        process.kill()
    until(lambda: not double.alive(), 60)


@pytest.mark.slow
def test_killed_and_gone_on_with(folder: Path, double: Any) -> None:
    double.behave(latency_s=0.05)
    with start(folder) as process:
        until(lambda: double.log("grandchild"))
        time.sleep(1.0)
        process.kill()
        process.wait(30)
    double.behave()
    done = subprocess.run(COMMAND, cwd=folder, env=environ(folder), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "216 of 216 trials done, 216 of them valid" in done.stdout + done.stderr
    assert not double.alive()


def test_without_vllm_it_is_said_before_anything_starts(folder: Path, double: Any) -> None:
    nowhere = {**environ(folder), "PARTYNLI_VLLM": "/nowhere/python"}
    done = subprocess.run(COMMAND, cwd=folder, env=nowhere, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "vLLM is not installed: pip install 'partynli[vllm]'" in done.stderr
    assert not (folder / "runs").exists()
