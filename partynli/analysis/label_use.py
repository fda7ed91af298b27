"""How participants use the labels: their shares, and whether the same item gets the same label again (figure 3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from partynli.aggregate import NOT_ASKED, Answers, Codes, worker_codes
from partynli.analysis.imported.participants import natural
from partynli.analysis.resamples import Floats
from partynli.items import Dataset
from partynli.metrics import consistency, probabilities, share_consistent

BUSY = 100
"""A worker of the human data is shown with more items than this (Kulmizev et al. 2026, figure 3)."""
_PERSON = "human"
"""Provider of imported answers that people gave."""


@dataclass(frozen=True)
class LabelUse:
    """What one participant or worker answered.

    Attributes
    ----------
    name
        The participant's or worker's.
    human
        Whether it is a person.
    shares
        (K,) shares of its valid answers over all items and trials; NaN without any.
    consistency
        Distinct labels an item over its trials, mean over items: 1 is always the same. NaN with one trial.
    share_consistent
        Share of items with the same label in every trial. NaN with one trial.
    codes
        (T, I) label codes, with `ASKED_IN_VAIN` and `NOT_ASKED`.
    """

    name: str
    human: bool
    shares: Floats
    consistency: float
    share_consistent: float
    codes: Codes


def label_use(answers: Answers, members: Sequence[int], dataset: Dataset | None) -> list[LabelUse]:
    """Busy workers of the human data, then the participants, the least consistent first.

    Parameters
    ----------
    answers
        On the items of one scope.
    members
        Positions of the participants; those who were not asked on these items are left out.
    dataset
        People's answers, or None. Its workers with more than `BUSY` items (in all of the dataset) come first, by name;
        not so where the participants themselves are people.
    """
    found = [_use(answers.names[one], is_person(answers, one), answers.simple[one], answers.labels) for one in members]
    found = [one for one in found if (one.codes != NOT_ASKED).any()]
    found.sort(key=lambda one: (not one.human, _last_if_undefined(-one.consistency), natural(one.name)))
    if dataset is None or any(one.human for one in found):
        return found
    return [*_of_busy_workers(answers, dataset), *found]


def is_person(answers: Answers, position: int) -> bool:
    """Whether a participant stands for a person whose answers were imported."""
    return answers.participants[position].provider == _PERSON


def item_order(uses: Iterable[LabelUse], items: Sequence[str]) -> list[int]:
    """Positions of the items, from those that get the first label to those that get the last; ties by uid.

    Items are placed by the mean code of the participants' answers, or of people's where there are no others; those
    without an answer come last.
    """
    known = list(uses)
    codes = np.concatenate([one.codes for one in known if not one.human] or [one.codes for one in known])
    valid = codes >= 0
    total = np.where(valid, codes, 0).sum(0) / np.maximum(valid.sum(0), 1)
    place = np.where(valid.any(0), total, np.inf).round(9)
    return sorted(range(len(items)), key=lambda k: (place[k], items[k]))


def busy_workers(dataset: Dataset | None) -> frozenset[str]:
    """Workers with more than `BUSY` items in all of the human data."""
    if dataset is None:
        return frozenset()
    answered = Counter(worker for worker, _ in {(one.worker, one.uid) for one in dataset.annotations})
    return frozenset(worker for worker, n in answered.items() if n > BUSY)


def _of_busy_workers(answers: Answers, dataset: Dataset) -> list[LabelUse]:
    busy = busy_workers(dataset)
    workers, _, codes = worker_codes(dataset, answers.items, answers.labels)
    seen = [k for k, worker in enumerate(workers) if worker in busy and (codes[k] >= 0).any()]
    uses = [_use(workers[k], True, codes[k][None], answers.labels) for k in seen]
    return sorted(uses, key=lambda one: natural(one.name))


def _use(name: str, human: bool, codes: Codes, labels: Sequence[str]) -> LabelUse:
    counts = np.stack([(codes == k).sum(axis=0) for k in range(len(labels))], axis=-1)
    return LabelUse(
        name=name,
        human=human,
        shares=np.asarray(probabilities(counts.sum(0))),
        consistency=float(consistency(counts)),
        share_consistent=float(share_consistent(counts)),
        codes=codes[(codes != NOT_ASKED).any(axis=1)],
    )


def _last_if_undefined(value: float) -> float:
    return float("inf") if value != value else value
