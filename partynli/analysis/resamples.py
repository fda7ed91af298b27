"""Resamples of a scope's items, shared by all of its rows, so that differences between rows are paired.

A resample is a row of weights: how often each item was drawn. Means, alpha and tau follow from the weights by matrix
products, without gathering the items of every draw; the results are those of resampling.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Signs = NDArray[np.float32]

_TIE = 1e-9
"""As in `partynli.metrics.kendall_tau`."""


def generator(seed: int, *names: object) -> np.random.Generator:
    """A source of random numbers of its own for each purpose: one more row moves no figure of the others."""
    mark = hashlib.blake2b("/".join(map(str, names)).encode(), digest_size=8).digest()
    return np.random.default_rng([seed, int.from_bytes(mark, "big")])


@dataclass(frozen=True)
class Resamples:
    """Bootstrap resamples and shuffles of I items.

    Attributes
    ----------
    weights
        (D, I) how often each item was drawn.
    shuffles
        (S, I) orders of the items, for permutation tests.
    """

    weights: Floats
    shuffles: NDArray[np.int64]

    @classmethod
    def draw(cls, n_items: int, *, seed: int, scope: str, draws: int, shuffles: int) -> Resamples:
        """Draw them; the same seed, scope and number of items give the same ones."""
        rng = generator(seed, "items", scope, n_items)
        weights = rng.multinomial(n_items, np.full(n_items, 1 / n_items), size=draws).astype(np.float64)
        orders = rng.permuted(np.tile(np.arange(n_items), (shuffles, 1)), axis=1)
        return cls(weights, orders)

    def means(self, values: Floats) -> Floats:
        """Means over the resampled items where defined: (..., I) to (D, ...)."""
        flat = values.reshape(-1, values.shape[-1]).T
        defined = ~np.isnan(flat)
        total = self.weights @ np.where(defined, flat, 0.0)
        times = self.weights.sum(1, keepdims=True) if defined.all() else self.weights @ defined
        return (total / np.where(times > 0, times, np.nan)).reshape(-1, *values.shape[:-1])

    def alphas(self, counts: NDArray[np.int64]) -> Floats:
        """Nominal alpha of resampled units, counts (C, I, K) to (D, C); see `partynli.metrics.krippendorff_alpha`."""
        n_uc = counts.astype(np.float64)
        n_u = n_uc.sum(-1)
        pairable = n_u > 1
        n_uc = n_uc * pairable[..., None]
        unlike = np.where(pairable, (n_u**2 - (n_uc**2).sum(-1)) / np.where(pairable, n_u - 1, 1.0), 0.0)
        d_o = self.weights @ unlike.T
        n_c = np.einsum("di,cik->dck", self.weights, n_uc, optimize=True)
        n = n_c.sum(-1)
        d_e = (n**2 - (n_c**2).sum(-1)) / np.where(n > 1, n - 1, np.nan)
        return np.asarray(1.0 - d_o / np.where(d_e > 0, d_e, np.nan))

    def taus(self, x: Floats, y: Floats) -> Floats:
        """Kendall's tau-b of resampled items: x (C, I) against y (I,), to (D, C); see `partynli.metrics.kendall_tau`.

        With S the signs of the differences of all pairs of items and w the weights, C - D is w' (S_x S_y) w / 2, and
        the untied pairs are w' |S_x| w / 2 and w' |S_y| w / 2.
        """
        weights = self.weights.astype(np.float32)  # whole numbers, exact up to 16 million
        s_y = _signs(y)
        untied_y = _quadratic(weights, np.abs(s_y))
        taus = np.empty((len(weights), len(x)))
        for column, values in enumerate(x):
            s_x = _signs(values)
            both = ~(np.isnan(values) | np.isnan(y))
            pairs = both[:, None] & both
            untied_x = _quadratic(weights, np.abs(s_x) * pairs)
            here_y = untied_y if both.all() else _quadratic(weights, np.abs(s_y) * pairs)
            untied = np.sqrt(untied_x * here_y)
            taus[:, column] = _quadratic(weights, s_x * s_y) / np.where(untied > 0, untied, np.nan)
        return taus

    def shuffled_taus(self, x: Floats, y: Floats) -> Floats:
        """tau-b of x (C, I) and the shuffled y (I,), to (S, C); missing values of y stay where they are."""
        place = np.flatnonzero(~np.isnan(y))
        kept = self.shuffles[np.isin(self.shuffles, place)].reshape(len(self.shuffles), -1)
        i, j = np.triu_indices(len(place), 1)
        s_y = _signs(y).ravel().take(kept[:, i] * len(y) + kept[:, j])
        s_x = np.stack([_signs(values[place])[i, j] for values in x]) if len(x) else np.empty((0, len(i)), np.float32)
        order = (s_y @ s_x.T).astype(np.float64)
        untied_x = np.abs(s_x).sum(1, dtype=np.float64)
        untied_y = np.broadcast_to(np.abs(s_y).sum(1, dtype=np.float64)[:, None], order.shape).copy()
        for column in np.flatnonzero(np.isnan(x[:, place]).any(1)):
            seen = ~np.isnan(x[column, place])
            untied_y[:, column] = np.abs(s_y) @ (seen[i] & seen[j]).astype(np.float32)
        untied = np.sqrt(untied_x * untied_y)
        return order / np.where(untied > 0, untied, np.nan)


def _signs(values: Floats) -> Signs:
    """(I, I) which of two items has the greater value; 0 for ties and where one is missing."""
    difference = values[:, None] - values[None, :]
    settled = np.where(np.abs(difference) > _TIE, difference, 0.0)
    return np.sign(np.where(np.isnan(settled), 0.0, settled)).astype(np.float32)


def _quadratic(weights: Signs, matrix: Signs) -> Floats:
    """w' M w of every row w."""
    product = weights @ matrix.astype(np.float32, copy=False)
    return np.asarray(np.einsum("di,di->d", product, weights), dtype=np.float64)
