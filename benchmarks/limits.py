"""Time under rate limits over the ideal time: 20 models at 2, 4, 10 and 50 calls a second, 60 calls each, 300 ms.

    python benchmarks/limits.py [--burst 1] [--unknown]

The server is strict: it counts what comes in by a bucket that refills all the time and answers what is too much with
429 and a Retry-After in whole seconds. `--burst 1` allows no two calls closer than the rate says. `--unknown` hides the
limits from the client, which must learn them from the answers' headers.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import tempfile
import time
from pathlib import Path

from partynli.prompts import load_task
from partynli.records import Item, Participant
from partynli.sampling.engine import run_plan
from partynli.sampling.plan import Plan
from partynli.store import Run
from partynli.testing import Behaviour, LoopbackProcess

RATES = [2.0] * 2 + [4.0] * 4 + [10.0] * 6 + [50.0] * 8
CALLS = 60
LATENCY_S = 0.3


async def measure(url: str, *, unknown: bool) -> tuple[float, float]:
    """Wall and CPU seconds of one run of the whole plan."""
    participants = [
        Participant(f"m{k}", "openai", f"m{k}", {}, provider="p", api_base=url, rpm=None if unknown else 60 * rate)
        for k, rate in enumerate(RATES)
    ]
    items = [
        Item(f"i{k}", {"premise": f"The {k} men sang in the house.", "hypothesis": "They sang."}) for k in range(CALLS)
    ]
    trials = {one.id: 1 for one in participants}
    plan = Plan(load_task(), tuple(participants), trials, items, len(items), {}, "bench")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        with Run.begin(path, {"plan": plan.describe()}, participants, items, {}) as run:
            started, used = time.perf_counter(), time.process_time()
            summary = await run_plan(plan, run, {})
            took = time.perf_counter() - started, time.process_time() - used
            assert summary.stored == len(plan), summary
            assert sum(tally.valid for tally in run.tallies().values()) == len(plan)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--burst", type=int, default=1)
    parser.add_argument("--unknown", action="store_true")
    given = parser.parse_args()
    behaviours = {
        f"m{k}": Behaviour(rps=rate, burst=given.burst, latency_s=LATENCY_S, limit_headers=True)
        for k, rate in enumerate(RATES)
    }
    with LoopbackProcess(behaviours) as server:
        wall, cpu = asyncio.run(measure(server.url, unknown=given.unknown))
        books = server.fetch_books()
    ideal = max((CALLS - 1) / rate for rate in RATES) + LATENCY_S
    print(f"burst {given.burst}, limits {'learned from headers' if given.unknown else 'declared'}")
    print(f"total {wall:.2f} s, ideal {ideal:.2f} s, ratio {wall / ideal:.3f}; client CPU {cpu:.2f} s")
    for rate in sorted(set(RATES)):
        lanes = [books[f"m{k}"] for k, other in enumerate(RATES) if other == rate]
        reached = [(len(lane.arrivals) - 1) / (lane.arrivals[-1] - lane.arrivals[0]) / rate for lane in lanes]
        refused = sum(len(lane.rate_limited) for lane in lanes)
        early = sum(lane.early_arrivals() for lane in lanes)
        print(
            f"  {rate:4.0f}/s: {min(reached):.3f} to {max(reached):.3f} of the rate, "
            f"{refused} x 429 in {CALLS * len(lanes)} calls, {early} before their Retry-After"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
