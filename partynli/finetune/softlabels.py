"""Soft labels: premise and hypothesis pairs with a distribution over the labels, from files of three kinds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partynli.errors import ItemsError
from partynli.hashing import canonical_json
from partynli.items.lines import json_rows
from partynli.items.parquet import parquet_rows
from partynli.items.rows import At, Number, Row, Wrong, need, shown
from partynli.labels import LABELS

NLI_NAMES: Mapping[str, str] = {
    **{label: label for label in LABELS},
    **dict(zip(("entailment", "neutral", "contradiction"), LABELS, strict=True)),
}
"""Names of labels -> ours, in lower case."""
SUM_TOLERANCE = 1e-3
"""A distribution may miss 1 by this much, from rounding; it is divided by its sum."""
_OURS = ("uid", "premise", "hypothesis", "labels", "p")
_CHAOS = ("premise", "hypothesis", "label")
_MNLI = ("sentence1", "sentence2", "gold_label", "pairID")
_NO_GOLD = "-"


class SoftItem(NamedTuple):
    """A pair and its distribution in the order of `LABELS`."""

    uid: str
    premise: str
    hypothesis: str
    p: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class SoftLabels:
    """Pairs with a distribution each."""

    name: str
    items: tuple[SoftItem, ...]
    n_left_out: int = 0
    """Rows without a label, which MNLI marks with a dash, or without a text."""

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def p(self) -> NDArray[np.float64]:
        """(items, 3) distributions."""
        return np.array([item.p for item in self.items], dtype=np.float64)

    @cached_property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Premise and hypothesis of each item."""
        return tuple((item.premise, item.hypothesis) for item in self.items)

    @cached_property
    def hash(self) -> str:
        """Names the content: uids, texts and distributions, in their order."""
        seen = hashlib.sha256()
        for item in self.items:
            seen.update(canonical_json(list(item)).encode("utf-8", "surrogatepass") + b"\n")
        return f"sha256:{seen.hexdigest()}"

    def shared_with(self, other: SoftLabels) -> int:
        """How many of the pairs are in `other`, too."""
        theirs = set(other.pairs)
        return sum(pair in theirs for pair in self.pairs)


def read_soft_labels(path: Path, name: str | None = None) -> SoftLabels:
    """Read soft labels from JSONL or parquet.

    Parameters
    ----------
    path
        Rows with ``uid``, ``premise``, ``hypothesis``, ``labels`` (the three names, in any order) and ``p`` (their
        probabilities); as JSONL also ChaosNLI's soft labels (``label``: probabilities of entailment, neutral,
        contradiction) and MNLI's own rows (``gold_label``, which counts as probability 1).
    name
        What to call them; the file's name if None.

    Raises
    ------
    ItemsError
        The file cannot be read, or a row is wrong; the message names file and line.
    """
    try:
        with path.open("rb") as file:
            return soft_labels_of(file, name or path.name, str(path))
    except OSError as error:
        raise ItemsError(f"{path} cannot be read: {error.strerror or error}") from None


def soft_labels_of(file: BinaryIO, name: str, where: str) -> SoftLabels:
    """The same of an open file; `where` stands in messages, and its ending tells parquet."""
    is_parquet = where.lower().endswith(".parquet")
    items: list[SoftItem] = []
    lines: dict[str, int] = {}
    left_out = 0
    try:
        for line, item in _items(file, is_parquet, Path(where).stem):
            if item is None:
                left_out += 1
                continue
            if (earlier := lines.setdefault(item.uid, line)) != line:
                raise At(line, f"the uid {shown(item.uid)} is that of line {earlier}, too; give every item its own")
            items.append(item)
    except At as wrong:
        raise ItemsError(f"{where}{', row ' if is_parquet else ':'}{wrong.line}: {wrong}") from None
    if not items:
        raise ItemsError(f"{where} holds no soft labels")
    return SoftLabels(name, tuple(items), left_out)


def _items(file: BinaryIO, is_parquet: bool, stem: str) -> Iterator[tuple[int, SoftItem | None]]:
    rows = parquet_rows(file, _OURS, ()) if is_parquet else json_rows(file, (), ())
    columns: tuple[str, ...] | None = None
    for line, row in rows:
        columns = columns or _kind(row)
        need(columns, tuple(row), line)
        try:
            yield line, _READERS[columns](row, f"{stem}-{line}")
        except Wrong as wrong:
            raise At(line, wrong) from None


def _kind(row: Row) -> tuple[str, ...]:
    """Which kind of file this is, by its first row: ours whatever else it holds; one that is none should be ours."""
    return next((columns for columns in (_OURS, _MNLI, _CHAOS) if all(name in row for name in columns)), _OURS)


def _of_ours(row: Row, _: str) -> SoftItem:
    names, given = row["labels"], row["p"]
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise Wrong('labels is no list of names; write ["true", "either", "false"]')
    found = [NLI_NAMES.get(one.lower()) for one in names]
    if sorted(map(str, found)) != sorted(LABELS):
        raise Wrong(f"labels are {shown(', '.join(names))}; give each of {', '.join(LABELS)} once")
    p = dict(zip(found, _distribution(given, "p"), strict=True))
    uid = _text(row, "uid", number=True)
    return SoftItem(uid, _text(row, "premise"), _text(row, "hypothesis"), tuple(p[label] for label in LABELS))


def _of_chaos(row: Row, uid: str) -> SoftItem:
    return SoftItem(uid, _text(row, "premise"), _text(row, "hypothesis"), _distribution(row["label"], "label"))


def _of_mnli(row: Row, _: str) -> SoftItem | None:
    gold, texts = row["gold_label"], (row["sentence1"], row["sentence2"])
    if gold == _NO_GOLD or any(text == "" for text in texts):
        return None
    label = NLI_NAMES.get(gold) if isinstance(gold, str) else None
    if label is None:
        raise Wrong(f"gold_label is {shown(str(gold))}; MNLI's are entailment, neutral, contradiction, and - for none")
    return SoftItem(_text(row, "pairID"), _text(row, "sentence1"), _text(row, "sentence2"), one_hot(label))


_READERS = {_OURS: _of_ours, _CHAOS: _of_chaos, _MNLI: _of_mnli}


def one_hot(label: str) -> tuple[float, ...]:
    """The distribution of a single label.

    >>> one_hot("either")
    (0.0, 1.0, 0.0)
    """
    return tuple(float(label == one) for one in LABELS)


def _distribution(given: Any, name: str) -> tuple[float, ...]:
    if not isinstance(given, list) or len(given) != len(LABELS):
        raise Wrong(f"{name} is no list of {len(LABELS)} probabilities")
    numbers = tuple(_numbers(given, name))
    total = sum(numbers)
    if any(one < 0 for one in numbers) or abs(total - 1) > SUM_TOLERANCE * (1 + 1e-9):
        raise Wrong(f"{name} is {[round(one, 6) for one in numbers]} with sum {total:.6g}; make it a distribution")
    return tuple(one / total for one in numbers)


def _numbers(given: Iterable[Any], name: str) -> Iterator[float]:
    for one in given:
        is_number = isinstance(one, Number | int | float) and not isinstance(one, bool)
        if not is_number or not isfinite(float(one)):
            raise Wrong(f"{name} holds {shown(str(one))}, which is no number")
        yield float(one)


def _text(row: Row, name: str, *, number: bool = False) -> str:
    given = row[name]
    if not isinstance(given, str) or (isinstance(given, Number) and not number) or not given.strip():
        raise Wrong(f"{name} is no text; fill it in")
    if "\0" in given or any("\ud800" <= sign <= "\udfff" for sign in given):
        raise Wrong(f"{name} holds a character that is none (NUL, or half a surrogate pair); take it out")
    return str(given)
