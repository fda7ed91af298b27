"""The figures of a report: equal to the plain way, per trial, whatever the order, and empty where undefined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isnan, log, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy as scipy_entropy
from scipy.stats import kendalltau

from partynli.aggregate import ASKED_IN_VAIN, NOT_ASKED, Answers
from partynli.analysis.figures import Figure, Rows, shuffled_means
from partynli.analysis.groups import EVERYBODY, groups_of, largest_mix, members_of
from partynli.analysis.overview import Overview, overview_of
from partynli.analysis.resamples import Resamples
from partynli.analysis.scope import Choices, Row, Scope
from partynli.analysis.tables import single, table_2, table_5, twin_of_everybody
from partynli.errors import InputError
from partynli.items import Dataset, ItemSource
from partynli.labels import LABELS
from partynli.metrics import (
    convention,
    entropy,
    js_distance,
    kendall_tau,
    krippendorff_alpha,
    null_shuffled,
    probabilities,
)
from partynli.records import Participant

Codes = NDArray[np.int16]
KULMIZEV = convention("kulmizev2026")
UIDS = tuple(f"i{k:02}" for k in range(12))


def answers_of(
    codes: Codes, groups: Mapping[str, tuple[int, ...]] | None = None, **params: dict[str, float]
) -> Answers:
    names = [f"p{k:02}" for k in range(len(codes))]
    return Answers(
        labels=LABELS,
        sets=LABELS,
        items=tuple(f"i{k:02}" for k in range(codes.shape[2])),
        participants=tuple(Participant(name, "openai", name, {}) for name in names),
        simple=codes.astype(np.int16),
        multi=codes.astype(np.int16),
        groups={"mix": tuple(range(len(codes)))} if groups is None else groups,
        synthetic=False,
    )


def some(people: int = 6, trials: int = 3, items: int = 12, missing: float = 0.0, seed: int = 0) -> Codes:
    rng = np.random.default_rng(seed)
    codes = rng.choice(3, p=[0.5, 0.3, 0.2], size=(people, trials, items))
    codes[rng.random(codes.shape) < missing] = ASKED_IN_VAIN
    return codes.astype(np.int16)


def people(items: int = 12, known: int | None = None, **sizes: int) -> Dataset:
    rng = np.random.default_rng(7)
    found = {}
    for source, n in (sizes or {"livenli": 10}).items():
        counts = rng.multinomial(n, [0.4, 0.35, 0.25], size=items)
        found[source] = {f"i{k:02}": tuple(row.tolist()) for k, row in enumerate(counts[:known])}
    return Dataset("people", ItemSource.of([], "people"), distributions=found)


def overview(answers: Answers, dataset: Dataset | None = None, **choices: int) -> Overview:
    chosen = Choices(KULMIZEV, **{"draws": 200, **choices})
    return overview_of("test", answers, dataset, {"all": answers.items}, chosen)


def scope(answers: Answers, dataset: Dataset | None = None) -> Scope:
    return overview(answers, dataset).scopes[0]


def alpha_by_hand(units: list[list[int]]) -> float:
    """Krippendorff's nominal alpha from pairs of values, unit by unit."""
    units = [unit for unit in units if len(unit) > 1]
    values = [value for unit in units for value in unit]
    n = len(values)
    observed = sum(sum(a != b for a in unit for b in unit) / (len(unit) - 1) for unit in units) / n
    expected = sum(a != b for a in values for b in values) / (n * (n - 1))
    return 1 - observed / expected


def test_a_mix_is_worked_out_trial_by_trial_and_then_averaged() -> None:
    codes, dataset = some(), people()
    row = scope(answers_of(codes), dataset).row("mix")
    votes = np.array([dataset.distributions["livenli"][f"i{k:02}"] for k in range(12)])
    means: dict[str, list[float]] = {name: [] for name in ("h", "sd", "js", "tau", "alpha", "kl", "agree", "js_sd")}
    for t in range(3):
        q = np.array([[(codes[:, t, i] == k).mean() for k in range(3)] for i in range(12)])
        p = votes / 10
        h = scipy_entropy(q, axis=1)
        js = [jensenshannon(a, b) for a, b in zip(p, q, strict=True)]
        means["h"].append(h.mean())
        means["sd"].append(h.std(ddof=1))
        means["js"].append(float(np.mean(js)))
        means["js_sd"].append(float(np.std(js, ddof=1)))
        means["tau"].append(kendalltau(scipy_entropy(p, axis=1).round(9), h.round(9)).statistic)
        means["alpha"].append(alpha_by_hand(codes[:, t].T.tolist()))
        clipped = [np.clip(x, 1e-10, 1) / np.clip(x, 1e-10, 1).sum(1, keepdims=True) for x in (p, q)]
        means["kl"].append(float(scipy_entropy(*clipped, axis=1).mean()))
        order = [1, 2, 0]  # either, false, true: ties go to the alphabetically first
        modes = [np.array(order)[x[:, order].argmax(1)] for x in (p.round(9), q.round(9))]
        means["agree"].append(float((modes[0] == modes[1]).mean()))
    expected = {name: float(np.mean(values)) for name, values in means.items()}
    against = row.against["livenli"]
    assert row.figures["entropy"].value == pytest.approx(expected["h"], abs=1e-12)
    assert row.figures["entropy"].sd == pytest.approx(expected["sd"], abs=1e-12)
    assert row.figures["alpha"].value == pytest.approx(expected["alpha"], abs=1e-12)
    assert against["js_distance"].value == pytest.approx(expected["js"], abs=1e-9)
    assert against["js_distance"].sd == pytest.approx(expected["js_sd"], abs=1e-9)
    assert against["kendall_tau"].value == pytest.approx(expected["tau"], abs=1e-12)
    assert against["kl_pq"].value == pytest.approx(expected["kl"], abs=1e-9)
    assert against["agreement"].value == pytest.approx(expected["agree"], abs=1e-12)
    assert (row.n_valid, row.n_asked, row.trials, row.size) == (6 * 3 * 12, 6 * 3 * 12, 3, 6)


def test_a_single_participant_has_its_trials_as_raters() -> None:
    codes = some(people=2, trials=5)
    found = scope(answers_of(codes))
    row = found.row("p01")
    assert row.kind == "participant"
    assert row.figures["alpha"].value == pytest.approx(alpha_by_hand(codes[1].T.tolist()), abs=1e-12)
    assert row.figures["alpha_within"].value == row.figures["alpha"].value
    distinct = [len(set(codes[1, :, i].tolist())) for i in range(12)]
    assert row.figures["consistency"].value == pytest.approx(np.mean(distinct), abs=1e-12)
    assert row.figures["share_consistent"].value == pytest.approx(np.mean([n == 1 for n in distinct]), abs=1e-12)


def test_a_single_item_has_no_intervals() -> None:
    row = scope(answers_of(some(people=3, trials=2, items=1))).row("mix")
    figures = [*row.figures.values(), *(one for source in row.against.values() for one in source.values())]
    assert any(one.value == one.value for one in figures)
    assert all(one.low != one.low and one.high != one.high for one in figures)


def test_alpha_has_three_names() -> None:
    codes = some(people=3, trials=4)
    row = scope(answers_of(codes)).row("mix")
    within = np.mean([alpha_by_hand(one.T.tolist()) for one in codes])
    pooled = alpha_by_hand(codes.reshape(-1, 12).T.tolist())
    assert row.figures["alpha_within"].value == pytest.approx(within, abs=1e-12)
    assert row.figures["alpha_pooled"].value == pytest.approx(pooled, abs=1e-12)
    assert row.figures["alpha"].value not in (row.figures["alpha_within"].value, row.figures["alpha_pooled"].value)


def test_figures_of_members_count_the_items_that_any_of_them_has() -> None:
    codes = some(people=3, trials=2)
    codes[0, :, 4:] = codes[1, :, :7] = codes[2, 1] = NOT_ASKED  # four items twice, five others twice, all items once
    row = scope(answers_of(codes)).row("mix")
    names = ("alpha_within", "consistency", "share_consistent")
    assert {name: row.figures[name].n for name in names} == dict.fromkeys(names, 9)


def test_p_of_distance_correlation_is_that_of_the_mean_over_trials() -> None:
    rng = np.random.default_rng(5)
    votes = rng.multinomial(10, [0.4, 0.35, 0.25], size=30)
    knows = np.array([np.repeat(np.arange(3), row) for row in votes]).T[:, None]  # ten who vote as people do
    codes = np.concatenate([knows, rng.integers(3, size=(10, 2, 30))], axis=1)  # and know nothing in two trials more
    dataset = people(items=30, livenli=10)
    human = {f"i{k:02}": tuple(row.tolist()) for k, row in enumerate(votes)}
    known = replace(dataset, distributions={"livenli": human})
    chosen = Choices(convention("chen2024"), draws=100)
    answers = answers_of(codes)
    found = overview_of("test", answers, known, {"all": answers.items}, chosen).scopes[0]
    figure, twin = (found.row(name).against["livenli"]["distance_correlation"] for name in ("mix", EVERYBODY))
    assert figure.p == twin.p  # the same members, and so the same shuffles
    assert 0.4 < figure.value < 0.7
    assert figure.p < 0.02  # the mean of the trials' own p would be far from it


def test_trial_t_uses_those_that_have_it_and_the_report_says_so() -> None:
    codes = some(people=3, trials=2)
    codes[2, 1] = NOT_ASKED
    found = overview(answers_of(codes))
    row = found.scopes[0].row("mix")
    alphas = [alpha_by_hand(codes[:, 0].T.tolist()), alpha_by_hand(codes[:2, 1].T.tolist())]
    assert row.figures["alpha"].value == pytest.approx(np.mean(alphas), abs=1e-12)
    assert any("unequal numbers of trials" in note and "3, 2" in note for note in found.notes)
    assert [one.name for one in found.scopes[0].groups if one.kind == "participant"] == ["p00", "p01"]


def test_missing_answers_are_counted_and_in_no_distribution() -> None:
    codes = some(missing=0.3)
    codes[:, :, 0] = ASKED_IN_VAIN
    row = scope(answers_of(codes), people()).row("mix")
    assert row.n_asked == codes.size
    assert row.n_valid == int((codes >= 0).sum())
    assert row.figures["entropy"].n == 11
    assert row.against["livenli"]["js_distance"].n == 11
    assert sum(row.label_shares.values()) == pytest.approx(1)


def test_order_changes_nothing() -> None:
    codes, dataset = some(missing=0.1), people(livenli=10, chaosnli=100, mnli=5)
    answers = answers_of(codes, {"mix": (0, 1, 2, 3, 4, 5), "half": (0, 1, 2)})
    participants, items = [3, 0, 5, 1, 4, 2], np.random.default_rng(1).permutation(12)
    place = {old: new for new, old in enumerate(participants)}
    other = replace(
        answers,
        participants=tuple(answers.participants[k] for k in participants),
        items=tuple(answers.items[k] for k in items),
        simple=codes[participants][:, :, items],
        multi=codes[participants][:, :, items],
        groups={name: tuple(place[k] for k in ks) for name, ks in answers.groups.items()},
    )
    a, b = overview(answers, dataset), overview(other, dataset)
    for row in a.scopes[0].groups:
        _equal(row, next(one for one in b.scopes[0].groups if (one.name, one.kind) == (row.name, row.kind)))
    for one, two in zip(a.honesty["all"], b.honesty["all"], strict=True):
        assert (one.group, one.effective_raw) == (two.group, pytest.approx(two.effective_raw, abs=1e-12))
        assert one.influence["js_distance"] == pytest.approx(two.influence["js_distance"], abs=1e-12)
        assert one.gap == pytest.approx(two.gap, abs=1e-12)
        assert one.bounds["entropy"] == pytest.approx(two.bounds["entropy"], abs=1e-12)


def _equal(one: Row, other: Row) -> None:
    assert (one.n_valid, one.n_asked, one.participants) == (other.n_valid, other.n_asked, other.participants)
    pairs = [(one.figures[name], other.figures[name]) for name in one.figures]
    pairs += [(a[name], other.against[source][name]) for source, a in one.against.items() for name in a]
    for a, b in pairs:
        assert list(a.__dict__.values()) == pytest.approx(list(b.__dict__.values()), abs=1e-12, nan_ok=True)


def test_ceiling_is_what_people_give_at_the_rows_size() -> None:
    dataset = people(items=40, livenli=10, chaosnli=100)
    codes = some(people=5, trials=1, items=40)
    found = scope(answers_of(codes), dataset)
    assert "two disjoint draws" in found.ceilings["livenli"][5]
    assert "Dirichlet" in found.ceilings["chaosnli"][5]
    p = np.array([dataset.distributions["chaosnli"][f"i{k:02}"] for k in range(40)]) / 100
    rng = np.random.default_rng(0)
    js = [
        js_distance(rng.multinomial(10, p) / 10, rng.multinomial(5, p) / 5).mean() for _ in range(400)
    ]  # with replacement: near, not equal
    assert found.row("mix").against["livenli"]["js_distance"].ceiling == pytest.approx(np.mean(js), abs=0.02)
    h = [entropy(rng.multinomial(5, p) / 5).mean() for _ in range(400)]
    assert found.row("mix").figures["entropy"].ceiling == pytest.approx(np.mean(h), abs=0.02)


def test_shuffled_null_is_exact() -> None:
    rng = np.random.default_rng(0)
    votes = rng.multinomial(5, [0.5, 0.3, 0.2], size=(2, 15))
    p = probabilities(rng.multinomial(10, [0.4, 0.3, 0.3], size=15))
    rows = Rows.of([votes])
    exact = shuffled_means(p, rows, LABELS, KULMIZEV)["js_distance"]
    drawn = [js_distance(p, null_shuffled(q, rng=rng, draws=3000)).mean() for q in rows.q]
    assert exact[0] == pytest.approx(np.mean(drawn), abs=0.002)


@pytest.mark.parametrize("items", [12, 220])
def test_resamples_by_weights_are_resamples_by_items(items: int) -> None:
    rng = np.random.default_rng(0)
    counts = rng.multinomial(4, [0.5, 0.3, 0.2], size=(3, items))
    counts[0, 3] = 0
    h = entropy(probabilities(counts))
    y = rng.integers(4, size=items).astype(float)
    y[5] = np.nan
    resamples = Resamples.draw(items, seed=1, scope="s", draws=40, shuffles=30)
    taus, alphas, means = resamples.taus(h, y), resamples.alphas(counts), resamples.means(h)
    for d, weights in enumerate(resamples.weights.astype(int)):
        drawn = np.repeat(np.arange(items), weights)
        np.testing.assert_allclose(taus[d], kendall_tau(h[:, drawn], y[drawn]), atol=1e-12)
        np.testing.assert_allclose(alphas[d], krippendorff_alpha(counts[:, drawn]), atol=1e-12)
        np.testing.assert_allclose(means[d], np.nanmean(h[:, drawn], axis=1), atol=1e-12)
    shuffled = resamples.shuffled_taus(h, y)
    there = np.flatnonzero(~np.isnan(y))
    for s, order in enumerate(resamples.shuffles):
        again = y.copy()
        again[there] = y[order[~np.isnan(y)[order]]]
        np.testing.assert_allclose(shuffled[s], kendall_tau(h, again), atol=1e-12)


def test_permutation_p_tells_chance_from_knowledge() -> None:
    codes, items = some(people=10, trials=1, items=40), 40
    counts = np.stack([(codes[:, 0] == k).sum(0) for k in range(3)], axis=-1)
    itself = {f"i{k:02}": tuple(row.tolist()) for k, row in enumerate(counts)}
    knowing = Dataset("people", ItemSource.of([], "people"), distributions={"livenli": itself})
    tau = scope(answers_of(codes), knowing).row("mix").against["livenli"]["kendall_tau"]
    assert (tau.value, tau.p) == (pytest.approx(1.0), pytest.approx(0.001))
    by_chance = scope(answers_of(codes), people(items)).row("mix").against["livenli"]["kendall_tau"]
    assert by_chance.p > 0.01


def test_null_rows() -> None:
    found = scope(answers_of(some()), people())
    rows = {one.name: one for one in found.groups if one.kind == "null"}
    assert set(rows) == {"uniform", "marginal of livenli", "always true", "always either", "always false"}
    assert rows["uniform"].figures["entropy"].value == pytest.approx(log(3))
    assert rows["always either"].label_shares == {"true": 0.0, "either": 1.0, "false": 0.0}
    assert isnan(rows["uniform"].against["livenli"]["kendall_tau"].value)
    assert rows["always true"].against["livenli"]["js_distance"].value < sqrt(log(2))


def test_groups_by_default() -> None:
    codes = some(people=4, trials=2)
    codes[3] = NOT_ASKED
    answers = answers_of(codes, {"three": (0, 1, 2), "four": (0, 1, 2, 3)})
    groups, notes = groups_of(answers, {"two": ["p00", "p02"], "elsewhere": ["p00", "other"]})
    assert [(one.name, one.kind) for one in groups] == [
        ("three", "mix"),
        ("two", "mix"),
        (EVERYBODY, "mix"),
        ("p00", "participant"),
        ("p01", "participant"),
        ("p02", "participant"),
    ]
    assert notes == ["four is left out: no answers of p03"]


def test_a_grid_is_cut_into_slices_with_the_other_parameter_unset() -> None:
    values = [(t, p) for t in (None, 0.1, 0.5) for p in (None, 0.3, 0.9)]
    answers = answers_of(some(people=9, trials=1), {"grid:m": tuple(range(9))})
    variants = tuple(
        Participant(f"m@{k}", "openai", "m", {n: v for n, v in zip(("temperature", "top_p"), pair, strict=True) if v})
        for k, pair in enumerate(values)
    )
    groups, notes = groups_of(replace(answers, participants=variants))
    members = {one.name: {values[k] for k in one.members} for one in groups}
    assert members["temperature:m"] == {(0.1, None), (0.5, None)}
    assert members["top_p:m"] == {(None, 0.3), (None, 0.9)}
    assert any("temperature:m is the slice of grid:m with top_p unset" in note for note in notes)


def test_rows_of_the_tables() -> None:
    found = scope(answers_of(some()), people(livenli=10, mnli=5))
    assert [one.name for one in table_2(found)][:3] == ["livenli", "mnli", single(found).name]
    assert twin_of_everybody(found) == "mix"
    assert [one.name for one in table_5(found)] == ["livenli", "mix", *(f"p{k:02}" for k in range(6))]
    best = min(
        (one for one in found.groups if one.kind == "participant"),
        key=lambda one: one.against["livenli"]["js_distance"].value,
    )
    assert single(found) is best


def test_people_who_know_some_items_only() -> None:
    found = scope(answers_of(some()), people(known=7))
    assert any("livenli knows 7 of 12 items" in note for note in found.notes)
    assert found.row("mix").against["livenli"]["js_distance"].n == 7
    assert found.row("mix").against["livenli"]["kendall_tau"].n == 7


def test_a_rows_size_is_of_the_items_that_were_answered() -> None:
    codes = some(people=4, trials=1)
    codes[:, 0, 5:] = NOT_ASKED
    found = scope(answers_of(codes), people(known=5))
    assert (found.row("mix").size, found.human["livenli"].size) == (4, 10)
    assert found.row("mix").against["livenli"]["js_distance"].ceiling > 0


def test_a_task_has_labels_of_its_own() -> None:
    codes = (some(people=4) > 0).astype(np.int16)
    votes = np.random.default_rng(3).multinomial(6, [0.5, 0.5], size=12)
    dataset = Dataset(
        "own",
        ItemSource.of([], "own"),
        distributions={"human": {f"i{k:02}": tuple(v) for k, v in enumerate(votes.tolist())}},
    )
    found = scope(replace(answers_of(codes), labels=("yes", "no")), dataset).row("mix")
    agreement = found.against["human"]["agreement"]
    assert 0 < agreement.ceiling < 1
    modes = ["no" if n >= y else "yes" for y, n in votes.tolist()]  # a tie goes to the alphabetically first
    same = [
        [
            ("no" if 2 * (of_item == 1).sum() >= 4 else "yes") == mode
            for of_item, mode in zip(codes[:, t].T, modes, strict=True)
        ]
        for t in range(3)
    ]
    assert agreement.value == pytest.approx(np.mean(same))


def test_a_mix_comes_before_a_participant_of_its_name() -> None:
    named = answers_of(some(people=3), {"p01": (0, 1, 2)})
    assert members_of(named, "p01") == (0, 1, 2)
    assert members_of(named, "p02") == (2,)
    one = replace(
        named, groups={}, participants=(replace(named.participants[0], name=EVERYBODY), *named.participants[1:])
    )
    assert members_of(one, EVERYBODY) == (1, 2, 0)
    assert largest_mix(one) == (EVERYBODY, (1, 2, 0))
    with pytest.raises(InputError, match="unknown group 'p03' in the run"):
        members_of(named, "p03")


def test_mixes_that_are_equally_large_are_the_largest_together() -> None:
    answers = answers_of(some(people=5), {"lo": (2, 3), "hi": (0, 1), "few": (4,)})
    assert largest_mix(answers) == ("hi + lo", (0, 1, 2, 3))


def test_people_who_know_fewer_items_than_others_are_left_out() -> None:
    whole, part = people(livenli=10), people(known=5, chaosnli=100)
    both = replace(whole, distributions={**whole.distributions, **part.distributions})
    found = scope(answers_of(some()), both)
    assert set(found.human) == {"livenli"}
    assert found.notes == ("chaosnli knows 5 of 12 items and is left out here",)


@pytest.mark.parametrize(
    "codes",
    [
        some(items=1),
        some(people=1),
        some(people=1, trials=1, items=1),
        np.full((3, 2, 12), ASKED_IN_VAIN, dtype=np.int16),
        np.full((3, 2, 12), 1, dtype=np.int16),
    ],
    ids=["one item", "one participant", "one answer", "all errors", "all the same label"],
)
@pytest.mark.parametrize("dataset", [None, people(livenli=10, chaosnli=100), people(known=0)])
def test_poor_runs_have_figures_where_they_are_defined(codes: Codes, dataset: Dataset | None) -> None:
    found = overview(answers_of(codes), dataset)
    row = found.scopes[0].row("mix")
    assert row.n_asked == codes.size
    if (codes == 1).all():
        assert row.figures["entropy"].value == 0
        assert isnan(row.figures["alpha"].value)
    if (codes == ASKED_IN_VAIN).all():
        assert row.n_valid == 0
        assert all(isnan(one.value) for one in row.figures.values() if isinstance(one, Figure))


def test_an_empty_run_is_refused() -> None:
    with pytest.raises(InputError, match="holds no answers yet"):
        overview(answers_of(np.full((2, 1, 3), NOT_ASKED, dtype=np.int16)))
