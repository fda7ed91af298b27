"""How answers, trees and files go wrong: grammars of what is almost right, and the profile of all fuzz tests.

In the core suite each test takes the same few examples every time. With ``PARTYNLI_FUZZ=long`` (``make fuzz``) each
takes many, other ones every time.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from partynli.errors import PartyNLIError
from partynli.records import Task

IS_LONG = os.environ.get("PARTYNLI_FUZZ") == "long"
LARGE = 1_000_000 if IS_LONG else 100_000
"""Characters of inputs that are there to take long."""
_LONG_FACTOR = int(os.environ.get("PARTYNLI_FUZZ_FACTOR", "100"))
_Test = TypeVar("_Test", bound=Callable[..., Any])


def fuzz(core: int) -> Callable[[_Test], _Test]:
    """The profile: `core` examples in the core suite, a hundred times as many in the long one."""
    return settings(
        max_examples=core * _LONG_FACTOR if IS_LONG else core,
        derandomize=not IS_LONG,
        print_blob=IS_LONG,
        deadline=None,  # of wall time, which other processes take; see `within`
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail where a reader takes more processor time than this."""
    started = time.process_time()
    yield
    taken = time.process_time() - started
    assert taken < seconds, f"took {taken:.1f} s"


def one_line(error: PartyNLIError, *places: str) -> None:
    """See that an error is one line that is not too long, can be printed, and names one of these places."""
    said = str(error)
    assert len(said.splitlines()) == 1, said
    assert len(said) < 3_000, said[:3_000]
    said.encode()
    assert any(place in said for place in places), (said, places)


# --- any text, but of the kind that readers stumble over ---

SIGNS = (
    "\0",
    "\ufeff",
    "\u202e",
    "\u2028",
    "\x85",
    "\x1b[31m",
    "\ud800",
    "\r",
    "\r\n",
    "\t",
    "\u00a0",
    "e\u0301",
    "\U0001f600",
)
"""Characters that end lines, turn directions, are half of one, or are none."""
words = st.sampled_from(
    ["", "It rains.", "true", "either", "false", "a {b} c", "<<men>>", "nan", "=1+1", "-", '"', "\\", *SIGNS]
)
texts = st.lists(words | st.text(max_size=6), max_size=4).map(" ".join)
storable_texts = texts.map(lambda text: text.replace("\ud800", "").replace("\0", "")).filter(
    lambda text: not any("\ud800" <= sign <= "\udfff" for sign in text)
)

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 3.5, 2**31, 2**63, 10**30, -(10**400), 1e308, float("nan"), float("-inf")),
    *("", " ", "x", "a\nb", "a.b", "true", "1", "é" * 300, *SIGNS),
    *([], {}, [[]], [None], {"": 1}, {"a": {"b": []}}, ["x", "x"], [{}], {"\n": 1}),
)
odd = st.sampled_from(ODD) | st.builds(lambda n: DEEP.format(n), st.sampled_from([20, 300, 900, 950, 970, 985, 3_000]))
DEEP = "@@deep {}@@"
"""Stands for lists within lists, which `dumped` writes out: Python could not hold what a file may."""
_DEEP = re.compile(r'"@@deep (\d+)@@"')


def dumped(value: Any, **given: Any) -> str:
    """JSON, with `DEEP` written out."""
    return deepened(json.dumps(value, **given))


def deepened(text: str, most: int = 10_000) -> str:
    """A text with every `DEEP` in quotes written out as lists within lists, up to a depth."""
    return _DEEP.sub(lambda found: "[" * min(most, int(found[1])) + "]" * min(most, int(found[1])), text)


@st.composite
def mutated(draw: st.DrawFn, tree: Any, most: int = 3) -> Any:
    """A tree of lists and mappings with some of its nodes replaced, dropped, doubled, renamed or exchanged."""
    tree = json.loads(json.dumps(tree))
    for _ in range(draw(st.integers(1, most))):
        places = list(_places(tree))
        holder, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["replace", "replace", "drop", "double", "rename", "exchange"])):
            case "replace":
                holder[key] = deepcopy(draw(odd))
            case "drop":
                del holder[key]
            case "double" if isinstance(holder, list):
                holder.append(holder[key])
            case "rename" if isinstance(holder, dict):
                holder[draw(st.sampled_from(["x", "", "label", *SIGNS]))] = holder.pop(key)
            case "exchange":
                other, place = draw(st.sampled_from(places))
                if not isinstance(holder[key], dict | list):  # so that no tree comes to lie within itself
                    with suppress(IndexError):
                        other[place] = holder[key]
        if not tree:
            break
    return tree


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from _places(tree[key])


@st.composite
def damaged(draw: st.DrawFn, content: bytes, tokens: tuple[bytes, ...] = ()) -> bytes:
    """Bytes of which some are lost, doubled, exchanged for others, or cut off."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(content)))
        much = draw(st.sampled_from([0, 0, 1, 2, 7, 40]))
        put = draw(st.sampled_from([b"", *tokens]) | st.binary(max_size=4))
        match draw(st.sampled_from(["put", "put", "double", "cut"])):
            case "put":
                content = content[:at] + put + content[at + much :]
            case "double":
                content = content[:at] + content[max(0, at - much) :]
            case "cut":
                content = content[:at]
    return content


# --- answers ---


@dataclass(frozen=True)
class Said:
    """An answer whose reading is known."""

    text: str
    labels: frozenset[str]
    explanation: str


JOINS = ("-", ", ", ",", "/", " / ", ";", " and ", " or ", " & ", " | ", "+", " – ", "—", " ", "\n", ", and ")
_SHAPES = ("as asked", "spelling", "case", "quotes", "list", "boolean")


def sets_of(task: Task) -> list[tuple[str, ...]]:
    """Every set of labels that the task takes."""
    most = len(task.labels) if task.set_labels else 1
    return [chosen for n in range(1, most + 1) for chosen in combinations(sorted(task.labels), n)]


@st.composite
def label_values(draw: st.DrawFn, task: Task) -> tuple[Any, frozenset[str]]:
    """A value of the label's key, in any of the spellings that are read, and which labels it names."""
    chosen = list(draw(st.sampled_from(sets_of(task))))
    value: Any = "-".join(chosen)
    match draw(st.sampled_from(_SHAPES)):
        case "spelling":
            value = draw(st.sampled_from(JOINS)).join(draw(st.permutations(chosen)))
        case "case":
            value = draw(st.sampled_from([str.upper, str.title, str.lower]))(value)
        case "quotes" if value == value.strip("\"'."):
            value = draw(st.sampled_from([' "{}"', "'{}'.", "\t{}\n", "{}."])).format(value)
        case "list":
            value = draw(st.permutations(chosen))
        case "boolean" if chosen in (["true"], ["false"]):
            value = chosen == ["true"]
    return value, frozenset(chosen)


MARKED = {"context": "The <<men>> sang in the old house.", "statement": "<<People>> sang."}
plain_texts = texts.filter(lambda text: "think>" not in text)


@st.composite
def answers(draw: st.DrawFn, task: Task) -> Said:
    """A valid answer in the form that the task asks for, laid out in any way that JSON allows."""
    value, labels = draw(label_values(task))
    explanation = draw(plain_texts)
    answer: dict[str, Any] = {}
    given = {"label": value, "explanation": explanation, "highlights": MARKED}
    for part in draw(st.permutations(sorted(task.answer))):
        *above, last = task.answer[part].split(".")
        inner = answer
        for key in above:
            inner = inner.setdefault(key, {})
        inner[last] = given[part]
    if draw(st.booleans()):
        answer["note"] = draw(st.sampled_from(ODD[:12]).filter(lambda value: value == value))
    layout = {"indent": draw(st.sampled_from([None, None, 0, 2])), "ensure_ascii": draw(st.booleans())}
    return Said(json.dumps(answer, **layout), labels, explanation if "explanation" in task.answer else "")


_outside = storable_texts.map(lambda text: re.sub(r"[{}<`]", "", text))


@st.composite
def wrapped(draw: st.DrawFn, text: str) -> str:
    """An answer as models hand it over: in a fence, behind a thought, with words around it."""
    if draw(st.booleans()):
        language, end = draw(st.sampled_from(["", "json", "JSON ", "js-on"])), draw(st.sampled_from(["\n", "\r\n"]))
        text = f"```{language}{end}{text}{end}```"
    if draw(st.booleans()):
        text = f"{draw(_outside)}\n{text}\n{draw(_outside)}"
    if draw(st.booleans()):
        thought = draw(st.sampled_from(["", "Hm.", '{"a": 1}', "{", "```", "<think>x</think>"]) | _outside)
        text = f"<think>{thought}</think>{text}"
    return draw(st.sampled_from(["", "\n", " ", "\r\n"])) + text + draw(st.sampled_from(["", "\n", "\t"]))


TOKENS = (
    *(
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        '"',
        "\\",
        '\\"',
        "\\n",
        "\\u0000",
        "\\ud800",
        "null",
        "NaN",
        "1e999",
        "“",
        "'",
        " ",
    ),
    *('"label":', '"classification":', '"explanation":', '"highlights":', '"category":', '{"label": "false"}', "error"),
    *("true", "false", "either", "maybe", "<<", ">>", "```", "```json", "<think>", "</think>", "I'm sorry,", "-", "–"),
    *("1.", "- ", "**", "#", "(1)", "Note:", "Here are:", "\n", "\r", "\0", "\ufeff", "\u202e", "\u2028", "\ud800"),
)
tokens = st.sampled_from(TOKENS)


@st.composite
def almost(draw: st.DrawFn, text: str) -> str:
    """An answer that was right until some pieces of it were lost, doubled, moved, or others came in."""
    for _ in range(draw(st.integers(1, 4))):
        pieces = re.findall(r"\w+|\s+|.", text, re.DOTALL) or [""]
        at, much = draw(st.integers(0, len(pieces))), draw(st.integers(0, 3))
        match draw(st.sampled_from(["put", "exchange", "lose", "double", "move", "cut", "again"])):
            case "put":
                pieces[at:at] = [draw(tokens)]
            case "exchange":
                pieces[at : at + 1] = [draw(tokens)]
            case "lose":
                del pieces[at : at + much]
            case "double":
                pieces[at:at] = pieces[at : at + much + 1]
            case "move":
                some = pieces[at : at + much]
                del pieces[at : at + much]
                to = draw(st.integers(0, len(pieces)))
                pieces[to:to] = some
            case "cut":
                del pieces[at:]
            case "again":
                pieces.append(text)
        text = "".join(pieces)
    return text


pumped = st.builds(
    lambda before, unit, after: before + "".join(unit) * (LARGE // max(1, len("".join(unit)))) + after,
    st.lists(tokens, max_size=4).map("".join),
    st.lists(tokens, min_size=1, max_size=4),
    st.lists(tokens, max_size=3).map("".join),
)
"""Texts of `LARGE` characters that repeat a few signs, which is what makes readers slow."""
