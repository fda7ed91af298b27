"""Item by item: how divided people and a group of participants are, and how far they are apart (figure 2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partynli.aggregate import Answers
from partynli.analysis.figures import Counts
from partynli.analysis.groups import Group, votes_of
from partynli.analysis.resamples import Floats, generator
from partynli.metrics import Convention, draw_dirichlet, item_mean, percentile_interval, probabilities

_DRAWS = 2000


@dataclass(frozen=True)
class Spread:
    """Entropy of each item, (I,) each; NaN where nobody answered."""

    entropy: Floats
    """Of the shares as observed; a mean over trials."""
    low: Floats
    high: Floats
    """Bounds that hold the entropy of the distribution behind the votes with probability 0.95."""


@dataclass(frozen=True)
class ItemSpreads:
    """People and a group on the same items."""

    items: tuple[str, ...]
    people: Spread
    group: Spread
    distance: Floats
    """(I,) Jensen-Shannon distance (or divergence, as the convention has it) between the two; a mean over trials."""


def item_spreads(answers: Answers, group: Group, people: Counts, convention: Convention, seed: int = 0) -> ItemSpreads:
    """Entropies and distances item by item, by people's entropy from high to low.

    Parameters
    ----------
    answers
        On the items of one scope, I of them.
    group
        Whose answers are set beside people's.
    people
        (I, K) votes.
    convention
        Unit of the entropies, and whether distance or divergence is given.
    seed
        Of the draws behind the intervals.

    Returns
    -------
    ItemSpreads
        Items without people's or the group's votes are left out. The intervals are those of a Dirichlet posterior
        (Jeffreys' prior) of the votes; of several trials, of their mean votes, since trials of one participant are
        not so many voters. A unanimous item has an entropy of 0 that lies below its interval: few votes cannot show
        that everybody agrees.
    """
    votes = votes_of(answers, group)
    voted = np.flatnonzero((people.sum(-1) > 0) & (votes.sum((0, 2)) > 0))
    p, q = probabilities(people[voted]), probabilities(votes[:, voted])
    asked = (votes[:, voted].sum(-1) > 0).sum(0)
    by_people = _spread(np.asarray(convention.entropy(p)), people[voted], convention, seed, "people")
    mean_votes = votes[:, voted].sum(0) / np.maximum(asked, 1)[:, None]
    by_group = _spread(_over_trials(convention.entropy(q)), mean_votes, convention, seed, "group")
    uids = [answers.items[k] for k in voted]
    order = sorted(range(len(uids)), key=lambda k: (-by_people.entropy[k].round(9), uids[k]))
    return ItemSpreads(
        items=tuple(uids[k] for k in order),
        people=_at(by_people, order),
        group=_at(by_group, order),
        distance=_over_trials(convention.jensen_shannon(p, q))[order],
    )


def _over_trials(values: Floats) -> Floats:
    """Mean over trials where defined: (T, I) to (I,)."""
    return np.asarray(item_mean(np.moveaxis(values, 0, -1)))


def _spread(entropy: Floats, votes: Floats | Counts, convention: Convention, seed: int, whose: str) -> Spread:
    if not len(entropy):  # there is nothing to draw for
        return Spread(entropy, entropy, entropy)
    draws = draw_dirichlet(votes, rng=generator(seed, "per item", whose), draws=_DRAWS)
    interval = percentile_interval(convention.entropy(draws))
    return Spread(entropy, interval.low, interval.high)


def _at(spread: Spread, order: list[int]) -> Spread:
    return Spread(spread.entropy[order], spread.low[order], spread.high[order])
