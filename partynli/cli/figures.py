"""Figures of a run, for ``plot`` and for ``report --out``: what they are made of, and where they go."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import click

from partynli.aggregate import NOT_ASKED, Answers
from partynli.analysis.groups import Group, largest_mix, members_of
from partynli.analysis.scope import scopes_of
from partynli.cli.output import console, safe, shown
from partynli.cli.reading import Reading, pick_scope
from partynli.errors import InputError
from partynli.metrics import Convention


class Material(NamedTuple):
    """A run, and what was chosen for its figures."""

    path: Path
    reading: Reading
    convention: Convention
    scopes: tuple[str, ...] = ()
    """Wanted scopes; empty for the paper's own."""
    group: str | None = None
    item: str | None = None
    embedders: tuple[str, ...] = ()
    seed: int = 0


def catalogue() -> Any:
    """The module `partynli.report.plots.catalogue`, which needs matplotlib.

    Raises
    ------
    InputError
        Matplotlib is not installed.
    """
    try:
        return import_module("partynli.report.plots.catalogue")  # only here: the other commands go without it
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise InputError("plots need matplotlib: pip install 'partynli[plots]'") from None


def drawn(names: Sequence[str], material: Material) -> Iterator[tuple[str, Any]]:
    """Name and canvas of figures; an `InputError` in the canvas's place where the run cannot give it."""
    known = catalogue().CATALOGUE
    subject = cache(lambda scope: subject_of(material, scope))
    for name in names:
        try:
            yield name, known[name].draw(subject(_scope(material, known[name].scope)))
        except InputError as error:
            yield name, error


def save(canvas: Any, stem: Path, formats: Sequence[str]) -> tuple[Path, ...]:
    """Write a figure into files of these formats, in a folder that is made where it is not there."""
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {stem.parent} cannot be made: {error.strerror or error}") from None
    files: tuple[Path, ...] = import_module("partynli.report.plots.style").save(canvas, stem, formats)
    return files


def plot_all(material: Material, folder: Path, *, quiet: bool) -> None:
    """Write all figures that a run can give, as PNG and SVG, and say which it cannot give and why.

    Raises
    ------
    InputError
        A file cannot be written.
    """
    try:
        names = list(catalogue().CATALOGUE)
    except InputError as error:
        if not quiet:
            console.print(f"no figures: {safe(str(error))}")
        return
    missing = []
    for name, canvas in drawn(names, material):
        if isinstance(canvas, InputError):
            missing.append(f"no figure {name}: {canvas}")
        else:
            save(canvas, folder / name, ("png", "svg"))
    if quiet:
        return
    if len(missing) < len(names):
        console.print(f"{len(names) - len(missing)} figures: {safe(shown(folder))}")
    for line in missing:
        console.print(safe(line), style="dim")


def subject_of(material: Material, scope: str | None) -> Any:
    """What the figures of one scope are made of: a `partynli.report.plots.subject.Subject`.

    Raises
    ------
    InputError
        The scope or the group is unknown, or there are no answers.
    """
    reading = material.reading
    name, uids = pick_scope(reading, scope)
    answers = reading.answers.on(uids)
    return import_module("partynli.report.plots.subject").Subject(
        run=material.path.name,
        scope=name,
        answers=answers,
        group=_group(answers, material.group, name),
        dataset=reading.dataset,
        convention=material.convention,
        tallies=reading.tallies,
        path=material.path,
        embedder_names=material.embedders or ("tfidf",),
        item=material.item,
        seed=material.seed,
        heard=_progress if sys.stderr.isatty() else None,
    )


def _scope(material: Material, papers: str) -> str | None:
    """The paper's scope of a figure where it is there and not ruled out; None for the first that applies."""
    there = scopes_of(material.reading.answers, material.reading.dataset)
    wanted = material.scopes or tuple(there)
    return papers if papers in wanted else next(iter(material.scopes), None)


def _group(answers: Answers, name: str | None, scope: str) -> Group:
    chosen, members = (name, members_of(answers, name)) if name is not None else largest_mix(answers)
    if not members:  # people's answers alone, who are in no mix
        chosen, members = "people", tuple(range(len(answers.participants)))
    asked = tuple(one for one in members if (answers.simple[one] != NOT_ASKED).any())
    if not asked:
        raise InputError(f"nobody of {chosen} was asked about the items of {scope}: there is nothing to plot")
    if len(members) == 1:
        return Group(answers.names[members[0]], "participant", members)
    return Group(chosen, "mix", members)


def _progress(embedder: str, done: int, total: int) -> None:
    click.echo(f"\r{embedder!r}: {done:,} of {total:,} texts", nl=done == total, err=True)
