"""The files of a new run: its tables, filled with what is known before the first answer."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from partynli.errors import StoreError
from partynli.hashing import canonical_json
from partynli.records import Item, Participant
from partynli.store.database import connect
from partynli.store.rows import SCHEMA


def lay_out(
    db: sqlite3.Connection,
    participants: Iterable[Participant],
    items: Iterable[Item],
    experiments: Mapping[str, Iterable[str]],
) -> None:
    """Make the tables, and store who takes part and what is annotated."""
    for statement in SCHEMA.split(";"):
        db.execute(statement)
    db.executemany(
        "INSERT INTO participant VALUES (?, ?, ?)",
        ((one.id, one.name, canonical_json(asdict(one))) for one in participants),
    )
    db.executemany(
        "INSERT INTO item (uid, json) VALUES (?, ?)",
        # in their own order, which a simulated participant's opinion follows: a run that is resumed goes on as it began
        ((item.uid, json.dumps(dict(item.texts), ensure_ascii=False)) for item in items),
    )
    db.executemany(
        "INSERT INTO experiment VALUES (?, ?)",
        ((name, one) for name, members in experiments.items() for one in members),
    )


def remove_unfinished(database: Path) -> None:
    """Remove what a creation that was cut short left. Without a manifest it holds no answers; if it does, it stays."""
    if database.exists():
        with closing(connect(database, write=True)) as db:
            begun = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'attempt'").fetchone()
            if begun and db.execute("SELECT 1 FROM attempt LIMIT 1").fetchone():
                raise StoreError(
                    f"{database} holds answers, but the manifest.json beside it is gone; nothing was changed. "
                    "Put it back, or choose another --run"
                )
    for suffix in ("", "-wal", "-shm", "-journal"):  # a log that is left behind would be played into the new file
        database.with_name(database.name + suffix).unlink(missing_ok=True)
