"""Which prompts there are of an item: every order of the options, with the explanations in every order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from random import Random
from typing import Literal

from partynli.errors import InputError

Mode = Literal["serial", "parallel"]
_MOST_ORDERS = 5040
"""Orders of seven explanations; nobody asks more than these by oversight."""


@dataclass(frozen=True)
class Design:
    """How explanations are shown.

    Examples
    --------
    >>> design = Design("serial")
    >>> [len(design.choices(n, "item")) for n in (0, 3, 4, 5)]
    [1, 6, 24, 120]
    >>> Design("parallel").choices(4, "item")
    [(0,), (1,), (2,), (3,)]
    """

    mode: Mode = "serial"
    """``serial``: all in one prompt. ``parallel``: one in each."""
    explicit: bool = False
    """Whether each explanation is followed by its label."""
    count: int | None = None
    """Explanations in a serial prompt, chosen in every way; None for all that an item has."""
    orders: int | None = None
    """Choices of explanations an item, drawn by `seed`; None for all of them."""
    seed: int = 0

    def choices(self, n: int, uid: str) -> list[tuple[int, ...]]:
        """The explanations of each prompt of an item, by their positions, in the order in which they are shown.

        Parameters
        ----------
        n
            Explanations that the item has.
        uid
            The item, of which nothing but the draw depends.

        Raises
        ------
        InputError
            There are too many orders to ask them all.
        """
        size = min(n, 1) if self.mode == "parallel" else min(n, n if self.count is None else self.count)
        total = math.perm(n, size)
        if self.orders is not None and self.orders < total:
            rng, drawn = Random(f"{self.seed}/{uid}"), set[tuple[int, ...]]()
            while len(drawn) < self.orders:
                drawn.add(tuple(rng.sample(range(n), size)))
            return sorted(drawn)
        if total > _MOST_ORDERS:
            raise InputError(
                f"item {uid[:80]!r} has {n} explanations, which stand in {total:,} orders; draw some of them with "
                "--orders N, or show fewer with --count"
            )
        return list(permutations(range(n), size))


def option_orders(labels: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Every order of the options: labels of A, B, C and so on."""
    return permutations(labels)
