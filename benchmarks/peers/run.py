"""partynli beside other ways of asking many prompts: speed, cost, memory, limits, what a kill costs.

    python benchmarks/peers/run.py [--rounds 3] [--only partynli_sample --only openai_sdk] [--busy]

Every peer has an environment of its own below `--environments`, which is made when it is missing. All take turns round
by round, on one core; the server has the other. The figures go into results.json, the table into benchmarks/README.md,
the picture into benchmarks/img/peers.png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

from environments import ENTRIES, prepare, version_of
from measure import BURST, HERE, IN_FLIGHT, LATENCY_S, RATE, FailedError, Peer
from scenarios import SCENARIOS

CALLS = {"speed": 2000, "limited": 200, "killed": 400}
WARM_UP = 64
ONCE_S = 60
"""What took longer is measured in one round only."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=[one.key for one in ENTRIES], help="may be repeated")
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS), help="may be repeated")
    parser.add_argument("--share", type=float, default=1.0, help="share of the calls, for a quick look")
    parser.add_argument("--environments", type=Path, default=HERE.parents[1] / ".peers")
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    parser.add_argument("--busy", action="store_true", help="note that the machine had other work")
    given = parser.parse_args()
    home = given.environments / "home"
    home.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {
        "at": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "busy": given.busy,
        "latency_s": LATENCY_S,
        "in_flight": IN_FLIGHT,
        "rate": RATE,
        "burst": BURST,
        "peers": {},
        "rounds": [],
    }
    peers: dict[str, Peer] = {}
    for entry in ENTRIES:
        if given.only and entry.key not in given.only:
            continue
        told = results["peers"][entry.key] = {"name": entry.name, "note": entry.note, "version": None, "failed": {}}
        try:
            peer = prepare(entry, given.environments.resolve())
            told["version"] = version_of(entry, peer)
            SCENARIOS["speed"](peer, WARM_UP, home)  # compiles what is imported
        except FailedError as error:
            print(f"{entry.name}: {error}", flush=True)
            told["failed"] = dict.fromkeys(SCENARIOS, str(error))
        else:
            peers[entry.key] = peer
    over: set[tuple[str, str]] = set()  # what is not measured again, by scenario and peer
    for number in range(given.rounds):
        figures: dict[str, dict[str, Any]] = {}
        results["rounds"].append(figures)
        for scenario in given.scenario or SCENARIOS:
            figures[scenario] = {}
            for entry in ENTRIES:
                if entry.key not in peers or (scenario, entry.key) in over or entry.only not in ("", scenario):
                    continue
                calls = round(CALLS[scenario] * given.share / (4 if entry.slow and scenario == "speed" else 1))
                began = time.monotonic()
                try:
                    found = figures[scenario][entry.key] = SCENARIOS[scenario](peers[entry.key], calls, home)
                except FailedError as error:
                    results["peers"][entry.key]["failed"][scenario] = str(error)
                    over.add((scenario, entry.key))
                    print(number + 1, scenario, entry.name, "failed:", error, flush=True)
                    continue
                if time.monotonic() - began > ONCE_S:
                    over.add((scenario, entry.key))
                print(number + 1, scenario, entry.name, _short(found), flush=True)
            given.results.write_text(json.dumps(results, indent=1) + "\n")


def _short(figures: dict[str, Any]) -> str:
    return ", ".join(f"{key} {one:.4g}" if isinstance(one, float) else f"{key} {one}" for key, one in figures.items())


if __name__ == "__main__":
    main()
