"""``partynli sample``: from names on the command line to a complete run."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import click

from partynli.cli.batching import lacking_batches, poll_option
from partynli.cli.engines import engine_options, maker
from partynli.cli.manifests import caps_of, make_manifest
from partynli.cli.options import new_run, prompts_option, registry_option, runs_option
from partynli.cli.output import console, counted, safe, shown
from partynli.cli.preflight import ask_first, check_prices, print_estimate, to_skip, warn_of_retired, warn_of_unfinished
from partynli.cli.rounds import check_engine, check_rounds, until_option
from partynli.cli.running import run_to_the_end
from partynli.items import check_items, load_dataset
from partynli.prompts import load_task
from partynli.registry import load_registry
from partynli.sampling.batches import on_batch_terms
from partynli.sampling.plan import Plan
from partynli.sampling.preflight import missing
from partynli.sampling.settings import Settings
from partynli.sampling.strategies import EXPERIMENTS, guided, merge, select
from partynli.store import Run, runs_dir


@click.command("sample")
@click.option("--mix", "mixes", multiple=True, metavar="NAME", help="A mix: hi, lo, all, demo, ...; may be repeated.")
@click.option("--participant", "participants", multiple=True, metavar="NAME", help="One participant; may be repeated.")
@click.option("--experiment", "experiments", multiple=True, metavar="NAME", help=f"One of {', '.join(EXPERIMENTS)}.")
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    metavar="N",
    help="Trials of each participant on each item; by default 5, or what the registry says of the experiment.",
)
@click.option(
    "--items",
    "items_name",
    metavar="NAME|FILE",
    help="Dataset (`partynli data`), or a JSONL, CSV or parquet file; by default livenli, or what the task names; demo "
    "if all participants are simulated.",
)
@click.option("--task", "task_name", default="livenli", show_default=True, metavar="NAME", help="Folder in prompts/.")
@until_option
@click.option(
    "--run",
    "run_name",
    metavar="NAME",
    help="Name of the run; the same name goes on with it. By default a new one, of date and mix.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Begin at most N trials now.")
@click.option("--max-cost", type=click.FloatRange(min=0), metavar="DOLLARS", help="Stop before this is exceeded.")
@click.option("--dry-run", is_flag=True, help="Show calls, tokens, cost, time and missing keys; send nothing.")
@click.option("--skip-missing", is_flag=True, help="Leave out, for now, participants whose key is not there.")
@click.option("--allow-drift", is_flag=True, help="Accept answers of a model that changed during the run.")
@click.option("--yes", is_flag=True, help="Do not ask before a run that costs money.")
@click.option("--batch", is_flag=True, help="Through the providers' batch APIs: cheaper, within a day.")
@poll_option
@engine_options
@registry_option
@prompts_option
@runs_option
def command(
    mixes: tuple[str, ...],
    participants: tuple[str, ...],
    experiments: tuple[str, ...],
    trials: int | None,
    items_name: str | None,
    task_name: str,
    until_ci: float | None,
    run_name: str | None,
    limit: int | None,
    max_cost: float | None,
    dry_run: bool,
    skip_missing: bool,
    allow_drift: bool,
    yes: bool,
    batch: bool,
    poll_s: float,
    engine: str,
    ray_address: str | None,
    registry_path: Path | None,
    prompts_path: Path | None,
    runs_path: Path | None,
) -> int:
    """Ask participants to annotate items, and keep every answer.

    Asked a second time, with the same --run, it goes on where it was stopped and buys no answer twice.

    \b
    Examples:
      partynli sample --mix demo --trials 5                    no key, no cost: simulated personas
      partynli sample --mix all --trials 5 --dry-run           what it would take
      partynli sample --mix all --trials 5 --max-cost 50
      partynli sample --mix hi --items my.csv --run pilot      your own uid, premise, hypothesis
      partynli sample --mix demo --trials 10 --until-ci 0.3    fewer trials of items that are clear
      partynli sample --experiment temperature
      partynli sample --experiment single --participant grok-3-mini --trials 5
      partynli sample --participant gpt-4.1 --trials 5 --batch  half the price, within a day
    """
    check_engine(until_ci, batch=batch, engine=engine)
    make = maker(engine, ray_address, batch=batch)
    registry, found, registry_hash = load_registry(registry_path)
    console.print(f"registry {safe(shown(found))}, task {safe(task_name)}", style="dim")
    task = load_task(task_name, prompts_path)
    asked = select(registry, mixes=mixes, experiments=experiments, participants=participants, trials=trials)
    selections = guided(asked, task)
    chosen, trials_of = merge(selections)
    # on a cluster, what a participant lacks is seen where its worker runs
    lacking = {} if ray_address else missing(chosen, os.environ)
    if batch:
        lacking = lacking_batches(chosen) | lacking
    skip = {} if dry_run else to_skip(lacking, skip_missing, len(chosen))
    source = items_name or ("demo" if all(one.synthetic for one in chosen) else task.human or "livenli")
    items = load_dataset(source, task.fields, task.labels).items
    n_items = check_items(items).n
    plan = Plan(
        task=task,
        participants=chosen,
        trials=trials_of,
        items=items,
        n_items=n_items,
        groups={selection.group: tuple(one.id for one in selection.participants) for selection in selections},
        item_source=items.name,
        until_ci=until_ci,
    )
    check_rounds(plan)
    caps = {} if batch else caps_of(registry)
    priced = on_batch_terms(plan) if batch else plan
    if dry_run:
        print_estimate(priced, caps, lacking)
        return 0
    warn_of_retired(registry, plan, skip)
    check_prices(plan, skip, max_cost)
    path = new_run(run_name or _free_name(plan, runs_path), runs_path)
    manifest = make_manifest(path.name, plan, registry_hash, shown(found), caps_of(registry))
    if batch:
        manifest["batch"] = True
    if run_name is None:
        warn_of_unfinished(plan, manifest, path.parent)
    ask_first(priced, caps, skip, asked=not yes and max_cost is None)
    settings = Settings(caps=caps, max_cost=max_cost, allow_drift=allow_drift, skip=skip, limit=limit, poll_s=poll_s)
    with Run.begin(path, manifest, chosen, items, plan.groups) as run:
        console.print(
            f"run [bold]{path.name}[/bold]: {counted(len(chosen), 'participant')} x "
            f"{counted(n_items, 'item')} = {'at most ' if until_ci else ''}{counted(len(plan), 'trial')}"
        )
        return run_to_the_end(plan, run, settings, make)


def _free_name(plan: Plan, runs_path: Path | None) -> str:
    stem = f"{datetime.now():%Y-%m-%d}-{'-'.join(plan.groups)}".replace(":", "-")[:80]
    folder = runs_dir(runs_path)
    number = 1
    while (folder / f"{stem}-{number}").exists():
        number += 1
    return f"{stem}-{number}"
