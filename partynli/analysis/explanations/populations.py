"""Whose explanations are compared with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from partynli.analysis.explanations.texts import Explanations, IntArray
from partynli.analysis.groups import EVERYBODY, Group

Kind = Literal["human", "mix", "experiment", "participant", "worker"]
PEOPLE = "people"
"""Name of the population of all people."""


@dataclass(frozen=True)
class Population:
    """Writers whose explanations are one population.

    Attributes
    ----------
    name
        The mix's or experiment's, the participant's or worker's; `PEOPLE` for all people.
    kind
        ``human`` is all people, ``worker`` one of them.
    writers
        Positions in `Explanations.writers`.
    parts
        Rows of `Explanations` that are compared with each other: those of one trial of a mix or experiment, all trials
        of a participant, all of people. Texts of which nothing is left are not in them.
    n_texts
        Explanations, with those of which nothing is left.
    n_empty
        Those of which nothing is left.
    """

    name: str
    kind: Kind
    writers: tuple[int, ...]
    parts: tuple[IntArray, ...]
    n_texts: int
    n_empty: int

    @property
    def is_single(self) -> bool:
        """Whether it is one writer alone."""
        return self.kind in ("participant", "worker")


def populations_of(explanations: Explanations, groups: Sequence[Group]) -> tuple[Population, ...]:
    """All people, mixes, experiments, every participant, and every worker, in this order.

    Parameters
    ----------
    explanations
        Of the run and of people.
    groups
        Mixes and experiments, see `partynli.analysis.groups.groups_of`; groups of imported people are left out, since
        all people are a population already.

    Returns
    -------
    tuple of Population
        Without those that wrote nothing.
    """
    people = tuple(sorted(explanations.people))
    found = [_population(explanations, PEOPLE, "human", people)] if people else []
    for group in groups:
        if group.kind in ("mix", "experiment") and not explanations.people.issuperset(group.members):
            kind: Kind = "mix" if group.kind == "mix" else "experiment"
            found.append(_population(explanations, group.name, kind, group.members))
    for number, name in enumerate(explanations.writers):
        kind = "worker" if number in explanations.people else "participant"
        found.append(_population(explanations, name, kind, (number,)))
    return tuple(one for one in found if one.n_texts)


def _population(explanations: Explanations, name: str, kind: Kind, writers: tuple[int, ...]) -> Population:
    own = np.isin(explanations.writer, writers)
    said = np.flatnonzero(own & explanations.is_said)
    if kind in ("mix", "experiment"):
        trials = explanations.trial[said]
        parts = tuple(said[trials == trial] for trial in np.unique(trials)) or (said,)
    else:
        parts = (said,)
    n_texts = int(own.sum())
    return Population(name, kind, writers, parts, n_texts, n_texts - len(said))


def home_of(populations: Sequence[Population]) -> dict[int, Population]:
    """Among whose texts each writer's are looked at: people, the largest mix, an experiment, or else everybody."""
    homes: dict[int, Population] = {}
    together = [one for one in populations if not one.is_single]
    order = {"human": 0, "mix": 1, "experiment": 2}
    for one in sorted(together, key=lambda one: (one.name == EVERYBODY, order[one.kind], -len(one.writers), one.name)):
        for writer in one.writers:
            homes.setdefault(writer, one)
    return homes


def sets_of(explanations: Explanations, rows: IntArray, *, by_label: bool) -> list[IntArray]:
    """Explanations of one item (and one label): the rows that are in a set together, sets by item."""
    label = explanations.label[rows] if by_label else np.zeros(len(rows), dtype=np.int64)
    order = np.lexsort((rows, label, explanations.item[rows]))
    item, label = explanations.item[rows][order], label[order]
    first = np.flatnonzero((np.diff(item) != 0) | (np.diff(label) != 0)) + 1
    return np.split(rows[order], first) if len(rows) else []
