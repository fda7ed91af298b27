"""What 433,000 MNLI items x 20 participants would take: calls, tokens, dollars, hours, gigabytes.

    python benchmarks/mnli_bill.py [--items 433000] [--run RUN]

A calculation, not a measurement of models: nothing is sent. Measured are only the prompts (on the items of LiveNLI, or
of `demo` where those are not at hand) and, with --run, the bytes that a run takes. Everything else is an assumption;
docs/how-to/scale.md lists them.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
from collections.abc import Sequence
from contextlib import closing
from math import ceil
from pathlib import Path
from typing import NamedTuple

from partynli.errors import ItemsError
from partynli.items import load_dataset
from partynli.prompts import Renderer, load_task
from partynli.records import Participant
from partynli.registry import Registry, load_registry
from partynli.sampling.limits import MARGIN

ANSWERS = (150, 400)
"""Tokens of a short and of a long answer, without reasoning."""
REASONING = 2_000
"""Assumed tokens that a model thinks before it answers, billed as output, where the registry lets it answer long."""
REASONS_FROM = 2_000
"""`max_output_tokens` in the registry from which a participant is taken to reason."""
PER_GPU = 40_000
"""Assumed output tokens a second of one data-centre GPU, divided by billions of parameters that work on a token."""
BYTES_A_BILLION = 2e9
GPU_BYTES = 80e9 * 0.9 * 0.85
"""Room for weights on one GPU: of 80 GB, the share that vLLM takes, less the room for calls in flight."""
ACTIVE_B = {"llama-4-maverick": 17, "qwen3-235b": 22, "kimi-k2": 32, "deepseek-r1-671b": 37}
"""Billions of parameters that work on a token, where only a part does."""
CHARS_A_TOKEN = 4
ROW = 1_850
"""Bytes of a trial besides its answer's text: columns, indexes, the answer's JSON, its share of item and prompt."""
COPIES = 2
"""The text is stored as it came, and nearly all of it again as the explanation of a judgment."""


class Prompts(NamedTuple):
    """Tokens of a prompt, as OpenAI's cl100k tokenizer counts them."""

    mean: float
    system: int
    n: int
    source: str


def measure_prompts() -> Prompts:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # read when litellm is imported: no network
    from litellm import token_counter

    task = load_task()
    try:
        dataset = load_dataset("livenli")
    except ItemsError:
        dataset = load_dataset("demo")
    renderer = Renderer(task)
    counts = [token_counter(model="gpt-4", messages=list(renderer.render(one).messages)) for one in dataset.items]
    system = token_counter(model="gpt-4", messages=[{"role": "system", "content": task.system}])
    return Prompts(statistics.mean(counts), system, len(counts), dataset.name)


def print_dollars(registry: Registry, participants: Sequence[Participant], prompts: Prompts, n: int) -> None:
    print(
        "| participant | $ in / out per million | 150 tokens | 400 tokens | with reasoning | the same, with --batch |"
    )
    print("|---|--:|--:|--:|--:|--:|")
    sums = [0.0, 0.0, 0.0, 0.0]
    for one in participants:
        assert one.price is not None
        thinks = REASONING if (one.max_output_tokens or 0) > REASONS_FROM else 0
        costs = [n * one.price.cost(prompts.mean, tokens) for tokens in (*ANSWERS, ANSWERS[-1] + thinks)]
        batch = registry.providers[one.provider].batch
        costs.append(costs[-1] * (1 - batch.discount if batch else 1))
        sums = [before + now for before, now in zip(sums, costs, strict=True)]
        shown = " | ".join(f"{cost:,.0f}" for cost in costs)
        print(f"| {one.name} | {one.price.input:g} / {one.price.output:g} | {shown} |")
    print(f"| all {len(participants)} | | {' | '.join(f'{cost:,.0f}' for cost in sums)} |\n")


def print_limits(registry: Registry, participants: Sequence[Participant], prompts: Prompts, n: int) -> None:
    print("| provider | participants | limit that binds | days |\n|---|--:|---|--:|")
    by_provider: dict[str, list[Participant]] = {}
    for one in participants:
        by_provider.setdefault(one.provider, []).append(one)
    for name, those in by_provider.items():
        entry = registry.providers[name]
        if entry.route == "vllm":
            continue
        tokens = prompts.mean + max(ANSWERS)
        found: list[tuple[float, str]] = []
        for rpm, tpm, calls in (
            (entry.rpm, entry.tpm, n * len(those)),
            *((one.rpm, one.tpm, n) for one in those),
        ):
            found += [(calls / (rpm * MARGIN * 1440), f"{rpm:,.0f} calls a minute")] if rpm else []
            found += [(calls * tokens / (tpm * MARGIN * 1440), f"{tpm:,.0f} tokens a minute")] if tpm else []
        if not found:
            at_once = entry.concurrency or 64
            found = [(n * len(those) * 10 / at_once / 86400, f"{at_once} in flight, 10 s a call (assumed)")]
        days, why = max(found)
        print(f"| {name} | {len(those)} | {why} | {days:,.0f} |")
    print()


def print_gpus(participants: Sequence[Participant], n: int) -> None:
    print("| participant | B | working on a token | GPUs for 16-bit weights | tokens/s of 8 GPUs | hours |")
    print("|---|--:|--:|--:|--:|--:|")
    total = 0.0
    for one in participants:
        if one.size_b is None:
            continue
        gpus = ceil(one.size_b * BYTES_A_BILLION / GPU_BYTES)
        active = ACTIVE_B.get(one.name, one.size_b)
        rate = 8 * PER_GPU / active
        hours = n * max(ANSWERS) / rate / 3600
        total += hours if gpus <= 8 else 0.0
        fits = f"{1 << (gpus - 1).bit_length()}" if gpus <= 8 else "more than 8, not counted below"
        print(f"| {one.name} | {one.size_b:g} | {active:g} | {fits} | {rate:,.0f} | {hours:,.1f} |")
    print(f"| those that fit | | | | | {total:,.0f} |\n")


def print_run(path: Path) -> None:
    with closing(sqlite3.connect(f"file:{path / 'run.sqlite'}?mode=ro", uri=True)) as db:
        trials, answers = db.execute("SELECT count(DISTINCT trial_key), sum(length(response)) FROM attempt").fetchone()
        size = db.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()[0]
    print(f"{path}: {size / trials:,.0f} bytes a trial, {answers / trials:,.0f} of them the answer as it came\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=433_000)
    parser.add_argument("--run", type=Path, help="folder of a run whose bytes a trial are to be shown beside")
    given = parser.parse_args()
    registry, _, _ = load_registry()
    participants = registry.mix("all")
    prompts = measure_prompts()
    print(f"prompt: {prompts.mean:.0f} tokens in the mean of {prompts.n} items of {prompts.source} (cl100k), ")
    print(f"{prompts.system} of them the system prompt, the same in every call\n")
    if given.run:
        print_run(given.run)
    for trials in (1, 5):
        n = given.items * trials
        calls = n * len(participants)
        low, high = (calls * tokens / 1e9 for tokens in ANSWERS)
        print(f"## {trials} trial{'s' if trials > 1 else ''}\n")
        print(f"{calls:,} calls; {calls * prompts.mean / 1e9:,.1f} billion tokens in, {low:,.1f} to {high:,.1f} out\n")
        if trials == 1:
            print_dollars(registry, participants, prompts, n)
            print_limits(registry, participants, prompts, n)
            print_gpus(participants, n)
        for tokens in ANSWERS:
            bytes_ = ROW + COPIES * tokens * CHARS_A_TOKEN
            print(f"{tokens} tokens: {bytes_:,.0f} bytes a trial, {calls * bytes_ / 1e9:,.0f} GB")
        driver = ceil(calls / 2_000 / 3600)
        print(f"{driver} h at 2,000 trials/s, which the driver on two shared cores stored (benchmarks/scale.py)\n")


if __name__ == "__main__":
    main()
