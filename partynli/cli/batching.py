"""``--batch``: through the providers' batch APIs, for less money and within a day."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

import click

from partynli.cli.output import console, safe
from partynli.providers.batch import unbatchable
from partynli.records import Participant
from partynli.store import Batch, Run

_Function = TypeVar("_Function", bound=Callable[..., Any])


def poll_option(function: _Function) -> _Function:
    """``--poll SECONDS``."""
    return click.option(
        "--poll",
        "poll_s",
        type=click.FloatRange(min=0, min_open=True),
        default=60.0,
        show_default=True,
        metavar="SECONDS",
        help="With --batch: time between two looks.",
    )(function)


def lacking_batches(participants: Iterable[Participant]) -> dict[str, str]:
    """Why some participants cannot be asked in batches, by name."""
    found = {one.name: unbatchable(one) for one in participants}
    return {name: f"{why}; `partynli resume RUN --no-batch` asks call by call" for name, why in found.items() if why}


def was_batched(run: Run) -> bool:
    """Whether a run was begun in batches, or has sent any."""
    return "batch" in run.manifest or bool(run.batches.all())


def print_open_batches(batches: Iterable[Batch]) -> None:
    """Say which batches are at their providers."""
    for batch in batches:
        where = f"batch {batch.remote}" if batch.remote else "a batch that was perhaps sent"
        note = f": {batch.note}" if batch.note else ""
        console.print(
            f"{safe(where)}, {batch.n:,} requests, since {datetime.fromtimestamp(batch.planned_at):%Y-%m-%d %H:%M}, "
            f"{batch.state}{safe(note)}",
            soft_wrap=True,
        )
