"""Participants who may be one and the same model: they give the same explanations, word for word.

Equal labels say little: two models that always answer "either" agree on nearly all items and are no clones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

_MIN_WORDS = 5
"""Shorter explanations can be equal by chance."""
_MIN_ITEMS = 3
_MIN_SHARE = 0.1


@dataclass(frozen=True)
class Clones:
    """Two participants of different models with equal explanations."""

    first: str
    second: str
    items: int
    """Items on which an explanation of the one is, but for case and spaces, an explanation of the other."""
    of: int
    """Items that both explained."""


def clones_of(explanations: Iterable[tuple[str, str, str, str]]) -> tuple[Clones, ...]:
    """Find pairs with equal explanations on at least a tenth of their common items, and on at least three.

    Parameters
    ----------
    explanations
        (participant, model, item, text); variants of one model are no clones of each other.

    Examples
    --------
    >>> same = [("a", "m", str(k), f"It is true because of reason {k}.") for k in range(4)]
    >>> clones_of([*same, *(("b", "n", item, text.upper()) for _, _, item, text in same)])
    (Clones(first='a', second='b', items=4, of=4),)
    """
    model: dict[str, str] = {}
    texts: dict[str, dict[str, set[str]]] = {}
    explained: dict[str, set[str]] = {}
    for participant, its_model, item, text in explanations:
        words = text.casefold().split()
        if len(words) >= _MIN_WORDS:
            model[participant] = its_model
            texts.setdefault(item, {}).setdefault(" ".join(words), set()).add(participant)
            explained.setdefault(participant, set()).add(item)
    equal: Counter[tuple[str, str]] = Counter()
    for of_item in texts.values():
        pairs = {pair for who in of_item.values() if len(who) > 1 for pair in combinations(sorted(who), 2)}
        equal.update(pair for pair in pairs if model[pair[0]] != model[pair[1]])
    found = [Clones(a, b, n, len(explained[a] & explained[b])) for (a, b), n in equal.items() if n >= _MIN_ITEMS]
    likely = [one for one in found if one.items >= _MIN_SHARE * one.of]
    return tuple(sorted(likely, key=lambda one: (-one.items, one.first, one.second)))
