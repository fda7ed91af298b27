"""``partynli plan``: from a pilot, how many participants and trials a figure takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from partynli.aggregate import ASKED_IN_VAIN, people_of
from partynli.analysis.groups import largest_mix, members_of
from partynli.analysis.planner.designs import designs_of
from partynli.analysis.planner.figure import TITLES
from partynli.analysis.planner.pilot import Pilot
from partynli.analysis.planner.spread import predictions
from partynli.analysis.scope import people_in
from partynli.cli.options import WidthType, find_study, registry_option, runs_option
from partynli.cli.output import console, echo_json, safe, shown
from partynli.cli.plan.output import Findings, plan_json, print_plan, sample_command
from partynli.cli.plan.tolls import toll_of
from partynli.cli.reading import Reading, answers_of, evened, trials_upto
from partynli.errors import InputError

_PARTICIPANTS = "5,10,15,20,30,40,60,80"
_TRIALS = "1,2,3,5,8,10"
_WELL_COVERED = 0.9


class _Numbers(click.ParamType[tuple[int, ...]]):
    name = "numbers"

    def __init__(self, least: int) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Whole numbers with commas between them, in order, each once."""
        try:
            found = tuple(sorted({int(part) for part in str(value).split(",")}))
        except ValueError:
            found = ()
        if not found or found[0] < self._least or found[-1] > 10_000:
            self.fail(f"{str(value)[:40]!r} is no list of numbers from {self._least} to 10000, as 5,10,20", param, ctx)
        return found


@click.command("plan")
@click.argument("run_name", metavar="[RUN]", required=False)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    type=click.Choice(list(TITLES)),
    help="What is planned for; by default entropy.",
)
@click.option(
    "--width",
    "widths",
    multiple=True,
    type=WidthType(),
    metavar="W",
    help="Wanted width of the 95 % interval: one, or one for each --metric in order.  [default: 0.1]",
)
@click.option(
    "--participants",
    "sizes",
    type=_Numbers(2),
    default=_PARTICIPANTS,
    show_default=True,
    metavar="N,...",
    help="Numbers of participants to try.",
)
@click.option(
    "--trials", type=_Numbers(1), default=_TRIALS, show_default=True, metavar="N,...", help="Numbers of trials to try."
)
@click.option(
    "--items", "n_items", type=click.IntRange(min=1), metavar="N", help="Plan for so many items of the same kind."
)
@click.option("--group", metavar="NAME", help="Mix or experiment that is the pilot; by default the run's largest mix.")
@click.option("--draws", type=click.IntRange(20, 100_000), default=300, show_default=True, metavar="N", help="Draws.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Of all draws.")
@click.option(
    "--json", "json_out", type=click.Path(path_type=Path), metavar="FILE", help="Also write JSON; - prints it."
)
@registry_option
@runs_option
def command(
    run_name: str | None,
    metrics: tuple[str, ...],
    widths: tuple[float, ...],
    sizes: tuple[int, ...],
    trials: tuple[int, ...],
    n_items: int | None,
    group: str | None,
    draws: int,
    seed: int,
    json_out: Path | None,
    registry_path: Path | None,
    runs_path: Path | None,
) -> int:
    """Predict from a pilot how many participants and trials narrow an interval enough, and what they take.

    RUN is the newest run by default. A width is that of the middle 95 % of the figure over studies that ask other
    participants of the same kind, on the same items.

    \b
    Examples:
      partynli plan
      partynli plan pilot --metric entropy --width 0.15 --metric alpha --width 0.2
      partynli plan pilot --metric js --width 0.05 --participants 5,10,20 --trials 1,2,5
      partynli plan pilot --items 500 --json plan.json
    """
    path = find_study(run_name, runs_path)
    wanted = _wanted(metrics, widths)
    reading = evened(answers_of(path))
    found = _find(path, reading, wanted, sizes, trials, n_items, group, draws, seed)
    command = sample_command(found, reading, registry_path)
    text = json.dumps(plan_json(found, command), indent=1, allow_nan=False)
    if json_out is not None and str(json_out) == "-":
        echo_json(text)
        return 0
    print_plan(found, command)
    if json_out is not None:
        try:
            json_out.write_text(text + "\n", encoding="utf-8", newline="\n")
        except OSError as error:
            raise InputError(
                f"{json_out} cannot be written: {error.strerror or error}; choose another --json"
            ) from None
        console.print(f"wrote {safe(shown(json_out))}")
    return 0


def _wanted(metrics: Sequence[str], widths: Sequence[float]) -> dict[str, float]:
    names = list(dict.fromkeys(metrics or ("entropy",)))
    given = list(widths or (0.1,))
    if len(given) == 1:
        given *= len(names)
    if len(given) != len(names) or len(names) < len(metrics):
        raise InputError(
            f"{len(metrics)} --metric and {len(widths)} --width do not go together: name each figure once, "
            "with one width for all or one for each"
        )
    return dict(zip(names, given, strict=True))


def _find(
    path: Path,
    reading: Reading,
    wanted: dict[str, float],
    sizes: Sequence[int],
    trials: Sequence[int],
    n_items: int | None,
    group: str | None,
    draws: int,
    seed: int,
) -> Findings:
    answers = reading.answers
    name, members = (group, members_of(answers, group)) if group is not None else largest_mix(answers)
    silent = [one for one in members if not (answers.simple[one] >= 0).any()]
    members = tuple(one for one in members if one not in silent)
    known, said = people_in(answers, people_of(reading.dataset, answers))
    source = next(iter(known), None)
    pilot = Pilot.of(answers, members, known[source] if source else None)
    notes = [*reading.notes, *said]
    if silent:
        notes.append(f"without a valid answer, and left out: {', '.join(answers.names[one] for one in silent)}")
    if pilot.even.shape[1] < pilot.codes.shape[1]:
        notes.append(f"figures are of {trials_upto(pilot.even.shape[1])}, which all participants have")
    if pilot.coverage < _WELL_COVERED:
        notes.append(
            f"participants answered {pilot.coverage:.0%} of the items on average: a figure that all answer may differ"
        )
    if "js" in wanted and pilot.people is None:
        del wanted["js"]
        notes.append("js is left out: no people's answers to these items")
        if not wanted:
            raise InputError("js needs people's answers to the items, and there are none; plan for entropy or alpha")
    if "alpha" in wanted and pilot.n_items < 2:
        del wanted["alpha"]
        notes.append("alpha is left out: on a single item it says nothing")
        if not wanted:
            raise InputError("alpha needs two items or more, and the pilot has one; plan for entropy")
    asked = answers.simple[list(members)]
    if invalid := int((asked == ASKED_IN_VAIN).sum()):
        notes.append(
            f"{invalid / (asked >= ASKED_IN_VAIN).sum():.1%} of the answers were invalid; trials are of valid answers"
        )
    spreads = predictions(pilot, tuple(wanted), sizes, draws=draws, seed=seed)
    items = n_items or pilot.n_items
    participants = tuple(answers.participants[one] for one in members)
    return Findings(
        run=path.name,
        group=name,
        members=participants,
        pilot=pilot,
        items=items,
        source=source,
        spreads=spreads,
        wanted=wanted,
        designs=designs_of(spreads, trials, items, toll_of(path, participants, reading)),
        notes=tuple(notes),
        synthetic=answers.synthetic,
    )
