"""How far a run is whose items get no more trials once they are known well enough.

Loaded where a run is of that kind, since arrays take as long to load as all else of ``partynli sample``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partynli.aggregate import NOT_ASKED, Answers, load_answers
from partynli.cli.latest import answers_so_far
from partynli.derive import derive_judgments
from partynli.records import Task
from partynli.sampling.engine import Engine
from partynli.sampling.plan import Plan
from partynli.sampling.rounds import RoundLedger, Votes, rounds_needed, rounds_over
from partynli.sampling.settings import Settings
from partynli.store import Run


class Standing(NamedTuple):
    """How far a run is."""

    settled: int
    """Items that get no more trials."""
    due: Mapping[str, int]
    """Trials that each participant was asked or is still to be asked, by its id, where no other item is settled."""


def standing(run: Run, plan: Plan) -> Standing:
    """How far a run is whose plan stops early, from its answers so far; nothing is written."""
    assert plan.until_ci is not None
    uids, width = run.item_uids(), plan.until_ci
    answers = answers_so_far(run, plan.task)
    votes, asked = _by_round(answers)
    over = rounds_over(asked, lambda rounds: rounds_needed(uids, votes[:rounds], width), _due_in(answers, plan))
    needed = rounds_needed(uids, votes[:over], width)
    return Standing(int((needed > 0).sum()), _due(answers, plan, needed))


def in_rounds(plan: Plan, run: Run, settings: Settings) -> Engine:
    """The engine on this machine, round by round."""
    votes = partial(votes_so_far, run, plan.task)
    return Engine(plan, RoundLedger(plan, run, votes, settings.limit, settings.on_event), os.environ, settings)


def votes_so_far(run: Run, task: Task) -> Votes:
    """Valid answers of all participants together, (trials, items, labels), judged up to the last one stored."""
    derive_judgments(run, task)
    return _by_round(load_answers(run, task))[0]


def _due_in(answers: Answers, plan: Plan) -> list[int]:
    """Participants who are waited for in each round: not those who gave no answer in the round before it."""
    took_part = (answers.simple != NOT_ASKED).any(axis=2)
    took_part = np.insert(took_part[:, :-1], 0, True, axis=1)
    most = np.array([plan.trials[one.id] for one in answers.participants])
    return [int((of_round & (most > k)).sum()) for k, of_round in enumerate(took_part.T)]


def _due(answers: Answers, plan: Plan, needed: NDArray[np.int64]) -> dict[str, int]:
    """`Standing.due`: what an item that is settled by now was asked beyond that counts, too."""
    found = {}
    for one, codes in zip(answers.participants, answers.simple, strict=True):
        most = plan.trials[one.id]
        number = np.arange(1, max(most, len(codes)) + 1)[:, None]
        asked = np.pad(codes != NOT_ASKED, ((0, len(number) - len(codes)), (0, 0)))
        found[one.id] = int((asked | (number <= np.where(needed > 0, np.minimum(needed, most), most))).sum())
    return found


def _by_round(answers: Answers) -> tuple[Votes, Votes]:
    codes = answers.simple.swapaxes(0, 1)
    votes = np.stack([(codes == label).sum(axis=1) for label in range(len(answers.labels))], axis=-1)
    return votes, np.asarray((codes != NOT_ASKED).sum(axis=1))
