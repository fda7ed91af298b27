"""The command line as a person runs it: a process of its own, in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    return kept | {
        "PARTYNLI_CACHE": str(tmp_path / "cache"),
        "PARTYNLI_RUNS": str(tmp_path / "runs"),
        "COLUMNS": "200",
    }


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait for something, but not for ever."""

    def wait(holds: Callable[[], bool], seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, "it did not come"
            time.sleep(0.02)

    return wait


@pytest.fixture
def partynli(tmp_path: Path, environ: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command and wait for it."""

    def run(*args: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "partynli", *args]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environ | more, timeout=120)

    return run


@pytest.fixture
def registry(tmp_path: Path) -> Callable[..., Path]:
    """Write a registry whose participants are all at one address."""

    def write(url: str, names: list[str], *, key: str | None = None, **provider: object) -> Path:
        entry = {"route": "openai", "api_base": url, **({"api_key_env": key} if key else {}), **provider}
        price = {"input": 1, "output": 2, "as_of": "2025-07"}
        content = {
            "version": 1,
            "providers": {"loop": entry},
            "participants": {
                name: {"provider": "loop", "model": name, "price": dict(price), "max_output_tokens": 400}
                for name in names
            },
            "mixes": {"test": names},
        }
        path = tmp_path / "registry.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return write
