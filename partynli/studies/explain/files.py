"""Files of picked explanations: our own, one explanation a line, and the form of the published ones."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from partynli.errors import InputError
from partynli.items.explanation_files import LETTERS
from partynli.records import Item
from partynli.store import storable
from partynli.studies.explain.picking import Pick

_LETTER_OF = {label: letter for letter, label in LETTERS.items()}
_KEY = "machine_comments"


def to_jsonl(picks: Iterable[Pick], *, synthetic: bool) -> str:
    """One explanation a line, as `partynli.items.explanation_files` reads it."""
    made_up = {"synthetic": True} if synthetic else {}
    return _lines(
        {
            "uid": one.uid,
            "label": one.label,
            "explanation": storable(one.text),
            "rank": one.rank,
            "participant": one.participant,
            "flagged": one.flagged,
            **made_up,
        }
        for one in picks
    )


def to_published(picks: Sequence[Pick], items: Iterable[Item]) -> str:
    """One item a line, as the files of Chen et al. have it; labels are in the order entailment, neutral, contradiction.

    Raises
    ------
    InputError
        The explanations are several participants', which this form cannot tell apart, or an item has other texts than
        premise and hypothesis.
    """
    if len(names := sorted({one.participant for one in picks})) > 1:
        raise InputError(f"the published form holds one participant's explanations; choose one of {', '.join(names)}")
    of_item: dict[str, list[list[str]]] = {}
    for one in picks:
        of_item.setdefault(one.uid, []).append([storable(one.text), _LETTER_OF[one.label]])
    texts = {item.uid: item.texts for item in items}
    if any(not {"premise", "hypothesis"} <= texts[uid].keys() for uid in of_item):
        raise InputError("the published form needs a premise and a hypothesis of every item")
    return _lines(
        {"premise": texts[uid]["premise"], "hypothesis": texts[uid]["hypothesis"], _KEY: comments}
        for uid, comments in of_item.items()
    )


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)
