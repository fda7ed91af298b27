"""Files of explanations with the label that each is for: VariErr's, those published with Chen et al., and our own.

Beiduo Chen, Siyao Peng, Anna Korhonen and Barbara Plank. 2025. A Rose by Any Other Name: LLM-Generated Explanations Are
Good Proxies for Human Explanations to Collect Label Distributions on NLI. https://arxiv.org/abs/2412.13942

A published file has one item a line, ``{"premise", "hypothesis", "comments": [[text, "e"], ...]}``, under one of four
keys. Our own has one explanation a line, ``{"uid", "label", "explanation", ...}``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from partynli.errors import ItemsError
from partynli.items.download import fetch
from partynli.items.lines import json_rows
from partynli.items.rows import At, Number, Row, Wrong, shown
from partynli.items.varierr341 import FILES
from partynli.labels import LABELS
from partynli.records import Item

KEYS = ("comments", "machine_comments", "machine_generated_comments", "machine_replaced_comments")
"""Where published files keep their explanations."""
LETTERS: Mapping[str, str] = dict(zip("enc", LABELS, strict=True))
"""Published files write labels as letters: entailment, neutral, contradiction."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one label holds for an item."""

    label: str
    """One of `LABELS`."""
    text: str
    flagged: bool = False
    """Whether it argues for another label than it was asked for, as far as can be told; always False for people's."""


Explanations = dict[str, tuple[Explanation, ...]]
"""By the item's uid, in the file's order; items without any are not in it."""


def human_explanations() -> Explanations:
    """VariErr's explanations of the dataset ``varierr341``: four an item, in the order of the file.

    Raises
    ------
    ItemsError
        The file cannot be had, or is not the expected one.
    """
    rows = [json.loads(line) for line in fetch(FILES[0]).decode().splitlines()]
    return {f"varierr-{number:03}": _comments(row, "comments") for number, row in enumerate(rows, start=1)}


def read_explanations(path: Path, items: Iterable[Item], participant: str | None = None) -> Explanations:
    """Read a file of explanations, in one of the published spellings or in our own.

    Parameters
    ----------
    path
        A JSONL file.
    items
        Those that explanations may be of. Published files name an item by its premise and hypothesis.
    participant
        Whose explanations, in a file of our own with several; None where it has those of one.

    Returns
    -------
    dict
        Explanations by uid; items whose list is empty are not in it.

    Raises
    ------
    ItemsError
        The file cannot be read, a line of it is no explanation, it is of an item that is not there, or it holds the
        explanations of several participants and none of them was chosen.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "mine.jsonl"
    >>> _ = path.write_text('{"uid": "1", "label": "true", "explanation": "Rain is wet."}\\n')
    >>> read_explanations(path, [Item("1", {"premise": "It rains.", "hypothesis": "It is wet."})])
    {'1': (Explanation(label='true', text='Rain is wet.', flagged=False),)}
    """
    try:
        with path.open("rb") as file:
            found = _read(file, items, participant)
    except At as wrong:
        raise ItemsError(f"{path}:{wrong.line}: {wrong}") from None
    except Wrong as wrong:
        raise ItemsError(f"{path}: {wrong}") from None
    except OSError as error:
        raise ItemsError(f"{path} cannot be read: {error.strerror or error}") from None
    if not found:
        raise ItemsError(f"{path} holds no explanations" + (f" of {participant!r}" if participant else ""))
    return found


def _read(file: BinaryIO, items: Iterable[Item], participant: str | None) -> Explanations:
    texts = {item.uid: item.texts for item in items}
    named = {(given.get("premise"), given.get("hypothesis")): uid for uid, given in texts.items()}
    found: dict[str, list[Explanation]] = {}
    whose: dict[str, None] = {}
    for line, row in json_rows(file, (), ()):
        try:
            if "explanation" not in row:
                uid, explanations = _published(row, named)
                if uid in found:
                    raise Wrong(f"item {shown(uid)} stands on two lines")
            else:
                uid, explanations = _own(row, texts)
                by = str(row.get("participant", ""))
                if participant is not None and by != participant:
                    continue
                whose[by] = None
        except Wrong as wrong:
            raise At(line, wrong) from None
        found.setdefault(uid, []).extend(explanations)
    if len(whose) > 1:
        raise Wrong(f"explanations of {', '.join(map(shown, whose))}; choose one participant")
    return {uid: tuple(explanations) for uid, explanations in found.items() if explanations}


def _published(row: Row, named: Mapping[tuple[Any, Any], str]) -> tuple[str, tuple[Explanation, ...]]:
    keys = [key for key in KEYS if key in row]
    if len(keys) != 1:
        raise Wrong(f"one of {', '.join(KEYS)} is expected, or uid, label and explanation; found {_names(row)}")
    pair = (row.get("premise"), row.get("hypothesis"))
    if not all(isinstance(text, str) for text in pair) or pair not in named:
        raise Wrong(f"no item has this premise and hypothesis: {shown(str(pair[1]))}")
    return named[pair], _comments(row, keys[0])


def _comments(row: Row, key: str) -> tuple[Explanation, ...]:
    given = row[key]
    if not isinstance(given, list):
        raise Wrong(f"{key!r} is no list of pairs of a text and a label")
    return tuple(chain.from_iterable(map(_comment, given)))


def _comment(pair: Any) -> list[Explanation]:
    if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[1], str) and pair[1] in LETTERS):
        raise Wrong(f"found {str(pair)[:40]!r} where a text and one of the letters {', '.join(LETTERS)} are expected")
    return [Explanation(LETTERS[pair[1]], _checked(pair[0]))]


def _own(row: Row, texts: Mapping[str, Mapping[str, str]]) -> tuple[str, tuple[Explanation, ...]]:
    uid, label, text = (row.get(name) for name in ("uid", "label", "explanation"))
    if not isinstance(uid, str) or uid not in texts:
        raise Wrong(f"there is no item {shown(str(uid))}")
    if label not in LABELS:
        raise Wrong(f"the label is {shown(str(label))}; labels are {', '.join(LABELS)}")
    return uid, (Explanation(str(label), _checked(text), row.get("flagged") is True),)


def _checked(text: Any) -> str:
    if not isinstance(text, str) or isinstance(text, Number):
        raise Wrong(f"an explanation is no text: {shown(str(text))}")
    if not text.strip():
        raise Wrong("an explanation is empty")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Wrong(
            f"an explanation holds half a surrogate pair, \\u{ord(text[error.start]):04x}; write it whole"
        ) from None
    return text


def _names(row: Row) -> str:
    return ", ".join(map(shown, list(row)[:8])) or "nothing"
