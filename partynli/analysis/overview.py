"""Everything that a report says of a run, in one record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from partynli.aggregate import Answers, people_of
from partynli.analysis.clones import Clones, clones_of
from partynli.analysis.groups import Group, groups_of
from partynli.analysis.honesty import Honesty, honesty_of
from partynli.analysis.scope import Choices, Scope, people_in, scope_of
from partynli.analysis.substitutes import AltTests, alt_tests
from partynli.errors import InputError
from partynli.items import Dataset


@dataclass(frozen=True)
class Overview:
    """A run's figures over all scopes that apply, and what they rest on."""

    run: str
    synthetic: bool
    labels: tuple[str, ...]
    choices: Choices
    scopes: tuple[Scope, ...]
    honesty: Mapping[str, tuple[Honesty, ...]]
    """By scope."""
    alt_tests: Mapping[str, AltTests]
    """By scope; a scope without known workers is not in it."""
    clones: tuple[Clones, ...]
    notes: tuple[str, ...]


def overview_of(
    run: str,
    answers: Answers,
    dataset: Dataset | None,
    scopes: Mapping[str, Sequence[str]],
    choices: Choices,
    *,
    mixes: Mapping[str, Sequence[str]] | None = None,
    explanations: Iterable[tuple[str, str, str, str]] = (),
    notes: Sequence[str] = (),
) -> Overview:
    """Compute all figures of a run.

    Parameters
    ----------
    run
        Its name.
    answers
        Of the run.
    dataset
        People's answers, or None.
    scopes
        Item uids by scope.
    choices
        Convention, draws and seed.
    mixes
        Participants' names by mix, from a registry; see `partynli.analysis.groups.groups_of`.
    explanations
        (participant, model, item, text), to find likely clones.
    notes
        What was found on the way here, one line each.

    Raises
    ------
    InputError
        If the run holds no answers.
    """
    groups, said = groups_of(answers, mixes)
    if not groups:
        raise InputError(f"run {run} holds no answers yet: there is nothing to report")
    found, honest, tests = [], {}, {}
    for name, uids in scopes.items():
        on = answers.on(sorted(uids))  # by uid: the order of the run's items changes nothing
        if not on.items:
            continue
        known = people_of(dataset, on)
        found.append(scope_of(name, on, groups, known, choices))
        people = next(iter(people_in(on, known)[0].items()), None)
        honest[name] = tuple(
            honesty_of(on, group, people, choices.convention, choices.seed) for group in distinct_groups(groups)
        )
        tested = alt_tests(on, groups, dataset, choices.seed) if dataset is not None else None
        if tested is not None:
            tests[name] = tested
    return Overview(
        run=run,
        synthetic=answers.synthetic,
        labels=answers.labels,
        choices=choices,
        scopes=tuple(found),
        honesty=honest,
        alt_tests=tests,
        clones=clones_of(explanations),
        notes=(*notes, *said),
    )


def distinct_groups(groups: Sequence[Group]) -> list[Group]:
    """Mixes and experiments of two participants or more, each set of members once."""
    found: dict[tuple[int, ...], Group] = {}
    for group in groups:
        if group.kind != "participant" and len(group.members) > 1:
            found.setdefault(tuple(sorted(group.members)), group)
    return list(found.values())
