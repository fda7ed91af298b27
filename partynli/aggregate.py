"""From judgments to arrays: who chose what, how often, on which item; and what people chose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from partynli.errors import StoreError
from partynli.items import Dataset
from partynli.labels import ERROR
from partynli.records import LabelDistribution, Participant, Task
from partynli.store import JudgmentRow, Run

ASKED_IN_VAIN = -1
"""Code of a trial that was asked and holds no valid answer: missing data, counted."""
NOT_ASKED = -2
"""Code of a trial that does not exist."""

Codes = npt.NDArray[np.int16]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """All answers of a run, as arrays.

    Attributes
    ----------
    labels
        The task's labels, K of them, in the order of every distribution.
    sets
        Spellings of the label sets that occur (``class_multi``), S of them.
    items
        Item uids, I of them, in the run's order.
    participants
        P participants, in the run's order.
    simple
        (P, T, I) index into `labels` of ``class_simple``; `ASKED_IN_VAIN` or `NOT_ASKED` where there is none.
    multi
        (P, T, I) index into `sets` of ``class_multi``; the same codes where there is none.
    groups
        Positions in `participants` of the members of each mix and experiment, by its name.
    synthetic
        Whether simulated participants take part.
    ordered
        Whether the labels are ordered as they stand.
    """

    labels: tuple[str, ...]
    sets: tuple[str, ...]
    items: tuple[str, ...]
    participants: tuple[Participant, ...]
    simple: Codes
    multi: Codes
    groups: Mapping[str, tuple[int, ...]]
    synthetic: bool
    ordered: bool = False

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the participants."""
        return tuple(one.name for one in self.participants)

    def on(self, uids: Sequence[str]) -> Answers:
        """The same answers on these items only, in this order; items that the run does not have are left out."""
        place = {uid: number for number, uid in enumerate(self.items)}
        kept = [place[uid] for uid in uids if uid in place]
        return replace(
            self,
            items=tuple(self.items[number] for number in kept),
            simple=self.simple[:, :, kept],
            multi=self.multi[:, :, kept],
        )

    def counts(self, members: Sequence[int], trial: int | None = None) -> Counts:
        """Valid answers by item and label, of some participants, in one trial (from 0) or in all.

        Returns
        -------
        numpy.ndarray
            (I, K) counts; all 0 where nobody answered validly.
        """
        codes = self.simple[list(members)] if trial is None else self.simple[list(members), trial : trial + 1]
        flat = codes.reshape(-1, len(self.items))
        return np.stack([(flat == label).sum(axis=0) for label in range(len(self.labels))], axis=-1)

    def asked(self, members: Sequence[int], trial: int | None = None) -> npt.NDArray[np.int64]:
        """(I,) answers asked for, the invalid ones included."""
        codes = self.simple[list(members)] if trial is None else self.simple[list(members), trial : trial + 1]
        return np.asarray((codes != NOT_ASKED).sum(axis=(0, 1)), dtype=np.int64)

    def distributions(self, members: Sequence[int], trial: int | None = None) -> list[LabelDistribution]:
        """The same counts as records, one per item."""
        rows = zip(self.items, self.counts(members, trial).tolist(), self.asked(members, trial).tolist(), strict=True)
        return [LabelDistribution(uid, self.labels, tuple(counts), asked) for uid, counts, asked in rows]


def load_answers(run: Run, task: Task) -> Answers:
    """Read a run's judgments into arrays.

    The table `judgment` must be up to date; see `partynli.derive.derive_judgments`.
    """
    participants = tuple(run.participants().values())
    items = tuple(run.item_uids())
    position = {one.id: number for number, one in enumerate(participants)}
    judged = run.judged([one.id for one in participants], items)
    numbers = np.frombuffer(judged.numbers, dtype=np.int64)
    sets = tuple(dict.fromkeys(multi for multi, _ in judged.labels if multi != ERROR))
    simple_of, multi_of = _label_codes(judged.labels, task.labels, sets)
    place, label = np.divmod(numbers, max(1, len(judged.labels)))
    place, trial = np.divmod(place, max(1, judged.n_trials))
    at = (place // max(1, len(items)), trial, place % max(1, len(items)))
    shape = (len(participants), judged.n_trials, len(items))
    simple_codes = np.full(shape, NOT_ASKED, dtype=np.int16)
    multi_codes = np.full(shape, NOT_ASKED, dtype=np.int16)
    simple_codes[at] = simple_of[label]
    multi_codes[at] = multi_of[label]
    return Answers(
        labels=task.labels,
        sets=sets,
        items=items,
        participants=participants,
        simple=simple_codes,
        multi=multi_codes,
        groups={name: tuple(sorted(position[one] for one in ids)) for name, ids in run.experiments().items()},
        synthetic=bool(run.manifest["synthetic"]),
        ordered=task.ordered,
    )


def with_judgments(answers: Answers, rows: Iterable[JudgmentRow], *, anew: bool = False) -> Answers:
    """The same answers and those of judgments that are not stored; a trial's first valid one stands.

    Parameters
    ----------
    answers
        Of the run.
    rows
        Judgments of the run's participants and items, in the order of the attempts.
    anew
        Whether the judgments that `answers` came from count no more, as those of an older reader.
    """
    person = {one.id: number for number, one in enumerate(answers.participants)}
    item = {uid: number for number, uid in enumerate(answers.items)}
    first: dict[tuple[int, int, int], tuple[str, str]] = {}
    for row in rows:
        cell = (person[row.participant], row.trial - 1, item[row.item])
        if first.get(cell, (ERROR, ERROR))[1] == ERROR:
            first[cell] = (row.class_multi, row.class_simple)
    pairs = sorted(set(first.values()))
    sets = tuple(dict.fromkeys((*answers.sets, *(multi for multi, _ in pairs if multi != ERROR))))
    codes = dict(zip(pairs, zip(*_label_codes(pairs, answers.labels, sets), strict=True), strict=True))
    n_trials = max([answers.simple.shape[1], *(trial + 1 for _, trial, _ in first)])
    simple = np.full((len(person), n_trials, len(item)), NOT_ASKED, dtype=np.int16)
    multi = simple.copy()
    if not anew:
        simple[:, : answers.simple.shape[1]], multi[:, : answers.multi.shape[1]] = answers.simple, answers.multi
    for cell, pair in first.items():
        if simple[cell] < 0:
            simple[cell], multi[cell] = codes[pair]
    return replace(answers, sets=sets, simple=simple, multi=multi)


def _label_codes(pairs: Sequence[tuple[str, str]], labels: Sequence[str], sets: Sequence[str]) -> tuple[Codes, Codes]:
    """Codes of the single label and of the label set of each pair."""
    single = {label: number for number, label in enumerate(labels)} | {ERROR: ASKED_IN_VAIN}
    several = {chosen: number for number, chosen in enumerate(sets)} | {ERROR: ASKED_IN_VAIN}
    if strange := [simple for _, simple in pairs if simple not in single]:
        raise StoreError(
            f"the run holds the label {strange[0][:40]!r}, which its task does not have ({', '.join(labels)})"
        )
    simple_codes = np.array([single[simple] for _, simple in pairs], dtype=np.int16)
    return simple_codes, np.array([several[multi] for multi, _ in pairs], dtype=np.int16)


def human_counts(dataset: Dataset, source: str, items: Sequence[str], n_labels: int) -> Counts:
    """What people chose, by item and label.

    Parameters
    ----------
    dataset
        Holds the people's answers.
    source
        Which people: ``livenli``, ``chaosnli``, ``mnli``.
    items
        Uids, I of them.

    Returns
    -------
    numpy.ndarray
        (I, n_labels) counts; all 0 for items that these people did not see.
    """
    known: Mapping[str, Any] = dataset.distributions.get(source, {})
    nobody = (0,) * n_labels
    return np.array([known.get(uid, nobody) for uid in items], dtype=np.int64).reshape(-1, n_labels)


def people_of(dataset: Dataset | None, answers: Answers) -> dict[str, Counts]:
    """People's votes on the answers' items, (items, K) by source; a source that knows none of them is left out."""
    if dataset is None:
        return {}
    labels = len(answers.labels)
    found = {source: human_counts(dataset, source, answers.items, labels) for source in dataset.distributions}
    return {source: counts for source, counts in found.items() if counts.any()}


def worker_codes(
    dataset: Dataset, items: Sequence[str], labels: Sequence[str], *, simple: bool = True
) -> tuple[tuple[str, ...], tuple[str, ...], Codes]:
    """People's answers worker by worker, where the dataset knows them.

    Returns
    -------
    tuple
        Workers, W of them; the labels (or, with ``simple=False``, the label sets) that the codes index; and (W, I)
        codes with `NOT_ASKED` where a worker did not see an item.
    """
    place = {uid: number for number, uid in enumerate(items)}
    workers = tuple(dict.fromkeys(one.worker for one in dataset.annotations))
    row = {worker: number for number, worker in enumerate(workers)}
    known: dict[str, int] = {label: number for number, label in enumerate(labels)} if simple else {}
    codes = np.full((len(workers), len(items)), NOT_ASKED, dtype=np.int16)
    for one in dataset.annotations:
        if one.uid in place:
            chosen = one.class_simple if simple else one.class_multi
            codes[row[one.worker], place[one.uid]] = known.setdefault(chosen, len(known))
    return workers, tuple(known), codes
