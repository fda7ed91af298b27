"""``python -m partynli.testing.hub``: the loopback hub from the command line, to try publishing against."""

from __future__ import annotations

import signal
import threading

import click

from partynli.errors import PartyNLIError
from partynli.testing.hub.faults import HUB_FAULTS
from partynli.testing.hub.server import HubServer

_TOKEN = "hf_loopback"  # noqa: S105  # it opens nothing but what this server holds, and only while it runs
_EPILOG = "\b\nFaults that tests script:\n" + "\n".join(f"  {name:<14}{what}" for name, what in HUB_FAULTS.items())


@click.command(epilog=_EPILOG, context_settings={"max_content_width": 120})
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1; without it, any free one.")
@click.option("--user", default="ada", show_default=True, help="Whose token it takes.")
def main(port: int, user: str) -> None:
    """Serve an empty hub on loopback, until interrupted. Nothing leaves this machine, and nothing is kept."""
    interrupted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts its background jobs with SIGINT ignored
        signal.signal(number, lambda *_: interrupted.set())
    try:
        with HubServer({_TOKEN: user}, port=port) as hub:
            click.echo(f"export HF_ENDPOINT={hub.url} HF_TOKEN={_TOKEN}")
            interrupted.wait()
    except PartyNLIError as error:
        raise click.UsageError(str(error)) from None


if __name__ == "__main__":
    main()
