"""Resampling: what is drawn, what the intervals cover, and that a seed decides everything."""

from __future__ import annotations

import numpy as np
import pytest

from partynli import metrics as m
from partynli.errors import InputError


@pytest.fixture
def rng():
    return np.random.default_rng(20260101)


def mean_entropy(counts):
    return m.item_mean(m.entropy(m.probabilities(counts)))


def test_groups_are_disjoint_parts_of_the_votes(rng):
    votes = rng.multinomial(100, [0.5, 0.3, 0.2], size=20)
    first, second = m.draw_two_groups(votes, 30, 10, rng=rng, draws=200)
    assert (first.sum(-1) == 30).all()
    assert (second.sum(-1) == 10).all()
    assert (first + second <= votes).all()
    np.testing.assert_allclose(first.mean(0) / 30, votes / 100, atol=0.03)
    np.testing.assert_allclose(second.mean(0) / 10, votes / 100, atol=0.06)


def test_groups_may_differ_in_size_from_item_to_item(rng):
    first, second = m.draw_two_groups([[40, 60], [10, 10]], [50, 5], [20, 15], rng=rng, draws=3)
    assert (first.sum(-1) == [50, 5]).all()
    assert (second.sum(-1) == [20, 15]).all()


def test_hypergeometric_moments(rng):
    votes = np.broadcast_to(np.array([6, 3, 1]), (20_000, 3))
    drawn = m.draw_without_replacement(votes, 4, rng)
    np.testing.assert_allclose(drawn.mean(0), [2.4, 1.2, 0.4], atol=0.02)
    np.testing.assert_allclose(drawn[:, 0].var(), 4 * 0.6 * 0.4 * 6 / 9, rtol=0.05)


@pytest.mark.parametrize("population", ["sample", "posterior", "plugin"])
def test_ceiling_depends_on_the_seed_alone(population):
    votes = np.random.default_rng(0).multinomial(100, [0.5, 0.3, 0.2], size=12)
    runs = [
        m.size_matched_ceiling(votes, 10, 20, rng=np.random.default_rng(7), draws=40, population=population)
        for _ in range(2)
    ]
    assert list(runs[0]) == list(m.COMPARISONS)
    for name in runs[0]:
        assert runs[0][name].shape == (40,)
        np.testing.assert_array_equal(runs[0][name], runs[1][name])


def test_ceiling_is_what_independent_people_get(rng):
    """Disjoint parts of a sample are independent samples of the people behind it."""
    truth = rng.dirichlet(np.ones(3), size=40)
    of_samples, of_truth = [], []
    for _ in range(300):
        votes = rng.multinomial(30, truth)
        of_samples.append(m.size_matched_ceiling(votes, 10, 20, rng=rng, draws=1)["js_distance"][0])
        p, q = (m.probabilities(rng.multinomial(n, truth)) for n in (10, 20))
        of_truth.append(m.compare(p, q)["js_distance"])
    assert np.mean(of_samples) == pytest.approx(np.mean(of_truth), abs=0.004)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[3, 0, 0]], 2, 2), "fewer votes than the two groups"),
        (([[3, 0, 0]], -1, 2), "fewer than 0"),
        (([[0, 0, 0]], 0, 0), "no human votes"),
        (([[0.5, 0.5, 0]], 1, 1), "whole numbers"),
        (([3, 0, 0], 1, 1), "items x labels"),
    ],
)
def test_groups_that_cannot_be_drawn(rng, arguments, message):
    with pytest.raises(InputError, match=message):
        m.draw_two_groups(*arguments, rng=rng)


def test_unknown_population(rng):
    with pytest.raises(InputError, match="'sample', 'posterior' or 'plugin'"):
        m.draw_two_groups([[3, 1]], 1, 1, rng=rng, population="people")


def test_null_rows(rng):
    q = rng.dirichlet(np.ones(3), size=30)
    assert m.null_uniform(30, 3).tolist() == [[1 / 3] * 3] * 30
    assert (m.null_constant(30, 3, 1) == [0, 1, 0]).all()
    np.testing.assert_allclose(m.null_marginal(q)[7], q.mean(0))
    shuffled = m.null_shuffled(q, rng=rng, draws=50)
    assert shuffled.shape == (50, 30, 3)
    np.testing.assert_allclose(shuffled.mean(1), np.broadcast_to(q.mean(0), (50, 3)))
    assert len({tuple(order[:, 0]) for order in shuffled}) > 45
    with pytest.raises(InputError, match="no label 3"):
        m.null_constant(2, 3, 3)


def test_bootstrap_of_a_mean_has_the_error_of_the_mean(rng):
    values = rng.normal(size=(2, 200))
    samples = m.bootstrap_mean(values, rng=rng, draws=4000)
    assert samples.shape == (4000, 2)
    np.testing.assert_allclose(samples.std(0), values.std(1) / np.sqrt(200), rtol=0.06)
    np.testing.assert_allclose(samples.mean(0), values.mean(1), atol=0.01)


def test_bootstrap_of_a_mean_leaves_out_undefined_items(rng):
    samples = m.bootstrap_mean([np.nan, 3.0, 3.0], rng=rng, draws=300)
    assert set(samples[~np.isnan(samples)]) == {3.0}
    assert 0 < np.isnan(samples).sum() < 40  # all three draws fell on the first item


def test_bootstrap_takes_batched_and_plain_statistics(rng):
    p, q = rng.dirichlet(np.ones(3), size=(2, 30))
    batched, plain = (
        m.bootstrap(m.distance_correlation, [p, q], rng=np.random.default_rng(1), draws=20, batched=batched)
        for batched in (True, False)
    )
    np.testing.assert_allclose(batched, plain, rtol=0, atol=1e-12)


def test_interval_counts_undefined_resamples():
    samples = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, np.nan], [3.0, np.nan]])
    interval = m.percentile_interval(samples, level=0.5)
    np.testing.assert_array_equal(interval.low, [1.5, np.nan])
    np.testing.assert_array_equal(interval.high, [2.5, np.nan])
    np.testing.assert_array_equal(interval.undefined, [1, 4])
    with pytest.raises(InputError, match="level"):
        m.percentile_interval(samples, level=95)


def test_bootstrap_interval_covers_the_mean(rng):
    covered = 0
    for _ in range(200):
        interval = m.percentile_interval(m.bootstrap_mean(rng.exponential(size=60), rng=rng, draws=300))
        covered += interval.low <= 1 <= interval.high
    assert 170 <= covered <= 199


def test_jackknife_of_a_mean_is_exact(rng):
    codes = rng.integers(2, size=(9, 40))

    def share_of_ones(counts):
        return m.item_mean(m.probabilities(counts)[..., 1])

    jack = m.jackknife_participants(share_of_ones, codes, 2)
    expected = codes.mean(1).std(ddof=1) / np.sqrt(9)
    assert jack.standard_error == pytest.approx(expected, abs=1e-12)
    assert jack.value == pytest.approx(codes.mean(), abs=1e-12)
    np.testing.assert_allclose(jack.leave_one_out[0], codes[1:].mean(), rtol=0, atol=1e-12)


def test_leave_one_out_is_the_figure_of_the_others(rng):
    codes = rng.integers(3, size=(6, 25))
    codes[2, :5] = -1
    influence = m.leave_one_out_influence(m.krippendorff_alpha, codes, 3)
    everyone = m.krippendorff_alpha_of_codes(codes, 3)
    for j in range(6):
        without = m.krippendorff_alpha_of_codes(np.delete(codes, j, 0), 3)
        assert influence[j] == pytest.approx(everyone - without, abs=1e-12)


def test_a_participant_without_labels_does_not_count(rng):
    codes = rng.integers(3, size=(5, 30))
    silent = np.vstack([codes, np.full((1, 30), -1)])
    with_silent, without = (m.jackknife_participants(mean_entropy, c, 3) for c in (silent, codes))
    assert with_silent.standard_error == without.standard_error
    assert np.isnan(with_silent.leave_one_out[5])
    alone = m.jackknife_participants(mean_entropy, codes[:1], 3)
    assert np.isnan([alone.standard_error, alone.low, alone.high]).all()


def test_participants_and_items_spread_more_than_items(rng):
    truth = rng.dirichlet(np.ones(3), size=60)
    codes = np.array([[rng.choice(3, p=p) for p in truth] for _ in range(10)])
    human = m.probabilities(rng.multinomial(100, truth))

    def js(counts, p):
        return m.item_mean(m.js_distance(p, m.probabilities(counts)))

    both = m.bootstrap_participants_items(js, codes, 3, [human], rng=rng, draws=500)
    values = m.js_distance(human, m.probabilities(m.label_counts(codes, 3)))
    items = m.bootstrap_mean(values, rng=rng, draws=500)
    assert both.shape == (500,)
    assert both.std() > items.std()
    with pytest.raises(InputError, match="not over the 60 items"):
        m.bootstrap_participants_items(js, codes, 3, [human[:5]], rng=rng)


def test_items_that_differ_are_found_and_few_others(rng):
    truth = rng.dirichlet(np.full(3, 2.0), size=150)
    elsewhere = truth.copy()
    elsewhere[:30] = np.roll(truth[:30], 1, axis=1) * 0.1 + 0.9 * np.eye(3)[truth[:30].argmin(1)]
    human, model = rng.multinomial(100, truth), rng.multinomial(20, elsewhere)
    model[149] = 0
    found = m.item_differences(human, model, rng=rng, draws=1500)
    assert found.differs[:30].sum() > 20
    assert found.differs[30:].sum() <= 4
    assert np.isnan([found.p_value[149], found.q_value[149], found.distance_mean[149]]).all()
    defined = slice(0, 149)
    assert (found.distance_low[defined] <= found.distance_mean[defined]).all()
    assert (found.distance_mean[defined] <= found.distance_high[defined]).all()


def test_item_test_holds_its_level_without_a_difference(rng):
    truth = rng.dirichlet(np.ones(3), size=1500)
    found = m.item_differences(rng.multinomial(100, truth), rng.multinomial(10, truth), rng=rng, draws=400)
    assert (found.p_value <= 0.05).mean() <= 0.06
    assert found.differs.mean() <= 0.005


def test_dirichlet_posterior_mean(rng):
    p = m.draw_dirichlet([[8, 1, 1], [0, 0, 0]], rng=rng, draws=4000, prior=1.0)
    np.testing.assert_allclose(p.mean(0), [[9 / 13, 2 / 13, 2 / 13], [1 / 3, 1 / 3, 1 / 3]], atol=0.02)
    with pytest.raises(InputError, match="prior"):
        m.draw_dirichlet([1, 1], rng=rng, prior=0)


def test_missingness_bounds_hold_every_completion(rng):
    counts = rng.multinomial(8, [0.5, 0.3, 0.2], size=20)
    asked = np.full(20, 8)
    asked[:5] = 10
    bounds = m.missingness_bounds(m.krippendorff_alpha, counts, asked)
    for k in range(3):
        completed = counts + (asked - 8)[:, None] * np.eye(3)[k]
        assert bounds.low <= m.krippendorff_alpha(completed) <= bounds.high
    complete = m.missingness_bounds(m.krippendorff_alpha, counts, 8)
    assert complete.low == complete.high == m.krippendorff_alpha(counts)
    with pytest.raises(InputError, match="more valid answers"):
        m.missingness_bounds(m.krippendorff_alpha, counts, 7)


def test_recalibration_removes_label_bias_and_leaves_mismatch(rng):
    people = rng.dirichlet([3, 2, 1], size=200)
    biased = m.recalibrate(people, people.mean(0), [0.1, 0.1, 0.8])
    ignorant = people[rng.permutation(200)]
    for q, kind in ((biased, "bias"), (ignorant, "mismatch")):
        before = m.js_split(people, q)
        after = m.js_split(people, m.cross_validated_recalibration(people, q, rng=rng))
        if kind == "bias":
            assert before.marginal > 10 * after.marginal
            assert after.total < before.total
        else:
            assert before.marginal < 1e-9
            assert after.item == pytest.approx(before.item, rel=0.05)


def test_reweighting_cannot_move_certainty_but_moving_can():
    always = m.null_constant(4, 3, 1)
    target = [0.2, 0.5, 0.3]
    np.testing.assert_array_equal(m.recalibrate(always, [0, 1, 0], target, "reweight"), always)
    np.testing.assert_allclose(m.recalibrate(always, [0, 1, 0], target), np.tile(target, (4, 1)))


def test_permutation_p_is_uniform_without_dependence(rng):
    p = [m.kendall_permutation_test(*rng.random((2, 12)), rng=rng, permutations=99)[1] for _ in range(300)]
    assert np.mean(np.array(p) <= 0.1) == pytest.approx(0.1, abs=0.06)
    q = [m.distance_correlation_test(*rng.random((2, 10, 2)), rng=rng, permutations=99)[1] for _ in range(200)]
    assert np.mean(np.array(q) <= 0.1) == pytest.approx(0.1, abs=0.07)


def test_biased_distance_correlation_is_far_from_0_on_independent_data(rng):
    x, y = rng.dirichlet(np.ones(3), size=(2, 50, 100))
    assert m.distance_correlation(x, y).mean() > 0.1
    assert m.distance_correlation(x, y, unbiased=True).mean() == pytest.approx(0, abs=0.01)
