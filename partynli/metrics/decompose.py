"""Where a distance comes from: a model's liking for some labels, or not knowing which items divide people."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from partynli.errors import InputError
from partynli.metrics._arrays import FloatArray, as_distribution, as_pair, over_labels
from partynli.metrics.distribution import js_divergence
from partynli.metrics.summary import item_mean


class JsSplit(NamedTuple):
    """Mean Jensen-Shannon divergence over items and its two parts, in nats: `total` = `marginal` + `item`."""

    total: FloatArray
    marginal: FloatArray
    item: FloatArray


def js_split(p: ArrayLike, q: ArrayLike) -> JsSplit:
    """Split the mean Jensen-Shannon divergence into marginal label bias and item-level mismatch.

    Pick an item at random, then a label from it: the divergence of the two joint distributions of (item, label) is the
    mean over items of JSD(P_i, Q_i). The chain rule of relative entropy (Cover and Thomas 2006, theorem 2.5.3) parts it
    into the divergence of the label marginals, JSD(mean P, mean Q), and that of the items given the label, which is
    never negative.

    Parameters
    ----------
    p, q
        (..., items, K) distributions; the leading axes broadcast.

    Returns
    -------
    JsSplit
        Each (...), in nats, over the items that are defined on both sides. NaN if there is none. Divergences, not
        distances: square roots do not add up.

    Raises
    ------
    InputError
        If a row is no distribution or the shapes do not fit.

    Examples
    --------
    A model that always says the same is all bias; one that mixes up two items has none.

    >>> people = [[1.0, 0.0], [0.0, 1.0]]
    >>> [round(float(part), 3) for part in js_split(people, [[0.0, 1.0], [1.0, 0.0]])]
    [0.693, 0.0, 0.693]
    >>> [round(float(part), 3) for part in js_split([[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]])]
    [0.693, 0.693, 0.0]
    """
    x, y = np.broadcast_arrays(*as_pair(p, q))
    undefined = np.isnan(over_labels(np.add, x + y))[..., None]
    x, y = np.where(undefined, np.nan, x), np.where(undefined, np.nan, y)
    total = item_mean(js_divergence(x, y))
    marginal = js_divergence(item_mean(x, axis=-2), item_mean(y, axis=-2))
    return JsSplit(total, marginal, np.maximum(total - marginal, 0.0))


def recalibrate(
    q: ArrayLike, source: ArrayLike, target: ArrayLike, method: Literal["move", "reweight"] = "move"
) -> FloatArray:
    """Change distributions so that a marginal `source` of labels becomes `target`.

    "move" sends of each label that is used too often the same share of its mass to those used too rarely: the coupling
    that moves least, TVD(source, target). It reaches the target from any distributions, one-hot ones too. "reweight"
    multiplies by target / source and renormalises, as for a shift of the prior (Saerens et al. 2002): it
    keeps odds between items and zeros, and reaches the target only nearly.

    Parameters
    ----------
    q
        (..., K) distributions.
    source, target
        (K,) distributions of labels: how often they are used, and how often they should be.
    method
        "move" or "reweight".

    Returns
    -------
    FloatArray
        (..., K) distributions. NaN where `q` is undefined, or where reweighting leaves nothing.

    Raises
    ------
    InputError
        If an argument is no distribution, the labels do not fit, or the method is unknown.

    Examples
    --------
    >>> recalibrate([[0.0, 1.0], [0.5, 0.5]], source=[0.25, 0.75], target=[0.5, 0.5]).round(3).tolist()
    [[0.333, 0.667], [0.667, 0.333]]
    """
    if method not in ("move", "reweight"):
        raise InputError(f"method must be 'move' or 'reweight', but is {method!r}")
    x, s, t = as_distribution(q, "q"), as_distribution(source, "source"), as_distribution(target, "target")
    if not s.shape == t.shape == x.shape[-1:]:
        raise InputError(f"marginals of shapes {s.shape} and {t.shape} do not fit {x.shape[-1]} labels")
    if method == "reweight":
        weighted = x * np.where(s > 0, t / np.where(s > 0, s, 1.0), 0.0)
        total = over_labels(np.add, weighted)
        return weighted / np.where(total > 0, total, np.nan)[..., None]
    kept = np.where(s > t, t / np.where(s > t, s, 1.0), 1.0)
    lacking = np.maximum(t - s, 0.0)
    moved = lacking.sum()
    return x * kept + (x @ (1.0 - kept))[..., None] * (lacking / moved if moved > 0 else lacking)


def cross_validated_recalibration(
    p: ArrayLike,
    q: ArrayLike,
    *,
    rng: np.random.Generator,
    folds: int = 10,
    method: Literal["move", "reweight"] = "move",
) -> FloatArray:
    """Recalibrate a model's label marginal to people's, each item with marginals of the other folds' items.

    What distance is left, `js_split` says: a model that only likes other labels than people comes near them, one that
    does not know the items stays away.

    Parameters
    ----------
    p, q
        (items, K) distributions of people and model.
    rng
        Source of the folds.
    folds
        Number of parts, at most the number of items.
    method
        See `recalibrate`.

    Returns
    -------
    FloatArray
        (items, K) distributions of the model. NaN where Q is undefined.

    Raises
    ------
    InputError
        If the shapes do not fit, or there are fewer than two folds or more than items.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> people = rng.dirichlet([4, 2, 1], size=60)
    >>> biased = recalibrate(people, people.mean(0), [0.1, 0.2, 0.7])
    >>> before, after = (js_split(people, x) for x in (biased, cross_validated_recalibration(people, biased, rng=rng)))
    >>> bool(after.marginal < before.marginal / 50), bool(after.total < before.total)
    (True, True)
    """
    x, y = as_pair(p, q)
    if x.ndim != 2 or x.shape != y.shape:
        raise InputError(f"distributions of shapes {x.shape} and {y.shape} are not both items x labels")
    n = len(x)
    if not 2 <= folds <= n:
        raise InputError(f"{n} items cannot be split into {folds} folds")
    fold = rng.permutation(np.arange(n) % folds)
    both = ~np.isnan(over_labels(np.add, x + y))
    result = np.full(y.shape, np.nan)
    for held_out in range(folds):
        here, others = fold == held_out, (fold != held_out) & both
        if others.any():
            result[here] = recalibrate(y[here], y[others].mean(0), x[others].mean(0), method)
    return result
