"""What all tests share: a plan over a server, a run to store it in, commands; and no way to the network."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from partynli.cli import run as run_command
from partynli.cli.output import console
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


@dataclass
class Embeddings:
    """What a server of embeddings on loopback does, and what it was asked; its vectors count letters."""

    url: str = ""
    key: str | None = None
    """A key that every call must bring."""
    failures: list[tuple[int, dict[str, str], str]] = field(default_factory=list)
    """Answers (status, headers, body) given first, one a call."""
    body: str | None = None
    """An answer given instead of vectors."""
    calls: list[dict[str, Any]] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [text for call in self.calls for text in call["input"]]


def letters(text: str) -> list[float]:
    return [float(text.count(letter)) for letter in "aeiou"] + [1.0]


@pytest.fixture
def embeddings() -> Iterator[Embeddings]:
    state, lock = Embeddings(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                failure = state.failures.pop(0) if state.failures else None
                if failure is None:
                    state.calls.append(asked)
            if self.path != "/v1/embeddings":
                self._say(404, {}, f"no {self.path}")
            elif state.key and self.headers["Authorization"] != f"Bearer {state.key}":
                self._say(401, {}, f"wrong key {self.headers['Authorization']}")
            elif failure is not None:
                self._say(*failure)
            elif state.body is not None:
                self._say(200, {}, state.body)
            else:
                rows = [{"index": k, "embedding": letters(text)} for k, text in enumerate(asked["input"])]
                self._say(200, {}, json.dumps({"object": "list", "data": rows[::-1]}))  # out of order, as it may be

        def _say(self, status: int, headers: dict[str, str], body: str) -> None:
            content = body.encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


# --- the command line in a process of its own ---


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
            console.stderr = False  # as in a new process; a command before may have turned it for its --json
            try:
                with redirect_stdout(out), redirect_stderr(err):
                    code = run_command()
            finally:
                sys.argv = given
        return subprocess.CompletedProcess(args, code, out.getvalue(), err.getvalue())

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
