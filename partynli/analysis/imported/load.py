"""Tables of others' answers into a run: one pass to learn who answered what, another one that writes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from partynli.analysis.imported.cells import check_file
from partynli.analysis.imported.participants import DIGEST, Cast, cast, natural
from partynli.analysis.imported.rows import ODD, Odd, Reader, Row
from partynli.errors import InputError
from partynli.hashing import content_hash
from partynli.items import Dataset
from partynli.labels import ERROR
from partynli.records import Item, Task
from partynli.store import Importing, JudgmentRow, importing, refuse_existing

_CHUNK = 4096
_HASHED_ITEMS = 100_000
_SOURCE = "import"


@dataclass(frozen=True)
class Imported:
    """What an import took in, and what it found odd."""

    files: tuple[tuple[str, int], ...]
    """Name and number of rows of each file."""
    n_judgments: int
    """Answers that were stored, missing data included."""
    n_errors: int
    """Those without a label: missing data."""
    synthetic: bool
    """Whether a column ``synthetic`` says that answers come from a simulation."""
    cast: Cast
    rows_of: Mapping[tuple[str, int], int]
    """Stored answers by participant id and trial."""
    n_items: int
    unknown: Mapping[str, int]
    """Rows by uid of the items that the dataset does not know, whose texts are empty therefore."""
    relisted: int
    """Rows that repeat, for another experiment, an answer that is there already."""
    incomplete: tuple[str, ...]
    """Trials of models that lack some of the items, said in words."""
    odd: Odd


@dataclass
class _Scan:
    """What the first pass learns."""

    digests: list[dict[int, int]]
    items: dict[str, int]
    """Rows by item."""
    n_rows: list[int]
    """Rows by file."""


def import_tables(
    paths: Sequence[Path], run: Path, task: Task, dataset: Dataset, provenance: Mapping[str, Any]
) -> Imported:
    """Make a run of tables in the form of the published PartyNLI data set.

    Memory does not grow with the number of rows, but with that of participants and items.

    Parameters
    ----------
    paths
        CSV or parquet files.
    run
        Folder of the run to be made.
    task
        Says which labels there are.
    dataset
        Knows the texts of the items.
    provenance
        What the manifest says besides the plan: when, and by which code.

    Raises
    ------
    InputError
        A file cannot be read, has another header, or nothing in them can be used.
    RunError
        The run is there already, or cannot be written.
    """
    refuse_existing(run)
    for path in paths:
        check_file(path)
    before = [_signature(path) for path in paths]
    files = [{"file": path.name, "sha256": _sha256(path)} for path in paths]
    reader = Reader(task)
    scan = _scan(reader, paths)
    odd, reader.odd = reader.odd, Odd()
    if not scan.items:
        raise InputError(f"nothing in {', '.join(map(str, paths))} can be used: {_reasons(odd)}")
    found = cast(reader.sources, scan.digests)
    items, unknown = _items(scan.items, dataset, task)
    trials = _trials(found, scan.digests, odd)
    imported: dict[str, Any] = {
        "files": [{**file, "rows": rows} for file, rows in zip(files, scan.n_rows, strict=True)],
    }
    manifest = {
        "schema": 1,
        "run": run.name,
        **provenance,
        "synthetic": reader.synthetic,
        "plan": _plan(task, found, trials, dataset.name, items),
        "task": asdict(task),
        "caps": {},
        "imported": imported,
    }
    with importing(run, manifest, found.participants, items, found.groups) as store:
        writing = _Writing(store, reader, found, odd)
        writing.write(paths)
        if before != [_signature(path) for path in paths]:
            raise InputError("a file was changed while it was read; nothing was imported")
        incomplete = _incomplete(writing.rows_of, found, len(items))
        imported["judgments"] = sum(writing.rows_of.values())
        imported["unknown_items"] = len(unknown)
        imported["odd"] = {kind: one.count for kind, one in odd.items()}
    return Imported(
        files=tuple((path.name, rows) for path, rows in zip(paths, scan.n_rows, strict=True)),
        n_judgments=sum(writing.rows_of.values()),
        n_errors=writing.n_errors,
        synthetic=reader.synthetic,
        cast=found,
        rows_of=writing.rows_of,
        n_items=len(items),
        unknown=unknown,
        relisted=writing.relisted,
        incomplete=incomplete,
        odd=odd,
    )


def _scan(reader: Reader, paths: Sequence[Path]) -> _Scan:
    scan = _Scan([], {}, [])
    digests, items = scan.digests, scan.items
    for path in paths:
        rows_before = reader.n_rows
        for _, source, item, trial, _, multi, explanation, _ in reader.rows(path):
            while source >= len(digests):
                digests.append({})
            answers = digests[source]
            answers[trial] = (answers.get(trial, 0) + hash((item, multi, explanation))) & DIGEST
            items[item] = items.get(item, 0) + 1
        scan.n_rows.append(reader.n_rows - rows_before)
    return scan


class _Writing:
    """The second pass."""

    def __init__(self, store: Importing, reader: Reader, found: Cast, odd: Odd) -> None:
        self.rows_of: dict[tuple[str, int], int] = {}
        self.n_errors = 0
        self.relisted = 0
        self._store = store
        self._reader = reader
        self._found = found
        self._odd = odd
        # the first 16 digits of an id tell participants apart; keys in the table's order make its index fast
        self._prefix = [f"import:{id_.partition(':')[2][:16]}:" for id_ in found.of_source]

    def write(self, paths: Sequence[Path]) -> None:
        for path in paths:
            rows = self._reader.rows(path)
            while chunk := list(islice(rows, _CHUNK)):
                self._write(path, chunk)

    def _write(self, path: Path, chunk: list[Row]) -> None:
        ids, prefixes = self._found.of_source, self._prefix
        judgments = []
        kept: dict[str, str] = {}
        for _, source, item, trial, simple, multi, said, extra in chunk:
            key = f"{prefixes[source]}{trial}:{item}"
            if extra is not None:
                kept.setdefault(key, extra)
            judgments.append(
                JudgmentRow(key, ids[source], item, trial, simple, multi, said or None, None, None, _SOURCE, _SOURCE)
            )
        self._count(judgments, 1)
        earlier = self._store.add(judgments, kept)
        self._count((judgments[place] for place, _, _ in earlier), -1)
        for place, multi, explanation in earlier:
            row, one = chunk[place], judgments[place]
            same = (multi, explanation) == (one.class_multi, one.explanation)
            if same and one.participant in self._found.shared:
                self.relisted += 1
                continue
            name = self._reader.sources[row.source].name
            what = f"{name[:40]}, item {row.item[:40]}, trial {row.trial}"
            difference = f": {one.class_multi} after {multi}" if multi != one.class_multi else ""
            self._odd.note("duplicate" if same else "conflict", f"{path.name}:{row.line} ({what}{difference})")

    def _count(self, judgments: Iterable[JudgmentRow], each: int) -> None:
        for one in judgments:
            block = (one.participant, one.trial)
            self.rows_of[block] = self.rows_of.get(block, 0) + each
            self.n_errors += each * (one.class_simple == ERROR)


def _items(rows_of: Mapping[str, int], dataset: Dataset, task: Task) -> tuple[list[Item], dict[str, int]]:
    """The table's items, those of the dataset first and in its order; and the rows of the items it does not know."""
    known = [item for item in dataset.items if item.uid in rows_of]
    uids = {item.uid for item in known}
    unknown = {uid: rows_of[uid] for uid in sorted(rows_of.keys() - uids, key=natural)}
    return [*known, *(Item(uid, dict.fromkeys(task.fields, "")) for uid in unknown)], unknown


def _trials(found: Cast, digests: Sequence[Mapping[int, int]], odd: Odd) -> list[int]:
    """Number of trials of each participant; those that are passed over are noted."""
    seen: dict[str, set[int]] = {one.id: set() for one in found.participants}
    for id_, answers in zip(found.of_source, digests, strict=True):
        seen[id_] |= answers.keys()
    for one in found.participants:
        if gaps := [str(number) for number in range(1, max(seen[one.id])) if number not in seen[one.id]]:
            listed = ", ".join(gaps[:5]) + (", ..." if len(gaps) > 5 else "")
            odd.note("gap", f"{one.name[:60]} has trial {max(seen[one.id])} and not {listed}")
    return [max(seen[one.id]) for one in found.participants]


def _plan(task: Task, found: Cast, trials: list[int], source: str, items: Sequence[Item]) -> dict[str, Any]:
    return {
        "task": task.name,
        "prompts": task.hashes,
        "reader": task.reader,
        "participants": [one.id for one in found.participants],
        "names": [one.name for one in found.participants],
        "trials": trials,
        "items": source,
        "items_hash": content_hash([[item.uid, dict(item.texts)] for item in items])
        if len(items) <= _HASHED_ITEMS
        else None,
        "n_items": len(items),
        "groups": {name: list(members) for name, members in found.groups.items()},
        "reasks": 0,
    }


def _incomplete(rows_of: Mapping[tuple[str, int], int], found: Cast, n_items: int) -> tuple[str, ...]:
    """Trials of models without all items; people answer a share of them by design."""
    names = {one.id: one.name for one in found.participants if one.provider != "human"}
    short = ((names[id_], trial, n) for (id_, trial), n in rows_of.items() if n < n_items and id_ in names)
    ordered = sorted(short, key=lambda one: (natural(one[0]), one[1]))
    return tuple(f"{name}, trial {trial}: {n:,} of {n_items:,}" for name, trial, n in ordered)


def _reasons(odd: Odd) -> str:
    reasons = (f"{one.count:,} with {ODD[kind].split(';')[0]} ({one.examples[0]})" for kind, one in odd.items())
    return ", ".join(reasons) or "there are no rows"


def _signature(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    return stat.st_size, stat.st_mtime_ns


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
