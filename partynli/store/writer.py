"""The one thread that writes attempts: it drains what has come, commits, then acknowledges.

There is no timer. While one commit is under way the next answers gather, so a slow disk makes larger transactions,
never a backlog without end: a caller sends nothing new before its own answer is acknowledged.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

from partynli.errors import StoreError
from partynli.store.database import connect, may_pass, plain, transaction
from partynli.store.rows import Attempt

_LARGEST = 64
_DRAIN = 512


class _Entry(NamedTuple):
    attempt: Attempt
    bodies: tuple[tuple[str, str], ...]
    stored: asyncio.Future[None]


class Writer:
    """Stores attempts durably, in the order in which they come.

    Parameters
    ----------
    database
        A run's SQLite file; the caller holds the run's lock.
    on_trouble
        Called from the writing thread with one line when the disk is full or busy and writing is tried again.
    patience_s
        How long a full or busy disk is waited for before the run is stopped.
    """

    def __init__(
        self, database: Path, *, on_trouble: Callable[[str], None] | None = None, patience_s: float = 120.0
    ) -> None:
        self._database = database
        self._db = connect(database, write=True)
        self._on_trouble = on_trouble or (lambda line: None)
        self._patience_s = patience_s
        self._queue: SimpleQueue[_Entry | None] = SimpleQueue()
        self._closing = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="partynli-writer", daemon=True)
        self._thread.start()

    def put(self, attempt: Attempt, bodies: tuple[tuple[str, str], ...]) -> asyncio.Future[None]:
        """Queue an attempt; the future is done once it is on disk, or fails with a `StoreError`.

        `bodies` are (hash, JSON) of the requests and prompts that the attempt names; those already stored are skipped.
        """
        stored = self._loop.create_future()
        self._queue.put(_Entry(attempt, bodies, stored))
        return stored

    async def aclose(self) -> None:
        """Write what is queued and end the thread."""
        self._queue.put(None)
        self._closing.set()
        await asyncio.to_thread(self._thread.join)
        self._db.close()

    def _work(self) -> None:
        last = False
        while not last:
            entries = [self._queue.get()]
            try:
                while len(entries) < _DRAIN:
                    entries.append(self._queue.get_nowait())
            except Empty:
                pass
            last = None in entries
            batch = [entry for entry in entries if entry is not None]
            if batch:
                failure = self._commit(batch)
                self._loop.call_soon_threadsafe(_acknowledge, batch, failure)

    def _commit(self, batch: Sequence[_Entry]) -> StoreError | None:
        started = time.monotonic()
        while True:
            try:
                with transaction(self._db):
                    self._insert(batch)
            except Exception as error:  # a thread that died in silence would leave every caller waiting
                line = f"{self._database}: {plain(error)}"
                waited = time.monotonic() - started
                if not may_pass(error) or waited >= self._patience_s or self._closing.is_set():
                    return StoreError(f"{line}; what was committed before is safe. Mend it, then `partynli resume`")
                self._on_trouble(f"{line}; nothing new is sent, trying again for {self._patience_s - waited:.0f} s")
                self._closing.wait(1.0)
            else:
                return None

    def _insert(self, batch: Sequence[_Entry]) -> None:
        if bodies := [body for entry in batch for body in entry.bodies]:
            self._db.executemany("INSERT OR IGNORE INTO body VALUES (?, ?)", bodies)
        for attempts in _chunks([entry.attempt for entry in batch]):
            # plain INSERT: an attempt that is there already must never be overwritten
            self._db.execute(_insert(len(attempts)), [value for attempt in attempts for value in attempt])


def _acknowledge(batch: Sequence[_Entry], failure: StoreError | None) -> None:
    for entry in batch:
        if entry.stored.done():  # cancelled by its caller
            continue
        if failure is None:
            entry.stored.set_result(None)
        else:
            entry.stored.set_exception(failure)


def _chunks(rows: list[Attempt]) -> Iterator[list[Attempt]]:
    """Cut into lengths that are powers of two: few different statements, so SQLite keeps them prepared.

    One statement for many rows matters: each statement gives up the interpreter lock and must win it back from a busy
    event loop.
    """
    at = 0
    while left := len(rows) - at:
        size = min(_LARGEST, 1 << (left.bit_length() - 1))
        yield rows[at : at + size]
        at += size


@cache
def _insert(rows: int) -> str:
    marks = f"({','.join('?' * len(Attempt._fields))})"
    return f"INSERT INTO attempt ({','.join(Attempt._fields)}) VALUES {','.join([marks] * rows)}"
