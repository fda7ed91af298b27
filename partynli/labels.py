"""Labels: a chosen set of them, its one spelling, and its collapse to a single label."""

from __future__ import annotations

from collections.abc import Iterable

LABELS = ("true", "either", "false")
"""LiveNLI's labels in the order used everywhere: (entailment, neutral, contradiction)."""

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
