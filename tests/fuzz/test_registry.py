"""Registries, task files and the words of prompts, strange in ways that YAML allows: read, or refused in one line."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from strategies import LARGE, damaged, deepened, fuzz, mutated, one_line, within

from partynli.errors import RegistryError
from partynli.hashing import canonical_json
from partynli.judgments import reader_for
from partynli.labels import ERROR
from partynli.prompts import load_task, render
from partynli.records import Item, Participant
from partynli.registry import Registry, load_registry
from partynli.studies.mjd.wording import load_wording
from partynli.yamlfile import load_yaml

PROMPTS = Path(__file__).parents[2] / "prompts"
GOOD: dict[str, Any] = {
    "version": 1,
    "providers": {
        "openai": {
            "route": "openai",
            "api_base": "https://x.example/v1",
            "api_key_env": "A_KEY",
            "rpm": 50,
            "tpm": 1000.5,
        },
        "vllm": {
            "route": "vllm",
            "temperature_max": 2.0,
            "seed": "auto",
            "serve": {"ports": [8000, 8010], "args": ["--x"]},
        },
        "sim": {"route": "simulated", "params": {"top_k": [1, {"a": None}]}},
    },
    "participants": {
        "gpt": {
            "provider": "openai",
            "model": "gpt-1",
            "family": "gpt",
            "max_output_tokens": 400,
            "price": {"input": 1, "output": 2.5, "as_of": "2025-07"},
            "batch": {"protocol": "openai", "discount": 0.5},
            "retired": {"since": "2026-01", "successor": "gpt-2"},
        },
        "llama-8b": {"provider": "vllm", "model": "m/llama", "size_b": 8, "guided_decoding": True},
        "p1": {"provider": "sim", "model": "p1", "params": {"temperature": 0.5, "max_tokens": 10}},
    },
    "mixes": {"hi": ["gpt", "llama-8b"], "lo": ["p1"], "all": {"union": ["hi", "lo"]}},
    "experiments": {
        "temperature": {"participants": ["gpt"], "points": 3, "low": 0.1, "high": 0.9, "trials": 1},
        "grid": {"participants": ["p1"], "temperature": [0.1, None], "top_p": [0.5], "trials": 1},
        "size": {"families": {"llama": ["llama-8b"]}, "trials": 2},
    },
}
YAML_TOKENS = (
    *(
        "&a ",
        "*a",
        "!!int ''",
        "!!bool x",
        "!!timestamp x",
        "!!float ''",
        "!!python/name:os.system ",
        "!!binary x",
        "!x ",
    ),
    *(
        "<<: {a: 1}\n",
        "<<: *a\n",
        "? ",
        ": ",
        "- ",
        "---\n",
        "...\n",
        "%YAML 1.1\n",
        "%TAG ! x\n",
        "|\n",
        "|2\n",
        ">-\n",
        "#",
    ),
    *('"\\ud800"', '"\\Uffffffff"', '"\\0"', "\0", "\ufeff", "\u202e", "\u2028", "\r", "\r\n", "\t", "\x85", "\x1b"),
    *(
        "0x" + "f" * 5_000,
        "9" * 5_000,
        "1" + ":59" * 2_000,
        "0x_",
        "1e999",
        ".nan",
        "-.inf",
        "2025-13-45",
        "0001-01-01",
    ),
    *("yes", "~", "=", "0o7", "1_0", "{", "}", "[", "]", "[" * 300, "{a: " * 300, "a: b\na: c\n", "'", '"', "é", "%"),
)
_tokens = tuple(token.encode("utf-8", "replace") for token in YAML_TOKENS)


def registry_in(content: bytes) -> Registry | None:
    """Read a registry twice; None where it is refused, in one line."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "registry.yaml"
        path.write_bytes(content)
        said = []
        for _ in range(2):
            try:
                registry, _, hash_ = load_registry(path)
            except RegistryError as error:
                one_line(error, str(path))
                said.append((str(error), None))
            else:
                said.append((hash_, registry))
    assert said[0][0] == said[1][0]
    return said[0][1]


def is_whole(registry: Registry) -> None:
    """See that what was read can be used: named, hashed, sent, stored."""
    for name, one in registry.participants.items():
        assert isinstance(one, Participant)
        assert name == one.name
        assert name.isprintable()
        json.loads(canonical_json(one.identity))
        json.dumps(dict(one.params)).encode()
        assert one.id.startswith("sha256:")
        assert one.lane[0] in registry.providers
        if one.price is not None and one.max_output_tokens is not None:
            assert one.price.cost(1.0, one.max_output_tokens) >= 0
        registry.retired(name)
    assert len({one.id for one in registry.participants.values()}) == len(registry.participants)
    for name in registry.mixes:
        members = registry.mix(name)
        assert members
        assert len({one.id for one in members}) == len(members)


def test_the_registry_that_is_changed_here_is_a_good_one() -> None:
    registry = registry_in(yaml.safe_dump(GOOD).encode())
    assert registry is not None
    is_whole(registry)
    assert registry.mixes["all"] == ("gpt", "llama-8b", "p1")


@fuzz(40)
@given(mutated(GOOD, most=2), st.sampled_from([None, True, False]))
def test_a_registry_of_another_shape_is_whole_or_refused(content: Any, flow: bool | None) -> None:
    text = json.dumps(content) if flow is None else yaml.safe_dump(content, default_flow_style=flow, sort_keys=False)
    registry = registry_in(deepened(text.replace("'@@", '"@@').replace("@@'", '@@"'), 150).encode("utf-8", "replace"))
    if registry is not None:
        is_whole(registry)


@fuzz(40)
@given(damaged(yaml.safe_dump(GOOD, sort_keys=False).encode(), _tokens))
def test_a_registry_with_bytes_lost_or_put_in_is_whole_or_refused(content: bytes) -> None:
    registry = registry_in(content)
    if registry is not None:
        is_whole(registry)


@fuzz(60)
@given(st.lists(st.sampled_from(YAML_TOKENS) | st.sampled_from(["a", "\n", "\n  ", " "]), max_size=8).map("".join))
def test_any_yaml_is_a_value_or_a_value_error(text: str) -> None:
    said = []
    for _ in range(2):
        try:
            said.append(repr(load_yaml(text)))
        except ValueError as error:
            said.append(str(error))
    assert said[0] == said[1]
    assert len(said[0].splitlines()) <= 1


@fuzz(4)
@given(
    st.lists(st.sampled_from([one for one in YAML_TOKENS if len(one) < 100]), min_size=1, max_size=3).map("".join),
    st.sampled_from(["", "a: ", "a: [", '"', "- ", "a:\n  b: "]),
)
def test_no_yaml_takes_long(unit: str, before: str) -> None:
    # the parser is slow, but every sign takes it as long
    with within(10 * LARGE / 100_000), suppress(ValueError):
        load_yaml(before + unit * (LARGE // 10 // len(unit)))


@pytest.mark.parametrize("kind", ["members", "doubles", "mixes", "circle", "participants"])
def test_no_number_of_names_takes_long(kind: str) -> None:
    n = LARGE // 20
    content: dict[str, Any] = json.loads(json.dumps(GOOD))
    match kind:
        case "members":
            content["mixes"]["lo"] = [f"p{k}" for k in range(n)]
        case "doubles":
            content["mixes"]["lo"] = ["p1"] * n
        case "mixes":
            content["mixes"] |= {f"m{k}": {"union": ["lo"]} for k in range(n)}
        case "circle":
            content["mixes"] |= {f"m{k}": {"union": [f"m{(k + 1) % 300}"]} for k in range(300)}
        case "participants":
            content["participants"] |= {f"q{k}": {"provider": "sim", "model": f"q{k}"} for k in range(n // 10)}
    with within(LARGE / 50_000):
        try:
            is_whole(Registry(content, "here"))
        except RegistryError as error:
            one_line(error, "here")


# --- tasks ---

TASK: dict[str, Any] = yaml.safe_load((PROMPTS / "livenli" / "task.yaml").read_text())
OTHER: dict[str, Any] = {
    "name": "mine",
    "labels": ["yes", "no", "very likely"],
    "fields": ["text", "question"],
    "answer": {"label": "verdict", "explanation": "because.why"},
    "human": "demo",
    "ordered": True,
}


def task_in(content: bytes, name: str = "livenli", **templates: bytes) -> None:
    """Read a task: whole, or refused in one line that names a file of it."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / name
        shutil.copytree(PROMPTS / name, folder)
        (folder / "task.yaml").write_bytes(content)
        for part, text in templates.items():
            (folder / f"{part}.txt").write_bytes(text)
        try:
            task = load_task(name, Path(scratch))
        except RegistryError as error:
            one_line(error, str(folder))
            return
        assert task == load_task(name, Path(scratch))
        assert len({label.lower() for label in task.labels}) == len(task.labels) >= 2
        assert not any(label == ERROR or "-" in label or not label.isprintable() for label in task.labels)
        assert task.collapse_to in task.labels
        assert set(task.highlights.values()) <= set(task.fields)
        for text in (task.name, task.system, task.user, *task.fields, *task.highlights):
            text.encode()
        prompt = render(task, Item("u", dict.fromkeys(task.fields, "{}")))
        assert prompt.hash.startswith("sha256:")
        try:
            reader, _ = reader_for(task)
        except RegistryError as error:
            one_line(error, repr(task.reader))
        else:
            json.dumps(reader.shape).encode()


@fuzz(40)
@given(st.sampled_from([TASK, OTHER]).flatmap(mutated), st.booleans())
def test_a_task_of_another_shape_is_whole_or_refused(content: Any, as_json: bool) -> None:
    text = json.dumps(content) if as_json else yaml.safe_dump(content, sort_keys=False)
    task_in(deepened(text.replace("'@@", '"@@').replace("@@'", '@@"'), 150).encode("utf-8", "replace"))


@fuzz(25)
@given(
    damaged((PROMPTS / "livenli" / "task.yaml").read_bytes(), _tokens),
    damaged(b"{} and {}?", (b"{", b"}", b"{}", b"\xef\xbb\xbf", b"\r\n", b"\0", b"\xff", b"{0}", b"{{}}")),
)
def test_a_task_with_bytes_lost_or_put_in_is_whole_or_refused(content: bytes, user: bytes) -> None:
    task_in(content)
    task_in((PROMPTS / "livenli" / "task.yaml").read_bytes(), user=user)


WORDING: dict[str, Any] = yaml.safe_load((PROMPTS / "mjd" / "wording.yaml").read_text())


@fuzz(10)
@given(
    mutated(WORDING),
    damaged((PROMPTS / "mjd" / "wording.yaml").read_bytes(), (*_tokens, b"{x}", b"{number!r:>9}", b"{0}")),
)
def test_the_words_of_options_are_whole_or_refused(content: Any, raw: bytes) -> None:
    text = deepened(json.dumps(content), 150).encode("utf-8", "replace")
    with TemporaryDirectory() as scratch:
        shutil.copytree(PROMPTS / "mjd", Path(scratch) / "mjd")
        for written in (text, raw):
            (Path(scratch) / "mjd" / "wording.yaml").write_bytes(written)
            try:
                words = load_wording(Path(scratch))
            except RegistryError as error:
                one_line(error, scratch)
            else:
                assert set(words.options) == set(words.plain.labels)
