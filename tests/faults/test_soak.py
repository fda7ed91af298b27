"""A small edition of `make soak`; the full one took 19 minutes on a busy machine with 2 cores."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_a_small_soak(seed: int) -> None:
    command = [sys.executable, str(Path(__file__).with_name("soak.py")), "--trials", "3000", "--kills", "6"]
    done = subprocess.run([*command, "--seed", str(seed)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\nholds ") == 9
    assert "BROKEN" not in done.stdout
