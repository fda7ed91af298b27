"""What ``partynli plan`` prints, and what it writes for other programs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

from partynli.analysis.planner.designs import Design, Shortfall, enough, shortfalls
from partynli.analysis.planner.figure import TITLES
from partynli.analysis.planner.pilot import Pilot
from partynli.analysis.planner.spread import Spread
from partynli.cli.output import console, counted, duration, money, safe
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
        """Why none does: of the figures that no design reaches, or that no design reaches together."""
        if self.enough:
            return []
        alone = {
            name: width
            for name, width in self.wanted.items()
            if not any(one.reaches({name: width}) for one in self.designs)
        }
        return shortfalls(self.spreads, self.items, alone or self.wanted)


@dataclass(frozen=True)
class Command:
    """The command that samples the cheapest design."""

    words: tuple[str, ...]
    """Empty where nobody can be asked by it."""
    lacks: tuple[str, ...]
    """What it lacks of the design, or why there is none; one sentence each."""

    @property
    def line(self) -> str | None:
        """For a shell; None where there is none."""
        return shlex.join(self.words) if self.words else None


def print_plan(found: Findings, command: Command | None) -> None:
    """Print widths, the designs that are enough, and the command that samples the cheapest."""
    pilot = found.pilot
    console.print(
        f"run [bold]{safe(found.run)}[/bold], pilot {safe(found.group)}: "
        f"{counted(pilot.n_participants, 'participant')} x "
        f"{counted(pilot.codes.shape[1], 'trial')} on {counted(pilot.n_items, 'item')}; planned for "
        f"{counted(found.items, 'item')}"
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
    if command is not None:
        console.print()
        if command.line is not None:
            console.print(f"the cheapest: {safe(command.line)}", soft_wrap=True)
        for lack in command.lacks:
            console.print(safe(lack), soft_wrap=True)
    for one in found.lacking:
        _print_shortfall(one)


def _print_widths(found: Findings, name: str) -> None:
    against = f" ({found.source})" if name == "js" else ""
    trials = sorted({one.trials for one in found.designs})
    rows = []
    for size in sorted({one.participants for one in found.designs}):
        designs = [one for one in found.designs if one.participants == size]
        widths = [
            _shown(one.widths[name]) + ("*" if one.reaches({name: found.wanted[name]}) else " ") for one in designs
        ]
        rows.append((f"{size}", _shown(designs[0].expected[name]), *widths))
    console.print()
    heads = ("participants", "expected", *(f"T = {one} " for one in trials))
    title = f"{TITLES[name]}{against}: width with T trials; * at most {found.wanted[name]:g}"
    console.print(safe(title), style="italic")
    print_rows(heads, rows)


def _shown(value: float) -> str:
    return "–" if isnan(value) else f"{value:.3f}"


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
    if one.is_undefined:
        console.print(f"{one.figure}: undefined on the pilot's answers, so nothing can be told of it", soft_wrap=True)
        return
    if one.bound_by_participants:
        why = (
            f"no number of trials helps, since participants differ: {one.participants} of them leave {one.endless:.3f} "
            f"with endless trials; about {one.about:,} participants would do"
            + (", or more items" if one.more_items_help else "; more items would not")
        )
    else:
        why = f"{one.participants} participants would do with more trials (--trials)"
    console.print(f"{one.figure}: no design here has an interval of {one.wanted:g}; {why}", soft_wrap=True)


def sample_command(found: Findings, reading: Reading, registry_path: Path | None) -> Command | None:
    """The command that samples the cheapest design; None where no design is enough."""
    if not found.enough:
        return None
    if any(one.route == "imported" for one in found.members):
        return Command((), ("the answers were imported: nobody can be asked by name",))
    names = [one.name for one in found.members]
    if varied := [name for name in names if "@" in name]:
        return Command((), (f"{varied[0]} is a participant of an experiment, which cannot be asked by name",))
    best, plan = found.enough[0], reading.manifest["plan"]
    mix = next((name for name, those in mixes_in(registry_path).items() if set(those) == set(names)), None)
    more = best.participants - len(names)
    if mix is not None and more >= 0:
        who = ["--mix", mix]
    else:
        who = [part for name in names[: best.participants] for part in ("--participant", name)]
    given = ["--task", plan["task"]] if plan.get("task", "livenli") != "livenli" else []
    given += ["--registry", str(registry_path)] if registry_path else []
    words = ["partynli", "sample", *who, "--trials", str(best.trials), "--items", plan["items"], *given]
    lacks = [f"the design has {more:,} more participants: add each by --participant NAME"] if more > 0 else []
    if found.items != plan["n_items"]:
        lacks.append(f"the design has {found.items:,} items: give them by --items in the place of {plan['items']}")
    return Command(tuple(words), tuple(lacks))


def plan_json(found: Findings, command: Command | None) -> dict[str, Any]:
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
        "command": None if command is None else command.line,
        "command_lacks": [] if command is None else list(command.lacks),
        "lacking": [
            {
                "figure": one.figure,
                "wanted": one.wanted,
                "participants": one.participants,
                "width_with_endless_trials": number(one.endless),
                "bound_by": _bound(one),
            }
            for one in found.lacking
        ],
    }


def _bound(one: Shortfall) -> str | None:
    if one.is_undefined:
        return None
    return "participants" if one.bound_by_participants else "trials"


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
