"""The peers' server: an answer after a while, a limit where one is asked for, and books of what was asked.

    python benchmarks/peers/server.py LATENCY_S [CALLS_A_SECOND BURST]

An answer takes half to one and a half of LATENCY_S, the same for a prompt every time: where all take equally long, they
come in waves, which no real server sends. Which prompt a call asks is read off its text. A call counts as answered when
it is let in: a provider bills it then, whether or not the client lives to read the answer.
"""

import asyncio
import json
import math
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from partynli.testing.limits import Bucket

sys.path.insert(0, str(Path(__file__).parents[1]))
from fast_server import BODY, Connection, serve

_NUMBER = re.compile(rb"stages (\d+) concerts")


def reply(status: str, body: bytes, *headers: str) -> bytes:
    """A whole HTTP answer."""
    head = (f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@dataclass
class Books:
    """What happened; times are monotonic seconds."""

    first: float = 0.0
    last: float = 0.0
    refused: int = 0
    """Calls that got 429."""
    other: int = 0
    """Calls without a prompt, which a tool makes to look at the limits."""
    done: int = 0
    at_once: int = 0
    most_at_once: int = 0
    answered: Counter[int] = field(default_factory=Counter)
    sent: dict[int, float] = field(default_factory=dict)
    """When a prompt's answer was written."""


class Server:
    """What all connections share."""

    def __init__(self, latency_s: float, *limit: float) -> None:
        self.books = Books()
        self._latency_s = latency_s
        self._bucket = Bucket(*limit) if limit else None
        told = [f"x-ratelimit-limit-requests: {60 * limit[0]:.0f}"] if limit else []
        self._reply = reply("200 OK", BODY, *told)

    def post(self, transport: asyncio.WriteTransport, request: bytes) -> None:
        """Answer a call, now or later."""
        now, books = time.monotonic(), self.books
        books.first = books.first or now
        if self._bucket is not None:
            if (wait := self._bucket.wait(now)) > 0:
                books.refused += 1
                error = {"error": {"message": "Rate limit reached.", "type": "requests", "code": "rate_limit_exceeded"}}
                told = f"Retry-After: {math.ceil(wait)}"
                transport.write(reply("429 Too Many Requests", json.dumps(error).encode(), told))
                return
            self._bucket.spend(now, 1)
        if (found := _NUMBER.search(request)) is None:
            books.other += 1
            transport.write(self._reply)
            return
        number = int(found[1])
        books.answered[number] += 1
        books.at_once += 1
        books.most_at_once = max(books.most_at_once, books.at_once)
        wait = self._latency_s * (0.5 + number * 37 % 101 / 100)
        asyncio.get_running_loop().call_later(wait, self._send, transport, number)

    def _send(self, transport: asyncio.WriteTransport, number: int) -> None:
        self.books.at_once -= 1
        self.books.done += 1
        self.books.last = self.books.sent[number] = time.monotonic()
        transport.write(self._reply)

    def get(self, request: bytes) -> bytes:
        """The books, how many calls are done, or a list of models."""
        if request.startswith(b"GET /done"):
            return reply("200 OK", str(self.books.done).encode())
        if request.startswith(b"GET /books"):
            return reply("200 OK", json.dumps(vars(self.books)).encode())
        return reply("200 OK", b'{"object": "list", "data": [{"id": "m", "object": "model"}]}')


class PeersConnection(Connection):
    """Reads a request, and leaves it to the server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def answer(self, request: bytes) -> None:
        if request.startswith(b"POST"):
            self._server.post(self.transport, request)
        else:
            self.transport.write(self._server.get(request))


if __name__ == "__main__":
    shared = Server(*map(float, sys.argv[1:]))
    asyncio.run(serve(lambda: PeersConnection(shared)))
