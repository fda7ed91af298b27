"""The command line as a person runs it: a process of its own, in an empty folder."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from partynli.prompts import load_task
from partynli.records import Item, Participant
from partynli.sampling.plan import Plan
from partynli.store import JudgmentRow, Run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def partynli(partynli_alone: Callable[..., subprocess.CompletedProcess[str]]) -> object:
    """What a module's tests run; many have it run here, see `partynli_here`."""
    return partynli_alone


@pytest.fixture
def judged_run(tmp_path: Path) -> Callable[..., Path]:
    """Write a run that holds judgments as `partynli import` stores them.

    Answers are given as participant -> trial by trial -> item by item; None is a trial that was never asked.
    """

    def write(
        name: str,
        answers: dict[str, list[list[str | None]]],
        uids: list[str],
        groups: dict[str, list[str]] | None = None,
    ) -> Path:
        participants = {one: Participant(one, "openai", one, {}) for one in answers}
        items = [Item(uid, {"premise": f"{uid} rains.", "hypothesis": "It is wet."}) for uid in uids]
        members = {
            group: tuple(participants[one].id for one in names)
            for group, names in (groups if groups is not None else {"mix": list(answers)}).items()
        }
        plan = Plan(
            task=load_task("livenli", ROOT / "prompts"),
            participants=tuple(participants.values()),
            trials={participants[one].id: max(1, len(given)) for one, given in answers.items()},
            items=items,
            n_items=len(items),
            groups=members,
            item_source="test",
        )
        manifest = {"run": name, "synthetic": False, "plan": plan.describe(), "task": asdict(plan.task)}
        path = tmp_path / "runs" / name
        Run.create(path, manifest, participants.values(), items, members)
        rows = [
            JudgmentRow(f"{one}/{t}/{uid}", participants[one].id, uid, t, label, label, *[None] * 4, "import")
            for one, trials in answers.items()
            for t, given in enumerate(trials, start=1)
            for uid, label in zip(uids, given, strict=True)
            if label is not None
        ]
        with Run.sampling(path) as run:
            run.add_judgments(rows, 0)
        return path

    return write
