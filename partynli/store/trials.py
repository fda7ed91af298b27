"""Trials of a run with all that is stored of each: the judgment, the attempts behind it, and what an import kept."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from partynli.store.database import explained
from partynli.store.rows import Attempt, JudgmentRow

_AT_ONCE = 500
_AT_REST_S = 900.0
"""Seconds without an answer after which a run is taken to have been at rest."""


class StoredTrial(NamedTuple):
    """One trial."""

    judgment: JudgmentRow
    attempts: tuple[Attempt, ...]
    """In the order in which they were made; none where the judgment was imported."""
    kept: str | None
    """JSON of what a table that was imported says of it besides."""


class Observed(NamedTuple):
    """What was seen of a participant that answered."""

    served_models: tuple[str, ...]
    """Every name that its answers gave for the model, in alphabetical order."""
    first: float
    """Seconds since 1970, UTC, of its first answer."""
    last: float


class StoredTrials:
    """The trials of a run that have a judgment, read in chunks: by participant, item and number.

    Parameters
    ----------
    db, database
        Connection to a run's database, and its path.
    participants
        Ids, in the order in which the trials come.
    """

    def __init__(self, db: sqlite3.Connection, database: Path, participants: Sequence[str]) -> None:
        self._db = db
        self._database = database
        self._participants = participants

    def __iter__(self) -> Iterator[StoredTrial]:
        with explained(self._database):
            self._db.execute("CREATE TEMP TABLE IF NOT EXISTS place (id TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID")
            self._db.execute("DELETE FROM place")
            self._db.executemany(
                "INSERT INTO place VALUES (?, ?)", ((id_, n) for n, id_ in enumerate(self._participants))
            )
            found = self._db.execute(
                f"SELECT {', '.join(f'j.{name}' for name in JudgmentRow._fields)}, body.json FROM judgment j "
                "LEFT JOIN place ON place.id = j.participant LEFT JOIN item ON item.uid = j.item "
                "LEFT JOIN body ON body.hash = j.trial_key ORDER BY place.n, item.n, j.trial, j.trial_key"
            )
            while rows := found.fetchmany(_AT_ONCE):
                attempts = self._attempts([row[0] for row in rows])
                for *judgment, kept in rows:
                    one = JudgmentRow._make(judgment)
                    yield StoredTrial(one, tuple(attempts.get(one.trial_key, ())), kept)

    def observed(self) -> dict[str, Observed]:
        """What was seen of each participant that answered, by its id."""
        with explained(self._database):
            rows = self._db.execute(
                "SELECT participant, json_group_array(DISTINCT served_model) FILTER (WHERE served_model IS NOT NULL), "
                "min(at), max(at) FROM attempt WHERE status != 'failed' GROUP BY participant"
            )
            return {one: Observed(tuple(sorted(json.loads(models))), *when) for one, models, *when in rows}

    def busy_s(self, participants: Sequence[str]) -> float:
        """Seconds in which some participants were asked, by their ids; without the times when a run was at rest."""
        with explained(self._database):
            (seconds,) = self._db.execute(
                "SELECT total(gap) FROM (SELECT at - lag(at) OVER (ORDER BY at) AS gap FROM attempt "
                "WHERE status != 'failed' AND participant IN (SELECT value FROM json_each(?))) WHERE gap < ?",
                (json.dumps(list(participants)), _AT_REST_S),
            ).fetchone()
        return float(seconds)

    def _attempts(self, keys: Sequence[str]) -> dict[str, list[Attempt]]:
        marks = ",".join("?" * len(keys))
        rows = self._db.execute(
            f"SELECT {', '.join(Attempt._fields)} FROM attempt WHERE trial_key IN ({marks}) ORDER BY trial_key, n", keys
        )
        found: dict[str, list[Attempt]] = {}
        for row in rows:
            found.setdefault(row[0], []).append(Attempt._make(row))
        return found
