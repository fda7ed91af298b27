"""Distributions from option scores beside people's: published figures, means over prompts, intervals."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from partynli.aggregate import human_counts
from partynli.analysis.mjd import Mjd, PromptScores, Transform, mjd_of
from partynli.analysis.mjd_compare import Compared, Distributions, baselines, compare_rows, resampled_correlations
from partynli.errors import InputError
from partynli.items import load_dataset
from partynli.items.varierr341 import FILES
from partynli.labels import LABELS
from partynli.metrics import bootstrap, convention, distance_correlation, p_norm, p_softmax, probabilities

DATA = Path(os.environ.get("PARTYNLI_DATA") or Path(__file__).parents[3] / "shared" / "data")
NAN = float("nan")


def scores(
    rows: list[list[float]], item_of: list[int], bound: list[float] | None = None, n_items: int = 2
) -> PromptScores:
    return PromptScores(
        run="r",
        participant="m",
        synthetic=False,
        labels=LABELS,
        items=tuple(f"i{k}" for k in range(n_items)),
        texts={},
        item_of=np.array(item_of),
        scores=np.array(rows, dtype=np.float64),
        bound=np.array(bound or [NAN] * len(rows)),
        asked=np.full(n_items, 2),
    )


def test_a_distribution_is_the_mean_over_prompts_and_not_of_scores() -> None:
    rows = [[30.0, 20.0, 10.0], [10.0, 10.0, 10.0], [9.0, 1.0, 2.0]]
    found = mjd_of(scores(rows, [0, 0, 1]), Transform("norm"))
    assert found.p[0] == pytest.approx(p_norm(rows[:2]).mean(0))
    assert found.p[1] == pytest.approx(p_norm(rows[2]))
    soft = mjd_of(scores(rows, [0, 0, 1]), Transform("softmax", 2.0))
    assert soft.p[0] == pytest.approx(p_softmax(rows[:2], 2.0).mean(0))
    assert found.prompts.tolist() == [2, 1]
    assert (soft.low == soft.p).all()


def test_missing_options_are_counted_and_bound_the_distribution() -> None:
    rows = [[-0.1, NAN, -3.0], [-0.1, -2.0, -3.0]]
    found = mjd_of(scores(rows, [0, 0], [-6.0, -8.0], n_items=2), Transform("softmax", 1.0))
    assert found.cut.tolist() == [1, 0]
    assert (found.low[0] <= found.p[0]).all()
    assert (found.p[0] <= found.high[0]).all()
    assert found.low[0, 1] < found.p[0, 1]
    assert found.high[0, 0] > found.p[0, 0]
    assert np.isnan(found.p[1]).all()
    with pytest.raises(InputError, match="score of every option"):
        mjd_of(scores(rows, [0, 0], [-6.0, -8.0]), Transform("norm"))


def test_items_answered_in_part_are_counted_and_what_nothing_bounds_is_no_width() -> None:
    rows = [[-0.1, NAN, -3.0], [-0.1, NAN, -3.0], [-1.0, -2.0, -3.0]]
    found = mjd_of(scores(rows, [0, 1, 2], [NAN, -4.0, NAN], n_items=4), Transform("softmax", 1.0))
    assert np.isnan(found.p).any(-1).tolist() == [True, False, False, True]
    assert found.widths.size == 6
    assert found.widths.max() == (found.high - found.low)[1].max() > 0
    asked = replace(found, asked=np.array([1, 2, 1, 2]))
    assert asked.in_part == 1


def test_log_probabilities_are_not_divided_by_their_sum() -> None:
    with pytest.raises(InputError, match="turn the order of the options round"):
        mjd_of(scores([[-0.1, -3.0, -5.0]], [0]), Transform("norm"))


def test_an_mjd_of_orders_in_balance_has_no_favourite_letter() -> None:
    # one prompt an order: the first letter gets 5 more than the last, whatever label stands there
    orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
    rows = [[5.0 - 2.5 * order.index(label) for label in range(3)] for order in orders]
    found: Mjd = mjd_of(scores(rows, [0] * 6, n_items=1), Transform("softmax", 1.0))
    assert found.p[0] == pytest.approx([1 / 3] * 3)


def test_resampled_correlations_are_those_of_the_items_drawn() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.dirichlet([1] * 3, 25), rng.dirichlet([1] * 3, 25)
    weights = rng.multinomial(25, np.full(25, 1 / 25), size=5).astype(np.float64)
    drawn = [np.repeat(np.arange(25), row.astype(int)) for row in weights]
    expected = [float(distance_correlation(x[items], y[items])) for items in drawn]
    assert resampled_correlations(x, y, weights) == pytest.approx(expected, abs=1e-9)


def test_intervals_hold_the_value() -> None:
    rng = np.random.default_rng(1)
    p, q = rng.dirichlet([1] * 3, 60), rng.dirichlet([1] * 3, 60)
    (found,) = compare_rows(p, [Distributions("m", "mjd", q)], convention("chen2024"), draws=300)
    for name, figure in found.figures.items():
        assert figure.low <= figure.value <= figure.high, name
    spread = np.std(bootstrap(distance_correlation, [p, q], rng=rng, draws=300))
    half = (found.distance_correlation.high - found.distance_correlation.low) / 2
    assert half == pytest.approx(1.96 * spread, rel=0.25)


def test_a_single_item_has_no_interval() -> None:
    p = np.array([[0.5, 0.3, 0.2]])
    (found,) = compare_rows(p, [Distributions("m", "mjd", p[:, ::-1])], convention("chen2024"))
    assert found.tvd.value == pytest.approx(0.3)
    assert np.isnan([[one.low, one.high] for one in found.figures.values()]).all()


def test_items_that_one_side_lacks_are_left_out_and_counted() -> None:
    p = np.array([[1.0, 0, 0], [0, 1.0, 0], [NAN] * 3])
    q = np.array([[1.0, 0, 0], [NAN] * 3, [0, 0, 1.0]])
    (found,) = compare_rows(p, [Distributions("m", "mjd", q)], convention("chen2024"), draws=100)
    assert found.n_items == found.tvd.n == 1
    assert found.tvd.value == 0
    (nothing,) = compare_rows(p[1:2], [Distributions("m", "mjd", q[1:2])], convention("chen2024"), draws=100)
    assert nothing.n_items == 0
    assert nothing.tvd.value != nothing.tvd.value


def rows_of(found: list[Compared]) -> dict[str, list[str]]:
    return {one.row.name: [f"{figure.value:.3f}" for figure in one.figures.values()] for one in found}


@pytest.mark.skipif(not (DATA / FILES[0].path).is_file(), reason="the 341 items are not there")
def test_the_published_rows_come_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARTYNLI_DATA", str(DATA))
    dataset = load_dataset("varierr341")
    uids = [item.uid for item in dataset.items]
    people = {source: human_counts(dataset, source, uids, 3) for source in dataset.distributions}
    reference = probabilities(people["chaosnli"])
    found = compare_rows(reference, baselines(people, "chaosnli", reference.shape), convention("chen2024"), draws=100)
    assert rows_of(found) == {
        "mnli single label": ["9.288", "0.422", "0.435", "0.612"],
        "mnli distribution": ["1.242", "0.209", "0.215", "0.795"],
        "varierr distribution": ["3.604", "0.282", "0.286", "0.688"],
        "uniform": ["0.365", "0.307", "0.350", "0.000"],
    }
