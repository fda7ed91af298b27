"""What is measured: all calls at once, calls under a limit, and a kill at half with a second start."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measure import BURST, IN_FLIGHT, LATENCY_S, RATE, Client, FailedError, Peer, Server, serving

from partynli.prompts import Renderer, load_task
from partynli.records import Item

SETTLED_S = 0.1
"""An answer that was sent so long before a kill should have been kept."""
Figures = dict[str, float | None]


def write_items(file: Path, calls: int) -> None:
    """As many different items, with the messages that LiveNLI's annotation prompts make of them."""
    renderer = Renderer(load_task())
    with file.open("w") as out:
        for k in range(calls):
            texts = {
                "premise": f"In the summer the pool stages {k} concerts and other events.",
                "hypothesis": "Most concerts are staged in the summer.",
            }
            system, user = renderer.render(Item(f"i{k}", texts)).messages
            row = {"uid": f"i{k}", **texts, "system": system["content"], "user": user["content"]}
            out.write(json.dumps(row) + "\n")


@contextmanager
def _client(peer: Peer, server: Server, calls: int, home: Path, **given: Any) -> Iterator[Client]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        items, folder = Path(name) / "items.jsonl", Path(name) / "kept"
        write_items(items, calls)
        folder.mkdir()
        job = {"url": server.url, "items": str(items), "folder": str(folder), "in_flight": IN_FLIGHT}
        yield Client(peer, {**job, "rpm": None, "resumable": False, **given}, home)


def speed(peer: Peer, calls: int, home: Path) -> Figures:
    """All calls, answered after `LATENCY_S`, `IN_FLIGHT` at a time."""
    with serving() as server, _client(peer, server, calls, home) as client:
        client.ask()
        client.wait()
        books = server.read("books")
        server_s = server.cpu_s
    _check(books, calls)
    return {
        "calls": calls,
        "calls_per_s": calls / (books["last"] - books["first"]),
        "cpu_s_per_1000": (client.cpu_s - client.cpu_at(books["first"])) / calls * 1000,
        "peak_mb": client.peak_mb,
        "start_s": books["first"] - client.started,
        "total_s": client.ended - client.started,
        "most_at_once": books["most_at_once"],
        "server_cpu_s_per_1000": server_s / calls * 1000,
    }


def limited(peer: Peer, calls: int, home: Path) -> Figures:
    """The same under a limit that is told to those that can be told, and kept by the server in any case."""
    rpm = None if peer.key == "partynli_untold" else 60 * RATE
    with serving(RATE, BURST) as server, _client(peer, server, calls, home, rpm=rpm) as client:
        client.ask()
        client.wait()
        books = server.read("books")
    ideal = (calls - BURST) / RATE + LATENCY_S
    return {
        "calls": calls,
        "of_ideal": (books["last"] - books["first"]) / ideal,
        "refused": books["refused"],
        "given_up": calls - len(books["answered"]),
    }


def killed(peer: Peer, calls: int, home: Path) -> Figures:
    """Kill -9 when half is answered, then the same again: what is paid for twice, and what is missing at the end."""
    with serving() as server, _client(peer, server, calls, home, resumable=True) as client:
        client.ask()
        while server.read("done") < calls / 2:
            if not client.running:
                raise FailedError(client.last_words())
            time.sleep(0.002)
        client.kill()
        at = time.monotonic()
        books = server.read("books")
        time.sleep(4 * LATENCY_S)  # what was in flight is over
        settled = {number for number, sent in books["sent"].items() if sent < at - SETTLED_S}
        client.ask()
        try:
            client.wait()
        except FailedError as error:
            raise FailedError(f"the second start: {error}") from None
        answered = server.read("books")["answered"]
        held = client.count()
    again = sum(answered.values()) - len(answered)
    settled_again = sum(answered[number] - 1 for number in settled)
    return {
        "calls": calls,
        "settled": len(settled),
        "in_flight": len(books["answered"]) - len(settled),
        "again": again,
        "settled_again": settled_again,
        "lost": None if held is None else calls - held,
    }


def _check(books: dict[str, Any], calls: int) -> None:
    if len(books["answered"]) != calls:
        raise FailedError(f"asked {len(books['answered'])} of {calls} prompts")
    if (times := sum(books["answered"].values())) != calls:
        raise FailedError(f"made {times} calls for {calls} prompts")


SCENARIOS: dict[str, Callable[[Peer, int, Path], Figures]] = {"speed": speed, "limited": limited, "killed": killed}
