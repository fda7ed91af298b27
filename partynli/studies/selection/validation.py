"""The 2 x 2 design: people's explanations replaced by those of a model's that people preferred, or did not.

People said of Llama 3's explanations of 100 items whether each is faithful to item and label, and whether it adds
information; *preferred* ones do both (Chen et al. 2025). How the paper's *greedy* and *representative* choose is not
public, and the shares that it prints are not met by the rules that were tried. Ours: an explanation counts for the
label that people found in it, or else for the one that it was asked for; greedy replaces every explanation of people's
for whose label one is left, in the model's order; representative replaces one of each label, by the one that has most
words in common with the others of its item and label.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from partynli.errors import InputError, ItemsError
from partynli.items.explanation_files import LETTERS, Explanation, Explanations
from partynli.labels import LABELS
from partynli.metrics.explanation import words
from partynli.studies.selection.replacement import MixedSet, Placed

How = Literal["greedy", "representative"]
PRINTED: Mapping[tuple[bool, How], float] = {
    (True, "greedy"): 75.75,
    (True, "representative"): 55.25,
    (False, "greedy"): 68.5,
    (False, "representative"): 63.25,
}
"""Percent replaced that the paper prints, by whether they are preferred and how they were chosen."""
_ASKED = re.compile(r"(Entailment|Neutral|Contradiction|NotEntailment)-\d+")
_LABEL_OF = {
    **dict(zip(("Entailment", "Neutral", "Contradiction"), LABELS, strict=True)),
    "NotEntailment": None,  # asked for true, and said why it is not
}


@dataclass(frozen=True, slots=True)
class Validated:
    """A model's explanation, and what people said of it."""

    uid: str
    text: str
    label: str
    """The one that people found in it; where they found none, the one that it was asked for."""
    is_preferred: bool
    """Whether it is faithful and adds information."""


@dataclass(frozen=True)
class Validation:
    """A file of validated explanations."""

    found: tuple[Validated, ...]
    left_out: int
    """Rows without a verdict, or without any label."""


def read_validation(path: Path, uids: Sequence[str]) -> Validation:
    """Read which of a model's explanations people preferred.

    Parameters
    ----------
    path
        A JSONL file of ``{"item": 0, "model_label": "Neutral-1", "explanation", "faithful", "adds_information",
        "validated_label"}``.
    uids
        Of the items, by number.

    Raises
    ------
    ItemsError
        The file cannot be read, or a line is no such row.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ItemsError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    found: list[Validated] = []
    left_out = 0
    for number, line in enumerate(lines, start=1):
        try:
            one = _validated(json.loads(line), uids)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            raise ItemsError(
                f"{path}:{number}: no validated explanation; a JSON object with item (0 to {len(uids) - 1}), "
                "model_label, explanation, faithful, adds_information and validated_label is expected"
            ) from None
        if one is None:
            left_out += 1
        else:
            found.append(one)
    if not found:
        raise ItemsError(f"{path} holds no validated explanation")
    return Validation(tuple(found), left_out)


def _validated(row: Mapping[str, Any], uids: Sequence[str]) -> Validated | None:
    asked = _ASKED.fullmatch(row["model_label"])
    if asked is None or not isinstance(row["item"], int) or row["item"] < 0:
        raise ValueError(row["model_label"])
    faithful, adds, said = row["faithful"], row["adds_information"], row["validated_label"]
    label = LETTERS.get((said or "").lower()) or _LABEL_OF[asked[1]]
    if faithful is None or adds is None or label is None:
        return None
    return Validated(uids[row["item"]], row["explanation"].strip(), label, faithful == adds == "y")


def select(human: Explanations, validation: Validation, *, preferred: bool, how: How) -> MixedSet:
    """Replace explanations of people's, of the validated items, by validated ones of the model's.

    Parameters
    ----------
    human
        People's explanations.
    validation
        The model's.
    preferred
        Whether those are taken that people preferred, or the others.
    how
        ``greedy`` or ``representative``; see above.

    Raises
    ------
    InputError
        No validated item has explanations of people's.
    """
    uids = list(dict.fromkeys(one.uid for one in validation.found if one.uid in human))
    if not uids:
        raise InputError("none of the validated items has explanations of people's")
    pools: dict[tuple[str, str], list[str]] = {}
    for one in validation.found:
        if one.is_preferred == preferred:
            pools.setdefault((one.uid, one.label), []).append(one.text)
    if how == "representative":
        pools = {place: [most_alike(texts)] for place, texts in pools.items()}
    mixed = {uid: tuple(_placed(uid, one, pools) for one in human[uid]) for uid in uids}
    return MixedSet(mixed, sum(map(len, mixed.values())))


def _placed(uid: str, one: Explanation, pools: Mapping[tuple[str, str], list[str]]) -> Placed:
    pool = pools.get((uid, one.label))
    return Placed(Explanation(one.label, pool.pop(0)), "model") if pool else Placed(one, "human")


def most_alike(texts: Sequence[str]) -> str:
    """The text with the highest mean Jaccard similarity of words to all; of two such, the earlier.

    >>> most_alike(["no lepers", "no lepers here", "lepers work here"])
    'no lepers here'
    """
    sets = [set(words(text)) for text in texts]
    total = [sum(len(one & other) / (len(one | other) or 1) for other in sets) for one in sets]
    return texts[max(range(len(texts)), key=lambda k: (round(total[k], 9), -k))]
