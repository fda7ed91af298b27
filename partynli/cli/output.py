"""What the commands print: one console, and text that cannot harm a terminal."""

from __future__ import annotations

import re
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_PIPED_WIDTH = 160
_NOT_PLAIN = re.compile(r"[^\n -~]")


def _console() -> Console:
    made = Console(highlight=False, soft_wrap=False, emoji=False)
    # a file or a pipe has no width; at rich's guess of 80 columns tables would lose their ends
    return made if made.is_terminal else Console(highlight=False, width=_PIPED_WIDTH, emoji=False)


console = _console()


def safe(text: str) -> str:
    """A foreign text for the terminal: no control characters, no direction overrides, no markup.

    >>> safe("a\\x1b[31m[bold]")
    'a\\ufffd[31m\\\\[bold]'
    """
    return escape("".join(sign if sign.isprintable() else "\ufffd" for sign in text))


def echo_json(text: str) -> None:
    """Print JSON for other programs; signs that a terminal would obey are written as JSON's escapes of them."""
    click.echo(_NOT_PLAIN.sub(_as_json, text))


def _as_json(sign: re.Match[str]) -> str:
    if sign[0].isprintable():
        return sign[0]
    units = sign[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def table(*columns: str, title: str | None = None, left: int = 1) -> Table:
    """A table whose first `left` columns are text and whose others are numbers."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        made.add_column(column, justify="left" if number < left else "right", no_wrap=True)
    return made


def counted(n: int, one: str, many: str = "") -> str:
    """A number and what is counted.

    >>> counted(1, "item"), counted(1200, "item"), counted(2, "mix", "mixes")
    ('1 item', '1,200 items', '2 mixes')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def money(dollars: float | None) -> str:
    """Dollars with as many digits as matter.

    >>> money(0.0), money(0.00042), money(12.3), money(None)
    ('$0', '$0.0004', '$12.30', '?')
    """
    if dollars is None:
        return "?"
    if dollars == 0:
        return "$0"
    return f"${dollars:.4f}" if dollars < 0.1 else f"${dollars:,.2f}"


def duration(seconds: float) -> str:
    """A time span for people.

    >>> duration(0.4), duration(75), duration(7300)
    ('0 s', '1 min 15 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def shown(path: Path) -> str:
    """A path as short as it can be said from here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
