"""The alternative annotator test: may a model take the place of human annotators? (Calderon et al. 2025)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr

from partynli.errors import InputError
from partynli.metrics._arrays import MISSING, BoolArray, FloatArray, IntArray, as_codes, one_hot
from partynli.metrics.discovery import benjamini_yekutieli
from partynli.metrics.summary import item_mean

EPSILONS: Mapping[str, float] = MappingProxyType({"crowd": 0.1, "skilled": 0.15, "expert": 0.2})
"""How much worse a model may be and still be preferred for its price, by kind of annotator."""

MIN_ITEMS = 30
"""Items that an annotator must share with the model and another person for Student's t to hold."""


@dataclass(frozen=True)
class AltTest:
    """Outcome of the alt-test; elementwise over the leading axes of the model's labels."""

    winning_rate: FloatArray
    """(...) share of the annotators tested whom the model may replace; it passes from 0.5 on. NaN if none is tested."""
    advantage_probability: FloatArray
    """(...) mean over those annotators of P(the model is at least as close to the others as they are)."""
    p_value: FloatArray
    """(..., annotators) one-sided p against "the annotator is ahead by at least epsilon"; NaN where not tested."""
    replaced: BoolArray
    """(..., annotators) whom the model may replace, at a false discovery rate of 0.05 by default."""
    advantage: FloatArray
    """(..., annotators) each annotator's share of items on which the model is at least as close to the others."""
    n_items: IntArray
    """(..., annotators) items that the annotator shares with the model and at least one other person."""
    n_tested: IntArray
    """(...) annotators with enough items."""
    applicable: BoolArray
    """(...) whether at least two annotators have enough items. With fewer than three, read it with care."""
    epsilon: float


def alt_test(
    human: ArrayLike,
    model: ArrayLike,
    n_labels: int,
    *,
    epsilon: float | str = "crowd",
    false_discovery_rate: float = 0.05,
    min_items: int = MIN_ITEMS,
) -> AltTest:
    """Test whether a model stands for a group of people better than each of them does (Calderon et al. 2025).

    Leave out annotator j. On each of j's items, model and j are scored by the share of the *other* annotators who gave
    the same label. W^f is 1 where the model's score is at least j's, W^h where j's is at least the model's. The model
    may replace j if the mean of W^h - W^f is below epsilon by a one-sided t-test, with Benjamini and Yekutieli's
    correction over annotators. One label a rater: a mix of participants enters by draws, on a leading axis.

    Parameters
    ----------
    human
        (annotators, items) label codes; -1 where there is none.
    model
        (..., items) label codes; -1 where there is none.
    n_labels
        K.
    epsilon
        0 to 1, or a kind of annotator from `EPSILONS`: "crowd", "skilled", "expert".
    false_discovery_rate
        Expected share of false alarms among the annotators said to be replaceable.
    min_items
        Fewest items for an annotator to be tested. With fewer than 30 the t-test is not to be trusted.

    Returns
    -------
    AltTest
        NaN where no annotator can be tested. Where all differences of an annotator are equal the t-test is taken at its
        limit: p is 0 below epsilon and 1 from there on.

    Raises
    ------
    InputError
        If the codes do not fit each other, or epsilon is neither in [0, 1] nor a known kind of annotator.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.integers(3, size=60)
    >>> human = np.where(rng.random((4, 60)) < 0.6, truth, rng.integers(3, size=(4, 60)))
    >>> test = alt_test(human, [truth, rng.integers(3, size=60)], 3)
    >>> test.winning_rate.tolist(), test.applicable.tolist(), test.n_items[0].tolist()
    ([1.0, 0.0], [True, True], [60, 60, 60, 60])
    """
    slack = _as_epsilon(epsilon)
    h, f = as_codes(human, n_labels, "human"), as_codes(model, n_labels, "model")
    if h.ndim != 2 or f.ndim == 0 or f.shape[-1] != h.shape[1]:
        raise InputError(f"labels of shapes {h.shape} and {f.shape} are not annotators x items and ... x items")
    f = f[..., None, :]
    votes = one_hot(h, n_labels).sum(0)
    item = np.arange(h.shape[1])
    tested = (h != MISSING) & (f != MISSING) & (votes.sum(-1) > 1)

    with_human = votes[item, h] - 1
    with_model = votes[item, f] - (h == f)
    model_wins, human_wins = with_model >= with_human, with_human >= with_model
    difference = np.where(tested, human_wins.astype(np.float64) - model_wins, np.nan)
    n_items = tested.sum(-1)
    enough = n_items >= max(min_items, 2)

    p = np.where(enough, _p_below(difference, n_items, slack), np.nan)
    replaced = benjamini_yekutieli(p) <= false_discovery_rate
    advantage = item_mean(np.where(tested, model_wins, np.nan))
    n_tested = enough.sum(-1)
    return AltTest(
        winning_rate=item_mean(np.where(enough, replaced, np.nan)),
        advantage_probability=item_mean(np.where(enough, advantage, np.nan)),
        p_value=p,
        replaced=replaced,
        advantage=advantage,
        n_items=n_items,
        n_tested=n_tested,
        applicable=n_tested >= 2,
        epsilon=slack,
    )


def _as_epsilon(epsilon: float | str) -> float:
    if isinstance(epsilon, str):
        if epsilon not in EPSILONS:
            raise InputError(f"no epsilon is known for {epsilon!r} annotators; known: {', '.join(EPSILONS)}")
        return EPSILONS[epsilon]
    if not 0 <= epsilon <= 1:
        raise InputError(f"epsilon must lie in [0, 1], but is {epsilon}")
    return float(epsilon)


def _p_below(difference: FloatArray, n: IntArray, bound: float) -> FloatArray:
    """One-sided p of Student's t for a mean over the last axis below `bound`; NaN differences are left out."""
    ahead = item_mean(difference) - bound
    variance = item_mean((difference - item_mean(difference)[..., None]) ** 2) * n / np.maximum(n - 1, 1)
    spread = variance > 1e-15  # the differences are -1, 0 or 1: less than this is rounding
    t = ahead / np.sqrt(np.where(spread, variance, 1.0) / np.maximum(n, 1))
    p = stdtr(np.maximum(n - 1, 1), np.where(np.isnan(t), 0.0, t))
    return np.where(spread, p, np.where(ahead < 0, 0.0, 1.0))
