"""The planner: widths predicted from small pilots against the real spread of studies that are run again and again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import inf

import numpy as np
import pytest

from partynli.analysis.planner.designs import Bottleneck, Toll, designs_of, enough, shortfalls
from partynli.analysis.planner.figure import TITLES, PlannedFigure
from partynli.analysis.planner.pilot import Floats, Pilot
from partynli.analysis.planner.spread import Spread, predictions, spreads_of
from partynli.metrics import entropy, item_mean, js_distance, krippendorff_alpha, probabilities

K = 3


@dataclass
class World:
    """People-like participants whose real spread is found by brute force; nothing of it is known to the planner.

    Items are clear, divided or open. A participant leans towards labels, is more or less decided, sticks to an opinion
    of each item, and thinks anew in its own share of trials.
    """

    items: int
    lean: float
    seed: int = 1
    apart: float = 0.3
    """How far people are from the participants' shares."""

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        kind = rng.random(self.items)
        top = np.select([kind < 0.5, kind < 0.85], [rng.uniform(0.86, 0.97, self.items), rng.uniform(0.48, 0.62)], 0.4)
        second = (1 - top) * rng.uniform(0.5, 0.95, self.items)
        self.p = rng.permuted(np.stack([top, second, 1 - top - second], axis=-1), axis=1)
        other = rng.dirichlet(np.ones(K), self.items)
        self.people = rng.multinomial(100, (1 - self.apart) * self.p + self.apart * other)

    def study(self, participants: int, trials: int, rng: np.random.Generator) -> np.ndarray:
        """(P, T, I) codes of a study with new participants."""
        lean = np.exp(rng.normal(0, self.lean, (participants, 1, K)))
        weights = (self.p * lean) ** np.exp(rng.normal(0.3, 0.4, (participants, 1, 1)))
        bounds = (weights / weights.sum(-1, keepdims=True)).cumsum(-1)[:, None, :, :-1]
        own = (rng.random((participants, 1, self.items, 1)) > bounds).sum(-1)
        anew = (rng.random((participants, trials, self.items, 1)) > bounds).sum(-1)
        thinks = rng.random((participants, trials, self.items)) < rng.beta(1.5, 3, (participants, 1, 1))
        return np.where(thinks, anew, own).astype(np.int16)

    def pilot(self, participants: int, trials: int, rng: np.random.Generator) -> Pilot:
        return Pilot(self.study(participants, trials, rng), K, self.people)

    def figures(self, codes: np.ndarray) -> dict[str, Floats]:
        """Figures of studies (..., P, T, I) as a report takes them: trial by trial, then the mean over trials."""
        votes = np.stack([(codes == label).sum(-3) for label in range(K)], axis=-1)
        q = probabilities(votes)
        return {
            "entropy": item_mean(entropy(q)).mean(-1),
            "js": item_mean(js_distance(probabilities(self.people), q)).mean(-1),
            "alpha": krippendorff_alpha(votes).mean(-1),
        }

    def spread(self, participants: int, trials: int, rng: np.random.Generator, studies: int) -> dict[str, Floats]:
        """Figures of so many studies, each with participants of its own."""
        parts = []
        for _ in range(-(-studies // 50)):
            codes = self.study(50 * participants, trials, rng)
            parts.append(self.figures(codes.reshape(50, participants, trials, self.items)))
        return {name: np.concatenate([one[name] for one in parts]) for name in TITLES}


def width(values: Floats) -> float:
    return float(np.diff(np.quantile(values, [0.025, 0.975]))[0])


def check(world: World, pilot: tuple[int, int], designs: list[tuple[int, int]], pilots: int, studies: int) -> None:
    """The root mean square of the predictions from several pilots lies within 15 % of the real width."""
    rng = np.random.default_rng(5)
    seen = [world.pilot(*pilot, rng) for _ in range(pilots)]
    sizes = sorted({size for size, _ in designs})
    predicted = [predictions(one, tuple(TITLES), sizes, draws=100) for one in seen]
    for size, trials in designs:
        real = world.spread(size, trials, rng, studies)
        for name in TITLES:
            if name == "js" and size > pilot[0] // 2:
                continue  # beyond half of the pilot it is an extrapolation, and the page says how far off it was
            found = [one[name][sizes.index(size)] for one in predicted]
            ratio = np.sqrt(np.mean([one.width(trials, world.items) ** 2 for one in found])) / width(real[name])
            assert 0.85 < ratio < 1.15, (name, size, trials, ratio)
            if size <= pilot[0]:
                assert np.mean([one.expected for one in found]) == pytest.approx(real[name].mean(), abs=0.03)


def test_widths_predicted_from_pilots_are_those_of_studies_that_are_run_again() -> None:
    check(World(24, 0.4), (16, 3), [(8, 1), (24, 2)], pilots=10, studies=500)


@pytest.mark.slow
@pytest.mark.parametrize(("items", "lean", "pilot"), [(24, 0.5, (10, 5)), (122, 0.3, (20, 3)), (60, 0.8, (20, 2))])
def test_the_same_of_more_worlds_pilots_and_designs(items: int, lean: float, pilot: tuple[int, int]) -> None:
    designs = [(5, 1), (5, 5), (10, 1), (10, 5), (20, 2), (40, 1), (40, 5)]
    check(World(items, lean), pilot, designs, pilots=40, studies=1500)


def test_trials_do_not_buy_down_what_parts_participants() -> None:
    rng = np.random.default_rng(0)
    pilot = World(24, 0.6).pilot(12, 4, rng)
    (one,) = spreads_of(pilot, PlannedFigure("entropy"), [12])
    widths = [one.width(trials, 24) for trials in (1, 2, 5, 100)]
    assert widths == sorted(widths, reverse=True)
    assert one.width(inf, 24) > 0.5 * widths[0]
    assert one.width(2, 240) < one.width(2, 24)


def test_participants_who_always_answer_alike_gain_nothing_by_trials() -> None:
    codes = np.repeat(World(20, 0.5).study(8, 1, np.random.default_rng(0)), 3, axis=1)
    pilot = Pilot(codes, K)
    assert pilot.steadiness == 1.0
    (one,) = spreads_of(pilot, PlannedFigure("alpha"), [8])
    assert one.width(1, 20) == pytest.approx(one.width(10, 20))


def test_the_expected_entropy_of_a_pilots_own_size_is_the_pilots() -> None:
    world = World(24, 0.5)
    pilot = world.pilot(10, 3, np.random.default_rng(3))
    found = predictions(pilot, tuple(TITLES), [5, 10])
    for name, value in world.figures(pilot.codes).items():
        assert found[name][1].expected == pytest.approx(float(value))
    assert found["entropy"][0].expected < found["entropy"][1].expected
    assert found["js"][0].expected > found["js"][1].expected


def test_the_same_seed_gives_the_same_whatever_else_is_asked() -> None:
    pilot = World(12, 0.5).pilot(6, 2, np.random.default_rng(0))
    first = predictions(pilot, ["entropy", "alpha"], [5, 9], seed=3)
    assert predictions(pilot, ["alpha"], [9], seed=3)["alpha"] == first["alpha"][1:]
    assert predictions(pilot, ["alpha"], [9], seed=4)["alpha"] != first["alpha"][1:]


@pytest.mark.parametrize("participants", [2, 3])
def test_a_pilot_of_two_or_three_is_enough_for_a_number(participants: int) -> None:
    pilot = World(12, 0.5).pilot(participants, 2, np.random.default_rng(0))
    for spreads in predictions(pilot, tuple(TITLES), [2, 20]).values():
        assert all(0 < one.width(2, 12) < 1 for one in spreads)


def test_missing_answers_and_items_without_people_are_left_out() -> None:
    world = World(16, 0.4)
    codes = world.study(8, 3, np.random.default_rng(0))
    codes[np.random.default_rng(1).random(codes.shape) < 0.2] = -1
    people = world.people.copy()
    people[::2] = 0
    found = predictions(Pilot(codes, K, people), tuple(TITLES), [8])
    assert all(np.isfinite([one[0].width(3, 16), one[0].expected]).all() for one in found.values())


def test_a_pilot_of_the_issues_size_is_planned_from_within_seconds() -> None:
    pilot = World(122, 0.4).pilot(20, 5, np.random.default_rng(0))
    started = time.process_time()
    predictions(pilot, ["entropy"], [5, 10, 15, 20, 30, 40, 60, 80], draws=100)
    assert time.process_time() - started < 5


# --- designs ---


def spread(participants: int, between: float = 0.0, within: float = 0.0) -> Spread:
    return Spread(participants, 0.5, between, 0.0, within, 0.0, 0.0, 10)


def test_designs_take_calls_money_and_the_time_of_the_tightest_limit() -> None:
    toll = Toll(0.01, (Bottleneck(2.0, None), Bottleneck(0.5, 1.0)))
    designs = designs_of({"entropy": [spread(4, within=1.0), spread(8, within=1.0)]}, [1, 3], 10, toll)
    assert [(one.participants, one.trials, one.calls) for one in designs] == [
        (4, 1, 40),
        (4, 3, 120),
        (8, 1, 80),
        (8, 3, 240),
    ]
    assert [one.dollars for one in designs] == pytest.approx([0.4, 1.2, 0.8, 2.4])
    assert [one.seconds for one in designs] == [20.0, 60.0, 40.0, 120.0]


def test_the_cheapest_that_is_enough_comes_first() -> None:
    sizes = [spread(size, within=10 / size**2) for size in (4, 8)]
    designs = designs_of({"entropy": sizes}, [1, 2, 4], 10, Toll(None, ()))
    wanted = {"entropy": next(one.widths["entropy"] for one in designs if one.calls == 80) + 1e-9}
    assert [(one.participants, one.trials) for one in enough(designs, wanted)] == [
        (4, 2),
        (8, 1),
        (4, 4),
        (8, 2),
        (8, 4),
    ]
    assert designs[0].dollars is None


def test_what_keeps_a_figure_from_its_width_is_named() -> None:
    by_people = shortfalls(
        {"entropy": [spread(4, between=0.1 / 16), spread(8, between=0.1 / 64)]}, 10, {"entropy": 0.1}
    )
    assert by_people[0].bound_by_participants
    assert by_people[0].participants == 8
    assert by_people[0].about == pytest.approx(8 * (by_people[0].endless / 0.1) ** 2, abs=1)
    by_trials = shortfalls({"entropy": [spread(4, within=1.0)]}, 10, {"entropy": 0.1})
    assert not by_trials[0].bound_by_participants
