"""``partynli import``: from tables of answers to a run."""

from __future__ import annotations

from pathlib import Path

import click

from partynli.analysis.imported import ODD, Imported, import_tables
from partynli.cli.options import new_run, prompts_option, runs_option
from partynli.cli.output import console, safe
from partynli.cli.output import table as new_table
from partynli.cli.sample import provenance
from partynli.items import load_dataset
from partynli.prompts import load_task

_NAMED = 5


@click.command("import")
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--run", "run_name", required=True, metavar="NAME", help="Name of the new run.")
@click.option(
    "--items",
    "items_name",
    default="livenli",
    show_default=True,
    metavar="NAME|FILE",
    help="Dataset (`partynli data`) or file that knows the items' texts.",
)
@click.option("--task", "task_name", default="livenli", show_default=True, metavar="NAME", help="Folder in prompts/.")
@prompts_option
@runs_option
def command(
    paths: tuple[Path, ...],
    run_name: str,
    items_name: str,
    task_name: str,
    prompts_path: Path | None,
    runs_path: Path | None,
) -> int:
    """Make a run of a table of answers, CSV or parquet.

    Columns: sent_id, participant, and class_multi or class_simple; trial, explanation, participant_type, experiment,
    num_params, temperature and top_p are read where they are there, others are kept. Odd rows are counted and named.

    \b
    Examples:
      partynli import partynli.csv --run paper
      partynli import models.parquet humans.csv --run both
      partynli import answers.csv --items my.csv --run mine    your own uid, premise, hypothesis
    """
    task = load_task(task_name, prompts_path)
    path = new_run(run_name, runs_path)
    dataset = load_dataset(items_name, task.fields, task.labels)
    with console.status("reading"):
        done = import_tables(paths, path, task, dataset, provenance())
    _print_groups(done)
    _print_unknown(done, dataset.name)
    _print_odd(done)
    rows = ", ".join(f"{n:,} rows of {safe(name)}" for name, n in done.files)
    console.print(
        f"run [bold]{path.name}[/bold]: {done.n_judgments:,} answers, {done.n_errors:,} of them without a label, by "
        f"{len(done.cast.participants):,} participants on {done.n_items:,} items; from {rows}",
        soft_wrap=True,
    )
    if done.synthetic:
        console.print("SYNTHETIC: the table says that simulated participants answered", style="bold")
    console.print(f"{done.odd.total:,} warnings" if done.odd else "no warnings")
    return 0


def _print_groups(done: Imported) -> None:
    if not done.cast.groups:
        return
    shown = new_table("group", "participants", "trials", "answers")
    for name, members in done.cast.groups.items():
        blocks = {block: n for block, n in done.rows_of.items() if block[0] in members}
        trials = max((trial for _, trial in blocks), default=0)
        shown.add_row(safe(name), f"{len(members):,}", f"{trials:,}", f"{sum(blocks.values()):,}")
    console.print(shown)


def _print_unknown(done: Imported, dataset: str) -> None:
    if done.unknown:
        named = _first([f"{uid[:40]} ({n:,} rows)" for uid, n in done.unknown.items()])
        console.print(
            f"{len(done.unknown):,} items are not in {safe(dataset)}; kept, without texts: {named}", soft_wrap=True
        )
    if done.incomplete:
        console.print(f"{len(done.incomplete):,} trials lack items: {_first(done.incomplete)}", soft_wrap=True)
    if done.relisted:
        console.print(f"{done.relisted:,} rows list the same answer for another experiment; it is stored once")


def _print_odd(done: Imported) -> None:
    for kind, found in done.odd.items():
        more = found.count - len(found.examples)
        named = safe(", ".join(found.examples)) + (f" and {more:,} more" if more > 0 else "")
        what = f"{found.count:,} participants have " if kind == "gap" else f"{found.count:,} rows: "
        console.print(f"[yellow]{what}{ODD[kind]}: {named}[/yellow]", soft_wrap=True)


def _first(names: list[str] | tuple[str, ...]) -> str:
    more = len(names) - _NAMED
    return safe(", ".join(names[:_NAMED])) + (f" and {more:,} more" if more > 0 else "")
