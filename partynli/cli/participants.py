"""``partynli participants``: who can be asked."""

from __future__ import annotations

import os
from pathlib import Path

import click

from partynli.cli.options import registry_option
from partynli.cli.output import console, safe, shown
from partynli.cli.preflight import retirement
from partynli.cli.wide import print_rows
from partynli.registry import Registry, load_registry
from partynli.sampling.preflight import missing
from partynli.sampling.strategies import EXPERIMENTS, select


@click.command("participants")
@click.option("--mix", metavar="NAME", help="Only the participants of this mix.")
@click.option("--experiment", metavar="NAME", help="Only those of this experiment, variants included.")
@registry_option
def command(mix: str | None, experiment: str | None, registry_path: Path | None) -> int:
    """List participants, mixes, prices, and which keys are there.

    \b
    Examples:
      partynli participants
      partynli participants --mix hi
      partynli participants --experiment temperature
    """
    registry, path, _ = load_registry(registry_path)
    console.print(f"registry {safe(shown(path))}", style="dim")
    chosen = list(registry.participants.values())
    if mix or experiment:
        selections = select(registry, mixes=[mix] if mix else [], experiments=[experiment] if experiment else [])
        chosen = list({one.id: one for selection in selections for one in selection.participants}.values())
    lacking = missing(chosen, os.environ)
    rows = []
    for one in chosen:
        price = (f"{one.price.input:g}", f"{one.price.output:g}", one.price.as_of) if one.price else ("?", "?", "")
        notes = [lacking[one.name]] if one.name in lacking else []
        if retired := registry.retired(one.name.split("@")[0]):
            notes.append(retirement(retired))
        size = f"{one.size_b:g}B" if one.size_b else ""
        rows.append([one.name, one.provider, one.model, size, *price, "; ".join(notes)])
    heads = ["participant", "provider", "model", "size", "$/M in", "$/M out", "as of", "notes"]
    print_rows(heads, rows, words={1, 2, 7})
    if not (mix or experiment):
        _print_groups(registry)
    return 0


def _print_groups(registry: Registry) -> None:
    for name, members in registry.mixes.items():
        console.print(
            f"mix [bold]{safe(name)}[/bold] ({len(members)}): {safe(', '.join(members))}",
            soft_wrap=not console.is_terminal,
        )
    for name in EXPERIMENTS:
        if name != "single" and getattr(registry.experiments, name):
            groups = [selection.group for selection in select(registry, experiments=[name])]
            console.print(
                f"experiment [bold]{name}[/bold]: {safe(', '.join(groups))}", soft_wrap=not console.is_terminal
            )
