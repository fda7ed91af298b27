"""``partynli explain``: explanations that models give for every label, and what is made of them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import click
from click.core import ParameterSource

from partynli.cli.explain.export import Choice, check, export, pick_options, say_and_write, votes_of
from partynli.cli.explain.sets import command_variability, curve, replace
from partynli.cli.explain.sets import select as select_validated
from partynli.cli.manifests import caps_of, make_manifest
from partynli.cli.options import new_run, prompts_option, registry_option, runs_option
from partynli.cli.output import console, safe, shown
from partynli.cli.preflight import ask_first, check_prices, print_estimate
from partynli.cli.running import run_to_the_end
from partynli.errors import InputError, MissingKeysError
from partynli.items import check_items, load_dataset
from partynli.listing import VERDICT
from partynli.prompts import load_task
from partynli.registry import load_registry
from partynli.sampling.preflight import missing
from partynli.sampling.settings import Settings
from partynli.sampling.strategies import merge, select
from partynli.store import Run
from partynli.studies.explain.answers import answers_of
from partynli.studies.explain.asking import TASK, explain_plan
from partynli.studies.explain.picking import How, Mode


@click.group("explain", invoke_without_command=True)
@click.option("--mix", "mixes", multiple=True, metavar="NAME", help="Participants of a mix.")
@click.option("--participant", "participants", multiple=True, metavar="NAME", help="One participant; may be repeated.")
@click.option("--items", "items_name", default="varierr341", show_default=True, metavar="NAME|FILE", help="Items.")
@pick_options
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Where to write; in the run by default.")
@click.option("--run", "run_name", metavar="NAME", help="Name of the run; the same name goes on with it.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Begin at most N prompts now.")
@click.option("--max-cost", type=click.FloatRange(min=0), metavar="DOLLARS", help="Stop before this is exceeded.")
@click.option("--dry-run", is_flag=True, help="Show calls, tokens, cost, time and missing keys; send nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before a run that costs money.")
@registry_option
@prompts_option
@runs_option
@click.pass_context
def command(
    context: click.Context,
    mixes: tuple[str, ...],
    participants: tuple[str, ...],
    items_name: str,
    mode: Mode,
    labels: str | None,
    how: How,
    out: Path | None,
    run_name: str | None,
    limit: int | None,
    max_cost: float | None,
    dry_run: bool,
    yes: bool,
    registry_path: Path | None,
    prompts_path: Path | None,
    runs_path: Path | None,
) -> int:
    """Ask for explanations of every label of every item, and pick some (Chen et al. 2025).

    Each item and label is one prompt. All three labels are asked for, whatever is picked, so that one run serves every
    way to pick: `partynli explain export` picks anew and sends nothing. The same command goes on where it was stopped.

    \b
    Examples:
      partynli explain --participant sim-typical               no key, no cost: a simulated persona
      partynli explain --participant gpt-4o --dry-run
      partynli explain --participant gpt-4o --mode label-guided --labels varierr --pick longest --max-cost 10
      partynli explain export --mode label-guided --labels mnli --pick first --out guided.jsonl
    """
    if context.invoked_subcommand is not None:
        given = [name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
        if given:
            raise InputError(f"options of `explain {context.invoked_subcommand}` go behind its name")
        return 0
    task = load_task(TASK, prompts_path)
    registry, found, registry_hash = load_registry(registry_path)
    dataset = load_dataset(items_name, [field for field in task.fields if field != VERDICT], task.labels)
    choice = Choice(mode, labels, how)
    votes = votes_of(choice, items_name)
    selections = select(registry, mixes=mixes, participants=participants, trials=1)
    chosen, _ = merge(selections)
    groups = {one.group: tuple(each.id for each in one.participants) for one in selections}
    plan = explain_plan(task, chosen, groups, dataset.items, check_items(dataset.items).n)
    caps, lacking = caps_of(registry), missing(chosen, os.environ)
    if dry_run:
        print_estimate(plan, caps, lacking)
        return 0
    check_prices(plan, {}, max_cost)
    path = new_run(run_name or name_of(items_name, [*mixes, *participants]), runs_path)
    if lacking:
        raise MissingKeysError("; ".join(f"{name}: {why}" for name, why in lacking.items()) + ". Set what is missing")
    if not (path / "manifest.json").exists():
        ask_first(plan, caps, {}, asked=not yes and max_cost is None)
    manifest = make_manifest(path.name, plan, registry_hash, shown(found), caps)
    manifest["explain"] = {"items": items_name}
    settings = Settings(caps=caps, max_cost=max_cost, limit=limit)
    with Run.begin(path, manifest, plan.participants, plan.items, plan.groups) as run:
        console.print(f"run [bold]{safe(run.name)}[/bold]: {len(plan):,} prompts, one for each item and label")
        code = run_to_the_end(plan, run, settings)
        if code or sum(tally.settled for tally in run.tallies().values()) < len(plan):
            console.print(
                "nothing is picked before all is answered: the same command goes on, and `partynli explain export` "
                "picks from what is there",
                soft_wrap=True,
            )
            return code
        say_and_write(answers_of(run), votes, choice, out or path / choice.file_name)
    return 0


def name_of(items: str, who: Sequence[str]) -> str:
    """Name of a run, the same for the same command.

    >>> name_of("varierr341", ["m@temperature=0.5"])
    'explain-varierr341-m-temperature-0.5'
    """
    if not who:
        raise InputError("who explains? name a --participant or a --mix (`partynli participants` lists them)")
    return re.sub(r"[^A-Za-z0-9._+-]", "-", "-".join(["explain", Path(items).stem, *who]))[:100]


for one in (export, check, replace, select_validated, curve, command_variability):
    command.add_command(one)
