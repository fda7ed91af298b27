"""Batches of a run: written down before they are sent, so that none is bought twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from partynli.store.database import explained, transaction
from partynli.store.rows import Batch, BatchRequest, BatchStage

_OPEN = "('planned', 'submitted', 'ended', 'lost')"


class Batches:
    """The tables `batch` and `batch_request` of a run."""

    def __init__(self, db: sqlite3.Connection, database: Path) -> None:
        self._db = db
        self._database = database

    def plan(self, batch: Batch, requests: Iterable[BatchRequest], prompts: Iterable[tuple[str, str]]) -> None:
        """Write down a batch that is about to be sent, with exactly the attempts that it holds.

        Parameters
        ----------
        batch, requests
            Both under one mark, which is new.
        prompts
            Hash and JSON of the prompts that the requests name.
        """
        with self._explained(), transaction(self._db):
            self._db.execute(f"INSERT INTO batch VALUES ({_marks(Batch._fields)})", batch)
            self._db.executemany(f"INSERT INTO batch_request VALUES ({_marks(BatchRequest._fields)})", requests)
            self._db.executemany("INSERT OR IGNORE INTO body VALUES (?, ?)", prompts)

    def move(self, mark: str, state: BatchStage, *, remote: str | None = None, note: str | None = None) -> None:
        """Note that a batch came to another state; what is not given stays as it was."""
        with self._explained(), transaction(self._db):
            self._db.execute(
                "UPDATE batch SET state = ?, remote = coalesce(?, remote), note = coalesce(?, note) WHERE mark = ?",
                (state, remote, note, mark),
            )

    def forget_lost(self) -> int:
        """Give up the batches that their provider does not know any more; returns how many there were."""
        with self._explained(), transaction(self._db):
            return self._db.execute("UPDATE batch SET state = 'dropped' WHERE state = 'lost'").rowcount

    def open(self) -> list[Batch]:
        """Batches whose answers are not stored yet, oldest first."""
        return self._batches(f"WHERE state IN {_OPEN} ORDER BY planned_at")

    def all(self) -> list[Batch]:
        """Every batch, oldest first."""
        return self._batches("ORDER BY planned_at")

    def asked(self, participants: Sequence[str]) -> set[str]:
        """Keys of the trials of some participants that open batches hold."""
        with self._explained():
            rows = self._db.execute(
                f"SELECT trial_key FROM batch JOIN batch_request USING (mark) WHERE state IN {_OPEN} "
                f"AND participant IN ({_marks(participants)})",
                participants,
            )
            return {key for (key,) in rows.fetchall()}

    def held(self, mark: str) -> list[tuple[str, str]]:
        """Key and participant of the trials that a batch asks, in its order."""
        with self._explained():
            rows = self._db.execute(
                "SELECT trial_key, participant FROM batch_request WHERE mark = ? ORDER BY number", (mark,)
            )
            return [(key, participant) for key, participant in rows.fetchall()]

    def requests(self, mark: str, numbers: Sequence[int]) -> dict[int, BatchRequest]:
        """Some requests of a batch, by number; those that it does not hold are left out."""
        marks = ",".join("?" * len(numbers))
        with self._explained():
            rows = self._db.execute(
                f"SELECT {', '.join(BatchRequest._fields)} FROM batch_request WHERE mark = ? AND number IN ({marks})",
                (mark, *numbers),
            )
            return {row[1]: BatchRequest(*row) for row in rows.fetchall()}

    def _batches(self, which: str) -> list[Batch]:
        with self._explained():
            rows = self._db.execute(f"SELECT {', '.join(Batch._fields)} FROM batch {which}").fetchall()
        return [Batch(*row) for row in rows]

    def _explained(self) -> AbstractContextManager[None]:
        return explained(self._database)


def _marks(fields: Sequence[str]) -> str:
    return ",".join("?" * len(fields))
