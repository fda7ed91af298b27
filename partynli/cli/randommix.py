"""``partynli randommix``: what other draws of participants would have shown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import click

from partynli.aggregate import Answers, people_of
from partynli.analysis.curve import CURVE_WARNING, Costs, Point, learning_curve
from partynli.analysis.groups import largest_mix, members_of, trials_of
from partynli.analysis.lookup import Figure
from partynli.analysis.randommix import (
    QUANTILES,
    WARNING,
    Pool,
    RandomMix,
    Summary,
    Whole,
    check_size,
    randommix,
    whole_mixes,
)
from partynli.cli.options import find_study, runs_option
from partynli.cli.output import console, counted, echo_json, money, safe, shown
from partynli.cli.reading import Reading, answers_of, evened, pick_scope, shortened
from partynli.cli.wide import print_rows
from partynli.errors import InputError
from partynli.report.draws import curve_json, nested, number, randommix_json, write_draws
from partynli.report.sheets import figure_name, rounded

_LEGEND = (
    "n: draws that define the figure. The last columns are whole mixes and their numbers of participants. Bootstrap: "
    "{size} participants and all items drawn with replacement; one who is drawn twice lowers entropy and raises "
    "distances, so read its width. KL: eps 1e-10, people first in kl_pq. Entropy in nats."
)


class _Findings(NamedTuple):
    run: str
    scope: str
    group: str
    answers: Answers
    members: tuple[int, ...]
    mix: RandomMix
    wholes: Mapping[str, Whole]
    """Whole mixes by name."""
    curve: tuple[Point, ...]
    draws: int
    people: tuple[str, ...]
    notes: tuple[str, ...]


@click.command("randommix")
@click.argument("run_name", metavar="[RUN]", required=False)
@click.option("--draws", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="Number of draws.")
@click.option("--size", type=click.IntRange(min=1), default=10, show_default=True, help="Participants in a draw.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of draws and bootstrap.")
@click.option("--scope", metavar="NAME", help="Items: common50, all122 or all; by default the first that applies.")
@click.option("--group", metavar="NAME", help="Mix or experiment to draw from; by default the run's largest mix.")
@click.option("--curve", "with_curve", is_flag=True, help="Also draws of every size, in calls and dollars.")
@click.option("--json", "as_json", is_flag=True, help="Print everything, all draws included, as JSON.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Write plots and draws.")
@runs_option
def command(
    run_name: str | None,
    draws: int,
    size: int,
    seed: int,
    scope: str | None,
    group: str | None,
    with_curve: bool,
    as_json: bool,
    out: Path | None,
    runs_path: Path | None,
) -> int:
    """Draw participants at random, again and again, and show how far each figure moves.

    RUN is the newest one by default. With --out, a plot of all draws and the learning curve (PNG and SVG), and a table
    of the draws (parquet, or CSV without pyarrow).

    \b
    Examples:
      partynli randommix
      partynli randommix pilot --draws 1000 --size 10 --curve
      partynli randommix pilot --group hi --size 5 --scope all122 --out figures
    """
    path = find_study(run_name, runs_path)
    reading = evened(answers_of(path))
    scope_name, uids = pick_scope(reading, scope)
    answers = reading.answers.on(uids)
    group_name, members = (group, members_of(answers, group)) if group is not None else largest_mix(answers)
    human = people_of(reading.dataset, answers)
    pool = Pool.of(answers, members, human)
    check_size(pool, size)
    costs = Costs.of(pool, answers, reading.tallies)
    found = _Findings(
        run=path.name,
        scope=scope_name,
        group=group_name,
        answers=answers,
        members=members,
        mix=randommix(pool, size=size, draws=draws, seed=seed),
        wholes=whole_mixes(answers, (group_name, members), human),
        curve=learning_curve(pool, costs, draws=draws, seed=seed) if with_curve or out else (),
        draws=draws,
        people=tuple(human),
        notes=(*reading.notes, *_notes(reading, answers, members, pool, costs, with_curve or bool(out))),
    )
    written = _write(found, out) if out else []
    if as_json:
        echo_json(json.dumps(_as_json(found), indent=1, allow_nan=False))
        return 0
    _print(found, with_curve=with_curve)
    for file in written:
        console.print(f"wrote {safe(shown(file))}")
    return 0


def _notes(
    reading: Reading, answers: Answers, members: Sequence[int], pool: Pool, costs: Costs, with_curve: bool
) -> list[str]:
    notes = []
    if len(pool.names) < len(members):
        silent = [answers.names[one] for one in members if answers.names[one] not in pool.names]
        notes.append(f"left out of the pool, never asked on these items: {shortened(sorted(silent))}")
    asked = {trials_of(answers, [one]) for one in members if answers.names[one] in pool.names}
    if len(asked) > 1:
        notes.append(
            f"participants have {min(asked)} to {max(asked)} trials; a trial uses those of a draw that have it"
        )
    if with_curve and costs.unknown:
        notes.append(f"no dollars: the cost of {shortened(costs.unknown)} is unknown")
    if reading.manifest["synthetic"]:
        notes.append("SYNTHETIC: simulated participants, no finding about any model")
    return notes


def _write(found: _Findings, out: Path) -> list[Path]:
    try:
        plots: Any = import_module("partynli.report.plots.randommix")  # only here: it needs the extra `plots`
        style: Any = import_module("partynli.report.plots.style")
    except ImportError:
        raise InputError("--out draws plots, which need matplotlib: pip install 'partynli[plots]'") from None
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out} cannot be made: {error.strerror or error}") from None
    mix = found.mix
    synthetic = " · SYNTHETIC" if found.answers.synthetic else ""
    where = f"{found.run}, {found.scope}: {len(found.answers.items):,} items{synthetic}"
    head = f"{found.draws:,} draws of {mix.size} from the {len(mix.pool)} participants of {found.group} · {where}"
    marked = {f"whole mix {name} ({whole.n} participants)": whole.figures for name, whole in found.wholes.items()}
    curve_head = f"Draws of 1 to {len(mix.pool)} participants of {found.group} · {where}"
    return [
        *style.save(plots.plot_draws(mix, marked, found.people, head), out / "randommix"),
        *style.save(plots.plot_curve(found.curve, found.people, curve_head), out / "randommix-curve"),
        write_draws(mix, out / f"randommix-draws.{'parquet' if find_spec('pyarrow') else 'csv'}"),
    ]


def _as_json(found: _Findings) -> dict[str, Any]:
    answers = found.answers
    return {
        "schema": 1,
        "run": found.run,
        "synthetic": answers.synthetic,
        "scope": found.scope,
        "n_items": len(answers.items),
        "group": found.group,
        "trials": trials_of(answers, found.members),
        **_valid(found),
        "n_draws": found.draws,
        **randommix_json(found.mix),
        "mixes": {
            name: {"participants": whole.n, **nested(whole.figures, lambda _, value: number(value[0]))}
            for name, whole in found.wholes.items()
        },
        "curve": curve_json(found.curve),
        "warnings": [WARNING, CURVE_WARNING],
        "notes": list(found.notes),
    }


def _valid(found: _Findings) -> dict[str, int]:
    answers, members = found.answers, found.members
    return {"n_valid": int(answers.counts(members).sum()), "n_asked": int(answers.asked(members).sum())}


def _print(found: _Findings, *, with_curve: bool) -> None:
    mix, valid = found.mix, _valid(found)
    console.print(
        f"run [bold]{safe(found.run)}[/bold], {safe(found.scope)}: "
        f"{counted(len(found.answers.items), 'item')}, {counted(trials_of(found.answers, found.members), 'trial')}, "
        f"{valid['n_valid']:,} of {valid['n_asked']:,} answers valid"
    )
    console.print(
        f"{found.draws:,} draws of {mix.size} from the {len(mix.pool)} participants of {safe(found.group)}, "
        f"{mix.distinct:,} of them different, seed {mix.seed}"
    )
    if mix.size == len(mix.pool):
        console.print("note: every draw is the whole pool; a smaller --size shows what the choice matters")
    quantiles = [f"{100 * one:g} %" for one in QUANTILES]
    wholes = [f"{name} ({whole.n})" for name, whole in found.wholes.items()]
    heads = ("figure", "against", "mean", "sd", *quantiles, "n", "bootstrap 95 %", *wholes)
    print_rows(heads, [_row(found, figure, one) for figure, one in mix.summaries.items()], left=2)
    if with_curve:
        _print_curve(found)
    console.print(_LEGEND.format(size=mix.size), style="dim")
    console.print(WARNING, style="yellow")
    if with_curve:
        console.print(CURVE_WARNING, style="yellow")
    for note in found.notes:
        console.print(safe(note), style="dim")


def _row(found: _Findings, figure: Figure, one: Summary) -> list[str]:
    interval = found.mix.intervals.get(figure)
    between = "" if interval is None else f"{rounded(float(interval.low))} to {rounded(float(interval.high))}"
    whole = (rounded(float(each.figures[figure][0])) for each in found.wholes.values())
    numbers = map(rounded, (one.mean, one.sd, *one.quantiles))
    return [figure_name(figure[0]), figure[1] or "", *numbers, f"{one.n:,}", between, *whole]


def _print_curve(found: _Findings) -> None:
    figures = list(found.mix.values)
    source = found.people[0] if found.people else None
    columns = [figure for figure in figures if figure[1] in (None, source)]
    heads = [figure_name(name) for name, _ in columns]
    against = f", against {safe(source)} (the others: --json, --out)" if source else ""
    rows = []
    for point in found.curve:
        each = (point.summaries[figure] for figure in columns)
        cells = (f"{rounded(one.mean)} ({rounded(one.sd)})" for one in each)
        drawn = f"all {point.draws:,}" if point.exhaustive else f"{point.draws:,}"
        rows.append([f"{point.size}", drawn, f"{point.calls:,.0f}", money(point.dollars), *cells])
    print_rows(("size", "draws", "calls", "cost", *heads), rows, title=f"mean (sd over draws){against}")
