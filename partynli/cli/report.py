"""``partynli report``: the figures of a run beside people's, and what they rest on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from partynli.aggregate import Answers, people_of
from partynli.analysis.explanations import ExplanationReport
from partynli.analysis.explanations.texts import By
from partynli.analysis.groups import groups_of
from partynli.analysis.overview import Overview, distinct_groups, overview_of
from partynli.analysis.scope import Choices, Scope, scopes_of
from partynli.analysis.surprises import surprises_of
from partynli.analysis.tables import main_source, twin_of_everybody
from partynli.cli.explaining import check_options, explanation_options, explanation_reports, widest
from partynli.cli.figures import Material, plot_all
from partynli.cli.options import find_study, registry_option, runs_option
from partynli.cli.output import console, counted, echo_json, safe, shown
from partynli.cli.reading import Reading, answers_of, evened, shortened
from partynli.cli.wide import print_rows
from partynli.errors import InputError, unknown_name
from partynli.metrics import CONVENTIONS, convention
from partynli.registry import load_registry
from partynli.report.explanations import explanation_sheets, heading
from partynli.report.items_csv import items_csv
from partynli.report.json_report import to_json
from partynli.report.markdown import SYNTHETIC, clone_lines, to_markdown
from partynli.report.sheets import Sheet, sheet_2, sheet_5, sheet_against, sheet_honesty, sheet_own
from partynli.store import Run

_WIDE = 130
"""Columns from which three digits fit."""


@click.command("report")
@click.argument("run_name", metavar="[RUN]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON (schema 1) for other programs.")
@click.option(
    "--out",
    "out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where report.md goes, and all figures with it; by default report.md alone, into the run's folder.",
)
@click.option("--scope", "wanted", multiple=True, metavar="NAME", help="Only these items: common50, all122 or all.")
@click.option(
    "--convention",
    "convention_name",
    default="kulmizev2026",
    show_default=True,
    metavar="PAPER",
    help=f"Whose choices: {', '.join(CONVENTIONS)}.",
)
@click.option(
    "--items-out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the items where mixes miss people beyond sampling, as CSV.",
)
@click.option(
    "--draws", type=click.IntRange(min=100), default=1000, show_default=True, metavar="N", help="Bootstrap draws."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Of all draws.")
@explanation_options
@registry_option
@runs_option
def command(
    run_name: str | None,
    as_json: bool,
    out: Path | None,
    wanted: tuple[str, ...],
    convention_name: str,
    items_out: Path | None,
    draws: int,
    seed: int,
    explanations: bool,
    embedders: tuple[str, ...],
    by: By | None,
    registry_path: Path | None,
    runs_path: Path | None,
) -> int:
    """Set a run's labels beside people's; RUN is the newest one by default.

    Every figure comes with what makes it mean something: a 95 % interval over items, the same figure between people at
    the row's own size, and what chance gives. The tables also go into report.md. Mixes of the registry whose members
    are all in the run are rows, too.

    \b
    Examples:
      partynli report
      partynli report first --scope common50
      partynli report first --json > first.json
      partynli report first --items-out missed.csv
      partynli report first --convention chen2024
      partynli report first --explanations --embedder tfidf --embedder style
    """
    check_options(explanations, embedders, by)
    choices = Choices(convention(convention_name), draws, seed)
    path = find_study(run_name, runs_path)
    reading = evened(answers_of(path))
    answers = reading.answers
    scopes = scopes_of(answers, reading.dataset)
    if unknown := [name for name in wanted if name not in scopes]:
        raise InputError(unknown_name("scope", unknown[0], scopes, f"run {path.name}"))
    if items_out is not None and not people_of(reading.dataset, answers):
        why = "; ".join(reading.notes) or "there are none"
        raise InputError(f"--items-out needs people's answers to the run's items: {why}")
    mixes = mixes_in(registry_path)
    chosen = {name: uids for name, uids in scopes.items() if not wanted or name in wanted}
    overview = overview_for(path, reading, chosen, choices, mixes)
    said = (
        explanation_reports(path, reading, chosen if wanted else widest(chosen), mixes, choices, embedders, by)
        if explanations
        else []
    )
    if as_json:
        text = to_json(overview, said)
        echo_json(text)
        if out is not None:
            _write(out / "report.json", text + "\n")
            _write(out / "report.md", to_markdown(overview, said))
    else:
        _print(overview)
        for one in said:
            _print_explanations(one, overview)
        written = _write((out or path) / "report.md", to_markdown(overview, said))
        console.print(f"all tables: {safe(shown(written))}")
    if out is not None:
        plot_all(
            Material(path, reading, choices.convention, wanted, None, None, embedders, seed),
            out / "plots",
            quiet=as_json,
        )
    if items_out is not None:
        _write_items(items_out, path, reading, mixes, overview, quiet=as_json)
    return 0


def mixes_in(registry_path: Path | None) -> dict[str, list[str]]:
    """Participants' names by mix of a registry: where all of a mix are in a run, it is a row of the report."""
    registry, _, _ = load_registry(registry_path)
    return {name: [one.name for one in registry.mix(name)] for name in registry.mixes}


def overview_for(
    path: Path,
    reading: Reading,
    scopes: Mapping[str, tuple[str, ...]],
    choices: Choices,
    mixes: Mapping[str, Sequence[str]],
) -> Overview:
    """All figures of a run over some scopes."""
    return overview_of(
        path.name,
        reading.answers,
        reading.dataset,
        scopes,
        choices,
        mixes=mixes,
        explanations=_explanations(path, reading.answers),
        notes=reading.notes,
    )


def _explanations(path: Path, answers: Answers) -> Iterator[tuple[str, str, str, str]]:
    known = {one.id: one for one in answers.participants}
    with Run.open(path) as run:
        for participant, item, text in run.explanations():
            one = known[participant]
            yield one.name, one.model if one.route != "simulated" else one.name, item, text


def _write(file: Path, text: str) -> Path:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(
            f"{file} cannot be written: {error.strerror or error}; choose another place by --out or --items-out"
        ) from None
    return file


def _write_items(
    file: Path, path: Path, reading: Reading, mixes: dict[str, list[str]], overview: Overview, *, quiet: bool
) -> None:
    answers = reading.answers.on(sorted({uid for scope in overview.scopes for uid in scope.items}))
    people = people_of(reading.dataset, answers)
    groups, _ = groups_of(answers, mixes)
    chosen = [one for one in distinct_groups(groups) if one.kind == "mix"] or groups
    found, tally = surprises_of(answers, chosen, people, overview.choices.seed)
    with Run.open(path) as run:
        texts = run.texts({one.uid for one in found})
    table = items_csv(
        found, answers.labels, texts, run=overview.run, synthetic=overview.synthetic, ordered=answers.ordered
    )
    _write(file, table)
    if not quiet:
        for (group, source), (n, of) in tally.items():
            console.print(f"{safe(group)} misses {safe(source)} beyond sampling on {n} of {of} items", style="dim")
        console.print(f"those items: {safe(shown(file))}")


def _print(overview: Overview) -> None:
    choices = overview.choices
    console.print(f"run [bold]{safe(overview.run)}[/bold], convention {choices.convention.name}")
    if overview.synthetic:
        console.print(SYNTHETIC, style="bold")
    for note in overview.notes:
        console.print(f"note: {safe(note)}", style="dim")
    for scope in overview.scopes:
        _print_scope(scope, overview)
    for line in clone_lines(overview):
        console.print(f"likely clones: {safe(line)}")


def _print_scope(scope: Scope, overview: Overview) -> None:
    digits = 3 if console.width >= _WIDE else 2
    chosen = overview.choices.convention
    console.print()
    mark = ", SYNTHETIC" if overview.synthetic else ""
    console.rule(f"{safe(scope.name)}: {counted(len(scope.items), 'item')}{mark}", align="left")
    for note in scope.notes:
        console.print(f"note: {safe(note)}", style="dim")
    if not scope.human:
        console.print(
            "note: no people's answers to these items: distances and what people would give are left out", style="dim"
        )
    if twin := twin_of_everybody(scope):
        console.print(f"note: all participants together are {safe(twin)}", style="dim")
    _print_sheet(sheet_2(scope, chosen, digits))
    _print_sheet(sheet_own(scope, digits))
    source = main_source(scope)
    if source is not None:
        _print_sheet(sheet_against(scope, source, chosen, digits))
    _print_sheet(sheet_5(scope, chosen, digits, overview.labels))
    if checks := overview.honesty.get(scope.name):
        _print_sheet(sheet_honesty(checks, digits))
    if tests := overview.alt_tests.get(scope.name):
        passed = [one.group for one in tests.rows if one.winning_rate >= 0.5]
        verdict = shortened(passed) if passed else "nobody"
        console.print(f"alternative annotator test: {safe(tests.why)}; may stand in for workers: {safe(verdict)}")


def _print_explanations(report: ExplanationReport, overview: Overview) -> None:
    console.print()
    mark = ", SYNTHETIC" if overview.synthetic else ""
    console.rule(f"{safe(heading(report))}{mark}", align="left")
    for note in report.notes:
        console.print(f"note: {safe(note)}", style="dim")
    for sheet in explanation_sheets(report, 3 if console.width >= _WIDE else 2):
        _print_sheet(sheet)


def _print_sheet(sheet: Sheet) -> None:
    console.print()
    print_rows(sheet.columns, sheet.rows, title=sheet.title)
    if sheet.note:
        console.print(safe(sheet.note), style="dim")
