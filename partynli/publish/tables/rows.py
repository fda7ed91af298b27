"""The rows of an export's tables, as they come from a run; their columns are in `partynli.publish.tables.columns`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from partynli.aggregate import Answers
from partynli.analysis.groups import groups_of
from partynli.derive import read_attempt
from partynli.hashing import canonical_json, content_hash
from partynli.judgments import Reader, reader_for
from partynli.labels import ERROR
from partynli.publish.tables.columns import TALLY
from partynli.publish.tables.formats import Cells
from partynli.records import Judgment, Participant, Task
from partynli.store import Attempt, Run, StoredTrial

_VARIANT = re.compile(r"(?:@temperature=[^@]+)?(?:@top_p=[^@]+)?\Z")
_BETWEEN = " | "
_NO_ANSWER = "no_answer"


class _Face(NamedTuple):
    """A participant as the rows of its judgments show it."""

    id: str
    participant: str
    participant_type: str
    experiment: str | None
    num_params: float | None
    temperature: float | None
    top_p: float | None


def _faces(run: Run) -> dict[str, tuple[Participant, _Face]]:
    groups: dict[str, list[str]] = {}
    for name, members in run.experiments().items():
        for one in members:
            groups.setdefault(one, []).append(name)
    return {id_: (one, _face(one, groups.get(id_, ()))) for id_, one in run.participants().items()}


def _face(one: Participant, groups: Sequence[str]) -> _Face:
    base = _VARIANT.sub("", one.name) or one.name
    size, temperature, top_p = (
        _number(value) for value in (one.size_b, one.params.get("temperature"), one.params.get("top_p"))
    )
    values = [f"{value:.6g}" for value in (temperature, top_p, size) if value is not None]
    kind = "human" if one.provider == "human" else "model"
    return _Face("_".join([base, *values]), base, kind, _BETWEEN.join(sorted(groups)) or None, size, temperature, top_p)


def judgment_rows(run: Run, task: Task, *, texts_included: bool) -> Iterator[Cells]:
    """Rows of ``judgments``: every trial that has an outcome, by participant, item and number."""
    faces = _faces(run)
    reader, _ = reader_for(task)
    for trial in run.trials:
        row = trial.judgment
        one, face = faces[row.participant]
        attempt, reason = _standing(trial, reader, run)
        yield (
            row.item,
            *face[:4],
            row.trial,
            row.class_simple,
            row.class_multi,
            row.explanation,
            *face[4:],
            row.highlights if texts_included else _without_texts(row.highlights),
            "error" if row.class_simple == ERROR else "valid",
            reason,
            row.repair,
            one.name,
            row.participant,
            row.trial_key,
            len(trial.attempts),
            *((attempt.served_model, attempt.fingerprint, attempt.finish_reason) if attempt else (None,) * 3),
            _date(attempt.at) if attempt else None,
            attempt.latency_s if attempt else None,
            _sum([each.tokens_in for each in trial.attempts]),
            _sum([each.tokens_out for each in trial.attempts]),
            _sum([each.cost for each in trial.attempts]),
            one.synthetic,
            row.reader,
            trial.kept if texts_included else _labels_in(trial.kept),
        )


def _standing(trial: StoredTrial, reader: Reader, run: Run) -> tuple[Attempt | None, str | None]:
    """The attempt that the judgment was read from, or the last that gave none and why."""
    heard = [attempt for attempt in trial.attempts if attempt.status != "drift"]
    if len(heard) == 1 and trial.judgment.class_simple != ERROR:
        return heard[0], None
    last: tuple[Attempt | None, str | None] = (None, None)
    for attempt in heard:
        found = read_attempt(attempt, reader, run.texts([attempt.item]))
        if isinstance(found, Judgment):
            return attempt, None
        last = attempt, found.reason if found else _NO_ANSWER
    return last


def _without_texts(highlights: str | None) -> str | None:
    """Highlights without the stretches of the item's text; words that are not in it are the participant's own."""
    if highlights is None:
        return None
    spans = json.loads(highlights)
    return canonical_json([[name, start, end, text if start is None else None] for name, start, end, text in spans])


def _labels_in(kept: str | None) -> str | None:
    """What a table said of labels; its other columns may hold the items' texts."""
    said = json.loads(kept or "{}")
    labels = {name: said[name] for name in ("class_simple", "class_multi") if name in said}
    return canonical_json(labels) if labels else None


def raw_rows(run: Run) -> Iterator[Cells]:
    """Rows of ``raw``: every attempt, in the order of storing.

    What a provider said of a failed call is left out: it may name addresses and accounts.
    """
    names = {id_: one.name for id_, one in run.participants().items()}
    body = lru_cache(maxsize=4096)(run.body)
    last = 0
    while chunk := run.attempts(after=last):
        last = chunk[-1][0]
        for _, one in chunk:
            failed = one.status == "failed"
            yield (
                one.trial_key,
                one.n,
                one.item,
                one.participant,
                names[one.participant],
                one.trial,
                one.status,
                kind_of(one.reason) if failed else one.reason,
                body(one.prompt),
                body(one.body),
                one.seed,
                None if failed else one.response,
                *one[11:],
            )


def kind_of(reason: str | None) -> str | None:
    """The kind of a failure, without what the provider said, which may name addresses and accounts.

    >>> kind_of("retryable: cannot connect to 10.0.0.3")
    'retryable'
    """
    return None if reason is None else reason.partition(":")[0]


def participant_rows(run: Run) -> Iterator[Cells]:
    """Rows of ``participants``, in the run's order: what is declared and what was seen; no keys and no addresses."""
    plan = run.manifest["plan"]
    trials = dict(zip(plan["participants"], plan["trials"], strict=True))
    tallies, reasons, observed = run.tallies(), run.reasons(), run.trials.observed()
    for id_, (one, face) in _faces(run).items():
        seen, tally = observed.get(id_), tallies.get(id_)
        yield (
            id_,
            one.name,
            face.participant,
            face.id,
            face.participant_type,
            face.experiment,
            one.route,
            one.provider,
            one.family,
            one.model,
            one.revision,
            face.num_params,
            one.dtype,
            one.quantization,
            face.temperature,
            face.top_p,
            canonical_json(dict(one.params)),
            canonical_json(one.identity),
            *((one.price.input, one.price.output, one.price.as_of) if one.price else (None,) * 3),
            one.max_output_tokens,
            trials.get(id_),
            _BETWEEN.join(seen.served_models) or None if seen else None,
            _date(seen.first) if seen else None,
            _date(seen.last) if seen else None,
            *(asdict(tally).values() if tally else (None,) * len(TALLY)),
            _reasons(reasons.get(id_, {})) if tally else None,
        )


def _reasons(counts: Mapping[str, int]) -> str:
    found: dict[str, int] = {}
    for reason, count in counts.items():
        kind = kind_of(reason) or ""
        found[kind] = found.get(kind, 0) + count
    return canonical_json(found)


def item_rows(run: Run, fields: Sequence[str], source: str | None, *, included: bool) -> Iterator[Cells]:
    """Rows of ``items``, in the run's order."""
    for item in run.items:
        texts = [item.texts.get(name) if included else None for name in fields]
        yield (item.uid, *texts, content_hash(dict(item.texts)), source)


def distribution_rows(answers: Answers) -> Iterator[Cells]:
    """Rows of ``distributions``: label counts by item, of the report's groups and every single participant."""
    groups = [(one.name, one.kind, one.members) for one in groups_of(answers)[0] if one.kind != "participant"]
    singles = [(name, "participant", (number,)) for number, name in enumerate(answers.names)]
    for name, kind, members in (*groups, *singles):
        counts, asked = answers.counts(members), answers.asked(members)
        valid = counts.sum(axis=-1)
        with np.errstate(invalid="ignore"):
            shares = counts / valid[:, None]
        columns = zip(answers.items, asked.tolist(), valid.tolist(), counts.tolist(), shares.tolist(), strict=True)
        for uid, n_asked, n_valid, count, share in columns:
            if n_asked:
                yield (uid, name, kind, n_asked, n_valid, *count, *(share if n_valid else (None,) * len(count)))


def metric_rows(report: Mapping[str, Any]) -> Iterator[Cells]:
    """Rows of ``metrics``: every figure of a report (``report --json``) with what makes it mean something."""
    for scope, found in report["scopes"].items():
        people = [{"name": name, "kind": "human", **row} for name, row in found["human"].items()]
        for row in (*people, *found["groups"]):
            who = (scope, row["name"], row["kind"])
            for name, figure in row.items():
                if isinstance(figure, Mapping) and "value" in figure:
                    yield (*who, name, None, *_figure(figure))
            for label, share in row["label_shares"].items():
                yield (*who, f"share_{label}", None, share, *(None,) * 3, row["n_valid"], *(None,) * 3)
            for source, figures in row["against"].items():
                for name, figure in figures.items():
                    yield (*who, name, source, *_figure(figure))


def _figure(figure: Mapping[str, Any]) -> Cells:
    low, high = figure["ci"] or (None, None)
    rest = (figure["sd"], low, high, figure["n"], figure["ceiling"], figure["null"], figure.get("p"))
    return (figure["value"], *rest)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
