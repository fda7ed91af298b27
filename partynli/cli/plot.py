"""``partynli plot``: one figure of a run, as PNG, SVG or PDF."""

from __future__ import annotations

from pathlib import Path

import click

from partynli.cli.figures import Material, catalogue, drawn, save
from partynli.cli.options import find_study, runs_option
from partynli.cli.output import console, safe, shown
from partynli.cli.reading import answers_of, evened
from partynli.errors import InputError
from partynli.metrics import CONVENTIONS, convention

FORMATS = ("png", "svg", "pdf")
_OTHER_IMAGES = (".jpg", ".jpeg", ".gif", ".webp", ".eps", ".ps", ".tif", ".tiff")


@click.command("plot")
@click.argument("figure", required=False)
@click.argument("run_name", metavar="[RUN]", required=False)
@click.option("--list", "listing", is_flag=True, help="List all figures.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE|DIR",
    help="Where the figure goes; by default the folder plots of the run.",
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(FORMATS),
    help="May be repeated; by default that of FILE, else png.",
)
@click.option("--scope", metavar="NAME", help="Items: common50, all122 or all; by default the paper's for this figure.")
@click.option("--group", metavar="NAME", help="Mix, experiment or participant; by default the run's largest mix.")
@click.option("--item", metavar="UID", help="Item of figure 1; by default the most divided one.")
@click.option(
    "--embedder",
    "embedders",
    multiple=True,
    metavar="NAME",
    help="What distances are taken of: tfidf (default), e5, style, a model's name or folder, or URL#MODEL; "
    "may be repeated, and figure 11 takes two or three.",
)
@click.option(
    "--convention",
    "convention_name",
    default="kulmizev2026",
    show_default=True,
    metavar="PAPER",
    help=f"Whose choices, in figure 2: {', '.join(CONVENTIONS)}.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Of all draws.")
@runs_option
def command(
    figure: str | None,
    run_name: str | None,
    listing: bool,
    out: Path | None,
    formats: tuple[str, ...],
    scope: str | None,
    group: str | None,
    item: str | None,
    embedders: tuple[str, ...],
    convention_name: str,
    seed: int,
    runs_path: Path | None,
) -> int:
    """Draw a figure of Kulmizev et al. (2026), or one beyond them, of a run.

    FIGURE is its number in the paper or its name; RUN is the newest one by default. `partynli report --out DIR` draws
    all figures that a run can give.

    \b
    Examples:
      partynli plot --list
      partynli plot 2
      partynli plot consistency pilot --out figures --format svg --format pdf
      partynli plot 1 pilot --item 108083c --embedder e5 --out item.pdf
    """
    if listing:
        for known, entry in catalogue().CATALOGUE.items():
            console.print(f"{entry.number:>2}  [bold]{known:<24}[/bold]  {entry.line}")
        return 0
    if figure is None:
        raise InputError("name a figure by its number in the paper or its name; `partynli plot --list` has all")
    name: str = catalogue().find_figure(figure)
    path = find_study(run_name, runs_path)
    stem, wanted = _place(out or path / "plots", formats, name)
    reading = evened(answers_of(path))
    scopes = () if scope is None else (scope,)
    material = Material(path, reading, convention(convention_name), scopes, group, item, embedders, seed)
    ((_, canvas),) = drawn([name], material)
    if isinstance(canvas, InputError):
        raise InputError(f"no figure {name} of run {path.name}: {canvas}")
    files = save(canvas, stem, wanted)
    for note in reading.notes:
        console.print(f"note: {safe(note)}", style="dim")
    for file in files:
        console.print(f"wrote {safe(shown(file))}")
    return 0


def _place(out: Path, formats: tuple[str, ...], name: str) -> tuple[Path, tuple[str, ...]]:
    """Where a figure's files go, without their endings, and the formats."""
    suffix = out.suffix.lower()
    if out.is_dir() or suffix not in (*(f".{one}" for one in FORMATS), *_OTHER_IMAGES):
        return out / name, tuple(dict.fromkeys(formats)) or FORMATS[:1]
    if suffix in _OTHER_IMAGES:
        raise InputError(f"--out {out}: figures are written as {', '.join(FORMATS)}, not as {suffix.removeprefix('.')}")
    if formats and set(formats) != {suffix.removeprefix(".")}:
        raise InputError(
            f"--out {out} and --format {' and '.join(formats)} contradict each other; give a folder to --out"
        )
    return out.with_suffix(""), (suffix.removeprefix("."),)
