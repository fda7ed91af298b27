"""Vectors of texts, kept in the run by model and text, so that none is computed or bought twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from partynli.errors import StoreError
from partynli.store.database import connect, explained, hold, transaction

_AT_ONCE = 500


class KeptVectors:
    """The table `embedding` of a run.

    Reading takes no lock. Writing takes the run's lock for a moment, so that a run that is being sampled, or that lies
    where nothing can be written, is left alone.

    Parameters
    ----------
    path
        Folder of the run.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = path / "run.sqlite"

    def get(self, model: str, hashes: Sequence[str]) -> dict[str, bytes]:
        """Vectors that are kept, by the hash of their text; those that are not are left out."""
        found: dict[str, bytes] = {}
        with explained(self._database), closing(connect(self._database)) as db:
            for start in range(0, len(hashes), _AT_ONCE):
                some = hashes[start : start + _AT_ONCE]
                marks = ",".join("?" * len(some))
                rows = db.execute(
                    f"SELECT text, vector FROM embedding WHERE model = ? AND text IN ({marks})", (model, *some)
                )
                found.update(rows)
        return found

    def put(self, model: str, vectors: Mapping[str, bytes]) -> None:
        """Keep vectors, all or none.

        Raises
        ------
        RunLockedError
            The run is being sampled.
        StoreError
            Nothing can be written there.
        """
        rows = [(model, text, vector) for text, vector in vectors.items()]
        if not self._database.exists():
            raise StoreError(f"{self._database} is not there")
        with (
            hold(self._path),
            explained(self._database),
            closing(connect(self._database, write=True)) as db,
            transaction(db),
        ):
            db.executemany("INSERT OR REPLACE INTO embedding VALUES (?, ?, ?)", rows)
