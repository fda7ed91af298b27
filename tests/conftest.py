"""What all tests share: a plan over a server, a run to store it in, and a net that keeps tests off the network."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from partynli.prompts import load_task
from partynli.records import Item, Participant, Price, Task
from partynli.sampling.engine import Engine
from partynli.sampling.ledger import RunLedger
from partynli.sampling.plan import Plan
from partynli.sampling.settings import Settings, Summary
from partynli.store import Run

for name in [name for name in os.environ if name.endswith("_API_KEY")]:
    del os.environ[name]  # no test can reach a paid API, whatever the person who runs it has set
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"


@pytest.fixture(scope="session")
def task() -> Task:
    return load_task("livenli", Path(__file__).parents[1] / "prompts")


@dataclass
class Study:
    """A small study in a folder of its own; every test runs the real engine into a real run."""

    path: Path
    task: Task
    events: list[Any] = field(default_factory=list)
    engine: Engine | None = None

    def items(self, n: int) -> list[Item]:
        return [
            Item(f"item{k}", {"premise": f"The {k} men sang in the old house.", "hypothesis": f"{k} people sang."})
            for k in range(n)
        ]

    def participant(self, url: str, name: str = "m", **given: Any) -> Participant:
        fixed = {"provider": "loop", "api_base": url, "price": Price(1.0, 2.0, "2025-07"), "timeout_s": 5.0}
        params = given.pop("params", {})
        return Participant(name, given.pop("route", "openai"), given.pop("model", name), params, **{**fixed, **given})

    def plan(self, participants: list[Participant], *, items: int = 6, trials: int = 2, **given: Any) -> Plan:
        return Plan(
            task=self.task,
            participants=tuple(participants),
            trials={one.id: trials for one in participants},
            items=self.items(items),
            n_items=items,
            groups={"all": tuple(one.id for one in participants)},
            item_source="test",
            **given,
        )

    async def run(self, plan: Plan, environ: dict[str, str] | None = None, **settings: Any) -> Summary:
        manifest = {"plan": plan.describe()}
        with Run.begin(self.path, manifest, plan.participants, plan.items, plan.groups) as run:
            settings.setdefault("on_event", self.events.append)
            chosen = Settings(**settings)
            self.engine = Engine(plan, RunLedger(plan, run, chosen.limit), environ or {}, chosen)
            summary = await self.engine.run()
        leftover = [task for task in asyncio.all_tasks() if "partynli/sampling" in str(task.get_coro())]
        assert not leftover, "the engine left tasks behind"
        return summary

    def rows(self, what: str = "*", where: str = "1") -> list[tuple[Any, ...]]:
        db = sqlite3.connect(self.path / "run.sqlite")
        try:
            return db.execute(f"SELECT {what} FROM attempt WHERE {where} ORDER BY id").fetchall()
        finally:
            db.close()


@pytest.fixture
def study(tmp_path: Path, task: Task) -> Study:
    return Study(tmp_path / "runs" / "test", task)


@pytest.fixture
def go() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine to its end, within a bound that turns a hang into a failure."""

    def run(work: Coroutine[Any, Any, Any], seconds: float = 60.0) -> Any:
        async def bounded() -> Any:
            async with asyncio.timeout(seconds):
                return await work

        return asyncio.run(bounded())

    return run
