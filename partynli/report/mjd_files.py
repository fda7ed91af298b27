"""Distributions item by item: soft labels that models are trained on, and a table for a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from partynli.errors import InputError
from partynli.metrics import js_distance, kl_divergence, total_variation
from partynli.report.mjd import MjdReport
from partynli.spreadsheets import spreadsheet_safe

_TEXTS = ("premise", "hypothesis")


def soft_rows(report: MjdReport) -> Iterator[dict[str, Any]]:
    """One row an item that has a distribution: uid, texts, labels, probabilities, and where they come from."""
    found, counts, transform = report.mjd, report.counts, report.transform
    provenance = {
        "source": "answers" if found is None else "option scores",
        "transform": None if found is None else transform.kind,
        "temperature": None if found is None else transform.softmax_temperature,
        "distribution": report.first.name,
        "run": report.run,
        "run_hash": report.run_hash,
        "synthetic": report.synthetic,
    }
    n = counts.sum(-1) if found is None and counts is not None else found.prompts if found is not None else None
    for k, uid in enumerate(report.items):
        if np.isnan(report.first.p[k]).any():
            continue
        yield {
            "uid": uid,
            **{name: report.texts[uid][name] for name in _TEXTS},
            "labels": list(report.labels),
            "p": report.first.p[k].tolist(),
            "p_low": None if found is None else found.low[k].tolist(),
            "p_high": None if found is None else found.high[k].tolist(),
            "counts": None if counts is None else counts[k].tolist(),
            "n": None if n is None else int(n[k]),
            "n_asked": None if found is None else int(found.asked[k]),
            **provenance,
        }


def write_soft_labels(report: MjdReport, file: Path) -> int:
    """Write soft labels as JSONL or parquet, by the file's name; returns the number of items.

    Raises
    ------
    InputError
        The items have other texts than a premise and a hypothesis, the name ends otherwise, pyarrow is not there for
        parquet, or the file cannot be written.
    """
    found = {name for texts in report.texts.values() for name in texts}
    if not found.issuperset(_TEXTS):
        have = ", ".join(sorted(found))
        raise InputError(f"soft labels are of a premise and a hypothesis; the items of run {report.run} have {have}")
    rows = list(soft_rows(report))
    kind = file.suffix.lower()
    if kind not in (".jsonl", ".parquet"):
        raise InputError(f"{file}: soft labels are written as .jsonl or .parquet; choose one of the two")
    try:
        if kind == ".parquet":
            _write_parquet(rows, file)
        else:
            text = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
            file.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror or error}") from None
    return len(rows)


def _write_parquet(rows: list[dict[str, Any]], file: Path) -> None:
    try:
        arrow: Any = import_module("pyarrow")  # only here: the extra `parquet`
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError:
        raise InputError(f"{file}: parquet files need pyarrow: pip install 'partynli[parquet]'") from None
    parquet.write_table(arrow.Table.from_pylist(rows), file)


def items_csv(report: MjdReport) -> str:
    """Item by item: the distribution, its bounds, the reference, and how far they are apart."""
    out = io.StringIO()
    table = csv.writer(out)
    labels = report.labels
    heads = ["run", "synthetic", "uid", "prompts", "prompts_asked", "prompts_with_missing_options"]
    heads += [f"{what}_{label}" for what in ("p", "low", "high", "reference") for label in labels]
    fields = list(dict.fromkeys(name for texts in report.texts.values() for name in texts))
    table.writerow(map(spreadsheet_safe, [*heads, "kl", "jsd", "tvd", *fields]))
    p, q = report.reference_p, report.first.p
    found = report.mjd
    distances = (kl_divergence(p, q, eps=report.convention.kl_eps), js_distance(p, q), total_variation(p, q))
    mark = "SYNTHETIC" if report.synthetic else "no"
    for k, uid in enumerate(report.items):
        bounds = (q, q) if found is None else (found.low, found.high)
        counts = ("",) * 3 if found is None else map(str, (found.prompts[k], found.asked[k], found.cut[k]))
        numbers = [number for one in (q, *bounds, p) for number in one[k]]
        numbers += [one[k] for one in distances]
        cells = [report.run, mark, uid, *counts, *("" if x != x else f"{x:.6g}" for x in numbers)]
        texts = report.texts[uid]
        table.writerow(map(spreadsheet_safe, [*cells, *(texts.get(name, "") for name in fields)]))
    return out.getvalue()
