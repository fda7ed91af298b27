"""Item by item early stopping: trials go round by round, and items whose entropy is known well enough get no more.

Whether an item is settled after a round follows from the answers up to that round alone, whatever the order in which
they came: so every session of a run, and every program that reads it, comes to the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from partynli.metrics import entropy_interval
from partynli.records import Participant, Trial
from partynli.sampling.events import Event, Settled
from partynli.sampling.ledger import RunLedger
from partynli.sampling.plan import MIN_ROUNDS, Plan
from partynli.store import Run

Votes = NDArray[np.int64]

_DRAWS = 1000


def rounds_needed(uids: Sequence[str], votes: Votes, width: float) -> NDArray[np.int64]:
    """After which round each item is settled.

    Parameters
    ----------
    uids
        I items.
    votes
        (rounds, I, K) valid answers of all participants together, round by round.
    width
        An item is settled when the 95 % interval of its entropy, in nats, is narrower.

    Returns
    -------
    numpy.ndarray
        (I,) numbers of rounds, at least `MIN_ROUNDS`; 0 for an item that is not settled by these rounds.
    """
    needed = np.zeros(len(uids), dtype=np.int64)
    so_far = votes.cumsum(axis=0)
    for done in range(MIN_ROUNDS, len(votes) + 1):
        for item in np.flatnonzero(needed == 0).tolist():
            if _width(uids[item], so_far[done - 1, item]) < width:
                needed[item] = done
    return needed


def _width(uid: str, votes: Votes) -> float:
    seed = int.from_bytes(hashlib.sha256(uid.encode("utf-8", "surrogatepass")).digest()[:8])
    interval = entropy_interval(votes, rng=np.random.default_rng(seed), draws=_DRAWS)
    return float(interval.high - interval.low)


def due(plan: Plan, needed: NDArray[np.int64]) -> dict[str, int]:
    """Trials that each participant is asked, by its id, where the items that are not settled take all of theirs."""
    asked = {one.id: plan.trials[one.id] for one in plan.participants}
    return {id_: int(np.where(needed > 0, np.minimum(needed, most), most).sum()) for id_, most in asked.items()}


def rounds_over(asked: Votes, needed: Callable[[int], NDArray[np.int64]], due_in: Sequence[int]) -> int:
    """How many rounds of a run are over, as far as its answers tell: the last may still go on.

    Parameters
    ----------
    asked
        (rounds, I) trials that have an answer, valid or not.
    needed
        Gives `rounds_needed` by the first so many rounds.
    due_in
        Participants who are asked in each round.
    """
    last = int((asked.sum(-1) > 0).sum())
    if last == 0:
        return 0
    going_on = needed(last - 1) == 0
    return last if (asked[last - 1][going_on] >= due_in[last - 1]).all() else last - 1


class RoundLedger(RunLedger):
    """The ledger of a run whose trials go round by round.

    Parameters
    ----------
    plan
        What to ask at most; it has a width.
    run
        Where to store it, open for sampling.
    votes
        Gives the stored valid answers, (trials, I, K), items in the run's order.
    limit
        Most trials to begin; None for all.
    tell
        Is told how many items are settled, after every round.
    """

    def __init__(
        self, plan: Plan, run: Run, votes: Callable[[], Votes], limit: int | None, tell: Callable[[Event], None]
    ) -> None:
        assert plan.until_ci is not None
        super().__init__(plan, run, limit)
        self._votes = votes
        self._tell = tell
        self._width = plan.until_ci
        self._uids = run.item_uids()
        self._round = 1
        self._settled: frozenset[str] = frozenset()

    def _walk(self, participants: Sequence[Participant]) -> Iterator[Trial]:
        asked = self._plan.walk(participants, self._renderer, [self._round])
        return (trial for trial in asked if trial.item.uid not in self._settled)

    async def next_round(self) -> bool:
        """See which items the answers so far settle; whether trials are left for the others."""
        if self._left is not None and self._left <= 0:
            return False
        needed = rounds_needed(self._uids, self._votes()[: self._round], self._width)
        self._settled = frozenset(uid for uid, rounds in zip(self._uids, needed, strict=True) if rounds)
        self._tell(Settled(self._round, len(self._settled), len(self._uids), due(self._plan, needed)))
        self._round += 1
        return len(self._settled) < len(self._uids) and self._round <= max(self._plan.trials.values())
