"""What a study of reasons found: a record for those who print it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from partynli.studies.reasons.counting import ItemKinds
from partynli.studies.reasons.material import Explanation
from partynli.studies.reasons.validation import LEAST, Validation

OURS = (
    "Ours, and no reproduction: Kulmizev et al. (2026, section 5.2) coded explanations by hand with open categories; "
    "here every explanation has one of the eight categories of LiTEx (Hong et al. 2025)."
)


@dataclass(frozen=True)
class ReasonStudy:
    """Kinds of reasoning in a run's explanations, by one coder.

    Attributes
    ----------
    run, group
        Whose explanations: the run, and its models.
    people
        Who voted for the human labels, such as ``livenli``; None where nobody did.
    coder
        The judge's name or the file's.
    coder_run
        The run that holds the judge's answers; None for a file.
    synthetic
        Whether a simulation wrote or coded explanations.
    seed
        Of everything that is drawn.
    labels
        The run's labels.
    categories
        The eight.
    validation
        What the coder is worth; None where nothing it coded has a code of LiTEx.
    items
        Counts, None where they are held back since the validation failed.
    coded
        What was coded, in the order of items and sources, for the table of codes.
    category
        The coder's category by `Explanation.name`.
    notes
        What else a reader should know; untrusted.
    """

    run: str
    group: str
    people: str | None
    coder: str
    coder_run: str | None
    synthetic: bool
    seed: int
    labels: tuple[str, ...]
    categories: tuple[str, ...]
    validation: Validation | None
    items: tuple[ItemKinds, ...] | None
    coded: tuple[Explanation, ...]
    category: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """One line on what the counts are worth."""
        found = self.validation
        if found is None:
            return "NOT VALIDATED: none of these codes is of an explanation that LiTEx's coders coded"
        kappa = f"kappa {_shown(found.kappa)} [{_shown(found.low)}, {_shown(found.high)}] against LiTEx's coders"
        if not found.is_measured:
            return f"NOT VALIDATED: {found.n:,} explanations are too few, {LEAST} are wanted ({kappa})"
        word = "validated" if found.is_enough else "VALIDATION FAILED"
        return f"{word}: {kappa} on {found.n:,} explanations, {found.threshold:g} is wanted"

    @property
    def is_good_enough(self) -> bool:
        """Whether counts may be shown: a judge is validated; of a person's coding nothing speaks against it."""
        if self.validation is None or (self.coder_run is None and not self.validation.is_measured):
            return self.coder_run is None
        return self.validation.is_enough


def _shown(value: float) -> str:
    return "–" if value != value else f"{round(value, 3) + 0.0:.3f}"  # no minus before a zero
