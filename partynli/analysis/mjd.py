"""Model judgment distributions: from the option scores of a run's prompts to one distribution an item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from partynli.analysis.resamples import Floats
from partynli.derive import stored_response
from partynli.errors import RunError
from partynli.metrics import bounded_softmax, p_norm
from partynli.options import ITEM, label_scores
from partynli.prompts import task_of
from partynli.store import Run

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Transform:
    """How scores become a distribution."""

    kind: Literal["norm", "softmax"] = "softmax"
    temperature: float = 20.0
    """Of the softmax."""

    @property
    def softmax_temperature(self) -> float | None:
        """The temperature where there is a softmax."""
        return self.temperature if self.kind == "softmax" else None

    @property
    def name(self) -> str:
        """As tables name it.

        >>> Transform("norm").name, Transform("softmax", 20).name
        ('p_norm', 'p_softmax, T = 20')
        """
        return "p_norm" if self.kind == "norm" else f"p_softmax, T = {self.temperature:g}"


@dataclass(frozen=True)
class PromptScores:
    """Scores of all N prompts of a run on I items, the orders of their options undone.

    Attributes
    ----------
    labels
        K of them.
    items
        (I) uids, in the run's order.
    texts
        Premise and hypothesis by uid.
    item_of
        (N,) position of each prompt's item.
    scores
        (N, K); NaN for options that were not among the tokens returned.
    bound
        (N,) what those do not exceed; NaN where nothing is known.
    asked
        (I,) prompts planned of each item.
    """

    run: str
    participant: str
    synthetic: bool
    labels: tuple[str, ...]
    items: tuple[str, ...]
    texts: Mapping[str, Mapping[str, str]]
    item_of: Counts
    scores: Floats
    bound: Floats
    asked: Counts


@dataclass(frozen=True)
class Mjd:
    """One distribution an item: the mean over its prompts.

    Attributes
    ----------
    p, low, high
        (I, K) with options that were not returned at their bound, and the least and greatest probabilities that they
        leave open. NaN for an item without an answer, or with one in which nothing bounds a missing option.
    prompts, asked
        (I,) prompts that were answered, and that were planned.
    cut
        (I,) prompts of which an option was not returned.
    """

    p: Floats
    low: Floats
    high: Floats
    prompts: Counts
    asked: Counts
    cut: Counts

    @property
    def in_part(self) -> int:
        """Items of which some prompts are answered and some are not."""
        return int(((self.prompts > 0) & (self.prompts < self.asked)).sum())

    @property
    def widths(self) -> Floats:
        """How much is left open of the probabilities of items that have a distribution, in one row: may be empty."""
        width = self.high - self.low
        return width[~np.isnan(width)]


def holds_scores(run: Run) -> bool:
    """Whether a run holds option scores and no ordinary answers."""
    return task_of(run.manifest).reader == "options"


def read_scores(run: Run) -> PromptScores:
    """Read the scores of a run, from its raw answers.

    Raises
    ------
    RunError
        The run holds no option scores.
    """
    task = task_of(run.manifest)
    if not holds_scores(run):
        raise RunError(f"run {run.name!r} holds answers and no option scores; `partynli mjd run` asks for those")
    fields = [name for name in ("premise", "hypothesis") if name in task.fields]
    texts: dict[str, Mapping[str, str]] = {}
    asked: dict[str, int] = {}
    for prompt in run.items:
        uid = prompt.texts[ITEM]
        texts.setdefault(uid, {name: prompt.texts[name] for name in fields})
        asked[uid] = asked.get(uid, 0) + 1
    position = {uid: number for number, uid in enumerate(asked)}
    item_of, scores, bounds = [], [], []
    last = 0
    while chunk := run.attempts(after=last, status="valid"):
        of = run.texts({attempt.item for _, attempt in chunk})
        for _, attempt in chunk:
            found = stored_response(attempt).option_scores
            if found is not None:
                by_label = label_scores(found, of[attempt.item])
                item_of.append(position[of[attempt.item][ITEM]])
                scores.append([by_label.get(label, np.nan) for label in task.labels])
                bounds.append(np.nan if found.bound is None else found.bound)
        last = chunk[-1][0]
    (participant,) = run.participants().values()
    return PromptScores(
        run=run.name,
        participant=participant.name,
        synthetic=bool(run.manifest["synthetic"]),
        labels=task.labels,
        items=tuple(asked),
        texts=texts,
        item_of=np.array(item_of, dtype=np.int64),
        scores=np.array(scores, dtype=np.float64).reshape(-1, len(task.labels)),
        bound=np.array(bounds, dtype=np.float64),
        asked=np.array(list(asked.values()), dtype=np.int64),
    )


def mjd_of(found: PromptScores, transform: Transform) -> Mjd:
    """The distribution of each item: transform the scores of each prompt, then take the mean over prompts.

    Prompts that were not answered are left out of the mean, so that orders of options no longer balance; `Mjd.in_part`
    counts such items.

    Raises
    ------
    InputError
        The scores do not allow the transform; see `partynli.metrics.p_norm`.
    """
    if transform.kind == "norm":
        p = low = high = p_norm(found.scores)
    else:
        p, low, high = bounded_softmax(found.scores, found.bound, transform.temperature)
    n = np.bincount(found.item_of, minlength=len(found.items))

    def mean(values: Floats) -> Floats:
        total = np.zeros((len(found.items), len(found.labels)))
        np.add.at(total, found.item_of, values)
        return total / np.where(n > 0, n, np.nan)[:, None]

    cut = np.bincount(found.item_of[np.isnan(found.scores).any(-1)], minlength=len(found.items))
    return Mjd(mean(p), mean(low), mean(high), n, found.asked, cut)
