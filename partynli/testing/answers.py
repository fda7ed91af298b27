"""The texts that the loopback server answers with: valid LiveNLI answers, and the ways in which they go wrong."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from random import Random
from typing import Literal

from partynli.testing.behaviour import Behaviour, Fault

Finish = Literal["stop", "length", "content_filter", "refusal"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says, before a protocol puts it into its own shape."""

    text: str
    finish: Finish = "stop"
    reasoning: str = ""
    """Reasoning that the protocol carries in a field of its own."""
    refusal: str | None = None
    """A refusal that the protocol marks as one."""
    drifted: bool = False
    """True where another model than the one asked for seems to have answered."""
    usage: bool = True
    """False leaves the token counts out."""
    token_scores: Mapping[str, float] = field(default_factory=dict)
    """Log-probabilities of the first token, by its text, for protocols that tell them; made up if empty."""


_REASONS = {
    "true": "Taking the context at its word, the statement most likely follows.",
    "either": "Nothing in the context settles it, so it could go one way or the other.",
    "false": "If the context holds, the statement can hardly hold as well.",
}
_THOUGHT = "The context comes first. Then the statement. Does one follow from the other?"
_SORRY = "I'm sorry, but I can't help with that request."
_LONGEST_MARKED = 2000
_encode = json.JSONEncoder(ensure_ascii=False).encode
_WORD = re.compile(r"\w{3,}")


def item_texts(user_text: str) -> tuple[str, str]:
    r"""The first lines of context and statement in a rendered prompt; empty where there is none.

    >>> item_texts("Read [CONTEXT] and [STATEMENT]:\n[CONTEXT] It rains.\n[STATEMENT] It is wet.\n\nChoose")
    ('It rains.', 'It is wet.')
    """
    return _line(user_text, "[CONTEXT] "), _line(user_text, "[STATEMENT] ")


def _line(text: str, tag: str) -> str:
    # the prompt names both tags in its first line too; only at the start of a line do they introduce a text
    start = 0 if text.startswith(tag) else text.find("\n" + tag) + 1
    if not text.startswith(tag, start):
        return ""
    start += len(tag)
    end = text.find("\n", start)
    return text[start:] if end < 0 else text[start:end]


def livenli_answer(user_text: str, label: str, draw: int) -> str:
    """A valid answer to LiveNLI's question, with highlights that occur in the item; `draw` picks the words."""
    context, statement = item_texts(user_text)
    marked, word = _mark(context, draw)
    marked_too, word_too = _mark(statement, draw >> 8)
    reasons = " ".join(_REASONS.get(one, f"It is {one}.") for one in label.split("-"))
    explanation = f'The context says "{word}" and the statement says "{word_too}". {reasons}'
    answer = {
        "classification": {"label": label, "explanation": explanation},
        "highlights": {"context": marked, "statement": marked_too},
    }
    return _encode(answer)


def _mark(line: str, draw: int) -> tuple[str, str]:
    words = list(_WORD.finditer(line, 0, _LONGEST_MARKED))
    if not words:
        return "", ""
    start, end = words[draw % len(words)].span()
    word = line[start:end]
    if len(line) > _LONGEST_MARKED or "<<" in line or ">>" in line:  # marks of the item's own would be misread
        return f"<<{word}>>", word
    return f"{line[:start]}<<{word}>>{line[end:]}", word


def draw(seed: int, model: str, user_text: str, count: int) -> int:
    """A number that depends on nothing but these: the same in every process and on every machine."""
    key = f"{seed}\0{model}\0{count}\0{user_text}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(key, digest_size=8).digest())


def answer(behaviour: Behaviour, model: str, user_text: str, count: int, fault: Fault | None) -> Answer:
    """What `model` says to `user_text`, which it has answered `count` times before."""
    said = _said(behaviour, model, user_text, count, fault)
    return replace(said, token_scores=behaviour.token_scores) if behaviour.token_scores else said


_WORDS = ("A", "B", "C", " A", " B", " C", "The", "I", "Based", "Answer", "Option", "True", "False", "Neutral", "Given",
    "Let", "Context", "Statement", "Ent", "D", "E", "To", "**", "\n")  # fmt: skip


def made_up_scores(number: int) -> dict[str, float]:
    """Log-probabilities of some tokens, those of A, B and C the likeliest by far.

    >>> scores = made_up_scores(7)
    >>> sorted(sorted(scores, key=scores.get)[-3:]), round(sum(math.exp(one) for one in scores.values()), 6)
    (['A', 'B', 'C'], 1.0)
    """
    rng = Random(number)
    logits = {word: rng.gauss(0, 1) + (8 if word in "ABC" else 0) for word in _WORDS}
    normaliser = math.log(sum(map(math.exp, logits.values())))
    return {word: logit - normaliser for word, logit in logits.items()}


def _said(behaviour: Behaviour, model: str, user_text: str, count: int, fault: Fault | None) -> Answer:
    number = draw(behaviour.seed, model, user_text, count)
    label = behaviour.labels[number % len(behaviour.labels)]
    number >>= 16
    valid = behaviour.text if behaviour.text is not None else livenli_answer(user_text, label, number)
    if fault is None:
        return Answer(valid)
    if fault in ("unknown_label", "set_order"):
        return Answer(livenli_answer(user_text, "maybe" if fault == "unknown_label" else "false-either", number))
    return _faulty(fault, valid, label)


def _faulty(fault: Fault, valid: str, label: str) -> Answer:
    match fault:
        case "empty":
            return Answer("")
        case "malformed":
            return Answer(f"Label: {label}. The context leaves little doubt about it.")
        case "schema":
            return Answer(json.dumps({"label": label, "why": "The keys are not those that were asked for."}))
        case "fenced":
            return Answer(f"```json\n{valid}\n```")
        case "prose":
            return Answer(f"Here is my answer:\n\n{valid}\n\nLet me know if you need anything else.")
        case "truncated":
            return Answer(valid[: len(valid) * 3 // 5], finish="length")
        case "truncated_reasoning":
            return Answer(f"<think>\n{_THOUGHT} Let me", finish="length")
        case "truncated_reasoning_content":
            return Answer("", finish="length", reasoning=f"{_THOUGHT} Let me")
        case "reasoning":
            return Answer(f"<think>\n{_THOUGHT}\n</think>\n\n{valid}")
        case "reasoning_content":
            return Answer(valid, reasoning=_THOUGHT)
        case "refusal":
            return Answer("", finish="refusal", refusal=_SORRY)
        case "refusal_text":
            return Answer(_SORRY)
        case "content_filter":
            return Answer("", finish="content_filter")
        case "drift":
            return Answer(valid, drifted=True)
        case "no_usage":
            return Answer(valid, usage=False)
        case _:
            return Answer(valid)
