"""The paper's size, 20 participants x 122 items x 5 trials, with faults on a tenth of the calls."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from partynli.testing import Behaviour, LoopbackProcess

MODELS = [f"m{k}" for k in range(20)]
FAULTS = ("server_error", "overloaded", "cut", "reset", "not_http_json", "fenced", "prose", "malformed", "empty")
CALLS = 20 * 122 * 5

# the kernel's own count of this process; ru_maxrss would include the test process that it was forked from
MEASURED = """
import sys
from partynli.cli import main
try:
    main()
except SystemExit as end:
    print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
    raise
"""


@pytest.mark.slow
def test_every_valid_answer_is_stored_once_and_memory_stays_flat(registry: Any, environ: Any, tmp_path: Path) -> None:
    items = [{"uid": str(k), "premise": f"The {k} men sang.", "hypothesis": f"{k} people sang."} for k in range(122)]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, items)))
    with LoopbackProcess(default=Behaviour(fault_share=0.1, faults=FAULTS)) as server:
        registry(server.url, MODELS, concurrency=200, rpm=6_000_000)
        args = ["sample", "--mix", "test", "--items", "items.jsonl", "--trials", "5", "--run", "r"]
        command = [sys.executable, "-c", MEASURED, *args]
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300)
        books = server.fetch_books()
    assert done.returncode == 0, done.stderr
    peak_mb = int(done.stdout.splitlines()[-1]) / 1024
    db = sqlite3.connect(tmp_path / "runs" / "r" / "run.sqlite")
    trials, valid = db.execute("SELECT count(DISTINCT trial_key), sum(status = 'valid') FROM attempt").fetchone()
    twice = db.execute("SELECT count(*) FROM attempt WHERE status = 'valid' GROUP BY trial_key HAVING count(*) > 1")
    answers = db.execute("SELECT count(*) FROM attempt WHERE status IN ('valid', 'rejected')").fetchone()[0]
    assert twice.fetchone() is None
    db.close()
    assert trials == CALLS
    assert valid >= 0.999 * CALLS
    assert answers == books.total.answered
    assert peak_mb < 120
    print(f"{CALLS} trials, {books.total.received} calls, peak {peak_mb:.0f} MB")
