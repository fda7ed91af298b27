"""From scores of answer options to a distribution over labels (Chen et al. 2024, section 3)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from partynli.errors import InputError
from partynli.metrics._arrays import FloatArray

TEMPERATURE = 20.0
"""T of `p_softmax` in Chen et al. (2024)."""


class BoundedDistribution(NamedTuple):
    """Distributions of which some options' scores are known by an upper bound only; arrays (..., K)."""

    p: FloatArray
    """With those scores at their bound."""
    low: FloatArray
    """Least probability of each option, whatever those scores are."""
    high: FloatArray
    """Greatest probability of each option."""


def p_norm(scores: ArrayLike) -> FloatArray:
    """Divide raw logits by their sum: s_k / sum s (Chen et al. 2024).

    Parameters
    ----------
    scores
        (..., K) raw logits, all positive.

    Returns
    -------
    FloatArray
        (..., K) distributions.

    Raises
    ------
    InputError
        If a score is not positive, as every log-probability is: a quotient of negative numbers would give the least
        likely option the most. Also if an option has no score.

    Examples
    --------
    >>> p_norm([20.0, 15.0, 15.0]).tolist()
    [0.4, 0.3, 0.3]
    """
    x = _as_scores(scores)
    if np.isnan(x).any():
        raise InputError("raw / sum needs a score of every option, and some are not there; take softmax(scores / T)")
    if (x <= 0).any():
        raise InputError(
            "raw / sum needs raw logits that are all positive, and these scores are not: log-probabilities and "
            "negative logits would turn the order of the options round; take softmax(scores / T)"
        )
    shares: FloatArray = x / x.sum(-1, keepdims=True)
    return shares


def p_softmax(scores: ArrayLike, temperature: float = TEMPERATURE) -> FloatArray:
    """Softmax of scores / T (Chen et al. 2024); logits and log-probabilities give the same.

    Parameters
    ----------
    scores
        (..., K) raw logits or log-probabilities, in nats; none missing.
    temperature
        T; 1 gives the model's own probabilities among the options, larger ones flatten them.

    Returns
    -------
    FloatArray
        (..., K) distributions.

    Raises
    ------
    InputError
        If T is not above 0, or an option has no score; see `bounded_softmax`.

    Examples
    --------
    >>> p_softmax([-0.5, -20.5, -20.5]).round(3).tolist()
    [0.576, 0.212, 0.212]
    """
    x = _as_scores(scores)
    if np.isnan(x).any():
        raise InputError("an option has no score; bounded_softmax takes a bound in its place")
    return bounded_softmax(x, np.zeros(x.shape[:-1]), temperature).p


def bounded_softmax(scores: ArrayLike, bound: ArrayLike, temperature: float = TEMPERATURE) -> BoundedDistribution:
    """Softmax of scores / T where only the likeliest tokens' scores are known.

    An option that is not among them is no more likely than the least likely of them. It is not impossible either: its
    score lies anywhere below that bound.

    Parameters
    ----------
    scores
        (..., K) raw logits or log-probabilities, in nats; NaN where an option was not returned.
    bound
        (...) what the scores of those options do not exceed.
    temperature
        T.

    Returns
    -------
    BoundedDistribution
        All three are equal where no score is missing. All are NaN where a score and its bound are missing.

    Raises
    ------
    InputError
        If T is not above 0, or a score is infinite.

    Examples
    --------
    >>> found = bounded_softmax([0.0, 0.0, np.nan], 0.0, temperature=1)
    >>> found.p.round(2).tolist(), found.low.round(2).tolist(), found.high.round(2).tolist()
    ([0.33, 0.33, 0.33], [0.33, 0.33, 0.0], [0.5, 0.5, 0.33])
    """
    if not temperature > 0:
        raise InputError(f"a temperature of {temperature} is not above 0")
    x = _as_scores(scores)
    missing = np.isnan(x)
    at_bound = np.where(missing, np.asarray(bound, dtype=np.float64)[..., None], x) / temperature
    weight = np.exp(at_bound - at_bound.max(-1, keepdims=True))
    known = np.where(missing, 0.0 * weight, weight)
    p = weight / weight.sum(-1, keepdims=True)
    # an option is at its likeliest where every other one that is missing is at nothing
    high = weight / (known.sum(-1, keepdims=True) + np.where(missing, weight, 0.0))
    return BoundedDistribution(p, np.where(missing, 0.0 * p, p), high)


def _as_scores(scores: ArrayLike) -> FloatArray:
    x = np.asarray(scores, dtype=np.float64)
    if x.ndim == 0 or x.shape[-1] == 0:
        raise InputError(f"scores must have the options on their last axis, but have shape {x.shape}")
    if np.isinf(x).any():
        raise InputError("scores must be finite; NaN stands for one that was not returned")
    return x
