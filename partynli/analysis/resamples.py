"""Resamples of a scope's items, shared by all of its rows, so that differences between rows are paired.

For few rows and many draws of *items*, as in a report. For thousands of groups of *participants*, each on items that
may be resampled too, as in RANDOMMIX and comparisons, see `partynli.analysis.lookup`.

A resample is a row of weights: how often each item was drawn. Means, alpha and tau follow from the weights by matrix
products, without gathering the items of every draw; the results are those of resampling.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from partynli.metrics import (
    alpha_of_sums,
    coincidences,
    dense_ranks,
    kendall_tau_of_ranks,
    ordinal_alpha_of_sums,
    pairable_units,
)

Floats = NDArray[np.float64]
Signs = NDArray[np.float32]

_PAIRED = 200
"""Items up to which tau is taken from all pairs of them, whose number grows with the square; above, by ranks."""
_CELLS = 4_000_000
"""Resamples x rows x items that one step holds in memory."""


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
        n_uc, d_u = pairable_units(counts)
        return alpha_of_sums(np.einsum("di,cik->dck", self.weights, n_uc, optimize=True), self.weights @ d_u.T)

    def ordinal_alphas(self, counts: NDArray[np.int64]) -> Floats:
        """Ordinal alpha of resampled units, counts (C, I, K) to (D, C); see `partynli.metrics.ordinal_alpha`."""
        step = max(1, _CELLS // (len(self.weights) * counts.shape[-1] ** 2))
        parts = [self._ordinal_alphas(counts[start : start + step]) for start in range(0, len(counts), step)]
        return np.concatenate(parts, axis=1) if parts else np.empty((len(self.weights), 0))

    def _ordinal_alphas(self, counts: NDArray[np.int64]) -> Floats:
        o_ck = coincidences(counts).swapaxes(0, 1)
        sums = self.weights @ o_ck.reshape(len(o_ck), -1)
        return ordinal_alpha_of_sums(sums.reshape(-1, *o_ck.shape[1:]))

    def taus(self, x: Floats, y: Floats) -> Floats:
        """Kendall's tau-b of resampled items: x (C, I) against y (I,), to (D, C); see `partynli.metrics.kendall_tau`.

        With S the signs of the differences of all pairs of items and w the weights, C - D is w' (S_x S_y) w / 2, and
        the untied pairs are w' |S_x| w / 2 and w' |S_y| w / 2.
        """
        if len(y) > _PAIRED:
            return self._by_ranks(x, dense_ranks(y)[self._drawn], self._drawn)
        step = max(1, _CELLS // self.weights.size)
        return np.concatenate([self._taus(x[start : start + step], y) for start in range(0, len(x), step)], axis=1)

    def _taus(self, x: Floats, y: Floats) -> Floats:
        s_x, s_y = _signs(x), _signs(y)[None]
        both = ~np.isnan(x + y)
        untied_x, untied_y = np.abs(s_x), np.abs(s_y)
        if not both.all():
            pairs = both[:, :, None] & both[:, None, :]
            untied_x, untied_y = untied_x * pairs, untied_y * pairs
        untied = np.sqrt(self._quadratic(untied_x) * self._quadratic(untied_y))
        return self._quadratic(s_x * s_y) / np.where(untied > 0, untied, np.nan)

    def _quadratic(self, matrices: Signs) -> Floats:
        """w' M w of every resample's w and every M: (C, I, I) to (D, C), in one product of two matrices."""
        weights = self.weights.astype(np.float32)  # whole numbers, exact up to 16 million
        products = weights @ matrices.transpose(1, 0, 2).reshape(len(matrices[0]), -1)
        shape = (len(weights), *matrices.shape[:2])
        return np.asarray(np.einsum("dci,di->dc", products.reshape(shape), weights), dtype=np.float64)

    def shuffled_taus(self, x: Floats, y: Floats) -> Floats:
        """tau-b of x (C, I) and the shuffled y (I,), to (S, C); missing values of y stay where they are."""
        place = np.flatnonzero(~np.isnan(y))
        kept = self.shuffles[np.isin(self.shuffles, place)].reshape(len(self.shuffles), -1)
        if len(place) > _PAIRED:
            return self._by_ranks(x, dense_ranks(y)[kept], place)
        i, j = np.triu_indices(len(place), 1)
        s_y = _signs(y).ravel().take(kept[:, i] * len(y) + kept[:, j])
        s_x = _signs(x[:, place])[:, i, j]
        order = (s_y @ s_x.T).astype(np.float64)
        untied_x = np.abs(s_x).sum(1, dtype=np.float64)
        untied_y = np.broadcast_to(np.abs(s_y).sum(1, dtype=np.float64)[:, None], order.shape).copy()
        for column in np.flatnonzero(np.isnan(x[:, place]).any(1)):
            seen = ~np.isnan(x[column, place])
            untied_y[:, column] = np.abs(s_y) @ (seen[i] & seen[j]).astype(np.float32)
        untied = np.sqrt(untied_x * untied_y)
        return order / np.where(untied > 0, untied, np.nan)

    @cached_property
    def _drawn(self) -> NDArray[np.int64]:
        """(D, I) the items of each resample."""
        times = self.weights.astype(np.int64)
        return np.repeat(np.tile(np.arange(times.shape[1]), len(times)), times.ravel()).reshape(times.shape)

    def _by_ranks(self, x: Floats, y: NDArray[np.int64], items: NDArray[np.int64]) -> Floats:
        """The same taus, of ranks y (D, n) and x at these items, (n,) or (D, n): to (D, C)."""
        columns = (np.broadcast_to(dense_ranks(values)[items], y.shape) for values in x)
        return np.stack([kendall_tau_of_ranks(ranks, y) for ranks in columns], axis=1)


def _signs(values: Floats) -> Signs:
    """Which of two items has the greater value, (..., I) to (..., I, I); 0 for ties and where one is missing."""
    ranks = dense_ranks(values)
    there = ranks >= 0
    both = there[..., :, None] & there[..., None, :]
    return np.where(both, np.sign(ranks[..., :, None] - ranks[..., None, :]), 0).astype(np.float32)
