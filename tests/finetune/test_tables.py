"""Tables without torch: which trainings one is made of, what their folders say, and workers that cannot be started."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from partynli.errors import InputError
from partynli.finetune.dispatch import CellHeard, run_cells
from partynli.finetune.folders import base_of
from partynli.finetune.outcome import NAME, Evaluation, Outcome, read_outcome
from partynli.finetune.scores import scores
from partynli.finetune.settings import Settings
from partynli.finetune.softlabels import SoftLabels
from partynli.finetune.study import Model, Study, folder_of, table_of


@pytest.fixture
def study(rows: Any, synthetic: SoftLabels) -> Study:
    path = str(rows("soft.jsonl", synthetic))
    sources = {"soft": path}
    return Study((Model("ada/tiny", None, "v2"),), sources, path, path, None, path, Settings(), 2, None)


def stored(study: Study, folder: Path, commits: str) -> None:
    """Write what each cell gave, at the commits in turn."""
    for cell, commit in zip(study.cells(), commits, strict=True):
        job = cell.job()
        found = {name: scores(one.p, one.p) for name, one in job.tests.items()}
        evaluation = (Evaluation(1, 0.5, found["dev"]),)
        outcome = Outcome(job.identity(), 1, 1, evaluation, found, {}, (), "sha256:1", {}, "cpu", "fp32", commit * 40)
        path = folder_of(cell, folder)
        path.mkdir(parents=True)
        (path / NAME).write_text(outcome.to_json())


def test_a_revision_is_part_of_what_is_trained(study: Study, tmp_path: Path) -> None:
    starts = [cell.job().identity()["start"] for cell in study.cells()]
    assert starts == ["ada/tiny@v2"] * 4
    assert len({folder_of(cell, tmp_path) for cell in study.cells()}) == 4
    checkpoint = replace(study, models=(Model("ada/tiny", "bob/mnli", "v2"),), seeds=1)
    assert [cell.job().identity()["start"] for cell in checkpoint.cells()] == ["ada/tiny@v2", "bob/mnli", "bob/mnli"]
    with pytest.raises(InputError, match="is a folder, which has no revision 'v2'"):
        replace(study, models=(Model(str(tmp_path), None, "v2"),)).cells()[0].job().identity()


def test_a_table_says_which_commits_it_is_of(study: Study, tmp_path: Path) -> None:
    stored(study, tmp_path / "one", "aaaa")
    stored(study, tmp_path / "two", "aaab")
    a, b = "a" * 40, "b" * 40
    assert table_of(study, tmp_path / "one").notes == (f"ada/tiny@v2 was loaded at commit {a}",)
    (note,) = table_of(study, tmp_path / "two").notes
    assert note.startswith(f"ada/tiny@v2 was loaded at commit {a} and {b}; it has changed at the hub on the way")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 2}, "schema 2, and this partynli reads 1"),
        ({"job": "x"}, "its job is none with data, model, seed, start"),
        ({"job": {"model": "tiny"}}, "its job is none with data, model, seed, start"),
        ({"scores": 3}, "cannot be read as the outcome"),
    ],
)
def test_a_training_json_of_another_kind_is_one_line(
    study: Study, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    stored(replace(study, seeds=1), tmp_path, "ab")
    folder = folder_of(study.cells()[0], tmp_path)
    (folder / NAME).write_text(json.dumps(json.loads((folder / NAME).read_text()) | change))
    for read in (read_outcome, lambda path: base_of(str(path))):
        with pytest.raises(InputError, match=said) as raised:
            read(folder)
        assert "\n" not in str(raised.value)


def test_a_worker_that_cannot_be_started_is_a_cell_that_failed(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (tmp_path / "worker-cpu.log").mkdir()
    heard: list[CellHeard] = []
    failed = run_cells(study.cells(), tmp_path, keeps_models=False, checkpoint_s=300, heard=heard.append)
    assert failed == len(heard) == 4
    assert {one.state for one in heard} == {"failed"}
    assert "its process cannot be started: [Errno 21] Is a directory" in heard[0].why
