"""LiveNLI: 122 NLI items, each with the labels, explanations and highlights of at least ten people.

Nan-Jiang Jiang, Chenhao Tan and Marie-Catherine de Marneffe. 2023. Understanding and Predicting Human Label Variation
in Natural Language Inference through Explanations. https://arxiv.org/abs/2304.12443
"""

from __future__ import annotations

import csv
import io
from ast import literal_eval
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from partynli.items.base import Dataset, ItemSource
from partynli.items.download import RemoteFile, fetch
from partynli.labels import LABELS, collapse, join_labels
from partynli.records import Annotation, Item, Span

FILES = (
    RemoteFile(
        url="https://raw.githubusercontent.com/njjiang/LiveNLI/d4e889efb717c3c41e4c4097c46a3861a670ca7e/livenli.csv",
        path="livenli/livenli.csv",
        sha256="34d5e6d2cecfe3123c9972a681b4725a0f9cdae95de727a5d4392cc407f9c764",
        size=1_133_561,
    ),
)
_NLI = {"true": "entailment", "either": "neutral", "false": "contradiction"}
_HIGHLIGHTS = {"premise": "highlight_p", "hypothesis": "highlight_h"}

Row = Mapping[str, str]


def load() -> Dataset:
    """Load LiveNLI from ``PARTYNLI_DATA``, the cache, or its public home.

    The distributions are those of LiveNLI itself (every item; `class_simple`), of ChaosNLI (100 people each, the 50
    shared items) and of MNLI (5 people each, 110 items: those 50 and 60 more; the 12 others have one published label,
    which is no distribution). The items of both ``chaosnli`` and ``mnli`` are the 50 that all three share.

    Raises
    ------
    ItemsError
        The file cannot be had, or is not the expected one.
    """
    rows = list(_rows(fetch(FILES[0])))
    firsts: dict[str, Row] = {}
    for row in rows:
        firsts.setdefault(row["uid"], row)
    items = [Item(uid, {name: row[name] for name in _HIGHLIGHTS}) for uid, row in firsts.items()]
    annotations = tuple(map(_annotation, rows))
    published = {uid: row["mnli_labels"] for uid, row in firsts.items() if row["mnli_labels"].startswith("[")}
    note = "50 of the 122 items are in ChaosNLI and have five MNLI labels"
    return Dataset(
        name="livenli",
        items=ItemSource.of(items, "livenli", note),
        annotations=annotations,
        distributions={
            "livenli": _count(annotations),
            "chaosnli": {uid: _chaos(row["chaos_dist"]) for uid, row in firsts.items() if row["chaos_dist"]},
            "mnli": {uid: _mnli(labels) for uid, labels in published.items()},
        },
        licence="not stated; see the source",
        source="https://github.com/njjiang/LiveNLI",
        note=note,
    )


def _rows(content: bytes) -> Iterator[Row]:
    table = csv.reader(io.StringIO(content.decode(), newline=""))
    # The last column is a canary against contamination: it must reach neither a record nor a prompt.
    header = next(table)[:-1]
    return (dict(zip(header, cells, strict=False)) for cells in table)


def _annotation(row: Row) -> Annotation:
    class_multi = join_labels(row["multilabel"].split(" | "))
    return Annotation(
        uid=row["uid"],
        worker=row["worker_id"],
        class_multi=class_multi,
        class_simple=collapse(class_multi, otherwise="either"),
        explanation=row["explanation"],
        highlights=tuple(span for name, column in _HIGHLIGHTS.items() for span in _spans(name, row[column])),
    )


def _spans(name: str, written: str) -> list[Span]:
    """Highlights from a Python literal; its end offset is that after the last character."""
    entities = literal_eval(written)["entities"]
    return [Span(name, one["text"], one["startIndex"], one["endIndex"]) for one in entities]


def _count(annotations: Iterable[Annotation]) -> dict[str, tuple[int, ...]]:
    counts: dict[str, Counter[str]] = {}
    for one in annotations:
        counts.setdefault(one.uid, Counter())[one.class_simple] += 1
    return {uid: tuple(count[label] for label in LABELS) for uid, count in counts.items()}


def _chaos(written: str) -> tuple[int, ...]:
    counts = literal_eval(written)
    return tuple(counts.get(_NLI[label][0], 0) for label in LABELS)


def _mnli(written: str) -> tuple[int, ...]:
    labels = literal_eval(written)
    return tuple(labels.count(_NLI[label]) for label in LABELS)
