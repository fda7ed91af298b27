"""Which rows stand in which table: tables 2 and 5 of Kulmizev et al. (2026)."""

from __future__ import annotations

from partynli.analysis.groups import EVERYBODY
from partynli.analysis.scope import Row, Scope


def main_source(scope: Scope) -> str | None:
    """The human population that comes first; None where no people know these items."""
    return next(iter(scope.human), None)


def table_2(scope: Scope) -> list[Row]:
    """People, the best single participant, mixes, experiments, and rows that know nothing."""
    best = single(scope)
    return [*scope.human.values(), *([best] if best else []), *_groups(scope, "mix", "experiment"), *nulls(scope)]


def table_5(scope: Scope) -> list[Row]:
    """People, mixes, and every participant with several trials."""
    return [*[*scope.human.values()][:1], *_groups(scope, "mix", "participant")]


def single(scope: Scope) -> Row | None:
    """The participant closest to people by the Jensen-Shannon distance, which stands for SINGLE in table 2.

    Chosen among several as the best, it flatters single models. Without human data, there is none.
    """
    source = main_source(scope)
    if source is None:
        return None
    rows = [one for one in scope.groups if one.kind == "participant" and source in one.against]
    known = [
        one for one in rows if one.against[source]["js_distance"].value == one.against[source]["js_distance"].value
    ]
    return min(known, key=lambda one: (one.against[source]["js_distance"].value, one.name), default=None)


def nulls(scope: Scope) -> list[Row]:
    """Rows of models that know nothing of the items."""
    return [one for one in scope.groups if one.kind == "null"]


def twin_of_everybody(scope: Scope) -> str | None:
    """A mix that has all participants of the run, so that the row `run` would say the same again."""
    everybody = next((one for one in scope.groups if one.name == EVERYBODY and one.kind == "mix"), None)
    if everybody is None:
        return None
    others = (one for one in scope.groups if one.kind in ("mix", "experiment") and one.name != EVERYBODY)
    return next((one.name for one in others if set(one.participants) == set(everybody.participants)), None)


def _groups(scope: Scope, *kinds: str) -> list[Row]:
    hidden = EVERYBODY if twin_of_everybody(scope) else None
    return [one for kind in kinds for one in scope.groups if one.kind == kind and (kind != "mix" or one.name != hidden)]
