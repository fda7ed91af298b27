"""Explanation variation in a report: tables of text cells, and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from partynli.analysis.explanations import PEOPLE, ExplanationReport, ExplanationRow
from partynli.analysis.explanations.variation import MATCHED_WORDS
from partynli.analysis.figures import Figure
from partynli.analysis.groups import EVERYBODY
from partynli.report.sheets import Sheet, rounded, with_interval

MANY = 100
"""People with more explanations than these have a row of their own; Kulmizev et al. (2026, figure 4) show the same."""
_NOT_THERE = Figure()


def explanation_sheets(report: ExplanationReport, digits: int) -> Iterator[Sheet]:
    """The tables of one set of items; without the row `run` where a mix or experiment says the same."""
    report = replace(report, rows=_told(report.rows))
    yield _lexical(report, digits)
    for embedder in report.embedders:
        yield _vectors(report, embedder, digits)
    yield _overlap(report, digits)


def heading(report: ExplanationReport) -> str:
    """What the tables are of."""
    labels = {
        "class_simple": "one label an explanation (class_simple)",
        "class_multi": "sets of labels as labels (class_multi)",
        "split": "explanations of several labels split",
    }
    items = f"{report.n_items:,} item{'s' if report.n_items != 1 else ''}"
    return f"Explanations, {report.scope}: {items}, {labels[report.by]}"


def explanations_object(report: ExplanationReport) -> dict[str, Any]:
    """The same as dicts, lists, numbers and NaN."""
    return {
        "n_items": report.n_items,
        "multi_label": report.by,
        "rarefied_to": report.size,
        "embedders": list(report.embedders),
        "notes": list(report.notes),
        "rows": [_row(one) for one in report.rows],
    }


def _told(rows: Sequence[ExplanationRow]) -> tuple[ExplanationRow, ...]:
    said = [repr(_row(one) | {"name": "", "kind": ""}) for one in rows]  # as text, in which a NaN equals another
    named = {text for one, text in zip(rows, said, strict=True) if one.name != EVERYBODY}
    return tuple(one for one, text in zip(rows, said, strict=True) if one.name != EVERYBODY or text not in named)


def _row(row: ExplanationRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "kind": row.kind,
        "n_explanations": row.n_texts,
        "n_empty": row.n_empty,
        "n_sets": row.n_sets,
        "n_single": row.n_single,
        "lexical": _figures(row.lexical),
        "vectors": {name: _figures(figures) for name, figures in row.vectors.items()},
        "overlap": {name: _figure(figure) | {"sd": figure.sd} for name, figure in row.overlap.items()},
    }


def _figures(figures: Mapping[str, Figure]) -> dict[str, Any]:
    return {name: _figure(figure) for name, figure in figures.items()}


def _figure(figure: Figure) -> dict[str, Any]:
    interval = None if figure.low != figure.low else [figure.low, figure.high]
    return {"value": figure.value, "ci": interval, "n": figure.n}


def _lexical(report: ExplanationReport, digits: int) -> Sheet:
    rows = [
        (
            _name(row),
            f"{row.n_texts:,}",
            f"{row.n_empty:,}",
            _cell(row.lexical, "word_count", 1, report),
            _cell(row.lexical, "vocabulary", 1, report),
            rounded(row.lexical["vocabulary_rarefied"].value, 1),
            _cell(row.lexical, "jaccard", digits, report),
            _cell(row.lexical, "jaccard_matched", digits, report),
        )
        for row in report.rows
        if row.kind != "worker" or row.n_texts > MANY
    ]
    heads = (
        "",
        "\ntexts",
        "\nempty",
        "words\n[95 %]",
        "vocabulary\n[95 %]",
        f"vocabulary\nof {report.size}",
        "JAC\n[95 %]",
        f"JAC, first\n{MATCHED_WORDS} words",
    )
    note = (
        "Medians over explanations, without what they quote from the item; empty: nothing else is left. JAC: how alike "
        "the words of two explanations of an item are; it grows with length, so compare it at equal length. vocabulary "
        f"of {report.size}: different words in {report.size} explanations of one item and label. (n): on n items only. "
        f"People with more than {MANY} explanations have rows of their own."
    )
    return Sheet("Length and words of explanations", heads, tuple(rows), note)


def _vectors(report: ExplanationReport, embedder: str, digits: int) -> Sheet:
    rows = [
        (
            _name(row),
            f"{row.n_sets:,}",
            f"{row.n_single:,}",
            *(_cell(row.vectors[embedder], name, digits, report) for name in ("d_pair", "d_cent", "d_max")),
            *(rounded(row.vectors[embedder][f"{name}_rarefied"].value, digits) for name in ("d_cent", "d_max")),
        )
        for row in report.rows
        if row.kind != "worker" and row.n_sets
    ]
    heads = (
        "",
        "\nsets",
        "of\none",
        "D_pair\n[95 %]",
        "D_cent\n[95 %]",
        "D_max\n[95 %]",
        f"D_cent\nof {report.size}",
        f"D_max\nof {report.size}",
    )
    note = (
        "Medians over sets: explanations of one item and label (of a mix: in one trial; of a participant: over its "
        "trials). of one: sets without a second explanation, which are missing. D_cent and D_max grow with the set: "
        f"compare them at {report.size} explanations, or by D_pair."
    )
    return Sheet(f"Distances between explanations: {embedder}", heads, tuple(rows), note)


def _overlap(report: ExplanationReport, digits: int) -> Sheet:
    together = [row for row in report.rows if row.overlap]
    names = list(dict.fromkeys(name for row in together for name in row.overlap))
    rows = tuple((_name(row), *(_cell(row.overlap, name, digits, report) for name in names)) for row in together)
    note = (
        "Chen et al. (2025): mean share of n-grams (of words with punctuation; of part-of-speech tags) that two "
        "explanations of an item have in common, whatever their labels, and how alike their vectors are. Higher is "
        "less varied."
    )
    heads = ("", *(f"{name.replace('_', ' ')}\n[95 %]" for name in names))
    return Sheet("Overlap of explanations", heads, rows, note)


def _cell(figures: Mapping[str, Figure], name: str, digits: int, report: ExplanationReport) -> str:
    return with_interval(figures.get(name, _NOT_THERE), digits, report.n_items)


def _name(row: ExplanationRow) -> str:
    return "all people" if row.name == PEOPLE and row.kind == "human" else row.name
