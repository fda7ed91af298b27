"""Files of mixed sets: one explanation a line, with who wrote it and how the set was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from partynli.errors import ItemsError
from partynli.studies.selection.replacement import MixedSet

MADE = "made"
"""Where each line of a file says how its set was made."""


def to_jsonl(mixed: MixedSet, made: Mapping[str, Any]) -> str:
    """Write a set as `partynli.items.explanation_files` reads it.

    Parameters
    ----------
    mixed
        The set.
    made
        How it was made: the share and the seed, for instance.
    """
    return "".join(
        json.dumps(
            {
                "uid": uid,
                "label": one.explanation.label,
                "explanation": one.explanation.text,
                "source": one.source,
                MADE: dict(made),
            }
        )
        + "\n"
        for uid, placed in mixed.of_item.items()
        for one in placed
    )


def made_of(text: str, name: str) -> Mapping[str, Any]:
    """How the set of a file was made.

    Raises
    ------
    ItemsError
        It is no file of ours.
    """
    try:
        made = json.loads(text.partition("\n")[0])[MADE]
    except (ValueError, KeyError, TypeError, RecursionError):
        made = None
    if not isinstance(made, dict):
        raise ItemsError(f"{name} does not say how it was made; `partynli explain replace` writes such files")
    return made


def replaced_in(text: str, name: str) -> float:
    """Percent of the explanations of a file of ours that are not people's.

    Raises
    ------
    ItemsError
        A line does not say who wrote it.
    """
    try:
        sources = [json.loads(line)["source"] for line in text.split("\n") if line]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ItemsError(f"{name} does not say who wrote each explanation; `partynli explain replace` does") from None
    return 100 * sum(1 for source in sources if source != "human") / len(sources)
