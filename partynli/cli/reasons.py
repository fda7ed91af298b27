"""``partynli reasons``: which kinds of reasoning people and models give for their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from partynli.cli.coding import EXTREMES, Scene, coded_by_hand, coded_by_judge, look_at, studied
from partynli.cli.judging import Terms
from partynli.cli.options import prompts_option, registry_option, runs_option
from partynli.cli.output import console, echo_json, safe, shown
from partynli.cli.wide import print_rows
from partynli.errors import InputError
from partynli.report.markdown import SYNTHETIC
from partynli.report.reasons import codes_csv, items_sheet, kinds_sheet, to_json, to_markdown, validation_sheets
from partynli.report.sheets import Sheet
from partynli.studies.reasons.material import Explanation, choose_items, shuffled
from partynli.studies.reasons.result import OURS, ReasonStudy
from partynli.studies.reasons.validation import ENOUGH

_HELD_BACK = 1
"""Exit code where counts are held back."""


@click.command("reasons")
@click.argument("run_name", metavar="[RUN]", required=False)
@click.option("--judge", metavar="NAME", help="Participant that codes the explanations.")
@click.option("--coding", metavar="FILE", type=click.Path(path_type=Path), help="Your coding instead, CSV or JSONL.")
@click.option(
    "--sheet", metavar="FILE", type=click.Path(path_type=Path), help="Only write what there is to code, as CSV."
)
@click.option(
    "--items",
    "wanted",
    multiple=True,
    metavar="WHICH",
    help="extremes (3 farthest from people, 3 closest, 6 at random; default), all, or an item's uid; may be repeated.",
)
@click.option("--group", "group_name", metavar="NAME", help="Models to look at; by default the largest mix.")
@click.option(
    "--validate",
    "n_validated",
    type=click.IntRange(min=30),
    default=200,
    show_default=True,
    metavar="N",
    help="Explanations with a human code that the judge is measured on.",
)
@click.option(
    "--kappa", type=click.FloatRange(0, 1), default=ENOUGH, show_default=True, help="Least kappa that is good enough."
)
@click.option("--force", is_flag=True, help="Show counts of a coder that is not good enough.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Of all draws.")
@click.option("--run", "coding_run", metavar="NAME", help="Name of the run of the judge's answers.")
@click.option("--max-cost", type=click.FloatRange(min=0), metavar="DOLLARS", help="Stop before this is exceeded.")
@click.option("--dry-run", is_flag=True, help="Show calls, tokens, cost, time and missing keys; send nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before a run that costs money.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
@registry_option
@prompts_option
@runs_option
def command(
    run_name: str | None,
    judge: str | None,
    coding: Path | None,
    sheet: Path | None,
    wanted: tuple[str, ...],
    group_name: str | None,
    n_validated: int,
    kappa: float,
    force: bool,
    seed: int,
    coding_run: str | None,
    max_cost: float | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    registry_path: Path | None,
    prompts_path: Path | None,
    runs_path: Path | None,
) -> int:
    """Find which kinds of reasoning people and models share; RUN is the newest study by default.

    A judge names one of LiTEx's eight categories for each explanation, of people and of the models' first trial. It is
    measured against LiTEx's human coders first; counts of a judge that is not good enough are held back. Its answers
    are a run of their own: the same command goes on where it was stopped and buys no answer twice.

    \b
    Examples:
      partynli reasons --judge gpt-4.1 --dry-run
      partynli reasons pilot --judge gpt-4.1 --max-cost 5
      partynli reasons pilot --sheet to-code.csv               code by hand, then
      partynli reasons pilot --coding to-code.csv
      partynli reasons --judge sim-typical --force             no key: a made-up judge, which fails as it should
    """
    if sum(one is not None for one in (judge, coding, sheet)) != 1:
        raise InputError(
            "who codes? --judge NAME asks a participant, --coding FILE reads your own coding, --sheet FILE writes what "
            "there is to code: choose one"
        )
    console.stderr = as_json  # what is said on the way must not get between the JSON
    scene = look_at(studied(run_name, runs_path), group_name, prompts_path, seed)
    if sheet is not None:
        choices = choose_items(scene.material, wanted or EXTREMES, seed)
        return _write_sheet(scene, sheet, shuffled(scene.explanations_of(choices), seed))
    if coding is not None:
        result = coded_by_hand(scene, coding, wanted, kappa)
    else:
        assert judge is not None
        terms = Terms(judge, coding_run, max_cost, dry_run, yes, registry_path, runs_path)
        found = coded_by_judge(scene, terms, wanted, n_validated, kappa, force)
        if isinstance(found, int):
            return found
        result = found
    if not (force or result.is_good_enough):
        result = replace(result, items=None)
    written = _write_files(scene.path, result)
    if as_json:
        echo_json(to_json(result))
    else:
        _print(result, written)
    return 0 if result.items is not None else _HELD_BACK


def _write_sheet(scene: Scene, file: Path, explanations: Sequence[Explanation]) -> int:
    _write(file, codes_csv(explanations, {}, synthetic=scene.reading.answers.synthetic))
    console.print(
        f"{len(explanations):,} explanations to code: {safe(shown(file))}. Fill in `category`, then: partynli reasons "
        f"{safe(scene.path.name)} --coding {safe(shown(file))}",
        soft_wrap=True,
    )
    console.print(f"categories: {safe(', '.join(scene.task.labels))}", soft_wrap=True)
    return 0


def _write_files(folder: Path, result: ReasonStudy) -> list[Path]:
    codes = codes_csv(result.coded, result.category, synthetic=result.synthetic)
    return [_write(folder / "reasons.md", to_markdown(result)), _write(folder / "reasons.csv", codes)]


def _write(file: Path, text: str) -> Path:
    try:
        file.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror or error}") from None
    return file


def _print(result: ReasonStudy, written: Sequence[Path]) -> None:
    console.print(f"run [bold]{safe(result.run)}[/bold], models: {safe(result.group)}; coder: {safe(result.coder)}")
    if result.synthetic:
        console.print(SYNTHETIC, style="bold")
    console.print(OURS, style="dim", soft_wrap=True)
    for note in result.notes:
        console.print(f"note: {safe(note)}", style="dim", soft_wrap=True)
    if result.validation is not None:
        for sheet in validation_sheets(result.validation):
            _print_sheet(sheet)
    if result.items is not None:
        _print_sheet(items_sheet(result, result.items))
        _print_sheet(kinds_sheet(result, result.items))
    console.print()
    console.print(f"[bold]{safe(result.verdict)}[/bold]", soft_wrap=True)
    if result.items is None:
        console.print("counts are held back; --force codes the rest, if need be, and shows them", soft_wrap=True)
    console.print(f"tables and codes: {', '.join(safe(shown(one)) for one in written)}", soft_wrap=True)


def _print_sheet(sheet: Sheet) -> None:
    console.print()
    print_rows(sheet.columns, sheet.rows, title=sheet.title)
    if sheet.note:
        console.print(safe(sheet.note), style="dim")
