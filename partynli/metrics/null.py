"""Rows of models that know nothing of the items: what a figure says by chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from partynli.errors import InputError
from partynli.metrics._arrays import FloatArray, as_distribution
from partynli.metrics.summary import item_mean


def null_uniform(n_items: int, n_labels: int) -> FloatArray:
    """The row of a model that finds all labels equally likely.

    Parameters
    ----------
    n_items, n_labels
        Number of items and K.

    Returns
    -------
    FloatArray
        (items, K) distributions.

    Examples
    --------
    >>> null_uniform(1, 4).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    return np.full((n_items, n_labels), 1 / n_labels)


def null_marginal(p: ArrayLike) -> FloatArray:
    """The row of a model that knows how often people use each label, and nothing of the items.

    Parameters
    ----------
    p
        (..., items, K) human distributions.

    Returns
    -------
    FloatArray
        (..., items, K): their mean over items, for every item. NaN if no item is defined.

    Raises
    ------
    InputError
        If a row is no distribution.

    Examples
    --------
    >>> null_marginal([[1.0, 0.0], [0.5, 0.5]]).tolist()
    [[0.75, 0.25], [0.75, 0.25]]
    """
    x = as_distribution(p)
    return np.repeat(np.asarray(item_mean(x, axis=-2))[..., None, :], x.shape[-2], axis=-2)


def null_constant(n_items: int, n_labels: int, label: int) -> FloatArray:
    """The row of a model that always gives one label, such as "either".

    Parameters
    ----------
    n_items, n_labels
        Number of items and K.
    label
        Position of the label.

    Returns
    -------
    FloatArray
        (items, K) distributions.

    Raises
    ------
    InputError
        If there is no such label.

    Examples
    --------
    >>> null_constant(2, 3, label=1).tolist()
    [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
    """
    if not 0 <= label < n_labels:
        raise InputError(f"there is no label {label} among {n_labels}")
    return np.tile(np.eye(n_labels)[label], (n_items, 1))


def null_shuffled(q: ArrayLike, *, rng: np.random.Generator, draws: int = 1000) -> FloatArray:
    """A row's own distributions dealt out to the wrong items: its label habits without its knowledge.

    Parameters
    ----------
    q
        (items, K) the model's distributions.
    rng
        Source of the shuffles.
    draws
        Number of shuffles.

    Returns
    -------
    FloatArray
        (draws, items, K) distributions.

    Raises
    ------
    InputError
        If a row is no distribution.

    Examples
    --------
    >>> null_shuffled([[1.0, 0.0], [0.0, 1.0]], rng=np.random.default_rng(0), draws=3).sum(1).tolist()
    [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]
    """
    x = as_distribution(q)
    shuffled: FloatArray = x[rng.permuted(np.tile(np.arange(len(x)), (draws, 1)), axis=1)]
    return shuffled
