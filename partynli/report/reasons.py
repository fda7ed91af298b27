"""Kinds of reasoning: tables of text cells, ``reasons.md``, JSON, and the codes as a table for a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from partynli.markdown import escape
from partynli.report.markdown import SYNTHETIC
from partynli.report.sheets import NOTHING, Sheet, rounded, titled
from partynli.spreadsheets import spreadsheet_safe
from partynli.studies.reasons.counting import ItemKinds, Side, kind_counts, total
from partynli.studies.reasons.material import Explanation
from partynli.studies.reasons.result import OURS, ReasonStudy
from partynli.studies.reasons.validation import Validation

SCHEMA = 1


def validation_sheets(found: Validation) -> Iterator[Sheet]:
    """What the coder is worth: F1 by category, and what is taken for what."""
    given = found.confusion.sum(0)
    rows = zip(found.labels, found.f1.tolist(), found.support.tolist(), given.tolist(), strict=True)
    yield Sheet(
        "Validation against LiTEx's coders",
        ("category", "F1", "LiTEx", "coder"),
        tuple((label, rounded(f1, 2), f"{theirs:,}", f"{ours:,}") for label, f1, theirs, ours in rows),
        f"LiTEx, coder: explanations to which each gave the category. {found.n_uncoded:,} of the sample have no valid "
        "category of the coder's and are left out. Interval of kappa: 95 %, bootstrap over items.",
    )
    yield Sheet(
        "Confusion: LiTEx's category in the row, the coder's in the column",
        ("LiTEx", *found.labels),
        tuple((label, *map(str, row)) for label, row in zip(found.labels, found.confusion.tolist(), strict=True)),
    )


def items_sheet(study: ReasonStudy, items: Sequence[ItemKinds]) -> Sheet:
    """Table 4's form: kinds shared, only human, only model; and both label distributions."""
    own = ("item", "why", "JS", "shared", "only\nhuman", "only\nmodel")
    votes = tuple(f"{who}\n{label}" for who in ("human", "model") for label in study.labels)
    compared = [one for one in items if one.is_comparable]
    people = "" if study.people is None else f" (human: {titled(study.people)})"
    rows = [_row(one.choice.uid, one.choice.why, rounded(one.choice.js, 2), [one], study) for one in items]
    if len(compared) > 1:
        rows.append(_row("total", f"{len(compared)} items", "", compared, study))
    return Sheet(
        "Kinds of reasoning, and labels",
        (*own, *votes, "human\ncoded", "model\ncoded"),
        tuple(rows),
        f"{study.verdict}. Shares of labels{people}; coded: explanations with a category, of those written. More "
        "explanations show more kinds, and every wrong code can add one: compare sides of about equal size. A dash: "
        "one side has no coded explanation.",
    )


def _row(name: str, why: str, js: str, items: Sequence[ItemKinds], study: ReasonStudy) -> tuple[str, ...]:
    sides = [
        total((one.people for one in items), study.categories),
        total((one.models for one in items), study.categories),
    ]
    comparable = all(one.is_comparable for one in items)
    counts = [str(n) if comparable else NOTHING for n in kind_counts(items)]
    shares = [rounded(share, 2) for side in sides for share in _shares(side)]
    return (name, why, js, *counts, *shares, *(f"{side.coded}/{side.written}" for side in sides))


def _shares(side: Side) -> list[float]:
    votes = sum(side.labels)
    return [count / votes if votes else float("nan") for count in side.labels]


def kinds_sheet(study: ReasonStudy, items: Sequence[ItemKinds]) -> Sheet:
    """How often each category was given, over all items."""
    people = total((one.people for one in items), study.categories)
    models = total((one.models for one in items), study.categories)
    return Sheet(
        "Explanations by kind of reasoning, all items",
        ("category", "human", "share", "model", "share"),
        tuple((kind, *_part(people, kind), *_part(models, kind)) for kind in study.categories),
    )


def _part(side: Side, kind: str) -> tuple[str, str]:
    n = side.kinds.get(kind, 0)
    return f"{n:,}", rounded(n / side.coded if side.coded else float("nan"), 2)


def to_markdown(study: ReasonStudy) -> str:
    """The whole study as Markdown; nothing in it that a text from a file or a model could turn into markup."""
    parts = [f"# Kinds of reasoning in run {escape(study.run)}"]
    if study.synthetic:
        parts.append(f"**{SYNTHETIC}**")
    parts += [OURS, f"**{escape(study.verdict)}**"]
    facts = [f"coder: {study.coder}", f"models: {study.group}, first trial", f"seed: {study.seed}", *study.notes]
    parts.append("\n".join(f"- {escape(fact)}" for fact in facts))
    if study.validation is not None:
        parts += map(_table, validation_sheets(study.validation))
    if study.items is None:
        parts.append("Counts are held back: the coder is not good enough. `--force` shows them.")
    else:
        parts += [_table(items_sheet(study, study.items)), "### Kinds by item"]
        parts.append("\n".join(_kinds_line(one) for one in study.items))
        parts.append(_table(kinds_sheet(study, study.items)))
    return "\n\n".join(parts) + "\n"


def _kinds_line(one: ItemKinds) -> str:
    if not one.is_comparable:
        return f"- {escape(one.choice.uid)}: human {_named(one.people.kinds)}; model {_named(one.models.kinds)}"
    return (
        f"- {escape(one.choice.uid)}: shared {_named(one.shared)}; only human {_named(one.only_people)}; "
        f"only model {_named(one.only_models)}"
    )


def _named(kinds: Iterable[str]) -> str:
    return escape(", ".join(kinds)) or NOTHING


def _table(sheet: Sheet) -> str:
    heads = [escape(head.replace("\n", " ")) for head in sheet.columns]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *([escape(cell) for cell in row] for row in sheet.rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"### {escape(sheet.title)}\n\n{table}" + (f"\n\n{escape(sheet.note)}" if sheet.note else "")


def to_json(study: ReasonStudy) -> str:
    """The study as JSON text; undefined figures and counts that are held back are null."""
    report = {
        "schema": SCHEMA,
        "run": study.run,
        "synthetic": study.synthetic,
        "about": OURS,
        "group": study.group,
        "people": study.people,
        "coder": {"name": study.coder, "run": study.coder_run},
        "seed": study.seed,
        "labels": list(study.labels),
        "categories": list(study.categories),
        "verdict": study.verdict,
        "validation": None if study.validation is None else _validation(study.validation),
        "items": None if study.items is None else [_item(one) for one in study.items],
        "totals": None if study.items is None else _totals(study.items),
        "notes": list(study.notes),
    }
    return json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False)


def _validation(found: Validation) -> dict[str, Any]:
    return {
        "kappa": _defined(found.kappa),
        "ci": [_defined(found.low), _defined(found.high)],
        "threshold": found.threshold,
        "is_enough": found.is_enough,
        "n": found.n,
        "n_uncoded": found.n_uncoded,
        "f1": {label: _defined(f1) for label, f1 in zip(found.labels, found.f1.tolist(), strict=True)},
        "support": dict(zip(found.labels, found.support.tolist(), strict=True)),
        "confusion": found.confusion.tolist(),
    }


def _item(one: ItemKinds) -> dict[str, Any]:
    kinds = {"shared": one.shared, "only_human": one.only_people, "only_model": one.only_models}
    return {
        "uid": one.choice.uid,
        "why": one.choice.why,
        "js_distance": _defined(one.choice.js),
        **{name: list(found) if one.is_comparable else None for name, found in kinds.items()},
        "human": _side(one.people),
        "model": _side(one.models),
    }


def _side(side: Side) -> dict[str, Any]:
    counts = {"n_explanations": side.written, "n_coded": side.coded}
    return {"labels": list(side.labels), **counts, "kinds": dict(side.kinds)}


def _totals(items: Sequence[ItemKinds]) -> dict[str, int]:
    compared = [one for one in items if one.is_comparable]
    names = ("n_items", "shared", "only_human", "only_model")
    return dict(zip(names, (len(compared), *kind_counts(compared)), strict=True))


def _defined(value: float) -> float | None:
    return None if value != value else value


def codes_csv(explanations: Sequence[Explanation], category: Mapping[str, str], *, synthetic: bool) -> str:
    """Explanations with their categories, empty where there is none; `--coding` reads such a table.

    Parameters
    ----------
    explanations
        One a row, in this order.
    category
        By `Explanation.name`.
    synthetic
        Whether simulations take part; stands in every row.
    """
    out = io.StringIO()
    table = csv.writer(out)  # ends lines by CR and LF, so that a lone one of either within a text is quoted
    table.writerow(["item", "source", "by", "trial", "label", "explanation", "category", "synthetic"])
    for one in explanations:
        by, mark = "human" if one.is_human else "model", "SYNTHETIC" if synthetic else "no"
        cells = [one.uid, one.source, by, str(one.trial), one.label, one.text, category.get(one.name, ""), mark]
        table.writerow(map(spreadsheet_safe, cells))
    return out.getvalue()
