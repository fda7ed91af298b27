"""The figures that a card shows, of the many in the configuration ``metrics``."""

from __future__ import annotations

from collections.abc import Mapping

from partynli.analysis.groups import EVERYBODY
from partynli.markdown import table
from partynli.publish.card.described import Described
from partynli.publish.tables.formats import Row

_KINDS = ("human", "mix", "experiment")
_OWN = ("entropy", "alpha")
_AGAINST = ("js_distance", "kendall_tau")
_Key = tuple[str, str, str]
"""Scope, group and kind."""


def headline(about: Described) -> str:
    """Tables of the groups' own figures and of those against people; empty where there are none."""
    own: dict[_Key, dict[str, Row]] = {}
    against: dict[tuple[_Key, str], dict[str, Row]] = {}
    for row in about.export.rows("metrics"):
        key = (row["scope"], row["group"], row["kind"])
        if row["kind"] not in _KINDS or (row["group"] == EVERYBODY and _is_named(about)):
            continue
        if row["figure"] in _OWN:
            own.setdefault(key, {})[row["figure"]] = row
        elif row["figure"] in _AGAINST:
            against.setdefault((key, row["against"]), {})[row["figure"]] = row
    if not own:
        return ""
    parts = [
        "## Headline figures",
        "Of mixes, experiments and people; all others, with intervals, are in the configuration `metrics`. The entropy "
        "of labels (nats) grows with the number of votes an item; Krippendorff's alpha is between the group's raters. "
        "n is the number of items that a figure rests on; a dash is an undefined figure.",
        table(
            ["items", "group", "kind", "entropy", "sd", "n", "alpha", "n"],
            [
                [*key, *_cells(row.get("entropy"), "value", "sd", "n"), *_cells(row.get("alpha"), "value", "n")]
                for key, row in own.items()
            ],
            numbers=range(3, 8),
        ),
    ]
    if against:
        parts += [
            "Against people: the Jensen-Shannon distance (lower is nearer) and Kendall's tau between the items' "
            "entropies. The ceiling is what people in the group's place would have, chance what shuffled items have.",
            table(
                ["items", "group", "people", "JS", "ceiling", "chance", "n", "tau", "ceiling", "n"],
                [
                    [
                        *key[:2],
                        people,
                        *_cells(row.get("js_distance"), "value", "ceiling", "null", "n"),
                        *_cells(row.get("kendall_tau"), "value", "ceiling", "n"),
                    ]
                    for (key, people), row in against.items()
                ],
                numbers=range(3, 10),
            ),
        ]
    return "\n\n".join(parts)


def _is_named(about: Described) -> bool:
    """Whether a mix or experiment of the plan has all participants, so that `EVERYBODY` would be there twice."""
    everybody = set(about.plan["participants"])
    return any(set(members) == everybody for members in about.plan["groups"].values())


def _cells(row: Mapping[str, float | None] | None, *names: str) -> list[str]:
    found = [None if row is None else row[name] for name in names]
    return ["–" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.3f}" for value in found]
