"""Items where models miss people beyond what the few votes on both sides explain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from partynli.aggregate import Answers
from partynli.analysis.figures import Counts
from partynli.analysis.groups import Group, first_answers
from partynli.analysis.resamples import generator
from partynli.metrics import item_differences, modal_label, probabilities, wasserstein

FALSE_DISCOVERY_RATE = 0.05
_DRAWS = 4000


@dataclass(frozen=True)
class Surprise:
    """One item on which a group differs from a human population."""

    group: str
    source: str
    uid: str
    q_value: float
    """p adjusted for the number of items (Benjamini and Hochberg 1995)."""
    p_value: float
    distance: float
    """Jensen-Shannon distance of the shares as observed."""
    distance_low: float
    distance_high: float
    """Bounds that hold the distance of the distributions behind the votes with probability 0.95."""
    human: tuple[int, ...]
    """Votes by label."""
    model: tuple[int, ...]
    human_label: str
    model_label: str
    moved: float | None = None
    """Wasserstein distance of the shares as observed; None where the labels have no order."""


def surprises_of(
    answers: Answers, groups: Sequence[Group], people: Mapping[str, Counts], seed: int
) -> tuple[list[Surprise], dict[tuple[str, str], tuple[int, int]]]:
    """List the items on which groups differ from people, at a false discovery rate of 0.05 in each list.

    A mix or experiment votes once a participant, in its first trial: answers of one participant to one item depend on
    each other, so that more trials would not be more votes.

    Returns
    -------
    tuple
        The items, the surest first in each list; and by (group, source) how many of how many comparable items differ.
    """
    found: list[Surprise] = []
    tally: dict[tuple[str, str], tuple[int, int]] = {}
    for group in groups:
        votes = first_votes(answers, group)
        for source, counts in people.items():
            rng = generator(seed, "items", group.name, source)
            seen = np.flatnonzero((votes.sum(-1) > 0) & (counts.sum(-1) > 0))
            if not len(seen):
                continue
            human, model = counts[seen], votes[seen]
            moved = wasserstein(probabilities(human), probabilities(model)).tolist() if answers.ordered else None
            test = item_differences(human, model, rng=rng, draws=_DRAWS, false_discovery_rate=FALSE_DISCOVERY_RATE)
            listed = np.flatnonzero(test.differs)
            tally[group.name, source] = len(listed), len(seen)
            modes = [modal_label(probabilities(x), answers.labels) for x in (human, model)]
            order = sorted(listed.tolist(), key=lambda k: (test.q_value[k], -test.distance[k], answers.items[seen[k]]))
            found += [
                Surprise(
                    group=group.name,
                    source=source,
                    uid=answers.items[seen[k]],
                    q_value=float(test.q_value[k]),
                    p_value=float(test.p_value[k]),
                    distance=float(test.distance[k]),
                    distance_low=float(test.distance_low[k]),
                    distance_high=float(test.distance_high[k]),
                    human=tuple(human[k].tolist()),
                    model=tuple(model[k].tolist()),
                    human_label=answers.labels[modes[0][k]],
                    model_label=answers.labels[modes[1][k]],
                    moved=moved[k] if moved else None,
                )
                for k in order
            ]
    return found, tally


def first_votes(answers: Answers, group: Group) -> Counts:
    """(I, K) votes of the members' first trials; of all trials for a single participant."""
    if group.kind == "participant":
        return answers.counts(group.members)
    codes = first_answers(answers, group.members)
    return np.stack([(codes == label).sum(axis=0) for label in range(len(answers.labels))], axis=-1)
