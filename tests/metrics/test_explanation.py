"""Measures of explanations against SciPy, against every pair and every subset in turn, and on people's explanations."""

from __future__ import annotations

import csv
import json
import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.spatial.distance import pdist

from partynli.errors import InputError
from partynli.metrics import explanation as x

WORDS = st.lists(st.lists(st.sampled_from("abcdef"), max_size=8), min_size=1, max_size=9)


def data(relative: str) -> Path:
    path = Path(os.environ.get("PARTYNLI_DATA") or Path(__file__).parents[3] / "shared" / "data") / relative
    if not path.is_file():
        pytest.skip(f"{relative} is not under PARTYNLI_DATA nor under ../shared/data")
    return path


def random_groups(rng: np.random.Generator, n: int, many: int) -> list[np.ndarray]:
    return [rng.choice(n, size=rng.integers(0, 12), replace=False) for _ in range(many)]


@pytest.fixture(params=["double", "single", "sparse", "sparse single"])
def vectors(request):
    rng = np.random.default_rng(7)
    dense = rng.random((60, 40)) * (rng.random((60, 40)) < 0.3)
    dense[:, 0] += 0.1  # none is zero
    dense *= rng.uniform(0.1, 30.0, size=(60, 1))  # lengths must not matter
    if "single" in request.param:
        dense = dense.astype(np.float32)
    return csr_matrix(dense) if "sparse" in request.param else dense


def plain(vectors):
    return (vectors.toarray() if isinstance(vectors, csr_matrix) else vectors).astype(np.float64)


def test_distances_are_those_of_scipy(vectors):
    groups = random_groups(np.random.default_rng(1), 60, 300)
    found = x.dispersion(vectors, groups)
    dense = plain(vectors)
    assert {len(group) for group in groups} >= {0, 1, 2, 11}
    for k, group in enumerate(groups):
        if len(group) < 2:
            assert np.isnan([found.d_pair[k], found.d_cent[k], found.d_max[k]]).all()
            continue
        pairs = pdist(dense[group], "cosine")
        units = dense[group] / np.linalg.norm(dense[group], axis=1, keepdims=True)
        centroid = units.mean(0)
        to_centroid = [pdist(np.stack([one, centroid]), "cosine")[0] for one in units]
        np.testing.assert_allclose(found.d_pair[k], pairs.mean(), atol=1e-6)
        np.testing.assert_allclose(found.d_max[k], pairs.max(), atol=1e-6)
        np.testing.assert_allclose(found.d_cent[k], np.mean(to_centroid), atol=1e-6)


def test_double_precision_is_kept():
    vectors = np.random.default_rng(3).normal(size=(9, 5))
    assert x.dispersion(vectors, [np.arange(9)]).d_pair[0] == pytest.approx(pdist(vectors, "cosine").mean(), abs=1e-14)


def test_equal_explanations_are_no_distance_apart():
    found = x.dispersion(np.tile([[0.1, 0.7, 0.3]], (6, 1)), [np.arange(6)])
    np.testing.assert_allclose(found, 0.0, atol=1e-15)
    assert min(one[0] for one in found) >= 0.0


@pytest.mark.parametrize("form", [np.asarray, csr_matrix])
def test_a_vector_without_direction_leaves_its_groups_undefined(form):
    vectors = form(np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]))
    found = x.dispersion(vectors, [np.array([0, 1]), np.array([0, 2])])
    assert np.isnan([one[0] for one in found]).all()
    assert found.d_pair[1] == 1.0
    drawn = x.rarefied_dispersion(vectors, [np.array([0, 1, 2])], size=2)
    assert np.isnan(drawn.d_max[0])


def test_no_groups():
    assert x.dispersion(np.ones((2, 2)), []).d_pair.shape == (0,)
    assert x.rarefied_vocabulary(x.bags_of([["a"]]), [], 2).shape == (0,)
    assert x.jaccard_by_text(x.bags_of([["a"]]), [])[2].shape == (0,)


def test_at_equal_size_every_subset_counts(vectors):
    groups = random_groups(np.random.default_rng(2), 60, 40)
    found = x.rarefied_dispersion(vectors, groups, size=3, draws=200)  # 165 subsets of 11
    dense = plain(vectors)
    for k, group in enumerate(groups):
        every = [dense[list(one)] for one in combinations(group, 3)]
        if not every:
            assert np.isnan(found.d_max[k])
            continue
        alone = [x.dispersion(one, [np.arange(3)]) for one in every]
        np.testing.assert_allclose(found.d_max[k], np.mean([one.d_max for one in alone]), atol=1e-6)
        np.testing.assert_allclose(found.d_cent[k], np.mean([one.d_cent for one in alone]), atol=1e-6)


def test_draws_come_near_all_subsets_and_do_not_depend_on_other_groups(vectors):
    group = np.arange(12)
    exact = x.rarefied_dispersion(vectors, [group], size=4, draws=495)
    drawn = x.rarefied_dispersion(vectors, [group], size=4, draws=300)
    again = x.rarefied_dispersion(vectors, [np.arange(20, 40), np.arange(5), group], size=4, draws=300)
    assert drawn.d_max[0] == pytest.approx(exact.d_max[0], abs=0.02)
    assert drawn.d_max[0] != exact.d_max[0]
    assert again.d_max[2] == drawn.d_max[0]


def test_growth_with_the_group_is_taken_out():
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(4000, 30)) + 1.0
    small, large = ([rng.choice(4000, n, replace=False) for _ in range(200)] for n in (10, 20))
    raw = [np.mean(x.dispersion(vectors, groups).d_max) for groups in (small, large)]
    even = [np.mean(x.rarefied_dispersion(vectors, groups, size=4).d_max) for groups in (small, large)]
    assert raw[1] - raw[0] > 0.05
    assert abs(even[1] - even[0]) < 0.01


@pytest.mark.parametrize("size", [0, 1])
def test_sizes_that_make_no_sense(size):
    with pytest.raises(InputError, match="2 or more"):
        x.rarefied_dispersion(np.ones((3, 2)), [np.arange(3)], size=size)
    with pytest.raises(InputError, match="1 or more"):
        x.rarefied_vocabulary(x.bags_of([["a"]]), [np.arange(1)], size - 1)


def jaccard(a, b):
    return len(set(a) & set(b)) / len(set(a) | set(b)) if a and b else np.nan


@settings(max_examples=60, deadline=None)
@given(WORDS, st.integers(0, 2**32 - 1))
def test_jaccard_of_every_pair(texts, seed):
    groups = [*random_groups_of(texts, seed), np.arange(len(texts))]
    bags = x.bags_of(texts)
    of_groups = x.jaccard_of_groups(bags, groups)
    number, row, mean = x.jaccard_by_text(bags, groups)
    for k, group in enumerate(groups):
        pairs = [jaccard(texts[i], texts[j]) for i, j in combinations(group, 2)]
        np.testing.assert_allclose(of_groups[k], mean_of(pairs))
        for i in group if len(group) > 1 else ():
            others = [jaccard(texts[i], texts[j]) for j in group if j != i]
            (at,) = np.flatnonzero((number == k) & (row == i))
            np.testing.assert_allclose(mean[at], mean_of(others))


@settings(max_examples=60, deadline=None)
@given(WORDS, st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_vocabulary_of_every_subset(texts, seed, size):
    groups = [*random_groups_of(texts, seed), np.arange(len(texts))]
    found = x.rarefied_vocabulary(x.bags_of(texts), groups, size)
    for k, group in enumerate(groups):
        every = [len({word for i in one for word in texts[i]}) for one in combinations(group, size)]
        np.testing.assert_allclose(found[k], mean_of(every), atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(WORDS, st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_overlap_of_every_pair(texts, seed, n):
    groups = [*random_groups_of(texts, seed), np.arange(len(texts))]
    found = x.ngram_overlap(x.ngram_bags(texts)[n - 1], groups)

    def overlap(a, b):
        a, b = ([tuple(one[k : k + n]) for k in range(len(one) - n + 1)] for one in (a, b))
        shared = sum(gram in b for gram in a) + sum(gram in a for gram in b)
        return shared / (len(a) + len(b)) if a or b else np.nan

    for k, group in enumerate(groups):
        np.testing.assert_allclose(found[k], mean_of([overlap(texts[i], texts[j]) for i, j in combinations(group, 2)]))


def random_groups_of(texts, seed):
    rng = np.random.default_rng(seed)
    return [rng.choice(len(texts), size=rng.integers(0, len(texts) + 1), replace=False) for _ in range(3)]


def mean_of(values):
    known = [one for one in values if one == one]
    return np.mean(known) if known else np.nan


def test_similarity_of_every_pair(vectors):
    groups = random_groups(np.random.default_rng(4), 60, 50)
    found, dense = x.similarity(vectors, groups), plain(vectors)
    for k, group in enumerate(groups):
        if len(group) < 2:
            assert np.isnan(found.cosine[k])
            continue
        np.testing.assert_allclose(found.cosine[k], 1 - pdist(dense[group], "cosine").mean(), atol=1e-5)
        np.testing.assert_allclose(found.euclidean[k], (1 / (1 + pdist(dense[group]))).mean(), atol=1e-5)


def test_quotations_go_and_the_rest_stays_in_order():
    item = x.trigrams([x.words("A man walks."), x.words("He is outside now.")])
    said = x.words("Since a man walks, he is out: outside now he is outside now.")
    assert x.delexicalise(said, item) == ["since", "he", "is", "out", "outside", "now"]
    across = x.trigrams([["a", "b"], ["c", "d"]])
    assert x.delexicalise(["a", "b", "c", "d"], across) == ["a", "b", "c", "d"]
    assert x.delexicalise(x.words("A MAN walks!"), item) == []
    assert x.delexicalise(["a", "man"], item) == ["a", "man"]


def test_vocabulary_of_an_empty_text_is_missing():
    np.testing.assert_array_equal(x.vocabulary_size(x.bags_of([["a", "b", "a"], []])), [2.0, np.nan])


def test_overlap_of_peoples_explanations():
    """Chen et al. (2025) print 0.335, 0.098 and 0.042 for 100 of these 341 items."""
    with data("chaosnli_varierr/nli_explanations.jsonl").open(encoding="utf-8") as file:
        sets = [[text for text, _ in json.loads(line)["comments"]] for line in file]
    assert {len(one) for one in sets} == {4}
    texts = [x.words_and_signs(text) for one in sets for text in one]
    groups = list(np.arange(len(texts)).reshape(-1, 4))
    found = [x.ngram_overlap(counts, groups).mean() for counts in x.ngram_bags(texts)]
    assert [round(float(one), 3) for one in found] == [0.336, 0.105, 0.046]


@pytest.mark.parametrize(("worker", "n", "median"), [("w9", 114, 17.0), ("w4", 122, 32.0)])
def test_lengths_of_peoples_explanations(worker, n, median):
    """Kulmizev et al. (2026) print 14 for w9 and 30 for w4."""
    with data("livenli/livenli.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["worker_id"] == worker]
    left = [
        x.delexicalise(x.words(row["explanation"]), x.trigrams([x.words(row["premise"]), x.words(row["hypothesis"])]))
        for row in rows
    ]
    assert (len(left), np.median([len(one) for one in left])) == (n, median)
