"""Options that the parts of ``partynli finetune`` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from partynli.finetune.settings import Settings

_Function = TypeVar("_Function", bound=Callable[..., Any])
_COUNT = click.IntRange(min=1)


def settings_options(given: Settings) -> Callable[[_Function], _Function]:
    """How models are trained; `given` holds the defaults."""
    options = (
        click.option("--loss", type=click.Choice(("cross_entropy", "kl")), default=given.loss, show_default=True),
        click.option(
            "--learning-rate",
            type=click.FloatRange(min=0, max=1, min_open=True),
            default=given.learning_rate,
            show_default=True,
            metavar="RATE",
            help="At the start; falls linearly to 0.",
        ),
        click.option("--batch", "batch_size", type=_COUNT, default=given.batch_size, show_default=True, metavar="N"),
        click.option("--epochs", type=_COUNT, default=given.epochs, show_default=True, metavar="N"),
        click.option(
            "--evaluate-every",
            type=_COUNT,
            default=given.evaluate_every,
            show_default=True,
            metavar="STEPS",
            help="Steps between two looks at dev.",
        ),
        click.option(
            "--select-by",
            type=click.Choice(("macro_f1", "weighted_f1", "accuracy")),
            default=given.select_by,
            show_default=True,
            help="Figure on dev by which the best weights are chosen.",
        ),
        click.option("--patience", type=_COUNT, metavar="N", help="Stop after N looks at dev without a better one."),
        click.option("--max-length", type=_COUNT, default=given.max_length, show_default=True, metavar="TOKENS"),
    )
    return _all(options)


def running_options(function: _Function) -> _Function:
    """Where and how often; none of it changes what comes out, but for the precision."""
    options = (
        click.option(
            "--precision",
            type=click.Choice(("fp32", "bf16", "fp16")),
            help="By default bf16 or fp16 on a GPU, whichever it has, and fp32 on a processor.",
        ),
        click.option(
            "--checkpoint-every",
            "checkpoint_s",
            type=click.FloatRange(min=0),
            default=300.0,
            show_default=True,
            metavar="SECONDS",
            help="How much a stop can cost. A checkpoint has four times the size of the model.",
        ),
    )
    return _all(options)(function)


def revision_option(function: _Function) -> _Function:
    """``--revision REV``."""
    return click.option(
        "--revision",
        metavar="REV",
        help="Branch, tag or commit of the model at the Hub that training starts from; by default its main branch.",
    )(function)


def anli_option(function: _Function) -> _Function:
    """``--anli WHICH``."""
    return click.option(
        "--anli",
        metavar="WHICH",
        help="Test out of domain: anli (downloaded at need), its archive or folder, or one file in its format.",
    )(function)


def _all(options: tuple[Callable[[Any], Any], ...]) -> Callable[[_Function], _Function]:
    def add(function: _Function) -> _Function:
        for option in reversed(options):
            function = option(function)
        return function

    return add
