"""``partynli status``: what of a run is done."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from importlib import import_module
from pathlib import Path

import click

from partynli.cli.batching import print_open_batches
from partynli.cli.options import find_run, runs_option
from partynli.cli.output import console, echo_json, money, safe
from partynli.cli.resume import plan_of
from partynli.cli.rounds import print_standing
from partynli.cli.wide import print_rows
from partynli.errors import without_kind
from partynli.labels import ERROR
from partynli.sampling.plan import width_of
from partynli.store import Batch, Run, Tally, held_by

_HEADS = ("participant", "planned", "valid", "no\njudgment", "to\nask", "asked\nagain", "failed\ncalls", "cost", "why")


@click.command("status")
@click.argument("run_name", metavar="[RUN]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
@runs_option
def command(run_name: str | None, as_json: bool, runs_path: Path | None) -> int:
    """Show what of a run is done, failed and spent; RUN is the newest one by default.

    Takes no lock: it can be asked while the run goes on.

    \b
    Examples:
      partynli status
      partynli status pilot --json
    """
    path = find_run(run_name, runs_path)
    with Run.open(path) as run:
        plan = run.manifest["plan"]
        planned = {
            one: trials * plan["n_items"] for one, trials in zip(plan["participants"], plan["trials"], strict=True)
        }
        tallies = run.tallies()
        is_imported = "imported" in run.manifest
        if is_imported and not tallies:
            tallies = _imported(run.label_counts())
            planned = {one: tallies.get(one, Tally()).begun for one in planned}
        settled_items = None
        if (width := width_of(plan)) is not None:  # only then: arrays take long to load
            settled_items, planned = import_module("partynli.cli.standing").standing(run, plan_of(run))
        names = {one.id: one.name for one in run.participants().values()}
        reasons = run.reasons()
        batches = run.batches.open()
    if as_json:
        said = _as_json(path.name, planned, tallies, names, reasons, batches)
        if settled_items is not None:
            said |= {"until_ci": width, "items": plan["n_items"], "items_settled": settled_items}
        echo_json(json.dumps(said, indent=2))
        return 0
    pid = held_by(path)
    console.print(
        f"run [bold]{safe(path.name)}[/bold], {'going on (pid ' + safe(pid) + ')' if pid else 'at rest'}"
        + (", SYNTHETIC" if run.manifest["synthetic"] else "")
    )
    rows = []
    for one, wanted in planned.items():
        tally = tallies.get(one, Tally())
        why = ", ".join(f"{without_kind(reason)} {count:,}" for reason, count in reasons.get(one, {}).items())
        counts = [wanted, tally.valid, tally.invalid, wanted - tally.settled, tally.reasked, tally.failed]
        rows.append((names[one], *(f"{count:,}" for count in counts), _cost([tally]), why))
    print_rows(_HEADS, rows, words={8})
    settled = sum(tally.settled for tally in tallies.values())
    console.print(
        f"{settled:,} answers imported{_spent(tallies)}"
        if is_imported
        else f"{settled:,} of {sum(planned.values()):,} trials done, {_cost(tallies.values())}"
    )
    if settled_items is not None:
        print_standing(width, settled_items, plan["n_items"])
    print_open_batches(batches)
    if settled < sum(planned.values()) and not pid and not is_imported:
        console.print(f"go on with it: partynli resume {safe(path.name)}")
    return 0


def _cost(tallies: Collection[Tally]) -> str:
    known = money(sum(tally.cost for tally in tallies))
    return f"≥ {known}" if any(tally.unpriced for tally in tallies) else known


def _spent(tallies: Mapping[str, Tally]) -> str:
    cost = sum(tally.cost for tally in tallies.values())
    return f", {money(cost)} spent where they were sampled" if cost else ""


def _imported(counts: Mapping[str, Mapping[str, int]]) -> dict[str, Tally]:
    """Answers of a table: each was begun and settled, and none was asked here."""
    return {
        one: Tally(begun=total, valid=total - labels.get(ERROR, 0), invalid=labels.get(ERROR, 0))
        for one, labels in counts.items()
        for total in (sum(labels.values()),)
    }


def _as_json(
    run: str,
    planned: dict[str, int],
    tallies: dict[str, Tally],
    names: dict[str, str],
    reasons: dict[str, dict[str, int]],
    batches: list[Batch],
) -> dict[str, object]:
    rows = []
    for one, wanted in planned.items():
        tally = tallies.get(one, Tally())
        counts = {field: getattr(tally, field) for field in Tally.__slots__}
        rows.append({"participant": names[one], "planned": wanted, **counts, "reasons": reasons.get(one, {})})
    open_ = [batch._asdict() for batch in batches]
    return {"schema": 1, "run": run, "participants": rows, "open_batches": open_}
