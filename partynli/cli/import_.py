"""``partynli import``: from tables of answers, or from an export, to a run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from partynli.analysis.imported import ODD, Imported, import_tables
from partynli.cli.manifests import provenance
from partynli.cli.options import new_run, prompts_option, runs_option
from partynli.cli.output import console, counted, safe
from partynli.cli.output import table as new_table
from partynli.errors import InputError, ItemsError
from partynli.items import DATASETS, Dataset, load_dataset
from partynli.prompts import load_task
from partynli.publish.tables.folder import Export, read_manifest
from partynli.publish.tables.reading import import_export, task_in
from partynli.records import Item, Task
from partynli.store import refuse_existing

_NAMED = 5
_ITEMS = _TASK = "livenli"
_HUB = "hf:"


@click.command("import")
@click.argument("paths", metavar="FILE...|DIR|hf:USER/NAME", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--run", "run_name", required=True, metavar="NAME", help="Name of the new run.")
@click.option(
    "--items",
    "items_name",
    metavar="NAME|FILE",
    help=f"Dataset (`partynli data`) or file that knows the items' texts; {_ITEMS} for tables, for exports their own.",
)
@click.option("--task", "task_name", metavar="NAME", help=f"Folder in prompts/; {_TASK} for tables, not for exports.")
@prompts_option
@runs_option
def command(
    paths: tuple[Path, ...],
    run_name: str,
    items_name: str | None,
    task_name: str | None,
    prompts_path: Path | None,
    runs_path: Path | None,
) -> int:
    """Make a run of a table of answers, CSV or parquet, or of what `partynli export` wrote.

    Columns of tables: sent_id, participant, and class_multi or class_simple; trial, explanation, participant_type,
    experiment, num_params, temperature and top_p are read where they are there, others are kept. Odd rows are counted
    and named. An export gives the run that it was made of, with the same figures.

    \b
    Examples:
      partynli import partynli.csv --run paper
      partynli import models.parquet humans.csv --run both
      partynli import answers.csv --items my.csv --run mine    your own uid, premise, hypothesis
      partynli import exported --run again                     a folder of partynli export
      partynli import hf:user/name@main --run theirs           the same from the Hugging Face Hub
    """
    path = new_run(run_name, runs_path)
    first = str(paths[0])
    if first.startswith(_HUB) or os.path.isdir(first):  # which takes a name that is too long for none
        if len(paths) > 1 or task_name is not None or prompts_path is not None:
            raise InputError("an export is imported alone, and brings its own task: leave out other files and --task")
        refuse_existing(path)
        with _folder(first) as folder:
            _import_export(read_manifest(folder), path, items_name)
    else:
        refuse_existing(path)  # both before people's answers, which may be fetched for them
        for given in paths:
            if not given.exists():
                raise InputError(f"{given} is not there; see that the path is right")
        task = load_task(task_name or _TASK, prompts_path)
        _import_tables(paths, path, task, _items_of_tables(items_name, task))
    return 0


def _items_of_tables(name: str | None, task: Task) -> Dataset:
    try:
        return load_dataset(name or task.human or _ITEMS, task.fields, task.labels)
    except ItemsError as error:
        if name is not None:
            raise
        raise ItemsError(f"{error}; if the answers are to other items, name their file: --items FILE") from None


def _import_tables(paths: tuple[Path, ...], path: Path, task: Task, dataset: Dataset) -> None:
    with console.status("reading"):
        done = import_tables(paths, path, task, dataset, provenance())
    _print_groups(done)
    _print_unknown(done, dataset.name)
    _print_odd(done)
    rows = ", ".join(f"{counted(n, 'row')} of {safe(name)}" for name, n in done.files)
    console.print(
        f"run [bold]{path.name}[/bold]: {counted(done.n_judgments, 'answer')}, {done.n_errors:,} of them without a "
        f"label, by {counted(len(done.cast.participants), 'participant')} on {counted(done.n_items, 'item')}; "
        f"from {rows}",
        soft_wrap=True,
    )
    if done.synthetic:
        console.print("SYNTHETIC: the table says that simulated participants answered", style="bold")
    console.print(counted(done.odd.total, "warning") if done.odd else "no warnings")


@contextmanager
def _folder(given: str) -> Iterator[Path]:
    """The folder of an export, fetched from the Hub where it is there."""
    if not given.startswith(_HUB):
        yield Path(given)
        return
    repo_id, at, revision = given.removeprefix(_HUB).partition("@")
    if at and not revision:
        raise InputError(f"{given!r} names no revision behind the @: leave it out, or name a branch or a commit")
    try:
        fetch = import_module("partynli.publish.hub.fetching").fetch  # only here: other imports go without it
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "huggingface_hub":
            raise
        raise InputError("hf: needs huggingface_hub: pip install 'partynli[hub]'") from None
    with TemporaryDirectory(prefix="partynli-") as scratch:
        with console.status("fetching"):
            fetch(repo_id, revision or None, Path(scratch))
        yield Path(scratch)


def _import_export(export: Export, path: Path, items_name: str | None) -> None:
    task = task_in(export)
    known, note = _known_items(export, task, items_name)
    with console.status("reading"):
        done = import_export(export, path, task, known, provenance())
    if done.without_texts:
        why = f": {note}" if note else ", where their texts are not the ones that were shown"
        console.print(f"{counted(done.without_texts, 'item')} without texts here{safe(why)}", soft_wrap=True)
    if not done.people and (about := export.licences.get("human", {})).get("dataset"):
        line = f"people's answers are not in the export; figures take those of {about['dataset']} if they are at hand"
        console.print(safe(line), soft_wrap=True)
    if export.synthetic:
        console.print("SYNTHETIC: simulated participants answered", style="bold")
    attempts = f", with {done.n_attempts:,} attempts" if done.n_attempts else ""
    console.print(
        f"run [bold]{path.name}[/bold]: {counted(done.n_judgments, 'answer')}, {done.n_errors:,} of them without a "
        f"label, by {counted(done.n_participants, 'participant')} on {counted(done.n_items, 'item')}{attempts}; "
        f"from an export of {safe(export.name)}",
        soft_wrap=True,
    )


def _known_items(export: Export, task: Task, items_name: str | None) -> tuple[Iterable[Item], str]:
    """Items whose texts may stand in for those that an export leaves out, and why there are none."""
    decided = export.licences.get("items", {})
    name = items_name or str(decided.get("dataset") or "")
    if decided.get("included") or not (items_name or name in DATASETS):
        return (), f"an import opens {name} only if --items names it" if name else ""
    try:
        return load_dataset(name, task.fields, task.labels).items, ""
    except ItemsError as error:
        if items_name:
            raise
        return (), str(error)


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
        named = _first([f"{uid[:40]} ({counted(n, 'row')})" for uid, n in done.unknown.items()])
        hint = "; --items names the file that knows them" if len(done.unknown) == done.n_items else ""
        console.print(
            f"{counted(len(done.unknown), 'item')} not in {safe(dataset)}; kept, without texts: {named}{hint}",
            soft_wrap=True,
        )
    if done.incomplete:
        console.print(
            f"{counted(len(done.incomplete), 'trial')} without all items: {_first(done.incomplete)}", soft_wrap=True
        )
    if done.relisted:
        console.print(f"{counted(done.relisted, 'row')} with the same answer for another experiment; it is stored once")


def _print_odd(done: Imported) -> None:
    for kind, found in done.odd.items():
        more = found.count - len(found.examples)
        named = safe(", ".join(found.examples)) + (f" and {more:,} more" if more > 0 else "")
        what = counted(found.count, "participant" if kind == "gap" else "row")
        console.print(f"[yellow]{what}: {ODD[kind]}: {named}[/yellow]", soft_wrap=True)


def _first(names: list[str] | tuple[str, ...]) -> str:
    more = len(names) - _NAMED
    return safe(", ".join(names[:_NAMED])) + (f" and {more:,} more" if more > 0 else "")
