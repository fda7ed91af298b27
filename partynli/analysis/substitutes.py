"""May a participant or a mix stand in for people? The alternative annotator test, and whether the data allow it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from partynli.aggregate import Answers, worker_codes
from partynli.analysis.groups import Group, first_answers
from partynli.analysis.resamples import generator
from partynli.items import Dataset
from partynli.metrics import EPSILONS, MIN_ITEMS, alt_test, item_mean

_DRAWS = 20
KIND_OF_WORKERS = "crowd"


@dataclass(frozen=True)
class Substitute:
    """Outcome for one row; NaN where no worker has enough items."""

    group: str
    winning_rate: float
    """Share of the workers tested whom it may replace; it passes from 0.5 on."""
    advantage_probability: float


@dataclass(frozen=True)
class AltTests:
    """Outcomes for all rows, and what they rest on."""

    n_workers: int
    n_tested: int
    """Workers with at least `MIN_ITEMS` items that they share with the model and another worker."""
    epsilon: float
    rows: tuple[Substitute, ...]

    @property
    def applicable(self) -> bool:
        """Whether at least two workers can be tested; with fewer than three it is to be read with care."""
        return self.n_tested >= 2

    @property
    def why(self) -> str:
        """One line: on how many workers it rests."""
        verdict = "" if self.applicable else ": the test does not apply here"
        return f"{self.n_tested} of {self.n_workers} workers have at least {MIN_ITEMS} items{verdict}"


def alt_tests(answers: Answers, groups: Sequence[Group], dataset: Dataset, seed: int) -> AltTests | None:
    """Test every row against the workers; None where the dataset does not know who answered.

    The test takes one label a rater: a participant's first trial, and for a mix or experiment, on each item, the label
    of a member drawn at random, in 20 draws that are averaged.
    """
    _, _, human = worker_codes(dataset, answers.items, answers.labels)
    human = np.maximum(human, -1)[(human >= 0).any(axis=1)]
    if not len(human) or not answers.simple.shape[1]:
        return None
    rows, tested = [], 0
    for group in groups:
        codes = np.maximum(first_answers(answers, group.members), -1)
        if group.kind != "participant":
            rng = generator(seed, "alt-test", group.name)
            drawn = rng.integers(len(codes), size=(_DRAWS, codes.shape[1]))
            codes = codes[drawn, np.arange(codes.shape[1])]
        outcome = alt_test(human, codes, len(answers.labels), epsilon=KIND_OF_WORKERS)
        tested = max(tested, int(np.max(outcome.n_tested)))
        rows.append(
            Substitute(
                group.name,
                float(item_mean(np.ravel(outcome.winning_rate))),
                float(item_mean(np.ravel(outcome.advantage_probability))),
            )
        )
    return AltTests(len(human), tested, EPSILONS[KIND_OF_WORKERS], tuple(rows)) if rows else None
