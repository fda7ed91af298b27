"""Fine-tuning: the papers' tables and the figures behind them, as text cells, Markdown and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from partynli.finetune.outcome import Outcome, Spread, over_seeds
from partynli.finetune.scores import Scores
from partynli.finetune.study import ANY, Row, Table
from partynli.labels import LABELS
from partynli.markdown import escape
from partynli.report.sheets import NOTHING, Sheet, rounded

SCHEMA = 1
_NO_FIGURE = Spread(math.nan, math.nan, math.nan, 0)
_NAMES: Mapping[str, str] = {
    "weighted_f1": "weighted\nF1",
    "macro_f1": "macro\nF1",
    "accuracy": "\naccuracy",
    "kl": "\nKL",
    "kl_element_mean": "KL, element\nmean",
    "cross_entropy": "cross-\nentropy",
    "ece": "\nECE",
    "dist_ce": "\nDistCE",
    "entropy_correlation": "entropy\ncor.",
}
_RECALL = {f"recall_{label}": f"recall\n{label}" for label in LABELS}
_ANLI = "anli "
CONSTANT = (
    "A constant guess has weighted F1 0.167 where the three labels are equally frequent: F1 that low says that a model "
    "gives one label, not that it is worse than chance; see recall."
)


def outcome_sheets(outcomes: Sequence[Outcome]) -> Iterator[Sheet]:
    """Trainings of one job by several seeds: each, their mean, and the training mean as a baseline; set by set."""
    first = outcomes[0]
    for name in first.scores:
        heads = {**_NAMES, **_RECALL} if name.startswith(_ANLI) else _NAMES
        rows = [(f"seed {one.seed}", *(rounded(one.scores[name][figure]) for figure in heads)) for one in outcomes]
        if len(outcomes) > 1:
            spreads = [over_seeds([one.scores[name][figure] for one in outcomes]) for figure in heads]
            rows.append(("mean [95 % over seeds]", *(_with_interval(one) for one in spreads)))
        if name in first.baseline:
            rows.append(("training mean", *(rounded(first.baseline[name][figure]) for figure in heads)))
        yield Sheet(f"On {name}: {_size(first, name)}", ("", *heads.values()), tuple(rows), _note(name))


def _size(outcome: Outcome, name: str) -> str:
    one = outcome.job["data"][name]
    return f"{one['name']}, {one['n']:,} pairs"


def _note(name: str) -> str:
    if name.startswith(_ANLI):
        return CONSTANT
    return (
        "F1, accuracy and ECE on the majority label, ties to the first of true, either, false. KL: mean over items; "
        "element mean: the papers' KL, a third of it. training mean: the mean training distribution for every pair."
    )


def _with_interval(one: Spread) -> str:
    interval = "" if one.low != one.low else f" [{rounded(one.low)}, {rounded(one.high)}]"
    return f"{rounded(one.mean)}{interval}"


def table_sheets(table: Table) -> Iterator[Sheet]:
    """The papers' two tables, accuracy and recall on ANLI, and every figure with its interval over seeds."""
    rows = [*table.rows, *table.baselines]
    models = [model.title for model in table.study.models]
    yield _main(table, rows, models)
    rounds = list(
        dict.fromkeys(name for row in rows for sets in row.figures.values() for name in sets if _is_anli(name))
    )
    if rounds:
        yield _anli("ANLI, weighted F1 (form of Chen et al. 2025)", "weighted_f1", rows, models, rounds)
        yield _anli("ANLI, accuracy", "accuracy", rows, models, rounds)
        yield _recalls(rows, models, rounds)
    for name in ("dev", "test"):
        yield _every(name, rows, models)


def _is_anli(name: str) -> bool:
    return name.startswith(_ANLI)


def _main(table: Table, rows: Sequence[Row], models: Sequence[str]) -> Sheet:
    heads = ["", "\nn", "\nKL", "\nJSD", "\nTVD", "\nD.Corr"]
    shown = {"weighted_f1": "weighted F1", "kl_element_mean": "KL", "cross_entropy": "CE"}
    heads += [f"{model}\n{title}" for model in models for title in shown.values()]
    cells = []
    for row in rows:
        far = row.distances or {}
        line = [row.name, NOTHING if row.n_train is None else f"{row.n_train:,}"]
        line += [rounded(far.get(one, math.nan)) for one in ("kl", "js_distance", "tvd", "distance_correlation")]
        for model in models:
            for figure in shown:
                line.append(" / ".join(rounded(_of(row, model, name, figure).mean) for name in _two(table)))
        cells.append(tuple(line))
    note = (
        f"{' / '.join(_two(table))}, means over seeds. KL, JSD, TVD, D.Corr: the training distributions against "
        f"{table.study.against}, where they are of the same pairs. KL of a model is the papers': PyTorch's element "
        "mean, a third of the mean over items. mean of ...: that file's mean distribution for every pair, which needs "
        "no model."
    )
    return Sheet("Fine-tuning comparison (form of Chen et al. 2024, 2025)", tuple(heads), tuple(cells), note)


def _two(table: Table) -> tuple[str, ...]:
    return ("dev",) if table.study.test is None else ("dev", "test")


def _of(row: Row, model: str, name: str, figure: str) -> Spread:
    sets = row.figures.get(model) or row.figures.get(ANY) or {}
    return sets.get(name, {}).get(figure, _NO_FIGURE)


def _anli(title: str, figure: str, rows: Sequence[Row], models: Sequence[str], rounds: Sequence[str]) -> Sheet:
    heads = [f"{model}\n{name.removeprefix(_ANLI)}" for model in models for name in rounds]
    cells = [
        (row.name, *(_with_interval(_of(row, model, name, figure)) for model in models for name in rounds))
        for row in rows
    ]
    return Sheet(title, ("", *heads), tuple(cells), CONSTANT if figure == "weighted_f1" else "")


def _recalls(rows: Sequence[Row], models: Sequence[str], rounds: Sequence[str]) -> Sheet:
    heads = [f"{model}\n{name.removeprefix(_ANLI)}" for model in models for name in rounds]
    cells = [
        (
            row.name,
            *(
                " ".join(rounded(_of(row, model, name, figure).mean, 2) for figure in _RECALL)
                for model in models
                for name in rounds
            ),
        )
        for row in rows
    ]
    return Sheet(f"ANLI, recall of {', '.join(LABELS)}", ("", *heads), tuple(cells))


def _every(name: str, rows: Sequence[Row], models: Sequence[str]) -> Sheet:
    cells = []
    for row in rows:
        for model in models if ANY not in row.figures else [ANY]:
            found = row.figures.get(model, {}).get(name)
            if found:
                seeds = str(found["kl"].n) if model else NOTHING
                cells.append((row.name, model, seeds, *(_with_interval(found[figure]) for figure in _NAMES)))
    heads = ("", "\nmodel", "\nseeds", *_NAMES.values())
    return Sheet(f"Every figure on {name}, 95 % intervals over seeds", heads, tuple(cells))


def to_markdown(table: Table) -> str:
    """The whole table as Markdown."""
    state = "" if table.n_done == table.n_cells else f" so far: {table.n_done} of {table.n_cells} cells"
    parts = [f"# Fine-tuning on soft labels{state}"]
    parts.append("\n".join(f"- {escape(line)}" for line in (*about(table), *table.notes)))
    parts += [_as_markdown(sheet) for sheet in table_sheets(table)]
    return "\n\n".join(parts) + "\n"


def about(table: Table) -> Iterator[str]:
    """What the table was made of, a line each."""
    study = table.study
    yield f"dev {study.dev}, test {study.test or NOTHING}, ANLI {study.anli or NOTHING}; {study.seeds} seeds"
    yield ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in asdict(study.settings).items() if value)
    for model in study.models:
        yield f"{model.title}: starts from {model.init_from or 'the pretrained model, with new outputs'}"


def _as_markdown(sheet: Sheet) -> str:
    heads = [escape(head.replace("-\n", "").replace("\n", " ").strip()) for head in sheet.columns]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *([escape(cell) for cell in row] for row in sheet.rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"## {escape(sheet.title)}\n\n{table}" + (f"\n\n{escape(sheet.note)}" if sheet.note else "")


def to_json(table: Table) -> str:
    """The table as JSON text; undefined figures are null."""
    study = table.study
    found = {
        "schema": SCHEMA,
        "settings": asdict(study.settings),
        "data": {"dev": study.dev, "test": study.test, "anli": study.anli, "against": study.against},
        "cells": {"done": table.n_done, "of": table.n_cells},
        "rows": [_row_json(row) for row in table.rows],
        "baselines": [_row_json(row) for row in table.baselines],
        "notes": list(table.notes),
    }
    return json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False)


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "n_train": row.n_train,
        "distances": None if row.distances is None else _defined(row.distances),
        "figures": {
            model or "any": {
                name: {figure: _defined(asdict(spread)) for figure, spread in figures.items()}
                for name, figures in sets.items()
            }
            for model, sets in row.figures.items()
        },
    }


def _defined(values: Scores) -> dict[str, float | None]:
    return {name: None if value != value else value for name, value in values.items()}
