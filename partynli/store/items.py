"""Items of a run, read from its database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from partynli.errors import StoreError
from partynli.hashing import canonical_json
from partynli.records import Item
from partynli.store.database import explained


class StoredItems:
    """Items of a run, read in chunks: as many as there are, in little memory."""

    def __init__(self, db: sqlite3.Connection, database: Path) -> None:
        self._db = db
        self._database = database

    def __len__(self) -> int:
        with explained(self._database):
            return int(self._db.execute("SELECT count(*) FROM item").fetchone()[0])

    def __iter__(self) -> Iterator[Item]:
        last = 0
        while rows := self._next(last):
            for _, uid, text in rows:
                yield Item(uid, parsed(text, self._database))
            last = rows[-1][0]

    def _next(self, last: int) -> list[tuple[int, str, str]]:
        with explained(self._database):
            return self._db.execute(
                "SELECT n, uid, json FROM item WHERE n > ? ORDER BY n LIMIT 200", (last,)
            ).fetchall()


def parsed(text: str, database: Path) -> dict[str, Any]:
    """A JSON object of a run's database."""
    try:
        return dict(json.loads(text))
    except (TypeError, ValueError):
        raise StoreError(f"{database}: {short(text)} is no JSON object; the file is damaged") from None


def short(value: object) -> str:
    """A value for a message, not longer than it bears; a number that is the same for everybody stands once.

    >>> short([5, 5, 5]), short([5, 1])
    ('5 each', '[5,1]')
    """
    if isinstance(value, list) and len({canonical_json(one) for one in value}) == 1 and isinstance(value[0], int):
        return f"{value[0]} each"
    text = canonical_json(value)
    return text if len(text) <= 60 else text[:57] + "..."
