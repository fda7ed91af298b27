"""VariErr NLI: MNLI items with the labels and explanations of four annotators, before and after they were validated.

Leon Weber-Genzel, Siyao Peng, Marie-Catherine de Marneffe and Barbara Plank. 2024. VariErr NLI: Separating Annotation
Error from Human Label Variation. https://arxiv.org/abs/2403.01931
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from partynli.items.base import Dataset, ItemSource
from partynli.items.download import RemoteFile, fetch
from partynli.labels import LABELS, NLI, collapse, join_labels
from partynli.records import Annotation, Item

FILES = (
    RemoteFile(
        url=(
            "https://raw.githubusercontent.com/mainlp/VariErr-NLI/b2cbdd3bc3ca2a618fc16ac078f471623152c923/varierr.json"
        ),
        path="varierr/varierr.jsonl",
        sha256="c8f9a634a69d72a6c390047ac242562b80a8caac08db19714db3f98bd40e13ea",
        size=1_007_091,
    ),
)

Row = Mapping[str, Any]


def load() -> Dataset:
    """Load 498 of the 500 items from ``PARTYNLI_DATA``, the cache, or their public home.

    The distributions are those of VariErr's first round, in which an annotator could give several labels and each of
    them counts (``varierr``); of its second round, without the labels that their annotators took back
    (``varierr_round2``); and of ChaosNLI (100 people an item). The two items that have no label left in the second
    round are left out, so that all three know all items.

    The annotations are those of the first round, an annotator's labels together: a set of several collapses to
    ``either``, and the explanations of its labels are the lines of one. Who did not know has none.

    Raises
    ------
    ItemsError
        The file cannot be had, or is not the expected one.
    """
    rows = [row for row in map(json.loads, fetch(FILES[0]).decode().splitlines()) if any(_counts(row, 2))]
    items = [Item(row["id"], {"premise": row["context"], "hypothesis": row["statement"]}) for row in rows]
    note = "four annotators an item; without the two items that have no label left after validation"
    return Dataset(
        name="varierr",
        items=ItemSource.of(items, "varierr", note),
        annotations=tuple(one for row in rows for one in _annotations(row)),
        distributions={
            "varierr": {row["id"]: _counts(row, 1) for row in rows},
            "varierr_round2": {row["id"]: _counts(row, 2) for row in rows},
            "chaosnli": {row["id"]: tuple(row["chaosnli_labels"].get(label[0], 0) for label in NLI) for row in rows},
        },
        licence="not stated; see the source",
        source="https://github.com/mainlp/VariErr-NLI",
        note=note,
    )


def _counts(row: Row, number: int) -> tuple[int, ...]:
    given = row[f"label_count_round_{number}"]
    return tuple(int(given[label] or 0) for label in NLI)


def _annotations(row: Row) -> Iterator[Annotation]:
    said: dict[int, dict[str, str]] = {}
    for label, name in zip(LABELS, NLI, strict=True):
        for one in row[name]:
            said.setdefault(one["annotator"], {})[label] = one["reason"]
    for annotator, reasons in sorted(said.items()):
        chosen = join_labels(reasons)
        simple = collapse(chosen, otherwise="either")
        yield Annotation(row["id"], f"annotator-{annotator}", chosen, simple, "\n".join(reasons.values()))
