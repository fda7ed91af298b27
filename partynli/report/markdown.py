"""``report.md``: all tables of a report, its notes, and nothing that a name from a file could turn into markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from partynli.analysis.explanations import ExplanationReport
from partynli.analysis.overview import Overview
from partynli.analysis.scope import Scope
from partynli.analysis.tables import twin_of_everybody
from partynli.markdown import escape
from partynli.report.explanations import explanation_sheets, heading
from partynli.report.sheets import Sheet, sheet_2, sheet_5, sheet_against, sheet_alt_test, sheet_honesty, sheet_own

SYNTHETIC = "SYNTHETIC: answers come from simulated participants and say nothing about any model."
_DIGITS = 3


def to_markdown(overview: Overview, explanations: Sequence[ExplanationReport] = ()) -> str:
    """The whole report as Markdown."""
    choices = overview.choices
    parts = [f"# Report of run {escape(overview.run)}"]
    if overview.synthetic:
        parts.append(f"**{SYNTHETIC}**")
    parts.append(
        f"Convention `{choices.convention.name}` ({escape(choices.convention.source)}). Intervals: 95 %, bootstrap "
        f"over items, {choices.draws} draws, seed {choices.seed}. A dash is an undefined figure."
    )
    parts += _list(overview.notes)
    for scope in overview.scopes:
        parts += _scope(scope, overview)
    for one in explanations:
        parts += _explanations(one, overview)
    parts += _clones(overview)
    return "\n\n".join(parts) + "\n"


def _scope(scope: Scope, overview: Overview) -> Iterable[str]:
    convention = overview.choices.convention
    synthetic = " (SYNTHETIC)" if overview.synthetic else ""
    yield f"## Scope {escape(scope.name)}: {len(scope.items)} item{'s' * (len(scope.items) != 1)}{synthetic}"
    notes = list(scope.notes)
    if not scope.human:
        notes.append("no people's answers to these items: distances and what people would give are left out")
    if twin := twin_of_everybody(scope):
        notes.append(f"all participants together are {twin}")
    yield from _list(notes)
    yield _table(sheet_2(scope, convention, _DIGITS))
    yield _table(sheet_5(scope, convention, _DIGITS, overview.labels))
    yield _table(sheet_own(scope, _DIGITS))
    for source in scope.human:
        yield _table(sheet_against(scope, source, convention, _DIGITS))
    if checks := overview.honesty.get(scope.name):
        yield _table(sheet_honesty(checks, _DIGITS))
    if tests := overview.alt_tests.get(scope.name):
        yield _table(sheet_alt_test(tests, _DIGITS))


def _explanations(report: ExplanationReport, overview: Overview) -> Iterable[str]:
    synthetic = " (SYNTHETIC)" if overview.synthetic else ""
    yield f"## {escape(heading(report))}{synthetic}"
    yield from _list(report.notes)
    for sheet in explanation_sheets(report, _DIGITS):
        yield _table(sheet)


def _clones(overview: Overview) -> Iterable[str]:
    if overview.clones:
        yield "## Likely clones"
        yield from _list(clone_lines(overview))


def clone_lines(overview: Overview) -> list[str]:
    """One line a pair of participants with equal explanations."""
    return [
        f"{one.first} and {one.second} give equal explanations on {one.items} of {one.of} items"
        for one in overview.clones
    ]


def _list(lines: Iterable[str]) -> list[str]:
    text = "\n".join(f"- {escape(line)}" for line in lines)
    return [text] if text else []


def _table(sheet: Sheet) -> str:
    heads = [escape(head.replace("-\n", "").replace("\n", " ").strip()) for head in sheet.columns]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *([escape(cell) for cell in row] for row in sheet.rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"### {escape(sheet.title)}\n\n{table}" + (f"\n\n{escape(sheet.note)}" if sheet.note else "")
