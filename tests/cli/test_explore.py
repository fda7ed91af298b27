"""`partynli explore` as a person runs it: where the page goes, what is said, and who opens it."""

from __future__ import annotations

import base64
import gzip
import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from partynli.store import Run

Partynli = Callable[..., CompletedProcess[str]]
ANSWERS = {"a": [["true", "either"]], "b": [["false", "error"]]}
UIDS = ["i1", "i2"]
NO_WINDOWS = {"BROWSER": "", "DISPLAY": "", "WAYLAND_DISPLAY": ""}


@pytest.fixture
def partynli(partynli_here: Any) -> Any:
    return partynli_here


def data_in(page: Path) -> dict[str, Any]:
    (packed,) = re.findall(r'id="data">([^<]*)<', page.read_text("utf-8"))
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed)))
    return found


def test_the_page_lies_in_the_run(partynli: Partynli, judged_run: Callable[..., Path]) -> None:
    path = judged_run("toy", ANSWERS, UIDS)
    done = partynli("explore", "--no-open")
    assert done.returncode == 0, done.stderr
    assert "4 answers to 2 items" in done.stdout
    assert "page: runs/toy/explorer.html" in done.stdout
    assert "no human data" in done.stdout
    data = data_in(path / "explorer.html")
    assert (data["run"], data["synthetic"], len(data["answers"]["item"])) == ("toy", False, 4)
    assert any("no human data" in note for note in data["notes"])


def test_the_page_goes_where_it_is_wanted(partynli: Partynli, judged_run: Callable[..., Path], tmp_path: Path) -> None:
    path = judged_run("toy", ANSWERS, UIDS)
    done = partynli("explore", "toy", "--out", "space/index.html", "--no-open")
    assert done.returncode == 0, done.stderr
    assert data_in(tmp_path / "space" / "index.html")["run"] == "toy"
    assert not (path / "explorer.html").exists()
    assert [one.name for one in (tmp_path / "space").iterdir()] == ["index.html"]


def test_the_browser_is_shown_the_page(partynli: Partynli, judged_run: Callable[..., Path], tmp_path: Path) -> None:
    judged_run("toy", ANSWERS, UIDS)
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    done = partynli("explore", **{**NO_WINDOWS, "BROWSER": str(browser)})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "opened").read_text().strip() == (tmp_path / "runs/toy/explorer.html").as_uri()
    assert "no browser" not in done.stdout


def test_without_a_browser_the_path_is_said(partynli: Partynli, judged_run: Callable[..., Path]) -> None:
    judged_run("toy", ANSWERS, UIDS)
    done = partynli("explore", **NO_WINDOWS)
    assert done.returncode == 0, done.stderr
    assert "page: runs/toy/explorer.html" in done.stdout
    assert "no browser was found" in done.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--out", "/dev/null/x.html"], "cannot be written"),
        (["tox"], "unknown run 'tox'"),
        (["--out", "runs"], "directory"),
    ],
)
def test_bad_input_is_one_line(partynli: Partynli, judged_run: Callable[..., Path], args: list[str], said: str) -> None:
    judged_run("toy", ANSWERS, UIDS)
    done = partynli("explore", *args, "--no-open")
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_run_that_was_sampled(partynli: Partynli, tmp_path: Path) -> None:
    sampled = partynli("sample", "--mix", "demo", "--trials", "2", "--limit", "80", "--run", "demo")
    assert sampled.returncode == 0, sampled.stderr
    done = partynli("explore", "demo", "--no-open")
    assert done.returncode == 0, done.stderr
    assert "SYNTHETIC" in done.stdout
    page = tmp_path / "runs" / "demo" / "explorer.html"
    data = data_in(page)
    assert data["synthetic"] is True
    with sqlite3.connect(tmp_path / "runs" / "demo" / "run.sqlite") as db:
        stored = db.execute("SELECT explanation FROM judgment").fetchall()
    db.close()
    assert sorted(data["answers"]["explanation"]) == sorted(text or "" for (text,) in stored)
    assert sum(len(marks) for marks in data["answers"]["marks"]) > 80


def test_a_run_that_is_being_sampled(partynli: Partynli, tmp_path: Path) -> None:
    sampled = partynli("sample", "--mix", "demo", "--trials", "1", "--limit", "40", "--run", "demo")
    assert sampled.returncode == 0, sampled.stderr
    path = tmp_path / "runs" / "demo"
    with Run.sampling(path) as run:
        run.forget_judgments("none yet/0")
        done = partynli("explore", "demo", "--no-open")
    assert done.returncode == 0, done.stderr
    assert "held by another process" in done.stdout
    assert len(data_in(path / "explorer.html")["answers"]["item"]) == 40
