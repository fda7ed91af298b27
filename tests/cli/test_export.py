"""``partynli export`` and back by ``partynli import``, as a person runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from partynli.publish.hub.publishing import look, publish
from partynli.publish.hub.target import RepoTarget
from partynli.testing.hub import HubServer

# httpx says so of the way in which huggingface_hub hands it an open file
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def partynli(partynli_here: Any) -> Any:
    return partynli_here


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("partynli: ")
    return lines[0]


def renamed(text: str) -> dict[str, Any]:
    """JSON of a report or status, but for the run's name."""
    return json.loads(text) | {"run": ""}


@pytest.fixture
def first(partynli: Any) -> str:
    """A small run of simulated participants, one of whom is cut short at times."""
    chosen = ("--participant", "sim-hasty", "--participant", "sim-chatty", "--participant", "sim-judge")
    done = partynli("sample", "--experiment", "single", *chosen, "--trials", "2", "--run", "first")
    assert done.returncode == 0, done.stderr
    return "first"


def test_a_run_goes_out_and_comes_back(partynli: Any, first: str, tmp_path: Path) -> None:
    done = partynli("export", "--format", "csv", "--out", "out", "--split", "pilot")
    assert done.returncode == 0, done.stderr
    assert "SYNTHETIC" in done.stdout
    assert done.stdout.splitlines()[-1] == "run first, exported to out"
    card = (tmp_path / "out" / "README.md").read_text()
    assert "data/judgments/pilot-00000.csv" in card
    assert json.loads((tmp_path / "out" / "croissant.json").read_text())["@type"] == "sc:Dataset"
    assert (tmp_path / "out" / "data" / "metrics" / "pilot-00000.csv").exists()

    (tmp_path / "out" / "README.md").write_text(card + "\n## By hand\n\nOur own words.\n")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert partynli("export", "--format", "csv", "--out", "out", "--split", "pilot").returncode == 0
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before

    done = partynli("import", "out", "--run", "back")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == (
        "run back: 144 answers, 0 of them without a label, by 3 participants on 24 items; from an export of first"
    )
    for command in (("report", "--draws", "100"), ("status",)):
        one, two = (partynli(command[0], name, "--json", *command[1:]) for name in ("first", "back"))
        assert one.returncode == two.returncode == 0, one.stderr + two.stderr
        assert renamed(one.stdout) == renamed(two.stdout)
    mixes = [partynli("randommix", name, "--size", "2", "--draws", "20", "--json") for name in ("first", "back")]
    assert mixes[0].returncode == 0, mixes[0].stderr
    assert renamed(mixes[0].stdout) == renamed(mixes[1].stdout)
    shown = partynli("status", "back").stdout
    assert "144 answers imported" in shown
    assert "resume" not in shown
    assert "was imported" in one_line(partynli("resume", "back"))
    sampled = partynli(
        "sample", "--experiment", "single", "--participant", "sim-judge", "--trials", "2", "--run", "back"
    )
    assert "nothing was changed" in one_line(sampled)
    assert "is there already" in one_line(partynli("import", "out", "--run", "back"))


def test_what_cannot_be_is_one_line_and_leaves_nothing(partynli: Any, first: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("x")
    assert "holds other files (notes.txt)" in one_line(partynli("export", "--out", "mine"))
    assert "did you mean cc-by-4.0" in one_line(partynli("export", "--out", "out", "--license", "cc-by-4"))
    assert "cannot name a split" in one_line(partynli("export", "--out", "out", "--split", "a/b"))
    assert "unknown run 'secnd'" in one_line(partynli("export", "secnd", "--out", "out"))
    assert "no export: it has no partynli.json" in one_line(partynli("import", "mine", "--run", "r"))
    assert partynli("export", "--format", "jsonl", "--out", "out").returncode == 0
    assert "imported alone" in one_line(partynli("import", "out", "t.csv", "--run", "r"))
    assert "imported alone" in one_line(partynli("import", "out", "--task", "livenli", "--run", "r"))
    table = tmp_path / "out" / "data" / "items" / "train-00000.jsonl"
    table.write_bytes(table.read_bytes().replace(b"demo-01", b"demo-10", 1))
    assert "was changed since it was exported" in one_line(partynli("import", "out", "--run", "r"))
    table.unlink()
    assert "is missing" in one_line(partynli("import", "out", "--run", "r"))
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["first"]


def test_items_without_texts_get_them_from_a_file(partynli: Any, tmp_path: Path) -> None:
    rows = [f"u{k},The {k} men sang.,{k} people sang.,{k},1,2\n" for k in range(3)]
    (tmp_path / "mine.csv").write_text("uid,premise,hypothesis,human_true,human_either,human_false\n" + "".join(rows))
    chosen = ("--participant", "sim-judge", "--participant", "sim-typical", "--items", "mine.csv")
    done = partynli("sample", "--experiment", "single", *chosen, "--trials", "2", "--run", "own")
    assert done.returncode == 0, done.stderr
    done = partynli("export", "own", "--format", "jsonl", "--out", "out")
    assert "items' texts of mine.csv are left out, but for their hashes: a file of the author's own" in done.stdout
    assert "people's answers of mine.csv are left out" in done.stdout
    (tmp_path / "mine.csv").rename(tmp_path / "moved.csv")
    bare = partynli("import", "out", "--run", "bare")
    assert "3 items without texts here: an import opens mine.csv only if --items names it" in bare.stdout
    full = partynli("import", "out", "--run", "full", "--items", "moved.csv")
    assert "without texts here" not in full.stdout
    for done in (bare, full):
        assert "people's answers are not in the export" in done.stdout
    assert "is not there" in one_line(partynli("import", "out", "--run", "r", "--items", "gone.csv"))


def test_an_export_comes_back_from_the_hub(
    partynli: Any, first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert partynli("export", "--format", "jsonl", "--out", "out").returncode == 0
    with HubServer({"hf_adas": "ada"}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", "hf_adas")
        target = RepoTarget("ada/study")
        commit = publish(tmp_path / "out", target, look(target)).commit
        hub = {"HF_ENDPOINT": server.url, "HF_TOKEN": "hf_adas"}
        fetched = partynli("import", f"hf:ada/study@{commit}", "--run", "back", **hub)
        assert fetched.returncode == 0, fetched.stderr
        assert "from an export of first" in fetched.stdout
        assert "revision behind the @" in one_line(partynli("import", "hf:ada/study@", "--run", "r", **hub))
        assert "hf:" not in one_line(partynli("import", "hf:ada/gone", "--run", "r", **hub))
    one, two = (partynli("report", name, "--json", "--draws", "100") for name in ("first", "back"))
    assert renamed(one.stdout) == renamed(two.stdout)


def test_without_pyarrow_and_without_huggingface_hub_it_says_what_to_install(
    partynli: Any, first: str, environ: dict[str, str], tmp_path: Path
) -> None:
    def without(module: str, *args: str) -> str:
        code = (
            f"import sys; sys.modules[{module!r}] = None; sys.argv = ['partynli', *{args!r}]\n"
            "from partynli.cli import main; main()"
        )
        command = [sys.executable, "-c", code]
        return one_line(subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environ, timeout=60))

    assert "pip install 'partynli[parquet]', or choose csv or jsonl" in without("pyarrow", "export", "--out", "out")
    assert not (tmp_path / "out").exists()
    assert "pip install 'partynli[hub]'" in without("huggingface_hub", "import", "hf:a/b", "--run", "r")


def test_help_is_quick_about_it(environ: dict[str, str], tmp_path: Path) -> None:
    code = (
        "import sys\nsys.argv = ['partynli', 'export', '--help']\nfrom partynli.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([name for name in ('litellm', 'pandas', 'pyarrow', 'huggingface_hub') if name in sys.modules])"
    )
    env = environ | {"PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=env)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
