"""Our figures against krippendorff, scipy, dcor and plain loops, over thousands of random tables."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from math import comb, log

import krippendorff
import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy as scipy_entropy
from scipy.stats import false_discovery_control, kendalltau, ttest_1samp

from partynli import metrics as m
from partynli.labels import LABELS


def random_codes(rng, raters, items, n_labels, missing):
    codes = rng.integers(n_labels, size=(raters, items))
    return np.where(rng.random(codes.shape) < missing, -1, codes)


def test_alpha_against_krippendorff():
    rng = np.random.default_rng(1)
    undefined = 0
    for _ in range(2000):
        raters, items, n_labels = rng.integers(1, 9), rng.integers(1, 13), rng.integers(1, 6)
        codes = random_codes(rng, raters, items, n_labels, rng.choice([0.0, 0.2, 0.7]))
        ours = m.krippendorff_alpha_of_codes(codes, n_labels)
        pairable = (codes >= 0).sum(0) > 1
        values = codes[:, pairable]
        if len(np.unique(values[values >= 0])) < 2:  # krippendorff raises or divides by 0 here
            undefined += 1
            assert np.isnan(ours)
            continue
        data = np.where(codes < 0, np.nan, codes)
        assert ours == pytest.approx(krippendorff.alpha(data, level_of_measurement="nominal"), abs=1e-12)
    assert 100 < undefined < 1500


def test_alpha_with_distances_against_krippendorff():
    rng = np.random.default_rng(2)
    sets = [frozenset(s) for s in ({"true"}, {"either"}, {"false"}, {"true", "either"}, set(LABELS))]
    for kind in ("jaccard", "masi"):
        delta = m.set_distances(sets, kind)
        for _ in range(100):
            codes = random_codes(rng, 5, 9, len(sets), 0.2)
            data = np.where(codes < 0, np.nan, codes)

            def metric(v1, v2, i1, i2, n_v, dtype, delta=delta):
                return delta[v1.astype(int), v2.astype(int)].astype(dtype)

            theirs = krippendorff.alpha(data, value_domain=np.arange(5.0), level_of_measurement=metric)
            assert m.krippendorff_alpha_of_codes(codes, 5, delta) == pytest.approx(theirs, abs=1e-12)


def test_nominal_distances_are_the_default():
    counts = np.random.default_rng(3).integers(4, size=(50, 20, 3))
    np.testing.assert_allclose(
        m.krippendorff_alpha(counts), m.krippendorff_alpha(counts, 1 - np.eye(3)), rtol=0, atol=1e-12
    )


def test_distances_between_distributions_against_scipy():
    rng = np.random.default_rng(4)
    for n_labels in (2, 3, 7):
        p, q = (m.probabilities(rng.multinomial(9, np.full(n_labels, 1 / n_labels), size=1000)) for _ in range(2))
        np.testing.assert_allclose(m.js_distance(p, q), jensenshannon(p, q, axis=1), rtol=0, atol=2e-8)
        np.testing.assert_allclose(m.js_divergence(p, q), jensenshannon(p, q, axis=1) ** 2, rtol=0, atol=1e-14)
        np.testing.assert_allclose(m.entropy(p), scipy_entropy(p, axis=1), rtol=0, atol=1e-14)
        clipped = (np.clip(x, 1e-10, 1) for x in (p, q))
        np.testing.assert_allclose(m.kl_divergence(p, q), scipy_entropy(*clipped, axis=1), rtol=1e-12, atol=1e-12)
        floored = np.clip(q, 1e-15, 1)
        expected = scipy_entropy(p, floored, axis=1)
        np.testing.assert_allclose(m.kl_divergence(p, q, 1e-15, clip="q"), expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(m.kl_divergence(p, q, 0.0), scipy_entropy(p, q, axis=1))


def test_kendall_against_scipy():
    rng = np.random.default_rng(5)
    for _ in range(2000):
        n, levels = rng.integers(2, 40), rng.integers(1, 12)
        x, y = rng.integers(levels, size=n), rng.integers(levels + 3, size=n)
        np.testing.assert_allclose(m.kendall_tau(x, y), kendalltau(x, y).statistic, rtol=0, atol=1e-12)
    x, y = rng.random((2, 300, 25))
    taus = [kendalltau(a, b).statistic for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(m.kendall_tau(x, y), taus, rtol=0, atol=1e-12)


def test_kendall_leaves_out_missing_items():
    rng = np.random.default_rng(6)
    x, y = rng.integers(5, size=(400, 12)).astype(float), rng.integers(9, size=12).astype(float)
    x[rng.random(x.shape) < 0.3] = np.nan
    y[3] = np.nan
    for row, tau in zip(x, m.kendall_tau(x, y), strict=True):
        kept = ~np.isnan(row + y)
        expected = kendalltau(row[kept], y[kept]).statistic if kept.sum() > 1 else np.nan
        np.testing.assert_allclose(tau, expected, rtol=0, atol=1e-12)


@pytest.mark.slow
def test_distance_correlation_against_dcor():
    import dcor  # compiled where it is first imported: 20 s, and two processes that do so at once can abort

    rng = np.random.default_rng(7)
    for _ in range(150):
        n = rng.integers(5, 40)
        x = rng.dirichlet(np.ones(3), size=n)
        y = (x + rng.dirichlet(np.ones(3), size=n)) / 2 if rng.random() < 0.5 else rng.normal(size=(n, 2))
        assert m.distance_correlation(x, y) == pytest.approx(dcor.distance_correlation(x, y), abs=1e-10)
        unbiased = dcor.u_distance_correlation_sqr(x, y)
        assert m.distance_correlation(x, y, unbiased=True) == pytest.approx(unbiased, abs=1e-10)
        gaps = x.copy()
        gaps[rng.random(n) < 0.2] = np.nan
        kept = ~np.isnan(gaps[:, 0])
        if kept.sum() >= 4:
            theirs = dcor.distance_correlation(x[kept], y[kept])
            assert m.distance_correlation(gaps, y) == pytest.approx(theirs, abs=1e-10)


def test_distance_correlation_is_batched():
    rng = np.random.default_rng(8)
    x, y = rng.dirichlet(np.ones(3), size=(6, 15)), rng.dirichlet(np.ones(3), size=15)
    one_by_one = [m.distance_correlation(a, y, unbiased=True) for a in x]
    np.testing.assert_allclose(m.distance_correlation(x, y, unbiased=True), one_by_one, rtol=0, atol=1e-12)


def test_rarefied_entropy_against_enumeration():
    rng = np.random.default_rng(9)
    for _ in range(30):
        votes = [int(v) for v in rng.integers(0, 6, size=3)]
        total = sum(votes)
        for n in range(1, total + 1):
            expected = 0.0
            for a in range(n + 1):
                for b in range(n + 1 - a):
                    drawn = (a, b, n - a - b)
                    ways = Fraction(1)
                    for have, take in zip(votes, drawn, strict=True):
                        ways *= comb(have, take)
                    h = -sum(t / n * log(t / n) for t in drawn if t)
                    expected += float(ways / comb(total, n)) * h
            assert m.rarefied_entropy(votes, n) == pytest.approx(expected, abs=1e-12)


def test_scores_per_vote_against_loops():
    rng = np.random.default_rng(10)
    votes, q = rng.integers(1, 5, size=(200, 3)), rng.dirichlet(np.ones(3), size=200)
    brier = [
        np.mean([((np.eye(3)[k] - b) ** 2).sum() for k in np.repeat(range(3), v)])
        for v, b in zip(votes, q, strict=True)
    ]
    logs = [np.mean([-log(b[k]) for k in np.repeat(range(3), v)]) for v, b in zip(votes, q, strict=True)]
    np.testing.assert_allclose(m.brier_score(votes, q), brier, rtol=0, atol=1e-12)
    np.testing.assert_allclose(m.log_score(votes, q), logs, rtol=0, atol=1e-12)


def test_rank_calibration_against_sorting():
    rng = np.random.default_rng(11)
    p, q = (m.probabilities(rng.multinomial(6, np.ones(3) / 3, size=500)) for _ in range(2))

    def ranking(x):
        return sorted(range(3), key=lambda k: (-round(x[k], 9), LABELS[k]))

    expected = [ranking(a) == ranking(b) for a, b in zip(p, q, strict=True)]
    np.testing.assert_array_equal(m.rank_cs(p, q), np.array(expected, dtype=float))


def test_modal_label_against_sorting():
    q = m.probabilities(np.random.default_rng(12).multinomial(6, np.ones(3) / 3, size=500))
    expected = [min(range(3), key=lambda k, row=row: (-round(row[k], 9), LABELS[k])) for row in q]
    np.testing.assert_array_equal(m.modal_label(q), expected)


def test_entropy_correlation_against_numpy():
    p, q = np.random.default_rng(13).dirichlet(np.ones(3), size=(2, 40))
    expected = np.corrcoef(m.entropy(p), m.entropy(q))[0, 1]
    assert m.entropy_correlation(p, q) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("ours", "method"), [(m.benjamini_hochberg, "bh"), (m.benjamini_yekutieli, "by")])
def test_false_discovery_against_scipy(ours, method):
    rng = np.random.default_rng(14)
    for _ in range(100):
        p = rng.choice([0.0, 0.01, 0.2, rng.random(), 1.0], size=rng.integers(1, 30))
        np.testing.assert_allclose(ours(p), false_discovery_control(p, method=method), rtol=0, atol=1e-12)
    rows = rng.random((5, 12)) ** 3
    rows[rng.random(rows.shape) < 0.3] = np.nan
    for row, adjusted in zip(rows, ours(rows), strict=True):
        kept = ~np.isnan(row)
        np.testing.assert_allclose(adjusted[kept], false_discovery_control(row[kept], method=method), atol=1e-12)
        assert np.isnan(adjusted[~kept]).all()


def plain_alt_test(human, model, epsilon, min_items):
    """The procedure of Calderon et al. (2025), annotator by annotator and item by item."""
    p_values, advantages = [], []
    for j, own in enumerate(human):
        wins_model, wins_human = [], []
        for i, label in enumerate(own):
            others = [row[i] for k, row in enumerate(human) if k != j and row[i] >= 0]
            if label < 0 or model[i] < 0 or not others:
                continue
            score_model, score_human = (np.mean([x == o for o in others]) for x in (model[i], label))
            wins_model.append(float(score_model >= score_human))
            wins_human.append(float(score_human >= score_model))
        if len(wins_model) >= min_items:
            difference = np.subtract(wins_human, wins_model)
            p_values.append(ttest_1samp(difference, epsilon, alternative="less").pvalue)
            advantages.append(np.mean(wins_model))
    rejected = false_discovery_control(p_values, method="by") <= 0.05
    return np.mean(rejected), np.mean(advantages), p_values


def test_alt_test_against_plain_loops():
    rng = np.random.default_rng(15)
    for quality in (0.0, 0.5, 0.9):
        truth = rng.integers(3, size=80)
        human = np.where(rng.random((6, 80)) < 0.6, truth, rng.integers(3, size=(6, 80)))
        human[rng.random(human.shape) < 0.3] = -1
        human[5, 10:] = -1
        model = np.where(rng.random(80) < quality, truth, rng.integers(3, size=80))
        model[:3] = -1
        ours = m.alt_test(human, model, 3, epsilon=0.15)
        rate, advantage, p_values = plain_alt_test(human, model, 0.15, 30)
        assert ours.winning_rate == rate
        assert ours.advantage_probability == pytest.approx(advantage, abs=1e-12)
        np.testing.assert_allclose(ours.p_value[:5], p_values, rtol=1e-9)
        assert np.isnan(ours.p_value[5])
        assert (ours.n_tested, ours.applicable) == (5, True)


def test_alt_test_takes_draws_of_a_mix():
    rng = np.random.default_rng(16)
    human, models = rng.integers(3, size=(5, 60)), rng.integers(3, size=(4, 60))
    together = m.alt_test(human, models, 3)
    for k, model in enumerate(models):
        alone = m.alt_test(human, model, 3)
        assert together.winning_rate[k] == alone.winning_rate
        np.testing.assert_array_equal(together.p_value[k], alone.p_value)


def test_raw_correlation_against_numpy():
    codes = np.random.default_rng(17).integers(3, size=(5, 30))
    flat = (codes[..., None] == np.arange(3)).reshape(5, -1).astype(float)
    np.testing.assert_allclose(m.pairwise_correlation(codes, 3), np.corrcoef(flat), rtol=0, atol=1e-12)


def test_kendall_p_over_all_permutations():
    x, y = [1, 2, 3, 4, 5], [1, 3, 2, 5, 4]
    taus = np.array([m.kendall_tau(x, order) for order in permutations(y)])
    exact = (np.abs(taus) >= abs(m.kendall_tau(x, y)) - 1e-9).mean()
    _, p = m.kendall_permutation_test(x, y, rng=np.random.default_rng(0), permutations=20_000)
    assert p == pytest.approx(exact, abs=0.01)
