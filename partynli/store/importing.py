"""A run made of judgments that others collected: whole at the end, or not there at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from partynli.errors import RunError, StoreError
from partynli.records import Item, Participant
from partynli.store.database import connect, hold, plain, transaction
from partynli.store.layout import lay_out, remove_unfinished
from partynli.store.manifest import write_manifest
from partynli.store.rows import Attempt, JudgmentRow

_INSERT = f"INSERT OR IGNORE INTO judgment VALUES ({','.join('?' * len(JudgmentRow._fields))})"
_INSERT_ATTEMPT = f"INSERT INTO attempt ({','.join(Attempt._fields)}) VALUES ({','.join('?' * len(Attempt._fields))})"
_CACHE_KIB = 64 * 1024


class Earlier(NamedTuple):
    """The judgment that a trial has already when another one of it comes."""

    place: int
    """Position in the given rows of the one that came too late."""
    class_multi: str
    explanation: str | None


class Importing:
    """Takes judgments into a run that is being made; see `importing`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add(self, rows: Sequence[JudgmentRow], kept: Mapping[str, str]) -> list[Earlier]:
        """Store judgments, the first one of each trial.

        Parameters
        ----------
        rows
            A few thousand at a time.
        kept
            JSON of what else is known about a judgment, by its trial key; stored in the table `body`.

        Returns
        -------
        list of Earlier
            One for each row that is not stored, because its trial has a judgment already.
        """
        before, changes = self._last(), self._db.total_changes
        self._db.executemany(_INSERT, rows)
        late = [] if self._db.total_changes - changes == len(rows) else self._late(rows, before)
        if kept:
            # of several rows with one key the first is stored, and so is what is kept of it
            lost = {rows[one.place].trial_key for one in late}
            bodies = ((key, text) for key, text in kept.items() if key not in lost)
            self._db.executemany("INSERT OR IGNORE INTO body VALUES (?, ?)", bodies)
        return late

    def add_attempts(self, rows: Sequence[Attempt], bodies: Iterable[tuple[str, str]]) -> None:
        """Store attempts, in the order in which they were made, and the requests and prompts that they name."""
        self._db.executemany(_INSERT_ATTEMPT, rows)
        self._db.executemany("INSERT OR IGNORE INTO body VALUES (?, ?)", bodies)

    def add_human(self, about: str, rows: Iterable[str]) -> None:
        """Store people's answers, as `Run.human` gives them: JSON that says whose they are, and JSON of each row."""
        self.note("human", about)
        self._db.execute("CREATE TABLE human (n INTEGER PRIMARY KEY, json TEXT NOT NULL)")
        self._db.executemany("INSERT INTO human (json) VALUES (?)", ((row,) for row in rows))

    def doubled(self) -> str | None:
        """Key of a judgment whose participant, item and number of the trial another one has as well; None without."""
        found = self._db.execute(
            "SELECT max(trial_key) FROM judgment GROUP BY participant, item, trial HAVING count(*) > 1 LIMIT 1"
        ).fetchone()
        return None if found is None else str(found[0])

    def note(self, key: str, value: str) -> None:
        """Store a value in the table `meta`."""
        self._db.execute("INSERT INTO meta VALUES (?, ?)", (key, value))

    def _last(self) -> int:
        return int(self._db.execute("SELECT coalesce(max(rowid), 0) FROM judgment").fetchone()[0])

    def _late(self, rows: Sequence[JudgmentRow], before: int) -> list[Earlier]:
        late = []
        first = set()
        for place, row in enumerate(rows):
            rowid, class_multi, explanation = self._db.execute(
                "SELECT rowid, class_multi, explanation FROM judgment WHERE trial_key = ?", (row.trial_key,)
            ).fetchone()
            if rowid <= before or row.trial_key in first:
                late.append(Earlier(place, class_multi, explanation))
            first.add(row.trial_key)
        return late


@contextmanager
def importing(
    path: Path,
    manifest: Mapping[str, Any],
    participants: Iterable[Participant],
    items: Iterable[Item],
    experiments: Mapping[str, Iterable[str]],
) -> Iterator[Importing]:
    """Make a run of imported judgments: one transaction, then the manifest as it stands when the context ends.

    Whatever goes wrong within the context, no run is left.

    Raises
    ------
    RunError
        A run of this name is there already.
    StoreError
        The disk or the database failed.
    """
    refuse_existing(path)
    is_new = not path.exists()
    with hold(path):
        refuse_existing(path)
        database = path / "run.sqlite"
        try:
            remove_unfinished(database)
            with closing(connect(database, write=True, create=True)) as db:
                # nothing to protect from a crash: without a manifest there is no run, and a log would write twice
                db.execute("PRAGMA journal_mode = DELETE")
                db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
                with transaction(db):
                    lay_out(db, participants, items, experiments)
                    yield Importing(db)
            write_manifest(path, manifest)
        except BaseException as error:
            if not (path / "manifest.json").exists():
                _clear(path, whole=is_new)
            if isinstance(error, OSError | sqlite3.Error):
                raise StoreError(f"run {path} cannot be written: {plain(error)}; nothing is left of it") from None
            raise


def refuse_existing(path: Path) -> None:
    """Refuse the name of a run that is there."""
    if (path / "manifest.json").exists():
        raise RunError(f"run {path.name!r} is there already and stays as it is; choose another --run")


def _clear(path: Path, *, whole: bool) -> None:
    names = ("run.sqlite", "run.sqlite-journal", "run.sqlite-wal", "run.sqlite-shm", "manifest.json.part")
    for name in (*names, "lock") if whole else names:
        (path / name).unlink(missing_ok=True)
    if whole:
        path.rmdir()
