"""Runs for the explorer, whatever their answers say; and their pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from partynli.aggregate import load_answers
from partynli.items import Dataset
from partynli.labels import collapse
from partynli.prompts import load_task, task_of
from partynli.records import Item, Participant, Task
from partynli.report.explorer import explorer_data, to_html
from partynli.sampling.plan import Plan
from partynli.store import JudgmentRow, Run

PROMPTS = Path(__file__).parents[3] / "prompts"

Said = tuple[str, str, int, str, str, list[list[Any]]]
"""Participant, item, trial, label set, explanation, highlights."""


def _participant(name: str, people: set[str], family: str | None) -> Participant:
    if name in people:
        return Participant(name, "imported", f"human:{name}", {}, provider="human")
    return Participant(name, "openai", name, {}, family=family)


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Write a run of these answers; its items have the texts given, or some of our own."""

    def make(
        said: Iterable[Said],
        *,
        name: str = "made",
        texts: dict[str, tuple[str, ...]] | None = None,
        people: Iterable[str] = (),
        groups: dict[str, list[str]] | None = None,
        families: dict[str, str] | None = None,
        synthetic: bool = False,
        task: Task | None = None,
    ) -> Path:
        task = task or load_task("livenli", PROMPTS)
        said, human = list(said), set(people)
        names = dict.fromkeys(one[0] for one in said)
        participants = {one: _participant(one, human, (families or {}).get(one)) for one in names}
        given = {uid: (f"Rain fell on {uid}.", f"{uid} is wet.") for uid in dict.fromkeys(one[1] for one in said)}
        given |= texts or {}
        items = [Item(uid, dict(zip(task.fields, text, strict=False))) for uid, text in given.items()]
        mixes = groups if groups is not None else {"mix": [one for one in names if one not in human]}
        members = {group: tuple(participants[one].id for one in inside) for group, inside in mixes.items()}
        plan = Plan(
            task=task,
            participants=tuple(participants.values()),
            trials={one.id: max((answer[2] for answer in said), default=1) for one in participants.values()},
            items=items,
            n_items=len(items),
            groups=members,
            item_source="test",
        )
        path = tmp_path / "runs" / name
        manifest = {"run": name, "synthetic": synthetic, "plan": plan.describe(), "task": asdict(task)}
        Run.create(path, manifest, participants.values(), items, members)
        rows = (
            JudgmentRow(
                trial_key=f"{who}/{item}/{trial}",
                participant=participants[who].id,
                item=item,
                trial=trial,
                class_simple=collapse(label, task.collapse_to),
                class_multi=label,
                explanation=why,
                highlights=json.dumps(marks),
                repair=None,
                reader=None,
                source="import",
            )
            for who, item, trial, label, why, marks in said
        )
        with Run.sampling(path) as run:
            run.add_judgments(rows, 0)
        return path

    return make


@pytest.fixture
def data_of() -> Callable[..., dict[str, Any]]:
    """What the explorer knows of a run."""

    def read(path: Path, dataset: Dataset | None = None, notes: Iterable[str] = ()) -> dict[str, Any]:
        with Run.open(path) as run:
            task = task_of(run.manifest)
            return explorer_data(run, task, load_answers(run, task), dataset, list(notes))

    return read


@pytest.fixture
def make_page(
    make_run: Callable[..., Path], data_of: Callable[..., dict[str, Any]], tmp_path: Path
) -> Callable[..., Path]:
    """Write the page of a run of these answers."""

    def make(said: Iterable[Said], *, dataset: Dataset | None = None, notes: Iterable[str] = (), **given: Any) -> Path:
        page = tmp_path / "explorer.html"
        page.write_text(to_html(data_of(make_run(said, **given), dataset, notes)), "utf-8")
        return page

    return make


@pytest.fixture
def huge() -> list[Said]:
    """33,000 answers: 60 participants, 110 items, 5 trials, with explanations of 30 words."""
    labels = ("true", "either", "false", "either-true", "either-false", "error")
    words = " ".join(["the context says that it may rain, but nothing here tells whether they meant this"] * 4).split()
    marks = [["premise", 0, 4, "Rain"]]
    cells = [(p, i, t) for i in range(110) for p in range(60) for t in range(1, 6)]
    return [
        (f"model{p:02}", f"item{i:03}", t, labels[(p * i + t * t) % 6], " ".join(words[(p + i) % 9 :][:30]), marks)
        for p, i, t in cells
    ]
