"""Plans: lazy however large, balanced wherever they are cut, and with keys that never change."""

from __future__ import annotations

import hashlib
import itertools
import json
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partynli.hashing import canonical_json
from partynli.prompts import Renderer, load_task, render
from partynli.records import Item, Participant, Price, Trial
from partynli.sampling.limits import MARGIN
from partynli.sampling.plan import Plan
from partynli.sampling.preflight import estimate, missing
from partynli.sampling.settings import ProviderCaps

TASK = load_task("livenli", Path(__file__).parents[2] / "prompts")


class Items:
    """So many items, each made when it is asked for."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.made = 0

    def __iter__(self) -> Iterator[Item]:
        for k in range(self.n):
            self.made += 1
            yield Item(f"item{k}", {"premise": f"{k} men sang.", "hypothesis": f"{k} people sang."})


def participant(name: str, **given: Any) -> Participant:
    return Participant(name, given.pop("route", "openai"), given.pop("model", name), given.pop("params", {}), **given)


def plan(trials: dict[str, int], n_items: int, **given: Any) -> Plan:
    participants = given.pop("participants", None) or tuple(map(participant, trials))
    return Plan(
        task=TASK,
        participants=participants,
        trials={one.id: trials[one.name] for one in participants},
        items=given.pop("items", None) or Items(n_items),
        n_items=n_items,
        groups={},
        item_source="test",
        **given,
    )


def walk(one: Plan) -> Iterator[Trial]:
    return one.walk(one.participants, Renderer(one.task))


# --- size ---


@pytest.mark.parametrize(
    ("trials", "n_items", "length"),
    [({"a": 5}, 122, 610), ({"a": 5, "b": 1}, 10, 60), ({"a": 1}, 0, 0), ({"a": 10**6, "b": 1}, 10**6, 10**12 + 10**6)],
)
def test_the_length_is_items_times_trials(trials: dict[str, int], n_items: int, length: int) -> None:
    assert len(plan(trials, n_items)) == length


def test_it_yields_as_many_trials_as_it_is_long() -> None:
    one = plan({"a": 3, "b": 1, "c": 2}, 7)
    assert len(list(walk(one))) == len(one) == 42
    assert list(walk(plan({"a": 3}, 0))) == []
    assert list(one.walk((), Renderer(TASK))) == []


def test_the_first_thousand_of_a_billion_trials_come_at_once_and_take_no_memory() -> None:
    items = Items(100_000)
    one = plan({"a": 5000, "b": 5000}, 100_000, items=items)
    assert len(one) == 10**9
    trials = walk(one)
    next(trials)
    tracemalloc.start()
    try:
        started = time.process_time()
        assert sum(1 for _ in itertools.islice(trials, 999)) == 999
        spent = time.process_time() - started
        thousand = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        assert sum(1 for _ in itertools.islice(trials, 9000)) == 9000
        ten_thousand = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert spent < 1.0
    assert items.made <= 5001
    assert thousand < 4e6
    assert ten_thousand < 1.2 * thousand + 1e5


# --- order ---


def test_the_order_is_trials_then_items_then_participants() -> None:
    order = [(one.number, one.item.uid, one.participant.name) for one in walk(plan({"a": 2, "b": 2}, 2))]
    assert order == [
        (1, "item0", "a"),
        (1, "item0", "b"),
        (1, "item1", "a"),
        (1, "item1", "b"),
        (2, "item0", "a"),
        (2, "item0", "b"),
        (2, "item1", "a"),
        (2, "item1", "b"),
    ]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.data())
def test_wherever_it_is_cut_it_is_balanced(n_participants: int, n_items: int, n_trials: int, data: Any) -> None:
    one = plan({f"m{k}": n_trials for k in range(n_participants)}, n_items)
    cut = list(itertools.islice(walk(one), data.draw(st.integers(0, len(one)))))
    for counts, possible in (
        (Counter(trial.participant.name for trial in cut), n_participants),
        (Counter((trial.participant.name, trial.item.uid) for trial in cut), n_participants * n_items),
    ):
        shares = [*counts.values(), *[0] * (possible - len(counts))]
        assert max(shares) - min(shares) <= 1


def test_who_has_fewer_trials_is_done_sooner() -> None:
    asked = Counter((one.participant.name, one.number) for one in walk(plan({"a": 1, "b": 3}, 4)))
    assert asked == {("a", 1): 4, ("b", 1): 4, ("b", 2): 4, ("b", 3): 4}


def test_a_lane_walks_its_own_participants_alone() -> None:
    one = plan({"a": 2, "b": 2}, 3)
    alone = list(one.walk(one.participants[1:], Renderer(TASK)))
    assert {trial.participant.name for trial in alone} == {"b"}
    assert [trial.key for trial in alone] == [trial.key for trial in walk(one) if trial.participant.name == "b"]


def test_participants_of_one_model_at_one_address_share_a_lane() -> None:
    cool, warm = (participant(name, model="m", params={"temperature": t}) for name, t in (("cool", 0.1), ("warm", 1.0)))
    members = (
        cool,
        participant("other", provider="p"),
        warm,
        participant("elsewhere", model="m", api_base="http://127.0.0.1:2/v1"),
        participant("another provider", model="m", provider="q"),
    )
    lanes = plan(dict.fromkeys((one.name for one in members), 1), 1, participants=members).lanes()
    assert [[one.name for one in lane] for lane in lanes.values()] == [
        ["cool", "warm"],
        ["other"],
        ["elsewhere"],
        ["another provider"],
    ]


# --- identity ---


GOLDEN = Participant("kimi", "openai", "kimi-k2", {"temperature": 0.5, "stop": ["\n"]}, seed="auto", size_b=1000.0)
GOLDEN_ITEM = Item("1234é", {"premise": 'He said "A {} of 100 %s".', "hypothesis": "B"})


def test_keys_are_the_same_on_every_machine_and_for_ever() -> None:
    # whoever changes one of these makes every run that exists unable to go on
    trial = Trial.make(GOLDEN, GOLDEN_ITEM, render(TASK, GOLDEN_ITEM), 3)
    assert GOLDEN.id == "sha256:51b01aa71e7e861959c291f72089787321c80848cc883600aff6df1f725a5e51"
    assert trial.prompt.hash == "sha256:c5e3d84d436842cda541e0570fa40eb321fc88de4d27e47245b5cd083149c923"
    assert trial.key == "sha256:edb2654ca409366f481ac4b16d983da60c9fffc05e08661109efc8a9732d249a"
    assert (trial.seed(1), trial.seed(2)) == (718254671, 2127536881)


@settings(deadline=None)
@given(st.text(max_size=30), st.text(max_size=60), st.integers(1, 10**6))
def test_a_key_is_the_hash_of_what_it_names(uid: str, text: str, number: int) -> None:
    item = Item(uid, {"premise": text, "hypothesis": "b"})
    trial = Trial.make(GOLDEN, item, render(TASK, item), number)
    named = canonical_json([GOLDEN.id, uid, trial.prompt.hash, number])
    assert trial.key == "sha256:" + hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()


def test_every_trial_has_a_key_of_its_own_and_keeps_it() -> None:
    one = plan({"a": 4, "b": 4, "c": 2}, 50)
    keys = [trial.key for trial in walk(one)]
    assert len(set(keys)) == len(keys) == len(one)
    assert keys == [trial.key for trial in walk(one)]
    longer = plan({"c": 3, "b": 9, "a": 4}, 60)
    assert set(keys) < {trial.key for trial in walk(longer)}, "more of everything leaves what there is as it was"


def test_what_could_change_the_answer_changes_the_key_and_nothing_else_does() -> None:
    def key(one: Participant = GOLDEN, item: Item = GOLDEN_ITEM, task: Any = TASK, number: int = 1) -> str:
        return Trial.make(one, item, render(task, item), number).key

    texts = dict(GOLDEN_ITEM.texts)
    changes = [
        {"one": replace(GOLDEN, model="kimi-k3")},
        {"one": replace(GOLDEN, route="litellm")},
        {"one": replace(GOLDEN, params={"temperature": 0.6, "stop": ["\n"]})},
        {"one": replace(GOLDEN, params={"temperature": 0.5})},
        {"one": replace(GOLDEN, seed=None)},
        {"one": replace(GOLDEN, size_b=8.0)},
        {"one": replace(GOLDEN, revision="main")},
        {"one": replace(GOLDEN, dtype="bf16")},
        {"one": replace(GOLDEN, quantization="int4")},
        {"item": Item("1235", texts)},
        {"item": Item(GOLDEN_ITEM.uid, {**texts, "premise": texts["premise"] + " "})},
        {"task": replace(TASK, system=TASK.system + " ")},
        {"task": replace(TASK, user=TASK.user + "\n")},
        {"number": 2},
    ]
    assert len({key(), *(key(**change) for change in changes)}) == len(changes) + 1
    unchanged = [
        {"one": replace(GOLDEN, name="another name", provider="p", family="f")},
        {"one": replace(GOLDEN, api_base="http://127.0.0.1:9/v1", api_key_env="KEY")},
        {"one": replace(GOLDEN, price=Price(1, 2, "2025-07"), max_output_tokens=7, timeout_s=1.0)},
        {"one": replace(GOLDEN, rpm=1.0, tpm=1.0, concurrency=1, temperature_max=2.0)},
        {"one": replace(GOLDEN, params={"stop": ["\n"], "temperature": 0.5})},
    ]
    assert {key(**change) for change in unchanged} == {key()}


def test_seeds_differ_by_attempt_and_are_sent_only_where_they_are_wanted() -> None:
    trial = Trial.make(GOLDEN, GOLDEN_ITEM, render(TASK, GOLDEN_ITEM), 1)
    seeds = [trial.seed(attempt) for attempt in range(1, 200)]
    assert len(set(seeds)) == len(seeds)
    assert all(seed is not None and 0 <= seed < 2**31 for seed in seeds)
    assert trial._replace(participant=replace(GOLDEN, seed=None)).seed(1) is None


# --- what a manifest says ---


def test_a_description_is_json_and_the_same_each_time() -> None:
    one = plan({"a": 2, "b": 1}, 3, reasks=1)
    described = one.describe()
    assert json.loads(json.dumps(described)) == described == one.describe()
    assert described["trials"] == [2, 1]
    assert described["names"] == ["a", "b"]
    assert (described["n_items"], described["reasks"], described["task"]) == (3, 1, "livenli")
    assert described["prompts"] == TASK.hashes


def test_an_item_that_was_edited_is_another_plan() -> None:
    items = list(Items(3))
    one = plan({"a": 1}, 3, items=items)
    edited = [*items[:2], Item("item2", {**items[2].texts, "premise": "2 men slept."})]
    assert one.describe() == plan({"a": 1}, 3).describe()
    assert one.describe()["items_hash"] != plan({"a": 1}, 3, items=edited).describe()["items_hash"]


def test_the_order_of_the_items_is_part_of_a_plan() -> None:
    items = list(Items(3))
    assert plan({"a": 1}, 3, items=items).describe() != plan({"a": 1}, 3, items=items[::-1]).describe()


def test_very_many_items_are_described_in_little_memory() -> None:
    one = plan({"a": 1}, 20_000)
    tracemalloc.start()
    try:
        one.describe()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1e6


def test_a_plan_with_a_simulation_in_it_is_synthetic() -> None:
    real, simulated = participant("real"), participant("persona", route="simulated")
    assert not plan({"real": 1}, 1, participants=(real,)).synthetic
    assert plan({"real": 1, "persona": 1}, 1, participants=(real, simulated)).synthetic


# --- what it takes ---


def test_an_estimate_counts_calls_tokens_money_and_time() -> None:
    price = Price(1.0, 10.0, "2025-07")
    slow = participant("slow", rpm=10.0, price=price, max_output_tokens=500, provider="p")
    free = participant("free", params={"max_tokens": 100}, provider="p")
    one = plan({"slow": 2, "free": 3}, 10, participants=(slow, free))
    first, second = estimate(one, {})
    assert [first.calls, second.calls] == [20, 30]
    assert [first.tokens_out, second.tokens_out] == [20 * 500, 30 * 100]
    mean = sum(render(TASK, item).n_bytes / 4 + 8 for item in Items(10)) / 10
    assert first.tokens_in == pytest.approx(20 * mean)
    assert first.cost == pytest.approx((20 * mean + 10 * 20 * 500) / 1e6)
    assert second.cost is None
    assert first.seconds == pytest.approx(60 * 20 / (10 * MARGIN))
    assert second.seconds == 0.0
    capped = estimate(one, {"p": ProviderCaps(rpm=5.0), "q": ProviderCaps(rpm=0.1)})
    assert [each.seconds for each in capped] == pytest.approx([60 * 50 / (5 * MARGIN)] * 2)


def test_participants_of_one_lane_wait_for_each_other() -> None:
    members = tuple(participant(f"m{t}", model="m", params={"temperature": t}, rpm=60.0) for t in range(4))
    estimates = estimate(plan({one.name: 1 for one in members}, 30, participants=members), {})
    assert [one.seconds for one in estimates] == pytest.approx([120 / MARGIN] * 4)


def test_a_very_long_plan_is_estimated_from_its_first_items() -> None:
    items = Items(10**7)
    (found,) = estimate(plan({"a": 5}, 10**7, items=items), {})
    assert items.made <= 2000
    assert found.calls == 5 * 10**7


def test_what_is_missing_is_told_for_all_at_once() -> None:
    members = [
        participant("keyed", api_key_env="A_KEY"),
        participant("other", api_key_env="B_KEY"),
        participant("open"),
        participant("local", route="vllm", model="org/m"),
        participant("served", route="vllm", api_base="http://127.0.0.1:1/v1"),
    ]
    found = missing(members, {"B_KEY": "x", "A_KEY": ""})
    assert set(found) == {"keyed", "local"}
    assert found["keyed"] == "A_KEY is not set"
    assert "api_base" in found["local"]
