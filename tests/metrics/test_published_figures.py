"""Figures of the label tables and of the rows beside them, recomputed from the published data."""

from __future__ import annotations

import numpy as np
import pytest

from partynli import metrics as m

UNIFORM = np.full((341, 3), 1 / 3)


@pytest.fixture
def common(livenli):
    """P of LiveNLI, ChaosNLI and MNLI on the 50 items that they share."""
    assert livenli.common.sum() == 50
    return {name: m.probabilities(getattr(livenli, name)[livenli.common]) for name in ("livenli", "chaosnli", "mnli")}


def test_size_of_livenli(livenli):
    assert livenli.livenli.sum() == 1405
    assert (len(livenli.uids), len(livenli.workers), len(livenli.sets)) == (122, 48, 7)
    votes = livenli.livenli.sum(1)
    assert (votes == 10).sum() == 110
    assert sorted(votes)[-12:][0] == 20
    assert votes.max() == 38
    assert (livenli.livenli[livenli.common].sum(1) == 10).all()


@pytest.mark.parametrize(
    ("population", "mean", "sd"), [("livenli", 0.639, 0.231), ("chaosnli", 0.724, 0.125), ("mnli", 0.717, 0.103)]
)
def test_human_entropy_common50(common, population, mean, sd):
    h = m.entropy(common[population])
    assert round(float(m.item_mean(h)), 3) == mean
    assert round(float(m.item_sd(h)), 3) == sd


def test_human_entropy_all122(livenli):
    assert round(float(m.item_mean(m.entropy(m.probabilities(livenli.livenli)))), 3) == 0.706


def test_human_alpha(livenli):
    assert round(float(m.krippendorff_alpha(livenli.livenli)), 3) == 0.265
    assert round(float(m.krippendorff_alpha(livenli.livenli[livenli.common])), 3) == 0.262
    assert round(float(m.krippendorff_alpha_of_codes(livenli.simple, 3)), 3) == 0.265


@pytest.mark.parametrize(("kind", "alpha"), [(None, 0.224), ("jaccard", 0.284), ("masi", 0.262)])
def test_human_alpha_of_label_sets(livenli, kind, alpha):
    distance = None if kind is None else m.set_distances(livenli.sets, kind)
    assert round(float(m.krippendorff_alpha_of_codes(livenli.multi, 7, distance)), 3) == alpha


@pytest.mark.parametrize(
    ("population", "kl", "jsd", "tvd", "dcorr"),
    [
        ("mnli_single", 9.288, 0.422, 0.435, 0.612),
        ("mnli", 1.242, 0.209, 0.215, 0.795),
        ("varierr", 3.604, 0.282, 0.286, 0.688),
        ("uniform", 0.365, 0.307, 0.350, 0.0),
    ],
)
def test_against_chaosnli_on_341_items(varierr, population, kl, jsd, tvd, dcorr):
    p, q = varierr.chaosnli, UNIFORM if population == "uniform" else getattr(varierr, population)
    chen = m.convention("chen2024")
    figures = (
        m.item_mean(chen.kl(p, q)),
        m.item_mean(chen.jensen_shannon(p, q)),
        m.item_mean(m.total_variation(p, q)),
        chen.distance_correlation(p, q),
    )
    assert [round(float(figure), 3) for figure in figures] == [kl, jsd, tvd, dcorr]


def test_distance_correlation_with_uniform_is_undefined_without_a_convention(varierr):
    assert np.isnan(m.distance_correlation(varierr.chaosnli, UNIFORM))


@pytest.mark.parametrize(("eps", "kl"), [(1e-12, 4.378), (1e-10, 3.604), (1e-6, 2.055), (1e-3, 0.895)])
def test_kl_counts_empty_cells(varierr, eps, kl):
    assert round(float(m.item_mean(m.kl_divergence(varierr.chaosnli, varierr.varierr, eps=eps))), 3) == kl


def test_rarefied_entropy_of_chaosnli(livenli):
    votes = livenli.chaosnli[livenli.common]
    assert round(float(m.item_mean(m.rarefied_entropy(votes, 10))), 3) == 0.636  # exact; a few draws may say 0.634
    ten = livenli.livenli[livenli.common]
    np.testing.assert_allclose(m.rarefied_entropy(ten, 10), m.entropy(m.probabilities(ten)), atol=1e-12)


def test_kendall_between_people(common):
    h = {name: m.entropy(p) for name, p in common.items()}
    assert round(float(m.kendall_tau(h["livenli"], h["chaosnli"])), 3) == 0.211
    assert round(float(m.kendall_tau(h["livenli"], h["mnli"])), 3) == -0.023


def test_null_rows_on_livenli(livenli, common):
    p = common["livenli"]
    assert round(float(m.item_mean(m.js_distance(p, m.null_uniform(50, 3)))), 3) == 0.352
    assert round(float(m.item_mean(m.js_distance(p, m.null_marginal(p)))), 3) == 0.318
    all122 = m.null_marginal(m.probabilities(livenli.livenli))[:50]
    assert round(float(m.item_mean(m.js_distance(p, all122))), 3) == 0.321


@pytest.mark.parametrize(("n_model", "js"), [(5, 0.225), (10, 0.186), (20, 0.1675)])
def test_size_matched_ceiling_of_js(livenli, n_model, js):
    # 0.22500 for 5 against 10 by enumeration of all pairs of groups
    ceiling = m.size_matched_ceiling(
        livenli.chaosnli[livenli.common], 10, n_model, rng=np.random.default_rng(0), draws=4000
    )["js_distance"]
    assert ceiling.mean() == pytest.approx(js, abs=0.0008)


def test_ceiling_of_kendall_between_identical_distributions(livenli):
    ceiling = m.size_matched_ceiling(
        livenli.chaosnli[livenli.common], 10, 20, rng=np.random.default_rng(0), draws=4000, population="plugin"
    )["kendall_tau"]
    assert ceiling.mean() == pytest.approx(0.1995, abs=0.005)


def test_workers_that_the_alt_test_can_judge(livenli):
    assert ((livenli.simple >= 0).sum(1) >= m.MIN_ITEMS).sum() == 14
    model = np.full(122, 1)
    assert m.alt_test(livenli.simple, model, 3).n_tested == 14
