"""What figures rest on: missing answers, alike participants, clones, label habits, stand-ins, surprising items."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from partynli.aggregate import ASKED_IN_VAIN, NOT_ASKED, Answers
from partynli.analysis.clones import clones_of
from partynli.analysis.groups import Group, groups_of
from partynli.analysis.honesty import honesty_of
from partynli.analysis.substitutes import alt_tests
from partynli.analysis.surprises import first_votes, surprises_of
from partynli.items import Dataset, ItemSource
from partynli.labels import LABELS
from partynli.metrics import convention, effective_number, entropy, js_split, probabilities
from partynli.records import Annotation, Participant

KULMIZEV = convention("kulmizev2026")


def answers_of(codes: np.ndarray) -> Answers:
    return Answers(
        labels=LABELS,
        sets=LABELS,
        items=tuple(f"i{k:03}" for k in range(codes.shape[2])),
        participants=tuple(Participant(f"p{k}", "openai", f"p{k}", {}) for k in range(len(codes))),
        simple=codes.astype(np.int16),
        multi=codes.astype(np.int16),
        groups={"mix": tuple(range(len(codes)))},
        synthetic=False,
    )


def everybody(answers: Answers) -> Group:
    return Group("mix", "mix", tuple(range(len(answers.participants))))


def drawn(people: int = 4, trials: int = 2, items: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice(3, p=[0.5, 0.3, 0.2], size=(people, trials, items))


def test_bounds_hold_what_the_missing_answers_could_have_been() -> None:
    codes = drawn()
    codes[0, :, :10] = ASKED_IN_VAIN
    answers = answers_of(codes)
    low, high = honesty_of(answers, everybody(answers), None, KULMIZEV, 0).bounds["entropy"]
    filled = []
    for label in range(3):
        full = answers_of(np.where(codes == ASKED_IN_VAIN, label, codes))
        filled.append(np.mean([entropy(probabilities(full.counts(range(4), t))).mean() for t in range(2)]))
    assert low <= min(filled) + 1e-12
    assert high >= max(filled) - 1e-12
    assert low < high


def test_identical_participants_count_as_one() -> None:
    one = drawn(people=1)
    same = answers_of(np.repeat(one, 5, axis=0))
    assert honesty_of(same, everybody(same), None, KULMIZEV, 0).effective_raw == pytest.approx(1.0)
    assert effective_number(5, 1.0) == 1.0


def test_influence_is_the_figure_less_that_without_the_participant() -> None:
    answers = answers_of(drawn(trials=1))
    checks = honesty_of(answers, everybody(answers), None, KULMIZEV, 0)
    whole = entropy(probabilities(answers.counts(range(4)))).mean()
    without = entropy(probabilities(answers.counts([0, 1, 3]))).mean()
    assert checks.influence["entropy"]["p2"] == pytest.approx(whole - without, abs=1e-12)
    assert checks.jackknife["entropy"].low < whole < checks.jackknife["entropy"].high


def test_the_gap_tells_label_bias_from_not_knowing_the_items() -> None:
    rng = np.random.default_rng(0)
    human = rng.multinomial(20, [0.4, 0.3, 0.3], size=40)
    always = answers_of(np.full((3, 1, 40), 1))
    biased = honesty_of(always, everybody(always), ("livenli", human), KULMIZEV, 0).gap
    assert biased is not None
    assert biased.total == pytest.approx(biased.marginal + biased.item, abs=1e-12)
    plain = js_split(probabilities(human), probabilities(always.counts([0])))
    assert biased.marginal == pytest.approx(float(plain.marginal), abs=1e-12)
    assert biased.total_recalibrated < biased.total


def test_clones_give_the_same_explanations() -> None:
    texts = [("a", "a", f"i{k}", f"Statement {k} holds because of the context given.") for k in range(5)]
    copied = [("b", "b", item, text.upper() + " ") for _, _, item, text in texts]
    own = [("c", "c", f"i{k}", f"I cannot tell {k} from what is said here.") for k in range(5)]
    variants = [("a@temperature=1", "a", item, text) for _, _, item, text in texts]
    short = [(who, who, f"i{k}", "It is true.") for who in "cd" for k in range(5)]
    found = clones_of([*texts, *copied, *own, *variants, *short])
    assert {(one.first, one.second) for one in found} == {("a", "b"), ("a@temperature=1", "b")}
    assert found[0].items == found[0].of == 5


def _workers(n: int, items: int, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=items)
    annotations = tuple(
        Annotation(f"i{k:03}", f"w{w}", label, label, "")
        for w in range(n)
        for k in range(items)
        for label in [LABELS[truth[k] if rng.random() < 0.6 else rng.integers(3)]]
    )
    return Dataset("livenli", ItemSource.of([], "x"), annotations=annotations)


def test_alt_test_passes_who_knows_and_says_on_what_it_rests() -> None:
    truth = np.random.default_rng(0).integers(3, size=60)
    codes = np.stack([truth, np.random.default_rng(5).integers(3, size=60)])[:, None].repeat(2, axis=1)
    answers = answers_of(codes)
    tests = alt_tests(answers, groups_of(answers)[0], _workers(5, 60), 0)
    assert tests is not None
    assert tests.applicable
    assert tests.why == "5 of 5 workers have at least 30 items"
    rate = {one.group: one.winning_rate for one in tests.rows}
    assert rate["p0"] == 1.0
    assert rate["p1"] == 0.0
    assert 0 <= rate["mix"] <= 1


def test_alt_test_says_where_it_does_not_apply() -> None:
    answers = answers_of(drawn(items=20))
    tests = alt_tests(answers, groups_of(answers)[0], _workers(5, 20), 0)
    assert tests is not None
    assert not tests.applicable
    assert "does not apply" in tests.why
    assert np.isnan(tests.rows[0].winning_rate)
    nobody = replace(_workers(5, 20), annotations=())
    assert alt_tests(answers, groups_of(answers)[0], nobody, 0) is None


def test_a_participant_enters_with_its_own_first_trial() -> None:
    truth = np.random.default_rng(0).integers(3, size=60)
    codes = np.full((2, 3, 60), NOT_ASKED)
    codes[0, 0], codes[1, 1:] = (truth + 1) % 3, truth  # p1's trials are the run's second and third
    answers = answers_of(codes)
    tests = alt_tests(answers, groups_of(answers)[0], _workers(5, 60), 0)
    assert tests is not None
    rate = {one.group: one.winning_rate for one in tests.rows}
    assert rate["p1"] == 1.0
    counts = first_votes(answers, everybody(answers))
    assert counts.sum(axis=1).tolist() == [2] * 60
    assert (counts[np.arange(60), truth] == 1).all()


def test_surprises_are_the_items_that_differ_beyond_sampling() -> None:
    n = 30
    codes = np.zeros((10, 2, n), dtype=int)
    human = np.tile([10, 0, 0], (n, 1))
    human[4] = human[11] = [0, 0, 100]
    answers = answers_of(codes)
    found, tally = surprises_of(answers, [everybody(answers)], {"chaosnli": human}, 0)
    assert [one.uid for one in found] == ["i004", "i011"]
    assert tally["mix", "chaosnli"] == (2, n)
    assert (found[0].human, found[0].model) == ((0, 0, 100), (10, 0, 0))  # one vote a participant: the first trial
    assert (found[0].human_label, found[0].model_label) == ("false", "true")
    assert found[0].q_value <= 0.05
