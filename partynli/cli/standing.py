"""How far a run is whose items get no more trials once they are known well enough.

Loaded where a run is of that kind, since arrays take as long to load as all else of ``partynli sample``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from partynli.aggregate import NOT_ASKED, Answers, load_answers
from partynli.cli.latest import answers_so_far
from partynli.derive import derive_judgments
from partynli.records import Task
from partynli.sampling.engine import Engine
from partynli.sampling.plan import Plan
from partynli.sampling.rounds import RoundLedger, Votes, due, rounds_needed, rounds_over
from partynli.sampling.settings import Settings
from partynli.store import Run


class Standing(NamedTuple):
    """How far a run is."""

    settled: int
    """Items that get no more trials."""
    due: Mapping[str, int]
    """Trials that each participant is asked in all, by its id, where no other item is settled."""


def standing(run: Run, plan: Plan) -> Standing:
    """How far a run is whose plan stops early, from its answers so far; nothing is written."""
    assert plan.until_ci is not None
    uids, width = run.item_uids(), plan.until_ci
    votes, asked = _by_round(answers_so_far(run, plan.task))
    due_in = [sum(most >= k for most in plan.trials.values()) for k in range(1, len(votes) + 1)]
    over = rounds_over(asked, lambda rounds: rounds_needed(uids, votes[:rounds], width), due_in)
    needed = rounds_needed(uids, votes[:over], width)
    return Standing(int((needed > 0).sum()), due(plan, needed))


def in_rounds(plan: Plan, run: Run, settings: Settings) -> Engine:
    """The engine on this machine, round by round."""
    votes = partial(votes_so_far, run, plan.task)
    return Engine(plan, RoundLedger(plan, run, votes, settings.limit, settings.on_event), os.environ, settings)


def votes_so_far(run: Run, task: Task) -> Votes:
    """Valid answers of all participants together, (trials, items, labels), judged up to the last one stored."""
    derive_judgments(run, task)
    return _by_round(load_answers(run, task))[0]


def _by_round(answers: Answers) -> tuple[Votes, Votes]:
    codes = answers.simple.swapaxes(0, 1)
    votes = np.stack([(codes == label).sum(axis=1) for label in range(len(answers.labels))], axis=-1)
    return votes, np.asarray((codes != NOT_ASKED).sum(axis=1))
