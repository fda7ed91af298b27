"""``partynli export``: a run as a folder of tables that other programs open."""

from __future__ import annotations

from pathlib import Path

import click

from partynli.analysis.scope import Choices, scopes_of
from partynli.cli.options import find_run, registry_option, runs_option
from partynli.cli.output import console, safe, shown
from partynli.cli.output import table as new_table
from partynli.cli.reading import answers_of, evened
from partynli.cli.report import mixes_in, overview_for
from partynli.errors import InputError, unknown_name
from partynli.metrics import convention
from partynli.prompts import task_of
from partynli.publish.card.card import card_text
from partynli.publish.card.croissant import croissant_json
from partynli.publish.card.details import LICENCES, CardDetails
from partynli.publish.tables.export import Export, ExportOptions, export_run, refuse_foreign
from partynli.publish.tables.formats import KINDS
from partynli.report.json_report import as_object
from partynli.store import Run, held_by


@click.command("export")
@click.argument("run_name", metavar="[RUN]", required=False)
@click.option("--format", "kind", type=click.Choice(KINDS), default="parquet", show_default=True, help="Of the tables.")
@click.option("--out", "out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Folder to write.")
@click.option("--split", default="train", show_default=True, metavar="NAME", help="Name of the split.")
@click.option("--raw", is_flag=True, help="Every attempt, too: prompt, request and response.")
@click.option("--include-texts", is_flag=True, help="Put in items' texts and people's answers, known licence or not.")
@click.option("--license", "licence", metavar="ID", help="Licence of the export, as the Hub names it: cc-by-4.0.")
@registry_option
@runs_option
def command(
    run_name: str | None,
    kind: str,
    out: Path,
    split: str,
    raw: bool,
    include_texts: bool,
    licence: str | None,
    registry_path: Path | None,
    runs_path: Path | None,
) -> int:
    """Write a run as tables that other programs open; RUN is the newest one by default.

    The folder holds judgments, participants, items, label distributions, the report's figures, people's answers where
    their licence allows it, and a card. `partynli import DIR` makes a run of it again, with the same figures. The same
    run gives the same bytes.

    \b
    Examples:
      partynli export --out first
      partynli export first --format csv --out first-csv
      partynli export first --raw --include-texts --out all-of-it    for your own archive
      partynli export mine --license cc-by-4.0 --out mine            items of your own go in
    """
    if licence is not None and licence not in LICENCES:
        raise InputError(unknown_name("licence", licence, LICENCES))
    path = find_run(run_name, runs_path)
    options = ExportOptions(kind, split, raw, include_texts, licence)
    with console.status("writing"):
        export = write_export(path, out, options, CardDetails(licence=licence), registry_path)
    _print(export)
    return 0


def write_export(
    path: Path, out: Path, options: ExportOptions, details: CardDetails, registry_path: Path | None = None
) -> Export:
    """Export a run, with its figures, its card and its Croissant description.

    Parameters
    ----------
    path
        Folder of the run.
    out
        Folder to write; hand-written parts of a README.md that is there are kept.
    options, details
        How, and what a person says about it.
    registry_path
        Registry whose mixes are rows of the report.

    Raises
    ------
    InputError
        The folder holds something else, or cannot be written.
    RunError
        The run is being sampled, or was changed meanwhile.
    """
    refuse_foreign(out, path.name)
    if pid := held_by(path):
        raise InputError(f"run {path.name!r} is being sampled (pid {pid}): export it when it is at rest")
    reading = evened(answers_of(path))
    scopes = scopes_of(reading.answers, reading.dataset)
    overview = overview_for(path, reading, scopes, Choices(convention("kulmizev2026")), mixes_in(registry_path))
    with Run.open(path) as run:
        export = export_run(
            run, task_of(run.manifest), reading.dataset, out, options=options, report=as_object(overview)
        )
    card = out / "README.md"
    try:
        old = card.read_text("utf-8") if card.exists() else None
        _write(card, card_text(export, details, old))
        _write(out / "croissant.json", croissant_json(export, details))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{card} cannot be read or written: {' '.join(str(error).split())}") from None
    return export


def _write(file: Path, text: str) -> None:
    part = file.with_name(f".{file.name}.part")
    part.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8", newline="\n")
    part.replace(file)


def _print(export: Export) -> None:
    tables = new_table("table", "rows", "columns", "bytes")
    for name, config in export.configs.items():
        size = sum(file["bytes"] for file in export.files.values() if file["config"] == name)
        tables.add_row(safe(name), f"{config['rows']:,}", f"{len(config['columns']):,}", f"{size:,}")
    console.print(tables)
    if export.synthetic:
        console.print("SYNTHETIC: simulated participants answered, and the card says so", style="bold")
    for what, name in (("items' texts", "items"), ("people's answers", "human")):
        decided = export.licences[name]
        if decided["dataset"] is not None and not decided["included"]:
            line = f"{what} of {decided['dataset']} are left out, but for their hashes: {decided['reason']}"
            console.print(safe(line), soft_wrap=True)
    console.print(f"run [bold]{safe(export.name)}[/bold], exported to {safe(shown(export.path))}", soft_wrap=True)
