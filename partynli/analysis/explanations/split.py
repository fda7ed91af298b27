"""Explanations of several labels, cut into one for each label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Part(NamedTuple):
    """A part of an explanation, and the label (or set of labels) that it is about."""

    label: str
    text: str


def split(class_multi: str, text: str, known: Sequence[Part]) -> list[Part]:
    """Cut an explanation by what is known of its item's.

    Parameters
    ----------
    class_multi
        The labels that were chosen, joined by hyphens.
    text
        The explanation.
    known
        Parts of explanations of the same item, whoever wrote them. Those that stand in this one and are about chosen
        labels are its own.

    Returns
    -------
    list of Part
        One for each label, sorted by it, the parts of one label joined; the whole where a single label was chosen, or
        where the coders kept it whole under its set of labels. Empty where nothing is known of it.

    Examples
    --------
    >>> known = [Part("true", "It may rain."), Part("either", "Nobody knows."), Part("false", "It may rain.")]
    >>> split("either-true", "Nobody  knows. It may rain.", known)
    [Part(label='either', text='Nobody knows.'), Part(label='true', text='It may rain.')]
    """
    chosen = set(class_multi.split("-"))
    if len(chosen) == 1:
        return [Part(class_multi, text)]
    whole = " ".join(text.split())
    found: dict[str, list[str]] = {}
    for label, written in known:
        part = " ".join(written.split())
        if part and part in whole and chosen.issuperset(label.split("-")):
            found.setdefault(label, []).append(part)
    return [Part(label, " ".join(dict.fromkeys(found[label]))) for label in sorted(found)]
