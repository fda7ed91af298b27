"""A participant as the coder: the plan that asks it, and what it answered."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from partynli.derive import standing_judgments
from partynli.labels import ERROR
from partynli.prompts import Renderer, task_of
from partynli.records import Item, Participant, Task
from partynli.sampling.plan import Plan
from partynli.sampling.strategies import Selection, guided
from partynli.store import Run

_GROUP = "judge"
_CHUNK = 256


def judge_plan(task: Task, judge: Participant, items: Sequence[Item], run_name: str) -> Plan:
    """Ask a participant once about each item, in this order.

    Parameters
    ----------
    task
        How it is asked, ``reasons``.
    judge
        Any participant.
    items
        Explanations as items, see `Explanation.item`.
    run_name
        The run whose explanations they are.
    """
    (selection,) = guided([Selection(_GROUP, (judge,), 1)], task)
    (judge,) = selection.participants
    return Plan(
        task=task,
        participants=(judge,),
        trials={judge.id: 1},
        items=items,
        n_items=len(items),
        groups={_GROUP: (judge.id,)},
        item_source=f"explanations ({run_name})",
    )


def is_done(plan: Plan, run: Run) -> bool:
    """Whether every trial of a plan has its outcome, so that nothing needs to be asked."""
    walk = plan.walk(plan.participants, Renderer(plan.task))
    while keys := [trial.key for trial in islice(walk, _CHUNK)]:
        known = run.outcomes(keys)
        if not all(key in known and (known[key].settled or known[key].rejected > plan.reasks) for key in keys):
            return False
    return True


def codes_of(run: Run) -> dict[str, str]:
    """The judge's valid categories, by `Explanation.name`."""
    rows = standing_judgments(run, task_of(run.manifest)).values()
    return {row.item: row.class_simple for row in rows if row.class_simple != ERROR}
