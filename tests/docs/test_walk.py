"""The newcomer's way: every block of commands in the README, the tutorial and the guides is run, in order.

Blocks below ``<!-- not run: WHY -->`` are left out. Output that a page shows behind a block has to come out of it, line
by line, unless ``<!-- differs: WHY -->`` stands above it; between two lines others may come.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    "docs/tutorial.md",
    *sorted(f"docs/how-to/{one.name}" for one in (ROOT / "docs/how-to").glob("*.md")),
]
ITEMS = """\
uid,premise,hypothesis,human_true,human_either,human_false
a1,It has rained all night.,The street is wet.,14,5,1
a2,A man plays a guitar.,A man makes music.,18,2,0
a3,Nobody came to the meeting.,The room was full.,0,1,19
a4,A dog runs along the beach.,The dog is happy.,5,15,0
"""
ANSWERS = "participant,sent_id,trial,class_multi\nx,a1,1,true\nx,a2,1,either\ny,a1,1,true\ny,a2,1,false\n"
_PORTS = re.compile(r"\b(?:8080|8090|8765)\b")


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_TOKEN"))}
    folder = str(Path(sys.executable).parent)
    cache = {"PARTYNLI_CACHE": str(tmp_path_factory.mktemp("cache")), "HF_HOME": str(tmp_path_factory.mktemp("hf"))}
    return kept | cache | {"PATH": f"{folder}{os.pathsep}{kept['PATH']}", "COLUMNS": "200"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]) -> Path:
    """A folder with the files and runs that the guides take for given."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "my.csv").write_text(ITEMS)
    (folder / "answers.csv").write_text(ANSWERS)
    for run in ("first", "second", "pilot"):
        command = [sys.executable, "-m", "partynli", "sample", "--mix", "demo", "--trials", "2"]
        subprocess.run([*command, "--items", "my.csv", "--run", run], cwd=folder, env=environ, check=True)
    return folder


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_page_can_be_followed(
    page: str, blocks: Callable[[Path], Any], environ: dict[str, str], prepared: Path, tmp_path: Path
) -> None:
    written = blocks(ROOT / page)
    run = [block for block in written if block.language == "sh" and block.mark is None]
    if not run:
        pytest.skip("every block of this page says why it is not run")
    folder = tmp_path / "study"
    shutil.copytree(prepared, folder) if page.startswith("docs/how-to") else folder.mkdir()
    script = "trap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n"
    script += "".join(f"echo '@@ {block.name}'\n{block.body}\n" for block in run)
    ports = {port: free_port() for port in _PORTS.findall(script)}
    script = _PORTS.sub(lambda port: ports[port[0]], script)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    said = {part.partition("\n")[0]: lines(part) for part in done.stdout.split("@@ ")}
    for before, block in pairwise(written):
        if block.language == "text" and block.mark is None and before in run:
            for shown in lines(_PORTS.sub(lambda port: ports.get(port[0], port[0]), block.body)):
                assert shown in said[before.name], f"{block.name} shows {shown!r}, which does not come out"
