"""What the fuzz tests share lies beside them: `strategies.py`, which is no test."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # for strategies
