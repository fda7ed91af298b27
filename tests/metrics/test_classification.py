"""Kappa and F1 against worked tables, plain loops, and scikit-learn where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from partynli import metrics as m
from partynli.errors import InputError


def by_hand(reference: list[int], coder: list[int], k: int) -> float:
    """Cohen's kappa from the pairs, without a table."""
    n = len(reference)
    observed = sum(a == b for a, b in zip(reference, coder, strict=True)) / n
    chance = sum((reference.count(label) / n) * (coder.count(label) / n) for label in range(k))
    return (observed - chance) / (1 - chance)


def test_worked_tables() -> None:
    # 70 of 100 on the diagonal; margins (60, 40) and (50, 50) agree by chance on half of them
    assert m.cohen_kappa([[40, 20], [10, 30]]) == pytest.approx((0.7 - 0.5) / (1 - 0.5))
    assert m.cohen_kappa([[5, 0], [0, 5]]) == 1.0
    assert m.cohen_kappa([[0, 5], [5, 0]]) == -1.0
    assert m.cohen_kappa([[25, 25], [25, 25]]) == pytest.approx(0.0)
    # first: 2 x 8 / (10 + 9); second: 2 x 7 / (8 + 10), third: 2 x 0 / 1
    f1 = m.f1_by_label([[8, 2, 0], [1, 7, 0], [0, 1, 0]])
    assert f1 == pytest.approx([16 / 19, 14 / 18, 0.0])


def test_what_is_undefined_is_nan() -> None:
    assert np.isnan(m.cohen_kappa(np.zeros((3, 3))))
    assert np.isnan(m.cohen_kappa([[9, 0], [0, 0]])), "both used one category only"
    assert m.cohen_kappa([[0, 9], [0, 0]]) == 0.0, "one category each, and never the same"
    assert np.isnan(m.f1_by_label([[4, 0, 0], [0, 2, 0], [0, 0, 0]])).tolist() == [False, False, True]


def test_missing_codes_are_left_out() -> None:
    table = m.confusion_table([0, 1, -1, 2, 2], [0, 2, 1, -1, 2], 3)
    assert table.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]
    assert m.confusion_table([], [], 2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: m.confusion_table([0, 1], [0], 2),
        lambda: m.confusion_table([0, 2], [0, 1], 2),
        lambda: m.confusion_table([[0]], [[1]], 2),
        lambda: m.cohen_kappa([[1, 2, 3]]),
        lambda: m.cohen_kappa([1.0, 2.0]),
        lambda: m.f1_by_label([[1, -1], [0, 1]]),
    ],
)
def test_wrong_shapes_and_codes_are_refused(wrong) -> None:
    with pytest.raises(InputError):
        wrong()


def test_random_codes_against_plain_loops_one_by_one_and_all_at_once() -> None:
    rng = np.random.default_rng(3)
    tables, expected = [], []
    for _ in range(300):
        n = int(rng.integers(2, 60))
        reference, coder = rng.integers(5, size=n), rng.integers(5, size=n)
        coder = np.where(rng.random(n) < 0.6, reference, coder)
        if len(set(reference.tolist()) | set(coder.tolist())) < 2:
            continue
        tables.append(m.confusion_table(reference, coder, 5))
        expected.append(by_hand(reference.tolist(), coder.tolist(), 5))
        assert m.cohen_kappa(tables[-1]) == pytest.approx(expected[-1], abs=1e-12)
        for label, f1 in enumerate(m.f1_by_label(tables[-1])):
            hits = int(((reference == label) & (coder == label)).sum())
            misses = int(((reference == label) ^ (coder == label)).sum())
            assert np.isnan(f1) if not hits + misses else f1 == pytest.approx(hits / (hits + misses / 2))
    assert m.cohen_kappa(np.array(tables)) == pytest.approx(np.array(expected), abs=1e-12)
    assert m.f1_by_label(np.array(tables)).shape == (len(tables), 5)


def test_against_scikit_learn() -> None:
    oracle = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(4)
    for _ in range(100):
        reference = rng.integers(8, size=120)
        coder = np.where(rng.random(120) < 0.5, reference, rng.integers(8, size=120))
        table = m.confusion_table(reference, coder, 8)
        assert table.tolist() == oracle.confusion_matrix(reference, coder, labels=range(8)).tolist()
        assert m.cohen_kappa(table) == pytest.approx(oracle.cohen_kappa_score(reference, coder), abs=1e-12)
        f1 = oracle.f1_score(reference, coder, labels=range(8), average=None, zero_division=0)
        assert np.nan_to_num(m.f1_by_label(table)) == pytest.approx(f1, abs=1e-12)
