"""From stored answers to the table `judgment`: offline, as often as wanted, and without a key.

The table is derived. It grows with the attempts, and when a reader's version changes it is made anew from the raw
answers: a better reader costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import chain

from partynli.errors import ProviderError
from partynli.hashing import canonical_json
from partynli.judgments import Reader, reader_for
from partynli.labels import ERROR
from partynli.providers.base import read_completion
from partynli.records import Judgment, Rejection, Response, Task
from partynli.store import Attempt, AttemptStatus, JudgmentRow, Run, storable

Texts = Mapping[str, Mapping[str, str]]
"""Texts of the items, by uid and field."""


def derive_judgments(run: Run, task: Task) -> int:
    """Bring a run's table `judgment` up to its attempts and to the current reader; returns how many attempts it read.

    A trial's answer is its first attempt that is valid under the current reader; without one, it is an error, which is
    missing data and no label. Answers of a drifted model are left out.

    Parameters
    ----------
    run
        Open for writing.
    task
        Says how answers are read.
    """
    _, version = reader_for(task)
    if run.meta("reader") != version:
        run.forget_judgments(version)
    read = 0
    for rows, n, last in underived(run, task):
        run.add_judgments(rows, last)
        read += n
    return read


def underived(run: Run, task: Task) -> Iterator[tuple[list[JudgmentRow], int, int]]:
    """Judgments that the run's table does not hold yet, of all attempts where it is an older reader's.

    Yields
    ------
    tuple
        Judgments of some attempts, the number of these attempts, and the row id of the last.
    """
    reader, version = reader_for(task)
    last = int(run.meta("judged") or 0) if run.meta("reader") == version else 0
    while chunk := run.attempts(after=last):
        texts = run.texts({attempt.item for _, attempt in chunk})
        rows = [judgment_row(attempt, reader, version, texts) for _, attempt in chunk if attempt.status != "drift"]
        last = chunk[-1][0]
        yield rows, len(chunk), last


def standing_judgments(run: Run, task: Task) -> dict[str, JudgmentRow]:
    """Where every trial stands, by its key: the stored judgments, and in memory those of answers that came since.

    A trial's first valid judgment stays; judgments of an older reader count no more, those of imported answers do.
    """
    _, version = reader_for(task)
    stale = not run.is_empty and run.meta("reader") != version
    since = chain.from_iterable(rows for rows, _, _ in underived(run, task))
    found: dict[str, JudgmentRow] = {}
    for row in chain(run.judgments(), since):
        if stale and row.source != "import" and row.reader != version:
            continue
        earlier = found.get(row.trial_key)
        if earlier is None or earlier.class_simple == ERROR:
            found[row.trial_key] = row
    return found


def judgment_row(attempt: Attempt, reader: Reader, version: str, texts: Texts) -> JudgmentRow:
    """Where a trial stands by one of its attempts."""
    reading = read_attempt(attempt, reader, texts)
    stands = (attempt.trial_key, attempt.participant, attempt.item, attempt.trial)
    if not isinstance(reading, Judgment):
        return JudgmentRow(*stands, ERROR, ERROR, None, None, None, version, "sample")
    highlights = canonical_json([[span.field, span.start, span.end, span.text] for span in reading.highlights])
    return JudgmentRow(
        *stands,
        class_simple=reading.class_simple,
        class_multi=reading.class_multi,
        explanation=None if reading.explanation is None else storable(reading.explanation),
        highlights=storable(highlights),
        repair=",".join(reading.repairs) or None,
        reader=version,
        source="sample",
    )


def read_attempt(attempt: Attempt, reader: Reader, texts: Texts) -> Judgment | Rejection | None:
    """What a stored answer says under this reader; None where there was no answer."""
    if attempt.status == "failed" or attempt.response is None:
        return None
    try:
        return reader.judge(stored_response(attempt), texts[attempt.item])
    except Exception as error:  # the reader's fault, not the answer's: it stays stored and can be read again
        return Rejection("schema", f"the reader failed: {type(error).__name__}")


def stored_response(attempt: Attempt) -> Response:
    """The answer as the provider gave it, from its raw text."""
    raw = attempt.response or ""
    try:
        return read_completion(json.loads(raw), raw, {})
    except (ValueError, RecursionError, ProviderError):
        # the body of a refused call: a policy filter answered in the model's place
        return Response("", "", attempt.finish_reason, raw, refused=attempt.finish_reason == "content_filter")


def settle_drift(run: Run, task: Task) -> int:
    """Take the answers of a drifted model into the run after all; returns how many there were."""
    reader, _ = reader_for(task)
    settled = list(_settled(run, reader))
    run.settle_drift(settled)
    return len(settled)


def _settled(run: Run, reader: Reader) -> Iterator[tuple[int, AttemptStatus, str | None]]:
    last = 0
    while chunk := run.attempts(after=last, status="drift"):
        for row, attempt in chunk:
            rejection = reader.check(stored_response(attempt))
            yield (row, "rejected", rejection.reason) if rejection else (row, "valid", None)
        last = chunk[-1][0]
