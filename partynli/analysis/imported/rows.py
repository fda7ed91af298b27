"""From cells to rows that can be stored, and what was odd about them: counted and named, never dropped in silence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from partynli.analysis.imported.cells import Cells, check_header, open_table
from partynli.hashing import canonical_json
from partynli.labels import ERROR, LabelNames, collapse, join_labels
from partynli.records import Task

WANTED = (("sent_id",), ("participant",), ("class_multi", "class_simple"))
_WHO = ("participant", "participant_type", "synthetic", "experiment", "num_params", "temperature", "top_p")
_READ = ("sent_id", "trial", "class_simple", "class_multi", "explanation", *_WHO)
_MAX_TRIAL = 10_000
_EXAMPLES = 3
_REMEMBERED = 50_000
_EMPTY = frozenset(("", "nan", "none", "null", "<na>"))
_YES = frozenset(("true", "yes", "1", "1.0", "synthetic"))
_BRACKETS = re.compile(r"[\[\](){}'\"]")
_AROUND = " \t\n-–—,;/|+&"
_VARIANT = re.compile(r"(?P<base>.+?)(?:@temperature=(?P<temperature>[\d.eE+-]+))?(?:@top_p=(?P<top_p>[\d.eE+-]+))?")

OddKind = Literal[
    "cells", "no_item", "no_participant", "number", "trial", "no_label", "unknown_label", "contradiction", "type",
    "duplicate", "conflict", "gap",
]  # fmt: skip
ODD: Mapping[OddKind, str] = {
    "cells": "more or fewer cells than the header; left out",
    "no_item": "no sent_id; left out",
    "no_participant": "no participant; left out",
    "number": "a temperature, top_p or num_params that is no number; left out",
    "trial": f"a trial that is no whole number from 1 to {_MAX_TRIAL:,}; left out",
    "duplicate": "the same as an earlier row; left out",
    "conflict": "another answer to a trial that an earlier row answers; left out",
    "no_label": "no label; kept as missing data",
    "unknown_label": "an unknown label; kept as missing data",
    "contradiction": "class_simple contradicts class_multi; class_multi is kept",
    "type": "a participant_type that is neither model nor human; kept as a model",
    "gap": "trials that are passed over",
}
"""What can be odd about a row (``gap``: about a participant), and what follows from it."""

_Cached = TypeVar("_Cached")


@dataclass
class Found:
    """How often one thing was odd, and where first."""

    count: int = 0
    examples: list[str] = field(default_factory=list)
    """``FILE:LINE``, with what stands there."""


class Odd(dict[OddKind, Found]):
    """Everything odd, by its kind."""

    def note(self, kind: OddKind, example: str) -> None:
        """Count one more, and name it if it is among the first."""
        found = self.setdefault(kind, Found())
        found.count += 1
        if len(found.examples) < _EXAMPLES:
            found.examples.append(example)

    @property
    def total(self) -> int:
        """Odd rows, counted once for each thing that is odd about them."""
        return sum(found.count for found in self.values())


class Source(NamedTuple):
    """Whose answer a row holds, and in which experiment, as the table says it."""

    kind: Literal["model", "human"]
    name: str
    temperature: float | None
    top_p: float | None
    size_b: float | None
    experiment: str


class Row(NamedTuple):
    """One answer of a table."""

    line: int
    source: int
    """Position in `Reader.sources`."""
    item: str
    trial: int
    class_simple: str
    class_multi: str
    explanation: str
    kept: str | None
    """JSON of the row's other cells, and of labels that could not be taken as they stand."""


class _Labels(NamedTuple):
    class_simple: str
    class_multi: str
    odd: OddKind | None


class Reader:
    """Reads tables row by row, and remembers whose answers they hold.

    Parameters
    ----------
    task
        Says which labels there are.
    """

    def __init__(self, task: Task) -> None:
        self.sources: list[Source] = []
        self.odd = Odd()
        self.n_rows = 0
        self.synthetic = False
        """Whether a row says that its answer comes from a simulation and not from a model."""
        self._task = task
        self._labels = {label.casefold(): join_labels([label]) for label in task.labels} | {ERROR: ERROR}
        self._names = LabelNames(task.labels)
        self._number_of: dict[Source, int] = {}

    def rows(self, path: Path) -> Iterator[Row]:
        """The rows of one file that can be used; the others are noted in `odd`."""
        columns, lines = open_table(path)
        check_header(path, columns, WANTED)
        width = len(columns)
        at = {name: columns.index(name) if name in columns else width for name in _READ}
        others = [number for number, name in enumerate(columns) if name not in _READ]
        who_of = itemgetter(*(at[name] for name in _WHO))
        label_of = itemgetter(at["class_simple"], at["class_multi"])
        item_at, trial_at, explanation_at = at["sent_id"], at["trial"], at["explanation"]
        sources: dict[Any, tuple[int, str]] = {}
        labels: dict[Any, _Labels] = {}
        trials: dict[str, int] = {}
        kept_of: dict[Any, str | None] = {}
        note = self._noting(path)
        for line, cells in lines:
            self.n_rows += 1
            if len(cells) != width:
                note("cells", line, f"{len(cells)} for {width}")
                continue
            cells.append("")  # stands in for every column that the file lacks
            item = cells[item_at].strip()
            if not item:
                note("no_item", line, "")
                continue
            written = cells[trial_at]
            trial = trials.get(written) or _remember(trials, written, _trial(written))
            if trial < 1:
                note("trial", line, written)
                continue
            who = who_of(cells)  # last of what may be wrong: whose rows are all left out takes no part
            number, unknown_type = sources.get(who) or _remember(sources, who, self._source(who))
            if number < 0:
                note("number" if unknown_type else "no_participant", line, unknown_type)
                continue
            pair = label_of(cells)
            label = labels.get(pair) or _remember(labels, pair, self._label(*pair))
            if unknown_type:
                note("type", line, unknown_type)
            if others or label.odd:
                if label.odd:
                    note(label.odd, line, " / ".join(filter(None, pair)))
                key = (*(cells[column] for column in others), pair if label.odd else None)
                if key not in kept_of:
                    _remember(kept_of, key, _kept(columns, others, cells, pair if label.odd else None))
                kept = kept_of[key]
            else:
                kept = None
            yield Row(line, number, item, trial, label.class_simple, label.class_multi, cells[explanation_at], kept)

    def _noting(self, path: Path) -> Callable[[OddKind, int, str], None]:
        def note(kind: OddKind, line: int, what: str) -> None:
            shown = f" ({what if len(what) <= 40 else what[:37] + '...'})" if what else ""
            self.odd.note(kind, f"{path.name}:{line}{shown}")

        return note

    def _source(self, who: Sequence[str]) -> tuple[int, str]:
        """Number of a source and an unknown participant_type; -1 and the wrong number where there is no source."""
        name, kind, synthetic, experiment, *numbers = (cell.strip() for cell in who)
        if not name:
            return -1, ""
        self.synthetic |= synthetic.casefold() in _YES
        try:
            size, temperature, top_p = map(_number, numbers)
        except ValueError as error:
            return -1, str(error)
        given = kind.casefold()
        is_human = given == "human" or (given in _EMPTY and experiment.casefold() == "human")
        unknown = "" if given in _EMPTY or given in ("model", "human") else kind
        if is_human:
            source = Source("human", name, None, None, None, experiment)
        else:
            source = _variant(Source("model", name, temperature, top_p, size, experiment))
        number = self._number_of.setdefault(source, len(self.sources))
        if number == len(self.sources):
            self.sources.append(source)
        return number, unknown

    def _label(self, simple: str, multi: str) -> _Labels:
        chosen, alone = self._set(multi), self._set(simple)
        decides = alone if chosen is None else chosen
        if decides is None:
            return _Labels(ERROR, ERROR, "no_label")
        if not decides:
            return _Labels(ERROR, ERROR, "unknown_label")
        collapsed = collapse(decides, otherwise=self._task.collapse_to)
        contradicted = chosen is not None and alone is not None and alone != collapsed
        return _Labels(collapsed, decides, "contradiction" if contradicted else None)

    def _set(self, written: str) -> str | None:
        """A set of labels in its one spelling; None for an empty cell, an empty text for what is no label."""
        text = written.strip().casefold()
        if text in self._labels:
            return self._labels[text]
        if text in _EMPTY:
            return None
        parts = self._names.find(_BRACKETS.sub(" ", text).strip(_AROUND))
        if isinstance(parts, str) or (len(set(parts)) > 1 and not self._task.set_labels):
            return ""
        return join_labels(parts)


def _remember(cache: dict[Any, _Cached], key: Any, value: _Cached) -> _Cached:
    if len(cache) >= _REMEMBERED:  # columns full of different values: memory stays flat
        cache.clear()
    cache[key] = value
    return value


def _variant(source: Source) -> Source:
    """Read the name of a variant, ``kimi-k2@temperature=0.5``, as its participant and value, if no column says it."""
    found = _VARIANT.fullmatch(source.name)
    if found is None or source.temperature is not None or source.top_p is not None:
        given = {"temperature": source.temperature, "top_p": source.top_p}
        tail = "".join(f"@{name}={value:.6g}" for name, value in given.items() if value is not None)
        return source._replace(name=source.name.removesuffix(tail) or source.name)
    try:
        temperature, top_p = _number(found["temperature"] or ""), _number(found["top_p"] or "")
    except ValueError:
        return source
    return source._replace(name=found["base"], temperature=temperature, top_p=top_p)


def _number(written: str) -> float | None:
    """A number to six digits, as names of variants show it; sizes may end in B. None for an empty cell."""
    text = written.strip().casefold()
    if text in _EMPTY:
        return None
    try:
        value = float(f"{float(text.removesuffix('b')):.6g}")
    except ValueError:
        raise ValueError(written) from None
    if not 0 <= value < float("inf"):
        raise ValueError(written)
    return value


def _trial(written: str) -> int:
    """Number of a trial, 1 for an empty cell, -1 for what is none; tables of pandas write 1.0."""
    text = written.strip()
    if text.casefold() in _EMPTY:
        return 1
    try:
        number = float(text)
    except ValueError:
        return -1
    return int(number) if 1 <= number <= _MAX_TRIAL and number.is_integer() else -1


def _kept(columns: Sequence[str], others: Sequence[int], cells: Cells, labels: tuple[str, str] | None) -> str | None:
    kept = {columns[number] or f"column {number + 1}": cells[number] for number in others if cells[number]}
    if labels:
        kept |= {name: text for name, text in zip(("class_simple", "class_multi"), labels, strict=True) if text}
    return canonical_json(kept) if kept else None
