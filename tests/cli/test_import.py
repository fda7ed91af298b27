"""``partynli import`` as a person runs it."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HEADER = ["sent_id", "participant", "trial", "class_multi", "explanation", "participant_type", "experiment"]


@pytest.fixture
def partynli(partynli_here: Any) -> Any:
    return partynli_here


@pytest.fixture
def items(tmp_path: Path) -> Path:
    path = tmp_path / "items.csv"
    path.write_text("uid,premise,hypothesis\na,It rains.,It is wet.\nb,Men sing.,They shout.\n")
    return path


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., str]:
    def write(*rows: list[Any], header: list[str] = HEADER, name: str = "t.csv") -> str:
        with (tmp_path / name).open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        return name

    return write


def row(item: str, who: str, label: str, trial: object = 1, experiment: str = "model_mix_hi") -> list[Any]:
    return [item, who, trial, label, "So.\nYes.", "model", experiment]


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("partynli: ")
    return lines[0]


def test_a_table_that_is_not_there_is_said_before_anything_is_looked_up(partynli: Any, tmp_path: Path) -> None:
    said = one_line(partynli("import", "nosuch.csv", "--run", "r", PARTYNLI_DATA=str(tmp_path / "none")))
    assert said == "partynli: nosuch.csv is not there; see that the path is right"


def test_a_table_becomes_a_run_that_is_shown_and_not_resumed(partynli: Any, table: Any, items: Path) -> None:
    rows = [row(item, who, "either-true", trial) for who in ("x", "y") for trial in (1, 2) for item in "ab"]
    done = partynli(
        "import", table(*rows, row("a", "z", "error", 1, "model_mix_lo")), "--run", "r", "--items", "items.csv"
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split() for line in lines[:4]] == [
        ["group", "participants", "trials", "answers"],
        ["all", "3", "2", "9"],
        ["hi", "2", "2", "8"],
        ["lo", "1", "1", "1"],
    ]
    assert "1 trial without all items: z, trial 1: 1 of 2" in done.stdout
    assert "9 answers, 1 of them without a label, by 3 participants on 2 items; from 9 rows of t.csv" in done.stdout
    assert lines[-1] == "no warnings"
    status = partynli("status", "r")
    assert "9 answers imported" in status.stdout
    assert "resume" not in status.stdout
    (z,) = [one for one in json.loads(partynli("status", "--json").stdout)["participants"] if one["participant"] == "z"]
    assert (z["planned"], z["valid"], z["invalid"], z["open"]) == (1, 0, 1, 0)
    resumed = partynli("resume", "r")
    assert resumed.returncode == 2
    assert "run 'r' was imported" in one_line(resumed)
    again = partynli("import", "t.csv", "--run", "r", "--items", "items.csv")
    assert again.returncode == 2
    assert "is there already" in one_line(again)
    sampled = partynli("sample", "--mix", "demo", "--trials", "1", "--run", "r")
    assert sampled.returncode == 2
    assert "made by another plan" in one_line(sampled)


def test_odd_rows_are_named_and_cannot_harm_the_terminal(partynli: Any, table: Any, items: Path) -> None:
    evil = "\x1b]0;evil\x07[bold red]x"
    rows = [
        row("a", evil, "true"),
        row("a", evil, "false"),
        row(evil, "y", evil),
        row("", "y", "true"),
        row("b", "y", "true", "2x"),
    ]
    done = partynli("import", table(*rows), "--run", "r", "--items", "items.csv")
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "1 row: another answer to a trial that an earlier row answers; left out: t.csv:4" in text
    assert "1 row: an unknown label; kept as missing data: t.csv:6" in text
    assert "1 row: no sent_id; left out: t.csv:8" in text
    assert "a trial that is no whole number from 1 to 10,000; left out: t.csv:10 (2x)" in text
    assert "1 item not in items.csv; kept, without texts" in text
    assert text.splitlines()[-1] == "4 warnings"


def test_nothing_usable_and_wrong_headers_leave_no_run(partynli: Any, table: Any, items: Path, tmp_path: Path) -> None:
    args = ("--run", "r", "--items", "items.csv")
    useless = partynli("import", table(row("", "x", "true"), row("", "x", "true")), *args)
    assert useless.returncode == 2
    assert "2 with no sent_id (t.csv:2)" in one_line(useless)
    wrong = partynli("import", table(header=["sent", "participant", "label"]), *args)
    assert wrong.returncode == 2
    assert "no column sent_id, no column class_multi or class_simple; found 'sent', 'participant'" in one_line(wrong)
    assert partynli("import", table(row("a", "x", "true")), "--run", "../r").returncode == 2
    assert partynli("import", "gone.csv", *args).returncode == 2
    nowhere = partynli("import", table(row("a", "x", "true")), "--run", "r", PARTYNLI_DATA=str(tmp_path / "gone"))
    assert "name their file: --items FILE" in one_line(nowhere)
    assert not list(tmp_path.glob("runs/*"))


def test_parquet_without_pyarrow_says_what_to_install(items: Path, environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    code = (
        "import sys; sys.modules['pyarrow'] = sys.modules['pyarrow.parquet'] = None\n"
        "sys.argv = ['partynli', 'import', 't.parquet', '--run', 'r', '--items', 'items.csv']\n"
        "from partynli.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environ)
    assert done.returncode == 2
    assert "pip install 'partynli[parquet]'" in one_line(done)


def test_a_sampled_run_as_a_table_is_reported_the_same(partynli: Any, table: Any, tmp_path: Path) -> None:
    assert partynli("sample", "--mix", "demo", "--trials", "2", "--run", "sampled").returncode == 0
    db = sqlite3.connect(tmp_path / "runs" / "sampled" / "run.sqlite")
    query = (
        "SELECT item, participant.name, trial, class_multi, coalesce(explanation, ''), 'model', 'demo' "
        "FROM judgment JOIN participant ON participant.id = judgment.participant ORDER BY trial_key"
    )
    rows = db.execute(query).fetchall()
    db.close()
    assert partynli("import", table(*rows), "--run", "imported", "--items", "demo").returncode == 0
    found = []
    for name in ("sampled", "imported"):
        done = partynli("report", name, "--json")
        assert done.returncode == 0, done.stderr
        (scope,) = json.loads(done.stdout)["scopes"].values()
        groups = {one["name"]: one for one in scope["groups"]}
        found.append({name: {key: one[key] for key in KEPT} for name, one in groups.items()})
    assert found[0] == found[1]
    assert "demo" in found[0]


KEPT = ("n_valid", "n_asked", "label_shares", "trials", "entropy", "alpha")


def test_help_is_quick_about_it(environ: dict[str, str], tmp_path: Path) -> None:
    code = (
        "import sys\nsys.argv = ['partynli', 'import', '--help']\nfrom partynli.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([name for name in ('litellm', 'pandas', 'pyarrow', 'sklearn') if name in sys.modules])"
    )
    env = environ | {"PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=env)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
