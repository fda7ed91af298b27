"""How well predicted distributions meet people's: the papers' figures, and those that say what they are worth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from partynli.labels import LABELS
from partynli.metrics import (
    confusion_table,
    convention,
    dist_ce,
    entropy_correlation,
    expected_calibration_error,
    f1_by_label,
    item_mean,
    kl_divergence,
    kl_element_mean,
    log_score,
    modal_label,
    recall_by_label,
    total_variation,
    weighted_f1,
)
from partynli.metrics.conventions import Convention

Scores = Mapping[str, float]
"""Figure -> value; NaN where it is undefined."""
_POSITIONS = tuple(str(k) for k in range(len(LABELS)))
CHEN: Convention = convention("chen2025")


def majority(p: NDArray[np.float64]) -> NDArray[np.int64]:
    """(N,) codes of the most probable labels; a tie goes to the first of true, either, false.

    That is what the published code does (``argmax`` over entailment, neutral, contradiction), and other than elsewhere
    in partynli, where the alphabet decides.
    """
    return np.asarray(modal_label(p, _POSITIONS))


def scores(p: NDArray[np.float64], q: NDArray[np.float64]) -> Scores:
    """All figures of predictions Q against distributions P.

    Parameters
    ----------
    p, q
        (items, 3) distributions, in the order of `LABELS`. Where each row of P is a single label, F1, accuracy, recall
        and ``ece`` are those of classification.

    Returns
    -------
    Scores
        ``weighted_f1``, ``macro_f1``, ``accuracy`` and ``recall_<label>`` on the majority label; ``kl`` a mean over
        items, ``kl_element_mean`` a mean over cells, ``cross_entropy``, all in nats and without clipping; ``ece`` (15
        bins, majority label); ``dist_ce``, the total variation distance; ``entropy_correlation``. NaN is undefined.
    """
    gold = majority(p)
    table = confusion_table(gold, majority(q), len(LABELS))
    recall = recall_by_label(table)
    found = {
        "weighted_f1": weighted_f1(table),
        "macro_f1": item_mean(f1_by_label(table)),
        "accuracy": np.trace(table) / table.sum(),
        "kl": item_mean(kl_divergence(p, q, eps=0)),
        "kl_element_mean": item_mean(kl_element_mean(p, q, eps=0)),
        "cross_entropy": item_mean(log_score(p, q)),
        "ece": expected_calibration_error(gold, q),
        "dist_ce": item_mean(dist_ce(p, q)),
        "entropy_correlation": entropy_correlation(p, q),
        **{f"recall_{label}": recall[k] for k, label in enumerate(LABELS)},
    }
    return {name: float(value) for name, value in found.items()}


def distances(p: NDArray[np.float64], q: NDArray[np.float64]) -> Scores:
    """The papers' comparison of training distributions Q with ChaosNLI's P on the same items (`chen2025`)."""
    return {
        "kl": float(item_mean(CHEN.kl(p, q))),
        "js_distance": float(item_mean(CHEN.jensen_shannon(p, q))),
        "tvd": float(item_mean(total_variation(p, q))),
        "distance_correlation": float(CHEN.distance_correlation(p, q)),
    }


def constant(p_train: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """(n, 3): the mean of the training distributions for every item. A model that learned nothing of them gets this."""
    return np.tile(p_train.mean(0), (n, 1))
