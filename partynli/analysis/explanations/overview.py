"""Everything that a report says of explanations, in one record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from partynli.analysis.explanations.medians import mean_of, median_of
from partynli.analysis.explanations.populations import Kind, populations_of
from partynli.analysis.explanations.texts import By, Explanations
from partynli.analysis.explanations.variation import RAREFIED_TO, Values, Variation, variations_of
from partynli.analysis.figures import Figure
from partynli.analysis.groups import Group
from partynli.analysis.resamples import Resamples
from partynli.embed import Vectors
from partynli.embed.tags import can_tag


@dataclass(frozen=True)
class ExplanationRow:
    """One population's figures: medians with 95 % intervals over items. See `Variation` for their meaning."""

    name: str
    kind: Kind
    n_texts: int
    n_empty: int
    n_sets: int
    n_single: int
    lexical: Mapping[str, Figure]
    vectors: Mapping[str, Mapping[str, Figure]]
    """By embedder."""
    overlap: Mapping[str, Figure]
    """Means over items, as Chen et al. give them; the others are medians."""


@dataclass(frozen=True)
class ExplanationReport:
    """Explanation variation on one set of items."""

    scope: str
    n_items: int
    by: By
    size: int
    """Explanations to which sets are brought down in the rarefied figures."""
    embedders: tuple[str, ...]
    rows: tuple[ExplanationRow, ...]
    notes: tuple[str, ...]


def explanation_report(
    scope: str,
    explanations: Explanations,
    groups: Sequence[Group],
    vectors: Mapping[str, Vectors],
    *,
    by: By = "class_simple",
    draws: int = 1000,
    seed: int = 0,
    notes: Sequence[str] = (),
) -> ExplanationReport:
    """Compute all figures on one set of items.

    Parameters
    ----------
    scope
        Name of the set of items.
    explanations
        Of these items, from `read_explanations`.
    groups
        Mixes and experiments, from `partynli.analysis.groups.groups_of`.
    vectors
        By embedder, from `embedded`.
    by
        What `explanations` were read with.
    draws, seed
        Of the intervals and of the rarefied figures.
    notes
        What was found on the way here, one line each.
    """
    resamples = Resamples.draw(len(explanations.items), seed=seed, scope=scope, draws=draws, shuffles=0)
    values = variations_of(explanations, populations_of(explanations, groups), vectors, seed=seed)
    said = list(notes)
    if explanations.n_unsplit:
        said.append(
            f"{explanations.n_unsplit:,} explanations of several labels are left out: it is not known what in them is "
            "about which label"
        )
    if not can_tag():
        said.append("overlap of part-of-speech tags is left out: it needs pip install 'partynli[pos]'")
    return ExplanationReport(
        scope=scope,
        n_items=len(explanations.items),
        by=by,
        size=RAREFIED_TO,
        embedders=tuple(vectors),
        rows=tuple(_row(one, resamples) for one in values),
        notes=tuple(said),
    )


def _row(one: Variation, resamples: Resamples) -> ExplanationRow:
    def medians(values: Mapping[str, Values]) -> dict[str, Figure]:
        return {name: median_of(value, resamples) for name, value in values.items()}

    return ExplanationRow(
        name=one.name,
        kind=one.kind,
        n_texts=one.n_texts,
        n_empty=one.n_empty,
        n_sets=one.n_sets,
        n_single=one.n_single,
        lexical=medians({**one.lexical, **one.sets}),
        vectors={name: medians(values) for name, values in one.vectors.items()},
        overlap={name: mean_of(value, resamples) for name, value in one.overlap.items()},
    )
