"""What is checked, said and asked before a plan is begun."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from partynli.cli.output import console, counted, duration, money, safe
from partynli.cli.running import print_keys
from partynli.cli.wide import print_rows
from partynli.errors import InputError, MissingKeysError, RunError
from partynli.registry import Registry, Retired
from partynli.sampling.plan import MIN_ROUNDS, Plan
from partynli.sampling.preflight import estimate
from partynli.sampling.settings import ProviderCaps
from partynli.store import Run, list_runs

_ASK_FROM = 1.0
"""Dollars from which a person at a terminal is asked first."""


def to_skip(lacking: Mapping[str, str], skip_missing: bool, n_participants: int) -> dict[str, str]:
    """Who is left out for want of a key or the like, and why; refused unless it was asked for."""
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


def warn_of_retired(registry: Registry, plan: Plan, skip: Mapping[str, str]) -> None:
    """Say which models are withdrawn, or are going to be."""
    for one in plan.participants:
        base = one.name.split("@")[0]
        retired = registry.retired(base)
        if retired and one.name not in skip:
            console.print(f"[yellow]{safe(one.name)}: {safe(retirement(retired))}[/yellow]")


def retirement(retired: Retired) -> str:
    """One line about a model that is withdrawn, or is going to be."""
    verb = "withdrawn since" if retired.since <= f"{datetime.now(UTC):%Y-%m-%d}" else "to be withdrawn in"
    return f"{verb} {retired.since}" + (f", successor {retired.successor}" if retired.successor else "")


def warn_of_unfinished(plan: Plan, manifest: Mapping[str, Any], folder: Path) -> None:
    """Say that the newest run is of this plan and not done: without its name, all of it would be bought anew."""
    runs = list_runs(folder)
    if not runs or plan.synthetic or plan.until_ci is not None:
        return
    with suppress(RunError), Run.open(runs[-1]) as run:
        run.check_same_plan(manifest)
        settled = sum(tally.settled for tally in run.tallies().values())
        if settled < len(plan):
            console.print(
                f"[yellow]run {safe(run.name)} has the same plan and {settled:,} of {len(plan):,} trials done; this is "
                f"a new run and asks all of them. To go on with that one: partynli resume {safe(run.name)}[/yellow]",
                soft_wrap=True,
            )


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
    rows = []
    for one in estimates:
        time_ = duration(one.seconds) if one.seconds else ""
        cells = (f"{one.calls:,}", f"{one.tokens_in:,.0f}", f"{one.tokens_out:,.0f}", money(one.cost), time_)
        rows.append((one.participant.name, *cells))
    print_rows(("participant", "calls", "tokens in", "tokens out ≤", "cost ≤", "time ≥"), rows)
    for line in _by_reason(lacking):
        console.print(f"[yellow]missing: {safe(line)}[/yellow]", soft_wrap=True)
    print_keys(plan, lacking)
    known = sum(one.cost or 0.0 for one in estimates)
    unknown_ = sum(one.cost is None for one in estimates)
    console.print(
        f"{len(plan):,} calls, at most {money(known)}"
        + (f" and {counted(unknown_, 'participant')} whose price is unknown" if unknown_ else "")
        + f", at least {duration(max((one.seconds for one in estimates), default=0.0))}; up to "
        f"{plan.reasks} re-asks of an answer that cannot be read come on top. Nothing was sent."
    )
    if plan.until_ci is not None:
        least = plan.n_items * sum(min(MIN_ROUNDS, most) for most in plan.trials.values())
        console.print(f"--until-ci: from {least:,} calls, where every item is settled at once, to {len(plan):,}")
