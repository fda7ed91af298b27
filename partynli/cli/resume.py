"""``partynli resume``: go on with a run, from its folder alone."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import click

from partynli.cli.batching import lacking_batches, poll_option, was_batched
from partynli.cli.engines import engine_options, maker
from partynli.cli.manifests import caps_of
from partynli.cli.options import find_run, registry_option, runs_option
from partynli.cli.output import console, safe
from partynli.cli.rounds import check_engine
from partynli.cli.running import run_to_the_end
from partynli.errors import InputError, MissingKeysError, RunError
from partynli.prompts import task_of
from partynli.registry import load_registry
from partynli.sampling.plan import Plan, width_of
from partynli.sampling.preflight import missing
from partynli.sampling.settings import ProviderCaps, Settings
from partynli.store import Run

_REACH = (
    "provider",
    "api_base",
    "api_key_env",
    "price",
    "batch",
    "max_output_tokens",
    "rpm",
    "tpm",
    "concurrency",
    "timeout_s",
)


@click.command("resume")
@click.argument("run_name", metavar="[RUN]", required=False)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Begin at most N trials now.")
@click.option("--max-cost", type=click.FloatRange(min=0), metavar="DOLLARS", help="What the run may cost in all.")
@click.option("--skip-missing", is_flag=True, help="Leave out, for now, participants whose key is not there.")
@click.option("--allow-drift", is_flag=True, help="Accept answers of a model that changed during the run.")
@click.option("--batch/--no-batch", default=None, help="In batches; by default where the run was begun so.")
@click.option("--forget-lost", is_flag=True, help="Ask anew what batches held that their provider no longer knows.")
@poll_option
@engine_options
@registry_option
@runs_option
def command(
    run_name: str | None,
    limit: int | None,
    max_cost: float | None,
    skip_missing: bool,
    allow_drift: bool,
    batch: bool | None,
    forget_lost: bool,
    poll_s: float,
    engine: str,
    ray_address: str | None,
    registry_path: Path | None,
    runs_path: Path | None,
) -> int:
    """Go on with a run that was stopped; RUN is the newest one by default.

    The run's folder holds all that is needed, on any machine; keys come from the environment. With --registry,
    addresses, limits and prices are taken from there; who takes part and what is asked stay as they were.

    \b
    Examples:
      partynli resume
      partynli resume pilot --max-cost 20
    """
    path = find_run(run_name, runs_path)
    with Run.sampling(path) as run:
        if "imported" in run.manifest:
            raise RunError(
                f"run {run.name!r} was imported: its answers came in a table, and there is nothing to go on with; "
                "import other tables under another --run"
            )
        batched = was_batched(run) if batch is None else batch
        check_engine(width_of(run.manifest["plan"]), batch=batched, engine=engine)
        make = maker(engine, ray_address, batch=batched)
        if forget_lost:
            console.print(f"{run.batches.forget_lost():,} lost batches are forgotten")
        plan = plan_of(run)
        caps = {name: ProviderCaps(**given) for name, given in run.manifest["caps"].items()}
        if registry_path is not None:
            plan, caps = _with_registry(plan, caps, registry_path)
        lacking = {} if ray_address else missing(plan.participants, os.environ)
        if lacking and not skip_missing:
            named = "; ".join(f"{name}: {why}" for name, why in lacking.items())
            raise MissingKeysError(f"{named}. Set what is missing, or add --skip-missing")
        if batched:
            lacking |= lacking_batches(plan.participants)
        if max_cost is not None and (unpriced := [one.name for one in plan.participants if one.price is None]):
            raise InputError(f"--max-cost needs a price for every participant; there is none for {', '.join(unpriced)}")
        settings = Settings(
            caps=caps, max_cost=max_cost, allow_drift=allow_drift, skip=lacking, limit=limit, poll_s=poll_s
        )
        console.print(f"run [bold]{safe(run.name)}[/bold]: {len(plan):,} trials planned")
        return run_to_the_end(plan, run, settings, make)


def plan_of(run: Run) -> Plan:
    """The plan of a run, as its folder keeps it."""
    kept = run.manifest["plan"]
    return Plan(
        task=task_of(run.manifest),
        participants=tuple(run.participants().values()),
        trials=dict(zip(kept["participants"], kept["trials"], strict=True)),
        items=run.items,
        n_items=kept["n_items"],
        groups={name: tuple(members) for name, members in kept["groups"].items()},
        item_source=kept["items"],
        reasks=kept["reasks"],
        until_ci=width_of(kept),
    )


def _with_registry(plan: Plan, caps: dict[str, ProviderCaps], path: Path) -> tuple[Plan, dict[str, ProviderCaps]]:
    registry, _, _ = load_registry(path)
    renewed = []
    for one in plan.participants:
        now = registry.participants.get(one.name.split("@")[0])
        renewed.append(one if now is None else replace(one, **{field: getattr(now, field) for field in _REACH}))
    return replace(plan, participants=tuple(renewed)), {**caps, **caps_of(registry)}
