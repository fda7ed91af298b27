"""``partynli compare``: two runs on the items that both have."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np

from partynli.aggregate import NOT_ASKED, Answers, Counts, people_of
from partynli.analysis.compare import CAUTION, Comparison, Difference, compare_groups
from partynli.analysis.groups import EVERYBODY, groups_of, members_of
from partynli.analysis.lookup import Figure
from partynli.analysis.scope import scopes_of
from partynli.cli.options import find_run, runs_option
from partynli.cli.output import console, echo_json, safe
from partynli.cli.reading import Reading, answers_of, evened, pick_scope, shortened
from partynli.cli.wide import print_rows
from partynli.errors import InputError
from partynli.report.draws import nested, number
from partynli.report.sheets import figure_name, rounded
from partynli.store import Run


@click.command("compare")
@click.argument("run_a", metavar="RUN_A")
@click.argument("run_b", metavar="RUN_B")
@click.option("--scope", metavar="NAME", help="Items: common50, all122 or all; by default the first that applies.")
@click.option("--group", metavar="NAME", help="Mix, experiment or participant that both runs have.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of resamples and permutations.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
@runs_option
def command(
    run_a: str, run_b: str, scope: str | None, group: str | None, seed: int, as_json: bool, runs_path: Path | None
) -> int:
    """Compare two runs, figure by figure, on the items that both have.

    Mixes and experiments of the same name are compared; where there is none, all participants of the one with all of
    the other. The difference is B less A, with a 95 % interval (paired bootstrap over items) and p (paired permutation
    test over items).

    \b
    Examples:
      partynli compare pilot main
      partynli compare pilot main --group hi --scope all122 --json
    """
    paths = [find_run(name, runs_path) for name in (run_a, run_b)]
    readings = [evened(answers_of(path)) for path in paths]
    names = [path.name for path in paths]
    scope_name, uids, lacking = _shared_items(readings, names, scope)
    a, b = (one.answers.on(uids) for one in readings)
    beside = [people_of(one.dataset, answers) for one, answers in zip(readings, (a, b), strict=True)]
    human = beside[0] or beside[1]
    groups = _shared_groups(readings, names, group)
    compared = {name: compare_groups(a, b, (in_a, in_b), human, seed=seed) for name, (in_a, in_b) in groups.items()}
    notes = [*dict.fromkeys(note for reading in readings for note in reading.notes), *lacking]
    notes += [*_other_texts(paths, uids), *_other_people(beside, names), *_unlike(readings)]
    if as_json:
        found = {name: _as_json(one) for name, one in compared.items()}
        head = {"schema": 1, "runs": names, "synthetic": a.synthetic or b.synthetic, "scope": scope_name, "seed": seed}
        whole = {**head, "n_items": len(a.items), "groups": found, "caution": CAUTION, "notes": notes}
        echo_json(json.dumps(whole, indent=1, allow_nan=False))
        return 0
    console.print(
        f"A [bold]{safe(names[0])}[/bold], B [bold]{safe(names[1])}[/bold], {safe(scope_name)}: "
        f"{len(a.items):,} items that both have, seed {seed}"
    )
    for name, one in compared.items():
        _print(name, one)
    console.print(CAUTION, style="yellow")
    for note in notes:
        console.print(safe(note), style="dim")
    return 0


def _shared_items(
    readings: Sequence[Reading], names: Sequence[str], scope: str | None
) -> tuple[str, tuple[str, ...], list[str]]:
    """The items of a scope that both runs have, and notes that name the others."""
    if scope is None:
        scopes = [scopes_of(one.answers, one.dataset) for one in readings]
        scope = next((name for name in scopes[0] if name in scopes[1]), "all")
    uids = [pick_scope(one, scope)[1] for one in readings]
    notes = []
    for here, there, name in ((0, 1, names[0]), (1, 0, names[1])):
        known = set(uids[there])
        if only := [uid for uid in uids[here] if uid not in known]:
            notes.append(f"{len(only):,} items only in {name}, left out: {shortened(only)}")
    known = set(uids[1])
    shared = tuple(sorted(uid for uid in uids[0] if uid in known))
    if not shared:
        raise InputError(f"runs {names[0]} and {names[1]} share no item of scope {scope}; nothing to compare")
    return scope, shared, notes


def _shared_groups(
    readings: Sequence[Reading], names: Sequence[str], group: str | None
) -> dict[str, tuple[Sequence[int], Sequence[int]]]:
    """Members in both runs of the groups to compare, by name."""
    a, b = (one.answers for one in readings)
    if group is not None:
        return {group: (members_of(a, group, names[0]), members_of(b, group, names[1]))}
    of_a, of_b = (_groups(one) for one in (a, b))
    shared = [name for name in of_a if name in of_b and name != EVERYBODY]
    for name, there, answers in zip(names, (of_a, of_b), (a, b), strict=True):
        if EVERYBODY not in there:
            if (answers.simple != NOT_ASKED).any():
                raise InputError(f"run {name} holds answers of people alone; `partynli report {name}` shows them")
            raise InputError(f"run {name} holds no answers yet")
    return {name: (of_a[name], of_b[name]) for name in shared or [EVERYBODY]}


def _groups(answers: Answers) -> dict[str, tuple[int, ...]]:
    return {group.name: group.members for group in groups_of(answers)[0] if group.kind != "participant"}


def _other_texts(paths: Sequence[Path], uids: Sequence[str]) -> list[str]:
    """Name the items that have one uid and two texts; an item that was imported without its texts is no other one."""
    texts: list[dict[str, dict[str, str]]] = []
    for path in paths:
        with Run.open(path) as run:
            wanted = set(uids)
            texts.append({item.uid: dict(item.texts) for item in run.items if item.uid in wanted})
    of_a, of_b = texts
    other = [uid for uid in uids if of_a[uid] != of_b[uid] and any(of_a[uid].values()) and any(of_b[uid].values())]
    if not other:
        return []
    return [f"{len(other):,} items have other texts in B than in A, and may be other items: {shortened(other)}"]


def _other_people(beside: Sequence[Mapping[str, Counts]], names: Sequence[str]) -> list[str]:
    """Say whose people both runs are set beside, where each has people of its own."""
    of_a, of_b = beside
    same = of_a.keys() == of_b.keys() and all(np.array_equal(of_a[source], of_b[source]) for source in of_a)
    if same or not of_a or not of_b:
        return []
    return [f"people's answers to these items are not the same in both runs: {names[0]}'s are taken"]


def _unlike(readings: Sequence[Reading]) -> list[str]:
    """What the two runs' plans do not share, beyond what they are compared for."""
    notes = []
    prompts = [one.manifest["plan"].get("prompts") for one in readings]
    if prompts[0] != prompts[1]:
        notes.append("the two runs used different prompts")
    if any(one.answers.synthetic for one in readings):
        notes.append("SYNTHETIC: simulated participants, no finding about any model")
    return notes


def _as_json(one: Comparison) -> dict[str, Any]:
    def spelt(_: Figure, found: Difference) -> dict[str, Any]:
        fields = {name: value if isinstance(value, int) else number(value) for name, value in asdict(found).items()}
        return {**fields, "ci": [fields.pop("low"), fields.pop("high")]}

    return {
        "n_items": len(one.items),
        **{
            run: {
                "participants": one.participants[k],
                "trials": one.trials[k],
                "n_valid": one.n_valid[k],
                "n_asked": one.n_asked[k],
            }
            for k, run in enumerate("ab")
        },
        "figures": nested(one.differences, spelt),
        "notes": one.notes,
    }


def _print(name: str, one: Comparison) -> None:
    valid = " and ".join(f"{n:,} of {of:,}" for n, of in zip(one.n_valid, one.n_asked, strict=True))
    people = f"{one.participants[0]} and {one.participants[1]} participants"
    console.print(f"[bold]{safe(name)}[/bold]: {people}, {valid} answers valid")
    rows = []
    for (metric, source), found in one.differences.items():
        defined = found.difference == found.difference
        between = f"{rounded(found.low)} to {rounded(found.high)}" if defined else "–"
        numbers = (rounded(found.a), rounded(found.b), rounded(found.difference), between, rounded(found.p, 4))
        rows.append([figure_name(metric), source or "", *numbers, f"{found.n:,}"])
    print_rows(("figure", "against", "A", "B", "B - A", "95 %", "p", "n items"), rows, left=2)
    if void := sum(found.undefined > 0 for found in one.differences.values()):
        console.print(f"{void} figures are undefined on some resamples, which are left out (--json counts them)")
    for note in one.notes:
        console.print(safe(note), style="dim")
