"""How commands read a run: judgments brought up to date, the people's data beside them, and the scopes of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from partynli.aggregate import Answers, load_answers
from partynli.analysis.groups import EVERYBODY, Group, groups_of
from partynli.cli.sample import task_from
from partynli.derive import derive_judgments
from partynli.errors import InputError, ItemsError, RunLockedError, StoreError, unknown_name
from partynli.items import DATASETS, Dataset, load_dataset
from partynli.items.table import SUFFIXES
from partynli.judgments import reader_for
from partynli.records import Task
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
        task = task_from(run.manifest)
        answers = load_answers(run, task)
        tallies = run.tallies()
        manifest = run.manifest
    dataset, more = _human(task, str(manifest["plan"].get("items", "")), answers.items)
    return Reading(answers, manifest, dataset, (*notes, *more), tallies)


def scopes_of(answers: Answers, dataset: Dataset | None) -> dict[str, tuple[str, ...]]:
    """The sets of items that figures are given for, by name.

    ``common50``: the run's items that all sources of LiveNLI know (LiveNLI, ChaosNLI and MNLI: 50 of its 122 items).
    ``all122``: the run's items that LiveNLI knows. ``all``: every item of the run, where LiveNLI does not know them
    all. A scope without items is left out, but for ``all``.
    """
    if dataset is None or dataset.name != "livenli":
        return {"all": answers.items}
    sources = list(dataset.distributions.values())
    common = tuple(uid for uid in answers.items if all(uid in source for source in sources))
    known = tuple(uid for uid in answers.items if uid in dataset.distributions["livenli"])
    scopes = {name: uids for name, uids in (("common50", common), ("all122", known)) if uids}
    return scopes if len(known) == len(answers.items) and scopes else scopes | {"all": answers.items}


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


def pick_group(answers: Answers, name: str | None) -> tuple[str, tuple[int, ...]]:
    """Participants of a mix or experiment by its name; where none is named, of the largest mix.

    Where several mixes are the largest, as hi and lo are, they are taken together.

    Raises
    ------
    InputError
        The run has no such group.
    """
    if name is not None:
        return name, group_members(answers, name)
    groups = {group.name: group for group in groups_of(answers)[0]}
    mixes = [group for group in mixes_of(answers) if group.name != EVERYBODY]
    if not mixes:
        return EVERYBODY, groups[EVERYBODY].members if EVERYBODY in groups else ()
    most = max(len(group.members) for group in mixes)
    largest = sorted((group for group in mixes if len(group.members) == most), key=lambda group: group.name)
    return " + ".join(group.name for group in largest), tuple({one for group in largest for one in group.members})


def mixes_of(answers: Answers) -> list[Group]:
    """The run's mixes of models, all of its models among them; groups of people who were imported are left out."""
    people = {number for number, one in enumerate(answers.participants) if one.provider == "human"}
    return [group for group in groups_of(answers)[0] if group.kind == "mix" and not people.intersection(group.members)]


def group_members(answers: Answers, name: str, run: str = "the run") -> tuple[int, ...]:
    """Participants of a mix or experiment by its name, or the participant of that name.

    Raises
    ------
    InputError
        The run has no such group.
    """
    groups = {group.name: group.members for group in groups_of(answers)[0]}
    members = groups.get(name) or answers.groups.get(name)
    if not members:
        raise InputError(unknown_name("group", name, {*groups, *answers.groups}, run))
    return tuple(members)


def figure_name(metric: str) -> str:
    """How a figure is called in a table's row."""
    return {"js_distance": "JS distance", "kendall_tau": "Kendall's τ"}.get(metric, metric)


def rounded(value: Any, digits: int = 3) -> str:
    """A figure for a table; a dash where it is undefined.

    >>> rounded(0.12345), rounded(float("nan")), rounded(-0.0001)
    ('0.123', '–', '0.000')
    """
    number = float(value)
    if not isfinite(number):
        return "–"
    text = f"{number:.{digits}f}"
    return text.removeprefix("-") if not float(text) else text


def _bring_up_to_date(path: Path) -> str | None:
    """Derive what is not derived yet; returns why it could not be."""
    with Run.open(path) as run:
        task = task_from(run.manifest)
        if _is_up_to_date(run, task):
            return None
    try:
        with Run.sampling(path) as run:
            derive_judgments(run, task)
    except RunLockedError:
        return f"run {path.name} is held by another process, which may be sampling: figures are of what was read so far"
    except StoreError as error:
        return f"judgments are as they were stored and may lack answers or be an older reader's: {error}"
    return None


def _is_up_to_date(run: Run, task: Task) -> bool:
    _, version = reader_for(task)
    return run.is_empty or (run.meta("reader") == version and not run.attempts(after=int(run.meta("judged") or 0)))


def _human(task: Task, source: str, items: Sequence[str]) -> tuple[Dataset | None, list[str]]:
    """What people answered to these items, and what is missing of it.

    That is in the items' own source where it has people's answers, else in the task's dataset of them.
    """
    dataset, notes = _own_human(task, source, items)
    if dataset is not None:
        return dataset, notes
    if task.human is None:
        return None, [*notes, f"no human data: task {task.name} names no dataset of people's answers"]
    try:
        dataset = load_dataset(task.human, task.fields, task.labels)
    except ItemsError as error:
        return None, [*notes, f"no human data: {error}"]
    unknown = _unanswered(dataset, items)
    if len(unknown) == len(items):
        return None, [*notes, f"no human data: none of the run's {len(items):,} items is in {dataset.name}"]
    if unknown:
        notes.append(f"{len(unknown):,} of {len(items):,} items are not in {dataset.name}: {shortened(unknown)}")
    return dataset, notes


def _own_human(task: Task, source: str, items: Sequence[str]) -> tuple[Dataset | None, list[str]]:
    """The same from the items' own source, which the run names; None where it has no people's answers."""
    if source == task.human or not (source in DATASETS or source.lower().endswith(SUFFIXES)):
        return None, []
    try:
        dataset = load_dataset(source, task.fields, task.labels)
        if not dataset.distributions:
            return None, []
    except ItemsError as error:
        return None, [f"people's counts that may stand beside the items cannot be read: {error}"]
    unanswered = _unanswered(dataset, items)
    if len(unanswered) == len(items):
        return None, [f"none of the run's {len(items):,} items has people's counts in {dataset.name}: it was changed"]
    if unanswered:
        named = shortened(unanswered)
        return dataset, [f"{len(unanswered):,} of {len(items):,} items have no people's counts in {source}: {named}"]
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
