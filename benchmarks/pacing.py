"""How evenly a pace is kept: asyncio-throttle, aiolimiter and partynli's `Pacer`, 20 lanes together.

    python benchmarks/pacing.py [--seconds 6] [--lanes 20]

Each lane starts a call as soon as its limiter lets it, for some seconds. A strict server refuses a call that comes
sooner after the one before than the rate says; so the shortest gap matters as much as the rate that is reached.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise

from partynli.sampling.limits import MARGIN, Pacer

try:
    from aiolimiter import AsyncLimiter
    from asyncio_throttle import Throttler
except ImportError as error:
    sys.exit(f"benchmarks/pacing.py compares with {error.name}, which is not installed: pip install 'partynli[bench]'")

Wait = Callable[[], Awaitable[object]]


def throttle(rate: float, retry_interval: float) -> Wait:
    return Throttler(rate_limit=1, period=1 / rate, retry_interval=retry_interval).acquire


def pacer(rate: float) -> Wait:
    kept = Pacer(60 * rate)

    async def wait() -> None:
        now = asyncio.get_running_loop().time
        while (delay := kept.delay(now())) > 0:
            await asyncio.sleep(delay)
        kept.take(now())

    return wait


LIMITERS: dict[str, Callable[[float], Wait]] = {
    "asyncio-throttle 1.0.2": lambda rate: throttle(rate, 0.01),
    "asyncio-throttle 1.0.2, retry_interval 1 ms": lambda rate: throttle(rate, 0.001),
    "aiolimiter": lambda rate: AsyncLimiter(1, 1 / rate).acquire,
    f"partynli's Pacer ({1 - MARGIN:.1%} under the limit)": pacer,
}
RATES = (2.0, 10.0, 50.0)


async def lane(wait: Wait, seconds: float) -> list[float]:
    """When each call of one lane started."""
    starts: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        await wait()
        starts.append(time.perf_counter())
    return starts


async def measure(limiter: Callable[[float], Wait], rate: float, seconds: float, lanes: int) -> str:
    used = time.process_time()
    starts = await asyncio.gather(*(lane(limiter(rate), seconds) for _ in range(lanes)))
    used = time.process_time() - used
    reached = [(len(one) - 1) / (one[-1] - one[0]) / rate for one in starts]
    shortest = min(later - earlier for one in starts for earlier, later in pairwise(one)) * rate
    return f"{min(reached):.3f} to {max(reached):.3f} | {shortest:.3f} | {used:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--lanes", type=int, default=20)
    given = parser.parse_args()
    print(f"{given.lanes} lanes together, {given.seconds:g} s for each line\n")
    print("| limiter | calls/s of each lane | share of the rate reached | shortest gap / nominal | CPU s |")
    print("|---|--:|--:|--:|--:|")
    for name, limiter in LIMITERS.items():
        for rate in RATES:
            figures = asyncio.run(measure(limiter, rate, given.seconds, given.lanes))
            print(f"| {name} | {rate:g} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
