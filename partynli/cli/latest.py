"""A run's answers up to the last one stored, while another process may be sampling."""

from __future__ import annotations

from itertools import chain

from partynli.aggregate import Answers, load_answers, with_judgments
from partynli.derive import underived
from partynli.judgments import reader_for
from partynli.records import Task
from partynli.store import Run


def answers_so_far(run: Run, task: Task) -> Answers:
    """The stored judgments and, in memory, those of the answers that came since."""
    _, version = reader_for(task)
    since = chain.from_iterable(rows for rows, _, _ in underived(run, task))
    return with_judgments(load_answers(run, task), since, anew=run.meta("reader") != version)
