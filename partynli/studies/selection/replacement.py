"""Some of people's explanations replaced by a model's of the same label, or by noise, in nested steps.

The paper (Chen et al. 2025) replaces 25, 50, 75 and 100 % of them. Which ones, and what noise is, is not public: here a
seed puts each item's explanations in an order, of which the first quarter, half, ... are replaced, so that each step
holds those before it; noise is what people wrote for the same label of another item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from partynli.errors import InputError
from partynli.items.explanation_files import Explanation, Explanations

Source = Literal["human", "model", "noise"]
SHARES = (25, 50, 75, 100)
"""Percent of the explanations that are replaced."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An explanation in a set, and who wrote it."""

    explanation: Explanation
    source: Source


@dataclass(frozen=True)
class MixedSet:
    """Explanations of each item, in the order of people's."""

    of_item: Mapping[str, tuple[Placed, ...]]
    wanted: int
    """Explanations that were to be replaced."""

    @property
    def n(self) -> int:
        """All explanations."""
        return sum(map(len, self.of_item.values()))

    @property
    def replaced(self) -> int:
        """Those that were replaced: fewer than wanted where the model has none left of the label."""
        return sum(one.source != "human" for placed in self.of_item.values() for one in placed)


def replace_with_model(human: Explanations, model: Explanations, share: int, seed: int) -> MixedSet:
    """Replace people's explanations by a model's.

    The r-th of an item's explanations for a label is replaced by the model's r-th for that label; where the model has
    fewer, people's stays.

    Parameters
    ----------
    human, model
        Explanations by item; items that only the model explained are left out.
    share
        Percent of each item's explanations, rounded to whole ones.
    seed
        Of the order in which they are replaced.

    Raises
    ------
    InputError
        The share is none from 0 to 100, or the two have no item in common.

    Examples
    --------
    >>> people = {"1": (Explanation("true", "a"), Explanation("true", "b"))}
    >>> mixed = replace_with_model(people, {"1": (Explanation("true", "X"), Explanation("true", "Y"))}, 100, 0)
    >>> [one.explanation.text for one in mixed.of_item["1"]]
    ['X', 'Y']
    """
    if not human.keys() & model.keys():
        raise InputError("people and the model explained no item in common")
    return _mixed(human, {uid: _in_turn(human[uid], model.get(uid, ())) for uid in human}, "model", share, seed)


def replace_with_noise(human: Explanations, share: int, seed: int) -> MixedSet:
    """Replace people's explanations by what people wrote for the same label of another item.

    Parameters
    ----------
    human
        Explanations by item.
    share
        Percent of each item's explanations, rounded to whole ones.
    seed
        Of the order in which they are replaced, the same as for `replace_with_model`, and of the noise.

    Raises
    ------
    InputError
        The share is none from 0 to 100.
    """
    of_label: dict[str, list[tuple[str, Explanation]]] = {}
    for uid, explanations in human.items():
        for one in explanations:
            of_label.setdefault(one.label, []).append((uid, one))
    noise = {uid: _noise(uid, explanations, of_label, seed) for uid, explanations in human.items()}
    return _mixed(human, noise, "noise", share, seed)


def _mixed(
    human: Explanations,
    substitutes: Mapping[str, Sequence[Explanation | None]],
    source: Source,
    share: int,
    seed: int,
) -> MixedSet:
    if not 0 <= share <= 100:
        raise InputError(f"a share is a percentage from 0 to 100, not {share}")
    mixed: dict[str, tuple[Placed, ...]] = {}
    wanted = 0
    for uid, explanations in human.items():
        order = list(range(len(explanations)))
        Random(f"{seed}/order/{uid}").shuffle(order)
        chosen = set(order[: (share * len(order) + 50) // 100])
        wanted += len(chosen)
        mixed[uid] = tuple(
            Placed(new, source) if k in chosen and (new := substitutes[uid][k]) is not None else Placed(one, "human")
            for k, one in enumerate(explanations)
        )
    return MixedSet(mixed, wanted)


def _in_turn(human: Sequence[Explanation], model: Sequence[Explanation]) -> list[Explanation | None]:
    """For each of people's explanations, the model's of the same label and turn."""
    left: dict[str, list[Explanation]] = {}
    for one in model:
        left.setdefault(one.label, []).append(one)
    return [left[one.label].pop(0) if left.get(one.label) else None for one in human]


def _noise(
    uid: str, explanations: Sequence[Explanation], of_label: Mapping[str, Sequence[tuple[str, Explanation]]], seed: int
) -> list[Explanation | None]:
    """For each explanation, one for the same label of another item, none of them twice while there are others."""
    drawn: list[Explanation | None] = []
    for k, one in enumerate(explanations):
        foreign = [other for at, other in of_label[one.label] if at != uid]
        fresh = [other for other in foreign if other not in drawn]
        pool = fresh or foreign
        drawn.append(Random(f"{seed}/noise/{uid}/{k}").choice(pool) if pool else None)
    return drawn
