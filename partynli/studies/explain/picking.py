"""As many explanations of each label as are wanted, the first or the longest of those that a model gave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from partynli.errors import InputError
from partynli.labels import LABELS
from partynli.studies.explain.answers import Answer
from partynli.studies.explain.flags import flags

Mode = Literal["label-free", "label-guided"]
How = Literal["first", "longest"]
Wanted = Mapping[str, Mapping[str, int]]
"""By uid and label: how many explanations."""


@dataclass(frozen=True, slots=True)
class Pick:
    """One explanation that was taken."""

    uid: str
    label: str
    text: str
    rank: int
    """Which of the model's explanations for this label it is, from 1."""
    participant: str
    flagged: bool
    """Whether it argues for another label, as far as can be told."""


@dataclass(frozen=True)
class Picks:
    """What was taken of one or more participants' explanations."""

    picks: tuple[Pick, ...]
    """By participant, item and label."""
    repeated: int
    """Those that are there twice, as the model gave fewer than were wanted."""
    lacking: int
    """Explanations that are wanted and cannot be had, as there is no valid answer."""

    @property
    def flagged(self) -> tuple[Pick, ...]:
        """Those that argue for another label."""
        return tuple(one for one in self.picks if one.flagged)


def one_each(uids: Iterable[str]) -> Wanted:
    """One explanation for each label (label-free).

    >>> one_each(["1"])
    {'1': {'true': 1, 'either': 1, 'false': 1}}
    """
    return {uid: dict.fromkeys(LABELS, 1) for uid in uids}


def as_voted(uids: Iterable[str], votes: Mapping[str, Sequence[int]]) -> Wanted:
    """As many explanations for each label as people chose it (label-guided).

    Parameters
    ----------
    uids
        Items.
    votes
        Counts in the order of `LABELS`, by uid.

    Raises
    ------
    InputError
        Nobody voted on an item.

    Examples
    --------
    >>> as_voted(["1"], {"1": (3, 1, 0)})
    {'1': {'true': 3, 'either': 1, 'false': 0}}
    """
    asked = list(uids)
    if lacking := [uid for uid in asked if not any(votes.get(uid, ()))]:
        raise InputError(f"nobody's labels are known for {len(lacking):,} items, such as {lacking[0][:80]!r}")
    return {uid: dict(zip(LABELS, votes[uid], strict=True)) for uid in asked}


def pick(explanations: Sequence[str], n: int, how: How) -> tuple[int, ...]:
    """Positions of `n` explanations; where there are fewer, the first one taken is taken again.

    Parameters
    ----------
    explanations
        In the model's order.
    n
        How many are wanted.
    how
        ``first`` ones, or ``longest`` ones in characters; of two that are as long, the earlier comes first.

    Examples
    --------
    >>> pick(["It is.", "It may well be.", "Yes."], 2, "longest"), pick(["It is.", "Yes."], 4, "first")
    ((1, 0), (0, 1, 0, 0))
    """
    order = list(range(len(explanations)))
    if how == "longest":
        order.sort(key=lambda k: -len(explanations[k]))
    return tuple(order[:n] + order[:1] * (n - len(order)))


def pick_all(answers: Iterable[Answer], participants: Sequence[str], wanted: Wanted, how: How) -> Picks:
    """Take from each participant's answers what is wanted.

    Parameters
    ----------
    answers
        Of these participants; those to other items are left out.
    participants
        Names.
    wanted
        How many of which item and label.
    how
        Which ones.
    """
    answered = {(one.participant, one.uid, one.label): one for one in answers}
    picks: list[Pick] = []
    repeated = lacking = 0
    for name in participants:
        for uid, of_label in wanted.items():
            for label, n in of_label.items():
                answer = answered.get((name, uid, label))
                if answer is None:
                    lacking += n
                    continue
                given = answer.listed.explanations
                marked = flags(label, answer.listed)
                repeated += max(0, n - len(given))
                picks += [Pick(uid, label, given[k], 1 + k, name, marked[k]) for k in pick(given, n, how)]
    return Picks(tuple(picks), repeated, lacking)
