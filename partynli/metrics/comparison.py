"""The figures that set a model's row against people, by the names that reports use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from numpy.typing import ArrayLike

from partynli.metrics._arrays import FloatArray
from partynli.metrics.correlation import kendall_tau
from partynli.metrics.distribution import js_distance, kl_divergence, total_variation
from partynli.metrics.entropy import entropy
from partynli.metrics.modal import agreement
from partynli.metrics.summary import item_mean


def _mean_js_distance(p: ArrayLike, q: ArrayLike) -> FloatArray:
    return item_mean(js_distance(p, q))


def _mean_kl_pq(p: ArrayLike, q: ArrayLike) -> FloatArray:
    return item_mean(kl_divergence(p, q))


def _mean_kl_qp(p: ArrayLike, q: ArrayLike) -> FloatArray:
    return item_mean(kl_divergence(q, p))


def _mean_total_variation(p: ArrayLike, q: ArrayLike) -> FloatArray:
    return item_mean(total_variation(p, q))


def _tau_of_entropies(p: ArrayLike, q: ArrayLike) -> FloatArray:
    return kendall_tau(entropy(p), entropy(q))


COMPARISONS: Mapping[str, Callable[[ArrayLike, ArrayLike], FloatArray]] = MappingProxyType(
    {
        "js_distance": _mean_js_distance,
        "kl_pq": _mean_kl_pq,
        "kl_qp": _mean_kl_qp,
        "tvd": _mean_total_variation,
        "agreement": agreement,
        "kendall_tau": _tau_of_entropies,
    }
)
"""Figure by name: takes P and Q, (..., items, K) each, and gives one number for each leading index."""


def compare(p: ArrayLike, q: ArrayLike) -> dict[str, FloatArray]:
    """All figures of Kulmizev et al. (2026, tables 2 and 5) that set model distributions Q against human ones P.

    Parameters
    ----------
    p, q
        (..., items, K) distributions; the leading axes broadcast, so that one human side serves a thousand draws.

    Returns
    -------
    dict of FloatArray
        For each name of `COMPARISONS` an array (...): means over items of the distances, in their own units; the share
        of equal modal labels; tau-b of the entropies. NaN where undefined.

    Raises
    ------
    InputError
        If a row is no distribution or the shapes do not fit.

    Examples
    --------
    >>> p = [[0.6, 0.4, 0.0], [0.2, 0.5, 0.3]]
    >>> {name: round(float(value), 3) for name, value in compare(p, p).items()}
    {'js_distance': 0.0, 'kl_pq': 0.0, 'kl_qp': 0.0, 'tvd': 0.0, 'agreement': 1.0, 'kendall_tau': 1.0}
    """
    return {name: figure(p, q) for name, figure in COMPARISONS.items()}
