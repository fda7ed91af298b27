"""``partynli mjd report``: distributions from option scores beside people's, and as soft labels."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Literal

import click
import numpy as np

from partynli.analysis.mjd import Transform
from partynli.analysis.mjd_compare import baselines, compare_rows
from partynli.cli.figures import catalogue, save
from partynli.cli.mjd.sources import (
    Source,
    check_labels,
    dataset_of,
    newest_scores,
    notes_on,
    people_of,
    reference_of,
    source_of,
)
from partynli.cli.options import find_run, runs_option
from partynli.cli.output import console, echo_json, safe, shown
from partynli.cli.plot import FORMATS
from partynli.cli.reading import shortened
from partynli.cli.wide import print_rows
from partynli.errors import InputError
from partynli.hashing import content_hash
from partynli.metrics import convention
from partynli.report.markdown import SYNTHETIC
from partynli.report.mjd import MjdReport, lines, rows_sheet, to_json, to_markdown
from partynli.report.mjd_files import items_csv, write_soft_labels
from partynli.report.sheets import titled

_USUAL = "chaosnli"
"""The people that both papers compare with."""
_CORNERS = 3


@click.command("report")
@click.argument("run_name", metavar="[RUN]", required=False)
@click.option(
    "--reference",
    metavar="NAME|mjd:RUN|FILE",
    help="People of the items' dataset, another run of option scores, or a file of soft labels; by default chaosnli, "
    "or whichever people there are.",
)
@click.option(
    "--transform",
    type=click.Choice(["norm", "softmax"]),
    default="softmax",
    show_default=True,
    help="Raw logits / their sum, or softmax(scores / T).",
)
@click.option(
    "--temperature",
    type=click.FloatRange(1e-3, 1e6),
    default=20.0,
    show_default=True,
    metavar="T",
    help="Of the softmax.",
)
@click.option("--with", "others", multiple=True, metavar="RUN", help="A further run as rows; may be repeated.")
@click.option(
    "--soft-labels", type=click.Path(path_type=Path), metavar="FILE", help="Write soft labels, .jsonl or .parquet."
)
@click.option("--items-out", type=click.Path(path_type=Path), metavar="FILE", help="Write item by item, as CSV.")
@click.option(
    "--plot", "plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw ternary plots, .png, .svg or .pdf."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON (schema 1) for other programs.")
@click.option(
    "--draws", type=click.IntRange(min=100), default=1000, show_default=True, metavar="N", help="Bootstrap draws."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Of all draws.")
@runs_option
def report(
    run_name: str | None,
    reference: str | None,
    transform: Literal["norm", "softmax"],
    temperature: float,
    others: tuple[str, ...],
    soft_labels: Path | None,
    items_out: Path | None,
    plot: Path | None,
    as_json: bool,
    draws: int,
    seed: int,
    runs_path: Path | None,
) -> int:
    """Set a run's judgment distributions beside people's; RUN is the newest one of option scores by default.

    A run of ordinary answers can stand in its place, or beside it: then the distribution is the share of its
    participants' votes. The table also goes into mjd.md.

    \b
    Examples:
      partynli mjd report tryout
      partynli mjd report tryout --transform norm --with demo --json
      partynli mjd report tryout --reference mjd:human --items-out items.csv
      partynli mjd report tryout --soft-labels tryout.jsonl
    """
    chosen = Transform(transform, temperature)
    path = find_run(run_name, runs_path) if run_name else newest_scores(runs_path)
    first = source_of(path, chosen)
    further = [source_of(find_run(name, runs_path), chosen) for name in others]
    made = _made(path, first, further, reference, chosen, runs_path, draws, seed)
    written = [_write(path / "mjd.md", to_markdown(made))]
    if items_out is not None:
        written.append(_write(items_out, items_csv(made)))
    if plot is not None:
        written.append(_plot(plot, made))
    n_soft = 0 if soft_labels is None else write_soft_labels(made, soft_labels)
    if as_json:
        echo_json(to_json(made))
        return 0
    _print(made)
    if soft_labels is not None:
        console.print(f"soft labels of {n_soft:,} items: {safe(shown(soft_labels))}", soft_wrap=True)
    console.print(f"written: {', '.join(safe(shown(one)) for one in written)}", soft_wrap=True)
    return 0


def _made(
    path: Path,
    first: Source,
    further: Sequence[Source],
    given: str | None,
    transform: Transform,
    runs_path: Path | None,
    draws: int,
    seed: int,
) -> MjdReport:
    dataset, notes = dataset_of(first)
    people = people_of(dataset, first)
    reference = given or next(iter(people if people and _USUAL not in people else [_USUAL]))
    p, synthetic, doubts = reference_of(reference, people, first, transform, runs_path)
    rows, said = list(first.rows), [*notes, *doubts]
    answered = ~np.isnan(rows[0].p.sum(-1))
    if not answered.all():
        said.append(f"all figures are of the {int(answered.sum()):,} of {len(p):,} items that have a distribution")
        p = np.where(answered[:, None], p, np.nan)
    for other in further:
        check_labels(first, other)
        theirs = set(other.items)
        if lacking := [uid for uid in first.items if uid not in theirs]:
            said.append(f"{other.rows[0].name} lacks {len(lacking):,} of the items: {shortened(lacking)}")
        said += notes_on(first, other)
        rows += other.on(first.items)
    rows += baselines(people, reference, p.shape)
    if unknown := int((np.isnan(p).any(-1) & answered).sum()):
        said.append(f"{reference} does not know {unknown:,} of {len(p):,} items: figures are of the others")
    chosen = convention("chen2024")
    return MjdReport(
        run=path.name,
        run_hash=content_hash(first.manifest["plan"]),
        synthetic=bool(first.manifest["synthetic"]),
        any_synthetic=synthetic or any(one.manifest["synthetic"] for one in (first, *further)),
        labels=first.labels,
        items=first.items,
        texts=first.texts,
        first=first.rows[0],
        mjd=first.mjd,
        counts=first.counts,
        transform=transform,
        design=dict(first.manifest.get("mjd", {})),
        reference=reference,
        reference_p=p,
        rows=tuple(compare_rows(p, rows, chosen, draws=draws, seed=seed)),
        convention=chosen,
        draws=draws,
        seed=seed,
        notes=tuple(said),
    )


def _plot(file: Path, made: MjdReport) -> Path:
    kind = file.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise InputError(f"--plot {file}: the name must end in .{', .'.join(FORMATS)}")
    if len(made.labels) != _CORNERS:
        raise InputError(f"--plot {file}: a triangle shows three labels, and run {made.run} has {len(made.labels)}")
    catalogue()  # says so where matplotlib is not there
    canvas = import_module("partynli.report.plots.mjd").mjd_figure(made)
    return save(canvas, file.with_suffix(""), (kind,))[0]


def _write(file: Path, text: str) -> Path:
    try:
        file.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror or error}") from None
    return file


def _print(made: MjdReport) -> None:
    console.print(f"run [bold]{safe(made.run)}[/bold], reference {safe(titled(made.reference))}")
    if made.any_synthetic:
        console.print(SYNTHETIC, style="bold")
    for line in lines(made):
        console.print(f"note: {safe(line)}", style="dim", soft_wrap=True)
    sheet = rows_sheet(made)
    console.print()
    print_rows(sheet.columns, sheet.rows, title=sheet.title)
    console.print(safe(sheet.note), style="dim")
