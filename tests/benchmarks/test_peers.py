"""The bench of peers: partynli's client against its server, and the table made of what was measured."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PEERS = Path(__file__).parents[2] / "benchmarks" / "peers"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(PEERS)

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the bench reads /proc")
def test_every_call_of_partynlis_client_is_made_once_and_measured(script: Any, tmp_path: Path) -> None:
    peer = script("measure").Peer("partynli_sample", "partynli_sample.py", sys.executable)
    found = script("scenarios").speed(peer, 50, tmp_path)  # raises where a prompt is not asked, or asked twice
    assert found["calls"] == 50
    assert 0 < found["start_s"] < found["total_s"]
    assert found["calls_per_s"] > 1
    assert found["peak_mb"] > 20
    assert 1 < found["most_at_once"] <= 50


def test_the_table_compares_within_a_round_and_says_what_failed(script: Any) -> None:
    def speed(rate: float) -> dict[str, float]:
        return {"calls": 100, "calls_per_s": rate, "server_cpu_s_per_1000": 0.5, "peak_mb": 64.0}

    results = {
        "at": "2026-01-01",
        "python": "3.11",
        "cores": 2,
        "busy": False,
        "latency_s": 0.05,
        "in_flight": 64,
        "rate": 50,
        "burst": 5,
        "peers": {
            "partynli_sample": {"name": "partynli", "note": "as is", "version": "1.0", "failed": {}},
            "other": {"name": "other", "note": "as is", "version": "2.0", "failed": {"killed": "it hung"}},
        },
        "rounds": [
            {"speed": {"partynli_sample": speed(100), "other": speed(50)}},
            {"speed": {"partynli_sample": speed(400), "other": speed(100)}},
            {"speed": {"partynli_sample": speed(200)}},
        ],
    }
    text = script("table").render(results)
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in text.splitlines() if line.startswith("| ")}
    assert rows["other"][1:4] == ["2.0", "75 (50 to 100)", "0.38 (0.25 to 0.50)"]
    assert rows["partynli"][2] == "200 (100 to 400)"
    assert rows["other"][-3:] == ["failed", "failed", "failed |"]
    assert len({len(cells) for cells in rows.values()}) == 1
    assert "**Failed** (killed): it hung" in text
    assert "read the ratios only" not in text
    assert "read the ratios only" in script("table").render({**results, "busy": True})
