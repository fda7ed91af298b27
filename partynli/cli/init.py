"""``partynli init``: a registry and prompts of one's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from partynli.cli.output import console, safe, shown
from partynli.datafiles import shipped
from partynli.errors import InputError


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option("--force", is_flag=True, help="Overwrite a registry or prompts that are there.")
def command(folder: Path, force: bool) -> int:
    """Copy registry and prompts to FOLDER (here by default), to be edited.

    Commands that run in FOLDER use them from then on.

    \b
    Example:
      partynli init my-study && cd my-study && partynli participants
    """
    sources = shipped()
    there = [path.name for path in sources if (folder / path.name).exists()]
    if there and not force:
        raise InputError(f"{shown(folder)} already has {' and '.join(there)}; --force overwrites")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source in sources:
            if source.is_dir():
                shutil.copytree(source, folder / source.name, dirs_exist_ok=True)
            else:
                shutil.copyfile(source, folder / source.name)
    except (OSError, shutil.Error) as error:
        raise InputError(f"{shown(folder)} cannot be written: {error}") from None
    console.print(f"copied {' and '.join(source.name for source in sources)} to {safe(shown(folder.resolve()))}")
    return 0
