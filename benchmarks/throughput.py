"""Calls a second on one core: partynli beside bare aiohttp, bare litellm and the openai SDK, all in one run.

    python benchmarks/throughput.py [--calls 12200] [--rounds 5]

The server (fast_server.py) has one core, the client the other; 200 calls in flight, 20 models. Every contender lives in
a process of its own, all take turns round by round, so that a machine that grows slower does so for all, and a ratio is
taken within its round. The bare ones have their messages encoded beforehand; the slow ones make a fifth of the calls.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import hashlib
import json
import multiprocessing
import os
import platform
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from importlib.metadata import version
from importlib.util import find_spec
from itertools import count, islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import aiohttp

from partynli.prompts import Renderer, load_task
from partynli.records import Item, Participant, Price, Prompt
from partynli.sampling.engine import run_plan
from partynli.sampling.plan import Plan
from partynli.sampling.settings import ProviderCaps, Settings
from partynli.store import Attempt, Run
from partynli.store.rows import SCHEMA

MODELS, ITEMS, IN_FLIGHT = 20, 122, 200
FULL = MODELS * ITEMS * 5
KEY = "sk-not-a-key"
MOST_MB = 120
HEAVY = ("litellm", "pandas", "scipy")
TASK = load_task()
DATA = [
    Item(f"i{k}", {"premise": f"In the summer the pool stages {k} concerts and other events.", "hypothesis": "Most."})
    for k in range(ITEMS)
]


class Measured(NamedTuple):
    """One contender in one round."""

    rate: float
    cpu_s: float
    """For 1,000 calls, all threads."""
    peak_mb: float
    heavy: tuple[str, ...]
    """Heavy modules that were imported."""


class Call(NamedTuple):
    """One request, as the contenders other than partynli get it."""

    model: int
    item: str
    trial: int
    prompt: Prompt

    @property
    def body(self) -> bytes:
        return f'{{"model":"m{self.model}","messages":{self.prompt.json}}}'.encode()


Answer = str | None
Ask = Callable[[Call], Awaitable[Answer]]


def all_calls(calls: int) -> list[Call]:
    renderer = Renderer(TASK)
    prompts = [renderer.render(item) for item in DATA]
    assert all(one.json and one.hash for one in prompts)  # computed here, once: not part of what is timed
    order = ((m, k, trial) for trial in count(1) for k in range(ITEMS) for m in range(MODELS))
    return [Call(m, DATA[k].uid, trial, prompts[k]) for m, k, trial in islice(order, calls)]


async def in_parallel(ask: Ask, calls: list[Call]) -> None:
    """Make all calls, `IN_FLIGHT` at a time, and see that each was answered."""
    left = iter(calls)

    async def work() -> list[Answer]:
        return [await ask(call) for call in left]

    answers = [one for found in await asyncio.gather(*(work() for _ in range(IN_FLIGHT))) for one in found]
    assert len(answers) == len(calls)
    assert all(answer and "classification" in answer for answer in answers)


# The contenders: each opens what it needs, makes the calls and closes it again, all of which is timed


async def bare_aiohttp(url: str, calls: list[Call], folder: Path) -> None:
    async with session() as http:

        async def ask(call: Call) -> Answer:
            async with http.post(f"{url}/chat/completions", data=call.body) as answer:
                return (await answer.json())["choices"][0]["message"]["content"]

        await in_parallel(ask, calls)


async def storing_aiohttp(url: str, calls: list[Call], folder: Path) -> None:
    async with session() as http, PlainStore.open(folder / "run.sqlite") as store:

        async def ask(call: Call) -> Answer:
            started = time.monotonic()
            async with http.post(f"{url}/chat/completions", data=call.body) as answer:
                raw = await answer.text()
            body = json.loads(raw)
            content = body["choices"][0]["message"]["content"]
            known = json.loads(content)["classification"]["label"] in TASK.labels
            await store.put(plain_row(call, raw, body, known, time.monotonic() - started))
            return content

        await in_parallel(ask, calls)


async def partynli_openai(url: str, calls: list[Call], folder: Path) -> None:
    await partynli("openai", "m", url, calls, folder)


async def bare_litellm(url: str, calls: list[Call], folder: Path) -> None:
    os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}  # as partynli sets them
    import litellm  # only here: it takes seconds and a hundred megabytes

    async def ask(call: Call) -> Answer:
        messages = list(call.prompt.messages)
        answer = await litellm.acompletion(f"openai/m{call.model}", messages, api_base=url, api_key=KEY, max_retries=0)
        return answer.choices[0].message.content

    await in_parallel(ask, calls)
    await litellm.close_litellm_async_clients()


async def partynli_litellm(url: str, calls: list[Call], folder: Path) -> None:
    await partynli("litellm", "openai/m", url, calls, folder)


async def openai_sdk(url: str, calls: list[Call], folder: Path, http_client: Any = None) -> None:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0, http_client=http_client) as client:

        async def ask(call: Call) -> Answer:
            messages: Any = list(call.prompt.messages)
            answer = await client.chat.completions.create(model=f"m{call.model}", messages=messages)
            return answer.choices[0].message.content

        await in_parallel(ask, calls)


async def openai_sdk_aiohttp(url: str, calls: list[Call], folder: Path) -> None:
    from openai import DefaultAioHttpClient

    await openai_sdk(url, calls, folder, DefaultAioHttpClient())


class Contender(NamedTuple):
    name: str
    run: Callable[[str, list[Call], Path], Awaitable[None]]
    slow: bool = False
    stores: bool = False
    needs: tuple[str, ...] = ()


CONTENDERS = (
    Contender("bare aiohttp, stores nothing", bare_aiohttp),
    Contender("bare aiohttp, writes the same rows", storing_aiohttp, stores=True),
    Contender("partynli, openai_compatible", partynli_openai, stores=True),
    Contender("openai SDK", openai_sdk, slow=True, needs=("openai",)),
    Contender("openai SDK on aiohttp", openai_sdk_aiohttp, slow=True, needs=("openai", "httpx_aiohttp")),
    Contender("bare litellm", bare_litellm, slow=True, needs=("litellm",)),
    Contender("partynli, litellm", partynli_litellm, slow=True, stores=True, needs=("litellm",)),
)


async def partynli(route: Any, model: str, url: str, calls: list[Call], folder: Path) -> None:
    price = Price(1, 1, "2025-07")
    participants = tuple(
        Participant(f"p{m}", route, f"{model}{m}", {}, provider="p", api_base=url, api_key_env="KEY", price=price)
        for m in range(MODELS)
    )
    trials = {one.id: max(call.trial for call in calls) for one in participants}
    plan = Plan(TASK, participants, trials, DATA, ITEMS, {}, "bench")
    settings = Settings(caps={"p": ProviderCaps(concurrency=IN_FLIGHT)}, limit=len(calls))
    with Run.begin(folder, {"plan": plan.describe()}, participants, DATA, {}) as run:
        await run_plan(plan, run, {"KEY": KEY}, settings)


@asynccontextmanager
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as http:
        yield http


class PlainStore:
    """The plainest durable store: a thread that writes what has come, commits, then lets the callers go on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: SimpleQueue[tuple[Attempt, asyncio.Future[None]] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path) -> AsyncIterator[PlainStore]:
        store = cls(path)
        thread = threading.Thread(target=store._work)
        thread.start()
        yield store
        store._queue.put(None)
        await asyncio.to_thread(thread.join)

    def put(self, row: Attempt) -> asyncio.Future[None]:
        stored = self._loop.create_future()
        self._queue.put((row, stored))
        return stored

    def _work(self) -> None:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.executescript(SCHEMA)
            marks = ",".join("?" * len(Attempt._fields))
            insert = f"INSERT INTO attempt ({','.join(Attempt._fields)}) VALUES ({marks})"
            last = False
            while not last:
                entries = [self._queue.get()]
                with suppress(Empty):
                    while entries[-1] is not None:
                        entries.append(self._queue.get_nowait())
                last = entries[-1] is None
                batch = [entry for entry in entries if entry is not None]
                db.execute("BEGIN")
                db.executemany(insert, [row for row, _ in batch])
                db.execute("COMMIT")
                self._loop.call_soon_threadsafe(acknowledge, [stored for _, stored in batch])


def acknowledge(stored: list[asyncio.Future[None]]) -> None:
    for one in stored:
        one.set_result(None)


def plain_row(call: Call, raw: str, body: dict[str, Any], known: bool, latency_s: float) -> Attempt:
    usage, model = body["usage"], f"m{call.model}"
    named = f"{model}/{call.item}/{call.prompt.hash}/{call.trial}"
    return Attempt(
        trial_key="sha256:" + hashlib.sha256(named.encode()).hexdigest(),
        n=1,
        participant=model,
        item=call.item,
        prompt=call.prompt.hash,
        trial=call.trial,
        status="valid" if known else "rejected",
        reason=None,
        body=model,
        seed=None,
        response=raw,
        served_model=body["model"],
        fingerprint=body.get("system_fingerprint"),
        finish_reason=body["choices"][0]["finish_reason"],
        tokens_in=usage["prompt_tokens"],
        tokens_out=usage["completion_tokens"],
        cost=(usage["prompt_tokens"] + usage["completion_tokens"]) / 1e6,
        latency_s=latency_s,
        at=time.time(),
    )


# Measuring


def measure(number: int, url: str, n_calls: int) -> Measured:
    """Runs in the contender's own process."""
    contender, calls = CONTENDERS[number], all_calls(n_calls)

    async def timed() -> tuple[float, float]:
        gc.collect()
        started, used = time.perf_counter(), time.process_time()
        await contender.run(url, calls, folder)
        return time.perf_counter() - started, time.process_time() - used

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        folder.mkdir()
        wall, cpu = asyncio.run(timed())
        if contender.stores:
            check_stored(folder / "run.sqlite", n_calls)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    heavy = tuple(name for name in HEAVY if name in sys.modules)
    return Measured(n_calls / wall, cpu / n_calls * 1000, peak, heavy)


def check_stored(database: Path, calls: int) -> None:
    """Every trial is there once, with its first answer, valid."""
    with closing(sqlite3.connect(database)) as db:
        found = db.execute("SELECT count(*), count(DISTINCT trial_key), sum(status = 'valid' AND n = 1) FROM attempt")
        assert found.fetchone() == (calls, calls, calls)
        assert db.execute("SELECT count(DISTINCT participant) FROM attempt").fetchone() == (min(MODELS, calls),)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def pin(cores: set[int]) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def own_process(cores: set[int]) -> ProcessPoolExecutor:
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, mp_context=spawn, initializer=pin, initargs=(cores,))


@contextmanager
def server(cores: set[int]) -> Iterator[str]:
    command = [sys.executable, str(Path(__file__).with_name("fast_server.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(process.pid, cores)
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"  # it ends when its stdin is closed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=FULL)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    client, serving = {cores[0]}, {cores[-1]}
    taking_part = {k: one for k, one in enumerate(CONTENDERS) if all(map(find_spec, one.needs))}
    n_calls = {k: max(IN_FLIGHT, given.calls // (5 if one.slow else 1)) for k, one in taking_part.items()}
    with server(serving) as url:
        pools = {k: own_process(client) for k in taking_part}
        for k, pool in pools.items():
            pool.submit(measure, k, url, IN_FLIGHT).result()  # imports, and all code run once
        rounds = [
            {k: pool.submit(measure, k, url, n_calls[k]).result() for k, pool in pools.items()}
            for _ in range(given.rounds)
        ]
        for pool in pools.values():
            pool.shutdown()
        with own_process(client) as pool:
            alone = pool.submit(measure, CONTENDERS.index(PARTYNLI), url, FULL).result()
    print_table(taking_part, rounds, n_calls)
    print(f"\n{PARTYNLI.name}, alone, {FULL:,} calls: peak {alone.peak_mb:.0f} MB, at most {MOST_MB} wanted")
    print(f"imported there of {', '.join(HEAVY)}: {', '.join(alone.heavy) or 'none'}")
    for one in (one for one in CONTENDERS if one not in taking_part.values()):
        print(f"{one.name}: left out, needs {' and '.join(one.needs)}")
    if alone.peak_mb > MOST_MB or alone.heavy:
        sys.exit(1)


def print_table(taking_part: dict[int, Contender], rounds: list[dict[int, Measured]], n_calls: dict[int, int]) -> None:
    packages = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "openai", "litellm") if find_spec(name))
    print(f"Python {platform.python_version()}, {packages}; {IN_FLIGHT} in flight, {MODELS} models")
    print(f"Medians of {len(rounds)} rounds; ratios within each round, lowest to highest in brackets\n")
    print("| | calls a round | calls/s | of bare | of bare that writes | CPU s per 1,000 calls | CPU of bare |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for k, one in taking_part.items():
        rate = statistics.median(each[k].rate for each in rounds)
        cpu = statistics.median(each[k].cpu_s for each in rounds)
        of_bare, of_writing = ([each[k].rate / each[other].rate for each in rounds] for other in (0, 1))
        cpu_of_bare = [each[k].cpu_s / each[0].cpu_s for each in rounds]
        print(
            f"| {one.name} | {n_calls[k]:,} | {rate:,.0f} | {spread(of_bare)} | {spread(of_writing)} "
            f"| {cpu:.3f} | {statistics.median(cpu_of_bare):.2f} |"
        )


def spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


PARTYNLI = CONTENDERS[2]

if __name__ == "__main__":
    main()
