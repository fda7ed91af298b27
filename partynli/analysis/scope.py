"""One scope of a report: the rows of people, of groups of participants, and of models that know nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from partynli.aggregate import Answers
from partynli.analysis.ceilings import Ceilings
from partynli.analysis.figures import (
    Counts,
    Figure,
    Figures,
    Rows,
    alphas_of,
    averaged,
    consistency_of,
    distance_correlations,
    figures_against,
    own_figures,
    with_ceilings,
)
from partynli.analysis.groups import Group, Kind, trials_of, votes_of
from partynli.analysis.resamples import Floats, Resamples, generator
from partynli.items import Dataset
from partynli.metrics import Convention, item_mean, null_constant, null_marginal, null_uniform, probabilities

CEILING_DRAWS = 300


@dataclass(frozen=True)
class Row:
    """One row of the tables and all of its figures."""

    name: str
    kind: Kind
    participants: tuple[str, ...]
    trials: int
    size: int
    """Median number of valid answers an item and trial (an item, for a single participant), rounded down."""
    n_valid: int
    n_asked: int
    label_shares: Mapping[str, float]
    """Shares of the valid answers of all trials; NaN without any."""
    figures: Mapping[str, Figure]
    against: Mapping[str, Mapping[str, Figure]]
    """By human population."""


@dataclass(frozen=True)
class Scope:
    """All rows over one set of items."""

    name: str
    items: tuple[str, ...]
    human: Mapping[str, Row]
    groups: tuple[Row, ...]
    ceilings: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    """How the ceilings against each human population were drawn, by the row's size."""
    notes: tuple[str, ...] = ()

    def row(self, name: str) -> Row:
        """The group of this name."""
        return next(one for one in self.groups if one.name == name)


@dataclass(frozen=True)
class Choices:
    """What a report is computed with."""

    convention: Convention
    draws: int = 1000
    seed: int = 0


def scopes_of(answers: Answers, dataset: Dataset | None) -> dict[str, tuple[str, ...]]:
    """The sets of items that figures are given for, by name.

    ``common50``: the run's items that all sources of LiveNLI know (LiveNLI, ChaosNLI and MNLI: 50 of its 122 items).
    ``all122``: the run's items that LiveNLI knows. ``all``: every item of the run, where LiveNLI does not know them
    all. A scope without items is left out, but for ``all``.
    """
    if dataset is None or dataset.name != "livenli":
        return {"all": answers.items}
    sources = list(dataset.distributions.values())
    common = tuple(uid for uid in answers.items if all(uid in source for source in sources))
    known = tuple(uid for uid in answers.items if uid in dataset.distributions["livenli"])
    scopes = {name: uids for name, uids in (("common50", common), ("all122", known)) if uids}
    return scopes if len(known) == len(answers.items) and scopes else scopes | {"all": answers.items}


def people_in(answers: Answers, known: Mapping[str, Counts]) -> tuple[dict[str, Counts], list[str]]:
    """The human populations that a scope is compared with.

    Where one of them knows all items, those that do not are left out: a figure on fewer items would stand in one row
    with figures on all.
    """
    n = len(answers.items)
    covered = {name: int((counts.sum(-1) > 0).sum()) for name, counts in known.items()}
    whole = [name for name, k in covered.items() if k == n]
    kept = whole or [name for name, k in covered.items() if k]
    notes = [f"{name} knows {k} of {n} items and is left out here" for name, k in covered.items() if name not in kept]
    notes += [f"{name} knows {covered[name]} of {n} items: its figures are of those" for name in kept if not whole]
    return {name: known[name] for name in kept}, notes


def scope_of(
    name: str, answers: Answers, groups: Sequence[Group], known: Mapping[str, Counts], choices: Choices
) -> Scope:
    """Compute one scope.

    Parameters
    ----------
    name
        The scope's.
    answers
        On the scope's items only.
    groups
        Rows to make.
    known
        (I, K) votes of each human population on these items.
    choices
        Convention, draws and seed.
    """
    people, notes = people_in(answers, known)
    resamples = Resamples.draw(len(answers.items), seed=choices.seed, scope=name, draws=choices.draws, shuffles=999)
    votes = [votes_of(answers, group) for group in groups]
    nulls = _null_rows(answers.labels, len(answers.items), people)
    rows = Rows.of([*(counts[None] for counts in people.values()), *votes], list(nulls.values()))
    sizes = rows.sizes()
    crowd = known.get("chaosnli")
    if crowd is not None and not (crowd.sum(-1) > 0).all():
        crowd = None
    ceilings = {
        source: Ceilings(
            source,
            counts,
            crowd,
            "chaosnli",
            answers.labels,
            choices.convention,
            choices.seed,
            CEILING_DRAWS,
            answers.ordered,
        )
        for source, counts in people.items()
    }
    of_group = range(len(people), len(people) + len(groups))
    wanted = sorted({sizes[row] for row in of_group} - {0})
    drawn = {source: {size: one.at(size) for size in wanted} for source, one in ceilings.items()}

    only_groups = [size if row in of_group else 0 for row, size in enumerate(sizes)]
    own = own_figures(rows, resamples, choices.convention, ordered=answers.ordered)
    own = with_ceilings(own, only_groups, next(iter(drawn.values()), {}))
    against: dict[str, Figures] = {}
    for source, counts in people.items():
        found = figures_against(rows, counts, answers.labels, resamples, choices.convention, ordered=answers.ordered)
        if choices.convention.name.startswith("chen"):
            shuffles = partial(generator, choices.seed, "dcor", name, source)
            found["distance_correlation"] = distance_correlations(rows, counts, choices.convention, shuffles)
        against[source] = with_ceilings(found, only_groups, drawn[source])
    extra = _raters(answers, groups, resamples)

    def row(number: int, name: str, kind: Kind, group: Group | None, counts: Counts) -> Row:
        figures = {figure: column[number] for figure, column in own.items()}
        others = {
            source: {figure: column[number] for figure, column in found.items()}
            for source, found in against.items()
            if not (kind == "human" and source == name)
        }
        if group is not None:
            figures |= extra[group.name, group.kind]
        return Row(
            name=name,
            kind=kind,
            participants=tuple(answers.names[one] for one in group.members) if group else (),
            trials=trials_of(answers, group.members) if group else 0,
            size=sizes[number],
            n_valid=int(counts.sum()),
            n_asked=int(answers.asked(group.members).sum()) if group else int(counts.sum()),
            label_shares=_shares(counts if kind != "null" else rows.q[rows.owner == number][0], answers.labels),
            figures=figures,
            against=others,
        )

    first_null = len(people) + len(groups)
    nothing = np.zeros((0, len(answers.labels)), dtype=np.int64)
    return Scope(
        name=name,
        items=answers.items,
        human={source: row(k, source, "human", None, counts) for k, (source, counts) in enumerate(people.items())},
        groups=(
            *(
                row(k, one.name, one.kind, one, answers.counts(one.members))
                for k, one in zip(of_group, groups, strict=True)
            ),
            *(row(first_null + k, title, "null", None, nothing) for k, title in enumerate(nulls)),
        ),
        ceilings={s: {size: one.scheme(size)[1] for size in wanted} for s, one in ceilings.items()},
        notes=tuple(notes),
    )


def _null_rows(labels: Sequence[str], n_items: int, people: Mapping[str, Counts]) -> dict[str, Floats]:
    """Distributions of models that know nothing of the items."""
    rows = {"uniform": null_uniform(n_items, len(labels))}
    rows |= {f"marginal of {name}": null_marginal(probabilities(counts)) for name, counts in [*people.items()][:1]}
    return rows | {f"always {label}": null_constant(n_items, len(labels), k) for k, label in enumerate(labels)}


def _shares(counts: Counts | Floats, labels: Sequence[str]) -> dict[str, float]:
    given = np.nansum(counts, axis=0)
    total = given.sum()
    return {label: float(given[k] / total) if total else float("nan") for k, label in enumerate(labels)}


def _raters(
    answers: Answers, groups: Sequence[Group], resamples: Resamples
) -> dict[tuple[str, Kind], dict[str, Figure]]:
    """Alpha by who the raters are, and consistency: of single participants, and averaged over those of a group."""
    members = sorted({one for group in groups for one in group.members if trials_of(answers, [one]) > 1})
    pooled = [answers.counts([one]) for one in members]
    place = {one: k for k, one in enumerate(members)}
    found: dict[tuple[str, Kind], dict[str, Figure]] = {}
    if members:
        within, within_samples = alphas_of(pooled, resamples)
        steady, steady_samples = consistency_of(pooled, resamples)
        ordinal, ordinal_samples = (
            alphas_of(pooled, resamples, ordinal=True) if answers.ordered else ([], within_samples)
        )
    together = [answers.counts(group.members) for group in groups]
    all_raters = alphas_of(together, resamples)[0] if together else []
    twice = np.array([counts.sum(-1) > 1 for counts in pooled])
    for group, everything in zip(groups, all_raters, strict=True):
        at = [place[one] for one in group.members if one in place]
        n = int(twice[at].any(axis=0).sum()) if at else 0
        always = float(item_mean([steady["share_consistent"][k].value for k in at])) if at else float("nan")
        figures = {
            "alpha_within": averaged([within[k] for k in at], within_samples[:, at], n) if at else Figure(),
            "alpha_pooled": everything if group.kind != "participant" else Figure(),
            "consistency": averaged([steady["consistency"][k] for k in at], steady_samples[:, at], n)
            if at
            else Figure(),
            "share_consistent": Figure(value=always, n=n),
        }
        if answers.ordered:
            within_ordinal = averaged([ordinal[k] for k in at], ordinal_samples[:, at], n) if at else Figure()
            figures["alpha_within_ordinal"] = within_ordinal
        found[group.name, group.kind] = figures
    return found
