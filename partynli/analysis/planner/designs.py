"""Which numbers of participants and trials are enough, and what they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf, isnan

from partynli.analysis.planner.spread import Spread

_ENDLESS = 10**12


@dataclass(frozen=True)
class Bottleneck:
    """A limit that makes a study take time."""

    seconds: float
    """Time of one call."""
    share: float | None
    """Share of all participants who share the limit; None where each has it for itself."""

    def takes(self, participants: int, answers: int) -> float:
        """Seconds for so many participants with so many answers each."""
        return self.seconds * answers * (1.0 if self.share is None else self.share * participants)


@dataclass(frozen=True)
class Toll:
    """What a study takes, as the pilot did."""

    dollars: float | None
    """Of one answer, re-asks included: mean over the participants; None where a price is unknown."""
    bottlenecks: tuple[Bottleneck, ...]


@dataclass(frozen=True)
class Design:
    """A study of P participants with T trials each on N items."""

    participants: int
    trials: int
    items: int
    widths: Mapping[str, float]
    """Width of the 95 % interval, by figure."""
    expected: Mapping[str, float]
    """The figure that studies of this size give on average, by figure."""
    dollars: float | None
    seconds: float

    @property
    def calls(self) -> int:
        """Answers that are asked for."""
        return self.participants * self.trials * self.items

    def reaches(self, wanted: Mapping[str, float]) -> bool:
        """Whether every interval is as narrow as wanted."""
        return all(self.widths[name] <= width for name, width in wanted.items())


@dataclass(frozen=True)
class Shortfall:
    """Why no design of a grid is enough for a figure."""

    figure: str
    wanted: float
    participants: int
    """The most of the grid."""
    endless: float
    """Width with so many participants and endless trials."""
    most_items: float
    """Width with endless items, too."""

    @property
    def is_undefined(self) -> bool:
        """Whether the pilot leaves the figure undefined."""
        return isnan(self.endless)

    @property
    def bound_by_participants(self) -> bool:
        """Whether no number of trials would help."""
        return self.endless > self.wanted

    @property
    def more_items_help(self) -> bool:
        """Whether so many participants would do on more items."""
        return self.most_items <= self.wanted

    @property
    def about(self) -> int:
        """Participants who would do with endless trials: a width shrinks with the root of their number."""
        return ceil(self.participants * (self.endless / self.wanted) ** 2)


def designs_of(
    spreads: Mapping[str, Sequence[Spread]], trials: Sequence[int], items: int, toll: Toll
) -> tuple[Design, ...]:
    """Every design of a grid.

    Parameters
    ----------
    spreads
        Predictions for each number of participants, in the same order for each figure.
    trials
        Numbers of trials.
    items
        Number of items.
    toll
        What an answer takes.
    """
    found = []
    for row in zip(*spreads.values(), strict=True):
        size = row[0].participants
        by_name = dict(zip(spreads, row, strict=True))
        for number in trials:
            calls = size * number * items
            found.append(
                Design(
                    participants=size,
                    trials=number,
                    items=items,
                    widths={name: one.width(number, items) for name, one in by_name.items()},
                    expected={name: one.expected for name, one in by_name.items()},
                    dollars=None if toll.dollars is None else toll.dollars * calls,
                    seconds=max((one.takes(size, number * items) for one in toll.bottlenecks), default=0.0),
                )
            )
    return tuple(found)


def enough(designs: Sequence[Design], wanted: Mapping[str, float]) -> list[Design]:
    """The designs that reach every width, the cheapest first; of equal price, the one of fewest calls."""
    reached = [one for one in designs if one.reaches(wanted)]
    return sorted(reached, key=lambda one: (one.dollars or 0.0, one.calls, one.participants))


def shortfalls(spreads: Mapping[str, Sequence[Spread]], items: int, wanted: Mapping[str, float]) -> list[Shortfall]:
    """What keeps each figure from its width at the grid's largest number of participants."""
    found = []
    for name, width in wanted.items():
        most = max(spreads[name], key=lambda one: one.participants)
        found.append(Shortfall(name, width, most.participants, most.width(inf, items), most.width(inf, _ENDLESS)))
    return found
