"""What the matrix needs beside the loopback server: a way to it on which whole answers are spoilt."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from urllib.parse import urlsplit

import pytest

HOUR = 3600.0
LARGE = 33 * 2**20


@dataclass(frozen=True)
class Answer:
    """What the server answered, as it came."""

    status: bytes
    headers: tuple[bytes, ...]
    body: bytes

    @classmethod
    def parse(cls, raw: bytes) -> Answer:
        head, _, body = raw.partition(b"\r\n\r\n")
        status, *headers = head.split(b"\r\n")
        return cls(status, tuple(headers), body)

    def bytes(self, *more: bytes, length: int | None = None, body: bytes | None = None) -> bytes:
        """The same answer with other headers, another length than its body has, or another body."""
        content = self.body if body is None else body
        kept = [one for one in self.headers if not one.lower().startswith((b"content-length", b"date"))]
        told = [] if length == -1 else [b"Content-Length: %d" % (len(content) if length is None else length)]
        return b"\r\n".join([self.status, *kept, *told, *more, b"", content])


Spoil = Callable[[Answer], bytes]


def in_chunks(answer: Answer, ending: bytes) -> bytes:
    half = answer.body[: len(answer.body) // 2]
    chunk = b"%x\r\n%s\r\n" % (len(half), half)
    return answer.bytes(b"Transfer-Encoding: chunked", length=-1, body=chunk + ending)


SPOILT: Mapping[str, Spoil] = {
    "hung_up": lambda _: b"",
    "no_http": lambda _: b"\x00\xff\x16\x03\x01 nonsense\r\n\r\n" * 20,
    "no_colon": lambda one: one.bytes(b"this line has no colon"),
    "two_lengths": lambda one: one.bytes(b"Content-Length: 7"),
    "huge_header": lambda one: one.bytes(b"X-Noise: " + b"a" * 300_000),
    "odd_status": lambda one: one.bytes().replace(b" 200 ", b" 2OO ", 1),
    "too_long_told": lambda one: one.bytes(length=len(one.body) + 1000),
    "too_short_told": lambda one: one.bytes(length=len(one.body) // 2),
    "chunk_cut": lambda one: in_chunks(one, b"ffff\r\n{"),
    "chunk_garbage": lambda one: in_chunks(one, b"not a length\r\n"),
    "no_gzip": lambda one: one.bytes(b"Content-Encoding: gzip"),
    "gzip_cut": lambda one: one.bytes(b"Content-Encoding: gzip", body=gzip.compress(one.body)[:-40]),
    "no_body": lambda one: one.bytes(body=b""),
    "other_json": lambda one: one.bytes(body=b'[{"object": "list"}]'),
    "utf_16": lambda one: one.bytes(body=one.body.decode().encode("utf-16")),
    "latin_1": lambda one: one.bytes(body=one.body.replace(b"The context", b"The \xe9\xff context")),
    "enormous": lambda one: one.bytes(body=b'{"choices":"' + b"a" * LARGE + b'"}'),
}
"""What happens on the way to an answer that the server wrote whole: name -> what arrives, before the line is cut."""


def refusal(status: str, *headers: bytes, body: bytes = b'{"error": {"message": "come back later"}}') -> bytes:
    kept = [b"Content-Length: %d" % len(body), b"Connection: close", *headers]
    return b"\r\n".join([f"HTTP/1.1 {status}".encode(), *kept, b"", body])


def dated(skew_s: float, wait_s: float = 1.0) -> list[bytes]:
    """Headers of a server whose clock is wrong."""
    now = time.time() + skew_s
    return [
        b"Date: " + formatdate(now, usegmt=True).encode(),
        b"Retry-After: " + formatdate(now + wait_s, usegmt=True).encode(),
    ]


REFUSED: Mapping[str, Callable[[], bytes]] = {
    "429_plain": lambda: refusal("429 Too Many Requests"),
    "429_zero": lambda: refusal("429 Too Many Requests", b"Retry-After: 0"),
    "429_seconds": lambda: refusal("429 Too Many Requests", b"Retry-After: 1"),
    "429_date": lambda: refusal("429 Too Many Requests", *dated(0)),
    "429_clock_ahead": lambda: refusal("429 Too Many Requests", *dated(HOUR)),
    "429_clock_behind": lambda: refusal("429 Too Many Requests", *dated(-HOUR)),
    "429_no_time": lambda: refusal("429 Too Many Requests", b"Retry-After: soon", b"Date: yesterday"),
    "429_absurd": lambda: refusal("429 Too Many Requests", b"Retry-After: 99999999999"),
    "429_year_9999": lambda: refusal("429 Too Many Requests", b"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"),
    "503_seconds": lambda: refusal("503 Service Unavailable", b"Retry-After: 1"),
    "502_page": lambda: refusal("502 Bad Gateway", body=b"<html>" + b"<p>Bad gateway\r\n" * 500),
    "408": lambda: refusal("408 Request Timeout"),
    "599": lambda: refusal("599 Nobody knows", body=b""),
    "redirect": lambda: refusal("302 Found", b"Location: /v1/chat/completions"),
}
"""What a gateway says in the place of the server, which never hears of the call."""
OF_FILES: Mapping[str, Spoil] = {
    "empty_object": lambda one: one.bytes(body=b"{}"),
    "error_in_200": lambda one: one.bytes(body=b'{"error": {"message": "come back later", "code": 503}}'),
    "page": lambda one: one.bytes(body=b"<html>\n" + b"<p>We are back soon\n" * 50),
    "half_the_lines": lambda one: one.bytes(body=b"".join(lines_of(one)[::2])),
    "doubled": lambda one: one.bytes(body=one.body * 2),
    "backwards": lambda one: one.bytes(body=b"".join(lines_of(one)[::-1])),
    "strangers_first": lambda one: one.bytes(body=strange(one.body) + one.body),
    "strangers_alone": lambda one: one.bytes(body=strange(one.body)),
    "said_twice": lambda one: one.bytes(body=one.body + one.body.replace(b"entailment", b"neutral")),
    "no_batches": lambda one: one.bytes(body=b'{"object": "list", "data": [], "has_more": false}'),
    "endless": lambda one: one.bytes(body=changed(one, has_more=True, last_id=None, data=[])),
    "unknown_status": lambda one: one.bytes(body=changed(one, status="archived", processing_status="archived")),
    "uncounted": lambda one: one.bytes(body=changed(one, request_counts=None)),
    "failed_midway": lambda one: one.bytes(body=changed(one, status="failed")),
    "never_begun": lambda one: one.bytes(
        body=changed(
            one, request_counts={"total": 0, "completed": 0, "failed": 0}, output_file_id=None, error_file_id=None
        )
    ),
    "no_answers": lambda one: one.bytes(body=changed(one, output_file_id=None)),
    "no_files": lambda one: one.bytes(body=changed(one, output_file_id=None, error_file_id=None, results_url=None)),
    "archived": lambda one: one.bytes(body=re.sub(rb'"results_url": "[^"]*"', b'"results_url": null', one.body)),
    "not_found": lambda one: Answer(b"HTTP/1.1 404 Not Found", one.headers, one.body).bytes(),
    "gone": lambda one: Answer(b"HTTP/1.1 410 Gone", one.headers, one.body).bytes(),
    "broken_lines": lambda one: one.bytes(body=b"".join(line[k % 2 :] for k, line in enumerate(lines_of(one)))),
}
"""What may become of the lists and files of a batch API."""


def lines_of(answer: Answer) -> list[bytes]:
    return answer.body.splitlines(keepends=True)


def changed(answer: Answer, **fields: object) -> bytes:
    return json.dumps(json.loads(answer.body) | fields).encode()


def strange(body: bytes) -> bytes:
    """The same lines under the ids of somebody else's requests."""
    return re.sub(rb'"custom_id": ?"[^"]*-', b'"custom_id": "request-', body)


STALLED = ("slow_headers", "slow_body_forever")
"""The answer does not come within the time of a call."""
HELD = "held"
"""The answer comes when the test lets it."""
NOT_PASSED_ON = "not_passed_on"
"""The call never reaches the server, and no answer comes."""
RESET = "reset_midway"
WAY = (*SPOILT, *REFUSED, *STALLED, RESET)
STEPS = {
    "upload": re.compile(rb"POST /v1/files"),
    "create": re.compile(rb"POST /v1/(messages/)?batches"),
    "list": re.compile(rb"GET /v1/(messages/)?batches[? ]"),
    "results": re.compile(rb"GET /v1/(files|messages/batches/[^/]+/results)"),
    "look": re.compile(rb"GET /v1/(messages/)?batches/"),
}
"""The calls that a batch takes."""


class Way:
    """The way to a server: passes every call on, but for those that are to be spoilt.

    Attributes
    ----------
    faults
        Model, or step of a batch -> what happens to its calls, and to how many of them; None spoils all.
    done
        Model or step -> how many calls were spoilt.
    let_go
        Set where answers that are held may go on.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._server = parts.hostname, parts.port
        self.faults: dict[str, tuple[str, int | None]] = {}
        self.done: Counter[str] = Counter()
        self.let_go = threading.Event()
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._calls: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        self._thread.start()
        made = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._take, "127.0.0.1", 0), self._loop).result(10)
        self._listening = made
        self.url = f"http://127.0.0.1:{made.sockets[0].getsockname()[1]}/v1"

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._listening.close()
        for call in self._calls:
            call.cancel()
        if self._calls:
            await asyncio.wait(self._calls)
        await asyncio.sleep(0)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = asyncio.current_task()
        assert call is not None
        self._calls.add(call)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._pass(reader, writer)
        self._calls.discard(call)
        writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if line and not line.lower().startswith(b"connection:")]
        lengths = [int(line.partition(b":")[2]) for line in lines if line.lower().startswith(b"content-length:")]
        body = await reader.readexactly(lengths[0]) if lengths else b""
        fault = self._next_fault(head, body)
        if fault == NOT_PASSED_ON:
            await reader.read()
            return
        if fault in REFUSED:
            writer.write(REFUSED[fault]())
            await writer.drain()
            return
        answer = await self._asked(b"\r\n".join([*lines, b"Connection: close", b"", body]))
        if fault == HELD:
            await asyncio.to_thread(self.let_go.wait, 20.0)
        if fault == RESET:
            writer.write(answer[: len(answer) // 2])
            await writer.drain()
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        elif fault in STALLED:
            writer.write(b"" if fault == "slow_headers" else answer[:-10])
            await reader.read()  # until the client has had enough
        else:
            spoil = SPOILT.get(fault or "") or OF_FILES.get(fault or "")
            writer.write(spoil(Answer.parse(answer)) if spoil else answer)
            await writer.drain()

    def _next_fault(self, head: bytes, body: bytes) -> str | None:
        step = next((step for step, calls in STEPS.items() if calls.match(head)), None)
        asked = step or (json.loads(body)["model"] if body else "")
        fault, most = self.faults.get(asked, (None, 0))
        if fault is None or (most is not None and self.done[asked] >= most):
            return None
        self.done[asked] += 1
        return fault

    async def _asked(self, call: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self._server)
        try:
            writer.write(call)
            return await reader.read()
        finally:
            writer.close()


@pytest.fixture(scope="module")
def way_to() -> Iterator[Callable[[str], Way]]:
    """Open a way to a server."""
    opened: list[Way] = []

    def open_(url: str) -> Way:
        opened.append(Way(url))
        opened[-1].open()
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


@pytest.fixture(scope="session")
def spoilings() -> dict[str, tuple[str, ...]]:
    """Names of all that can happen on the way: ``answered`` by the server before, or ``refused`` before it hears."""
    return {"answered": (*SPOILT, *STALLED, RESET), "refused": tuple(REFUSED)}
