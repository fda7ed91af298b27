"""Two runs on the same items: differences, intervals and p as the plain way gives them."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from numpy.typing import NDArray

from partynli.aggregate import ASKED_IN_VAIN, NOT_ASKED, Answers
from partynli.analysis.compare import Comparison, compare_groups
from partynli.errors import InputError
from partynli.labels import LABELS
from partynli.metrics import compare as compare_distributions
from partynli.metrics import entropy, item_mean, krippendorff_alpha, label_counts, probabilities
from partynli.records import Participant

Codes = NDArray[np.int64]


def answers_from(codes: Codes, labels: tuple[str, ...] = LABELS) -> Answers:
    return Answers(
        labels=labels,
        sets=labels,
        items=tuple(f"i{k}" for k in range(codes.shape[2])),
        participants=tuple(Participant(f"p{k}", "openai", f"p{k}", {}) for k in range(len(codes))),
        simple=codes.astype(np.int16),
        multi=codes.astype(np.int16),
        groups={},
        synthetic=False,
    )


def some(p: tuple[float, ...] = (0.5, 0.3, 0.2), *, people: int = 6, trials: int = 2, items: int = 40, seed: int = 0):
    return np.random.default_rng(seed).choice(3, p=p, size=(people, trials, items))


def human(items: int = 40) -> dict[str, NDArray[np.int64]]:
    votes = np.random.default_rng(9).multinomial(10, [0.5, 0.3, 0.2], size=items)
    return {"livenli": votes}


def compared(a: Codes, b: Codes, **given: object) -> Comparison:
    people = given.pop("human", human(a.shape[2]))
    members = (range(len(a)), range(len(b)))
    return compare_groups(answers_from(a), answers_from(b), members, people, **{"resamples": 200, **given})  # type: ignore[arg-type]


def test_values_are_those_of_the_metrics() -> None:
    a, b = some(), some((0.1, 0.1, 0.8), seed=1)
    b[0, 0, :7] = ASKED_IN_VAIN
    found = compared(a, b)
    for side, codes in (("a", a), ("b", b)):
        counts = np.stack([label_counts(codes[:, trial], 3) for trial in range(2)])
        plain = compare_distributions(probabilities(human()["livenli"]), probabilities(counts))
        for (name, source), one in found.differences.items():
            if source:
                assert getattr(one, side) == pytest.approx(plain[name].mean(), abs=1e-12)
        alpha = found.differences["alpha", None]
        assert getattr(alpha, side) == pytest.approx(krippendorff_alpha(counts).mean(), abs=1e-12)
    assert found.n_valid == (480, 473)
    assert found.n_asked == (480, 480)
    for one in found.differences.values():
        assert one.difference == pytest.approx(one.b - one.a)
        assert one.low <= one.difference <= one.high


def test_the_interval_and_p_are_the_paired_ones() -> None:
    a, b = some(trials=1), some((0.34, 0.33, 0.33), trials=1, seed=1)
    found = compared(a, b, resamples=4000, permutations=4000).differences["entropy", None]
    gaps = np.subtract(*(entropy(probabilities(label_counts(codes[:, 0], 3))) for codes in (b, a)))
    rng = np.random.default_rng(4)
    boot = item_mean(gaps[rng.integers(40, size=(4000, 40))])
    signs = rng.choice([-1.0, 1.0], size=(4000, 40))
    p = (np.abs((signs * gaps).mean(1)) >= abs(gaps.mean()) - 1e-9).mean()
    assert found.difference == pytest.approx(gaps.mean(), abs=1e-12)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(boot, [0.025, 0.975])), abs=0.01)
    assert found.p == pytest.approx(p, abs=0.03)


def test_a_run_equals_itself() -> None:
    for one in compared(some(), some()).differences.values():
        assert (one.difference, one.low, one.high, one.p) == (0, 0, 0, 1)


def test_a_swap_of_the_runs_turns_the_signs() -> None:
    a, b = some(), some((0.2, 0.2, 0.6), seed=1)
    there, back = compared(a, b), compared(b, a)
    for figure, one in there.differences.items():
        other = back.differences[figure]
        assert other.difference == pytest.approx(-one.difference, abs=1e-12)
        assert (other.low, other.high) == pytest.approx((-one.high, -one.low), abs=1e-12)
        assert other.p == pytest.approx(one.p, abs=0.002)


def test_seeds() -> None:
    a, b = some(), some((0.3, 0.3, 0.4), seed=1)
    assert compared(a, b, seed=1).differences == compared(a, b, seed=1).differences
    assert compared(a, b, seed=1).differences != compared(a, b, seed=2).differences


def test_p_is_uniform_where_nothing_differs() -> None:
    found = [
        compared(some(seed=2 * k, trials=1), some(seed=2 * k + 1, trials=1), permutations=199, human={}).differences
        for k in range(60)
    ]
    p = np.array([one["entropy", None].p for one in found])
    assert 0.3 < p.mean() < 0.7
    assert (p <= 0.05).mean() < 0.2


def test_unequal_trials_and_participants_are_said() -> None:
    a, b = some(), some(people=3, trials=4, seed=1)
    b[:, 1] = NOT_ASKED
    found = compared(a, b)
    assert found.trials == (2, 3)
    assert found.participants == (6, 3)
    assert len(found.notes) == 2
    assert "first 2 of each" in found.notes[0]
    assert "sample size" in found.notes[1]


def test_undefined_figures_are_nan_and_counted() -> None:
    a, b = some(), np.zeros((6, 2, 40), dtype=np.int64)
    found = compared(a, b).differences
    alpha = found["alpha", None]
    assert isnan(alpha.b)
    assert isnan(alpha.difference)
    assert isnan(alpha.p)
    assert isnan(alpha.low)
    assert alpha.undefined > 0
    assert found["entropy", None].p < 0.05
    errors = compared(a, np.full((6, 2, 40), ASKED_IN_VAIN)).differences
    assert all(isnan(one.difference) and isnan(one.p) and one.n == 0 for one in errors.values())
    (one_item,) = (compared(some(items=1), some(items=1, seed=3), human={}).differences,)
    assert one_item["entropy", None].n == 1


def test_what_cannot_be_compared() -> None:
    a = some()
    with pytest.raises(InputError, match="other labels"):
        compare_groups(answers_from(a), answers_from(a, ("x", "y", "z")), ([0], [0]), {})
    with pytest.raises(InputError, match="items that both have"):
        compare_groups(answers_from(a), answers_from(a[:, :, :5]), ([0], [0]), {})
    with pytest.raises(InputError, match="nobody of run B"):
        compare_groups(answers_from(a), answers_from(np.full((2, 2, 40), NOT_ASKED)), ([0], [0]), {})
