"""The command line: each command parses, calls one function, and prints. One file a command."""

from __future__ import annotations

import difflib
import io
import os
import signal
import sys
from importlib import import_module
from keyword import iskeyword

import click

from partynli import __version__
from partynli.errors import PartyNLIError

COMMANDS = {
    "sample": "Ask participants to annotate items, and keep every answer.",
    "resume": "Go on with a run that was stopped.",
    "status": "Show what of a run is done, failed and spent.",
    "report": "Set labels of participants beside people's, with what the figures rest on.",
    "plan": "Predict from a pilot how many participants and trials a figure takes.",
    "randommix": "Show what other draws of participants would have found.",
    "plot": "Draw a figure of the paper, or one beyond them, of a run.",
    "explore": "Write a run as one page, to read the answers behind the figures.",
    "reasons": "Find which kinds of reasoning people and models share.",
    "explain": "Ask for explanations of every label, pick some, and mix them with people's.",
    "mjd": "Ask how likely a model finds each label, and compare that with people.",
    "finetune": "Train small models on soft labels, and see whether they predict people better.",
    "compare": "Compare two runs on the items that both have.",
    "import": "Make a run of a table of answers, or of an export.",
    "export": "Write a run as tables that other programs open.",
    "publish": "Send a run to the Hugging Face Hub as a dataset.",
    "participants": "List participants, mixes, prices, and which keys are there.",
    "doctor": "Check registry, prompts, keys and servers, with one tiny call each.",
    "data": "List datasets, and fetch them.",
    "init": "Copy registry and prompts here, to be edited.",
}
"""Command -> its one line of help. Its module or package has the same name (``import_`` where Python keeps the name for
itself), and is imported only when the command is chosen."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = f"{name}_" if iskeyword(name) else name
        command: click.Command = import_module(f"partynli.cli.{module}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"commands: {', '.join(COMMANDS)}"
            ctx.fail(f"no such command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="partynli")
def cli() -> None:
    """Treat language models as participants of an annotation study, and keep every answer.

    \b
    First try, without a key:
      partynli sample --mix demo --trials 5
    With keys in the environment:
      partynli sample --mix all --trials 5 --dry-run
      partynli sample --mix all --trials 5
    """


def main() -> None:
    """Entry point: run the command of the command line, and end the process."""
    try:
        code = run()
    except KeyboardInterrupt:  # Ctrl-C again, while the first was being told
        code = 130
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python would meet another with a traceback while it ends
    sys.exit(code)


def run() -> int:
    """Run the command of the command line; every error that partynli knows becomes one line and an exit code.

    0 done, 1 some trials failed, 2 bad input or configuration, 3 budget reached, 130 interrupted (resumable).
    """
    # read when numpy is imported: threads that wait for each other over small matrices double the time of a report
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows no α gets \u03b1, and not a traceback
            stream.reconfigure(errors="backslashreplace")
    try:
        code = cli.main(standalone_mode=False)
    except PartyNLIError as error:
        _complain(str(error))
        code = error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        code = 2
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "partynli"
        said = error.format_message().replace("integer range", "whole number").replace("float range", "number")
        _complain(f"{said} (`{command} --help` shows how)")
        code = 2
    except click.ClickException as error:
        _complain(error.format_message())
        code = 2
    except (click.Abort, KeyboardInterrupt):
        _complain("stopped")
        code = 130
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        if error.errno is None:
            raise
        # the machine's doing wherever it happens: a full disk, no file descriptor left
        where = f"{error.filename}: " if error.filename else ""
        _complain(f"{where}{error.strerror}; what was committed before is safe")
        code = 2
    return code if isinstance(code, int) else 0


def _complain(text: str) -> None:
    line = "".join(sign if sign.isprintable() else " " for sign in text)
    click.echo(f"partynli: {line}", err=True)
