"""``partynli mjd``: distributions from the scores of answer options."""

from __future__ import annotations

import click

from partynli.cli.mjd.report import report
from partynli.cli.mjd.run import run


@click.group("mjd")
def command() -> None:
    """Ask how likely a model finds each label, and compare that with people (Chen et al. 2024, 2025).

    `run` lists the labels as options, in every order and with people's or models' explanations, and keeps the scores of
    the options' letters at the first token; `report` makes distributions of them.

    \b
    Examples:
      partynli mjd run --participant sim-typical --run tryout  no key, no cost: a simulated persona
      partynli mjd report tryout
    """


command.add_command(run)
command.add_command(report)
