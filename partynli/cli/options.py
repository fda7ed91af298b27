"""Options that several commands share, and how a run is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import click

from partynli.errors import InputError, RunError, unknown_name
from partynli.prompts import task_of
from partynli.store import Run, list_runs, runs_dir

_Function = TypeVar("_Function", bound=Callable[..., Any])
_RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


class WidthType(click.FloatRange):
    """A finite number above 0; click takes ``nan`` for one."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """A width from what was typed."""
        width = float(super().convert(value, param, ctx))
        if not isfinite(width):
            self.fail(f"{value} is no width", param, ctx)
        return width


def registry_option(function: _Function) -> _Function:
    """``--registry FILE``."""
    return click.option(
        "--registry",
        "registry_path",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Registry to use; by default ./registry.yaml, else the one that came with partynli.",
    )(function)


def prompts_option(function: _Function) -> _Function:
    """``--prompts DIR``."""
    return click.option(
        "--prompts",
        "prompts_path",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Folder of tasks and prompts; by default ./prompts, else the one that came with partynli.",
    )(function)


def runs_option(function: _Function) -> _Function:
    """``--runs DIR``."""
    return click.option(
        "--runs",
        "runs_path",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Folder of all runs; by default $PARTYNLI_RUNS, else ./runs.",
    )(function)


def new_run(name: str, runs_path: Path | None) -> Path:
    """Folder of a run by its name, which becomes a folder's name."""
    if not _RUN_NAME.fullmatch(name):
        raise InputError(
            f"--run {name!r} cannot name a folder: use letters, digits, dots, dashes and underscores, at most 100"
        )
    return runs_dir(runs_path) / name


def find_run(name: str | None, runs_path: Path | None) -> Path:
    """Folder of an existing run by its name; the newest where none is named."""
    folder = runs_dir(runs_path)
    runs = list_runs(folder)
    if not runs:
        raise RunError(
            f"there is no run in {folder.absolute()}: go to the folder in which it was made, or name its runs with "
            "--runs; `partynli sample --mix demo --trials 5` makes one"
        )
    if name is None:
        return runs[-1]
    for run in runs:
        if run.name == name:
            return run
    raise RunError(unknown_name("run", name, (run.name for run in runs), str(folder)))


def find_study(name: str | None, runs_path: Path | None) -> Path:
    """Folder of an existing run of answers to its items by its name; the newest such one where none is named."""
    if name is None:
        for path in reversed(list_runs(runs_dir(runs_path))):
            if reader_of(path) not in (*_NO_ANSWERS, "reasons"):
                return path
    path = find_run(name, runs_path)
    if (reader := reader_of(path)) in _NO_ANSWERS:
        what, command = _NO_ANSWERS[reader]
        raise RunError(f"run {path.name!r} holds {what} and no answers to its items; `{command}` reads it")
    return path


_NO_ANSWERS = {
    "options": ("scores of answer options", "partynli mjd report"),
    "list": ("lists of explanations", "partynli explain export"),
}
"""What a run of this reader holds instead of answers to its items, and what reads it."""


def reader_of(path: Path) -> str:
    """How a run's answers are read, which tells of which kind they are."""
    with Run.open(path) as run:
        return task_of(run.manifest).reader


def holds_codes(path: Path) -> bool:
    """Whether a run holds the codes that a judge gave to another run's explanations."""
    return reader_of(path) == "reasons"
