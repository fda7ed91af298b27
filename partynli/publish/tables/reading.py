"""An exported folder made into a run again. Whoever wrote the folder, nothing in it is believed unseen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from partynli.errors import InputError
from partynli.hashing import canonical_json, content_hash, text_hash
from partynli.labels import ERROR, join_labels
from partynli.publish.tables.columns import JUDGMENTS, PARTICIPANTS, RAW, TALLY, human_columns, item_columns
from partynli.publish.tables.folder import MANIFEST, Export
from partynli.publish.tables.formats import Column, Row
from partynli.publish.tables.licences import base_name
from partynli.publish.tables.people import are_spans, is_answer
from partynli.records import Item, Participant, Price, Task
from partynli.store import Attempt, Importing, JudgmentRow, importing, refuse_existing, storable

_CHUNK = 2_000
_MAX_TRIAL = 10_000
_STATUS = ("valid", "rejected", "drift", "failed")
_SOURCE = "import"


@dataclass
class ReadBack:
    """What an export brought."""

    n_judgments: int = 0
    n_errors: int = 0
    """Judgments that are missing data."""
    n_participants: int = 0
    n_items: int = 0
    without_texts: int = 0
    """Items whose texts are neither in the export nor at hand."""
    n_attempts: int = 0
    """Attempts, with what was asked and answered; 0 where the export has none."""
    people: bool = False
    """Whether people's answers came with it."""


def import_export(
    export: Export, run: Path, task: Task, known: Iterable[Item], provenance: Mapping[str, Any]
) -> ReadBack:
    """Make a run of an export: with the same judgments, and to the last digit the same figures.

    Where the export has every attempt, so has the run, and all of it can be derived anew. Otherwise the judgments
    stand as they are, and what was spent is known by participant.

    Parameters
    ----------
    export
        As `read_manifest` gives it.
    run
        Folder of the run to be made.
    task
        As `task_in` reads it from the export.
    known
        Items whose texts may stand in for those that the export leaves out; those with other texts are left alone.
    provenance
        What the manifest says of the import: when, and by which code.

    Raises
    ------
    InputError
        A file was changed, or something in the export cannot be.
    RunError
        The run is there already, or cannot be written.
    """
    refuse_existing(run)
    export.verify()
    _check_columns(export, task)
    taking = _Taking(export, task, {item.uid: item.texts for item in known})
    participants = taking.participants()
    plan = taking.plan(participants)
    manifest = {
        **export.run,
        "run": run.name,
        "synthetic": export.synthetic or any(one.synthetic for one in participants),
        "imported": {
            **provenance,
            "export": "sha256:" + hashlib.sha256((export.path / MANIFEST).read_bytes()).hexdigest(),
            "before": export.run.get("imported"),
        },
    }
    with importing(run, manifest, participants, taking.items(), plan["groups"]) as store:
        taking.take_people(store)
        taking.take_judgments(store)
        taking.take_attempts(store)
    return taking.done


def task_in(export: Export) -> Task:
    """The task that an export's answers are answers to.

    Raises
    ------
    InputError
        The export says none that can be.
    """
    given = export.run.get("task")
    try:
        if not isinstance(given, dict):
            raise TypeError
        task = Task(**{**given, "labels": tuple(given["labels"]), "fields": tuple(given["fields"])})
        texts = (task.name, *task.labels, *task.fields, task.collapse_to, task.reader, task.system, task.user)
        marked = [*task.highlights, *task.highlights.values(), *task.answer, *task.answer.values()]
        fits = (
            all(isinstance(one, str) for one in (*texts, *marked))
            and isinstance(task.human, str | None)
            and isinstance(task.set_labels, bool)
            and isinstance(task.ordered, bool)
            and "label" in task.answer
            and task.collapse_to in task.labels
            and len(set(task.labels)) == len(task.labels)
            and not any(not label or "-" in label or label == ERROR for label in task.labels)
        )
    except (TypeError, KeyError, AttributeError):
        fits = False
    if not fits:
        raise InputError(f"{export.path / MANIFEST} holds no task that can be: it is damaged")
    return task


def _check_columns(export: Export, task: Task) -> None:
    """See that the tables that are read have the columns that they are read by."""
    wanted: dict[str, tuple[Column, ...]] = {
        "judgments": JUDGMENTS,
        "participants": PARTICIPANTS,
        "items": item_columns(task.fields),
        "human": human_columns(task.labels),
        "raw": RAW,
    }
    for config, columns in wanted.items():
        if config in export.configs:
            found = {(column.name, column.type) for column in export.columns(config)}
            if lacking := [column.name for column in columns if (column.name, column.type) not in found]:
                raise InputError(f"{export.path}: {config} has no column {lacking[0]!r} as this partynli writes it")
        elif config in ("judgments", "participants", "items"):
            raise InputError(f"{export.path} has no {config}: there is no run in it")
    if unknown := set(task.highlights.values()) - set(task.fields):
        raise InputError(
            f"{export.path / MANIFEST}: highlights of {min(unknown)[:40]!r}, which is no text of the items"
        )


@dataclass
class _Taking:
    """Takes an export apart, and checks all that a run is made of."""

    export: Export
    task: Task
    known: Mapping[str, Mapping[str, str]]
    done: ReadBack = field(default_factory=ReadBack)
    texts: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Texts by item; filled while the items are stored."""
    trials: dict[str, int] = field(default_factory=dict)
    """Trials that were planned, by participant id."""
    reader: str | None = None

    def wrong(self, config: str, what: str) -> InputError:
        """An error that says where in the export something cannot be."""
        return InputError(f"{self.export.path}, {config}: {what}; the export is damaged, nothing was imported")

    def participants(self) -> list[Participant]:
        """All participants, as they were declared."""
        found = [self._participant(row) for row in self.export.participants]
        if len({one.name for one in found}) < len(found):
            raise self.wrong("participants", "two have the same name")
        self.done.n_participants = len(found)
        return found

    def _participant(self, row: Row) -> Participant:
        try:
            price = None
            if row["price_as_of"] is not None:
                price = Price(row["price_input"], row["price_output"], row["price_as_of"])
            one = Participant(
                name=row["name"],
                **json.loads(row["declared"]),
                provider=row["provider"] or "",
                family=row["family"],
                price=price,
                max_output_tokens=row["max_output_tokens"],
            )
            is_same = text_hash(row["declared"]) == row["participant_id"] == one.id and _can_be(one)
        except (TypeError, ValueError, RecursionError, AttributeError):
            is_same = False
        if not is_same:
            raise self.wrong("participants", f"{str(row['name'])[:60]!r} is not what its hash says")
        return one

    def plan(self, participants: Iterable[Participant]) -> Mapping[str, Any]:
        """The plan, once it is seen to fit the participants."""
        plan: Any = self.export.run.get("plan")
        ids = {one.id for one in participants}
        try:
            self.trials = dict(zip(plan["participants"], plan["trials"], strict=True))
            fits = (
                self.trials.keys() == ids
                and all(type(n) is int and 0 <= n <= _MAX_TRIAL for n in self.trials.values())
                and all(isinstance(name, str) and set(members) <= ids for name, members in plan["groups"].items())
                and isinstance(plan["items"], str)
                and plan["items"] == base_name(plan["items"])
                and all(type(plan[name]) is int for name in ("n_items", "reasks"))
                and isinstance(self.export.run.get("registry"), dict | None)
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            fits = False
        if not fits:
            raise self.wrong(MANIFEST, "its plan does not fit its participants")
        found: Mapping[str, Any] = plan
        return found

    def items(self) -> Iterator[Item]:
        """All items, with their texts where those are in the export or known here."""
        names = [
            name for name, *_ in self.export.columns("items") if name not in ("sent_id", "content_hash", "dataset")
        ]
        nothing = dict.fromkeys(self.task.fields, "")
        for row in self.export.rows("items"):
            uid, hash_ = row["sent_id"], row["content_hash"]
            if not uid or uid in self.texts:
                raise self.wrong("items", f"two have the uid {str(uid)[:60]!r}, or none")
            given = {name: row[name] for name in names if row[name] is not None}
            texts = next(
                (one for one in (given, self.known.get(uid), nothing) if one and content_hash(dict(one)) == hash_), None
            )
            if texts is None and given:
                raise self.wrong("items", f"the texts of {uid[:60]!r} are not what their hash says")
            self.done.without_texts += texts is None
            self.texts[uid] = nothing if texts is None else texts
            yield Item(uid, self.texts[uid])
        self.done.n_items = len(self.texts)

    def take_people(self, store: Importing) -> None:
        """Store people's answers where they are in the export, or that there are none."""
        about = self.export.licences.get("human", {}).get("about")
        if about is None:
            return
        if not isinstance(about, dict) or any(
            not isinstance(about.get(key), str) for key in ("name", "licence", "source", "note")
        ):
            raise self.wrong(MANIFEST, "it does not say whose people's answers are")
        store.add_human(canonical_json(about), self._people())

    def _people(self) -> Iterator[str]:
        for row in self.export.rows("human"):
            if not is_answer(row, self.task.labels):
                raise self.wrong("human", f"no answer of people's to item {str(row['sent_id'])[:60]!r}")
            self.done.people = True
            yield canonical_json(row)

    def take_judgments(self, store: Importing) -> None:
        """Store the judgments; and where there are no attempts, what was spent."""
        has_raw = "raw" in self.export.configs
        rows = self.export.rows("judgments")
        while chunk := list(islice(rows, _CHUNK)):
            judgments = [self._judgment(row, has_raw) for row in chunk]
            kept = {row["trial_key"]: row["kept"] for row in chunk if row["kept"] is not None}
            if late := store.add(judgments, kept):
                raise self.wrong("judgments", f"two of the trial {judgments[late[0].place].trial_key[:80]!r}")
            self.done.n_judgments += len(judgments)
            self.done.n_errors += sum(one.class_simple == ERROR for one in judgments)
        if key := store.doubled():
            raise self.wrong("judgments", f"another one has participant, item and trial of {key[:80]!r}")
        tallies = {
            row["participant_id"]: self._tally(row) for row in self.export.participants if row["begun"] is not None
        }
        if tallies and not has_raw:
            store.note("tallies", canonical_json(tallies))
            reasons = {row["participant_id"]: self._reasons(row) for row in self.export.participants}
            store.note("reasons", canonical_json({one: found for one, found in reasons.items() if found}))

    def _judgment(self, row: Row, has_raw: bool) -> JudgmentRow:
        self._check_place("judgments", row)
        simple, multi = row["class_simple"], row["class_multi"]
        if (simple, multi) != (ERROR, ERROR):
            chosen = (multi or "").split("-")
            if (
                simple not in self.task.labels
                or not set(chosen) <= set(self.task.labels)
                or join_labels(chosen) != multi
            ):
                raise self.wrong("judgments", f"{str(simple)[:40]!r} and {str(multi)[:40]!r} are no labels of the task")
        if row["highlights"] is not None and not are_spans(row["highlights"]):
            raise self.wrong("judgments", f"the highlights of {row['trial_key'][:80]!r} cannot be read")
        if row["kept"] is not None and not _is_kept(row["kept"]):
            raise self.wrong("judgments", f"what is kept of {row['trial_key'][:80]!r} cannot be read")
        is_sampled = has_raw and bool(row["attempts"])
        if is_sampled:
            self.reader = row["reader"]
        return JudgmentRow(
            row["trial_key"],
            row["participant_id"],
            row["sent_id"],
            row["trial"],
            simple,
            multi,
            row["explanation"],
            self._with_texts(row),
            row["repair"],
            row["reader"],
            "sample" if is_sampled else _SOURCE,
        )

    def _with_texts(self, row: Row) -> str | None:
        """Highlights, with the stretches of the item's text that were left out."""
        written: str | None = row["highlights"]
        if written is None or "null" not in written:
            return written
        spans = json.loads(written)
        if all(text is not None for *_, text in spans):
            return written
        texts = self.texts[row["sent_id"]]
        spans = [
            [name, start, end, texts.get(name, "")[start:end] if text is None else text]
            for name, start, end, text in spans
        ]
        return storable(canonical_json(spans))

    def _check_place(self, config: str, row: Row) -> None:
        who, trial = row["participant_id"], row["trial"]
        if row["sent_id"] not in self.texts or who not in self.trials or not row["trial_key"]:
            raise self.wrong(config, f"an answer of nobody, or to no item: {str(row['trial_key'])[:80]!r}")
        if trial is None or not 1 <= trial <= self.trials[who]:
            raise self.wrong(config, f"trial {trial} of {str(row['name'])[:60]!r}, who has {self.trials[who]}")

    def _tally(self, row: Row) -> dict[str, int | float]:
        found = {name: row[name] for name in TALLY}
        if any(value is None or value < 0 for value in found.values()):
            raise self.wrong("participants", f"what was spent on {row['name'][:60]!r} cannot be")
        return found

    def _reasons(self, row: Row) -> dict[str, int]:
        try:
            found = json.loads(row["reasons"] or "{}")
            canonical_json(found).encode()  # half a surrogate pair is a ValueError
            if isinstance(found, dict) and all(type(count) is int for count in found.values()):
                return found
        except (ValueError, RecursionError):
            pass
        raise self.wrong("participants", f"the reasons of {row['name'][:60]!r} cannot be read")

    def take_attempts(self, store: Importing) -> None:
        """Store every attempt, where the export has them."""
        rows = self.export.rows("raw")
        while chunk := list(islice(rows, _CHUNK)):
            bodies: dict[str, str] = {}
            store.add_attempts([self._attempt(row, bodies) for row in chunk], bodies.items())
            self.done.n_attempts += len(chunk)
        if self.done.n_attempts:
            store.note("judged", str(self.done.n_attempts))
            store.note("reader", self.reader or "")

    def _attempt(self, row: Row, bodies: dict[str, str]) -> Attempt:
        self._check_place("raw", row)
        lacking = [name for name in ("n", "prompt", "request", "at") if row[name] is None]
        if lacking or row["status"] not in _STATUS:
            raise self.wrong("raw", f"an attempt without {', '.join(lacking) or 'a status'}")
        prompt, request = text_hash(row["prompt"]), text_hash(row["request"])
        bodies[prompt], bodies[request] = row["prompt"], row["request"]
        values = {
            **row,
            "participant": row["participant_id"],
            "item": row["sent_id"],
            "prompt": prompt,
            "body": request,
        }
        return Attempt._make(values[name] for name in Attempt._fields)


def _is_kept(given: str) -> bool:
    """Whether a text is a JSON object of texts, as a table's other columns are stored."""
    try:
        found = json.loads(given)
        canonical_json(found).encode()  # half a surrogate pair is a ValueError
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and all(isinstance(text, str) for text in found.values())


def _can_be(one: Participant) -> bool:
    """Whether what is declared has the types that other code relies on."""
    numbers = (one.size_b, one.params.get("temperature"), one.params.get("top_p"))
    return (
        all(number is None or type(number) in (int, float) for number in numbers)
        and all(isinstance(text, str) and text for text in (one.name, one.route, one.model))
        and (one.price is None or None not in (one.price.input, one.price.output))
    )
