"""Labels: a chosen set of them, its one spelling, and its collapse to a single label."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

LABELS = ("true", "either", "false")
"""LiveNLI's labels in the order used everywhere: (entailment, neutral, contradiction)."""

NLI = ("entailment", "neutral", "contradiction")
"""What other studies call `LABELS`, in the same order."""

REASONS = (
    "Coreference",
    "Semantic",
    "Syntactic",
    "Pragmatic",
    "Absence of Mention",
    "Logic Conflict",
    "Factual Knowledge",
    "Inferential Knowledge",
)
"""The kinds of reasoning of LiTEx (Hong et al. 2025), by the names of its data: labels of the task ``reasons``."""

LETTERS = "ABCDEFGH"
"""Letters of answer options, where a task has them listed."""

ERROR = "error"
"""Stands where a trial has no valid answer: missing data, never a label."""


def join_labels(chosen: Iterable[str]) -> str:
    """Spell a set of labels the one way that is stored: alphabetical, joined by hyphens.

    >>> join_labels({"true", "either"})
    'either-true'
    """
    return "-".join(sorted(set(chosen)))


def collapse(class_multi: str, otherwise: str) -> str:
    """Turn a set of labels into a single one (Kulmizev et al. 2026, section 3).

    A label that was chosen alone stays; every larger set becomes `otherwise`.

    >>> collapse("false", otherwise="either"), collapse("false-true", otherwise="either")
    ('false', 'either')
    """
    return otherwise if "-" in class_multi else class_multi


_SEPARATORS = re.compile(r"(?:[\s\-–—,;/|+&]|\band\b|\bor\b)+")


def order_in(theirs: Sequence[str], ours: Sequence[str]) -> list[int] | None:
    """Positions in `theirs` of the labels in `ours`; None where they are not the same labels.

    The labels of NLI have two names each, `LABELS` and `NLI`.

    >>> order_in(LABELS, ["contradiction", "neutral", "entailment"]), order_in(LABELS, ["yes", "no", "unsure"])
    ([2, 1, 0], None)
    """
    also = dict(zip(NLI, LABELS, strict=True))
    names = [also.get(label.lower(), label.lower()) for label in theirs]
    wanted = [also.get(label.lower(), label.lower()) for label in ours]
    return [names.index(label) for label in wanted] if sorted(names) == sorted(wanted) else None


class LabelNames:
    """Finds the labels of a task in a text that names one or several of them.

    Case plays no part. Between labels, and between the words of one, blanks, hyphens, commas, slashes, "and" and "or"
    are all the same; of two labels that begin alike, the longer one is found.

    Parameters
    ----------
    labels
        The task's.

    Examples
    --------
    >>> LabelNames(["likely", "very likely"]).find("Very-likely, likely")
    ['very likely', 'likely']
    >>> LabelNames(["yes", "no"]).find("yes or perhaps")
    'perhaps'
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._whole = {label.lower(): label for label in labels}
        parts = {label: _words(label.replace("_", " ")) for label in labels}
        self._of_words = {words: label for label, words in parts.items()}
        self._longest = max(map(len, self._of_words))

    def find(self, text: str) -> list[str] | str:
        """The labels that a text names, in its order; or the first word in it that begins no label."""
        lowered = text.lower()
        if lowered in self._whole:
            return [self._whole[lowered]]
        words = _words(lowered.replace("_", " ") if self._longest > 1 else lowered)
        found, at = [], 0
        while at < len(words):
            sizes = (n for n in range(self._longest, 0, -1) if words[at : at + n] in self._of_words)
            size = next(sizes, 0)
            if not size:
                return words[at]
            found.append(self._of_words[words[at : at + size]])
            at += size
        return found


def _words(text: str) -> tuple[str, ...]:
    return tuple(_SEPARATORS.split(text.lower()))


def why_no_labels(labels: Sequence[str], several: bool) -> str | None:
    """Why these cannot be the labels of a task, or None where they can.

    Parameters
    ----------
    labels
        In the task's order.
    several
        Whether an answer may name several of them.

    Examples
    --------
    >>> why_no_labels(["yes", "Yes"], several=False)
    "they must all differ, and 'yes' and 'Yes' cannot be told apart"
    """
    if len(labels) < 2:
        return "there must be at least two"
    spelled: dict[tuple[str, ...], str] = {}
    for label in labels:
        words = _words(label.replace("_", " "))
        if "-" in label:
            return f"{label!r} must have no hyphen, which joins the labels of a set"
        if label != label.strip() or not label.isprintable() or not all(words):
            return f"{label!r} must be printable, and neither empty nor begin or end with a blank or a separator"
        if label.lower() == ERROR:
            return f"{label!r} is what a trial without a valid answer is called"
        if words in spelled:
            return f"they must all differ, and {spelled[words]!r} and {label!r} cannot be told apart"
        spelled[words] = label
    if several:
        for label in labels:
            others = [other for other in labels if other != label]
            parts = LabelNames(others).find(label)
            if isinstance(parts, list):
                return f"{label!r} could also be the set of {' and '.join(map(repr, parts))}"
    return None
