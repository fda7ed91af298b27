"""A table: models, training files and seeds, cut into cells that are trained one by one and stored as they finish."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from partynli.errors import InputError
from partynli.finetune.folders import name_of
from partynli.finetune.outcome import Outcome, Spread, over_seeds, read_outcome
from partynli.finetune.scores import Scores, constant, distances, scores
from partynli.finetune.settings import Job, Precision, Settings
from partynli.finetune.softlabels import SoftLabels
from partynli.finetune.sources import load_anli, load_source
from partynli.hashing import content_hash

ZERO_SHOT = "zero-shot"
CHECKPOINT_ONLY = "checkpoint only"
"""Rows of a model with new outputs, and of a checkpoint that is trained on MNLI, say, as they are."""
ANY = ""
"""Stands for a model where none matters."""
_CELLS = "cells"


@dataclass(frozen=True)
class Model:
    """A pretrained model, and a checkpoint of it that training starts from."""

    name: str
    init_from: str | None
    revision: str | None = None
    """Of `name` at the hub; None for its main branch."""

    @property
    def title(self) -> str:
        """How tables call it."""
        return name_of(self.name)


@dataclass(frozen=True)
class Cell:
    """One training, in names and paths: another process can load it."""

    row: str
    model: Model
    source: str | None
    """Training data; None for a model as it is."""
    dev: str
    test: str | None
    anli: str | None
    settings: Settings
    seed: int
    precision: Precision | None

    @property
    def title(self) -> str:
        """How progress calls it."""
        return f"{self.model.title}, {self.row}, seed {self.seed}"

    def job(self) -> Job:
        """Load what the names name."""
        return Job(
            model=self.model.name,
            init_from=self.model.init_from,
            train=None if self.source is None else _loaded(self.source),
            dev=_loaded(self.dev),
            test=None if self.test is None else _loaded(self.test),
            anli={} if self.anli is None else _loaded_anli(self.anli),
            settings=self.settings,
            seed=self.seed,
            precision=self.precision,
            revision=self.model.revision if self.model.init_from is None else None,
        )

    def to_json(self) -> dict[str, Any]:
        """The cell as `from_json` takes it."""
        return asdict(self)

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Cell:
        """The cell from its JSON form."""
        return cls(**{**given, "model": Model(**given["model"]), "settings": Settings(**given["settings"])})


_loaded: Callable[[str], SoftLabels] = cache(load_source)
_loaded_anli: Callable[[str], dict[str, SoftLabels]] = cache(load_anli)


@dataclass(frozen=True)
class Study:
    """What a table is made of."""

    models: tuple[Model, ...]
    sources: Mapping[str, str]
    """Row -> training data."""
    dev: str
    test: str | None
    anli: str | None
    against: str
    """What the training distributions are compared with, where they are of the same pairs."""
    settings: Settings
    seeds: int
    precision: Precision | None

    def cells(self) -> list[Cell]:
        """All cells, seed by seed, so that a table is whole early. What no seed can change is asked once."""
        found = []
        for seed in range(self.seeds):
            for model in self.models:
                base = Cell("", model, None, self.dev, self.test, self.anli, self.settings, seed, self.precision)
                found.append(replace(base, row=ZERO_SHOT, model=replace(model, init_from=None)))
                if model.init_from is not None and seed == 0:
                    found.append(replace(base, row=CHECKPOINT_ONLY))
                found += [replace(base, row=row, source=source) for row, source in self.sources.items()]
        return found


def folder_of(cell: Cell, folder: Path) -> Path:
    """Where a cell is kept below a table's folder: another cell by content is another folder."""
    return folder / _CELLS / _named(cell)


@cache
def _named(cell: Cell) -> str:
    return content_hash(cell.job().identity()).removeprefix("sha256:")[:16]


@dataclass(frozen=True)
class Row:
    """A row of the tables."""

    name: str
    n_train: int | None
    distances: Scores | None
    """Its training distributions against those of `Study.against`; None where they are not of the same pairs."""
    figures: Mapping[str, Mapping[str, Mapping[str, Spread]]]
    """By model (or `ANY`), set and figure, over the seeds that are there."""


@dataclass(frozen=True)
class Table:
    """What a study has given so far."""

    study: Study
    rows: tuple[Row, ...]
    baselines: tuple[Row, ...]
    """The mean of each training file for every pair; the same for every model."""
    n_done: int
    n_cells: int
    notes: tuple[str, ...]


def table_of(study: Study, folder: Path) -> Table:
    """Put together what is stored of a study."""
    cells = study.cells()
    found = [(cell, read_outcome(folder_of(cell, folder))) for cell in cells]
    done = [(cell, outcome) for cell, outcome in found if outcome is not None]
    reference = _loaded(study.against)
    names = list(dict.fromkeys(cell.row for cell in cells))
    rows = [_row(name, study.sources.get(name), done, reference) for name in _in_order(names)]
    baselines = [_baseline(name, next(cell for cell in cells if cell.row == name).job()) for name in study.sources]
    notes = (*_commits(done), *_notes(done))
    return Table(study, tuple(rows), tuple(baselines), len(done), len(cells), notes)


def _commits(done: Sequence[tuple[Cell, Outcome]]) -> Iterator[str]:
    """Which commits at the hub the models were: more than one of a model would mix figures of two."""
    commits: dict[str, dict[str, None]] = {}
    for _, outcome in done:
        if outcome.commit is not None:
            commits.setdefault(outcome.job["start"], {})[outcome.commit] = None
    for start, found in commits.items():
        several = (
            "; it has changed at the hub on the way: give NAME@COMMIT, into another --out" if len(found) > 1 else ""
        )
        yield f"{start} was loaded at commit {' and '.join(found)}{several}"


def _notes(done: Sequence[tuple[Cell, Outcome]]) -> Iterator[str]:
    """Each note once, with the rows that it is of."""
    rows: dict[str, dict[str, None]] = {}
    for cell, outcome in done:
        for note in outcome.notes:
            rows.setdefault(note, {})[cell.row] = None
    everywhere = len({cell.row for cell, _ in done})
    for note, names in rows.items():
        yield note if len(names) == everywhere else f"{', '.join(names)}: {note}"


def _in_order(names: Sequence[str]) -> list[str]:
    first = [name for name in (ZERO_SHOT, CHECKPOINT_ONLY) if name in names]
    return [*first, *(name for name in names if name not in first)]


def _row(name: str, source: str | None, done: Sequence[tuple[Cell, Outcome]], reference: SoftLabels) -> Row:
    figures = {}
    for model in dict.fromkeys(cell.model.title for cell, _ in done):
        outcomes = [one.scores for cell, one in done if cell.row == name and cell.model.title == model]
        if outcomes:
            figures[model] = _spreads(outcomes)
    if source is None:
        return Row(name, None, None, figures)
    train = _loaded(source)
    return Row(name, len(train), compared(train, reference), figures)


def _baseline(name: str, job: Job) -> Row:
    assert job.train is not None
    found = {title: scores(one.p, constant(job.train.p, len(one))) for title, one in job.tests.items()}
    return Row(f"mean of {name}", None, None, {ANY: _spreads([found])})


def _spreads(outcomes: Sequence[Mapping[str, Scores]]) -> dict[str, dict[str, Spread]]:
    return {
        name: {figure: over_seeds([one[name][figure] for one in outcomes]) for figure in figures}
        for name, figures in outcomes[0].items()
    }


def compared(train: SoftLabels, reference: SoftLabels) -> Scores | None:
    """Distances of training distributions from those of the same pairs; None where some have no counterpart."""
    theirs = dict(zip(reference.pairs, reference.items, strict=True))
    if not all(pair in theirs for pair in train.pairs):
        return None
    return distances(np.array([theirs[pair].p for pair in train.pairs]), train.p)


def parse_sources(given: Sequence[str]) -> dict[str, str]:
    """Rows from ``NAME=SOURCE`` or ``SOURCE``.

    >>> parse_sources(["varierr341:mnli", "mjd=llama3.jsonl"])
    {'varierr341:mnli': 'varierr341:mnli', 'mjd': 'llama3.jsonl'}

    Raises
    ------
    InputError
        Two rows have one name, or a name is empty or taken.
    """
    rows: dict[str, str] = {}
    for one in given:
        name, sign, source = one.partition("=")
        name, source = (name, source) if sign else (Path(one).name, one)
        if not name.strip() or not source.strip():
            raise InputError(f"{one!r} names no row: write NAME=FILE, or FILE")
        if name in rows or name in (ZERO_SHOT, CHECKPOINT_ONLY):
            raise InputError(f"two rows are called {name!r}; write NAME=FILE to give one another name")
        rows[name] = source
    return rows
