"""The best that a row could do: the same figures between two groups of people, at the row's own sizes.

A distance between a model and people is never 0, since both are seen through few votes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from partynli.errors import InputError
from partynli.metrics._arrays import FloatArray, IntArray, as_whole_counts, chunks
from partynli.metrics.comparison import COMPARISONS
from partynli.metrics.distribution import probabilities
from partynli.metrics.posterior import draw_dirichlet, draw_votes

Population: TypeAlias = Literal["sample", "posterior", "plugin"]
"""Where two groups of people are drawn from, see `draw_two_groups`."""


def draw_two_groups(
    counts: ArrayLike,
    n_first: ArrayLike,
    n_second: ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = 1000,
    population: Population = "sample",
    prior: float = 0.5,
) -> tuple[IntArray, IntArray]:
    """Draw two groups of voters of given sizes from one human population.

    Parameters
    ----------
    counts
        (items, K) whole numbers of human votes, such as ChaosNLI's 100.
    n_first, n_second
        Votes of each group: a number, or (items,) where items differ.
    rng
        Source of the draws.
    draws
        Number of pairs of groups.
    population
        "sample": two disjoint subsets of the votes at hand, drawn without replacement. Two parts of one sample are two
        independent samples of the people behind it, whatever their distribution: the ceiling without assumption.
        "posterior": a distribution from Dirichlet(votes + prior), then two samples of it; for items with fewer votes
        than the two groups need. "plugin": two samples of the shares themselves, as if they were the truth.
    prior
        Pseudocount of each label for "posterior" (Jeffreys' 1/2 by default).

    Returns
    -------
    tuple of IntArray
        Two arrays (draws, items, K) of votes.

    Raises
    ------
    InputError
        If counts are not whole, a size is negative, an item has no votes, an item has fewer votes than the two groups
        together ("sample"), or the population is unknown.

    Examples
    --------
    >>> first, second = draw_two_groups([[3, 0, 0], [1, 1, 1]], 1, 2, rng=np.random.default_rng(0), draws=5)
    >>> first.shape, (first + second).tolist()[0]
    ((5, 2, 3), [[3, 0, 0], [1, 1, 1]])
    """
    x = as_whole_counts(counts)
    if x.ndim != 2:
        raise InputError(f"counts must be items x labels, but have shape {x.shape}")
    first, second = (np.broadcast_to(np.asarray(n, dtype=np.int64), x.shape[:1]) for n in (n_first, n_second))
    if (first < 0).any() or (second < 0).any():
        raise InputError("a group cannot have fewer than 0 votes")
    if not x.sum(-1).all():
        raise InputError("an item has no human votes to draw from; leave it out")
    many = np.broadcast_to(x, (draws, *x.shape))
    if population == "sample":
        if (x.sum(-1) < first + second).any():
            raise InputError("an item has fewer votes than the two groups together; take population='posterior'")
        a = draw_without_replacement(many, first, rng)
        return a, draw_without_replacement(many - a, second, rng)
    if population == "posterior":
        p = draw_dirichlet(x, prior=prior, rng=rng, draws=draws)
    elif population == "plugin":
        p = probabilities(many)
    else:
        raise InputError(f"population must be 'sample', 'posterior' or 'plugin', but is {population!r}")
    return draw_votes(first, p, rng), draw_votes(second, p, rng)


def draw_without_replacement(counts: IntArray, n: ArrayLike, rng: np.random.Generator) -> IntArray:
    """Draw n of each item's votes without replacement: the multivariate hypergeometric, label after label.

    Parameters
    ----------
    counts
        (..., K) whole numbers of votes.
    n
        Votes to draw; broadcasts against the leading axes.
    rng
        Source of the draws.

    Returns
    -------
    IntArray
        (..., K) votes, n in each row.

    Raises
    ------
    InputError
        If an item has fewer than n votes.

    Examples
    --------
    >>> draw_without_replacement(np.array([[4, 0], [0, 4]]), 3, np.random.default_rng(0)).tolist()
    [[3, 0], [0, 3]]
    """
    left, wanted = counts.sum(-1), np.broadcast_to(np.asarray(n, dtype=np.int64), counts.shape[:-1])
    if (wanted > left).any():
        raise InputError("more votes are to be drawn than an item has")
    drawn = np.empty(counts.shape, dtype=np.int64)
    for k in range(counts.shape[-1]):
        left = left - counts[..., k]
        drawn[..., k] = rng.hypergeometric(counts[..., k], left, wanted)
        wanted = wanted - drawn[..., k]
    return drawn


def size_matched_ceiling(
    counts: ArrayLike,
    n_human: ArrayLike,
    n_model: ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = 1000,
    population: Population = "sample",
    prior: float = 0.5,
    figures: Mapping[str, Callable[[ArrayLike, ArrayLike], FloatArray]] = COMPARISONS,
) -> dict[str, FloatArray]:
    """What the figures of a row would be if the model's votes came from people, at the row's own sizes.

    Five against five people would flatter every model: the ceiling is drawn with as many votes as the model and the
    people compared with really have.

    Parameters
    ----------
    counts
        (items, K) whole numbers of human votes that stand for the population.
    n_human, n_model
        Votes on each side: a number, or (items,).
    rng
        Source of the draws.
    draws
        Number of pairs of groups.
    population, prior
        See `draw_two_groups`.
    figures
        Function of P and Q by name; those of `compare` by default.

    Returns
    -------
    dict of FloatArray
        For each figure (draws,) values: their mean is the ceiling, their percentiles its interval.

    Raises
    ------
    InputError
        As `draw_two_groups`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> votes = rng.multinomial(100, [0.5, 0.3, 0.2], size=50)
    >>> few, many = (size_matched_ceiling(votes, 10, n, rng=rng, draws=200)["js_distance"].mean() for n in (5, 20))
    >>> bool(few > many > 0)
    True
    """
    x = as_whole_counts(counts)
    parts = []
    for size in chunks(draws, x.size * 8):
        people, model = draw_two_groups(x, n_human, n_model, rng=rng, draws=size, population=population, prior=prior)
        p, q = probabilities(people), probabilities(model)
        parts.append({name: figure(p, q) for name, figure in figures.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in figures}
