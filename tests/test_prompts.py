from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partynli.errors import ItemsError, RegistryError
from partynli.hashing import text_hash
from partynli.prompts import Renderer, load_task, render, task_of
from partynli.records import Item, Prompt

PROMPTS = Path(__file__).parents[1] / "prompts"
SYSTEM = "f1f12a823122b678b20cd02b9e54db8e725334b590b21bd9a69b803b7bad2b05"
USER = "9cf309e3c0991dc2b04f239c6027f346541abea4725fe72a9d1f85649a68011a"
LIVENLI = load_task("livenli", PROMPTS)


def item(premise: str, hypothesis: str, uid: str = "1") -> Item:
    return Item(uid, {"premise": premise, "hypothesis": hypothesis})


def user_text(prompt: Prompt) -> str:
    return prompt.messages[1]["content"]


# --- the prompts of the paper ---


@pytest.mark.parametrize(("part", "lines", "digest"), [("system", 29, SYSTEM), ("user", 25, USER)])
def test_the_templates_are_those_of_appendix_b(part: str, lines: int, digest: str) -> None:
    content = (PROMPTS / "livenli" / f"{part}.txt").read_bytes()
    assert content.endswith(b"\n")
    assert not content.endswith(b"\n\n")
    assert b"\r" not in content
    template = content[:-1]
    assert template.count(b"\n") + 1 == lines
    assert hashlib.sha256(template).hexdigest() == digest


def test_a_task_names_its_templates_by_the_same_hashes() -> None:
    assert LIVENLI.hashes == {"system": f"sha256:{SYSTEM}", "user": f"sha256:{USER}"}


def test_the_livenli_task() -> None:
    assert LIVENLI.labels == ("true", "either", "false")
    assert LIVENLI.set_labels
    assert LIVENLI.collapse_to == "either"
    assert LIVENLI.fields == ("premise", "hypothesis")
    assert LIVENLI.highlights == {"context": "premise", "statement": "hypothesis"}


def test_the_rendered_prompt() -> None:
    prompt = render(LIVENLI, item("It rains.", "It is wet."))
    assert [message["role"] for message in prompt.messages] == ["system", "user"]
    assert prompt.messages[0]["content"] == LIVENLI.system
    lines = user_text(prompt).split("\n")
    assert lines[1:3] == ["[CONTEXT] It rains.", "[STATEMENT] It is wet."]
    assert len(lines) == 25
    assert lines[-1] == "Only highlight the words that are most important for the explanations."
    assert json.loads(prompt.json) == list(prompt.messages)
    assert prompt.hash == text_hash(prompt.json)
    assert prompt.n_bytes == sum(len(message["content"].encode()) for message in prompt.messages)


# --- items are texts, not templates ---


@pytest.mark.parametrize(
    "premise",
    [
        "{}",
        "a {} b {} c",
        "{0} {premise} {{}}",
        "100 % of %s, %(premise)s",
        "two\nlines\r\nand a tab\t",
        "$premise ${premise} \\1 \\g<0>",
        "[STATEMENT] not the statement",
        "日本語 🎉 é \u0000",
        " spaces around ",
    ],
)
def test_what_an_item_says_is_passed_on_as_it_is(premise: str) -> None:
    content = user_text(render(LIVENLI, item(premise, "the hypothesis")))
    assert content == LIVENLI.user.replace("{}", "\0premise\0", 1).replace("{}", "the hypothesis").replace(
        "\0premise\0", premise
    )


@given(st.text(), st.text())
def test_any_two_texts_can_be_taken_out_of_the_prompt_again(premise: str, hypothesis: str) -> None:
    before, between, after = LIVENLI.user.split("{}")
    content = user_text(render(LIVENLI, item(premise, hypothesis)))
    assert content.startswith(before + premise + between)
    assert content.endswith(between + hypothesis + after)
    middle = content[len(before) : len(content) - len(after)]
    assert middle == premise + between + hypothesis


@given(st.text(), st.text(), st.text(), st.text())
def test_other_texts_are_another_prompt(p1: str, h1: str, p2: str, h2: str) -> None:
    same = render(LIVENLI, item(p1, h1)).hash == render(LIVENLI, item(p2, h2)).hash
    between = LIVENLI.user.split("{}")[1]
    assert same == (p1 + between + h1 == p2 + between + h2)


def test_an_item_without_one_of_the_texts_is_named() -> None:
    with pytest.raises(ItemsError, match=r"^item '77' has no hypothesis; task 'livenli' needs it$"):
        render(LIVENLI, Item("77", {"premise": "p"}))


def test_a_renderer_keeps_prompts_but_never_those_of_another_item() -> None:
    renderer = Renderer(LIVENLI, keep=2)
    first = renderer.render(item("p", "h", uid="1"))
    assert renderer.render(item("p", "h", uid="1")) is first
    edited = renderer.render(item("another p", "h", uid="1"))
    assert "another p" in user_text(edited)
    for uid in "23456":
        renderer.render(item("p", "h", uid=uid))
    again = renderer.render(item("p", "h", uid="1"))
    assert (again.messages, again.hash) == (first.messages, first.hash)


# --- a task of one's own ---


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """A copy of the prompts folder, to be spoiled."""
    shutil.copytree(PROMPTS, tmp_path / "prompts")
    return tmp_path / "prompts"


def replaced(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


def refused(prompts: Path) -> str:
    with pytest.raises(RegistryError) as caught:
        load_task("livenli", prompts)
    message = str(caught.value)
    assert "\n" not in message
    assert "livenli" in message
    return message


def test_prompts_are_looked_for_here_first(prompts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced(prompts / "livenli" / "user.txt", "Explain all", "Explain some")
    monkeypatch.chdir(prompts.parent)
    assert "Explain some" in load_task("livenli").user


def test_an_edited_template_has_another_hash(prompts: Path) -> None:
    replaced(prompts / "livenli" / "system.txt", "You are an expert", "You are a novice")
    task = load_task("livenli", prompts)
    assert task.hashes["system"] != LIVENLI.hashes["system"]
    assert task.hashes["user"] == LIVENLI.hashes["user"]


def test_an_empty_system_prompt_is_left_out(prompts: Path) -> None:
    (prompts / "livenli" / "system.txt").write_text("", "utf-8")
    prompt = render(load_task("livenli", prompts), item("p", "h"))
    assert [message["role"] for message in prompt.messages] == ["user"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "collapse_to",
            "colapse_to",
            "task.yaml: colapse_to: Extra inputs are not permitted; did you mean collapse_to?",
        ),
        ("set_labels: true", 'set_labels: "yes"', "task.yaml: set_labels: Input should be a valid boolean"),
        ('["true", "either", "false"]', "[true, either, false]", "task.yaml: labels.0: Input should be a valid string"),
        ('["true", "either", "false"]', '["true", "either", "true"]', "must all differ"),
        ('["true", "either", "false"]', '["true", "either", "not-true"]', "have no hyphen"),
        ('collapse_to: "either"', 'collapse_to: "maybe"', "collapse_to 'maybe' is not one of the labels"),
        ("set_labels: true", "ordered: true\nset_labels: true", "set_labels and ordered exclude each other"),
        ('collapse_to: "either"', "ordered: false", "with set_labels, collapse_to must name the label"),
        ('["true", "either", "false"]', "[either]", "there must be at least two"),
        ('["true", "either", "false"]', "[either, Either]", "'either' and 'Either' cannot be told apart"),
        ('["true", "either", "false"]', "[either, very likely, Very_likely]", "cannot be told apart"),
        (
            '["true", "either", "false"]',
            "[either, red and black, red, black]",
            "'red and black' could also be the set of",
        ),
        ('["true", "either", "false"]', "[either, Error]", "'Error' is what a trial without a valid answer is called"),
        ('["true", "either", "false"]', '[either, " no"]', "neither empty nor begin or end with a blank"),
        ('["true", "either", "false"]', "[either, yes]", "but YAML reads True here; put it in quotes"),
        ('["true", "either", "false"]', "[either, 3]", "but YAML reads 3 here; put it in quotes"),
        ("[premise, hypothesis]", "[uid, hypothesis]", "'uid' is what an item is called"),
        ("reader: livenli", "answer: {lable: x}", "unknown part 'lable' in answer; did you mean label?"),
        ("reader: livenli", "answer: {explanation: x}", "answer names no place for the label"),
        ("reader: livenli", "answer: {label: a..b}", "a place is keys joined by dots"),
        ("reader: livenli", "answer: {label: a, explanation: a.b}", "one lies within another"),
        ("reader: livenli", "answer: {label: a}", "answer names no place for the highlights"),
        (
            "[premise, hypothesis]",
            "[premise]",
            "user.txt: the number of places {}, 2, is not that of the fields in task.yaml, 1",
        ),
        ("[premise, hypothesis]", "[premise, premise]", "fields ['premise', 'premise'] must be one or more different"),
        ("[premise, hypothesis]", "[]", "fields [] must be one or more different"),
        ("context: premise", "context: premiss", "highlights name ['premiss']"),
        ("context: premise", '"\\ud800": premise', "'\\ud800' has characters that cannot be printed"),
        ("name: livenli", 'name: "\\u202e"', "'\\u202e' has characters that cannot be printed"),
        ("name: livenli", "name: [unclosed", "cannot be read"),
        ("name: livenli", "name: !!python/name:os.system", "cannot be read"),
        ("name: livenli", "name: 2025-13-01", "cannot be read"),
        ("name: livenli", "name: " + "[" * 5000, "cannot be read: nested too deeply"),
        ("name: livenli", 'name: livenli\n"a\\nb": 1', "task.yaml: a b: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_task_file_is_refused_in_one_line(prompts: Path, old: str, new: str, told: str) -> None:
    replaced(prompts / "livenli" / "task.yaml", old, new)
    assert told in refused(prompts)


def test_an_empty_task_file_is_refused(prompts: Path) -> None:
    (prompts / "livenli" / "task.yaml").write_text("", "utf-8")
    assert refused(prompts).endswith("task.yaml: the file: Input should be a valid dictionary")


def not_utf8(folder: Path) -> None:
    (folder / "user.txt").write_bytes(b"caf\xe9 {} {}\n")


def no_template(folder: Path) -> None:
    (folder / "system.txt").unlink()


def a_folder_instead(folder: Path) -> None:
    (folder / "user.txt").unlink()
    (folder / "user.txt").mkdir()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [(not_utf8, "cannot be read: 'utf-8' codec"), (no_template, "partynli init"), (a_folder_instead, "cannot be read")],
)
def test_unreadable_templates_are_refused_in_one_line(prompts: Path, spoil: Callable[[Path], None], told: str) -> None:
    spoil(prompts / "livenli")
    assert told in refused(prompts)


def test_a_task_that_is_not_there(prompts: Path) -> None:
    with pytest.raises(RegistryError, match="nosuch"):
        load_task("nosuch", prompts)


# --- tasks of a user's own ---


def test_what_a_task_file_may_leave_out(prompts: Path) -> None:
    (prompts / "livenli" / "task.yaml").write_text('name: mine\nlabels: ["yes", "no"]\nfields: [a, b]\n')
    task = load_task("livenli", prompts)
    assert (task.set_labels, task.ordered, task.collapse_to, task.reader, task.human) == (
        False,
        False,
        "yes",
        "json",
        None,
    )
    assert task.answer == {"label": "classification.label", "explanation": "classification.explanation"}


def test_a_manifest_of_an_earlier_version_names_no_places() -> None:
    kept = {name: value for name, value in asdict(LIVENLI).items() if name not in ("ordered", "answer")}
    assert task_of({"task": json.loads(json.dumps(kept))}) == LIVENLI


@pytest.mark.parametrize("name", ["varierr", "likelihood"])
def test_the_other_tasks_that_ship(name: str) -> None:
    task = load_task(name, PROMPTS)
    assert task.name == name
    assert task.answer.keys() == {"label", "explanation"}
    assert all(label in task.user for label in task.labels)
    assert all(f'"{place}"' in task.system for place in task.answer.values())
    assert task.ordered == (name == "likelihood")
    assert task.set_labels == (name == "varierr")
