"""What a user installs: wheel, sdist and editable, each in an empty environment, away from the repository."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and sdist, built as a release would be."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wheel", "sdist", "editable"])
def test_an_installed_partynli_runs_anywhere(kind: str, built: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    what: list[str | Path] = {
        "wheel": [next(built.glob("*.whl"))],
        "sdist": [next(built.glob("*.tar.gz"))],
        "editable": ["-e", ROOT],
    }[kind]
    run(python, "-m", "pip", "install", "--quiet", *what, cwd=tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    partynli = tmp_path / "venv" / "bin" / "partynli"
    out = run(partynli, "sample", "--mix", "demo", "--trials", "1", cwd=elsewhere)
    assert "240 of 240 trials done" in out
    assert "claude-opus-4" in run(partynli, "participants", cwd=elsewhere)
    run(partynli, "init", "study", cwd=elsewhere)
    for name in ("registry.yaml", "prompts/livenli/system.txt", "prompts/livenli/user.txt"):
        assert (elsewhere / "study" / name).read_bytes() == (ROOT / name).read_bytes()


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_its_data_and_nothing_else(built: Path) -> None:
    names = zipfile.ZipFile(next(built.glob("*.whl"))).namelist()
    assert "partynli/_data/registry.yaml" in names
    for task in ("livenli", "reasons", "varierr", "likelihood"):
        assert {f"partynli/_data/prompts/{task}/{file}" for file in ("task.yaml", "system.txt", "user.txt")} <= {*names}
    assert "partynli/items/demo.jsonl" in names
    assert "partynli/py.typed" in names
    assert all(name.startswith(("partynli/", "partynli-")) for name in names)
