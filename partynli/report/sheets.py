"""Tables of a report as plain text cells, which the terminal and Markdown lay out in their own ways.

Names in them are untrusted: whoever prints a cell escapes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from partynli.analysis.figures import RAREFIED_TO, Figure
from partynli.analysis.honesty import Honesty, Range
from partynli.analysis.scope import Row, Scope
from partynli.analysis.substitutes import AltTests
from partynli.analysis.tables import main_source, nulls, single, table_2, table_5
from partynli.metrics import Convention

SOURCES: Mapping[str, str] = {
    "livenli": "LiveNLI",
    "chaosnli": "ChaosNLI",
    "mnli": "MNLI",
    "varierr": "VariErr",
    "varierr_round2": "VariErr 2",
}
NOTHING = "–"
NAN = float("nan")
_NOT_THERE = Figure()
_Of = TypeVar("_Of")
_Column = tuple[str, Callable[[_Of], str]]
"""A column's head, and its cell of what a row stands for."""


@dataclass(frozen=True)
class Sheet:
    """A table: a title, column heads (a line break parts a head's lines), rows of text, and how to read it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def _laid_out(title: str, rows: Sequence[_Of], columns: Sequence[_Column[_Of]], note: str) -> Sheet:
    cells = tuple(tuple(cell(row) for _, cell in columns) for row in rows)
    return Sheet(title, tuple(head for head, _ in columns), cells, note)


def rounded(value: float, digits: int = 3) -> str:
    """A number, or a dash where it is undefined.

    >>> rounded(0.25), rounded(float("nan")), rounded(-0.0001, 2)
    ('0.250', '–', '0.00')
    """
    if value != value:
        return NOTHING
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text


def with_sd(figure: Figure, digits: int) -> str:
    """A value and its standard deviation over items.

    >>> with_sd(Figure(value=0.639, sd=0.231), 2)
    '0.64 ±.23'
    """
    if figure.sd != figure.sd:
        return rounded(figure.value, digits)
    return f"{rounded(figure.value, digits)} ±{rounded(figure.sd, digits).removeprefix('0')}"


def with_interval(figure: Figure, digits: int, of: int = 0) -> str:
    """A value and its 95 % interval, and the number of items where it is not defined on all of them.

    >>> with_interval(Figure(value=0.5, low=0.4, high=0.625, n=9), 2, of=10)
    '0.50 [0.40, 0.62] (9)'
    """
    interval = span(Range(figure.low, figure.high), digits)
    return " ".join(filter(None, [rounded(figure.value, digits), interval, _partly(figure, of)]))


def _partly(figure: Figure, of: int) -> str:
    return f"({figure.n})" if 0 < figure.n < of else ""


def span(bounds: Range, digits: int) -> str:
    """Two bounds, or nothing."""
    return "" if bounds.low != bounds.low else f"[{rounded(bounds.low, digits)}, {rounded(bounds.high, digits)}]"


def of(row: Row, name: str, source: str | None = None) -> Figure:
    """A figure of a row; an undefined one where the row has it not."""
    figures = row.figures if source is None else row.against.get(source, {})
    return figures.get(name, _NOT_THERE)


def titled(source: str) -> str:
    """A human population as tables name it."""
    return SOURCES.get(source, source)


def figure_name(metric: str) -> str:
    """A figure as a row's name."""
    return {"js_distance": "JS distance", "kendall_tau": "Kendall's τ"}.get(metric, metric)


def name_of(row: Row, scope: Scope, *, as_single: bool = False) -> str:
    """How a table names a row."""
    if row.kind == "human":
        return "People" if row.name == "human" else f"Human {titled(row.name)}"
    if as_single and row is single(scope):
        return f"SINGLE {row.name}"
    return row.name


def sheet_2(scope: Scope, convention: Convention, digits: int) -> Sheet:
    """Table 2: label variation by experiment, against each human population."""
    sources = list(scope.human)
    heads: list[str] = ["", *_own_heads(convention)]
    for source in sources:
        heads += [f"{titled(source)}\nCor.", f"{titled(source)}\n{_js(convention)}"]
    rows = []
    for row in table_2(scope):
        cells = [name_of(row, scope, as_single=True), with_sd(of(row, "entropy"), digits)]
        cells.append(rounded(of(row, "alpha").value, digits))
        for source in sources:
            cells.append(rounded(of(row, "kendall_tau", source).value, digits))
            cells.append(with_sd(of(row, "js_distance", source), digits))
        rows.append(tuple(cells))
    best = single(scope)
    note = "As Table 2 of Kulmizev et al. (2026). ± is the sd over items. "
    if best is not None:
        many = sum(one.kind == "participant" for one in scope.groups)
        note += f"SINGLE is the best of {many} participants by {_js(convention)}, which flatters single models."
    return Sheet("Label variation", tuple(heads), tuple(rows), note.strip())


def _own_heads(convention: Convention) -> tuple[str, str]:
    return (f"\nH ({convention.entropy_unit})", "\nα")


def _js(convention: Convention) -> str:
    return "JS" if convention.js_kind == "distance" else "JSD"


def sheet_5(scope: Scope, convention: Convention, digits: int, labels: Sequence[str]) -> Sheet:
    """Table 5: mixes and every participant."""
    source = main_source(scope)
    distances = {
        "js_distance": f"\n{_js(convention)}",
        "kl_pq": "KL\nP‖Q",
        "kl_qp": "KL\nQ‖P",
        "tvd": "\nTVD",
        "agreement": "\nAgree",
        "distance_correlation": "\nD.Corr",
    }
    if source is None:
        distances = {}
    elif not any("distance_correlation" in row.against.get(source, {}) for row in scope.groups):
        del distances["distance_correlation"]
    heads = ["", "\nH", *distances.values()]
    heads += ["\nα", "labels\nan item", *(f"%\n{label}" for label in labels), "valid\n/ asked"]
    rows = []
    for row in table_5(scope):
        cells = [name_of(row, scope), rounded(of(row, "entropy").value, digits)]
        cells += [rounded(of(row, name, source).value, digits) for name in distances]
        cells += [rounded(of(row, "alpha").value, digits), rounded(of(row, "consistency").value, digits)]
        cells += [rounded(100 * row.label_shares[label], 0) for label in labels]
        cells.append(f"{row.n_valid}/{row.n_asked}")
        rows.append(tuple(cells))
    note = (
        "As Table 5 of Kulmizev et al. (2026). labels an item: distinct ones over a participant's trials, 1 = always "
        "the same."
    )
    if source is not None:
        kl = f"KL with eps {convention.kl_eps:g}: it mostly counts empty cells."
        note += f" P is {titled(source)}, Q the row. {kl}"
    return Sheet("Mixes and participants", tuple(heads), tuple(rows), note)


def sheet_own(scope: Scope, digits: int) -> Sheet:
    """What stands behind H and alpha: intervals, and what people's votes would give at the row's size."""
    n = len(scope.items)
    entropies: list[_Column[Row]] = [
        ("\nH [95 %]", lambda row: with_interval(of(row, "entropy"), digits, n)),
        ("H of\npeople", lambda row: rounded(of(row, "entropy").ceiling, digits)),
        (f"H at\n{RAREFIED_TO} votes", lambda row: _rarefied(of(row, "entropy_rarefied"), digits, n)),
    ]
    alphas: list[_Column[Row]] = [
        ("\nα [95 %]", lambda row: with_interval(of(row, "alpha"), digits, n)),
        ("α of\npeople", lambda row: rounded(of(row, "alpha").ceiling, digits)),
    ]
    ordered: list[_Column[Row]] = [
        ("ordinal\nα [95 %]", lambda row: with_interval(of(row, "alpha_ordinal"), digits, n)),
        ("of\npeople", lambda row: rounded(of(row, "alpha_ordinal").ceiling, digits)),
        ("within a\nparticipant", lambda row: rounded(of(row, "alpha_within_ordinal").value, digits)),
    ]
    note = f"H grows with the number of votes: compare it at {RAREFIED_TO}"
    if scope.human:
        note = f"people: what as many votes of people give. {note}, or with people's"
    else:
        for columns in (entropies, alphas, ordered):
            del columns[1]
    return _laid_out(
        "H and α with their intervals",
        _with_votes(scope),
        [
            ("", lambda row: name_of(row, scope)),
            ("valid\n/ asked", lambda row: f"{row.n_valid}/{row.n_asked}"),
            ("votes\nan item", lambda row: str(row.size)),
            *entropies,
            *alphas,
            *(ordered if any("alpha_ordinal" in row.figures for row in scope.groups) else []),
        ],
        f"{note}. (n): the figure is defined on n items only.",
    )


def _rarefied(figure: Figure, digits: int, of: int) -> str:
    return f"{rounded(figure.value, digits)} {_partly(figure, of)}".rstrip()


def sheet_against(scope: Scope, source: str, convention: Convention, digits: int) -> Sheet:
    """What stands behind distance and correlation: interval, ceiling, null, permutation p; W of ordered labels."""
    rows, n = [], len(scope.items)
    ordered = any("wasserstein" in row.against.get(source, {}) for row in scope.groups)
    for row in [*_with_votes(scope), *nulls(scope)]:
        if source not in row.against:
            continue
        js, tau = of(row, "js_distance", source), of(row, "kendall_tau", source)
        moved = [of(row, "wasserstein", source)] if ordered else []
        rows.append(
            (
                name_of(row, scope),
                with_interval(js, digits, n),
                rounded(js.ceiling, digits),
                rounded(js.null, digits),
                with_interval(tau, digits, n),
                rounded(tau.ceiling, digits),
                rounded(tau.p, 3),
                *(with_interval(one, digits, n) for one in moved),
                *(rounded(bound, digits) for one in moved for bound in (one.ceiling, one.null)),
            )
        )
    name = _js(convention)
    heads = ["", f"\n{name} [95 %]", f"{name} of\npeople", f"{name}\nshuffled"]
    heads += ["\nCor. [95 %]", "Cor. of\npeople", "p of\nCor."]
    heads += ["\nW [95 %]", "W of\npeople", "W\nshuffled"] if ordered else []
    schemes = dict.fromkeys(scope.ceilings.get(source, {}).values())
    note = "people: people against people at the row's size"
    note += f" ({'; '.join(schemes)}). " if schemes else ". "
    note += "shuffled: the row's distributions on the wrong items. p: items shuffled, two-sided."
    note += " W: Wasserstein distance on the order of the labels, 0 to 1." if ordered else ""
    return Sheet(f"Against {titled(source)}: intervals, people against people, chance", tuple(heads), tuple(rows), note)


def _with_votes(scope: Scope) -> list[Row]:
    """People and every row of tables 2 and 5, each once, in their order."""
    rows = [*scope.human.values(), *table_2(scope), *table_5(scope)]
    return list({(row.name, row.kind): row for row in rows if row.kind != "null"}.values())


def sheet_honesty(checks: Sequence[Honesty], digits: int) -> Sheet:
    """What the figures of mixes and experiments rest on."""
    title = "What mixes and experiments rest on"
    group: list[_Column[Honesty]] = [
        ("", lambda one: one.group),
        ("partici-\npants", lambda one: str(one.participants)),
    ]
    if all(one.source is None for one in checks):
        return _laid_out(
            title,
            checks,
            [
                *group,
                ("\nworth", lambda one: rounded(one.effective_raw, 1)),
                ("H if errors\na label", lambda one: span(one.bounds["entropy"], digits) or NOTHING),
            ],
            "worth: effective number of participants, by how alike they answer. H if errors a label: range of H if "
            "missing answers had been one label.",
        )

    def part(name: str) -> Callable[[Honesty], str]:
        return lambda one: rounded(getattr(one.gap, name, NAN), digits)

    return _laid_out(
        title,
        checks,
        [
            *group,
            ("\nworth", lambda one: rounded(one.effective_centred, 1)),
            ("\n(raw)", lambda one: rounded(one.effective_raw, 1)),
            ("\nJSD", part("total")),
            ("= label\nbias", part("marginal")),
            ("\n+ items", part("item")),
            ("recali-\nbrated", part("total_recalibrated")),
            (
                "JS by par-\nticipants",
                lambda one: span(one.jackknife.get("js_distance", Range(NAN, NAN)), digits) or NOTHING,
            ),
            (
                "if errors\na label",
                lambda one: span(one.bounds.get("js_distance", one.bounds["entropy"]), digits) or NOTHING,
            ),
        ],
        "worth: effective number of participants, by how alike they stray from people; more than there are, where they "
        "stray in opposite directions. (raw): by how alike they answer. recalibrated: JSD left once "
        "labels are used as often as people use them. JS by participants: 95 % jackknife. if errors a label: range of "
        "JS (of H without human data) if missing answers had been one label.",
    )


def sheet_alt_test(tests: AltTests, digits: int) -> Sheet:
    """The alternative annotator test of every row."""
    rows = tuple(
        (one.group, rounded(one.winning_rate, digits), rounded(one.advantage_probability, digits)) for one in tests.rows
    )
    note = f"ε = {tests.epsilon:g} (crowd workers); passes from a winning rate of 0.5 on. {tests.why}."
    return Sheet("Alternative annotator test", ("", "winning\nrate", "advantage\nprobability"), rows, note)
