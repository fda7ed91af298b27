"""``partynli finetune``: train small models on soft labels, and see whether they predict people better."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from partynli.cli.finetune.options import anli_option, revision_option, running_options, settings_options
from partynli.cli.finetune.push import push
from partynli.cli.finetune.table import table
from partynli.cli.output import console, safe, shown
from partynli.cli.wide import print_rows
from partynli.errors import InputError
from partynli.finetune.extra import require, training
from partynli.finetune.folders import base_of, name_of
from partynli.finetune.outcome import Heard, Outcome
from partynli.finetune.settings import PRETRAINING, Job, Precision, Settings
from partynli.finetune.sources import load_anli, load_source
from partynli.report.finetune import outcome_sheets

_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


@click.group("finetune")
def command() -> None:
    """Train small models on soft labels, and see whether they predict people better (Chen et al. 2024, 2025).

    Needs the extra finetune: pip install 'partynli[finetune]'. What was stopped goes on when the same command is given
    again.

    \b
    Examples:
      partynli finetune pretrain --model bert-base-uncased
      partynli finetune train --model bert-base-uncased --train varierr341:chaosnli --seeds 5 \\
          --init-from finetuned/mnli-bert-base-uncased/seed-0
      partynli finetune table --model bert-base-uncased=finetuned/mnli-bert-base-uncased/seed-0 --seeds 5
      partynli finetune push finetuned/varierr341-chaosnli-bert-base-uncased/seed-0 --repo ada/small --license mit
    """


command.add_command(table)
command.add_command(push)


@command.command("train")
@click.option(
    "--model", required=True, metavar="NAME|DIR", help="Pretrained model: bert-base-uncased, roberta-base ..."
)
@click.option("--train", required=True, metavar="SOFT_LABELS", help="What to train on: a name, or a file.")
@click.option("--dev", default="chaosnli-dev", show_default=True, metavar="SOFT_LABELS", help="Chooses the weights.")
@click.option("--test", default="chaosnli-test", show_default=True, metavar="SOFT_LABELS")
@anli_option
@click.option("--init-from", metavar="CHECKPOINT", help="Start from this: the same model, trained on MNLI.")
@revision_option
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Train N times.")
@click.option("--first-seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="By default finetuned/TRAIN-MODEL.")
@settings_options(Settings())
@running_options
def train(
    model: str,
    train: str,
    dev: str,
    test: str,
    anli: str | None,
    init_from: str | None,
    revision: str | None,
    seeds: int,
    first_seed: int,
    out: Path | None,
    precision: Precision | None,
    checkpoint_s: float,
    **given: Any,
) -> int:
    """Train a model on soft labels, once a seed, and evaluate it on dev, test and ANLI.

    Soft labels by name: chaosnli-dev, chaosnli-test; varierr341:chaosnli, varierr341:single, varierr341:mnli,
    varierr341:varierr; mnli-train, mnli-dev-matched, mnli-dev-mismatched. Or a file, JSONL or parquet, with uid,
    premise, hypothesis, labels and p.

    \b
    Examples:
      partynli finetune train --model bert-base-uncased --train varierr341:varierr --anli anli
      partynli finetune train --model roberta-base --train mjd.jsonl --init-from mnli-roberta/seed-0 --seeds 5
    """
    require()
    if init_from is not None and (base := base_of(init_from)) not in (None, name_of(model)):
        raise InputError(f"{init_from} was made from {base}, not from {name_of(model)}; give --model {base}")
    job = Job(
        model=model,
        init_from=init_from,
        train=load_source(train),
        dev=load_source(dev),
        test=load_source(test),
        anli={} if anli is None else load_anli(anli),
        settings=Settings(**given),
        precision=precision,
        revision=revision,
    )
    return _run(job, range(first_seed, first_seed + seeds), out or _folder(train, model), checkpoint_s)


@command.command("pretrain")
@click.option(
    "--model", required=True, metavar="NAME|DIR", help="Pretrained model: bert-base-uncased, roberta-base ..."
)
@revision_option
@click.option("--train", default="mnli-train", show_default=True, metavar="FILE", help="MNLI's file, or mnli-train.")
@click.option("--dev", default="mnli-dev-matched", show_default=True, metavar="FILE", help="Chooses the weights.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="By default finetuned/mnli-MODEL.")
@settings_options(PRETRAINING)
@running_options
def pretrain(
    model: str,
    revision: str | None,
    train: str,
    dev: str,
    seed: int,
    out: Path | None,
    precision: Precision | None,
    checkpoint_s: float,
    **given: Any,
) -> int:
    """Train a model on MNLI's single labels: the checkpoint that `train --init-from` starts from.

    MNLI is downloaded at need (227 MB), or read from its own JSONL files. Rows without a gold label are left out.

    \b
    Examples:
      partynli finetune pretrain --model roberta-base
      partynli finetune pretrain --model roberta-base --train multinli_1.0_train.jsonl \\
          --dev multinli_1.0_dev_matched.jsonl
    """
    require()
    job = Job(
        model=model,
        init_from=None,
        train=load_source(train),
        dev=load_source(dev),
        test=None,
        settings=Settings(**given),
        precision=precision,
        revision=revision,
    )
    return _run(job, [seed], out or _folder("mnli", model), checkpoint_s)


def _folder(data: str, model: str) -> Path:
    stem = Path(data).stem if "/" in data or "." in data else data
    return Path("finetuned") / _UNFIT.sub("-", f"{stem}-{name_of(model)}").strip("-.")


def _run(job: Job, seeds: range | list[int], out: Path, checkpoint_s: float) -> int:
    assert job.train is not None
    console.print(
        f"training {safe(name_of(job.model))} on {safe(job.train.name)}, {len(job.train):,} pairs, into "
        f"{safe(shown(out))}",
        soft_wrap=True,
    )
    outcomes: list[Outcome] = []
    for seed in seeds:
        folder = out / f"seed-{seed}"
        one = training().run(replace(job, seed=seed), folder, checkpoint_s=checkpoint_s, heard=_heard(seed))
        console.print(
            f"seed {seed}: {one.steps:,} steps, best at {one.best_step:,}, on {safe(one.device)} in {one.precision}"
        )
        if one.commit is not None:
            console.print(f"started from {safe(str(one.job['start']))} at commit {safe(one.commit)}", soft_wrap=True)
        outcomes.append(one)
    for note in dict.fromkeys(note for one in outcomes for note in one.notes):
        console.print(f"note: {safe(note)}", style="dim", soft_wrap=True)
    for sheet in outcome_sheets(outcomes):
        console.print()
        print_rows(sheet.columns, sheet.rows, title=sheet.title)
        if sheet.note:
            console.print(safe(sheet.note), style="dim")
    console.print()
    models = ", ".join(safe(shown(out / f"seed-{seed}")) for seed in seeds)
    console.print(f"models with their cards and training.json: {models}", soft_wrap=True)
    return 0


def _heard(seed: int) -> Callable[[Heard], None]:
    """Say at each evaluation how far training is: one line that is drawn over in a terminal, a few elsewhere."""
    live = sys.stderr.isatty()

    def say(heard: Heard) -> None:
        found = heard.evaluation
        figures = f"loss {found.loss:.4f}, on dev macro F1 {found.scores['macro_f1']:.3f}, "
        figures += f"cross-entropy {found.scores['cross_entropy']:.3f}"
        line = f"seed {seed}: step {heard.step:,} of {heard.steps:,}, {figures}"
        click.echo(f"\r\x1b[K{line}" if live else line, nl=not live or heard.step == heard.steps, err=True)

    return say
