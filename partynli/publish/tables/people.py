"""People's answers as rows of a table, and as the dataset that figures are computed with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from partynli.hashing import canonical_json, content_hash
from partynli.items import DATASETS, Dataset, ItemSource
from partynli.items.base import Located
from partynli.publish.tables.columns import COUNT
from partynli.publish.tables.formats import Cells, Row
from partynli.publish.tables.licences import base_name
from partynli.records import Annotation, Span
from partynli.store import Run


def human_rows(dataset: Dataset, labels: Sequence[str], *, included: bool) -> Iterator[Cells]:
    """All of a dataset's answers, single people first, or only what they hash to."""
    nothing = (None,) * len(labels)
    for one in dataset.annotations:
        spans = canonical_json([[span.field, span.start, span.end, span.text] for span in one.highlights])
        answer = (one.worker, one.class_simple, one.class_multi, one.explanation, spans)
        said = answer if included else (None,) * len(answer)
        yield (one.uid, dataset.name, *said, *nothing, content_hash([one.uid, *answer]))
    for source, counts_of in dataset.distributions.items():
        for uid, counts in counts_of.items():
            shown = counts if included else nothing
            # few counts are possible, so that a hash of them would tell them
            yield (uid, source, *(None,) * 5, *shown, content_hash([uid, source, *counts]) if included else None)


def about(name: str, dataset: Dataset | None) -> dict[str, str]:
    """What is said of people's answers beside their rows."""
    if dataset is None:
        return {"name": name, "licence": "", "source": "", "note": ""}
    source = dataset.source if dataset.name in DATASETS else base_name(dataset.source)
    return {"name": name, "licence": dataset.licence, "source": source, "note": dataset.note}


def carried_people(run: Run, labels: Sequence[str]) -> Dataset | None:
    """People's answers that an import brought with the run; None where it brought none."""
    found = run.human()
    if found is None:
        return None
    said, rows = found
    return dataset_of(said, rows, labels, run.path)


def dataset_of(said: Mapping[str, Any], rows: Sequence[Row], labels: Sequence[str], run: Path) -> Dataset:
    """The dataset that rows of the configuration ``human`` hold; its items are those of the run."""
    annotations: list[Annotation] = []
    distributions: dict[str, dict[str, tuple[int, ...]]] = {}
    for row in rows:
        if row["worker"] is None:
            counts = tuple(row[f"{COUNT}{label}"] for label in labels)
            distributions.setdefault(row["source"], {})[row["sent_id"]] = counts
        else:
            annotations.append(_annotation(row))

    def items() -> Iterator[Located]:
        with Run.open(run) as opened:
            yield from enumerate(opened.items, start=1)

    return Dataset(
        name=said["name"],
        items=ItemSource(said["name"], items, unit="item"),
        annotations=tuple(annotations),
        distributions=distributions,
        licence=said["licence"],
        source=said["source"],
        note=said["note"],
        labels=tuple(labels),
    )


def is_answer(row: Row, labels: Sequence[str]) -> bool:
    """Whether a row holds one person's answer, or the counts of a population."""
    if not (row["sent_id"] and row["source"]):
        return False
    if row["worker"] is None:
        return all(count is not None and count >= 0 for count in (row[f"{COUNT}{label}"] for label in labels))
    texts = [row[name] for name in ("class_simple", "class_multi", "explanation")]
    return None not in texts and texts[0] in labels and are_spans(row["highlights"])


def are_spans(given: str | None) -> bool:
    """Whether a text is a JSON list of [field, start, end, text], where the text may be missing beside offsets."""
    try:
        return all(_is_span(*one) for one in json.loads(given or "[]"))
    except (ValueError, TypeError, RecursionError):
        return False


def _is_span(field: Any, start: Any, end: Any, text: Any) -> bool:
    is_placed = type(start) is int and type(end) is int
    if not (is_placed or (start is None and end is None)):
        return False
    return isinstance(field, str) and (isinstance(text, str) or (text is None and is_placed))


def _annotation(row: Row) -> Annotation:
    marked = json.loads(row["highlights"] or "[]")
    spans = tuple(Span(field, text or "", start, end) for field, start, end, text in marked)
    return Annotation(row["sent_id"], row["worker"], row["class_multi"], row["class_simple"], row["explanation"], spans)
