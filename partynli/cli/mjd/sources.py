"""Where the distributions of ``partynli mjd report`` come from: runs of option scores, of answers, people, files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from partynli.analysis.figures import Counts
from partynli.analysis.label_use import is_person
from partynli.analysis.mjd import Mjd, Transform, holds_scores, mjd_of, read_scores
from partynli.analysis.mjd_compare import Distributions
from partynli.analysis.resamples import Floats
from partynli.cli.options import find_run
from partynli.cli.reading import Reading, answers_of, shortened
from partynli.errors import InputError, ItemsError, RunError, unknown_name
from partynli.finetune.softlabels import read_soft_labels
from partynli.items import Dataset, load_dataset
from partynli.labels import LABELS
from partynli.metrics import probabilities
from partynli.store import Run, list_runs, runs_dir

_RUN = "mjd:"
_FILES = (".jsonl", ".ndjson", ".json", ".parquet")


@dataclass(frozen=True)
class Source:
    """The distributions of one run, on the run's own I items.

    Attributes
    ----------
    rows
        The run's own distribution, and behind it those of mixes and experiments of a run of ordinary answers.
    items, labels
        Uids, and K labels.
    texts
        By uid and field.
    manifest
        Of the run.
    mjd
        Where the run holds option scores.
    reading, counts
        Where it holds ordinary answers: these, and the votes (I, K) of all its models together, or of its people
        where it holds no model's.
    """

    rows: tuple[Distributions, ...]
    items: tuple[str, ...]
    labels: tuple[str, ...]
    texts: Mapping[str, Mapping[str, str]]
    manifest: Mapping[str, Any]
    mjd: Mjd | None = None
    reading: Reading | None = None
    counts: Counts | None = None

    def on(self, items: Sequence[str]) -> list[Distributions]:
        """Its rows on these items; NaN where it has none."""
        place = {uid: number for number, uid in enumerate(self.items)}
        at = np.array([place.get(uid, -1) for uid in items], dtype=np.int64)
        return [
            Distributions(row.name, row.kind, np.where((at >= 0)[:, None], row.p[at], np.nan), row.votes)
            for row in self.rows
        ]


def newest_scores(runs_path: Path | None) -> Path:
    """Folder of the newest run of option scores.

    Raises
    ------
    RunError
        There is none.
    """
    for path in reversed(list_runs(runs_dir(runs_path))):
        with Run.open(path) as run:
            if holds_scores(run):
                return path
    raise RunError("there is no run of option scores; `partynli mjd run --participant sim-typical` makes one")


def source_of(path: Path, transform: Transform) -> Source:
    """Read the distributions of a run: of option scores by a transform, of ordinary answers as shares of votes."""
    with Run.open(path) as run:
        if holds_scores(run):
            found = read_scores(run)
            mjd = mjd_of(found, transform)
            row = Distributions(f"{run.name} ({found.participant})", "mjd", mjd.p)
            return Source((row,), found.items, found.labels, found.texts, run.manifest, mjd)
    reading = answers_of(path)
    answers = reading.answers
    present = tuple(range(len(answers.participants)))
    models = tuple(one for one in present if not is_person(answers, one))
    everybody = models or present  # people who were imported beside models are no participants of an ensemble
    own = " models" * (len(everybody) < len(present))
    named = {f"{path.name} (all {len(everybody)}{own})": everybody}
    named |= {f"{path.name}: {name}": of for name, of in answers.groups.items() if of != everybody}
    rows = tuple(_ensemble(name, answers.counts(of)) for name, of in named.items())
    with Run.open(path) as run:
        texts = run.texts(set(answers.items))
    counts = answers.counts(everybody)
    return Source(rows, answers.items, answers.labels, texts, reading.manifest, None, reading, counts)


def _ensemble(name: str, counts: Counts) -> Distributions:
    n = counts.sum(-1)
    return Distributions(name, "ensemble", probabilities(counts), int(np.median(n[n > 0])) if n.any() else 0)


def dataset_of(source: Source) -> tuple[Dataset | None, tuple[str, ...]]:
    """People's answers to a run's items; None where there are none, and notes that say why."""
    if source.reading is not None:
        return source.reading.dataset, source.reading.notes
    name = str(source.manifest["mjd"]["items"])
    try:
        return load_dataset(name, ("premise", "hypothesis"), source.labels), ()
    except ItemsError as error:
        return None, (f"no people's answers: {error}",)


def people_of(dataset: Dataset | None, source: Source) -> dict[str, Counts]:
    """People's votes on a run's items, (I, K) by population; those that know none of them are left out."""
    nobody = (0,) * len(source.labels)
    found = {
        name: np.array([known.get(uid, nobody) for uid in source.items], dtype=np.int64)
        for name, known in (dataset.distributions if dataset else {}).items()
    }
    return {name: votes for name, votes in found.items() if votes.any()}


def reference_of(
    given: str, people: Mapping[str, Counts], source: Source, transform: Transform, runs_path: Path | None
) -> tuple[Floats, bool, list[str]]:
    """The distributions that a run is compared with, on its own items, and whether they are of simulated participants.

    Parameters
    ----------
    given
        A human population, ``mjd:RUN``, or a file of soft labels.
    people
        See `people_of`.
    source
        The run.
    transform
        Of the other run's scores.

    Returns
    -------
    tuple
        (I, K) distributions, NaN where there is none; whether they are synthetic, as far as is known; and notes.

    Raises
    ------
    InputError
        It is none of these, or has none of the items, or other labels.
    """
    if given in people:
        return probabilities(people[given]), False, []
    synthetic, notes = False, []
    if given.startswith(_RUN):
        other = source_of(find_run(given.removeprefix(_RUN), runs_path), transform)
        check_labels(source, other)
        found, synthetic = other.on(source.items)[0].p, bool(other.manifest["synthetic"])
        notes = notes_on(source, other)
    elif given.lower().endswith(_FILES):
        if sorted(source.labels) != sorted(LABELS):
            raise InputError(
                f"--reference {given}: soft labels are of {', '.join(LABELS)}, not {', '.join(source.labels)}"
            )
        order = [LABELS.index(label) for label in source.labels]  # files are read in the order of LABELS
        soft = read_soft_labels(Path(given))
        known = {one.uid: [one.p[k] for k in order] for one in soft.items}
        nothing = [np.nan] * len(source.labels)
        found = np.array([known.get(uid, nothing) for uid in source.items], dtype=np.float64)
        texts = {one.uid: {"premise": one.premise, "hypothesis": one.hypothesis} for one in soft.items}
        notes = _other_texts(source, soft.name, texts)
    else:
        unknown = unknown_name("reference", given, [*people, f"{_RUN}RUN"])
        raise InputError(f"--reference: {unknown}, or name a file of soft labels")
    if np.isnan(found).all():
        raise InputError(f"--reference {given} has none of the run's {len(source.items):,} items (by uid)")
    return found, synthetic, notes


def notes_on(source: Source, other: Source) -> list[str]:
    """What is to be said of a run that is set beside another."""
    name, notes = other.rows[0].name, []
    if other.mjd is not None and other.mjd.in_part:
        notes.append(f"{name}: {other.mjd.in_part:,} items have some of their prompts answered and not all")
    return [*notes, *_other_texts(source, name, other.texts)]


def _other_texts(source: Source, name: str, texts: Mapping[str, Mapping[str, str]]) -> list[str]:
    shared = [uid for uid in source.items if uid in texts]
    differing = [
        uid
        for uid in shared
        if any(source.texts[uid][one] != texts[uid][one] for one in source.texts[uid].keys() & texts[uid].keys())
    ]
    if not differing:
        return []
    return [f"{name} has other texts for {len(differing):,} items of the same uid: {shortened(differing)}"]


def check_labels(one: Source, other: Source) -> None:
    """Refuse to set runs of different labels beside each other."""
    if one.labels != other.labels:
        raise InputError(
            f"{other.rows[0].name} has the labels {', '.join(other.labels)}, not {', '.join(one.labels)}: they cannot "
            "be compared"
        )
