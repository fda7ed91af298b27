from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from partynli.errors import RegistryError, unknown_name
from partynli.hashing import text_hash
from partynli.records import Batching, Participant
from partynli.registry import Registry, load_registry, vary
from partynli.registry.entries import (
    BatchEntry,
    Experiments,
    GridExperiment,
    ParticipantEntry,
    PriceEntry,
    ProviderEntry,
    Retired,
    SizeExperiment,
    Union,
    ValuesExperiment,
)
from partynli.sampling.strategies import select

FILE = Path(__file__).parents[1] / "registry.yaml"
SHIPPED = load_registry(FILE)[0]

HI = [
    *("claude-opus-4", "command-a", "gemini-2.5-pro", "gpt-4.1", "grok-4"),
    *("llama-4-maverick", "mistral-medium", "qwen3-235b", "kimi-k2", "deepseek-r1-671b"),
]
LO = [
    *("claude-haiku-3.5", "command-r", "gemini-2.0-flash", "gpt-4o-mini", "grok-3-mini"),
    *("llama-3.1-8b", "ministral-8b", "qwen2.5-14b", "olmo2-13b", "phi4-14b"),
]
FOUR = ["grok-3-mini", "qwen3-235b", "gemini-2.0-flash", "kimi-k2"]
SIZES = {  # table 1, but for qwen3's 1.7, which it writes 1
    "deepseek-r1": [7, 8, 14, 32, 70, 671],
    "gemma3": [1, 4, 12, 27],
    "qwen3": [0.6, 1.7, 4, 8, 14, 32, 235],
}
UNBILLED = ("vllm", "hf", "ollama", "local", "simulated")
BILLED = [one for one in SHIPPED.participants.values() if one.provider not in UNBILLED]


# --- the registry that ships: table 1, section 3 and the footnotes of Kulmizev et al. 2026 ---


def test_the_mixes_are_those_of_table_1() -> None:
    assert list(SHIPPED.mixes["hi"]) == HI
    assert list(SHIPPED.mixes["lo"]) == LO
    assert list(SHIPPED.mixes["all"]) == HI + LO
    assert [one.name for one in SHIPPED.mix("all")] == HI + LO


def test_hi_has_one_model_of_each_lab() -> None:
    families = [one.family for one in SHIPPED.mix("hi")]
    assert None not in families
    assert len(set(families)) == 10


def test_every_model_has_a_family_and_an_expected_length() -> None:
    models = [one for one in SHIPPED.participants.values() if not one.synthetic]
    assert [one.name for one in models if one.family is None or one.max_output_tokens is None] == []


def test_the_families_of_sizes_are_those_of_table_1() -> None:
    size = SHIPPED.experiments.size
    assert size is not None
    assert size.trials == 5
    found = {name: [SHIPPED.participant(one).size_b for one in members] for name, members in size.families.items()}
    assert found == SIZES


def test_the_size_in_a_name_is_its_size() -> None:
    size = SHIPPED.experiments.size
    assert size is not None
    for members in size.families.values():
        for name in members:
            assert name.endswith(f"-{SHIPPED.participant(name).size_b:g}b")


@pytest.mark.parametrize("kind", ["temperature", "top_p"])
def test_ten_points_for_the_four_of_section_3(kind: str) -> None:
    experiment = getattr(SHIPPED.experiments, kind)
    assert experiment.participants == FOUR
    assert (experiment.points, experiment.low, experiment.high, experiment.trials) == (10, 0.05, 0.95, 1)


@pytest.mark.parametrize(
    ("name", "highest"), [("gemini-2.0-flash", 2.0), ("grok-3-mini", 1.5), ("kimi-k2", 1.0), ("qwen3-235b", 1.0)]
)
def test_temperatures_stay_below_those_of_table_2(name: str, highest: float) -> None:
    assert SHIPPED.participant(name).temperature_max == highest
    (selection,) = (one for one in select(SHIPPED, experiments=["temperature"]) if one.group.endswith(name))
    sent = [one.params["temperature"] for one in selection.participants]
    assert sent[0] == pytest.approx(0.05 * highest)
    assert sent[-1] == pytest.approx(0.95 * highest)
    assert len({one.id for one in selection.participants}) == 10


@pytest.mark.parametrize(
    ("kind", "groups", "members"), [("temperature", 4, 10), ("top_p", 4, 10), ("grid", 1, 25), ("size", 3, None)]
)
def test_every_experiment_resolves(kind: str, groups: int, members: int | None) -> None:
    selections = select(SHIPPED, experiments=[kind])
    assert len(selections) == groups
    if members is not None:
        assert {len(one.participants) for one in selections} == {members}


def test_the_grid_has_the_slices_with_one_parameter_unset() -> None:
    (selection,) = select(SHIPPED, experiments=["grid"])
    base = SHIPPED.participant("llama-4-maverick")
    added = [set(one.params) - set(base.params) for one in selection.participants]
    assert set() in added
    assert {"temperature"} in added
    assert {"top_p"} in added


def test_the_providers_that_bill_are_all_known_here() -> None:
    assert {one.provider for one in BILLED} <= set(SHIPPED.providers) - set(UNBILLED)
    assert all(provider.api_key_env for name, provider in SHIPPED.providers.items() if name not in UNBILLED)


@pytest.mark.parametrize("participant", BILLED, ids=lambda one: one.name)
def test_what_is_billed_has_a_dated_price_and_a_bound(participant: Participant) -> None:
    assert participant.price is not None
    assert 0 < participant.price.input <= participant.price.output
    assert re.fullmatch(r"202[5-9]-\d\d", participant.price.as_of)
    assert participant.max_output_tokens is not None
    assert participant.api_key_env


def test_everything_has_a_price_so_that_a_budget_can_be_given() -> None:
    assert [one.name for one in SHIPPED.participants.values() if one.price is None] == []


def test_nothing_is_sent_but_what_an_api_demands() -> None:
    """Section 3, generation parameters: none are passed. Anthropic's max_tokens is the one departure."""
    sent = {one.name: dict(one.params) for one in SHIPPED.participants.values() if one.params and not one.synthetic}
    assert sent == {name: {"max_tokens": 4096} for name in ("claude-opus-4", "claude-haiku-3.5")}


def test_seeds_are_sent_where_the_model_is_served_by_oneself() -> None:
    assert {one.provider for one in SHIPPED.participants.values() if one.seed == "auto"} == {"vllm", "simulated"}


def test_demo_is_ten_simulated_people_who_differ() -> None:
    demo = SHIPPED.mix("demo")
    assert len(demo) == 10
    assert all(one.synthetic and one.model == "persona" for one in demo)
    assert len({one.params["wordiness"] for one in demo}) == 10
    for one in demo:
        assert set(one.params["lean"]) == {"true", "either", "false"}
        assert set(one.params) <= {"lean", "decisiveness", "noise", "wordiness", "multi", "malformed", "tone"}
        assert all(0 <= one.params[key] <= 1 for key in ("decisiveness", "noise", "multi"))
        assert one.params["tone"] in ("plain", "hedging", "terse", "formal")
    fence_sitters = [one for one in demo if one.params["lean"]["either"] >= 0.9 and one.params["decisiveness"] < 0.1]
    assert len(fence_sitters) == 2
    assert max(one.params["decisiveness"] for one in demo) >= 0.9
    assert sorted(one.params["malformed"] for one in demo if "malformed" in one.params) == [0.02, 0.05]


def test_laptop_needs_no_key_and_no_network() -> None:
    laptop = SHIPPED.mix("laptop")
    assert 4 <= len(laptop) <= 6
    assert {one.api_base for one in laptop} == {"http://127.0.0.1:11434/v1"}
    assert {one.api_key_env for one in laptop} == {None}


def test_what_is_retired_says_since_when_and_names_a_successor() -> None:
    retired = {name: SHIPPED.retired(name) for name in SHIPPED.participants}
    gone = {name: one for name, one in retired.items() if one is not None}
    assert all(one.since > "2025-07" and one.successor for one in gone.values())
    assert all(one.successor != SHIPPED.participant(name).model for name, one in gone.items())
    assert retired["gpt-4.1"] is None


def test_no_two_participants_are_the_same() -> None:
    ids = [one.id for one in SHIPPED.participants.values()]
    assert len(set(ids)) == len(ids)


def test_the_file_is_found_and_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_registry(FILE)[1:] == (FILE, text_hash(FILE.read_text("utf-8")))
    (tmp_path / "registry.yaml").write_text(GOOD, "utf-8")
    monkeypatch.chdir(tmp_path)
    registry, path, digest = load_registry()
    assert set(registry.participants) == {"one", "two"}
    assert path.resolve() == (tmp_path / "registry.yaml").resolve()
    assert digest == text_hash(GOOD)


def test_the_file_that_ships_is_read_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert list(load_registry()[0].mixes["hi"]) == HI


# --- docs/reference/registry.md ---

DOCS = (FILE.parent / "docs" / "reference" / "registry.md").read_text("utf-8")
MODELS = (
    *(ProviderEntry, ParticipantEntry, PriceEntry, Retired, BatchEntry, Union),
    *(Experiments, ValuesExperiment, GridExperiment, SizeExperiment),
)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_is_explained(model: type[BaseModel]) -> None:
    assert [key for key in model.model_fields if f"`{key}`" not in DOCS] == []


def test_what_makes_another_participant_is_told_completely() -> None:
    told = re.search(r"^> (.*)$", DOCS, re.MULTILINE)
    assert told is not None
    assert re.findall(r"`(\w+)`", told[1]) == list(SHIPPED.participant("kimi-k2").identity)


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL))
def test_the_examples_can_be_added(example: str) -> None:
    content = yaml.safe_load(FILE.read_text("utf-8"))
    for part, entries in yaml.safe_load(example).items():
        content[part] |= entries
    Registry(content)


# --- what makes another participant ---

GOOD = """\
version: 1
providers:
  host: {route: openai, api_base: 'http://127.0.0.1:1/v1', api_key_env: HOST_KEY,
         rpm: 60, temperature_max: 2.0, params: {top_k: 5}}
participants:
  one: {provider: host, model: m1}
  two: {provider: host, model: m2, size_b: 2}
mixes:
  both: [one, two]
  twice: {union: [both, first]}
  first: [one]
experiments:
  temperature: {participants: [one]}
"""


def registry_with(**one: Any) -> Registry:
    """The good registry with other keys for participant `one`."""
    content = yaml.safe_load(GOOD)
    content["participants"]["one"].update(one)
    return Registry(content)


BASE = registry_with().participant("one")


@pytest.mark.parametrize(
    "change",
    [
        {"model": "m3"},
        {"params": {"temperature": 0.5}},
        {"params": {"top_k": 6}},
        {"seed": "auto"},
        {"revision": "abc"},
        {"size_b": 7},
        {"dtype": "bfloat16"},
        {"quantization": "awq"},
    ],
)
def test_what_can_change_answers_makes_another_participant(change: dict[str, Any]) -> None:
    assert registry_with(**change).participant("one").id != BASE.id


@pytest.mark.parametrize(
    "change",
    [
        {"api_base": "https://elsewhere.example/v1"},
        {"api_key_env": "OTHER_KEY"},
        {"rpm": 1, "tpm": 2, "concurrency": 3, "timeout_s": 4},
        {"price": {"input": 1, "output": 2, "as_of": "2025-07"}},
        {"max_output_tokens": 5},
        {"temperature_max": 1.5},
        {"family": "f"},
        {"retired": {"since": "2026-01", "successor": "m9"}},
        {"params": {"top_k": 5}},
    ],
)
def test_what_cannot_change_answers_does_not(change: dict[str, Any]) -> None:
    assert registry_with(**change).participant("one").id == BASE.id


def test_a_new_name_does_not_make_another_participant() -> None:
    content = yaml.safe_load(GOOD.replace("one", "uno"))
    assert Registry(content).participant("uno").id == BASE.id


def test_a_participant_overrides_its_provider() -> None:
    assert (BASE.api_base, BASE.api_key_env, BASE.temperature_max, BASE.timeout_s) == (
        "http://127.0.0.1:1/v1",
        "HOST_KEY",
        2.0,
        300.0,
    )
    other = registry_with(
        api_base="https://x.example/v1",
        api_key_env="X_KEY",
        temperature_max=1,
        timeout_s=9,
        params={"top_k": 1, "a": [2]},
    ).participant("one")
    assert (other.api_base, other.api_key_env, other.temperature_max, other.timeout_s) == (
        "https://x.example/v1",
        "X_KEY",
        1.0,
        9.0,
    )
    assert other.params == {"top_k": 1, "a": [2]}


def test_a_providers_limits_stay_the_providers() -> None:
    """They cap its models together; copied to each, ten models would be ten times as fast."""
    registry = registry_with()
    assert registry.providers["host"].rpm == 60
    assert registry.participant("one").rpm is None


def test_an_unknown_price_stays_unknown_and_a_model_of_ones_own_is_free() -> None:
    assert BASE.price is None
    content = yaml.safe_load(GOOD)
    content["providers"]["host"]["route"] = "vllm"
    price = Registry(content).participant("one").price
    assert price is not None
    assert (price.input, price.output) == (0, 0)


def test_a_union_names_each_member_once() -> None:
    assert registry_with().mixes == {"both": ("one", "two"), "twice": ("one", "two"), "first": ("one",)}


def test_variants_are_participants_of_their_own() -> None:
    warm = vary(BASE, temperature=0.5)
    assert warm.name == "one@temperature=0.5"
    assert warm.params == {"top_k": 5, "temperature": 0.5}
    assert warm.id != BASE.id
    assert warm.lane == BASE.lane
    assert vary(BASE, temperature=None, top_p=None) is BASE


# --- registries that are refused ---


def refusal(tmp_path: Path, content: str | bytes) -> str:
    """The message about a registry.yaml: one line that names the file."""
    file = tmp_path / "registry.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RegistryError) as caught:
        load_registry(file)
    message = str(caught.value)
    assert message.isprintable()
    assert str(file) in message
    assert len(message) < 600
    return message.replace(str(file), "FILE")


REPLACEMENTS = [
    # keys that are not known, each with its place and the nearest one
    ("model: m1", "modle: m1", "participants.one.modle: unknown key 'modle'; did you mean model"),
    ("rpm: 60", "rpn: 60", "providers.host.rpn: unknown key 'rpn'; did you mean rpm"),
    ("mixes:", "mixs:", "mixs: unknown key 'mixs'; did you mean mixes"),
    ("temperature: {part", "temperatur: {part", "experiments.temperatur: unknown key 'temperatur'; did you mean"),
    ("{participants: [one]}", "{participants: [one], point: 3}", "experiments.temperature.point: unknown key 'point'"),
    ("union: [both", "unoin: [both", "mixes.twice.unoin: unknown key 'unoin'; did you mean union"),
    ("size_b: 2", "price: {imput: 1, output: 2, as_of: '2025-07'}", "two.price.imput: unknown key 'imput'; did you"),
    ("size_b: 2", "retired: {sinse: '2025-07'}", "two.retired.sinse: unknown key 'sinse'; did you mean since"),
    ("one: {provider: host", "price: {provder: host", "price.provder: unknown key 'provder'; did you mean provider"),
    ("size_b: 2", "api_key: sk-123", "participants.two.api_key: unknown key 'api_key'; did you mean api_key_env"),
    # values of the wrong type
    ("version: 1", "version: 2", "version: input should be 1 (found 2)"),
    ("rpm: 60", "rpm: 'sixty'", "providers.host.rpm: input should be a valid number (found 'sixty')"),
    ("rpm: 60", "rpm: '60'", "providers.host.rpm: input should be a valid number (found '60')"),
    ("rpm: 60", "rpm: true", "providers.host.rpm: input should be a valid number (found True)"),
    ("rpm: 60", "rpm: 0", "providers.host.rpm: input should be greater than 0 (found 0)"),
    ("rpm: 60", f"rpm: 1{'0' * 400}", "providers.host.rpm: input should be a valid number (found 1000"),
    ("rpm: 60", "concurrency: 1.5", "providers.host.concurrency: input should be a valid integer (found 1.5)"),
    ("rpm: 60", "seed: 7", "providers.host.seed: input should be 'auto' (found 7)"),
    ("route: openai", "route: open", "host.route: input should be 'litellm', 'openai', 'vllm', 'hf' or 'simulated'"),
    ("model: m1", "model: 7", "participants.one.model: input should be a valid string (found 7)"),
    ("model: m1", "model: ''", "participants.one.model: string should have at least 1 character (found '')"),
    (", model: m1", "", "participants.one.model: field required"),
    ("{provider: host, model: m1}", "", "participants.one: input should be a valid dictionary (found None)"),
    ("[one, two]", "one", "mixes.both: input should be a valid list (found 'one')"),
    ("[one, two]", "[]", "mixes.both: list should have at least 1 item"),
    ("[one, two]", "[one, 2]", "mixes.both.1: input should be a valid string (found 2)"),
    ("size_b: 2", "price: {input: -1, output: 1, as_of: '2025-07'}", "two.price.input: input should be greater than"),
    ("size_b: 2", "price: {input: 1, output: 1}", "participants.two.price.as_of: field required"),
    ("size_b: 2", "price: {input: 1, output: 1, as_of: summer}", "participants.two.price.as_of: string should match"),
    ("size_b: 2", "retired: {since: now}", "participants.two.retired.since: string should match"),
    ("{participants: [one]}", "{participants: [one], high: 1.5}", "temperature.high: input should be less than or"),
    ("{participants: [one]}", "{participants: []}", "temperature.participants: list should have at least 1 item"),
    # names that nothing else declares
    ("provider: host, model: m1", "provider: hots, model: m1", "participant 'one': unknown provider 'hots' in FILE"),
    ("[one, two]", "[one, tow]", "mix 'both': unknown participant 'tow' in FILE; did you mean two"),
    ("union: [both", "union: [bth", "mix 'twice': unknown mix 'bth' in FILE; did you mean both"),
    ("{participants: [one]}", "{participants: [ona]}", "experiment 'temperature': unknown participant 'ona' in"),
    ("temperature: {participants: [one]}", "size: {families: {f: [one, tre]}}", "family 'f': unknown participant"),
    # the same thing twice
    ("[one, two]", "[one, two, one]", "mix 'both' names one more than once"),
    ("{participants: [one]}", "{participants: [one, one]}", "experiment 'temperature' names one more than once"),
    ("temperature: {participants: [one]}", "size: {families: {f: [one, one]}}", "family 'f' names one more than once"),
    ("model: m2, size_b: 2", "model: m1", "participants 'one' and 'two' declare the same model and parameters"),
    ("  two: {", "  one: {", "'one' is named twice"),
    ("model: m1", "model: m1, model: m3", "'model' is named twice"),
    ("mixes:", "providers: {}\nmixes:", "'providers' is named twice"),
    ("union: [both, first]", "union: [twice]", "mix 'twice' is a union that contains itself"),
    ("first: [one]", "first: {union: [third]}\n  third: {union: [first]}", "'first' is a union that contains itself"),
    # what must not be sent, or must not be in a file
    ("top_k: 5", "stream: true", "provider 'host': 'stream' cannot stand in params"),
    ("top_k: 5", "num_retries: 3", "provider 'host': 'num_retries' cannot stand in params"),
    ("top_k: 5", "mock_response: hi", "provider 'host': 'mock_response' cannot stand in params"),
    ("top_k: 5", "api_key: sk-123", "provider 'host': 'api_key' cannot stand in params: secrets"),
    ("top_k: 5", "extra_headers: {x-api-key: sk-123}", "provider 'host': 'x-api-key' cannot stand in params: secrets"),
    ("top_k: 5", "extra_body: [{Authorization: sk-123}]", "provider 'host': 'Authorization' cannot stand in params"),
    ("http://", "http://me:sk-123@", "provider 'host': api_base must be an http(s) address without a user name"),
    ("http://", "ftp://", "provider 'host': api_base must be an http(s) address"),
    ("http://127.0.0.1:1/v1", "http://[::1", "provider 'host': api_base must be an http(s) address"),
    ("http://127.0.0.1:1/v1", "", "provider 'host': api_base must be an http(s) address"),
    ("HOST_KEY", "sk-123", "providers.host.api_key_env: must be the NAME of an environment variable"),
    # values that JSON, a terminal or a file name cannot take
    ("top_k: 5", "stop: 2025-07-01", "providers.host.params.stop: a YAML date has no JSON form; put dates in quotes"),
    ("top_k: 5", "stop: !!set {a, b}", "providers.host.params.stop: a YAML set has no JSON form"),
    ("top_k: 5", "stop: !!binary aGk=", "providers.host.params.stop: a YAML bytes has no JSON form"),
    ("top_k: 5", "a: [{b: .nan}]", "providers.host.params.a.0.b: nan is no number that can be sent"),
    ("top_k: 5", "a: -.inf", "providers.host.params.a: -inf is no number that can be sent"),
    ("top_k: 5", "lean: {true: 0.5}", "providers.host.params.lean: the key True is no text; put it in quotes"),
    ("top_k: 5", "a: \"\\ud800\"", "providers.host.params.a: '\\ud800' has characters that cannot be printed"),
    ("size_b: 2", "size_b: .nan", "participants.two.size_b: nan is no number"),
    ("size_b: 2", "price: {input: 1, output: 1, as_of: 2025-07-01}", "two.price.as_of: a YAML date has no JSON"),
    ("model: m1", "model: \"m\\e[31m\"", "participants.one.model: 'm\\x1b[31m' has characters that cannot be printed"),
    ("model: m1", "model: \"a\\nb\"", "participants.one.model: 'a\\nb' has characters that cannot be printed"),
    ("model: m1", "\"mo\\ndel\": m1", "participants.one: the key 'mo\\ndel' has characters that cannot be printed"),
    ("  one: {", "  1: {", "participants: the key 1 is no text; put it in quotes"),
    ("  one: {", "  a/b: {", "participants.a/b: names are made of letters, digits and . _ : + - and begin with"),
    ("  one: {", "  ../b: {", "participants.../b: names are made of"),
    ("  one: {", "  .hidden: {", "participants..hidden: names are made of"),
    ("  one: {", "  -one: {", "participants.-one: names are made of"),
    ("  one: {", "  one@temperature=1: {", "participants.one@temperature=1: names are made of"),
    ("  one: {", "  o ne: {", "participants.o ne: names are made of"),
    ("  one: {", "  öne: {", "participants.öne: names are made of"),
    ("  host: {", "  ho/st: {", "providers.ho/st: names are made of"),
    ("  both: [", "  bo/th: [", "mixes.bo/th: names are made of"),
    # YAML that is not taken
    ("model: m1", "model: [unclosed", "cannot be read"),
    ("model: m1", "model: !!python/object/apply:os.getcwd []", "cannot be read"),
    ("model: m1", "model: !!python/name:os.system", "cannot be read"),
    ("model: m1", "model: 2025-13-01", "cannot be read: month must be in 1..12"),
    ("model: m1", "model: &m m1, family: *m", "*m is an alias; write the value out"),
    ("model: m1", "<<: {model: m1}, <<: {model: m3}", "'<<' is named twice"),
    ("top_k: 5", f"a: {'[' * 5000}", "cannot be read: nested too deeply"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "told"), REPLACEMENTS, ids=[told[:60] for _, _, told in REPLACEMENTS])
def test_a_wrong_registry_is_refused_in_one_line(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in GOOD
    message = refusal(tmp_path, GOOD.replace(old, new, 1))
    assert told in message
    assert "sk-123" not in message


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file: input should be a valid dictionary (found None)"),
        (b"just text", "the file: input should be a valid dictionary (found 'just text')"),
        (b"- a\n- b\n", "the file: input should be a valid dictionary"),
        (b"version: 1\n", "providers: field required"),
        (b"version: 1 # caf\xe9\n", "cannot be read: 'utf-8' codec"),
        (b"version: 1\n\x00", "cannot be read"),
        (b"\tversion: 1\n", "cannot be read"),
        (b"version: 1\n---\nversion: 1\n", "cannot be read"),
        (b"version: " + b"x" * 100_000, "version: input should be 1 (found 'xxx"),
    ],
)
def test_a_file_that_is_no_registry_is_refused_in_one_line(tmp_path: Path, content: bytes, told: str) -> None:
    assert told in refusal(tmp_path, content)


def test_a_billion_laughs_are_not_laughed(tmp_path: Path) -> None:
    """Aliases of aliases: a kilobyte of YAML that is gigabytes of JSON."""
    laughs = ["a0: &a0 [lol]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    began = time.perf_counter()
    assert "is an alias" in refusal(tmp_path, GOOD.replace("top_k: 5", ", ".join(laughs)))
    assert time.perf_counter() - began < 1


def test_unions_of_unions_are_resolved_once_each() -> None:
    content = yaml.safe_load(GOOD)
    content["mixes"] = {"a0": ["one"], "b0": ["two"]}
    for n in range(1, 60):
        content["mixes"] |= {
            f"a{n}": {"union": [f"a{n - 1}", f"b{n - 1}"]},
            f"b{n}": {"union": [f"b{n - 1}", f"a{n - 1}"]},
        }
    assert Registry(content).mixes["a59"] == ("one", "two")


def test_a_union_that_leads_into_a_circle_is_not_blamed(tmp_path: Path) -> None:
    circle = "first: {union: [third]}\n  third: {union: [fourth]}\n  fourth: {union: [third]}"
    assert "mix 'third' is a union that contains itself" in refusal(tmp_path, GOOD.replace("first: [one]", circle))


def test_texts_in_params_may_have_line_breaks() -> None:
    assert registry_with(params={"stop": ["\n\n", "é"]}).participant("one").params["stop"] == ["\n\n", "é"]


def test_a_folder_or_nothing_in_the_place_of_the_file(tmp_path: Path) -> None:
    for path, told in ((tmp_path, "cannot be read"), (tmp_path / "nosuch.yaml", "partynli init")):
        with pytest.raises(RegistryError, match=told) as caught:
            load_registry(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)


# --- names from the command line ---


@pytest.mark.parametrize("look_up", [SHIPPED.participant, SHIPPED.retired, SHIPPED.mix])
def test_an_unknown_name_comes_with_the_nearest(look_up: Any) -> None:
    with pytest.raises(RegistryError, match=r"^unknown (participant|mix) '.*' in .*registry\.yaml; did you mean "):
        look_up("laptp" if look_up == SHIPPED.mix else "grok-3-min")


def test_where_nothing_is_near_some_known_names_are_told() -> None:
    assert unknown_name("mix", "zzz", ["hi", "lo"]) == "unknown mix 'zzz'; known: hi, lo"
    assert unknown_name("mix", "zzz", []) == "unknown mix 'zzz'; there is none"
    assert unknown_name("mix", "zzz", [f"name{n}" for n in range(40)]).endswith(", ...")
    assert len(unknown_name("mix", "z" * 10_000, ["hi"])) < 200
    assert unknown_name("mix", "a\nb", ["hi"]).isprintable()


# --- batches ---


def test_batch_is_short_for_its_protocol_and_a_participant_s_own_goes_before() -> None:
    content = yaml.safe_load(GOOD)
    content["providers"]["host"]["batch"] = "openai"
    content["participants"]["two"]["batch"] = {"protocol": "openai", "discount": 0.25, "max_requests": 9}
    registry = Registry(content)
    assert registry.participant("one").batch == Batching("openai", 0.5, None)
    assert registry.participant("two").batch == Batching("openai", 0.25, 9)
    assert registry.participant("one").id == BASE.id  # it is no other participant for that


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ("opnai", "batch.protocol"),
        ({"protocol": "openai", "discuont": 0.5}, "did you mean discount?"),
        ({"protocol": "openai", "discount": 1.0}, "discount"),
        ({"protocol": "openai", "max_requests": 0}, "max_requests"),
        ({}, "batch.protocol"),
        (True, "batch"),
    ],
)
def test_a_wrong_batch_is_refused_in_one_line(batch: Any, said: str) -> None:
    with pytest.raises(RegistryError) as refused:
        registry_with(batch=batch)
    assert said in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_batches_need_a_route_that_has_them() -> None:
    content = yaml.safe_load(GOOD)
    content["providers"]["host"] |= {"route": "vllm", "batch": "openai"}
    with pytest.raises(RegistryError, match="`batch` needs the route openai or litellm"):
        Registry(content)


def test_the_providers_that_ship_with_batches() -> None:
    having = {one.provider: one.batch for one in SHIPPED.participants.values() if one.batch}
    assert having == {"openai": Batching("openai"), "anthropic": Batching("anthropic")}


def test_a_number_that_no_column_holds_is_refused_with_its_key(tmp_path: Path) -> None:
    for key in ("max_output_tokens", "params"):
        content = yaml.safe_load(GOOD)
        next(iter(content["participants"].values()))[key] = 2**70 if key != "params" else {"seed": 2**70}
        with pytest.raises(RegistryError, match=rf"{key}.* \(found 1180591620717411303424\), of 64 bits at most"):
            Registry(content)


def test_a_mix_of_very_many_names_takes_no_time() -> None:
    content = yaml.safe_load(GOOD)
    member = next(iter(content["participants"]))
    content["mixes"] = {"large": [member] * 100_000}
    started = time.process_time()
    with pytest.raises(RegistryError, match=f"names {member} more than once"):
        Registry(content)
    assert time.process_time() - started < 2.0
