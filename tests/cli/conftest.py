"""The command line as a person runs it: a process of its own, in an empty folder."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from partynli.cli import main
from partynli.prompts import load_task
from partynli.records import Item, Participant
from partynli.sampling.plan import Plan
from partynli.store import JudgmentRow, Run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    return kept | {
        "PARTYNLI_CACHE": str(tmp_path / "cache"),
        "PARTYNLI_RUNS": str(tmp_path / "runs"),
        "COLUMNS": "200",
    }


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait for something, but not for ever."""

    def wait(holds: Callable[[], bool], seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, "it did not come"
            time.sleep(0.02)

    return wait


@pytest.fixture
def partynli_alone(tmp_path: Path, environ: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command in a process of its own, and wait for it."""

    def run(*args: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "partynli", *args]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environ | more, timeout=120)

    return run


@pytest.fixture
def partynli(partynli_alone: Callable[..., subprocess.CompletedProcess[str]]) -> object:
    """What a module's tests run; many have it run here, see `partynli_here`."""
    return partynli_alone


@pytest.fixture
def partynli_here(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The same in this process, which spares the start of another one."""

    def run(*args: str, **more: str) -> subprocess.CompletedProcess[str]:
        out, err, given = io.StringIO(), io.StringIO(), sys.argv
        with monkeypatch.context() as meanwhile:
            meanwhile.chdir(tmp_path)
            for name, value in (environ | more).items():
                meanwhile.setenv(name, value)
            sys.argv = ["partynli", *args]
            try:
                with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
                    main()
            finally:
                sys.argv = given
        return subprocess.CompletedProcess(args, int(ended.value.code or 0), out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def registry(tmp_path: Path) -> Callable[..., Path]:
    """Write a registry whose participants are all at one address."""

    def write(url: str, names: list[str], *, key: str | None = None, **provider: object) -> Path:
        entry = {"route": "openai", "api_base": url, **({"api_key_env": key} if key else {}), **provider}
        price = {"input": 1, "output": 2, "as_of": "2025-07"}
        content = {
            "version": 1,
            "providers": {"loop": entry},
            "participants": {
                name: {"provider": "loop", "model": name, "price": dict(price), "max_output_tokens": 400}
                for name in names
            },
            "mixes": {"test": names},
        }
        path = tmp_path / "registry.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return write


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
