"""Draws of participants: equal to the plain way, whatever the order, and honest about what is undefined."""

from __future__ import annotations

from dataclasses import replace
from math import comb, isnan

import numpy as np
import pytest
from numpy.typing import NDArray

from partynli.aggregate import ASKED_IN_VAIN, NOT_ASKED, Answers
from partynli.analysis.curve import Costs, learning_curve
from partynli.analysis.lookup import AGAINST, METRICS, People, Votes, evaluate, figures_of
from partynli.analysis.randommix import BOOTSTRAPPED, Pool, Summary, randommix
from partynli.errors import InputError
from partynli.labels import LABELS
from partynli.metrics import (
    bootstrap_participants_items,
    compare,
    entropy,
    item_mean,
    krippendorff_alpha,
    label_counts,
    probabilities,
)
from partynli.records import Participant
from partynli.store import Tally

Codes = NDArray[np.int16]


def answers_from(codes: Codes, names: list[str] | None = None) -> Answers:
    names = names or [f"p{k:02}" for k in range(len(codes))]
    return Answers(
        labels=LABELS,
        sets=LABELS,
        items=tuple(f"i{k}" for k in range(codes.shape[2])),
        participants=tuple(Participant(name, "openai", name, {}) for name in names),
        simple=codes.astype(np.int16),
        multi=codes.astype(np.int16),
        groups={"mix": tuple(range(len(codes)))},
        synthetic=False,
    )


def some(people: int = 8, trials: int = 2, items: int = 30, missing: float = 0.1, seed: int = 0) -> Codes:
    rng = np.random.default_rng(seed)
    codes = rng.choice(3, p=[0.5, 0.3, 0.2], size=(people, trials, items))
    codes[rng.random(codes.shape) < missing] = ASKED_IN_VAIN
    return codes.astype(np.int16)


def humans(items: int = 30, seed: int = 1) -> dict[str, NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    found = {source: rng.multinomial(n, [0.4, 0.3, 0.3], size=items) for source, n in (("livenli", 10), ("chaos", 100))}
    found["chaos"][items // 2 :] = 0  # these people saw half of the items
    return found


def pool_of(codes: Codes, human: dict[str, NDArray[np.int64]] | None = None) -> Pool:
    answers = answers_from(codes)
    return Pool.of(answers, range(len(codes)), humans(codes.shape[2]) if human is None else human)


@pytest.mark.parametrize("missing", [0.0, 0.2, 0.9])
def test_each_draw_has_the_figures_that_the_metrics_give(missing: float) -> None:
    codes, human = some(missing=missing), humans()
    mix = randommix(pool_of(codes, human), size=3, draws=40, resamples=2)
    assert mix.members.sum(1).tolist() == [3] * 40
    for draw, members in enumerate(mix.members):
        counts = np.stack([label_counts(codes[members, trial].clip(-1), 3) for trial in range(2)])
        plain = {
            ("entropy", None): item_mean(entropy(probabilities(counts))),
            ("alpha", None): krippendorff_alpha(counts),
        }
        for source, votes in human.items():
            found = compare(probabilities(votes), probabilities(counts))
            plain |= {(name, source): found[name] for name in AGAINST}
        for figure, by_trial in plain.items():
            np.testing.assert_allclose(mix.values[figure][draw], item_mean(by_trial), rtol=0, atol=1e-12)
    assert set(mix.values) == set(figures_of(human))


def test_the_order_of_participants_in_the_run_changes_nothing() -> None:
    codes, human = some(), humans()
    names = [f"p{k}" for k in range(8)]
    order = np.random.default_rng(3).permutation(8)
    one = Pool.of(answers_from(codes, names), range(8), human)
    other = Pool.of(answers_from(codes[order], [names[k] for k in order]), [5, 2, 0, 1, 3, 4, 7, 6], human)
    a, b = (randommix(pool, size=4, draws=50, resamples=20, seed=7) for pool in (one, other))
    assert a.pool == b.pool
    assert (a.members == b.members).all()
    for figure in a.values:
        np.testing.assert_array_equal(a.values[figure], b.values[figure])
    for figure, interval in a.intervals.items():
        assert interval.low == b.intervals[figure].low


def test_the_order_of_items_and_labels_changes_nothing() -> None:
    codes, human = some(missing=0.0), humans()
    order = np.random.default_rng(3).permutation(30)
    a = randommix(pool_of(codes, human), size=4, draws=50, resamples=2)
    shuffled = pool_of(codes[:, :, order], {source: votes[order] for source, votes in human.items()})
    relabelled = Pool.of(
        replace(answers_from(2 - codes), labels=LABELS[::-1]),
        range(8),
        {source: votes[:, ::-1] for source, votes in human.items()},
    )
    for pool in (shuffled, relabelled):
        b = randommix(pool, size=4, draws=50, resamples=2)
        for figure in a.values:
            np.testing.assert_allclose(a.values[figure], b.values[figure], rtol=0, atol=1e-12)


def test_seeds_and_draws() -> None:
    pool = pool_of(some())
    one, again, other = (randommix(pool, size=4, draws=30, resamples=5, seed=seed) for seed in (1, 1, 2))
    assert (one.members == again.members).all()
    assert (one.members != other.members).any()
    assert one.drawn(0) == [name for name, there in zip(pool.names, one.members[0], strict=True) if there]


def test_a_draw_of_all_has_no_spread() -> None:
    mix = randommix(pool_of(some()), size=8, draws=20, resamples=10)
    assert mix.distinct == 1
    for figure, summary in mix.summaries.items():
        assert summary.sd == pytest.approx(0, abs=1e-12)
        assert summary.mean == pytest.approx(mix.whole[figure][0])
    interval = mix.intervals["js_distance", "livenli"]
    assert interval.high > interval.low  # the bootstrap keeps its spread


def test_the_bootstrap_is_the_one_of_the_metrics() -> None:
    codes, human = some(trials=1), {"livenli": humans()["livenli"]}
    pool = pool_of(codes, human)
    ours = pool.bootstrap(8, resamples=60, rng=np.random.default_rng(5))
    assert {name for name, _ in ours} == set(BOOTSTRAPPED)

    def js(counts: NDArray[np.float64], p: NDArray[np.float64]) -> NDArray[np.float64]:
        return compare(p, probabilities(counts))["js_distance"]

    p = probabilities(human["livenli"])
    theirs = bootstrap_participants_items(js, codes[:, 0], 3, [p], rng=np.random.default_rng(5), draws=60)
    np.testing.assert_allclose(ours["js_distance", "livenli"], theirs, rtol=0, atol=1e-12)


def test_trials_that_a_participant_lacks_are_left_out() -> None:
    codes = some(people=3, trials=3, missing=0.0)
    codes[0, 1:] = NOT_ASKED
    codes[:, 2] = NOT_ASKED  # nobody has the third
    pool = pool_of(codes)
    found = pool.figures(np.array([[True, True, True], [True, False, False]]))
    whole = [item_mean(entropy(probabilities(label_counts(part, 3)))) for part in (codes[:, 0], codes[1:, 1])]
    assert found["entropy", None][0] == pytest.approx(np.mean(whole), abs=1e-12)
    assert found["entropy", None][1] == 0  # one vote an item, in the only trial that there is


def test_the_learning_curve_is_exhaustive_where_it_can_be() -> None:
    codes = some(people=6)
    answers, human = answers_from(codes), humans()
    pool = Pool.of(answers, range(6), human)
    tally = Tally(begun=120, cost=6.0)
    tallies = {one.id: tally for one in answers.participants}
    costs = Costs.of(pool, answers, tallies)
    assert costs.unknown == ()
    np.testing.assert_allclose(costs.dollars, [3.0] * 6)  # 60 of the 120 trials lie in the scope
    curve = learning_curve(pool, costs, draws=18, seed=3)
    assert [point.size for point in curve] == [1, 2, 3, 4, 5, 6]
    assert [point.draws for point in curve] == [min(18, comb(6, size)) for size in range(1, 7)]
    assert [point.exhaustive for point in curve] == [comb(6, size) <= 18 for size in range(1, 7)]
    assert [point.calls for point in curve] == [60.0 * size for size in range(1, 7)]
    assert curve[3].dollars == pytest.approx(12.0)
    assert isnan(curve[0].summaries["alpha", None].mean)
    assert curve[0].summaries["alpha", None].undefined == 6
    assert curve[5].summaries["entropy", None].mean == pytest.approx(pool.whole()["entropy", None][0])
    second = answers.participants[1].id
    few = replace(tally, valid=110, rejected=10, unpriced=12)  # 108 answers for 6 dollars, and 12 more
    assert Costs.of(pool, answers, {**tallies, second: few}).dollars[1] == pytest.approx(3.0 * 120 / 108)
    assert Costs.of(pool, answers, {**tallies, second: replace(few, unpriced=13)}).unknown == ("p01",)
    assert Costs.of(pool, answers, {**tallies, second: replace(tally, unpriced=1)}).unknown == ("p01",)
    unknown = Costs.of(pool, answers, {})
    assert unknown.unknown == pool.names
    assert learning_curve(pool, unknown, draws=2)[0].dollars is None


def test_size_beyond_the_pool_is_refused() -> None:
    pool = pool_of(some())
    with pytest.raises(InputError, match="--size 9 is more than the pool has: 8 participants"):
        randommix(pool, size=9)
    silent = np.full((3, 2, 5), NOT_ASKED, dtype=np.int16)
    with pytest.raises(InputError, match="nobody of the pool was asked"):
        randommix(pool_of(silent), size=1)


@pytest.mark.parametrize(
    ("codes", "defined"),
    [
        (np.full((4, 1, 6), ASKED_IN_VAIN), set()),
        (np.zeros((4, 1, 6)), {"entropy", "js_distance", "kl_pq", "kl_qp", "agreement"}),
        (np.array([[[0, 1, 2, 0, 1, 2]]]), {"entropy", "js_distance", "kl_pq", "kl_qp", "agreement"}),
    ],
    ids=["all errors", "all the same label", "one participant"],
)
def test_what_is_undefined_stays_undefined(codes: Codes, defined: set[str]) -> None:
    mix = randommix(pool_of(codes.astype(np.int16)), size=1, draws=5, resamples=5)
    for (name, source), summary in mix.summaries.items():
        if source != "chaos":
            assert (summary.n == 5) == (name in defined), name
            assert summary.n + summary.undefined == 5
            assert isnan(summary.mean) == (name not in defined)


def test_one_item() -> None:
    mix = randommix(pool_of(some(items=1, missing=0.0), {"livenli": np.array([[5, 3, 2]])}), size=4, draws=5)
    assert isnan(mix.summaries["kendall_tau", "livenli"].mean)
    assert mix.summaries["js_distance", "livenli"].n == 5


def test_without_people_there_are_the_participants_own_figures() -> None:
    mix = randommix(pool_of(some(), {}), size=4, draws=5, resamples=5)
    assert set(mix.values) == {("entropy", None), ("alpha", None)}


def test_many_labels_and_participants_are_counted_exactly_or_refused() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(6, size=(60, 1, 9)).astype(np.int16)  # 61^6 is far beyond the direct table
    votes = Votes(codes, 6, 60)
    counts, way = votes.ways(votes.of(np.ones((1, 60))))
    np.testing.assert_array_equal(counts[way[0, 0]], label_counts(codes[:, 0], 6))
    with pytest.raises(InputError, match="more than can be counted"):
        Votes(codes, 12, 60)


def test_only_the_metrics_that_are_wanted() -> None:
    codes = some()
    votes = Votes(codes, 3, 8)
    people = {"livenli": People.of(humans()["livenli"])}
    for name in METRICS:
        found = evaluate(votes, votes.of(np.ones((1, 8))), people, LABELS, metrics=[name])
        assert {metric for metric, _ in found} == {name}


def test_a_summary_counts_what_is_undefined() -> None:
    found = Summary.of(np.array([1.0, np.nan, 3.0]))
    assert (found.mean, found.n, found.undefined) == (2.0, 2, 1)
    assert found.quantiles[2] == 2.0
    assert isnan(Summary.of(np.array([1.0])).sd)
