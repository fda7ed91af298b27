"""What `sample` and `resume` share: run a plan with progress, let it be stopped, say how it ended."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from typing import Any, Protocol

from partynli.cli.batching import print_open_batches
from partynli.cli.output import console, counted, money, safe
from partynli.cli.progress import Progress
from partynli.cli.rounds import print_standing
from partynli.cli.wide import print_rows
from partynli.derive import derive_judgments, settle_drift
from partynli.errors import RunError, without_kind
from partynli.labels import ERROR
from partynli.sampling.batches import BatchRunner
from partynli.sampling.engine import Engine
from partynli.sampling.ledger import RunLedger
from partynli.sampling.plan import Plan
from partynli.sampling.preflight import key_destinations
from partynli.sampling.settings import Settings, Summary
from partynli.store import Run, Tally, is_remote

_FILES = 65_536
_GRACE_S = 30.0
"""How long a SIGTERM lets calls in flight be answered; Ctrl-C waits until it is pressed again."""


class Runner(Protocol):
    """One way to run a plan: the engine on this machine, or another with the same manners."""

    summary: Summary

    @property
    def in_flight(self) -> int:
        """Calls sent whose answers are not stored yet."""
        ...

    async def run(self) -> Summary:
        """Run the plan to its end, or until it is stopped."""
        ...

    def stop(self) -> None:
        """Start nothing new and wait for what is in flight; a second call gives that up too."""


MakeRunner = Callable[[Plan, Run, Settings], Runner]


def on_this_machine(plan: Plan, run: Run, settings: Settings) -> Runner:
    """The engine, with keys from this process's environment."""
    if plan.until_ci is not None:
        runner: Runner = _standing().in_rounds(plan, run, settings)
        return runner
    return Engine(plan, RunLedger(plan, run, settings.limit), os.environ, settings)


def _standing() -> Any:
    return import_module("partynli.cli.standing")  # arrays take as long to load as all else of `sample`


def in_batches(plan: Plan, run: Run, settings: Settings) -> Runner:
    """The providers' batch APIs, with keys from this process's environment."""
    return BatchRunner(plan, run, os.environ, settings)


def run_to_the_end(plan: Plan, run: Run, settings: Settings, make: MakeRunner = on_this_machine) -> int:
    """Run what is left of a plan; returns the exit code."""
    if make is not in_batches and (open_ := run.batches.open()):
        raise RunError(
            f"run {run.name!r} has {len(open_):,} open batches, whose trials would be asked twice: "
            f"`partynli resume {run.name}` collects them first"
        )
    if is_remote(run.path):
        console.print("runs/ is on a network file system: its database goes without a write-ahead log, more slowly")
    if settings.allow_drift and (settled := settle_drift(run, plan.task)):
        console.print(f"{settled:,} answers of a model that had changed are taken into the run")
    print_keys(plan, settings.skip)
    _allow_connections()
    at_first = None if plan.until_ci is None else _standing().standing(run, plan).due
    with Progress(plan, run.tallies(), at_first) as progress:
        summary = asyncio.run(_run(make(plan, run, replace(settings, on_event=progress.heard)), progress))
    derive_judgments(run, plan.task)
    return _report(plan, run, summary, settings.skip)


def _allow_connections() -> None:
    """Take the file descriptors that the system grants: 1,024 is a common default; a call takes one."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if most == resource.RLIM_INFINITY else min(most, _FILES)
    if resource.RLIM_INFINITY != now < wanted:
        with suppress(ValueError, OSError):  # some systems grant more in name than they do
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


async def _run(engine: Runner, progress: Progress) -> Summary:
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        if not engine.summary.interrupted:
            calls = engine.in_flight
            waits = f": {calls} calls in flight are waited for; Ctrl-C again leaves them" if calls else ""
            console.print(f"stopping{waits}")
        engine.stop()

    def terminated() -> None:
        interrupted()
        loop.call_later(_GRACE_S, engine.stop)

    with suppress(NotImplementedError):  # no signal handlers on this platform's loop
        loop.add_signal_handler(signal.SIGINT, interrupted)
        loop.add_signal_handler(signal.SIGTERM, terminated)
    watching = loop.create_task(_watch(progress))
    try:
        return await engine.run()
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(progress: Progress) -> None:
    while True:
        await asyncio.sleep(progress.interval_s)
        progress.show()


def _report(plan: Plan, run: Run, summary: Summary, skipped: Mapping[str, str]) -> int:
    tallies = run.tallies()
    if plan.synthetic:
        console.print("[bold]SYNTHETIC[/bold]: simulated personas answered, no language model; for trying things out")
    _print_shares(plan, run, tallies)
    stands = None if plan.until_ci is None else _standing().standing(run, plan)
    planned = len(plan) if stands is None else sum(stands.due.values())
    total = [tallies.get(one.id, Tally()) for one in plan.participants]
    settled, valid = sum(tally.settled for tally in total), sum(tally.valid for tally in total)
    cost, unpriced = sum(tally.cost for tally in total), sum(tally.unpriced for tally in total)
    console.print(
        f"{settled:,} of {planned:,} trials done, {valid:,} of them valid; cost {money(cost)}"
        + (f" and {counted(unpriced, 'answer')} whose cost is unknown" if unpriced else "")
    )
    if unread := sum(tally.invalid for tally in total):
        console.print(f"{unread:,} ended without an answer that can be read; why: partynli status {safe(run.name)}")
    if stands is not None:
        print_standing(plan.until_ci, stands.settled, plan.n_items)
    for name, why in summary.stopped.items():
        console.print(
            f"[bold]{safe(name)}[/bold] {'left out' if name in skipped else 'stopped'}: {safe(why)}", soft_wrap=True
        )
    stopped = set(summary.stopped) - set(skipped)
    if summary.failed:
        _print_failures(plan, run)
    print_open_batches(run.batches.open())
    if settled < planned:
        console.print(f"go on with it: partynli resume {safe(run.name)}")
    if summary.interrupted:
        return 130
    if summary.budget_reached:
        console.print("the budget is reached: the worst case of another call would exceed --max-cost")
        return 3
    return 1 if summary.failed or stopped else 0


def print_keys(plan: Plan, without: Collection[str]) -> None:
    """Say which key is sent where: a registry or a run may have been written by somebody else."""
    sent = key_destinations([one for one in plan.participants if one.name not in without])
    if sent:
        lines = (f"{name} goes to {', '.join(places)}" for name, places in sent.items())
        console.print(f"keys: {safe('; '.join(lines))}", style="dim", soft_wrap=True)


def _print_failures(plan: Plan, run: Run) -> None:
    reasons = run.reasons("failed")
    for one in plan.participants:
        if not (found := reasons.get(one.id)):
            continue
        commonest = max(found, key=lambda reason: found[reason])
        others = sum(found.values()) - found[commonest]  # a number of bytes in it makes every reason another one
        rest = f" (and {others:,} with other reasons)" if others else ""
        console.print(
            f"{safe(one.name)}: {found[commonest]:,} calls without an answer: {safe(without_kind(commonest))}{rest}",
            soft_wrap=True,
        )


def _print_shares(plan: Plan, run: Run, tallies: Mapping[str, Tally]) -> None:
    labels = plan.task.labels
    rows = []
    counts = run.label_counts()
    for one in plan.participants:
        tally = tallies.get(one.id, Tally())
        of_label = counts.get(one.id, {})
        valid = sum(count for label, count in of_label.items() if label != ERROR)
        shares = [f"{of_label.get(label, 0) / valid:.2f}" if valid else "" for label in labels]
        cost = money(tally.cost) if not tally.unpriced else f"≥ {money(tally.cost)}"
        begun, again, invalid = f"{tally.begun:,}", f"{tally.reasked:,}", f"{tally.invalid:,}"
        rows.append((one.name, f"{tally.valid:,}", begun, again, invalid, *shares, cost))
    print_rows(("participant", "valid", "of", "asked again", "no judgment", *labels, "cost"), rows)
