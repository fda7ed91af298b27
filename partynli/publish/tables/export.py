"""A run as a folder of tables: the same run gives the same bytes."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from partynli import __version__
from partynli.aggregate import load_answers
from partynli.errors import InputError, RunError
from partynli.items import Dataset
from partynli.judgments import reader_for
from partynli.publish.tables.columns import (
    JUDGMENTS,
    METRICS,
    PARTICIPANTS,
    RAW,
    distribution_columns,
    human_columns,
    item_columns,
)
from partynli.publish.tables.folder import FORMAT, MANIFEST, Export, read_manifest
from partynli.publish.tables.formats import KINDS, Cells, Column, write_table
from partynli.publish.tables.licences import base_name, decide
from partynli.publish.tables.people import about, human_rows
from partynli.publish.tables.rows import (
    distribution_rows,
    item_rows,
    judgment_rows,
    metric_rows,
    participant_rows,
    raw_rows,
)
from partynli.records import Task
from partynli.store import Run

__all__ = ["MANIFEST", "Export", "ExportOptions", "export_run", "read_manifest", "refuse_foreign"]

OURS = frozenset((MANIFEST, "data", "README.md", "croissant.json"))
"""What a folder that holds an export holds, and nothing else."""
_SPLIT = re.compile(r"\w+(\.\w+)*", re.ASCII)


@dataclass(frozen=True)
class ExportOptions:
    """How a run is exported."""

    kind: str = "parquet"
    """``parquet``, ``csv`` or ``jsonl``."""
    split: str = "train"
    raw: bool = False
    """Whether every attempt is exported, with prompt, request and response."""
    include_texts: bool = False
    """Whether items' texts and people's answers go in even where their licence does not say that they may."""
    licence: str | None = None
    """The licence under which the export will be published, where that is known; it covers texts of the user's own."""


def export_run(
    run: Run,
    task: Task,
    dataset: Dataset | None,
    out: Path,
    *,
    options: ExportOptions,
    report: Mapping[str, Any] | None,
) -> Export:
    """Write a run as a folder of tables.

    The folder appears whole or not at all; an earlier export of the run that is there is replaced, but for its README.

    Parameters
    ----------
    run
        Open for reading, its judgments brought up to its answers; nobody else may write to it meanwhile.
    task
        The run's.
    dataset
        People's answers to its items, or None.
    out
        The folder.
    options
        How, and how much of it.
    report
        The report as lists, dicts and numbers (``report --json``); without it there is no table of metrics.

    Raises
    ------
    InputError
        The options do not go together, the folder holds something else, or it cannot be written.
    RunError
        The run was changed meanwhile, or its answers are not read yet.
    """
    _check(run, task, options)
    refuse_foreign(out, run.name)
    before = run.changes
    with _aside(out) as folder:
        writing = _Writing(folder, options)
        _write_tables(writing, run, task, dataset, options, report)
        writing.finish(run)
        if run.changes != before:
            raise RunError(f"run {run.name!r} was changed while it was exported; nothing was written, export it again")
    return read_manifest(out)


def refuse_foreign(out: Path, run: str) -> None:
    """Refuse a folder that holds something else than an export of this run.

    Raises
    ------
    InputError
        It does; the message names what.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise InputError(f"--out {out} is no folder; choose another place")
    found = sorted(one.name for one in out.iterdir()) if out.exists() else []
    if not found:
        return
    if MANIFEST not in found:
        raise InputError(f"--out {out} holds other files ({found[0]}); choose a new or empty folder")
    if foreign := [name for name in found if name not in OURS]:
        raise InputError(f"--out {out} holds {foreign[0]}, which is no part of an export; move it, or choose another")
    try:
        earlier = json.loads((out / MANIFEST).read_text("utf-8"))["run"]["run"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        earlier = None
    if earlier != run:
        raise InputError(f"--out {out} holds an export of run {str(earlier)[:60]!r}; choose another, or remove it")


@dataclass
class _Writing:
    """Writes tables into a folder, and keeps what its manifest is going to say."""

    folder: Path
    options: ExportOptions
    files: dict[str, Any] = field(default_factory=dict)
    configs: dict[str, Any] = field(default_factory=dict)
    licences: dict[str, Any] = field(default_factory=dict)

    def table(self, config: str, columns: tuple[Column, ...], rows: Iterable[Cells]) -> None:
        """Write a table; one without rows is left out."""
        names = [column.name for column in columns]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"two columns of {config} would be named {twice!r}: rename that field of the task")
        split, kind = self.options.split, self.options.kind
        parts = write_table(self.folder / "data" / config, split, columns, rows, kind)
        for name, sha256, size, n in parts:
            said = {"sha256": sha256, "bytes": size, "rows": n, "config": config, "split": split}
            self.files[f"data/{config}/{name}"] = said
        if parts:
            described = [column._asdict() for column in columns]
            self.configs[config] = {"columns": described, "rows": sum(part.rows for part in parts)}

    def finish(self, run: Run) -> None:
        """Write the manifest."""
        manifest = {
            "format": FORMAT,
            "partynli": __version__,
            "run": _public(run.manifest, run.name),
            "split": self.options.split,
            "kind": self.options.kind,
            "files": self.files,
            "configs": self.configs,
            "licences": self.licences,
        }
        text = json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True, allow_nan=False)
        (self.folder / MANIFEST).write_text(text + "\n", encoding="utf-8", newline="\n")


def _write_tables(
    writing: _Writing,
    run: Run,
    task: Task,
    dataset: Dataset | None,
    options: ExportOptions,
    report: Mapping[str, Any] | None,
) -> None:
    source = str(run.manifest["plan"]["items"])
    items, human = (
        decide(name, include=options.include_texts, licence=options.licence)
        for name in (source, dataset.name if dataset else None)
    )
    writing.licences |= {"items": items.as_object, "human": human.as_object}
    if human.included or dataset is None:
        writing.licences["human"]["about"] = about(human.dataset or base_name(source), dataset)
    if options.raw and not items.included:
        raise InputError(
            f"--raw holds the items' texts in prompts and answers, and those of {items.dataset} are not exported: "
            f"{items.reason}; --include-texts puts them in"
        )
    people = [one.name for one in run.participants().values() if one.provider == "human"]
    if people and not items.included:
        raise InputError(
            f"{len(people):,} participants are people ({people[0][:40]}), and what people said of {items.dataset} is "
            f"not exported: {items.reason}; --include-texts puts their answers in, and the items' texts"
        )
    fields = _fields(run, task)
    writing.table("judgments", JUDGMENTS, judgment_rows(run, task, texts_included=items.included))
    if options.raw:
        writing.table("raw", RAW, raw_rows(run))
    writing.table("participants", PARTICIPANTS, participant_rows(run))
    writing.table("items", item_columns(fields), item_rows(run, fields, items.dataset, included=items.included))
    writing.table("distributions", distribution_columns(task.labels), distribution_rows(load_answers(run, task)))
    if report is not None:
        writing.table("metrics", METRICS, metric_rows(report))
    if dataset is not None:
        writing.table("human", human_columns(task.labels), human_rows(dataset, task.labels, included=human.included))


def _check(run: Run, task: Task, options: ExportOptions) -> None:
    if options.kind not in KINDS:
        raise InputError(f"--format {options.kind!r} is none of {', '.join(KINDS)}")
    if not _SPLIT.fullmatch(options.split) or options.split == "all":  # which stands for all splits together
        raise InputError(f"--split {options.split!r} cannot name a split: use letters, digits, underscores and dots")
    _, version = reader_for(task)
    behind = run.meta("reader") != version or run.attempts(after=int(run.meta("judged") or 0))
    if not run.is_empty and behind:
        raise RunError(
            f"run {run.name!r} has answers that are not read yet: it is being sampled, or its folder cannot be "
            "written; wait for it, or copy it to where it can be"
        )


def _fields(run: Run, task: Task) -> list[str]:
    """Names of the items' texts: those of the task, and then those that the items have besides."""
    others = {name for item in run.items for name in item.texts} - set(task.fields)
    return [*task.fields, *sorted(others)]


def _public(manifest: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A run's manifest without the folders in which a person keeps files."""
    public = {**manifest, "run": name, "plan": {**manifest["plan"], "items": base_name(manifest["plan"]["items"])}}
    if registry := manifest.get("registry"):
        public["registry"] = {**registry, "file": base_name(str(registry.get("file", "")))}
    return public


@contextmanager
def _aside(out: Path) -> Iterator[Path]:
    """A folder to write into, which takes the place of `out` when all went well."""
    out = Path(os.path.abspath(out))
    folder, old = (out.with_name(f".{out.name}.{end}-{os.getpid()}") for end in ("part", "old"))
    try:
        folder.mkdir(parents=True)
        yield folder
        if (out / "README.md").exists():
            shutil.copy2(out / "README.md", folder / "README.md")
        if out.exists():
            out.rename(old)
        try:
            folder.rename(out)
        except OSError:
            if old.exists():
                old.rename(out)
            raise
    except OSError as error:
        raise InputError(f"--out {out} cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
