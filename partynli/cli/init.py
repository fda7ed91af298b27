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
@click.option("--force", is_flag=True, help="Overwrite files that are there; without it they are kept.")
def command(folder: Path, force: bool) -> int:
    """Copy registry and prompts to FOLDER (here by default), to be edited.

    Commands that run in FOLDER use them from then on. What FOLDER has of them already is kept, and so are tasks of your
    own in prompts/.

    \b
    Example:
      partynli init my-study && cd my-study && partynli participants
    """
    registry, prompts = shipped()
    sources = {path.relative_to(registry.parent): path for path in (registry, *sorted(prompts.iterdir()))}
    kept = [] if force else [name for name in sources if (folder / name).exists()]
    copied = [name for name in sources if name not in kept]
    if not copied:
        raise InputError(f"{shown(folder)} already has {registry.name} and {prompts.name}; --force overwrites")
    try:
        (folder / prompts.name).mkdir(parents=True, exist_ok=True)
        for name in copied:
            if sources[name].is_dir():
                shutil.copytree(sources[name], folder / name, dirs_exist_ok=True)
            else:
                shutil.copyfile(sources[name], folder / name)
    except (OSError, shutil.Error) as error:
        raise InputError(f"{shown(folder)} cannot be written: {error}") from None
    console.print(f"copied {', '.join(map(str, copied))} to {safe(shown(folder.resolve()))}")
    if kept:
        console.print(f"kept as it was: {', '.join(map(str, kept))}; --force overwrites")
    return 0
