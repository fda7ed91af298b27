"""``python -m partynli.testing.server``: the loopback server from the command line, to test a registry against."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import click

from partynli.errors import InputError, PartyNLIError
from partynli.testing.batch_behaviour import BATCH_FAULTS
from partynli.testing.behaviour import FAULTS, Behaviour, Setup
from partynli.testing.books import Books, Tally
from partynli.testing.loopback import LoopbackServer
from partynli.testing.process import LoopbackProcess

__all__ = ["FAULTS", "Behaviour", "Books", "LoopbackProcess", "LoopbackServer", "Setup", "Tally", "main"]

_LONGEST_SETUP = 2**26
_ORPHAN_CHECK_S = 1.0
_EXAMPLE = """\b
Example of FILE, for a server with a slow model, one that is limited, and one that fails:
  {"default": {"latency_s": 0.3, "jitter_s": 0.2},
   "behaviours": {
     "small": {"rpm": 60, "retry_after": "date", "limit_headers": true},
     "shaky": {"script": ["server_error", null, "hang"],
               "fault_share": 0.1, "faults": ["cut", "fenced", "refusal"]}},
   "models": ["small", "shaky", "other"]}

\b
Then, in your registry:
  providers:
    here: {route: openai, api_base: "http://127.0.0.1:PORT/v1"}
What came in: curl http://127.0.0.1:PORT/_books

\b
Faults:
"""
_EPILOG = (
    _EXAMPLE
    + "\n".join(f"  {name:<28}{what}" for name, what in FAULTS.items())
    + '\n\n\b\nFaults of batches, as in {"batches": {"polls": 2, "script": ["expired"]}}:\n'
    + "\n".join(f"  {name:<28}{what}" for name, what in BATCH_FAULTS.items())
)


@click.command(epilog=_EPILOG, context_settings={"max_content_width": 120})
@click.option("--port", type=click.IntRange(0, 65535), help="Port on 127.0.0.1; without it, any free one.")
@click.option("--behaviour", "file", type=click.Path(path_type=Path), help="JSON file that says how models behave.")
@click.option("--key-env", metavar="NAME", help="Demand the API key in this environment variable.")
@click.option("--setup-from-stdin", is_flag=True, hidden=True)
def main(port: int | None, file: Path | None, key_env: str | None, setup_from_stdin: bool) -> None:
    """Serve OpenAI's and Anthropic's chat and batch protocols on loopback, answering LiveNLI prompts.

    Prints its address and runs until it is interrupted. Nothing leaves this machine, and no answer costs anything.
    """
    try:
        if setup_from_stdin:
            asyncio.run(_serve_parent())
        else:
            setup = _with_key(_read(file) if file else Setup(), key_env)
            asyncio.run(_serve(setup if port is None else replace(setup, port=port)))
    except PartyNLIError as error:
        raise click.UsageError(str(error)) from None


def _read(file: Path) -> Setup:
    try:
        given = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{file} is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise InputError(f"{file} must hold a JSON object")
    if "api_key" in given:
        raise InputError(f"{file}: keys do not belong into files; use --key-env")
    return Setup.from_json(given)


def _with_key(setup: Setup, name: str | None) -> Setup:
    if name is None:
        return setup
    if not os.environ.get(name):
        raise InputError(f"the environment variable {name} is not set")
    return replace(setup, api_key=os.environ[name])


async def _serve_parent() -> None:
    """Serve a `LoopbackProcess`: setup from standard input, and an end when it closes."""
    parent = os.getppid()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LONGEST_SETUP)
    pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        setup = Setup.from_json(json.loads(await reader.readline()))
        await _serve(setup, asyncio.create_task(_orphaned(reader, parent)))
    finally:
        pipe.close()


async def _orphaned(reader: asyncio.StreamReader, parent: int) -> None:
    """Return when the parent has closed its end of the pipe, or is no more."""
    while os.getppid() == parent:
        # a process that the parent forked may hold the pipe open after the parent's death
        try:
            async with asyncio.timeout(_ORPHAN_CHECK_S):
                await reader.read()
        except TimeoutError:
            continue
        return


async def _serve(setup: Setup, until: asyncio.Task[None] | None = None) -> None:
    """Serve until interrupted, or until the task `until` is done."""
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, interrupted.set)
    async with LoopbackServer.from_setup(setup) as server:
        click.echo(f"{server.url} (OpenAI)  {server.anthropic_url} (Anthropic)")
        sys.stdout.flush()
        if until is None:
            await interrupted.wait()
        else:
            until.add_done_callback(lambda _: interrupted.set())
            await interrupted.wait()
            until.cancel()


if __name__ == "__main__":
    main()
