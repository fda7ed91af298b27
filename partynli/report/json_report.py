"""``report --json``, schema 1: what other tools read. Undefined figures are null; there is no NaN in it.

Keys may be added within schema 1, and none is renamed or taken away.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from partynli.analysis.explanations import ExplanationReport
from partynli.analysis.figures import Figure
from partynli.analysis.honesty import Honesty
from partynli.analysis.overview import Overview
from partynli.analysis.scope import Row, Scope
from partynli.report.explanations import explanations_object

SCHEMA = 1


def to_json(overview: Overview, explanations: Sequence[ExplanationReport] = ()) -> str:
    """The report as JSON text, without NaN."""
    return json.dumps(as_object(overview, explanations), indent=1, ensure_ascii=False, allow_nan=False)


def as_object(overview: Overview, explanations: Sequence[ExplanationReport] = ()) -> dict[str, Any]:
    """The report as lists, dicts, numbers and None; the key `explanations`, by scope, where there are any."""
    convention = overview.choices.convention
    report = {
        "schema": SCHEMA,
        "run": overview.run,
        "synthetic": overview.synthetic,
        "convention": convention.name,
        "choices": asdict(convention) | {"draws": overview.choices.draws, "seed": overview.choices.seed},
        "labels": list(overview.labels),
        "notes": list(overview.notes),
        "scopes": {scope.name: _scope(scope, overview) for scope in overview.scopes},
        "clones": [asdict(one) for one in overview.clones],
    }
    if explanations:
        report["explanations"] = {one.scope: explanations_object(one) for one in explanations}
    cleaned: dict[str, Any] = _without_nan(report)
    return cleaned


def _scope(scope: Scope, overview: Overview) -> dict[str, Any]:
    tests = overview.alt_tests.get(scope.name)
    return {
        "n_items": len(scope.items),
        "notes": list(scope.notes),
        "ceilings": {
            source: {str(size): scheme for size, scheme in schemes.items()}
            for source, schemes in scope.ceilings.items()
        },
        "human": {name: _human(row) for name, row in scope.human.items()},
        "groups": [_group(row) for row in scope.groups],
        "honesty": {one.group: _honesty(one) for one in overview.honesty.get(scope.name, ())},
        "alt_test": tests and (asdict(tests) | {"applicable": tests.applicable, "why": tests.why}),
    }


def _human(row: Row) -> dict[str, Any]:
    return {
        "n_valid": row.n_valid,
        "votes_per_item": row.size,
        **{name: _figure(figure) for name, figure in row.figures.items()},
        "label_shares": dict(row.label_shares),
        "against": _against(row),
    }


def _group(row: Row) -> dict[str, Any]:
    figures = {name: _figure(figure) for name, figure in row.figures.items()}
    if row.kind != "null":
        figures["alpha_between"] = _figure(row.figures["alpha"] if row.kind != "participant" else Figure())
    for name in ("alpha_within", "alpha_pooled", "consistency", "share_consistent"):
        figures.setdefault(name, _figure(Figure()))
    return {
        "name": row.name,
        "kind": row.kind,
        "participants": list(row.participants),
        "trials": row.trials,
        "votes_per_item": row.size,
        "n_valid": row.n_valid,
        "n_asked": row.n_asked,
        **figures,
        "label_shares": dict(row.label_shares),
        "against": _against(row),
    }


def _against(row: Row) -> dict[str, Any]:
    return {
        source: {name: _figure(figure) for name, figure in figures.items()} for source, figures in row.against.items()
    }


def _figure(figure: Figure) -> dict[str, Any]:
    written: dict[str, Any] = {
        "value": figure.value,
        "sd": figure.sd,
        "ci": None if figure.low != figure.low else [figure.low, figure.high],
        "n": figure.n,
        "ceiling": figure.ceiling,
        "null": figure.null,
    }
    return written | ({"p": figure.p} if figure.p == figure.p else {})


def _honesty(one: Honesty) -> dict[str, Any]:
    return {
        "source": one.source,
        "missingness_bounds": {name: list(bounds) for name, bounds in one.bounds.items()},
        "participants": one.participants,
        "effective_participants": one.effective_centred,
        "effective_participants_raw": one.effective_raw,
        "jackknife_participants": {name: list(bounds) for name, bounds in one.jackknife.items()},
        "influence": {name: dict(moved) for name, moved in one.influence.items()},
        "gap": one.gap and one.gap._asdict(),
    }


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {name: _without_nan(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(inner) for inner in value]
    return value
