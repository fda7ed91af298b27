"""What a coder's categories are worth: its agreement with the people who coded LiveNLI's explanations for LiTEx."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from partynli.items import Dataset
from partynli.items.litex_codes import Codes, squeezed
from partynli.metrics import bootstrap, cohen_kappa, confusion_table, f1_by_label, percentile_interval
from partynli.studies.reasons.material import Explanation

ENOUGH = 0.6
"""Least kappa of a coder whose counts are shown without a word of force: where Landis and Koch (1977) let *substantial*
agreement begin."""
LEAST = 30
"""Fewer explanations that both coded are no validation."""
DRAWS = 2000
_LEAST_ITEMS = 10
"""Resamples of fewer items are too much alike for an interval."""

_NONE = -1
_STREAM = 5
"""Keeps these draws apart from others of the same seed."""

Key = tuple[str, str]
"""Item and worker."""


@dataclass(frozen=True)
class Reference:
    """Whole explanations of LiveNLI's workers, with the one category that LiTEx's coders gave each.

    Explanations that LiTEx cut into parts, left without a category or gave several are not in it, but counted.
    """

    explanations: tuple[Explanation, ...]
    category: Mapping[Key, str]
    texts: Mapping[str, Mapping[str, str]]
    """Texts of the items, by uid."""
    n_left_out: int

    def sample(self, n: int, seed: int) -> tuple[Explanation, ...]:
        """Some of them at random; all where there are no more."""
        return tuple(Random(f"{seed}/validation").sample(self.explanations, min(n, len(self.explanations))))


@dataclass(frozen=True)
class Validation:
    """Agreement of a coder with LiTEx's.

    Attributes
    ----------
    labels
        K categories.
    confusion
        (K, K) explanations: LiTEx's category in the row, the coder's in the column.
    n_uncoded
        Explanations of the sample for which the coder has no valid category; they are in no figure.
    kappa, low, high
        Cohen's kappa and the bounds of its 95 % interval (bootstrap over items); NaN where undefined, the interval on
        fewer than ten items, too.
    f1
        (K,) by category; NaN for one that neither used.
    threshold
        Least kappa that is enough.
    """

    labels: tuple[str, ...]
    confusion: NDArray[np.int64]
    n_uncoded: int
    kappa: float
    low: float
    high: float
    f1: NDArray[np.float64]
    threshold: float

    @property
    def n(self) -> int:
        """Explanations that both coded."""
        return int(self.confusion.sum())

    @property
    def support(self) -> NDArray[np.int64]:
        """(K,) explanations to which LiTEx's coders gave each category."""
        return np.asarray(self.confusion.sum(1), dtype=np.int64)

    @property
    def is_measured(self) -> bool:
        """Whether both coded enough explanations to say anything."""
        return self.n >= LEAST

    @property
    def is_enough(self) -> bool:
        """Whether kappa is measured and reaches the threshold; an undefined one does not."""
        return self.is_measured and round(self.kappa, 9) >= self.threshold  # 0.6 is 0.5999999999999999 in some tables


def reference_of(dataset: Dataset, codes: Codes) -> Reference:
    """Put LiTEx's categories to the explanations of LiveNLI's workers, by the text."""
    explanations: list[Explanation] = []
    category: dict[Key, str] = {}
    for one in dataset.annotations:
        found = codes.get(one.uid, {}).get(squeezed(one.explanation), frozenset())
        if len(found) == 1:
            category[one.uid, one.worker] = next(iter(found))
            explanations.append(Explanation(one.uid, one.worker, True, 1, one.class_multi, one.explanation))
    return Reference(
        explanations=tuple(sorted(explanations, key=lambda one: one.name)),
        category=category,
        texts={item.uid: item.texts for item in dataset.items},
        n_left_out=len(dataset.annotations) - len(explanations),
    )


def validate(
    sample: Iterable[Explanation],
    coded: Mapping[str, str],
    reference: Reference,
    labels: Sequence[str],
    *,
    seed: int,
    threshold: float = ENOUGH,
) -> Validation:
    """Measure a coder against LiTEx.

    Parameters
    ----------
    sample
        Explanations of the reference, one or more.
    coded
        The coder's categories, by `Explanation.name`.
    reference
        LiTEx's categories.
    labels
        K categories.
    seed
        Of the bootstrap. It draws items, as explanations of one item are alike.
    threshold
        Least kappa that is enough.
    """
    code = {label: number for number, label in enumerate(labels)}
    theirs: dict[str, list[int]] = {}
    ours: dict[str, list[int]] = {}
    for one in sample:
        theirs.setdefault(one.uid, []).append(code[reference.category[one.uid, one.source]])
        ours.setdefault(one.uid, []).append(code[coded[one.name]] if one.name in coded else _NONE)
    tables = np.array([confusion_table(theirs[uid], ours[uid], len(labels)) for uid in sorted(theirs)])
    confusion = tables.sum(0)
    low, high = _interval(tables, seed)
    return Validation(
        labels=tuple(labels),
        confusion=confusion,
        n_uncoded=sum(codes.count(_NONE) for codes in ours.values()),
        kappa=float(cohen_kappa(confusion)),
        low=low,
        high=high,
        f1=f1_by_label(confusion),
        threshold=threshold,
    )


def _interval(tables: NDArray[np.int64], seed: int) -> tuple[float, float]:
    """Bounds for the kappa of (items, K, K) tables added up."""
    if len(tables) < _LEAST_ITEMS:
        return float("nan"), float("nan")
    rng = np.random.default_rng([seed, _STREAM])
    interval = percentile_interval(bootstrap(lambda drawn: cohen_kappa(drawn.sum(-3)), [tables], rng=rng, draws=DRAWS))
    return float(interval.low), float(interval.high)
