"""Edges: one label, one rater, nothing at all; and what is refused."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from partynli import metrics as m
from partynli.errors import InputError
from partynli.labels import LABELS


def test_alpha_without_disagreement_to_expect_is_undefined():
    assert np.isnan(m.krippendorff_alpha([[5, 0, 0], [5, 0, 0]]))
    assert np.isnan(m.krippendorff_alpha([[1, 0, 0], [0, 1, 0]]))
    assert np.isnan(m.krippendorff_alpha(np.zeros((0, 3))))
    assert np.isnan(m.krippendorff_alpha_of_codes([[0, 1, 2]], 3))


def test_a_unit_with_one_vote_does_not_count():
    assert m.krippendorff_alpha([[2, 1, 0], [0, 3, 0]]) == m.krippendorff_alpha([[2, 1, 0], [0, 3, 0], [0, 0, 1]])


def test_correlations_with_a_constant_are_undefined():
    assert np.isnan(m.kendall_tau([1, 1, 1], [1, 2, 3]))
    assert np.isnan(m.kendall_tau([1.0], [1.0]))
    assert np.isnan(m.kendall_tau([], []))
    assert np.isnan(m.entropy_correlation([[1.0, 0.0]] * 3, [[0.5, 0.5], [0.9, 0.1], [1.0, 0.0]]))
    points = np.random.default_rng(0).random((5, 2))
    assert np.isnan(m.distance_correlation(points, np.ones((5, 1))))
    assert m.distance_correlation(points, np.ones((5, 1)), constant=0.0) == 0
    assert np.isnan(m.distance_correlation(points[:1], points[:1], constant=0.0))
    assert np.isnan(m.distance_correlation(points[:3], points[:3], unbiased=True))
    for test, x in ((m.kendall_permutation_test, np.ones(4)), (m.distance_correlation_test, np.ones((4, 1)))):
        assert np.isnan(test(x, x, rng=np.random.default_rng(0))).all()


def test_missing_items_are_left_out_of_agreement():
    gap = [np.nan] * 3
    p, q = [[1, 0, 0], [0, 1, 0], gap, [0, 0, 1]], [[1, 0, 0], gap, [0, 0, 1], [1, 0, 0]]
    assert m.agreement(p, q) == 0.5
    assert np.isnan(m.agreement([gap], [gap]))
    assert m.modal_label([gap]).tolist() == [-1]
    assert np.isnan(m.rank_cs([gap], [[1, 0, 0]]))


@pytest.mark.parametrize(
    ("tied", "mode"), [([1, 1, 0], "either"), ([1, 0, 1], "false"), ([0, 1, 1], "either"), ([1, 1, 1], "either")]
)
def test_ties_go_to_the_alphabetically_first_label(tied, mode):
    assert LABELS[m.modal_label(m.probabilities(tied))] == mode


def test_means_over_items():
    assert np.isnan(m.item_mean([np.nan]))
    assert np.isnan(m.item_mean([]))
    assert np.isnan(m.item_sd([1.0, np.nan]))
    assert m.items_defined([[1.0, np.nan], [np.nan, np.nan]]).tolist() == [1, 0]
    values = np.random.default_rng(0).random((3, 8))
    np.testing.assert_allclose(m.item_sd(values), values.std(1, ddof=1))


def test_consistency():
    trials = [[5, 0, 0], [3, 2, 0], [2, 2, 1], [1, 0, 0], [0, 0, 0]]
    assert m.consistency(trials) == 2
    assert m.share_consistent(trials) == pytest.approx(1 / 3)
    assert m.consistency(trials, min_trials=1) == 7 / 4
    assert np.isnan(m.share_consistent([[1, 0, 0]]))


def test_people_have_no_correlation_beyond_people():
    rng = np.random.default_rng(0)
    truth = rng.dirichlet(np.ones(3), size=400)
    votes = rng.multinomial(10, truth)
    draws = rng.random((12, 400, 1))
    people = (draws > truth.cumsum(1)[:, :2]).sum(-1)
    biased = np.where(rng.random((12, 400)) < 0.7, 1, people)
    r_people, r_biased = (m.mean_correlation(m.pairwise_correlation(c, 3, votes)) for c in (people, biased))
    assert r_people == pytest.approx(0, abs=0.02)
    assert r_biased > 0.2
    assert m.effective_number(12, r_people) > 9
    assert m.effective_number(12, r_biased) < 4


def test_effective_number_of_clones_is_one():
    codes = np.tile(np.random.default_rng(0).integers(3, size=30), (7, 1))
    assert m.effective_number(7, m.mean_correlation(m.pairwise_correlation(codes, 3))) == pytest.approx(1)
    assert np.isnan(m.effective_number(3, -0.5))
    assert np.isnan(m.mean_correlation([[1.0]]))
    apart = m.pairwise_correlation([[0, 1, -1, -1], [-1, -1, 0, 1]], 2)
    assert np.isnan(apart[0, 1])


def test_alt_test_at_its_limits():
    human = np.tile(np.arange(40) % 3, (3, 1))
    same, other = m.alt_test(human, [human[0], (human[0] + 1) % 3], 3).winning_rate
    assert (same, other) == (1, 0)
    few = m.alt_test(human[:, :20], human[0, :20], 3)
    assert np.isnan(few.winning_rate)
    assert np.isnan(few.advantage_probability)
    assert not few.applicable
    assert m.alt_test(human, human[0], 3, epsilon="expert").epsilon == 0.2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: m.entropy([3, 2]), "pass counts through probabilities"),
        (lambda: m.entropy([1.5, -0.5]), "must hold distributions"),
        (lambda: m.entropy(1.0), "labels on its last axis"),
        (lambda: m.probabilities([1, -1]), "not negative"),
        (lambda: m.probabilities([1, np.nan]), "row of zeros"),
        (lambda: m.js_distance([1, 0], [1, 0, 0]), "over the same items and labels"),
        (lambda: m.js_distance([[1, 0]] * 2, [[1, 0]] * 3), "over the same items"),
        (lambda: m.kl_divergence([1, 0], [1, 0], eps=1), "eps"),
        (lambda: m.kl_divergence([1, 0], [1, 0], clip="p"), "clip"),
        (lambda: m.kl_laplace([1, 0], [1, 0], 0), "empty cells"),
        (lambda: m.rarefied_entropy([1, 2], 0), "rarefied to 0"),
        (lambda: m.rarefied_entropy([0.5, 2], 1), "whole numbers"),
        (lambda: m.label_counts([[0, 3]], 3), "must lie in -1 .. 2"),
        (lambda: m.label_counts([[0.0, 1.0]], 3), "whole numbers"),
        (lambda: m.label_counts([0, 1], 3), "raters x items"),
        (lambda: m.label_counts([[0, 1]], 3, members=[[1, 1]]), "do not name 1 raters"),
        (lambda: m.modal_label([1, 0]), "3 labels"),
        (lambda: m.rank_cs([1, 0], [1, 0]), "3 labels"),
        (lambda: m.krippendorff_alpha([1, 2]), "items x labels"),
        (lambda: m.krippendorff_alpha([[1, 2]], np.ones((2, 2))), "0 from a label to itself"),
        (lambda: m.krippendorff_alpha([[1, 2]], np.zeros((3, 3))), "do not fit 2 labels"),
        (lambda: m.set_distances([{"true"}], "hamming"), "known: jaccard, masi"),
        (lambda: m.jaccard_distance(set(), set()), "no distance"),
        (lambda: m.kendall_tau([1, 2], [1, 2, 3]), "same items"),
        (lambda: m.kendall_tau([[1, 2]] * 2, [[1, 2]] * 3), "same items"),
        (lambda: m.distance_correlation([[1], [2]], [[1]]), "same items"),
        (lambda: m.kendall_tau([1, np.inf], [1, 2]), "infinite"),
        (lambda: m.distance_correlation([1, 2], [1, 2]), "items x dimensions"),
        (lambda: m.soft_f1([[1, 0]], [[1, 0]], "weighted"), "'macro' or 'micro'"),
        (lambda: m.benjamini_hochberg([0.1, 1.2]), "between 0 and 1"),
        (lambda: m.recalibrate([1, 0], [1, 0], [1, 0, 0]), "do not fit 2 labels"),
        (lambda: m.recalibrate([1, 0], [1, 0], [1, 0], "scale"), "'move' or 'reweight'"),
        (lambda: m.effective_number(0, 0.1), "0 participants"),
        (lambda: m.mean_correlation([[1.0, 0.0]]), "square"),
        (lambda: m.pairwise_correlation([[0, 1]], 2, [[1, 1]]), "are not the"),
        (lambda: m.alt_test([[0, 1]], [0, 1], 2, epsilon="novice"), "known: crowd, skilled, expert"),
        (lambda: m.alt_test([[0, 1]], [0, 1], 2, epsilon=2.0), "epsilon"),
        (lambda: m.alt_test([[0, 1]], [0, 1, 0], 2), "annotators x items"),
        (lambda: m.bootstrap(m.kendall_tau, [[1, 2], [1]], rng=np.random.default_rng(0)), "same items"),
        (lambda: m.bootstrap_mean([], rng=np.random.default_rng(0)), "no items"),
        (lambda: m.jackknife_participants(m.krippendorff_alpha, [0, 1], 2), "participants x items"),
        (
            lambda: m.cross_validated_recalibration([[1, 0]], [[1, 0]], rng=np.random.default_rng(0)),
            "1 items cannot be split",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize("name", ["kulmizev2026", "chen2024", "chen2025", "chaosnli2020"])
def test_conventions(name):
    chosen = m.convention(name)
    assert chosen.name == name
    p, q = [0.76, 0.2, 0.04], [0.5, 0.5, 0.0]
    assert chosen.jensen_shannon(p, q) == m.js_distance(p, q)
    bits = chosen.entropy_unit == "bits"
    assert chosen.entropy(p) == pytest.approx(0.95104566 if bits else m.entropy(p), abs=1e-8)
    expected = 0.04 * np.log(0.04 / chosen.kl_eps) + 0.76 * np.log(0.76 / 0.5) + 0.2 * np.log(0.2 / 0.5)
    assert chosen.kl(p, q) == pytest.approx(expected, abs=1e-6)
    constant = chosen.distance_correlation(np.ones((5, 2)), np.eye(5))
    assert (constant == 0) if name.startswith("chen") else np.isnan(constant)
    with pytest.raises(AttributeError):
        chosen.kl_eps = 0.1


def test_unknown_convention_lists_those_known():
    with pytest.raises(InputError, match="kulmizev2026, chen2024, chen2025, chaosnli2020"):
        m.convention("chen2023")


def test_everything_public_is_named_and_nothing_heavy_is_imported():
    assert all(hasattr(m, name) for name in m.__all__)
    assert len(set(m.__all__)) == len(m.__all__)
    allowed = {"numpy", "scipy", "partynli.errors", "partynli.labels", "partynli.metrics"}
    standard = {"__future__", "collections", "contextlib", "dataclasses", "functools", "math", "types", "typing"}
    for path in Path(m.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                known = name.split(".")[0] in standard or any(name == a or name.startswith(a + ".") for a in allowed)
                assert known, f"{path.name} imports {name}"
