"""``--engine``: what runs a plan, this process or a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

import click

from partynli.cli.running import MakeRunner, in_batches, on_this_machine
from partynli.errors import InputError

_Function = TypeVar("_Function", bound=Callable[..., Any])
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is told to anyone
    "RAY_DEDUP_LOGS_SKIP_REGEX": "A worker died or was killed",  # the driver says it itself, in one line
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a warning at every start asks for it
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run` it would send the working folder, .env and all, to the nodes
}
"""What Ray reads from the environment when it is imported; what the person has set stays."""


def engine_options(function: _Function) -> _Function:
    """``--engine NAME`` and ``--ray-address ADDRESS``."""
    engine = click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Where calls are made from: this process, or a Ray cluster.",
    )
    address = click.option(
        "--ray-address",
        metavar="ADDRESS",
        help="Cluster for --engine ray: auto, ray://HOST:PORT or HOST:PORT; by default this machine.",
    )
    return engine(address(function))


def maker(engine: str, address: str | None, *, batch: bool = False) -> MakeRunner:
    """What makes the engine that was asked for."""
    if batch:
        if engine != "local" or address is not None:
            raise InputError("--batch leaves the work to the providers, and --engine ray to a cluster: choose one")
        return in_batches
    if engine == "local":
        if address is not None:
            raise InputError("--ray-address belongs to --engine ray: add it, or leave the address out")
        return on_this_machine
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        membership = import_module("partynli.sampling.cluster.membership")
        driver = import_module("partynli.sampling.cluster.driver")
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise InputError("--engine ray needs Ray: pip install 'partynli[ray]'") from None
    membership.check_address(address)
    return partial(driver.Driver, address=address)
