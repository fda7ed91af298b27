"""Kinds of reasoning that people and models share, and those that only one side gives (table 4's form)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from partynli.studies.reasons.material import Choice, Explanation, Material


@dataclass(frozen=True)
class Side:
    """What one side, people or models, said about one item, or about all."""

    labels: tuple[int, ...]
    """Votes by label, in the run's order."""
    written: int
    """Explanations that are not blank."""
    kinds: Mapping[str, int]
    """Explanations by category, for those that were coded; categories that do not occur are not in it."""

    @property
    def coded(self) -> int:
        """Explanations with a category."""
        return sum(self.kinds.values())


@dataclass(frozen=True)
class ItemKinds:
    """One item's kinds of reasoning."""

    choice: Choice
    people: Side
    models: Side

    @property
    def is_comparable(self) -> bool:
        """Whether explanations of both sides were coded; without, nothing is shared or given by one side only."""
        return bool(self.people.kinds and self.models.kinds)

    @property
    def shared(self) -> tuple[str, ...]:
        """Categories that occur on both sides."""
        return tuple(kind for kind in self.people.kinds if kind in self.models.kinds)

    @property
    def only_people(self) -> tuple[str, ...]:
        """Categories that occur among people's explanations only."""
        return tuple(kind for kind in self.people.kinds if kind not in self.models.kinds)

    @property
    def only_models(self) -> tuple[str, ...]:
        """Categories that occur among models' explanations only."""
        return tuple(kind for kind in self.models.kinds if kind not in self.people.kinds)


def count_kinds(
    material: Material, choices: Sequence[Choice], coded: Mapping[str, str], labels: Sequence[str]
) -> tuple[ItemKinds, ...]:
    """Count the categories of each chosen item.

    Parameters
    ----------
    material
        Of the run.
    choices
        Items.
    coded
        Categories by `Explanation.name`; explanations without one are counted as written and not coded.
    labels
        All categories, in the order in which they are listed.
    """
    of_item: dict[tuple[str, bool], list[Explanation]] = {}
    for one in material.explanations:
        of_item.setdefault((one.uid, one.is_human), []).append(one)
    position = {uid: number for number, uid in enumerate(material.texts)}
    rows = []
    for choice in choices:
        at = position[choice.uid]
        people, models = (
            _side(votes[at].tolist(), of_item.get((choice.uid, is_human), ()), coded, labels)
            for votes, is_human in ((material.people, True), (material.models, False))
        )
        rows.append(ItemKinds(choice, people, models))
    return tuple(rows)


def _side(
    votes: Iterable[int], explanations: Sequence[Explanation], coded: Mapping[str, str], labels: Sequence[str]
) -> Side:
    counts = Counter(coded[one.name] for one in explanations if one.name in coded)
    return Side(tuple(votes), len(explanations), {label: counts[label] for label in labels if counts[label]})


def kind_counts(items: Sequence[ItemKinds]) -> tuple[int, int, int]:
    """Kinds that are shared, only people's and only models', added up over items."""
    return (
        sum(len(one.shared) for one in items),
        sum(len(one.only_people) for one in items),
        sum(len(one.only_models) for one in items),
    )


def total(sides: Iterable[Side], labels: Sequence[str]) -> Side:
    """Several items' sides as one."""
    added = list(sides)
    kinds = {label: sum(one.kinds.get(label, 0) for one in added) for label in labels}
    return Side(
        labels=tuple(map(sum, zip(*(one.labels for one in added), strict=True))),
        written=sum(one.written for one in added),
        kinds={label: n for label, n in kinds.items() if n},
    )
