"""``partynli explore``: a run as one page, to read the answers behind the figures."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path

import click

from partynli.cli.options import find_study, runs_option
from partynli.cli.output import console, safe, shown
from partynli.cli.reading import answers_of
from partynli.errors import InputError
from partynli.prompts import task_of
from partynli.report.explorer import explorer_data, to_html
from partynli.report.markdown import SYNTHETIC
from partynli.store import Run


@click.command("explore")
@click.argument("run_name", metavar="[RUN]", required=False)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The page to write; by default explorer.html in the run's folder.",
)
@click.option("--open/--no-open", "opens", default=True, help="Open it in the browser, or not.")
@runs_option
def command(run_name: str | None, out: Path | None, opens: bool, runs_path: Path | None) -> int:
    """Write a run as one HTML page, and open it; RUN is the newest one by default.

    Items by entropy, distance to people and disagreement; for each, what people and models chose, and every answer
    with its explanation and highlights. The page needs no network and sends nothing. It holds all texts and answers:
    publish it only if you may publish them.

    \b
    Examples:
      partynli explore
      partynli explore pilot --no-open
      partynli explore pilot --out space/index.html --no-open
    """
    path = find_study(run_name, runs_path)
    reading = answers_of(path)
    with Run.open(path) as run:
        data = explorer_data(run, task_of(run.manifest), reading.answers, reading.dataset, reading.notes)
    page = (out or path / "explorer.html").resolve()
    size = _write(page, to_html(data))
    if reading.answers.synthetic:
        console.print(SYNTHETIC, style="bold")
    for note in reading.notes:
        console.print(f"note: {safe(note)}", style="dim")
    console.print(
        f"{len(data['answers']['item']):,} answers to {len(data['items']['uid']):,} items, {size / 1e6:.1f} MB"
    )
    console.print(f"page: {safe(shown(page))}")
    if opens and not _open(page):
        console.print("no browser was found to open it; open that file in one")
    return 0


def _write(file: Path, text: str) -> int:
    content = text.encode()
    scratch = file.with_name(file.name + ".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(content)
        scratch.replace(file)  # a page that is open is never half a page
    except OSError as error:
        raise InputError(
            f"{file} cannot be written: {error.strerror or error}; choose another place by --out"
        ) from None
    return len(content)


def _open(page: Path) -> bool:
    """Show the page in a browser with windows: one in the terminal could not run it."""
    named = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform == "linux" and not any(os.environ.get(name) for name in named):
        return False
    try:
        return webbrowser.open(page.as_uri())
    except webbrowser.Error:
        return False
