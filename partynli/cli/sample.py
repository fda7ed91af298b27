"""``partynli sample``: from names on the command line to a complete run."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from partynli import __version__
from partynli.cli.batching import lacking_batches, poll_option
from partynli.cli.engines import engine_options, maker
from partynli.cli.options import new_run, prompts_option, registry_option, runs_option
from partynli.cli.output import console, counted, duration, money, safe, shown
from partynli.cli.output import table as new_table
from partynli.cli.rounds import check_engine, check_rounds, until_option
from partynli.cli.running import print_keys, run_to_the_end
from partynli.errors import InputError, MissingKeysError
from partynli.items import check_items, load_dataset
from partynli.prompts import load_task
from partynli.registry import Registry, Retired, load_registry
from partynli.sampling.batches import on_batch_terms
from partynli.sampling.plan import MIN_ROUNDS, Plan
from partynli.sampling.preflight import estimate, missing
from partynli.sampling.settings import ProviderCaps, Settings
from partynli.sampling.strategies import EXPERIMENTS, guided, merge, select
from partynli.store import Run, runs_dir

_ASK_FROM = 1.0
"""Dollars from which a person at a terminal is asked first."""


@click.command("sample")
@click.option("--mix", "mixes", multiple=True, metavar="NAME", help="Participants of a mix: hi, lo, all, demo, ...")
@click.option("--participant", "participants", multiple=True, metavar="NAME", help="One participant; may be repeated.")
@click.option("--experiment", "experiments", multiple=True, metavar="NAME", help=f"One of {', '.join(EXPERIMENTS)}.")
@click.option("--trials", type=click.IntRange(min=1), metavar="N", help="Trials of each participant on each item.")
@click.option(
    "--items", "items_name", metavar="NAME|FILE", help="Dataset (`partynli data`), or a JSONL, CSV or parquet file."
)
@click.option("--task", "task_name", default="livenli", show_default=True, metavar="NAME", help="Folder in prompts/.")
@until_option
@click.option("--run", "run_name", metavar="NAME", help="Name of the run; the same name goes on with it.")
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
    skip = {} if dry_run else _to_skip(lacking, skip_missing, len(chosen))
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
    _warn_of_retired(registry, plan, skip)
    check_prices(plan, skip, max_cost)
    ask_first(priced, caps, skip, asked=not yes and max_cost is None)
    path = new_run(run_name or _free_name(plan, runs_path), runs_path)
    manifest = make_manifest(path.name, plan, registry_hash, shown(found), caps_of(registry))
    if batch:
        manifest["batch"] = True
    settings = Settings(caps=caps, max_cost=max_cost, allow_drift=allow_drift, skip=skip, limit=limit, poll_s=poll_s)
    with Run.begin(path, manifest, chosen, items, plan.groups) as run:
        console.print(
            f"run [bold]{path.name}[/bold]: {counted(len(chosen), 'participant')} x "
            f"{counted(n_items, 'item')} = {'at most ' if until_ci else ''}{counted(len(plan), 'trial')}"
        )
        return run_to_the_end(plan, run, settings, make)


def caps_of(registry: Registry) -> dict[str, ProviderCaps]:
    """The limits that the registry sets for each provider."""
    return {
        name: ProviderCaps(entry.rpm, entry.tpm, entry.concurrency if entry.route not in ("vllm", "hf") else None)
        for name, entry in registry.providers.items()
    }


def make_manifest(
    name: str, plan: Plan, registry_hash: str, registry: str, caps: Mapping[str, ProviderCaps]
) -> dict[str, Any]:
    """Everything that says what a run was: what was planned, by which code, from which files."""
    used = {one.provider for one in plan.participants}
    return {
        "schema": 1,
        "run": name,
        **provenance(),
        "synthetic": plan.synthetic,
        "packages": {package: version(package) for package in ("aiohttp", "litellm", "pydantic")},
        "registry": {"file": registry, "hash": registry_hash},
        "plan": plan.describe(),
        "task": asdict(plan.task),
        "caps": {provider: asdict(cap) for provider, cap in caps.items() if provider in used},
    }


def provenance() -> dict[str, Any]:
    """When a run is made, and by which code."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "partynli": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": sys.platform,
    }


def _commit() -> str | None:
    """The commit of the code that runs, where it runs from a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        asked = subprocess.run(  # noqa: S603 - no input of anyone's in it
            ["git", "-C", str(root), "rev-parse", "HEAD"],  # noqa: S607 - whichever git is on the path
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return asked.stdout.strip()


def _free_name(plan: Plan, runs_path: Path | None) -> str:
    stem = f"{datetime.now():%Y-%m-%d}-{'-'.join(plan.groups)}".replace(":", "-")[:80]
    folder = runs_dir(runs_path)
    number = 1
    while (folder / f"{stem}-{number}").exists():
        number += 1
    return f"{stem}-{number}"


def _to_skip(lacking: Mapping[str, str], skip_missing: bool, n_participants: int) -> dict[str, str]:
    if not lacking:
        return {}
    if not skip_missing:
        raise MissingKeysError(
            f"{'; '.join(_by_reason(lacking))}. Set what is missing, or leave these out with --skip-missing"
        )
    if len(lacking) == n_participants:
        raise MissingKeysError(f"no participant is left: {'; '.join(_by_reason(lacking))}")
    return dict(lacking)


def _by_reason(lacking: Mapping[str, str]) -> list[str]:
    names: dict[str, list[str]] = {}
    for name, why in lacking.items():
        names.setdefault(why, []).append(name)
    return [f"{why} (for {', '.join(those)})" for why, those in names.items()]


def _warn_of_retired(registry: Registry, plan: Plan, skip: Mapping[str, str]) -> None:
    for one in plan.participants:
        base = one.name.split("@")[0]
        retired = registry.retired(base)
        if retired and one.name not in skip:
            console.print(f"[yellow]{safe(one.name)}: {safe(retirement(retired))}[/yellow]")


def retirement(retired: Retired) -> str:
    """One line about a model that is withdrawn, or is going to be."""
    verb = "withdrawn since" if retired.since <= f"{datetime.now(UTC):%Y-%m-%d}" else "to be withdrawn in"
    return f"{verb} {retired.since}" + (f", successor {retired.successor}" if retired.successor else "")


def check_prices(plan: Plan, skip: Mapping[str, str], max_cost: float | None) -> None:
    """Refuse a budget for participants whose price is unknown."""
    if max_cost is None:
        return
    if unpriced := [one.name for one in plan.participants if one.price is None and one.name not in skip]:
        raise InputError(
            f"--max-cost needs a price for every participant; the registry has none for {', '.join(unpriced)}"
        )


def ask_first(plan: Plan, caps: Mapping[str, ProviderCaps], skip: Mapping[str, str], *, asked: bool) -> None:
    """Let a person at a terminal confirm a plan that costs money."""
    if not (asked and sys.stdin.isatty() and console.is_terminal):
        return
    most = sum(one.cost or 0.0 for one in estimate(plan, caps) if one.participant.name not in skip)
    if most >= _ASK_FROM:
        click.confirm(f"{len(plan):,} trials, at most about {money(most)}. Go on?", abort=True)


def print_estimate(plan: Plan, caps: Mapping[str, ProviderCaps], lacking: Mapping[str, str]) -> None:
    """Show what a plan would take."""
    estimates = estimate(plan, caps)
    shown_ = new_table("participant", "calls", "tokens in", "tokens out ≤", "cost ≤", "time ≥", "missing")
    shown_.columns[6].justify = "left"
    shown_.columns[6].no_wrap = False
    for one in estimates:
        name = one.participant.name
        time_ = duration(one.seconds) if one.seconds else ""
        cells = (f"{one.calls:,}", f"{one.tokens_in:,.0f}", f"{one.tokens_out:,.0f}", money(one.cost), time_)
        shown_.add_row(safe(name), *cells, safe(lacking.get(name, "")))
    console.print(shown_)
    print_keys(plan, lacking)
    known = sum(one.cost or 0.0 for one in estimates)
    unknown_ = sum(one.cost is None for one in estimates)
    console.print(
        f"{len(plan):,} calls, at most {money(known)}"
        + (f" and {unknown_} participants whose price is unknown" if unknown_ else "")
        + f", at least {duration(max((one.seconds for one in estimates), default=0.0))}; up to "
        f"{plan.reasks} re-asks of an answer that cannot be read come on top. Nothing was sent."
    )
    if plan.until_ci is not None:
        least = plan.n_items * sum(min(MIN_ROUNDS, most) for most in plan.trials.values())
        console.print(f"--until-ci: from {least:,} calls, where every item is settled at once, to {len(plan):,}")
