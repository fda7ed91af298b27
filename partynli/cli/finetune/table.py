"""``partynli finetune table``: both tables of Chen et al., cell by cell."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from partynli.cli.finetune.options import anli_option, running_options, settings_options
from partynli.cli.output import console, echo_json, safe, shown
from partynli.cli.wide import print_rows
from partynli.errors import InputError
from partynli.finetune.dispatch import CellHeard, run_cells
from partynli.finetune.extra import require
from partynli.finetune.folders import base_of, name_of, write_text
from partynli.finetune.settings import Precision, Settings
from partynli.finetune.study import Model, Study, parse_sources, table_of
from partynli.report.finetune import about, table_sheets, to_json, to_markdown

_SPECS = ("chaosnli", "single", "mnli", "varierr")
_SOME_FAILED = 1


@click.command("table")
@click.argument("specs", nargs=-1, metavar="[NAME=]SOFT_LABELS...")
@click.option(
    "--model",
    "models",
    multiple=True,
    required=True,
    metavar="MODEL[@REVISION][=CHECKPOINT]",
    help="Pretrained model (at a branch, tag or commit), and a checkpoint of it to start from; may be repeated.",
)
@click.option("--dev", default="chaosnli-dev", show_default=True, metavar="SOFT_LABELS", help="Chooses the weights.")
@click.option("--test", default="chaosnli-test", show_default=True, metavar="SOFT_LABELS")
@anli_option
@click.option(
    "--against",
    default="varierr341:chaosnli",
    show_default=True,
    metavar="SOFT_LABELS",
    help="What the training distributions are compared with.",
)
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, metavar="N")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("finetuned/table"), show_default=True, metavar="DIR"
)
@click.option("--keep-models", is_flag=True, help="Keep the weights of every cell, too.")
@click.option("--show", is_flag=True, help="Show what is there, and train nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
@settings_options(Settings())
@running_options
def table(
    specs: tuple[str, ...],
    models: tuple[str, ...],
    dev: str,
    test: str,
    anli: str | None,
    against: str,
    seeds: int,
    out: Path,
    keep_models: bool,
    show: bool,
    as_json: bool,
    precision: Precision | None,
    checkpoint_s: float,
    **given: Any,
) -> int:
    """Train on each list of soft labels with each model and seed, and print both papers' tables.

    Rows of the models as they are (zero-shot, and the checkpoint alone) and of the mean of each training file are in
    every table. Without SOFT_LABELS, the four of the papers that are public: varierr341:chaosnli, :single, :mnli and
    :varierr. Finished cells are kept in DIR; the same command goes on, and only trains what is not there. One process a
    GPU of this machine (CUDA_VISIBLE_DEVICES), or one on the processor.

    \b
    Examples:
      partynli finetune table --model bert-base-uncased=mnli-bert/seed-0 --anli anli --seeds 5
      partynli finetune table varierr341:chaosnli llama3=mjd.jsonl --model roberta-base=mnli-roberta/seed-0
    """
    if not show:
        require()
    console.stderr = as_json  # what is said on the way must not get between the JSON
    study = Study(
        models=tuple(map(_model, models)),
        sources=parse_sources(specs) or {f"varierr341:{one}": f"varierr341:{one}" for one in _SPECS},
        dev=dev,
        test=test,
        anli=anli,
        against=against,
        settings=Settings(**given),
        seeds=seeds,
        precision=precision,
    )
    if len({one.title for one in study.models}) < len(study.models):
        raise InputError("two --model have the same name; give their folders other names")
    failed = 0
    if not show:
        cells = study.cells()
        before = table_of(study, out).n_done
        console.print(f"{len(cells)} cells, {before} of them done, in {safe(shown(out))}", soft_wrap=True)
        failed = run_cells(cells, out, keeps_models=keep_models, checkpoint_s=checkpoint_s, heard=_heard())
    found = table_of(study, out)
    if not found.n_done:
        console.print(f"nothing of this table is in {safe(shown(out))} yet", soft_wrap=True)
        return _SOME_FAILED
    write_text(out / "table.md", to_markdown(found))
    write_text(out / "table.json", to_json(found))
    if as_json:
        echo_json(to_json(found))
        return _SOME_FAILED if failed else 0
    for line in about(found):
        console.print(safe(line), style="dim", soft_wrap=True)
    for note in found.notes:
        console.print(f"note: {safe(note)}", style="dim", soft_wrap=True)
    for sheet in table_sheets(found):
        console.print()
        print_rows(sheet.columns, sheet.rows, title=sheet.title)
        if sheet.note:
            console.print(safe(sheet.note), style="dim")
    console.print()
    console.print(
        f"{found.n_done} of {found.n_cells} cells; {safe(shown(out / 'table.md'))}, {safe(shown(out / 'table.json'))}",
        soft_wrap=True,
    )
    return _SOME_FAILED if failed else 0


def _model(given: str) -> Model:
    name, sign, checkpoint = given.partition("=")
    if not name or (sign and not checkpoint):
        raise InputError(f"--model {given!r}: write MODEL, MODEL@REVISION, or MODEL=CHECKPOINT")
    name, at, revision = (name, "", "") if Path(name).expanduser().is_dir() else name.partition("@")
    if at and not (name and revision):
        raise InputError(f"--model {given!r}: write MODEL@REVISION, or MODEL alone")
    if checkpoint and (base := base_of(checkpoint)) not in (None, name_of(name)):
        raise InputError(
            f"{checkpoint} was made from {base}, not from {name_of(name)}; give --model {base}={checkpoint}"
        )
    return Model(name, checkpoint or None, revision or None)


def _heard() -> Callable[[CellHeard], None]:
    """A line for each cell that ends, and in a terminal one on the way that is drawn over."""
    live = sys.stderr.isatty()

    def say(news: CellHeard) -> None:
        title = safe(news.cell.title)
        if news.state == "step":
            if live:
                click.echo(f"\r\x1b[K{title}: step {news.step:,} of {news.steps:,}", nl=False, err=True)
            return
        if live:
            click.echo("\r\x1b[K", nl=False, err=True)
        console.print(f"{title}: {news.state}{f': {safe(news.why)}' if news.why else ''}", soft_wrap=True)

    return say
