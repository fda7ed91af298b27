"""``--until-ci``: items get no more trials once they are known well enough."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Any, TypeVar

import click

from partynli.cli.options import WidthType
from partynli.cli.output import console
from partynli.errors import InputError
from partynli.sampling.plan import MIN_ROUNDS, Plan

_Function = TypeVar("_Function", bound=Callable[..., Any])


def until_option(function: _Function) -> _Function:
    """``--until-ci WIDTH``."""
    return click.option(
        "--until-ci",
        "until_ci",
        type=WidthType(),
        metavar="WIDTH",
        help="Ask no more about an item once the 95 % interval of its entropy (nats) is narrower; --trials at most.",
    )(function)


def check_engine(until_ci: float | None, *, batch: bool, engine: str) -> None:
    """Refuse to go round by round in batches or on a cluster.

    Raises
    ------
    InputError
        That is what was asked for.
    """
    if until_ci is not None and batch:
        raise InputError("--until-ci goes round by round, and each batch may take a day: leave out one of the two")
    if until_ci is not None and engine != "local":
        raise InputError("--until-ci goes round by round on this machine: leave out --engine ray")


def check_rounds(plan: Plan) -> None:
    """Refuse a plan that stops early and cannot go round by round.

    Raises
    ------
    InputError
        It has no third round, a width that no interval exceeds, or starts servers of its own.
    """
    if plan.until_ci is None:
        return
    if plan.until_ci >= (widest := log(len(plan.task.labels))):
        raise InputError(
            f"--until-ci {plan.until_ci:g} would settle every item after {MIN_ROUNDS} trials: no entropy of "
            f"{len(plan.task.labels)} labels exceeds {widest:.3f} nats; give a narrower width"
        )
    if served := [one.name for one in plan.participants if one.needs_server]:
        raise InputError(
            f"--until-ci goes round by round, and the server of {served[0]} would be started anew for each: start it "
            "yourself, and give its api_base in the registry"
        )
    if max(plan.trials.values(), default=0) <= MIN_ROUNDS:
        raise InputError(f"--until-ci first looks after {MIN_ROUNDS} trials: give --trials of {MIN_ROUNDS + 1} or more")


def print_standing(width: float | None, settled: int, n_items: int) -> None:
    """Say how many items are settled."""
    why = f"the 95 % interval of their entropy is narrower than {width:g} nats"
    console.print(f"{settled:,} of {n_items:,} items settled: {why}")
