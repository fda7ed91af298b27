"""From option scores to distributions: the two transforms, what they refuse, and bounds that hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from partynli.errors import InputError
from partynli.metrics import bounded_softmax, p_norm, p_softmax

SCORES = st.lists(st.floats(-60, 60), min_size=3, max_size=3)
TEMPERATURES = st.sampled_from([0.05, 1.0, 20.0, 1000.0])


@given(SCORES, TEMPERATURES)
def test_softmax_is_that_of_scipy_and_takes_logits_and_log_probabilities_alike(
    scores: list[float], temperature: float
) -> None:
    found = p_softmax(scores, temperature)
    assert found == pytest.approx(softmax(np.array(scores) / temperature), abs=1e-12)
    shifted = np.array(scores) - 123.25
    assert p_softmax(shifted, temperature) == pytest.approx(found, abs=1e-9)


def test_raw_logits_over_their_sum() -> None:
    assert p_norm([[30.0, 20.0, 10.0], [1.0, 1.0, 2.0]]).tolist() == [[0.5, 1 / 3, 1 / 6], [0.25, 0.25, 0.5]]


@pytest.mark.parametrize("scores", [[-0.1, -2.0, -5.0], [3.0, 2.0, -1.0], [3.0, 0.0, 1.0]])
def test_raw_over_sum_refuses_what_is_not_positive(scores: list[float]) -> None:
    with pytest.raises(InputError, match="raw logits that are all positive"):
        p_norm([[9.0, 9.0, 9.0], scores])


def test_raw_over_sum_refuses_what_is_missing() -> None:
    with pytest.raises(InputError, match="score of every option"):
        p_norm([3.0, np.nan, 1.0])


@given(
    SCORES, st.sets(st.integers(0, 2), max_size=2), st.lists(st.floats(0, 200), min_size=3, max_size=3), TEMPERATURES
)
def test_bounds_hold_whatever_the_missing_scores_are(
    scores: list[float], missing: set[int], below: list[float], temperature: float
) -> None:
    bound = min(scores)
    true = np.array([bound - below[k] if k in missing else score for k, score in enumerate(scores)])
    seen = np.where([k in missing for k in range(3)], np.nan, true)
    found = bounded_softmax(seen, bound, temperature)
    p = p_softmax(true, temperature)
    assert (found.low <= p + 1e-12).all()
    assert (p <= found.high + 1e-12).all()
    assert found.p.sum() == pytest.approx(1)
    assert (found.low <= found.p + 1e-12).all()
    assert (found.p <= found.high + 1e-12).all()
    if not missing:
        assert (found.low == found.p).all()
        assert found.high == pytest.approx(found.p)


def test_a_missing_option_is_never_impossible() -> None:
    found = bounded_softmax([-0.1, np.nan, np.nan], -4.0, temperature=20)
    assert found.p.min() > 0.25
    assert found.low.tolist()[1:] == [0, 0]


def test_without_a_bound_nothing_is_known() -> None:
    assert np.isnan(bounded_softmax([0.0, np.nan, 1.0], np.nan).p).all()


@pytest.mark.parametrize(("scores", "temperature"), [([1.0, np.inf, 0.0], 1.0), ([1.0, 2.0], 0.0), (3.0, 1.0)])
def test_what_no_distribution_can_be_made_of(scores: object, temperature: float) -> None:
    with pytest.raises(InputError):
        p_softmax(scores, temperature)  # type: ignore[arg-type]
