"""What ``partynli plan`` prints, and what it writes for other programs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from partynli.analysis.planner.designs import Design, Shortfall, enough, shortfalls
from partynli.analysis.planner.figure import TITLES
from partynli.analysis.planner.pilot import Pilot
from partynli.analysis.planner.spread import Spread
from partynli.cli.output import console, duration, money, safe
from partynli.cli.reading import Reading
from partynli.cli.report import mixes_in
from partynli.cli.wide import print_rows
from partynli.records import Participant
from partynli.report.draws import number
from partynli.report.markdown import SYNTHETIC

_SHOWN = 6
"""Designs that are listed; JSON holds all."""
_READING = (
    "\nA width is that of the middle 95 % of the figure over studies of other participants of this kind on the same "
    "items. The expected figure depends on the number of participants: compare studies of one size. Widths are told "
    "from {n} participants, and are themselves uncertain by about {share}."
)


@dataclass(frozen=True)
class Findings:
    """What was found for one pilot."""

    run: str
    group: str
    members: tuple[Participant, ...]
    pilot: Pilot
    items: int
    """Of the planned study."""
    source: str | None
    """Whom `js` is taken against."""
    spreads: Mapping[str, Sequence[Spread]]
    wanted: Mapping[str, float]
    designs: tuple[Design, ...]
    notes: tuple[str, ...]
    synthetic: bool

    @property
    def enough(self) -> list[Design]:
        """Designs that reach every width, the cheapest first."""
        return enough(self.designs, self.wanted)

    @property
    def lacking(self) -> list[Shortfall]:
        """Why none does."""
        return [] if self.enough else shortfalls(self.spreads, self.items, self.wanted)


def print_plan(found: Findings, line: str | None) -> None:
    """Print widths, the designs that are enough, and the command that samples the cheapest."""
    pilot = found.pilot
    console.print(
        f"run [bold]{safe(found.run)}[/bold], pilot {safe(found.group)}: {pilot.n_participants} participants x "
        f"{pilot.codes.shape[1]} trials on {pilot.n_items} items; planned for {found.items} items"
    )
    if found.synthetic:
        console.print(SYNTHETIC, style="bold")
    for note in found.notes:
        console.print(f"note: {safe(note)}", style="dim")
    for name in found.wanted:
        _print_widths(found, name)
    console.print(_READING.format(n=pilot.n_participants, share=f"{pilot.uncertainty:.0%}"), style="dim")
    console.print()
    if found.enough:
        _print_designs(found)
        console.print(
            f"\nthe cheapest: {line}" if line else "\nthe answers were imported: nobody can be asked by name",
            soft_wrap=True,
            markup=False,
        )
    for one in found.lacking:
        _print_shortfall(one)


def _print_widths(found: Findings, name: str) -> None:
    against = f" ({found.source})" if name == "js" else ""
    trials = sorted({one.trials for one in found.designs})
    rows = []
    for size in sorted({one.participants for one in found.designs}):
        designs = [one for one in found.designs if one.participants == size]
        widths = [f"{one.widths[name]:.3f}{'*' if one.widths[name] <= found.wanted[name] else ' '}" for one in designs]
        rows.append((f"{size}", f"{designs[0].expected[name]:.3f}", *widths))
    console.print()
    heads = ("participants", "expected", *(f"T = {one} " for one in trials))
    title = f"{TITLES[name]}{against}: width with T trials; * at most {found.wanted[name]:g}"
    console.print(safe(title), style="italic")
    print_rows(heads, rows)


def _print_designs(found: Findings) -> None:
    rows = []
    for number_, one in enumerate(found.enough[:_SHOWN]):
        widths = [f"{one.widths[name]:.3f}" for name in found.wanted]
        time = duration(one.seconds) if one.seconds else ""
        cost = money(one.dollars)
        rows.append(
            (f"{one.participants} x {one.trials}{'' if number_ else ' <'}", *widths, f"{one.calls:,}", cost, time)
        )
    more = len(found.enough) - len(rows)
    rest = f"; {more} more are in --json" if more > 0 else ""
    console.print(f"designs that are enough, the cheapest (<) first{rest}", style="italic")
    print_rows(("participants x trials", *found.wanted, "calls", "cost", "time ≥"), rows)


def _print_shortfall(one: Shortfall) -> None:
    if one.bound_by_participants:
        why = (
            f"no number of trials helps, since participants differ: {one.participants} of them leave {one.endless:.3f} "
            f"with endless trials; about {one.about:,} participants would do"
            + (", or more items" if one.more_items_help else "; more items would not")
        )
    else:
        why = f"{one.participants} participants would do with more trials (--trials)"
    console.print(f"{one.figure}: no design here has an interval of {one.wanted:g}; {why}", soft_wrap=True)


def sample_line(found: Findings, reading: Reading, registry_path: Path | None) -> str | None:
    """The command that samples the cheapest design; None where there is none, or nobody can be asked."""
    if not found.enough or any(one.route == "imported" for one in found.members):
        return None
    best, plan = found.enough[0], reading.manifest["plan"]
    names = [one.name for one in found.members]
    mix = next((name for name, those in mixes_in(registry_path).items() if set(those) == set(names)), None)
    more = best.participants - len(names)
    if mix is not None and more >= 0:
        who = ["--mix", mix]
    else:
        who = [part for name in names[: best.participants] for part in ("--participant", name)]
    given = ["--task", plan["task"]] if plan.get("task", "livenli") != "livenli" else []
    given += ["--registry", str(registry_path)] if registry_path else []
    words = ["partynli", "sample", *who, "--trials", str(best.trials), "--items", plan["items"], *given]
    others = f"   and {more} more participants, by --participant NAME" if more > 0 else ""
    if found.items != plan["n_items"]:
        others += f"   with {found.items} items in the place of {plan['items']}"
    return shlex.join(words) + others


def plan_json(found: Findings, line: str | None) -> dict[str, Any]:
    """Everything as JSON, schema 1."""
    best = next(iter(found.enough), None)
    return {
        "schema": 1,
        "run": found.run,
        "synthetic": found.synthetic,
        "pilot": {
            "group": found.group,
            "participants": [one.name for one in found.members],
            "trials": found.pilot.codes.shape[1],
            "items": found.pilot.n_items,
            "people": found.source,
            "steadiness": found.pilot.steadiness,
        },
        "items": found.items,
        "wanted": dict(found.wanted),
        "notes": list(found.notes),
        "designs": [_design_json(one, found) for one in found.designs],
        "cheapest": None if best is None else {"participants": best.participants, "trials": best.trials},
        "command": line,
        "lacking": [
            {
                "figure": one.figure,
                "wanted": one.wanted,
                "participants": one.participants,
                "width_with_endless_trials": number(one.endless),
                "bound_by": "participants" if one.bound_by_participants else "trials",
            }
            for one in found.lacking
        ],
    }


def _design_json(one: Design, found: Findings) -> dict[str, Any]:
    return {
        "participants": one.participants,
        "trials": one.trials,
        "calls": one.calls,
        "dollars": one.dollars,
        "seconds": one.seconds,
        "enough": one.reaches(found.wanted),
        "figures": {
            name: {"expected": number(one.expected[name]), "width": number(one.widths[name])} for name in found.wanted
        },
    }
