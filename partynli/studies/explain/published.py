"""How far the raw answers of Chen et al. (2025), taken apart and picked here, give the files that they published."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from partynli.errors import ItemsError
from partynli.items.explanation_files import LETTERS, Explanations
from partynli.labels import LABELS
from partynli.listing import Listed, split_list
from partynli.studies.explain.answers import Answer
from partynli.studies.explain.picking import How, pick_all

_ANSWER_BEGINS = ("<|start_header_id|>assistant<|end_header_id|>", "[/INST]")
_ANSWER_ENDS = ("<|eot_id|>", "</s>")
_AUTHORS = "published"
_NOTHING = Listed("", (), "")

Why = Literal["around", "as long", "mark", "other"]
REASONS: Mapping[Why, str] = {
    "around": "the file has a line before or behind the list as an explanation",
    "as long": "two are as long but for the line break, which the file counts",
    "mark": "the file has the list's mark with the text",
    "other": "another explanation",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One explanation of a file that does not come out."""

    uid: str
    label: str
    published: str
    ours: str
    """What was picked instead; empty where nothing is left."""
    why: Why


@dataclass(frozen=True)
class Match:
    """A published file and what comes out."""

    n: int
    """Explanations in the file."""
    differences: tuple[Difference, ...]
    share: float
    """Of the file's explanations, those that come out under their label, whatever their order."""


def read_raw(path: Path, uids: Sequence[str]) -> tuple[Answer, ...]:
    """Read raw answers as they came with the published files, rendered prompts and special tokens included.

    Parameters
    ----------
    path
        A JSONL file of ``{"item": 0, "label": "e", "text": ...}``.
    uids
        Of the items, by number.

    Raises
    ------
    ItemsError
        The file cannot be read, or a line is no such answer.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ItemsError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    answers = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            if row["item"] < 0:
                raise IndexError
            listed = split_list(_answer_in(row["text"]))
            answers.append(Answer(_AUTHORS, uids[row["item"]], LETTERS[row["label"]], listed))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            wanted = f"item (0 to {len(uids) - 1}), label ({', '.join(LETTERS)}) and text"
            raise ItemsError(f"{path}:{number}: no raw answer; a JSON object with {wanted} is expected") from None
    return tuple(answers)


def _answer_in(text: str) -> str:
    for mark in _ANSWER_BEGINS:
        text = text.rpartition(mark)[2]
    for mark in _ANSWER_ENDS:
        text = text.partition(mark)[0]
    return text


def compare(answers: Sequence[Answer], published: Explanations, how: How) -> Match:
    """Pick as many explanations of each item and label as a published file has, and compare.

    Parameters
    ----------
    answers
        Raw ones, see `read_raw`.
    published
        The file.
    how
        ``first`` or ``longest``, whichever the file says it is.
    """
    wanted = {
        uid: {label: sum(one.label == label for one in given) for label in LABELS} for uid, given in published.items()
    }
    picks = pick_all(answers, [_AUTHORS], wanted, how).picks
    listed = {(one.uid, one.label): one.listed for one in answers}
    found: list[Difference] = []
    for uid, given in published.items():
        for label in LABELS:
            theirs = Counter(_squeezed(one.text) for one in given if one.label == label)
            ours = Counter(one.text for one in picks if (one.uid, one.label) == (uid, label))
            found += _differences(uid, label, theirs - ours, ours - theirs, listed.get((uid, label), _NOTHING))
    n = sum(map(len, published.values()))
    return Match(n, tuple(found), 1 - len(found) / n)


def _differences(uid: str, label: str, theirs: Counter[str], ours: Counter[str], listed: Listed) -> list[Difference]:
    instead = list(ours.elements())
    found = []
    for text in theirs.elements():
        other = instead.pop(0) if instead else ""
        found.append(Difference(uid, label, text, other, _why(text, other, listed)))
    return found


def _why(theirs: str, ours: str, listed: Listed) -> Why:
    if theirs in _squeezed(listed.introduction) or theirs in _squeezed(listed.closing):
        return "around"
    if theirs.endswith(ours) and ours:
        return "mark"
    return "as long" if abs(len(theirs) - len(ours)) <= 1 else "other"


def _squeezed(text: str) -> str:
    return " ".join(text.split())
