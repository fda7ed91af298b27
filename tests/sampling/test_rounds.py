"""Early stopping item by item: decisions that follow from the answers alone."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from partynli.metrics import entropy_interval
from partynli.sampling.engine import Engine
from partynli.sampling.events import Settled
from partynli.sampling.rounds import RoundLedger, due, rounds_needed, rounds_over
from partynli.sampling.settings import Settings
from partynli.store import Run

ROUND = np.array([[10, 0, 0], [4, 3, 3], [8, 2, 0]])
"""Votes of ten on three items in one round: all agree, divided, in between."""


def rounds(n: int, width: float = 0.3) -> list[int]:
    return rounds_needed(["a", "b", "c"], np.stack([ROUND] * n), width).tolist()


def test_no_item_is_settled_before_its_second_round() -> None:
    assert rounds(1, width=9.0) == [0, 0, 0]
    assert rounds(2, width=9.0) == [2, 2, 2]


def test_an_item_is_settled_once_its_interval_is_narrower() -> None:
    found = rounds(12)
    for item, (uid, after) in enumerate(zip("abc", found, strict=True)):
        votes = ROUND[item]
        assert after == 0 or 2 <= after <= 12
        last = after or 12
        seed = np.random.default_rng(int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8]))
        interval = entropy_interval(votes * last, rng=seed)
        assert (interval.high - interval.low < 0.3) == bool(after)


def test_a_later_round_changes_no_earlier_decision() -> None:
    whole = rounds(12)
    for upto in range(2, 12):
        assert rounds(upto) == [after if 0 < after <= upto else 0 for after in whole]


def test_a_narrower_width_never_asks_less() -> None:
    wide, narrow = (np.where(np.array(found) == 0, 99, found) for found in (rounds(12, 0.4), rounds(12, 0.25)))
    assert (narrow >= wide).all()


def test_votes_that_all_agree_settle_nothing_at_once() -> None:
    votes = np.tile([[[2, 0, 0]]], (2, 1, 1))
    assert rounds_needed(["a"], votes, 0.2).tolist() == [0]


def test_items_are_decided_by_their_uid_whatever_their_order() -> None:
    votes = np.stack([ROUND] * 9)
    there = rounds_needed(["a", "b", "c"], votes, 0.3).tolist()
    assert rounds_needed(["c", "b", "a"], votes[:, ::-1], 0.3).tolist() == there[::-1]


def test_rounds_are_over_when_all_who_are_due_have_answered() -> None:
    def never(rounds: int) -> np.ndarray:
        return np.zeros(2, dtype=np.int64)

    assert rounds_over(np.zeros((0, 2), dtype=np.int64), never, []) == 0
    assert rounds_over(np.array([[3, 3], [3, 2]]), never, [3, 3]) == 1
    assert rounds_over(np.array([[3, 3], [3, 3]]), never, [3, 3]) == 2
    assert rounds_over(np.array([[3, 3], [3, 3], [0, 3]]), lambda n: np.array([2, 0]), [3, 3, 3]) == 3
    assert rounds_over(np.array([[3, 2], [3, 3], [1, 0]]), never, [3, 3, 3]) == 2, "what failed holds nobody up"


# --- the engine, round by round ---


class Votes:
    """Counts what is stored by hand: item0 divides people and is settled, the others never are."""

    def __init__(self, run: Run, items: int) -> None:
        self.run, self.items, self.asked = run, items, 0

    def __call__(self) -> np.ndarray:
        self.asked += 1
        votes = np.zeros((4, self.items, 3), dtype=np.int64)
        votes[:, 0] = 200
        return votes


def staged(study: Any, plan: Any, go: Any, limit: int | None = None, **settings: Any) -> tuple[Any, Votes]:
    with Run.begin(study.path, {"plan": plan.describe()}, plan.participants, plan.items, plan.groups) as run:
        votes = Votes(run, plan.n_items)
        chosen = Settings(limit=limit, on_event=study.events.append, **settings)
        ledger = RoundLedger(plan, run, votes, limit, study.events.append)
        return go(Engine(plan, ledger, {}, chosen).run()), votes


def test_the_engine_asks_settled_items_nothing_more(study: Any, go: Any) -> None:
    people = [study.participant("", f"m{k}", route="simulated", seed="auto", price=None) for k in range(3)]
    plan = study.plan(people, items=4, trials=4, until_ci=0.3)
    summary, votes = staged(study, plan, go)
    assert summary.begun == 3 * (2 * 4 + 2 * 3)
    asked = study.rows("item, max(trial), count(DISTINCT trial_key)", "1 GROUP BY item")
    assert sorted(asked) == [("item0", 2, 6), ("item1", 4, 12), ("item2", 4, 12), ("item3", 4, 12)]
    assert votes.asked == 4
    told = [one for one in study.events if isinstance(one, Settled)]
    assert [(one.round, one.settled) for one in told] == [(1, 0), (2, 1), (3, 1), (4, 1)]
    assert set(told[0].due.values()) == {16}
    assert set(told[1].due.values()) == {14}
    again, _ = staged(study, plan, go)
    assert again.begun == 0


def test_a_limit_ends_the_rounds(study: Any, go: Any) -> None:
    people = [study.participant("", f"m{k}", route="simulated", seed="auto", price=None) for k in range(3)]
    plan = study.plan(people, items=4, trials=4, until_ci=0.3)
    summary, _ = staged(study, plan, go, limit=12)
    assert summary.begun == 12
    assert study.rows("max(trial)") == [(1,)]
    rest, _ = staged(study, plan, go)
    assert rest.begun == 30


@pytest.mark.parametrize("trials", [{"m0": 2, "m1": 4}, {"m0": 4, "m1": 1}])
def test_participants_with_fewer_trials_are_asked_no_more_than_those(
    trials: dict[str, int], study: Any, go: Any
) -> None:
    people = [study.participant("", name, route="simulated", seed="auto", price=None) for name in trials]
    plan = study.plan(people, items=2, until_ci=0.3)
    plan.trials.clear()
    plan.trials.update({one.id: trials[one.name] for one in people})
    summary, _ = staged(study, plan, go)
    wanted = sum(min(2, most) + most for most in trials.values())
    assert summary.begun == wanted
    assert due(plan, np.array([2, 0])) == {one.id: min(2, trials[one.name]) + trials[one.name] for one in people}
