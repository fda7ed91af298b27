"""``partynli data``: which datasets there are, and where their files lie."""

from __future__ import annotations

from importlib import import_module

import click

from partynli.cli.output import console, counted, safe
from partynli.cli.output import table as new_table
from partynli.errors import ItemsError, unknown_name
from partynli.items import DATASETS, check_items, load_dataset
from partynli.items.download import RemoteFile, locate


@click.command("data")
@click.option("--fetch", metavar="NAME", help="Download a dataset, check it, and keep it.")
def command(fetch: str | None) -> int:
    """List datasets and where their files lie, or fetch one.

    Files are looked for below $PARTYNLI_DATA, then in $PARTYNLI_CACHE (by default ~/.cache/partynli), and are
    downloaded at need. Each is checked against its SHA-256.

    \b
    Examples:
      partynli data
      partynli data --fetch livenli
    """
    if fetch is not None:
        return _fetch(fetch)
    rows = new_table("dataset", "what", "file", left=3)
    for column in rows.columns[1:]:
        column.no_wrap, column.overflow = False, "fold"
    for name, (module, what) in DATASETS.items():
        files: tuple[RemoteFile, ...] = getattr(import_module(module), "FILES", ())
        rows.add_row(name, safe(what), "\n".join(_place(name, file) for file in files) or "comes with partynli")
    console.print(rows)
    console.print("any .jsonl or .csv file with uid and the task's texts can be given to --items as well")
    return 0


def _fetch(name: str) -> int:
    if name not in DATASETS:
        raise ItemsError(unknown_name("dataset", name, DATASETS))
    dataset = load_dataset(name)
    answers = f", {len(dataset.annotations):,} human answers" if dataset.annotations else ""
    console.print(f"{safe(name)}: {counted(check_items(dataset.items).n, 'item')}{answers}")
    if sources := ", ".join(dataset.distributions):
        console.print(f"people's label counts: {safe(sources)}")
    console.print(f"source {safe(dataset.source)}; licence {safe(dataset.licence)}", soft_wrap=True)
    return 0


def _place(name: str, file: RemoteFile) -> str:
    try:
        found = locate(file)
    except ItemsError as error:
        return safe(str(error))
    return safe(str(found)) if found else f"not here yet: partynli data --fetch {safe(name)}"
