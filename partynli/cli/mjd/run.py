"""``partynli mjd run``: option scores of every prompt, asked and kept like any other answer."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from partynli.cli.manifests import caps_of, make_manifest
from partynli.cli.options import new_run, prompts_option, registry_option, runs_option
from partynli.cli.output import console, money, safe, shown
from partynli.cli.preflight import ask_first, check_prices, print_estimate
from partynli.cli.running import run_to_the_end
from partynli.datafiles import find_task
from partynli.errors import InputError, ItemsError, MissingKeysError
from partynli.hashing import text_hash
from partynli.items import check_items, load_dataset
from partynli.items.explanation_files import Explanations, human_explanations, read_explanations
from partynli.records import Item
from partynli.registry import load_registry
from partynli.sampling.plan import Plan
from partynli.sampling.preflight import estimate, missing
from partynli.sampling.settings import ProviderCaps, Settings
from partynli.store import Run
from partynli.studies.mjd.asking import Prompts, scores_plan
from partynli.studies.mjd.design import Design, Mode
from partynli.studies.mjd.wording import load_wording

_FIELDS = ("premise", "hypothesis")


@click.command("run")
@click.option("--participant", "name", required=True, metavar="NAME", help="Who is asked, of the registry.")
@click.option("--items", "items_name", default="varierr341", show_default=True, metavar="NAME|FILE", help="Items.")
@click.option(
    "--explanations",
    "source",
    default="none",
    show_default=True,
    metavar="none|human|FILE",
    help="Shown with each item: VariErr's, or those of a JSONL file.",
)
@click.option("--by", metavar="NAME", help="Whose explanations, of a file with those of several participants.")
@click.option(
    "--mode",
    type=click.Choice(["serial", "parallel"]),
    default="serial",
    show_default=True,
    help="All explanations in one prompt, or one in each.",
)
@click.option("--explicit", is_flag=True, help="Show the label with each explanation.")
@click.option(
    "--count", type=click.IntRange(min=0), metavar="K", help="Explanations in a serial prompt, all by default."
)
@click.option("--orders", default="all", show_default=True, metavar="all|N", help="Orders of explanations an item.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Of the orders.")
@click.option("--run", "run_name", metavar="NAME", help="Name of the run; the same name goes on with it.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Begin at most N prompts now.")
@click.option("--max-cost", type=click.FloatRange(min=0), metavar="DOLLARS", help="Stop before this is exceeded.")
@click.option("--dry-run", is_flag=True, help="Show prompts, tokens, cost, time and missing keys; send nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before a run that costs money.")
@registry_option
@prompts_option
@runs_option
def run(
    name: str,
    items_name: str,
    source: str,
    by: str | None,
    mode: Mode,
    explicit: bool,
    count: int | None,
    orders: str,
    seed: int,
    run_name: str | None,
    limit: int | None,
    max_cost: float | None,
    dry_run: bool,
    yes: bool,
    registry_path: Path | None,
    prompts_path: Path | None,
    runs_path: Path | None,
) -> int:
    """Ask for the scores of the options, in all 6 orders and with the explanations in every order.

    An item takes 6 prompts without explanations, 24 with four of them one by one (parallel), and 144 with four in one
    prompt (serial). The same command goes on where it was stopped and asks nothing twice.

    \b
    Examples:
      partynli mjd run --participant sim-typical
      partynli mjd run --participant llama-3-70b --explanations human --mode serial --explicit --dry-run
      partynli mjd run --participant gpt-4o --explanations human --mode parallel --max-cost 20
      partynli mjd run --participant hf-llama-3-8b --explanations llama3/label-free-first.jsonl --orders 6 --seed 1
    """
    if source == "none" and (explicit or count or by):
        raise InputError(
            "--explicit, --count and --by say how explanations are shown; add --explanations human or FILE"
        )
    if mode == "parallel" and count is not None:
        raise InputError("--mode parallel shows one explanation in each prompt; leave out --count")
    design = Design(mode, explicit, count, _orders(orders), seed)
    wording = load_wording(prompts_path)
    console.print(f"prompts {safe(shown(find_task('mjd', prompts_path)))}", style="dim")
    dataset = load_dataset(items_name, _FIELDS, wording.plain.labels)
    check_items(dataset.items)
    items = list(dataset.items)
    explanations = _explanations(source, by, dataset.name, items)
    if explanations is not None and (bare := [one for one in items if one.uid not in explanations]):
        console.print(f"note: {len(bare):,} of {len(items):,} items have no explanation and are left out", style="dim")
        items = [one for one in items if one.uid in explanations]
    if explanations and count and (few := sum(len(explanations[one.uid]) < count for one in items)):
        console.print(f"note: {few:,} of {len(items):,} items have fewer than {count} explanations: all are shown")
    prompts = Prompts(items, explanations, wording, design)
    registry, found, registry_hash = load_registry(registry_path)
    plan = scores_plan(registry.participant(name), prompts, dataset.name)
    (asked,) = plan.participants
    caps = caps_of(registry)
    lacking = missing(plan.participants, os.environ)
    if dry_run:
        print_estimate(plan, caps, lacking)
        return 0
    check_prices(plan, {}, max_cost)
    _say_size(plan, len(items), caps)
    path = new_run(run_name or _name(asked.name, source, design), runs_path)
    if lacking:
        raise MissingKeysError("; ".join(f"{one}: {why}" for one, why in lacking.items()) + ". Set what is missing")
    if not (path / "manifest.json").exists():
        ask_first(plan, caps, {}, asked=not yes and max_cost is None)
    manifest = make_manifest(path.name, plan, registry_hash, shown(found), caps)
    manifest["mjd"] = _described(items_name, items, source, by, design)
    settings = Settings(caps=caps, max_cost=max_cost, limit=limit)
    with Run.begin(path, manifest, plan.participants, plan.items, plan.groups) as stored:
        console.print(f"run [bold]{safe(stored.name)}[/bold]", soft_wrap=True)
        code = run_to_the_end(plan, stored, settings)
    if not code:
        console.print(f"distributions: partynli mjd report {safe(path.name)}", soft_wrap=True)
    return code


def _orders(given: str) -> int | None:
    if given == "all":
        return None
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= 100_000:
        raise InputError(f"--orders takes all or a number of at least 1, not {given[:40]!r}")
    return int(given)


def _explanations(source: str, by: str | None, dataset: str, items: Sequence[Item]) -> Explanations | None:
    if source == "none":
        return None
    if source != "human":
        return read_explanations(Path(source), items, by)
    if dataset != "varierr341":
        raise ItemsError(f"--explanations human are VariErr's, of the items varierr341, not of {dataset}; name a file")
    return human_explanations()


def _say_size(plan: Plan, n_items: int, caps: Mapping[str, ProviderCaps]) -> None:
    (one,) = estimate(plan, caps)
    cost = "a price that is not known" if one.cost is None else f"at most about {money(one.cost)}"
    console.print(
        f"{n_items:,} items, {len(plan) / n_items:g} prompts each: {len(plan):,} prompts, "
        f"about {one.tokens_in:,.0f} tokens, {cost}",
        soft_wrap=True,
    )


def _described(items_name: str, items: Sequence[Item], source: str, by: str | None, design: Design) -> dict[str, Any]:
    """What a report has to know of the study, beside the plan."""
    file = {} if source in ("none", "human") else {"hash": text_hash(Path(source).read_text("utf-8"))}
    shown_as = "none" if source == "none" else asdict(design)
    return {
        "items": items_name,
        "n_items": len(items),
        "explanations": {"source": source, "by": by, **file},
        "design": shown_as,
    }


def _name(participant: str, source: str, design: Design) -> str:
    """Name of a run, the same for the same command.

    >>> _name("m@temperature=0.5", "human", Design("serial", explicit=True, orders=6))
    'mjd-m-temperature-0.5-human-serial-explicit-6'
    """
    how = [] if source == "none" else [design.mode, "explicit" if design.explicit else ""]
    how += [] if source == "none" or design.count is None else [f"of{design.count}"]
    how += [] if source == "none" or design.orders is None else [str(design.orders)]
    parts = ["mjd", participant, Path(source).stem, *how]
    return re.sub(r"[^A-Za-z0-9._+-]", "-", "-".join(filter(None, parts)))[:100]
