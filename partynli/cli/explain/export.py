"""``partynli explain export`` and ``check``: picks of explanations as files, and against the published ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from partynli.cli.options import find_run, reader_of, runs_option
from partynli.cli.output import console, safe, shown
from partynli.cli.wide import print_rows
from partynli.errors import InputError, RunError, unknown_name
from partynli.items import load_dataset
from partynli.items.explanation_files import read_explanations
from partynli.store import Run, list_runs, runs_dir
from partynli.studies.explain.answers import Answers, answers_of
from partynli.studies.explain.files import to_jsonl, to_published
from partynli.studies.explain.picking import How, Mode, Picks, as_voted, one_each, pick_all
from partynli.studies.explain.published import REASONS, Match, compare, read_raw

_Function = TypeVar("_Function", bound=Callable[..., Any])
Votes = Mapping[str, Sequence[int]]
_SHOWN = 10
_READER = "list"


@dataclass(frozen=True)
class Choice:
    """How explanations are picked."""

    mode: Mode
    labels: str | None
    """Whose labels guide: a population of the dataset or a file with counts; None without a guide."""
    how: How

    @property
    def file_name(self) -> str:
        """What the picks are called in the run's folder.

        >>> Choice("label-guided", "varierr", "first").file_name
        'explanations-label-guided-varierr-first.jsonl'
        """
        labels = [] if self.labels is None else [Path(self.labels).stem]
        return "-".join(["explanations", self.mode, *labels, self.how]) + ".jsonl"


def pick_options(function: _Function) -> _Function:
    """``--mode``, ``--labels`` and ``--pick``."""
    for option in (
        click.option(
            "--pick",
            "how",
            type=click.Choice(["first", "longest"]),
            default="first",
            show_default=True,
            help="Which of a label's explanations.",
        ),
        click.option("--labels", metavar="mnli|varierr|FILE", help="Whose labels guide; FILE has human_true, ..."),
        click.option(
            "--mode",
            type=click.Choice(["label-free", "label-guided"]),
            default="label-free",
            show_default=True,
            help="One explanation for each label, or as many as people chose it.",
        ),
    ):
        function = option(function)
    return function


def votes_of(choice: Choice, items_name: str) -> Votes | None:
    """How many people chose each label, by item; None where nothing guides."""
    if choice.mode == "label-free":
        if choice.labels is not None:
            raise InputError("--labels guides the number of explanations; add --mode label-guided")
        return None
    if choice.labels is not None and Path(choice.labels).suffix:
        counts = load_dataset(choice.labels, ()).distributions
        if not counts:
            raise InputError(f"{choice.labels} has no label counts: columns human_true, human_either and human_false")
        (votes,) = counts.values()
        return votes
    known = load_dataset(items_name, ()).distributions
    if choice.labels is None:
        raise InputError(f"whose labels guide? --labels {'|'.join([*known, 'FILE'])}")
    if choice.labels not in known:
        raise InputError(unknown_name("source of labels", choice.labels, known, items_name))
    return known[choice.labels]


def say_and_write(
    answers: Answers,
    votes: Votes | None,
    choice: Choice,
    out: Path,
    *,
    published: bool = False,
    only: str | None = None,
) -> None:
    """Pick explanations, say what there is to know of them, and write them."""
    if only is not None and only not in answers.participants:
        raise InputError(unknown_name("participant", only, answers.participants, "the run"))
    names = answers.participants if only is None else (only,)
    uids = [item.uid for item in answers.items]
    picked = pick_all(answers.found, names, one_each(uids) if votes is None else as_voted(uids, votes), choice.how)
    text = (
        to_published(picked.picks, answers.items) if published else to_jsonl(picked.picks, synthetic=answers.synthetic)
    )
    write(out, text)
    _say(answers, names, picked)
    console.print(f"{len(picked.picks):,} explanations: {safe(shown(out))}", soft_wrap=True)


def _say(answers: Answers, names: Sequence[str], picked: Picks) -> None:
    given = [one for one in answers.found if one.participant in names]
    n = sum(len(one.listed.explanations) for one in given)
    console.print(f"{len(given):,} answers with {n:,} explanations", soft_wrap=True)
    if cut := sum(one.is_cut for one in given):
        console.print(f"{cut:,} answers end at the token limit, with perhaps half an explanation", soft_wrap=True)
    if picked.repeated:
        console.print(
            f"{picked.repeated:,} explanations are there twice: the model gave fewer than were wanted, and the first "
            "one picked is taken again",
            soft_wrap=True,
        )
    if missing := [one for one in answers.missing if one[0] in names]:
        named = ", ".join(f"{uid} ({label})" for _, uid, label in missing[:_SHOWN])
        console.print(
            f"{len(missing):,} prompts have no valid answer so far, {picked.lacking:,} explanations cannot be had: "
            f"{safe(named)}{', ...' if len(missing) > _SHOWN else ''}",
            soft_wrap=True,
        )
    if flagged := picked.flagged:
        console.print(f"{len(flagged):,} explanations argue for another label, as far as can be told (`flagged`):")
        print_rows(("item", "label", "explanation"), [(one.uid, one.label, one.text[:100]) for one in flagged[:_SHOWN]])
        if len(flagged) > _SHOWN:
            console.print(f"and {len(flagged) - _SHOWN:,} more in the file")


def write(file: Path, text: str) -> None:
    """Write a file, or say in one line why not."""
    try:
        file.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror or error}") from None


@click.command("export")
@click.argument("run_name", metavar="[RUN]", required=False)
@pick_options
@click.option("--participant", "only", metavar="NAME", help="Of a run with several participants, only this one.")
@click.option("--published", is_flag=True, help="Write the form of Chen et al.'s files, one item a line.")
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), required=True, help="Where to write.")
@runs_option
def export(
    run_name: str | None,
    mode: Mode,
    labels: str | None,
    how: How,
    only: str | None,
    published: bool,
    out: Path,
    runs_path: Path | None,
) -> int:
    """Pick explanations of a run (the newest by default) and write them; nothing is sent.

    `partynli mjd run --explanations FILE` reads both forms.

    \b
    Examples:
      partynli explain export --out free.jsonl
      partynli explain export --mode label-guided --labels mnli --pick longest --out guided.jsonl
    """
    path = _find(run_name, runs_path)
    with Run.open(path) as run:
        answers = answers_of(run)
        items_name = run.manifest["explain"]["items"]
    choice = Choice(mode, labels, how)
    say_and_write(answers, votes_of(choice, items_name), choice, out, published=published, only=only)
    return 0


def _find(name: str | None, runs_path: Path | None) -> Path:
    if name is None:
        for path in reversed(list_runs(runs_dir(runs_path))):
            if reader_of(path) == _READER:
                return path
        raise RunError("there is no run of explanations; `partynli explain --participant NAME` makes one")
    path = find_run(name, runs_path)
    if reader_of(path) != _READER:
        raise RunError(f"run {path.name!r} holds no lists of explanations; `partynli explain` makes such runs")
    return path


@click.command("check")
@click.argument("raw", type=click.Path(path_type=Path))
@click.argument("published", nargs=-1, required=True, type=click.Path(path_type=Path))
def check(raw: Path, published: tuple[Path, ...]) -> int:
    """Take raw answers apart and compare with published files, whose names end in first or longest.

    Lists each explanation of a file that does not come out. The share is of the file's explanations that come out
    under their label.

    \b
    Example:
      partynli explain check raw/gpt4o.jsonl gpt4o/label-free-first.jsonl gpt4o/label-free-longest.jsonl
    """
    items = list(load_dataset("varierr341").items)
    answers = read_raw(raw, [item.uid for item in items])
    found = {file: compare(answers, read_explanations(file, items), _how(file)) for file in published}
    for file, match in found.items():
        _list_differences(file, match)
    rows = [(shown(file), f"{one.n:,}", f"{len(one.differences):,}", f"{one.share:.4f}") for file, one in found.items()]
    print_rows(("file", "explanations", "differ", "share"), rows)
    return 0


def _how(file: Path) -> How:
    if file.stem.endswith("longest"):
        return "longest"
    if file.stem.endswith("first"):
        return "first"
    raise InputError(f"{file}: the name must end in first or longest, which says how explanations were picked")


def _list_differences(file: Path, match: Match) -> None:
    if not match.differences:
        return
    counts = Counter(one.why for one in match.differences)
    console.print(f"[bold]{safe(shown(file))}[/bold]", soft_wrap=True)
    for why, count in counts.items():
        console.print(f"{count:,} x {REASONS[why]}", soft_wrap=True)
    for one in match.differences:
        console.print(f"  {safe(one.uid)} {one.label}: {safe(one.published)}", soft_wrap=True)
        console.print(f"    here: {safe(one.ours or '-')}", soft_wrap=True)
