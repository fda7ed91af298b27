"""What must hold for any distributions: bounds, symmetry, identity, no dependence on names, order or float noise."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from partynli import metrics as m

quick = settings(max_examples=80, deadline=None)

shapes = st.tuples(st.integers(1, 12), st.integers(2, 5))


@st.composite
def votes(draw, tables=1):
    """Tables of votes (items, K) of one shape; some items have none."""
    shape = draw(shapes)
    made = [draw(arrays(np.int64, shape, elements=st.integers(0, 12))) for _ in range(tables)]
    return made[0] if tables == 1 else made


@st.composite
def distributions(draw, tables=2):
    """Distributions (items, K) of one shape, without undefined items, from few votes or smooth."""
    shape = draw(shapes)
    made = []
    for _ in range(tables):
        weights = draw(arrays(np.float64, shape, elements=st.one_of(st.integers(0, 10), st.floats(0, 1))))
        weights[weights.sum(1) < 1e-3, 0] = 1.0
        made.append(weights / weights.sum(1, keepdims=True))
    return made[0] if tables == 1 else made


DISTANCES = {
    "js_distance": (m.js_distance, sqrt(log(2))),
    "js_divergence": (m.js_divergence, log(2)),
    "total_variation": (m.total_variation, 1.0),
}


@pytest.mark.parametrize("name", DISTANCES)
@quick
@given(pq=distributions())
def test_distances_are_bounded_symmetric_and_zero_on_the_diagonal(name, pq):
    distance, bound = DISTANCES[name]
    p, q = pq
    d = distance(p, q)
    assert ((d >= 0) & (d <= bound + 1e-12)).all()
    np.testing.assert_array_equal(d, distance(q, p))
    assert not distance(p, p).any()


@quick
@given(pq=distributions(tables=3))
def test_js_distance_obeys_the_triangle_inequality(pq):
    p, q, r = pq
    assert (m.js_distance(p, r) <= m.js_distance(p, q) + m.js_distance(q, r) + 1e-7).all()


@quick
@given(pq=distributions())
def test_pinsker_bounds_kl(pq):
    p, q = pq
    assert (m.kl_divergence(p, q) >= 2 * m.total_variation(p, q) ** 2 - 1e-8).all()


@quick
@given(p=distributions(tables=1))
def test_entropy_is_bounded(p):
    h = m.entropy(p)
    assert ((h >= 0) & (h <= log(p.shape[1]) + 1e-12)).all()


@quick
@given(table=votes(), n=st.integers(1, 15))
def test_rarefied_entropy_grows_with_the_votes(table, n):
    less, more = m.rarefied_entropy(table, n), m.rarefied_entropy(table, n + 1)
    full = m.entropy(m.probabilities(table))
    both = ~np.isnan(more)
    assert (less[both] <= more[both] + 1e-12).all()
    assert (more[both] <= full[both] + 1e-12).all()
    np.testing.assert_array_equal(np.isnan(less), table.sum(1) < n)


@quick
@given(pq=distributions(), data=st.data())
def test_label_names_do_not_matter_to_distances(pq, data):
    p, q = pq
    order = data.draw(st.permutations(range(p.shape[1])))
    for figure in (m.js_divergence, m.total_variation, m.kl_divergence, m.soft_accuracy, m.ent_ce):
        np.testing.assert_allclose(figure(p, q), figure(p[:, order], q[:, order]), rtol=1e-12, atol=1e-12)


@quick
@given(table=votes(), data=st.data())
def test_label_names_do_not_matter_to_alpha(table, data):
    order = data.draw(st.permutations(range(table.shape[1])))
    np.testing.assert_allclose(m.krippendorff_alpha(table), m.krippendorff_alpha(table[:, order]), rtol=0, atol=1e-12)


@quick
@given(tables=votes(tables=2), data=st.data())
def test_row_order_does_not_matter(tables, data):
    p, q = (m.probabilities(t) for t in tables)
    labels = [chr(97 + k) for k in range(p.shape[1])]
    order = data.draw(st.permutations(range(len(p))))
    figures = {
        "entropy": lambda p, q: m.item_mean(m.entropy(q)),
        "sd": lambda p, q: m.item_sd(m.entropy(q)),
        "js": lambda p, q: m.item_mean(m.js_distance(p, q)),
        "kl": lambda p, q: m.item_mean(m.kl_divergence(p, q)),
        "tvd": lambda p, q: m.item_mean(m.total_variation(p, q)),
        "agreement": lambda p, q: m.agreement(p, q, labels),
        "kendall": lambda p, q: m.kendall_tau(m.entropy(p), m.entropy(q)),
        "dcorr": lambda p, q: m.distance_correlation(p, q) ** 2,
        "soft_f1": m.soft_f1,
        "split": lambda p, q: np.array(m.js_split(p, q)),
    }
    for name, figure in figures.items():
        np.testing.assert_allclose(figure(p, q), figure(p[order], q[order]), rtol=0, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(
        m.krippendorff_alpha(tables[0]), m.krippendorff_alpha(tables[0][order]), rtol=0, atol=1e-12
    )


@quick
@given(tables=votes(tables=2), noise=arrays(np.float64, (2, 12, 5), elements=st.floats(-1, 1)))
def test_float_noise_breaks_no_tie(tables, noise):
    p, q = (m.probabilities(t) for t in tables)
    labels = [chr(97 + k) for k in range(p.shape[1])]
    wobbly = [np.maximum(x + 1e-15 * e[: x.shape[0], : x.shape[1]], 0.0) for x, e in zip((p, q), noise, strict=True)]
    np.testing.assert_array_equal(m.modal_label(p, labels), m.modal_label(wobbly[0], labels))
    np.testing.assert_array_equal(m.rank_cs(p, q, labels), m.rank_cs(*wobbly, labels))
    np.testing.assert_array_equal(
        m.kendall_tau(m.entropy(p), m.entropy(q)), m.kendall_tau(*(m.entropy(x) for x in wobbly))
    )


@quick
@given(x=arrays(np.int64, 9, elements=st.integers(0, 5)), y=arrays(np.int64, 9, elements=st.integers(0, 5)))
def test_kendall_bounds_symmetry_and_sign(x, y):
    tau = m.kendall_tau(x, y)
    assume(not np.isnan(tau))
    assert -1 - 1e-12 <= tau <= 1 + 1e-12
    assert m.kendall_tau(y, x) == tau
    assert m.kendall_tau(x, -y) == -tau
    assert m.kendall_tau(x, x) == pytest.approx(1.0, abs=1e-12)


@quick
@given(tables=votes(tables=2))
def test_a_batch_is_its_parts(tables):
    batch = np.stack(tables)
    np.testing.assert_array_equal(m.krippendorff_alpha(batch), [m.krippendorff_alpha(t) for t in tables])
    p = m.probabilities(batch)
    if batch.shape[-1] == 3:
        figures = m.compare(p[0], p)
        for k, q in enumerate(p):
            for name, value in m.compare(p[0], q).items():
                np.testing.assert_array_equal(figures[name][k], value, err_msg=name)


@quick
@given(table=votes())
def test_alpha_is_1_under_perfect_agreement_and_at_most_1(table):
    alpha = m.krippendorff_alpha(table)
    assert np.isnan(alpha) or alpha <= 1
    unanimous = np.diag(np.full(table.shape[1], 3))
    assert m.krippendorff_alpha(unanimous) == 1


@quick
@given(pq=distributions())
def test_soft_figures_agree_with_the_distances(pq):
    p, q = pq
    np.testing.assert_allclose(m.soft_accuracy(p, q), 1 - m.dist_ce(p, q), rtol=0, atol=1e-12)
    assert m.soft_f1(p, q, "micro") == pytest.approx(m.soft_accuracy(p, q).mean(), abs=1e-12)
    assert m.soft_f1(p, p) == pytest.approx(1.0, abs=1e-12)
    assert m.rank_cs(p, p, [chr(97 + k) for k in range(p.shape[1])]).all()


@quick
@given(pq=distributions())
def test_split_adds_up(pq):
    split = m.js_split(*pq)
    assert split.total == pytest.approx(split.marginal + split.item, abs=1e-12)
    assert split.item >= 0
    assert split.marginal >= 0


@quick
@given(p=distributions(tables=1), data=st.data())
def test_moving_mass_reaches_the_target(p, data):
    target = np.array(data.draw(st.lists(st.integers(1, 9), min_size=p.shape[1], max_size=p.shape[1])), dtype=float)
    target /= target.sum()
    moved = m.recalibrate(p, p.mean(0), target)
    np.testing.assert_allclose(moved.mean(0), target, rtol=0, atol=1e-9)
    np.testing.assert_allclose(moved.sum(1), 1, rtol=0, atol=1e-12)


@quick
@given(table=votes())
def test_undefined_is_nan_and_nothing_else(table):
    none = table.sum(1) == 0
    p = m.probabilities(table)
    for figure in (m.entropy(p), m.miller_madow_entropy(table), m.js_distance(p, p), m.kl_divergence(p, p)):
        np.testing.assert_array_equal(np.isnan(figure), none)
    np.testing.assert_array_equal(np.isnan(m.kl_laplace(table, table)), none)
    np.testing.assert_array_equal(np.isnan(m.brier_score(table, m.null_uniform(*table.shape))), none)
    np.testing.assert_array_equal(np.isnan(m.log_score(table, m.null_uniform(*table.shape))), none)
