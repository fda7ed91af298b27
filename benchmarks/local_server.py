"""Calls through partynli to a vLLM server that it started, against vLLM's own benchmark client on the same server.

``PARTYNLI_VLLM=.../bin/python python benchmarks/local_server.py MODEL [--args=--enforce-eager,...]``. Both send the
same prompts of LiveNLI, and every answer has the same length. The client streams its answers; partynli does not, stores
every answer durably and judges it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from partynli.items import load_dataset
from partynli.prompts import Renderer, load_task
from partynli.providers.vllm.managed import PYTHON_ENV, ManagedServer
from partynli.records import Item, Participant, Serving
from partynli.sampling.engine import run_plan
from partynli.sampling.plan import Plan
from partynli.store import Run

KEY = "BENCH_VLLM_KEY"
CLIENT = """
import argparse
from vllm.benchmarks.serve import add_cli_args, main
parser = argparse.ArgumentParser()
add_cli_args(parser)
main(parser.parse_args())
"""
"""What `vllm bench serve` runs; a build of vLLM under another name has no such command."""


async def main() -> None:
    """Start the server, take turns on it, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--args", default="", help="further arguments of the server, joined by commas")
    parser.add_argument("--dtype")
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=30)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    serving = Serving(args=tuple(filter(None, given.args.split(","))))
    participant = Participant("bench", "vllm", given.model, {}, dtype=given.dtype, serving=serving)
    server = ManagedServer(participant)
    begun = time.perf_counter()
    address = await server.start()
    print(f"served after {time.perf_counter() - begun:.0f} s")
    task = load_task("livenli")
    items = list(load_dataset("demo", task.fields, task.labels).items)
    prompts = [Renderer(task).render(item) for item in items]
    calls = len(items) * given.trials
    try:
        print("| in flight | calls | client, calls/s | partynli, calls/s | partynli / client | CPU s per 1,000 calls |")
        print("|--:|--:|--:|--:|--:|--:|")
        for most in given.in_flight:
            theirs, ours, cpu = [], [], []
            for number in range(given.rounds + 1):  # the first warms the prefix cache
                rate = await asyncio.to_thread(
                    client, address, server.key, given.model, [p.messages for p in prompts], calls, most, given.tokens
                )
                params = {"max_tokens": given.tokens, "ignore_eos": True, "temperature": 1.0}
                ready = replace(
                    participant, params=params, seed="auto", api_base=address, api_key_env=KEY, concurrency=most
                )
                began, used = time.perf_counter(), time.process_time()
                await sample(ready, task, items, given.trials, server.key)
                if number:
                    theirs.append(rate)
                    ours.append(calls / (time.perf_counter() - began))
                    cpu.append((time.process_time() - used) / calls * 1000)
            ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
            print(
                f"| {most} | {calls} | {statistics.median(theirs):.1f} | {statistics.median(ours):.1f} | "
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | "
                f"{statistics.median(cpu):.2f} |"
            )
    finally:
        await server.aclose()


async def sample(participant: Participant, task: object, items: list[Item], trials: int, key: str) -> None:
    """One run of partynli in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(task, (participant,), {participant.id: trials}, items, len(items), {}, "demo", reasks=0)  # type: ignore[arg-type]
        with Run.begin(Path(folder) / "run", {"plan": plan.describe()}, plan.participants, items, {}) as run:
            summary = await run_plan(plan, run, {KEY: key})
        assert summary.stored == len(plan), summary


def client(address: str, key: str, model: str, prompts: list, calls: int, most: int, tokens: int) -> float:
    """Calls a second by vLLM's own client."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "prompts.jsonl"
        texts = ["\n".join(message["content"] for message in messages) for messages in prompts]
        data.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts))
        command = [
            *(os.environ[PYTHON_ENV], "-c", CLIENT),
            *(
                "--backend",
                "openai-chat",
                "--endpoint",
                "/v1/chat/completions",
                "--base-url",
                address.removesuffix("/v1"),
            ),
            *("--model", model, "--dataset-name", "custom", "--dataset-path", str(data), "--skip-chat-template"),
            *("--custom-output-len", str(tokens), "--num-prompts", str(calls), "--max-concurrency", str(most)),
            *(
                "--ignore-eos",
                "--temperature",
                "1.0",
                "--save-result",
                "--result-dir",
                folder,
                "--result-filename",
                "r",
            ),
        ]
        done = subprocess.run(command, env={**os.environ, "OPENAI_API_KEY": key}, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        told = json.loads((Path(folder) / "r").read_text())
        assert told["completed"] == calls, told
        return float(told["request_throughput"])


asyncio.run(main())
