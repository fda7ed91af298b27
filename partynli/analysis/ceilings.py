"""What a row's figures would be if its votes came from people: drawn at the row's own size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from partynli.analysis.resamples import generator
from partynli.metrics import (
    Convention,
    agreement,
    draw_two_groups,
    item_mean,
    kendall_tau,
    kl_laplace,
    krippendorff_alpha,
    ordinal_alpha,
    probabilities,
    rarefied_entropy,
    total_variation,
    wasserstein,
)
from partynli.metrics.ceiling import Population

Counts = NDArray[np.int64]

_CROWD = 100
"""Votes from which a population is split into two samples without replacement; with fewer, a posterior is drawn."""


@dataclass
class Ceilings:
    """Figures between two groups of people, by the size of the second; each size is drawn once.

    Attributes
    ----------
    people
        (I, K) votes of the people that rows are compared with; rows of zeros where there are none.
    crowd
        (I, K) votes of a large population that knows all these items (ChaosNLI's 100 an item), or None.
    labels
        The K labels, which decide ties of the modal label.
    ordered
        Whether they are ordered, so that there are figures of ordered labels as well.
    """

    source: str
    people: Counts
    crowd: Counts | None
    crowd_name: str
    labels: Sequence[str]
    convention: Convention
    seed: int
    draws: int
    ordered: bool = False
    _drawn: dict[int, Mapping[str, float]] = field(default_factory=dict)

    def scheme(self, size: int) -> tuple[Population, str]:
        """Which population is drawn for a row of this size, and how it is named in a report."""
        if self.crowd is None:
            return "posterior", f"Dirichlet({self.source} votes + 1/2) of each item"
        wanted = self.people.sum(-1) + size
        if (self.crowd.sum(-1)[self.people.sum(-1) > 0] >= wanted[self.people.sum(-1) > 0]).all():
            return "sample", f"two disjoint draws from the votes of {self.crowd_name}"
        return "posterior", f"Dirichlet({self.crowd_name} votes + 1/2) of each item"

    def at(self, size: int) -> Mapping[str, float]:
        """Mean figures over the draws, for a row with `size` valid answers an item; empty for a row without any."""
        if size < 1 or not (self.people.sum(-1) > 0).any():
            return {}
        if size not in self._drawn:
            self._drawn[size] = self._draw(size)
        return self._drawn[size]

    def _draw(self, size: int) -> Mapping[str, float]:
        seen = self.people.sum(-1) > 0
        population, _ = self.scheme(size)
        votes = (self.people if self.crowd is None else self.crowd)[seen]
        people, others = draw_two_groups(
            votes,
            self.people.sum(-1)[seen],
            size,
            rng=generator(self.seed, "ceiling", self.source, size),
            draws=self.draws,
            population=population,
        )
        p, q = probabilities(people), probabilities(others)
        c = self.convention
        h_p, h_q = c.entropy(p), c.entropy(q)
        figures = {
            "entropy": item_mean(h_q),
            "alpha": krippendorff_alpha(others),
            "js_distance": item_mean(c.jensen_shannon(p, q)),
            "kl_pq": item_mean(c.kl(p, q)),
            "kl_qp": item_mean(c.kl(q, p)),
            "kl_pq_laplace": item_mean(kl_laplace(people, others)),
            "tvd": item_mean(total_variation(p, q)),
            "agreement": agreement(p, q, self.labels),
            "kendall_tau": kendall_tau(h_p, h_q),
        }
        if self.ordered:
            figures |= {"alpha_ordinal": ordinal_alpha(others), "wasserstein": item_mean(wasserstein(p, q))}
        return {name: float(item_mean(values)) for name, values in figures.items()} | {
            "entropy_rarefied": float(item_mean(rarefied_entropy(votes))) / c.nats
        }
