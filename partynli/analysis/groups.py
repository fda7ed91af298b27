"""Which rows a report has: single participants, mixes, experiments, and all participants together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from partynli.aggregate import NOT_ASKED, Answers, Codes
from partynli.errors import InputError, unknown_name
from partynli.records import Participant

Kind = Literal["mix", "participant", "experiment", "null", "human"]

EVERYBODY = "run"
"""Name of the mix of all participants; people whose answers were imported as participants are not in it."""

MIN_TRIALS = 2
"""Trials from which a single participant is a group of raters of its own."""

_PERSON = "human"
"""Provider of imported answers that people gave."""

_UNCUT = 1.0
"""top-p and temperature at which nothing is changed, for grids that never leave a parameter unset."""


@dataclass(frozen=True)
class Group:
    """Raters who are compared as one population.

    Attributes
    ----------
    name
        The mix's or experiment's, or the participant's.
    kind
        In a mix or an experiment the members are the raters, trial by trial; a participant's raters are its trials.
    members
        Positions in `Answers.participants`, by name: their order in the run changes nothing.
    """

    name: str
    kind: Kind
    members: tuple[int, ...]


def groups_of(answers: Answers, mixes: Mapping[str, Sequence[str]] | None = None) -> tuple[list[Group], list[str]]:
    """All rows of a report.

    Parameters
    ----------
    answers
        Of the run.
    mixes
        Participants' names by mix, from a registry: such a mix is a row, too, if all its members are in the run.

    Returns
    -------
    tuple
        Mixes, the mix `run` of everybody, experiments (grids also cut into slices) and participants; and notes on what
        was left out, one line each.
    """
    there = [bool((codes != NOT_ASKED).any()) for codes in answers.simple]
    notes: list[str] = []
    named: list[Group] = []
    for name, members in _declared(answers, mixes or {}).items():
        absent = [answers.names[one] for one in members if not there[one]]
        if absent:
            notes.append(f"{name} is left out: no answers of {', '.join(absent)}")
        elif members:
            named.append(Group(name, _kind(name, members, answers.participants), _by_name(members, answers)))
    for group in [one for one in named if one.kind == "experiment"]:
        slices, said = _slices(group, answers.participants)
        named += [one for one in slices if one.name not in {other.name for other in named}]
        notes += said
    present = [one for one, is_there in enumerate(there) if is_there]
    models = [one for one in present if answers.participants[one].provider != _PERSON]
    groups = [one for one in named if one.kind == "mix"]
    if models:
        groups.append(Group(EVERYBODY, "mix", _by_name(models, answers)))
    if models and len(models) < len(present):
        notes.append(f"{EVERYBODY} leaves out {len(present) - len(models)} imported people")
    groups += [one for one in named if one.kind == "experiment"]
    groups += [
        Group(answers.names[one], "participant", (one,)) for one in present if trials_of(answers, [one]) >= MIN_TRIALS
    ]
    return groups, notes + _unequal(answers, groups)


def mixes_of(answers: Answers) -> list[Group]:
    """The run's mixes of models, all of its models among them; groups of people who were imported are left out."""
    people = {number for number, one in enumerate(answers.participants) if one.provider == _PERSON}
    return [group for group in groups_of(answers)[0] if group.kind == "mix" and not people.intersection(group.members)]


def largest_mix(answers: Answers) -> tuple[str, tuple[int, ...]]:
    """Name and members of the run's largest mix; several that are the largest, as hi and lo are, taken together."""
    mixes = mixes_of(answers)
    named = [group for group in mixes if group.name != EVERYBODY] or mixes
    most = max((len(group.members) for group in named), default=0)
    largest = sorted((group for group in named if len(group.members) == most), key=lambda group: group.name)
    members = dict.fromkeys(one for group in largest for one in group.members)
    return " + ".join(group.name for group in largest) or EVERYBODY, tuple(members)


def members_of(answers: Answers, name: str, run: str = "the run") -> tuple[int, ...]:
    """Participants of a mix or experiment by its name, or else the participant of that name.

    Raises
    ------
    InputError
        The run has no such group.
    """
    groups, _ = groups_of(answers)
    found = {group.name: group.members for group in reversed(groups)}  # participants come last and give way
    members = answers.groups.get(name) or found.get(name)
    if not members:
        raise InputError(unknown_name("group", name, {*found, *answers.groups}, run))
    return members


def trials_of(answers: Answers, members: Sequence[int]) -> int:
    """Number of trials in which any of these participants was asked."""
    asked = (answers.simple[list(members)] != NOT_ASKED).any(axis=(0, 2))
    return int(asked.sum())


def first_answers(answers: Answers, members: Sequence[int]) -> Codes:
    """(members, I) codes of each one's first trial: one label a rater, whichever trial of the run that is."""
    codes = answers.simple[list(members)]
    first = (codes != NOT_ASKED).any(axis=2).argmax(axis=1)
    found: Codes = codes[np.arange(len(codes)), first]
    return found


def _declared(answers: Answers, mixes: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, ...]]:
    position = {name: number for number, name in enumerate(answers.names)}
    declared = dict(answers.groups)
    for name, members in mixes.items():
        if name not in declared and members and all(member in position for member in members):
            declared[name] = tuple(position[member] for member in members)
    declared.pop(EVERYBODY, None)
    return declared


def _by_name(members: Iterable[int], answers: Answers) -> tuple[int, ...]:
    return tuple(sorted(set(members), key=lambda one: answers.names[one]))


def _kind(name: str, members: Sequence[int], participants: Sequence[Participant]) -> Kind:
    """``temperature:kimi-k2`` and ``size:qwen3`` are experiments, and so are variants of one model."""
    models = {participants[one].model for one in members}
    varied = {(_value(participants[one], "temperature"), _value(participants[one], "top_p")) for one in members}
    is_experiment = ":" in name or "ablation" in name or (len(models) == 1 and len(varied) > 1)
    return "experiment" if is_experiment else "mix"


def _value(participant: Participant, name: str) -> float | None:
    value = participant.params.get(name)
    return None if value is None else float(value)


def _slices(group: Group, participants: Sequence[Participant]) -> tuple[list[Group], list[str]]:
    """Cut a grid of temperature and top-p into one row for each: the other parameter unset."""
    slices: list[Group] = []
    notes: list[str] = []
    models: dict[str, list[int]] = {}
    for one in group.members:
        models.setdefault(participants[one].model, []).append(one)
    for model, members in models.items():
        values = {name: {_value(participants[one], name) for one in members} for name in ("temperature", "top_p")}
        if any(len(found) < 2 for found in values.values()):
            continue
        for name, other in (("temperature", "top_p"), ("top_p", "temperature")):
            fixed = next((value for value in (None, _UNCUT) if value in values[other]), "no such value")
            chosen = [
                one
                for one in members
                if _value(participants[one], other) == fixed and _value(participants[one], name) is not None
            ]
            if len(chosen) < 2:
                notes.append(f"{group.name}: no {name} slice of {model}, {other} is neither unset nor 1 in it")
                continue
            slice_name = f"{name}:{participants[chosen[0]].name.split('@')[0] if fixed is None else model}"
            slices.append(Group(slice_name, "experiment", tuple(chosen)))
            notes.append(f"{slice_name} is the slice of {group.name} with {other} {'unset' if fixed is None else '1'}")
    return slices, notes


def _unequal(answers: Answers, groups: Sequence[Group]) -> list[str]:
    """Say where participants of a group have unequal numbers of trials."""
    notes = []
    for group in groups:
        if group.kind == "participant":
            continue
        asked = (answers.simple[list(group.members)] != NOT_ASKED).any(axis=2)
        if (asked != asked[0]).any():
            of_trial = ", ".join(map(str, asked.sum(axis=0)[asked.any(axis=0)].tolist()))
            notes.append(
                f"{group.name}: participants have unequal numbers of trials; trial t uses those that have it "
                f"(participants by trial: {of_trial})"
            )
    return notes


def votes_of(answers: Answers, group: Group) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Valid answers of a group, population by population.

    Returns
    -------
    numpy.ndarray
        (T, I, K) counts: one population a trial, or all trials of a single participant as one.
    """
    if group.kind == "participant":
        return answers.counts(group.members)[None]
    asked = (answers.simple[list(group.members)] != NOT_ASKED).any(axis=(0, 2))
    return np.stack([answers.counts(group.members, int(trial)) for trial in np.flatnonzero(asked)])
