"""Model judgment distributions beside a reference: tables of text cells, ``mjd.md`` and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from partynli.analysis.figures import Counts, Figure
from partynli.analysis.mjd import Mjd, Transform
from partynli.analysis.mjd_compare import Compared, Distributions
from partynli.analysis.resamples import Floats
from partynli.markdown import escape
from partynli.metrics import Convention
from partynli.report.markdown import SYNTHETIC
from partynli.report.sheets import NOTHING, Sheet, rounded, titled, with_interval

SCHEMA = 1
_HEADS = {"kl": "KL", "jsd": "JSD", "tvd": "TVD", "distance_correlation": "D.Corr"}


@dataclass(frozen=True)
class MjdReport:
    """All that a report says.

    Attributes
    ----------
    run, run_hash
        The run whose distribution is the first row, and content hash of its plan.
    synthetic, any_synthetic
        Whether simulated participants are behind that row, or behind any row or the reference.
    first
        That row, over I items.
    mjd
        Where it comes from option scores; None for a run of ordinary answers.
    transform
        How scores became distributions.
    design
        What the run's prompts show, as its manifest keeps it.
    reference, reference_p
        Name, and (I, K) distributions; NaN where there is none.
    rows
        What is set beside the reference.
    texts
        Premise and hypothesis by uid.
    counts
        (I, K) votes of a run of ordinary answers.
    """

    run: str
    run_hash: str
    synthetic: bool
    any_synthetic: bool
    labels: tuple[str, ...]
    items: tuple[str, ...]
    texts: Mapping[str, Mapping[str, str]]
    first: Distributions
    mjd: Mjd | None
    counts: Counts | None
    transform: Transform
    design: Mapping[str, Any]
    reference: str
    reference_p: Floats
    rows: tuple[Compared, ...]
    convention: Convention
    draws: int
    seed: int
    notes: tuple[str, ...]


def rows_sheet(report: MjdReport) -> Sheet:
    """The table: each row's distances to the reference."""
    n = len(report.items)
    rows = []
    for one in report.rows:
        correlation = one.distance_correlation
        chance = f"{correlation.p:.3f}" if correlation.p == correlation.p else NOTHING
        votes = NOTHING if one.row.votes is None else str(one.row.votes)
        figures = (with_interval(one.figures[name], 3, n) for name in _HEADS)
        rows.append((titled(one.row.name), votes, *figures, chance, rounded(one.unbiased, 3)))
    eps = f"{report.convention.kl_eps:g}"
    return Sheet(
        f"Distance to {titled(report.reference)}, {n:,} items",
        ("distribution", "votes", *_HEADS.values(), "p", "D.Corr²\nunbiased"),
        tuple(rows),
        f"KL(reference || row) with empty cells at {eps}, JSD the Jensen-Shannon distance, TVD half the L1 distance, "
        f"in nats; means over items with 95 % intervals over resampled items ({report.draws:,} draws, seed "
        f"{report.seed}; D.Corr: 1.96 of their standard deviations). p: D.Corr under shuffling of the items. D.Corr is "
        "biased upwards, most on few items; its unbiased square is not. Votes: answers behind a distribution, median.",
    )


def lines(report: MjdReport) -> Iterator[str]:
    """What the table rests on, one line each; names in them are untrusted."""
    if report.mjd is not None:
        found = report.mjd
        yield f"scores to distributions: {report.transform.name}, mean over {_prompts(found)} prompts an item"
        n, of = int(found.prompts.sum()), int(found.asked.sum())
        if n < of:
            yield (
                f"{n:,} of {of:,} prompts are answered; {found.in_part:,} items have some of theirs: orders of options "
                "and explanations do not average out on them"
            )
        if cut := int(found.cut.sum()):
            yield (
                f"in {cut:,} of {n:,} prompts ({int((found.cut > 0).sum()):,} items) an option "
                "was not among the tokens returned: it counts as likely as the least likely of them, which is the most "
                "it can be"
            )
        if cut and found.widths.size:
            yield (
                f"probabilities may be off by {found.widths.mean():.3f} on average, {found.widths.max():.3f} at most"
            )
    yield from report.notes


def _prompts(found: Mjd) -> str:
    low, high = int(found.asked.min()), int(found.asked.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def to_markdown(report: MjdReport) -> str:
    """The whole report as Markdown; nothing in it that a name from a file could turn into markup."""
    sheet = rows_sheet(report)
    parts = [f"# Judgment distributions of run {escape(report.run)}"]
    if report.any_synthetic:
        parts.append(f"**{SYNTHETIC}**")
    parts.append("\n".join(f"- {escape(line)}" for line in lines(report)))
    heads = [escape(head.replace("\n", " ")) for head in sheet.columns]
    cells = [heads, ["---", *["---:"] * (len(heads) - 1)], *([escape(cell) for cell in row] for row in sheet.rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in cells)
    parts.append(f"### {escape(sheet.title)}\n\n{table}\n\n{escape(sheet.note)}")
    return "\n\n".join(parts) + "\n"


def to_json(report: MjdReport) -> str:
    """The report as JSON text; undefined figures are null."""
    found = report.mjd
    body = {
        "schema": SCHEMA,
        "run": report.run,
        "run_hash": report.run_hash,
        "synthetic": report.any_synthetic,
        "labels": list(report.labels),
        "n_items": len(report.items),
        "reference": report.reference,
        "convention": report.convention.name,
        "transform": {"kind": report.transform.kind, "temperature": report.transform.softmax_temperature},
        "design": dict(report.design),
        "draws": report.draws,
        "seed": report.seed,
        "prompts": None
        if found is None
        else {
            "asked": int(found.asked.sum()),
            "answered": int(found.prompts.sum()),
            "with_missing_options": int(found.cut.sum()),
            "items_in_part": found.in_part,
            "widest_interval": float(found.widths.max()) if found.widths.size else None,
        },
        "rows": [_row(one) for one in report.rows],
        "notes": list(report.notes),
    }
    return json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False)


def _row(one: Compared) -> dict[str, Any]:
    figures = {name: _figure(figure) for name, figure in one.figures.items()}
    figures["distance_correlation"] |= {
        "p": _defined(one.distance_correlation.p),
        "unbiased_square": _defined(one.unbiased),
    }
    return {"name": one.row.name, "kind": one.row.kind, "votes": one.row.votes, "n_items": one.n_items, **figures}


def _figure(figure: Figure) -> dict[str, Any]:
    ci = [_defined(figure.low), _defined(figure.high)]
    return {"value": _defined(figure.value), "sd": _defined(figure.sd), "ci": ci, "n": figure.n}


def _defined(value: float) -> float | None:
    return None if value != value else value
