"""``report --items-out``: the items where models miss people, as a table that a spreadsheet opens without harm."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from partynli.analysis.surprises import Surprise
from partynli.spreadsheets import spreadsheet_safe


def items_csv(
    surprises: Sequence[Surprise],
    labels: Sequence[str],
    texts: Mapping[str, Mapping[str, str]],
    *,
    run: str,
    synthetic: bool,
    ordered: bool = False,
) -> str:
    """The items as CSV text.

    Parameters
    ----------
    surprises
        The items, each once for every group and human population that it stands out for.
    labels
        In the order of the votes.
    texts
        Texts by uid and field.
    run, synthetic
        Stand in every row, so that a row keeps saying where it comes from.
    ordered
        Whether the labels are ordered, so that there is a Wasserstein distance.
    """
    fields = list(dict.fromkeys(field for one in texts.values() for field in one))
    heads = ["run", "synthetic", "group", "human", "uid", "q_value", "p_value", "js_distance", "js_low", "js_high"]
    heads += [
        *(["wasserstein"] if ordered else []),
        "human_label",
        "model_label",
        *(f"human_{label}" for label in labels),
    ]
    heads += [*(f"model_{label}" for label in labels), *fields]
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(map(spreadsheet_safe, heads))
    mark = "SYNTHETIC" if synthetic else "no"
    for one in surprises:
        numbers = [one.q_value, one.p_value, one.distance, one.distance_low, one.distance_high]
        numbers += [one.moved] if ordered and one.moved is not None else []
        cells = [run, mark, one.group, one.source, one.uid, *(f"{x:.6g}" for x in numbers)]
        cells += [one.human_label, one.model_label, *map(str, one.human), *map(str, one.model)]
        cells += [texts.get(one.uid, {}).get(field, "") for field in fields]
        table.writerow(map(spreadsheet_safe, cells))
    return out.getvalue()
