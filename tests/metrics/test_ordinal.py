"""Metrics of ordered labels: against krippendorff and scipy, and what must hold of any such metric."""

from __future__ import annotations

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import wasserstein_distance

from partynli import metrics as m
from partynli.errors import InputError

NEAR = {"rtol": 0, "atol": 1e-12}


@st.composite
def several(draw, n, min_labels=2):
    """`n` rows of shares over the same labels."""
    k = draw(st.integers(min_labels, 8))
    votes = draw(arrays(np.int64, (n, k), elements=st.integers(0, 9)))
    votes[:, 0] += votes.sum(1) == 0
    return m.probabilities(votes)


tables = st.tuples(st.integers(2, 12), st.integers(2, 7)).flatmap(
    lambda shape: arrays(np.int64, shape, elements=st.integers(0, 4))
)


def test_ordinal_alpha_against_krippendorff():
    rng = np.random.default_rng(1)
    undefined = 0
    for _ in range(1000):
        raters, items, n_labels = rng.integers(1, 9), rng.integers(1, 13), rng.integers(2, 8)
        codes = rng.integers(n_labels, size=(raters, items))
        codes = np.where(rng.random(codes.shape) < rng.choice([0.0, 0.2, 0.7]), -1, codes)
        ours = m.ordinal_alpha(m.label_counts(codes, n_labels))
        values = codes[:, (codes >= 0).sum(0) > 1]
        if len(np.unique(values[values >= 0])) < 2:  # krippendorff raises or divides by 0 here
            undefined += 1
            assert np.isnan(ours)
            continue
        data = np.where(codes < 0, np.nan, codes)
        theirs = krippendorff.alpha(data, value_domain=np.arange(float(n_labels)), level_of_measurement="ordinal")
        assert ours == pytest.approx(theirs, abs=1e-12)
    assert 50 < undefined < 700


def test_wasserstein_against_scipy():
    rng = np.random.default_rng(2)
    for n_labels in (2, 3, 5, 9):
        p, q = (m.probabilities(rng.multinomial(9, np.full(n_labels, 1 / n_labels), size=100)) for _ in range(2))
        ranks = np.arange(n_labels)
        theirs = [wasserstein_distance(ranks, ranks, a, b) / (n_labels - 1) for a, b in zip(p, q, strict=True)]
        np.testing.assert_allclose(m.wasserstein(p, q), theirs, **NEAR)


@given(several(3))
def test_wasserstein_is_a_metric(rows):
    p, q, r = rows
    assert m.wasserstein(p, q) == pytest.approx(m.wasserstein(q, p), abs=1e-15)
    assert m.wasserstein(p, p) == 0.0
    assert (m.wasserstein(p, q) > 1e-9) == bool(np.abs(p - q).max() > 1e-9)
    assert m.wasserstein(p, r) <= m.wasserstein(p, q) + m.wasserstein(q, r) + 1e-12
    assert -1e-15 <= m.wasserstein(p, q) <= 1 + 1e-12


@given(several(2))
def test_reversing_the_order_leaves_wasserstein_as_it_is(rows):
    p, q = rows
    assert m.wasserstein(p[::-1], q[::-1]) == pytest.approx(float(m.wasserstein(p, q)), abs=1e-12)


@given(tables)
def test_reversing_the_order_leaves_alpha_as_it_is(counts):
    np.testing.assert_allclose(m.ordinal_alpha(counts[:, ::-1]), m.ordinal_alpha(counts), rtol=0, atol=1e-9)


@given(tables)
def test_two_labels_have_one_order(counts):
    two = counts[:, :2]
    np.testing.assert_allclose(m.ordinal_alpha(two), m.krippendorff_alpha(two), rtol=0, atol=1e-9)
    p, q = m.probabilities(two), m.probabilities(two[::-1])
    np.testing.assert_allclose(m.wasserstein(p, q), m.total_variation(p, q), **NEAR)


def test_another_order_is_another_figure():
    near, far = [[2, 2, 0], [0, 2, 2], [4, 0, 0], [0, 0, 4]], [[2, 0, 2], [0, 2, 2], [4, 0, 0], [0, 4, 0]]
    assert m.krippendorff_alpha(near) == pytest.approx(float(m.krippendorff_alpha(far)))
    assert m.ordinal_alpha(near) > m.ordinal_alpha(far) + 0.1


def test_leading_axes_are_carried_along():
    rng = np.random.default_rng(3)
    counts = rng.integers(4, size=(2, 3, 10, 5))
    alphas = m.ordinal_alpha(counts)
    assert alphas.shape == (2, 3)
    assert alphas[1, 2] == m.ordinal_alpha(counts[1, 2])
    p = m.probabilities(counts + 1)
    assert m.wasserstein(p[:, :1], p).shape == (2, 3, 10)


def test_what_is_missing_is_missing():
    nobody = m.probabilities([[0, 0, 0], [1, 1, 0]])
    assert np.isnan(m.wasserstein(nobody, [0.2, 0.3, 0.5])).tolist() == [True, False]
    assert np.isnan(m.ordinal_alpha([[1, 0, 0], [0, 1, 0]])), "nobody can be paired"
    assert np.isnan(m.ordinal_alpha([[3, 0, 0], [2, 0, 0]])), "one label only"
    assert m.ordinal_alpha([[3, 0, 0], [0, 0, 2], [0, 1, 0]]) == 1.0


def test_a_label_that_nobody_gave_lies_nowhere():
    counts = np.array([[3, 0, 1], [1, 2, 0], [0, 2, 2]])
    assert m.ordinal_alpha(np.insert(counts, 1, 0, axis=1)) == pytest.approx(float(m.ordinal_alpha(counts)))


def test_what_is_refused():
    with pytest.raises(InputError, match="needs at least two"):
        m.wasserstein([1.0], [1.0])
    with pytest.raises(InputError, match="items x labels"):
        m.ordinal_alpha([1, 2])
