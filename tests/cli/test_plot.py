"""``partynli plot``, and the figures of ``partynli report --out``, as a person runs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

Partynli = Callable[..., CompletedProcess[str]]
UIDS = ["i1", "i2", "i3", "i4"]
ANSWERS = {
    "a": [["true", "either", "false", "either"], ["true", "either", "either", "either"]],
    "$b$": [["true", "true", "false", "error"], ["either", "true", "false", "either"]],
    "c": [["false", "true", "false", "true"], ["either", "true", "false", "either"]],
}


@pytest.fixture
def partynli(partynli_here: Any) -> Any:
    return partynli_here


@pytest.fixture
def toy(judged_run: Callable[..., Path]) -> Path:
    return judged_run("toy", ANSWERS, UIDS)  # type: ignore[arg-type]


def one_line(done: CompletedProcess[str]) -> str:
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def test_all_figures_are_listed(partynli: Partynli) -> None:
    lines = partynli("plot", "--list").stdout.splitlines()
    assert len(lines) == 14
    assert [line.split()[0] for line in lines[:11]] == ["1", "2", "3", "4", "8", "9", "10", "11", "12", "13", "14"]
    assert {"consistency", "ternary", "curve"} <= {word for line in lines for word in line.split()}


def test_a_figure_goes_into_the_runs_folder(partynli: Partynli, toy: Path) -> None:
    done = partynli("plot", "3", "toy")
    assert done.returncode == 0, done.stderr
    assert "no human data" in done.stdout
    assert (toy / "plots" / "consistency.png").read_bytes().startswith(b"\x89PNG")
    assert "consistency.png" in done.stdout


def test_figures_go_where_they_are_wanted(partynli: Partynli, toy: Path, tmp_path: Path) -> None:
    assert partynli("plot", "consistency", "--out", "one.SVG").returncode == 0
    assert "$b$" in (tmp_path / "one.svg").read_text()
    assert partynli("plot", "8", "--out", "v1.2", "--format", "pdf", "--format", "png").returncode == 0
    assert sorted(path.name for path in (tmp_path / "v1.2").iterdir()) == ["randommix.pdf", "randommix.png"]
    assert not (toy / "plots").exists()


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ((), "name a figure"),
        (("entropi",), "did you mean entropy or top-p?"),
        (("2",), "no figure entropy of run toy: it needs people's answers"),
        (("9",), "the run varies no temperature: sample it with --experiment temperature"),
        (("11",), "side by side"),
        (("4",), "mix wrote no explanations"),
        (("3", "tox"), "did you mean toy"),
        (("3", "--group", "d"), "unknown group 'd'"),
        (("3", "--scope", "common50"), "does not apply"),
        (("3", "--out", "f.jpg"), "not as jpg"),
        (("3", "--out", "f.pdf", "--format", "svg"), "contradict"),
        (("3", "--convention", "nobody"), "known: kulmizev2026"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(partynli: Partynli, toy: Path, args: tuple[str, ...], why: str) -> None:
    assert why in one_line(partynli("plot", *args))


def test_a_file_in_the_way_is_said(partynli: Partynli, toy: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("")
    assert "cannot be made" in one_line(partynli("plot", "3", "--out", "there/figures"))


def test_a_run_without_answers(partynli: Partynli, judged_run: Callable[..., Path]) -> None:
    judged_run("empty", {"a": [[None] * 4]}, UIDS)
    assert "nobody of" in one_line(partynli("plot", "3", "empty"))


def test_a_report_draws_what_the_run_can_give(partynli: Partynli, toy: Path, tmp_path: Path) -> None:
    done = partynli("report", "toy", "--out", "there")
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "there" / "plots").iterdir()}
    drawn = {"consistency", "randommix", "curve"}
    assert names == {f"{name}.{ending}" for name in drawn for ending in ("png", "svg")}
    assert "3 figures: there/plots" in done.stdout
    assert "no figure temperature: the run varies no temperature" in " ".join(done.stdout.split())
    silent = partynli("report", "toy", "--json", "--out", "json")
    assert silent.stdout.startswith("{")
    assert silent.stdout.rstrip().endswith("}")
    assert (tmp_path / "json" / "plots" / "curve.svg").is_file()
    assert partynli("report", "toy").returncode == 0
    assert not (toy / "plots").exists()


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, Any]:
    """An environment in which matplotlib is not there."""
    hidden = tmp_path / "hidden" / "matplotlib"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'matplotlib'\", name='matplotlib')"
    )
    return {"PYTHONPATH": str(hidden.parent)}


def test_without_matplotlib(partynli_alone: Partynli, toy: Path, bare: dict[str, Any], tmp_path: Path) -> None:
    for args in (("plot", "3"), ("plot", "--list")):
        assert "pip install 'partynli[plots]'" in one_line(partynli_alone(*args, **bare))
    done = partynli_alone("report", "toy", "--out", "there", **bare)
    assert done.returncode == 0, done.stderr
    assert "no figures: plots need matplotlib: pip install 'partynli[plots]'" in " ".join(done.stdout.split())
    assert (tmp_path / "there" / "report.md").is_file()
