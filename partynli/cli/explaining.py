"""The part of ``partynli report`` that reads explanations, and its options."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from partynli.analysis.explanations import BY, ExplanationReport, embedded, explanation_report, read_explanations
from partynli.analysis.explanations.split import Part
from partynli.analysis.explanations.texts import By
from partynli.analysis.groups import groups_of
from partynli.analysis.scope import Choices
from partynli.cli.reading import Reading
from partynli.embed import embedder_for, title_of
from partynli.errors import InputError
from partynli.items.litex import load_parts
from partynli.prompts import task_of
from partynli.store import Run
from partynli.store.embeddings import KeptVectors

_Function = TypeVar("_Function", bound=Callable[..., Any])
DEFAULT = ("tfidf",)


def explanation_options(function: _Function) -> _Function:
    """``--explanations``, ``--embedder NAME`` and ``--multi-label HOW``."""
    options = (
        click.option("--explanations", is_flag=True, help="Compare explanations, too: words, distances, overlap."),
        click.option(
            "--embedder",
            "embedders",
            multiple=True,
            metavar="NAME",
            help="What distances are taken of: tfidf (default), e5, style, a model's name or folder, or URL#MODEL; "
            "may be repeated.",
        ),
        click.option(
            "--multi-label",
            "by",
            type=click.Choice(BY),
            help="Where an explanation of several labels counts: under the single label that they collapse to "
            "(default), under the set, or split into one for each.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def check_options(wanted: bool, embedders: Sequence[str], by: By | None) -> None:
    """Refuse options that would have no effect."""
    if not wanted and (embedders or by):
        raise InputError(f"{'--embedder' if embedders else '--multi-label'} says how to compare: add --explanations")


def explanation_reports(
    path: Path,
    reading: Reading,
    scopes: Mapping[str, Sequence[str]],
    mixes: Mapping[str, Sequence[str]],
    choices: Choices,
    embedders: Sequence[str],
    by: By | None,
) -> list[ExplanationReport]:
    """Compare the explanations of a run and of people, on each scope."""
    chosen = [embedder_for(name) for name in dict.fromkeys(embedders or DEFAULT)]
    how: By = by or "class_simple"
    parts = {uid: [Part(*one) for one in known] for uid, known in load_parts().items()} if how == "split" else None
    kept = KeptVectors(path)
    groups, _ = groups_of(reading.answers, mixes)
    found = []
    for name, uids in scopes.items():
        on = reading.answers.on(sorted(uids))
        with Run.open(path) as run:
            explanations = read_explanations(run, task_of(reading.manifest), on, reading.dataset, how, parts)
        notes: list[str] = []
        vectors = {
            title_of(one): embedded(explanations, one, kept, heard=_progress, warn=notes.append) for one in chosen
        }
        found.append(
            explanation_report(
                name, explanations, groups, vectors, by=how, draws=choices.draws, seed=choices.seed, notes=notes
            )
        )
    return found


def widest(scopes: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """The scope of the most items: explanations are compared on all of them unless scopes are named."""
    name = max(scopes, key=lambda name: len(scopes[name]))
    return {name: scopes[name]}


def _progress(embedder: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{embedder!r}: {done:,} of {total:,} texts", nl=done == total, err=True)
