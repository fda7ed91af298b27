"""Who takes part, and how often: the strategies of Kulmizev et al. (2026, section 3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from partynli.errors import InputError, RegistryError
from partynli.records import Participant
from partynli.registry import Registry, ValuesExperiment, load_registry
from partynli.sampling.strategies import EXPERIMENTS, Selection, merge, select, values_of

SHIPPED = load_registry(Path(__file__).parents[2] / "registry.yaml")[0]
TAU_MAX = {"gemini-2.0-flash": 2.0, "grok-3-mini": 1.5, "kimi-k2": 1.0, "qwen3-235b": 1.0}
SHARES = [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95]


def registry(**experiments: Any) -> Registry:
    def model(**more: Any) -> dict[str, Any]:
        return {"provider": "p", **more}

    return Registry(
        {
            "version": 1,
            "providers": {"p": {"route": "openai", "api_base": "http://127.0.0.1:1/v1"}},
            "participants": {
                "a": model(model="a", temperature_max=2.0),
                "b": model(model="b", temperature_max=1.5),
                "c": model(model="c"),
            },
            "mixes": {"ab": ["a", "b"], "bc": ["b", "c"], "all": {"union": ["ab", "bc"]}},
            "experiments": experiments,
        }
    )


def names(selections: list[Selection]) -> dict[str, list[str]]:
    return {one.group: [member.name for member in one.participants] for one in selections}


# --- mixes and single models ---


def test_a_mix_is_asked_five_times_as_it_is() -> None:
    (selection,) = select(registry(), mixes=["ab"])
    assert selection == Selection("ab", registry().mix("ab"), 5)
    assert all(not one.params for one in selection.participants)


def test_mixes_and_participants_are_groups_of_their_own() -> None:
    selections = select(registry(), mixes=["ab", "all"], participants=["c", "a", "c"], trials=3)
    assert names(selections) == {"ab": ["a", "b"], "all": ["a", "b", "c"], "participants": ["c", "a"]}
    assert {one.trials for one in selections} == {3}


def test_single_samples_a_mix_by_itself() -> None:
    assert select(registry(), mixes=["ab"], experiments=["single"]) == select(registry(), mixes=["ab"])
    with pytest.raises(InputError, match="add --mix NAME or --participant NAME"):
        select(registry(), experiments=["single"])


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"mixes": ["bd"]}, "unknown mix 'bd'.*did you mean"),
        ({"participants": ["d"]}, "unknown participant 'd'.*known: a, b, c"),
        ({"mixes": ["ab"], "experiments": ["temprature"]}, "unknown experiment 'temprature'; did you mean temperature"),
        ({"experiments": ["temperature"]}, "declares no experiment 'temperature'"),
        ({}, "nothing to sample: name a --mix"),
    ],
)
def test_names_that_are_not_known_are_told_with_the_nearest(asked: Any, told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        select(registry(), **asked)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name != "single"])
@pytest.mark.parametrize("besides", [{"mixes": ["hi"]}, {"participants": ["gpt-4.1"]}])
def test_an_experiment_that_brings_its_own_participants_goes_without_a_mix(name: str, besides: Any) -> None:
    with pytest.raises(InputError, match=f"--experiment {name} brings its own participants: leave out --mix"):
        select(SHIPPED, experiments=[name], **besides)
    assert select(SHIPPED, experiments=[name])


# --- values of a parameter ---


@pytest.mark.parametrize("name", TAU_MAX)
def test_ten_temperatures_below_each_model_s_highest(name: str) -> None:
    one = SHIPPED.participant(name)
    declared = SHIPPED.experiments.temperature
    assert declared is not None
    assert one.temperature_max == TAU_MAX[name]
    values = values_of(declared, one, "temperature")
    assert values == pytest.approx([share * TAU_MAX[name] for share in SHARES])
    assert len(set(map(repr, values))) == 10
    assert all(len(repr(value)) <= 6 for value in values), "no 0.30000000000000004 is sent"


def test_shares_of_top_p_are_taken_as_they_are() -> None:
    declared = SHIPPED.experiments.top_p
    assert declared is not None
    for name in TAU_MAX:
        assert values_of(declared, SHIPPED.participant(name), "top_p") == SHARES


@pytest.mark.parametrize(
    ("points", "low", "high", "values"),
    [
        (1, 0.2, 0.8, [0.2]),
        (2, 0.0, 1.0, [0.0, 1.0]),
        (3, 0.0, 1.0, [0.0, 0.5, 1.0]),
        (4, 0.1, 0.7, [0.1, 0.3, 0.5, 0.7]),
        (3, 0.5, 0.5, [0.5, 0.5, 0.5]),
    ],
)
def test_values_are_equally_spaced_ends_included(points: int, low: float, high: float, values: list[float]) -> None:
    experiment = ValuesExperiment(participants=["m"], points=points, low=low, high=high)
    assert values_of(experiment, Participant("m", "openai", "m", {}), "top_p") == values


def test_a_temperature_experiment_needs_a_highest_temperature() -> None:
    with pytest.raises(RegistryError, match="'c' has no temperature_max"):
        select(registry(temperature={"participants": ["a", "c"]}), experiments=["temperature"])


# --- experiments ---


def test_the_temperature_experiment_is_ten_variants_of_four_models() -> None:
    selections = select(SHIPPED, experiments=["temperature"])
    assert {one.group for one in selections} == {f"temperature:{name}" for name in TAU_MAX}
    for one in selections:
        base = SHIPPED.participant(one.group.partition(":")[2])
        assert one.trials == 1
        assert len({member.id for member in one.participants}) == 10
        for share, member in zip(SHARES, one.participants, strict=True):
            value = share * TAU_MAX[base.name]
            assert member.params == {**base.params, "temperature": pytest.approx(value)}
            assert member.name == f"{base.name}@temperature={value:.6g}"
            assert member.lane == base.lane, "variants of one model share its queue"
            assert member.price == base.price


def test_the_grid_is_every_pair_and_each_parameter_alone() -> None:
    (selection,) = select(SHIPPED, experiments=["grid"])
    assert selection.group == "grid:llama-4-maverick"
    values = [None, 0.1, 0.4, 0.7, 1.0]
    sent = [(one.params.get("temperature"), one.params.get("top_p")) for one in selection.participants]
    assert sent == [(t, p) for t in values for p in values]
    assert len({one.id for one in selection.participants}) == 25
    assert selection.participants[0] == SHIPPED.participant("llama-4-maverick")


def test_the_size_experiment_is_a_group_for_every_family() -> None:
    selections = select(SHIPPED, experiments=["size"])
    assert {one.group: len(one.participants) for one in selections} == {
        "size:deepseek-r1": 6,
        "size:gemma3": 4,
        "size:qwen3": 7,
    }
    assert {one.trials for one in selections} == {5}


def test_trials_from_the_command_line_overrule_the_registry_s() -> None:
    for name in EXPERIMENTS[1:]:
        assert {one.trials for one in select(SHIPPED, experiments=[name], trials=7)} == {7}


def test_several_experiments_go_together() -> None:
    groups = names(select(SHIPPED, experiments=["temperature", "size", "single"][:2]))
    assert len(groups) == 4 + 3


# --- merging ---


def test_each_participant_is_asked_once_with_the_most_trials_that_anyone_wants() -> None:
    a, b, c = (Participant(name, "openai", name, {}) for name in "abc")
    participants, trials = merge([Selection("x", (a, b), 5), Selection("z", (b,), 9), Selection("y", (b, c), 2)])
    assert participants == (a, b, c)
    assert trials == {a.id: 5, b.id: 9, c.id: 2}
    assert merge([]) == ((), {})


def test_a_participant_of_two_groups_is_one_participant() -> None:
    selections = select(SHIPPED, mixes=["hi", "lo", "all"])
    participants, trials = merge(selections)
    assert len(participants) == 20
    assert set(trials.values()) == {5}
    # qwen3-235b with its default parameters in a grid point and in a family is the same one
    grid, size = select(SHIPPED, experiments=["grid"]), select(SHIPPED, experiments=["size"])
    merged, _ = merge([*grid, *size])
    assert len(merged) == 25 + 17
