"""A run on disk: laid out once, read by everything that follows."""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from partynli.errors import PlanMismatchError, RunError, StoreError
from partynli.records import Batching, Item, Participant, Price, Serving
from partynli.store.batches import Batches
from partynli.store.database import connect, explained, hold, plain, transaction
from partynli.store.items import StoredItems, parsed, short
from partynli.store.layout import lay_out, remove_unfinished
from partynli.store.manifest import asks_more, comparable_plans, read_manifest, write_manifest
from partynli.store.rows import VERSION, Attempt, AttemptStatus, Judged, JudgmentRow, Outcome, Tally
from partynli.store.trials import StoredTrials

_TALLIES = """
SELECT participant, count(*), sum(valid), sum(NOT valid AND NOT drift AND rejected > ?), sum(drift AND NOT valid),
  sum(NOT valid AND NOT drift AND rejected <= ?), sum(answers > 1), sum(rejected), sum(failed),
  coalesce(sum(cost), 0.0), sum(unpriced), coalesce(sum(tokens_in), 0), coalesce(sum(tokens_out), 0)
FROM (
  SELECT participant, max(status = 'valid') AS valid, max(status = 'drift') AS drift,
    sum(status = 'rejected') AS rejected, sum(status = 'failed') AS failed, sum(status != 'failed') AS answers,
    sum(cost) AS cost, sum(cost IS NULL AND status != 'failed') AS unpriced, sum(tokens_in) AS tokens_in,
    sum(tokens_out) AS tokens_out
  FROM attempt GROUP BY trial_key)
GROUP BY participant
"""


class Run:
    """A run that exists on disk, open for reading.

    Use `Run.create`, `Run.open` or, to write attempts, `Run.sampling`.
    """

    def __init__(self, path: Path, *, write: bool = False) -> None:
        self.path = path
        self.manifest: Mapping[str, Any] = read_manifest(path)
        self._db = connect(self.database, write=write)
        with self._explained():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version != VERSION:
            self._db.close()
            raise RunError(
                f"{self.database} has schema {version}, this partynli reads {VERSION}; use the version in its manifest"
            )

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        return self.path.name

    @property
    def database(self) -> Path:
        """Path of the SQLite file."""
        return self.path / "run.sqlite"

    @classmethod
    def create(
        cls,
        path: Path,
        manifest: Mapping[str, Any],
        participants: Iterable[Participant],
        items: Iterable[Item],
        experiments: Mapping[str, Iterable[str]],
    ) -> None:
        """Lay out a new run; its manifest, written last, is what makes the folder a run.

        Parameters
        ----------
        path
            The folder, which must not hold a run yet.
        manifest
            What was planned and by which code.
        participants, items
            What the plan is made of, stored whole, so that `partynli resume` needs no registry and no dataset.
        experiments
            Names of the participants of each mix and experiment.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            remove_unfinished(path / "run.sqlite")
            with closing(connect(path / "run.sqlite", write=True, create=True)) as db, transaction(db):
                lay_out(db, participants, items, experiments)
            write_manifest(path, manifest)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"run {path} cannot be written: {plain(error)}") from None

    @classmethod
    @contextmanager
    def begin(
        cls,
        path: Path,
        manifest: Mapping[str, Any],
        participants: Iterable[Participant],
        items: Iterable[Item],
        experiments: Mapping[str, Iterable[str]],
    ) -> Iterator[Run]:
        """Open a run to add attempts, laid out first where it is new, and refused where it was made by another plan."""
        with hold(path):
            if not (path / "manifest.json").exists():
                cls.create(path, manifest, participants, items, experiments)
            with closing(cls(path, write=True)) as run:
                run.adopt(manifest)
                yield run

    @classmethod
    @contextmanager
    def sampling(cls, path: Path) -> Iterator[Run]:
        """Open a run to add attempts; a second process that asks for the same run is refused."""
        with hold(path), closing(cls(path, write=True)) as run:
            yield run

    @classmethod
    def open(cls, path: Path) -> Run:
        """Open a run to read; takes no lock, so a run that is being sampled can be read too."""
        return cls(path)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def adopt(self, manifest: Mapping[str, Any]) -> None:
        """Go on by this plan, which must be the run's own, or ask for more: more trials, a narrower width.

        Such a plan asks for all that the run's own asked for: the run is as if it had been begun with it.
        """
        plan, kept = manifest["plan"], self.manifest["plan"]
        before = {key: kept[key] for key in asks_more(kept, plan)}
        self.check_same_plan({**manifest, "plan": {**plan, **before}})
        if not before:
            return
        grown = [*self.manifest.get("grown", ()), {"before": before, "created": manifest.get("created")}]
        more = {key: plan[key] for key in before}
        try:
            write_manifest(self.path, {**self.manifest, "plan": {**kept, **more}, "grown": grown})
        except OSError as error:
            raise StoreError(f"run {self.path} cannot be written: {plain(error)}") from None
        self.manifest = read_manifest(self.path)

    def check_same_plan(self, manifest: Mapping[str, Any]) -> None:
        """Refuse to go on with another plan than the one that made the run."""
        old, new = comparable_plans(self.manifest, manifest)
        if changed := [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]:
            first, others = changed[0], f" (also: {', '.join(changed[1:])})" if changed[1:] else ""
            raise PlanMismatchError(
                f"run {self.name!r} was made by another plan: {first} was {short(old.get(first))}, "
                f"now {short(new.get(first))}{others}; nothing was changed. Choose another --run, or go on with it "
                f"as it was: partynli resume {self.name}"
            )
        if "imported" in self.manifest:
            raise PlanMismatchError(f"run {self.name!r} was imported and takes no new answers; choose another --run")

    def participants(self) -> dict[str, Participant]:
        """Participants by id, in the plan's order."""
        with self._explained():
            rows = self._db.execute("SELECT id, json FROM participant").fetchall()
        found = {id_: _participant(parsed(text, self.database), self.database) for id_, text in rows}
        order = self.manifest["plan"]["participants"]
        return {id_: found[id_] for id_ in order if id_ in found} | found

    def experiments(self) -> dict[str, list[str]]:
        """Participant ids by name of the mix or experiment."""
        members: dict[str, list[str]] = {}
        with self._explained():
            for name, participant in self._db.execute("SELECT name, participant FROM experiment"):
                members.setdefault(name, []).append(participant)
        return members

    @property
    def batches(self) -> Batches:
        """The batches that were sent for it."""
        return Batches(self._db, self.database)

    @property
    def trials(self) -> StoredTrials:
        """The trials that have a judgment, with all that is stored of them, read from the disk as they are needed."""
        return StoredTrials(self._db, self.database, list(self.participants()))

    @property
    def items(self) -> StoredItems:
        """The run's items, read from the disk as they are needed."""
        return StoredItems(self._db, self.database)

    def outcomes(self, keys: Sequence[str]) -> dict[str, Outcome]:
        """What is stored of some trials, by key; a trial that was never asked is not in it."""
        marks = ",".join("?" * len(keys))
        with self._explained():
            rows = self._db.execute(
                "SELECT trial_key, max(n), sum(status = 'rejected'), max(status IN ('valid', 'drift')) "
                f"FROM attempt WHERE trial_key IN ({marks}) GROUP BY trial_key",
                keys,
            )
            return {key: Outcome(n, rejected, bool(settled)) for key, n, rejected, settled in rows}

    @property
    def is_empty(self) -> bool:
        """Whether nothing was asked yet."""
        with self._explained():
            return self._db.execute("SELECT 1 FROM attempt LIMIT 1").fetchone() is None

    def tallies(self) -> dict[str, Tally]:
        """What is stored, by participant id; of an import without attempts, what it said of them."""
        if (said := self.meta("tallies")) is not None:
            return {one: Tally(**tally) for one, tally in parsed(said, self.database).items()}
        with self._explained():
            rows = self._db.execute(_TALLIES, [self.manifest["plan"]["reasks"]] * 2)
            return {row[0]: Tally(*row[1:]) for row in rows}

    def reasons(self, status: AttemptStatus | None = None) -> dict[str, dict[str, int]]:
        """How many attempts were rejected, failed or drifted (or only those of one kind), by participant and reason."""
        if (said := self.meta("reasons")) is not None:
            return parsed(said, self.database)
        found: dict[str, dict[str, int]] = {}
        with self._explained():
            rows = self._db.execute(
                "SELECT participant, coalesce(reason, status), count(*) FROM attempt "
                "WHERE status != 'valid' AND (? IS NULL OR status = ?) GROUP BY 1, 2",
                (status, status),
            )
            for participant, reason, count in rows:
                found.setdefault(participant, {})[reason] = count
        return found

    def label_counts(self) -> dict[str, dict[str, int]]:
        """Trials by participant id and single label, ``error`` included."""
        found: dict[str, dict[str, int]] = {}
        with self._explained():
            rows = self._db.execute("SELECT participant, class_simple, count(*) FROM judgment GROUP BY 1, 2")
            for participant, label, count in rows:
                found.setdefault(participant, {})[label] = count
        return found

    def judged(self, participants: Sequence[str], items: Sequence[str]) -> Judged:
        """Every judgment as one number, which the database puts together: three times as fast as rows of texts.

        Parameters
        ----------
        participants, items
            Ids and uids, whose positions the numbers hold.
        """
        with self._explained():
            self._db.execute("BEGIN")  # one state of the run, whoever writes meanwhile
            try:
                return self._judged(participants, items)
            except TypeError:
                raise StoreError(
                    f"{self.database}: judgments of an unknown participant or item; the file is damaged"
                ) from None
            finally:
                self._db.execute("ROLLBACK")  # and the positions are gone

    def _judged(self, participants: Sequence[str], items: Sequence[str]) -> Judged:
        db = self._db
        for name, texts in (("participant", participants), ("item", items)):
            db.execute(f"CREATE TEMP TABLE {name}_at (text TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID")
            db.executemany(f"INSERT INTO {name}_at VALUES (?, ?)", ((text, n) for n, text in enumerate(texts)))
        found = db.execute("SELECT DISTINCT class_multi, class_simple, trial FROM judgment").fetchall()
        labels = sorted({(multi, simple) for multi, simple, _ in found})
        n_trials = max((trial for *_, trial in found), default=0)
        db.execute("CREATE TEMP TABLE label_at (m TEXT, s TEXT, n INTEGER, PRIMARY KEY (m, s)) WITHOUT ROWID")
        db.executemany("INSERT INTO label_at VALUES (?, ?, ?)", ((*pair, n) for n, pair in enumerate(labels)))
        numbers = db.execute(
            "SELECT ((p.n * ? + i.n) * ? + j.trial - 1) * ? + l.n FROM judgment j "
            "LEFT JOIN participant_at p ON p.text = j.participant LEFT JOIN item_at i ON i.text = j.item "
            "LEFT JOIN label_at l ON l.m = j.class_multi AND l.s = j.class_simple",
            (len(items), n_trials, len(labels)),
        )
        return Judged(labels, n_trials, array("q", chain.from_iterable(numbers)))

    def judgments(self) -> Iterator[JudgmentRow]:
        """Every row of the table `judgment`, in no particular order."""
        with self._explained():
            rows = self._db.execute(f"SELECT {', '.join(JudgmentRow._fields)} FROM judgment")
            yield from map(JudgmentRow._make, rows)

    def texts(self, uids: Iterable[str]) -> dict[str, Mapping[str, str]]:
        """Texts of some items, by uid."""
        asked = list(uids)
        with self._explained():
            marks = ",".join("?" * len(asked))
            rows = self._db.execute(f"SELECT uid, json FROM item WHERE uid IN ({marks})", asked)
            return {uid: json.loads(text) for uid, text in rows}

    def explanations(self) -> Iterator[tuple[str, str, str]]:
        """Participant id, item uid and text of every explanation that is not empty."""
        with self._explained():
            yield from self._db.execute("SELECT participant, item, explanation FROM judgment WHERE explanation != ''")

    def item_uids(self) -> list[str]:
        """Uids of all items, in the run's order."""
        with self._explained():
            return [uid for (uid,) in self._db.execute("SELECT uid FROM item ORDER BY n")]

    @property
    def changes(self) -> int:
        """A number that is another one when somebody else has written to the run since it was last asked for."""
        with self._explained():
            return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def served(self) -> dict[str, tuple[str | None, str | None]]:
        """The model that gave each participant's first answer, and its fingerprint."""
        with self._explained():
            rows = self._db.execute(
                "SELECT participant, served_model, fingerprint FROM attempt WHERE id IN "
                "(SELECT min(id) FROM attempt WHERE served_model IS NOT NULL AND status != 'drift' "
                "GROUP BY participant)"
            )
            return {participant: (model, fingerprint) for participant, model, fingerprint in rows}

    def attempts(self, after: int = 0, status: AttemptStatus | None = None) -> list[tuple[int, Attempt]]:
        """The next attempts behind row `after`, at most 500, with their row ids, in the order of storing."""
        with self._explained():
            rows = self._db.execute(
                f"SELECT id, {', '.join(Attempt._fields)} FROM attempt "
                "WHERE id > ? AND (? IS NULL OR status = ?) ORDER BY id LIMIT 500",
                (after, status, status),
            ).fetchall()
        return [(row[0], Attempt(*row[1:])) for row in rows]

    def body(self, hash_: str) -> str:
        """A stored request or prompt."""
        with self._explained():
            row = self._db.execute("SELECT json FROM body WHERE hash = ?", (hash_,)).fetchone()
        if row is None:
            raise StoreError(f"{self.database} lacks the body {hash_}; the file is damaged")
        return str(row[0])

    def human(self) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
        """People's answers that an import brought: whose they are, and the rows; None where it brought none."""
        if (said := self.meta("human")) is None:
            return None
        with self._explained():
            rows = self._db.execute("SELECT json FROM human ORDER BY n").fetchall()
        return parsed(said, self.database), [parsed(text, self.database) for (text,) in rows]

    def meta(self, key: str) -> str | None:
        """A value of the table `meta`, or None."""
        with self._explained():
            row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def forget_judgments(self, reader: str) -> None:
        """Drop the derived judgments, for this version of a reader to derive them anew; imported ones stay."""
        with self._explained(), transaction(self._db):
            self._db.execute("DELETE FROM judgment WHERE source != 'import'")
            self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", [("reader", reader), ("judged", "0")])

    def add_judgments(self, rows: Iterable[JudgmentRow], upto: int) -> None:
        """Add derived judgments of the attempts up to row `upto`; a trial's first valid one stays."""
        marks = ",".join("?" * len(JudgmentRow._fields))
        with self._explained(), transaction(self._db):
            self._db.executemany(
                f"INSERT INTO judgment VALUES ({marks}) ON CONFLICT (trial_key) DO UPDATE SET "
                f"{', '.join(f'{column} = excluded.{column}' for column in JudgmentRow._fields[1:])} "
                "WHERE judgment.class_simple = 'error'",
                rows,
            )
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('judged', ?)", (str(upto),))

    def settle_drift(self, statuses: Iterable[tuple[int, AttemptStatus, str | None]]) -> None:
        """Take answers of a drifted model into the run after all; `statuses` are (row id, status, reason)."""
        with self._explained(), transaction(self._db):
            self._db.executemany(
                "UPDATE attempt SET status = ?, reason = ? WHERE id = ? AND status = 'drift'",
                ((status, reason, row) for row, status, reason in statuses),
            )
            self._db.execute("DELETE FROM meta WHERE key = 'reader'")  # the judgments are derived anew

    def _explained(self) -> AbstractContextManager[None]:
        return explained(self.database)


def _participant(stored: dict[str, Any], database: Path) -> Participant:
    try:
        price = stored.pop("price")
        serving = Serving.from_json(stored.pop("serving", {}))
        batch = stored.pop("batch", None)
        return Participant(**stored, price=price and Price(**price), serving=serving, batch=batch and Batching(**batch))
    except (KeyError, TypeError):
        raise StoreError(
            f"{database}: participant {stored.get('name')!r} is not stored as this partynli stores it; the file is "
            "damaged, or another version wrote it"
        ) from None
