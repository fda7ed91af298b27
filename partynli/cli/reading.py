"""How commands read a run: judgments brought up to date, and the people's data beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from partynli.aggregate import NOT_ASKED, Answers, load_answers
from partynli.analysis.label_use import is_person
from partynli.analysis.scope import scopes_of
from partynli.cli.latest import answers_so_far
from partynli.derive import derive_judgments
from partynli.errors import InputError, ItemsError, RunLockedError, StoreError
from partynli.items import DATASETS, Dataset, load_dataset
from partynli.items.table import SUFFIXES, human_columns
from partynli.judgments import reader_for
from partynli.prompts import task_of
from partynli.publish.tables.licences import base_name
from partynli.publish.tables.people import carried_people
from partynli.records import Task
from partynli.sampling.plan import width_of
from partynli.store import Run, Tally

_NAMED = 5
"""Items that a note names; the others are counted."""


class Reading(NamedTuple):
    """What a command reads of a run."""

    answers: Answers
    manifest: Mapping[str, Any]
    dataset: Dataset | None
    """People's answers to the run's items; None where there are none, and a note says why."""
    notes: tuple[str, ...]
    """What the person should know: stale judgments, missing human data, unknown items. One line each, untrusted."""
    tallies: Mapping[str, Tally]
    """What is stored, by participant id; empty for a participant whose answers were imported."""


def answers_of(path: Path) -> Reading:
    """Read a run, its judgments brought up to its answers first.

    Parameters
    ----------
    path
        Folder of the run.

    Returns
    -------
    Reading
        Answers, manifest, the human dataset or None, and notes.

    Raises
    ------
    RunError
        The run cannot be read.
    """
    notes = [note] if (note := _bring_up_to_date(path)) else []
    with Run.open(path) as run:
        task = task_of(run.manifest)
        answers = answers_so_far(run, task) if note else load_answers(run, task)
        tallies = run.tallies()
        manifest = run.manifest
        carried = carried_people(run, task.labels)
    if (width := width_of(manifest["plan"])) is not None:
        notes.append(_stopped_early(answers, width))
    else:
        notes += _lacking(answers)
    dataset, more = _human(task, str(manifest["plan"].get("items", "")), answers.items, carried)
    return Reading(answers, manifest, dataset, (*notes, *more), tallies)


def evened(reading: Reading) -> Reading:
    """The same reading with no more trials than every item has, where a run stopped early item by item.

    A figure is averaged over trials, and later trials hold open items only: with them it would tell of those.
    """
    if width_of(reading.manifest["plan"]) is None:
        return reading
    answers = reading.answers
    full = (answers.simple != NOT_ASKED).any(axis=0).all(axis=1)
    through = int(full.cumprod().sum())
    kept = max(1, through)
    even = replace(answers, simple=answers.simple[:, :kept], multi=answers.multi[:, :kept])
    left = int((answers.simple[:, kept:] != NOT_ASKED).sum())
    whose = "all items have" if through else "not all items have yet"
    note = f"figures are of {trials_upto(kept)}, which {whose}; {left:,} answers to open items are left out"
    return reading._replace(answers=even, notes=(*reading.notes, note, *_lacking(even)))


def trials_upto(last: int) -> str:
    """The first trials, in words.

    >>> trials_upto(1), trials_upto(3)
    ('trial 1', 'trials 1 to 3')
    """
    return "trial 1" if last == 1 else f"trials 1 to {last}"


def _stopped_early(answers: Answers, width: float) -> str:
    valid = (answers.simple >= 0).sum(axis=(0, 1))
    least, middle, most = np.quantile(valid, [0, 0.5, 1]) if valid.size else (0, 0, 0)
    return (
        f"items were settled one by one (--until-ci {width:g}): {least:,.0f} to {most:,.0f} answers an item, "
        f"median {middle:,.0f}"
    )


def _lacking(answers: Answers) -> list[str]:
    """Tell of models' trials that were asked on some of the items only, as those of a run that was stopped."""
    of_models = [one for one in range(len(answers.participants)) if not is_person(answers, one)]
    held = (answers.simple[of_models] != NOT_ASKED).sum(axis=2)
    held = held[held > 0]
    some, n = held[held < len(answers.items)], len(answers.items)
    if not len(some):
        return []
    span = f"{some.min():,}" if some.min() == some.max() else f"{some.min():,} to {some.max():,}"
    return [
        f"participants' trials that lack items: {len(some):,} of {len(held):,}, which hold {span} of {n:,}; a trial's "
        "figures are of the items that it has, and all trials count the same"
    ]


def pick_scope(reading: Reading, name: str | None) -> tuple[str, tuple[str, ...]]:
    """A scope by its name, the first that applies where none is named; and its items.

    Raises
    ------
    InputError
        The run has no such scope.
    """
    scopes = scopes_of(reading.answers, reading.dataset) | {"all": reading.answers.items}
    chosen = name or next(iter(scopes))
    if chosen not in scopes:
        why = f" ({'; '.join(reading.notes)})" if reading.notes else ""
        raise InputError(f"--scope {chosen!r} does not apply to this run; there is {', '.join(scopes)}{why}")
    return chosen, scopes[chosen]


def _bring_up_to_date(path: Path) -> str | None:
    """Derive what is not derived yet; returns why it could not be."""
    with Run.open(path) as run:
        task = task_of(run.manifest)
        if _is_up_to_date(run, task):
            return None
    try:
        with Run.sampling(path) as run:
            derive_judgments(run, task)
    except RunLockedError:
        return f"run {path.name} is held by another process, which may be sampling: figures are of the answers so far"
    except StoreError as error:
        return f"answers were read for this output alone, and cannot be stored as judgments: {error}"
    return None


def _is_up_to_date(run: Run, task: Task) -> bool:
    _, version = reader_for(task)
    return run.is_empty or (run.meta("reader") == version and not run.attempts(after=int(run.meta("judged") or 0)))


def _human(task: Task, source: str, items: Sequence[str], carried: Dataset | None) -> tuple[Dataset | None, list[str]]:
    """What people answered to these items, and what is missing of it.

    That came with an imported run, or is in the items' own source where it has people's answers, else in the task's
    dataset of them.
    """
    is_tasks = carried is not None and carried.name == task.human
    dataset, notes = _own_human(task, source, items, None if is_tasks else carried)
    if dataset is not None:
        return dataset, notes
    if source == "demo":  # nothing to look up, and nothing to download on a first try
        return None, [*notes, "no human data: nobody has annotated the demo items"]
    beside = ""
    if source.lower().endswith(SUFFIXES) and not notes:
        beside = f"{base_name(source)} has no columns {', '.join(human_columns(task.labels))}, and "
    if task.human is None:
        return None, [*notes, f"no human data: {beside}task {task.name} names no dataset of people's answers"]
    try:
        dataset = carried if is_tasks and carried else load_dataset(task.human, task.fields, task.labels)
    except ItemsError as error:
        return None, [*notes, f"no human data: {beside}{error}"]
    if dataset.withheld:
        return None, [*notes, f"no human data: {dataset.withheld}"]
    unknown = _unanswered(dataset, items)
    if len(unknown) == len(items):
        return None, [*notes, f"no human data: {beside}none of the run's {len(items):,} items is in {dataset.name}"]
    if unknown:
        notes.append(f"{len(unknown):,} of {len(items):,} items are not in {dataset.name}: {shortened(unknown)}")
    return dataset, notes


def _own_human(
    task: Task, source: str, items: Sequence[str], carried: Dataset | None
) -> tuple[Dataset | None, list[str]]:
    """The same from the items' own source, which the run names or carries; None where it has no people's answers."""
    if source == task.human or not (source in DATASETS or source.lower().endswith(SUFFIXES)):
        return None, []
    try:
        dataset = load_dataset(source, task.fields, task.labels) if carried is None else carried
        if not dataset.distributions:
            return None, [dataset.withheld] if dataset.withheld else []
    except ItemsError as error:
        return None, [f"people's counts that may stand beside the items cannot be read: {error}"]
    unanswered = _unanswered(dataset, items)
    if len(unanswered) == len(items):
        return None, [f"none of the run's {len(items):,} items has people's counts in {dataset.name}: it was changed"]
    if unanswered:
        named = shortened(unanswered)
        known = f"{len(unanswered):,} of {len(items):,} items have no people's counts in {base_name(source)}"
        return dataset, [f"{known}: {named}"]
    return dataset, []


def _unanswered(dataset: Dataset, items: Sequence[str]) -> list[str]:
    known = {uid for source in dataset.distributions.values() for uid in source}
    return [uid for uid in items if uid not in known]


def shortened(names: Sequence[str]) -> str:
    """The first names of many, and the number of the others.

    >>> shortened(["a", "b"]), shortened(["a", "b", "c", "d", "e", "f", "g"])
    ('a, b', 'a, b, c, d, e and 2 more')
    """
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
