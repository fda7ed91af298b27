"""The site is built without a warning, and loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_site(tmp_path: Path) -> None:
    for needed in ("latex2mathml", "material", "mkdocs", "mkdocstrings"):
        pytest.importorskip(needed, reason="needs the extra `docs`")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    )
    assert built.returncode == 0, built.stderr
    pages = {path: path.read_text("utf-8") for path in tmp_path.rglob("*.html")}
    assert len(pages) > 60
    loaded = {
        address
        for page in pages.values()
        for address in re.findall(r"<(?:script|img|link|iframe)\b[^>]*?(?:src|href)=\"?(https?://[^\s\">]+)", page)
    }
    assert loaded == set()
    assert "<math" in pages[tmp_path / "explanation" / "metrics.html"]
    assert "Krippendorff" in pages[tmp_path / "reference" / "python" / "metrics.html"]
