"""vLLM itself, on the processor, with a tiny model of random weights: PARTYNLI_VLLM names the Python that has it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.vllm
PYTHON = os.environ.get("PARTYNLI_VLLM", "")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    assert PYTHON, "PARTYNLI_VLLM must name the Python of an environment with vLLM"
    folder = tmp_path_factory.mktemp("model") / "tiny"
    made = subprocess.run([PYTHON, str(Path(__file__).with_name("tiny_model.py")), str(folder)], capture_output=True)
    assert made.returncode == 0, made.stderr.decode()
    return str(folder)


@pytest.fixture
def folder(tmp_path: Path, model: str) -> Path:
    # prompts in one piece: torch's generator for processors cannot be set back, which a seeded call in pieces needs
    serve = {"args": ["--enforce-eager", "--max-num-batched-tokens", "65536"]}
    content = {
        "version": 1,
        "providers": {
            "vllm": {"route": "vllm", "concurrency": 16, "params": {"max_tokens": 30}, "serve": serve, "timeout_s": 120}
        },
        "participants": {
            "plain": {"provider": "vllm", "model": model, "dtype": "float32"},
            "hot": {"provider": "vllm", "model": model, "dtype": "float32", "params": {"temperature": 1.5}},
            "guided": {
                "provider": "vllm",
                "model": model,
                "dtype": "float32",
                "guided_decoding": True,
                "params": {"max_tokens": 400},
            },
            "nobody": {"provider": "vllm", "model": "partynli/no-such-model", "dtype": "float32"},
        },
        "mixes": {"both": ["plain", "hot"], "three": ["plain", "hot", "guided"], "none": ["nobody"]},
    }
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


@pytest.fixture
def environ(folder: Path) -> Iterator[dict[str, str]]:
    """What commands are run with; afterwards no process and no temporary file may be left."""
    quiet = {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}
    with TemporaryDirectory() as scratch:
        yield {**os.environ, **quiet, "PARTYNLI_RUNS": str(folder / "runs"), "TMPDIR": scratch}
        assert not processes(folder)
        assert [file for file in os.listdir(scratch) if not file.endswith(".log")] == []


def processes(folder: Path) -> dict[int, bytes]:
    """What runs on behalf of a test, and its command line: told by its environment, or by the name vLLM gives it."""
    found = {}
    for process in (entry for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        try:
            command_line, environ = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
        except OSError:
            continue
        if f"PARTYNLI_RUNS={folder}/runs\0".encode() in environ or command_line.startswith(b"VLLM::"):
            found[int(process.name)] = command_line
    return found


def sample(mix: str, *more: str) -> list[str]:
    return [sys.executable, "-m", "partynli", "sample", "--mix", mix, "--items", "demo", "--run", "r", *more]


def rows(folder: Path, what: str) -> list[tuple[Any, ...]]:
    db = sqlite3.connect(folder / "runs" / "r" / "run.sqlite")
    try:
        return db.execute(f"SELECT {what} FROM attempt").fetchall()
    finally:
        db.close()


def stored(folder: Path) -> int:
    is_laid_out = (folder / "runs" / "r" / "manifest.json").exists()
    return len(rows(folder, "id")) if is_laid_out else 0


def until(holds: Callable[[], Any], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.2)


def test_variants_and_guided_decoding_share_a_server(folder: Path, environ: dict[str, str]) -> None:
    done = subprocess.run(sample("three", "--trials", "1"), cwd=folder, env=environ, capture_output=True, text=True)
    told = done.stdout + done.stderr
    assert "72 of 72 trials done" in told, told
    assert told.count("starting a server") == 1
    assert len(set(rows(folder, "fingerprint"))) == 1
    assert rows(folder, "fingerprint")[0][0].startswith("vllm 0.")
    assert all(seed is not None for (seed,) in rows(folder, "seed"))
    status = dict(rows(folder, "participant, max(status = 'valid') OVER (PARTITION BY participant)"))
    assert 1 in status.values(), "guided decoding gave no valid answer"


def test_a_killed_server_is_started_again(folder: Path, environ: dict[str, str]) -> None:
    command = sample("both", "--trials", "8")
    with subprocess.Popen(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        until(lambda: stored(folder) > 50, 200)
        (engine, *_) = [pid for pid, command_line in processes(folder).items() if b"EngineCore" in command_line]
        os.kill(engine, signal.SIGKILL)
        assert process.stdout is not None
        told = process.stdout.read()
    assert "384 of 384 trials done" in told, told
    assert len(set(rows(folder, "trial_key"))) == 384


def test_a_killed_partynli_takes_the_server_with_it(folder: Path, environ: dict[str, str]) -> None:
    with subprocess.Popen(
        sample("both", "--trials", "8"), cwd=folder, env=environ, stdout=subprocess.DEVNULL
    ) as process:
        until(lambda: stored(folder) > 10, 200)
        process.kill()
    until(lambda: not processes(folder), 30)


def test_a_model_that_does_not_exist(folder: Path, environ: dict[str, str]) -> None:
    done = subprocess.run(sample("none"), cwd=folder, env=environ, capture_output=True, text=True, timeout=200)
    assert done.returncode == 1
    assert "partynli/no-such-model: its server did not start: " in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
