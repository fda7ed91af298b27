"""A stand-in for vLLM on the path of the servers that are started, and what it tells of them."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from partynli.providers.vllm.room import room_here

collect_ignore = ["double", "tiny_model.py"]  # run by other processes, the second by one that has torch


@dataclass
class Double:
    """What the stand-in is told to do, and what it did."""

    told: Path

    def behave(self, **wanted: Any) -> None:
        self.told.write_text(json.dumps(wanted))

    def log(self, what: str) -> list[dict[str, Any]]:
        log = self.told.with_suffix(".log")
        lines = log.read_text().splitlines() if log.exists() else []
        return [entry for entry in map(json.loads, lines) if entry["what"] == what]

    def alive(self) -> list[int]:
        """Servers and what they started, as far as they still run."""
        pids = [entry["pid"] for entry in self.log("started")] + [entry["child"] for entry in self.log("grandchild")]
        return [pid for pid in pids if is_alive(pid)]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Double:
    told = tmp_path / "double.json"
    monkeypatch.setenv("DOUBLE", str(told))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).with_name("double")))
    monkeypatch.setenv("PARTYNLI_VLLM", sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path / "bin") + os.pathsep + os.environ["PATH"])  # room for an nvidia-smi
    room_here.cache_clear()
    made = Double(told)
    made.behave()
    return made
