"""The figures of an evaluation, against scikit-learn and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from partynli import metrics as m
from partynli.errors import InputError
from partynli.finetune.outcome import over_seeds
from partynli.finetune.scores import constant, majority, scores
from partynli.finetune.softlabels import one_hot
from partynli.finetune.sources import load_anli


def drawn(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet([0.8, 0.8, 0.8], n)


def test_classification_against_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    p, q = drawn(300, 0), drawn(300, 1)
    found, gold, given = scores(p, q), p.argmax(1), q.argmax(1)
    assert found["weighted_f1"] == pytest.approx(sklearn.f1_score(gold, given, average="weighted"))
    assert found["macro_f1"] == pytest.approx(sklearn.f1_score(gold, given, average="macro"))
    assert found["accuracy"] == pytest.approx(sklearn.accuracy_score(gold, given))
    recall = sklearn.recall_score(gold, given, average=None)
    assert [found[f"recall_{label}"] for label in ("true", "either", "false")] == pytest.approx(recall)


def test_divergences_by_hand() -> None:
    p, q = drawn(200, 2), drawn(200, 3)
    found = scores(p, q)
    cross_entropy, entropy = -(p * np.log(q)).sum(1).mean(), -(p * np.log(p)).sum(1).mean()
    assert found["cross_entropy"] == pytest.approx(cross_entropy)
    assert found["kl"] == pytest.approx(cross_entropy - entropy)
    assert found["kl_element_mean"] == pytest.approx((p * np.log(p / q)).mean())
    assert found["kl_element_mean"] == pytest.approx(found["kl"] / 3)
    assert found["dist_ce"] == pytest.approx(np.abs(p - q).sum(1).mean() / 2)


def test_ece_by_hand() -> None:
    q = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])
    gold = [0, 1, 0, 1]  # at 0.9 half are right, the others are right
    assert m.expected_calibration_error(gold, q, bins=10) == pytest.approx((2 * 0.4 + 0.4 + 0.3) / 4)
    assert m.expected_calibration_error([0, 0], [[1.0, 0.0]] * 2) == 0.0
    assert math.isnan(m.expected_calibration_error([-1], [[0.5, 0.5]]))
    assert m.expected_calibration_error([0, -1], [[1.0, 0.0], [0.5, 0.5]]) == 0.0
    for wrong in (([0], [[0.5, 0.5]] * 2, 15), ([0], [0.5, 0.5], 15), ([0], [[0.5, 0.5]], 0), ([2], [[0.5, 0.5]], 15)):
        with pytest.raises(InputError):
            m.expected_calibration_error(*wrong)


def test_ties_go_to_the_first_label_as_in_the_published_code() -> None:
    assert majority(np.array([[0.46, 0.46, 0.08], [0.0, 0.5, 0.5], [0.34, 0.32, 0.34]])).tolist() == [0, 1, 0]


def test_a_constant_guess_on_balanced_labels_has_the_papers_0167() -> None:
    p = np.array([one_hot(label) for label in ("true", "either", "false")] * 10)
    for k in range(3):
        found = scores(p, np.tile(np.eye(3)[k] * 0.4 + 0.2, (30, 1)))
        assert found["weighted_f1"] == pytest.approx(1 / 6)
        assert found["accuracy"] == pytest.approx(1 / 3)
        assert [found[f"recall_{label}"] for label in ("true", "either", "false")] == [float(k == j) for j in range(3)]


def test_the_training_mean_is_a_constant() -> None:
    p = drawn(50, 4)
    q = constant(p, 7)
    assert q.shape == (7, 3)
    np.testing.assert_allclose(q, p.mean(0)[None].repeat(7, 0))
    assert math.isnan(scores(drawn(7, 5), q)["entropy_correlation"])


def test_seeds() -> None:
    assert math.isnan(over_seeds([0.4]).low)
    assert over_seeds([0.4]).mean == 0.4
    assert math.isnan(over_seeds([0.4, math.nan]).mean)
    spread = over_seeds([0.60, 0.62, 0.64, 0.66, 0.68])
    half = 2.7764451 * np.std([0.60, 0.62, 0.64, 0.66, 0.68], ddof=1) / math.sqrt(5)
    assert (spread.mean, spread.high - spread.mean) == (pytest.approx(0.64), pytest.approx(half))


def test_anli_as_a_test_set(tmp_path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"uid": "a", "context": "P", "hypothesis": "H", "label": "c"}\n')
    (labels,) = load_anli(str(path)).values()
    assert (labels.name, labels.p.tolist()) == ("anli own", [[0, 0, 1]])
