"""The 341 NLI items that ChaosNLI and VariErr share, with three populations' label counts.

Yixin Nie, Xiang Zhou and Mohit Bansal. 2020. What Can We Learn from Collective Human Opinions on Natural Language
Inference Data? https://arxiv.org/abs/2010.03532

Leon Weber-Genzel, Siyao Peng, Marie-Catherine de Marneffe and Barbara Plank. 2024. VariErr NLI: Separating Annotation
Error from Human Label Variation. https://arxiv.org/abs/2403.01931

Beiduo Chen, Xinpeng Wang, Siyao Peng, Robert Litschko, Anna Korhonen and Barbara Plank. 2024. "Seeing the Big through
the Small": Can LLMs Approximate Human Judgment Distributions on NLI from a Few Explanations?
https://arxiv.org/abs/2406.17600 (the file is of its repository)

The file gives items no names: `varierr-001` is the first of the file, `varierr-341` the last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from partynli.errors import ItemsError
from partynli.items.base import Dataset, ItemSource
from partynli.items.download import RemoteFile, fetch
from partynli.records import Item

FILES = (
    RemoteFile(
        url=(
            "https://raw.githubusercontent.com/mainlp/MJD-Estimator/a939ed0892c7007d946ba286e691dc797e3a8fb0/"
            "MJD-generator/NLI_explanations.json"
        ),
        path="chaosnli_varierr/nli_explanations.jsonl",
        sha256="3ce41d45810ea9c58e29317fb1a4d29c19f922d8f71bfa80dc2a1ba257961d98",
        size=230_667,
    ),
)
CHAOS_VOTES = 100
"""People who judged each item of ChaosNLI; the file gives their shares."""


def load() -> Dataset:
    """Load the 341 items from ``PARTYNLI_DATA``, the cache, or their public home.

    The distributions are those of ChaosNLI (100 people an item), of MNLI (5) and of VariErr's first round (4), all of
    every item. The file's order (entailment, neutral, contradiction) is that of the labels true, either, false.

    There are no annotations: the file lists VariErr's explanations by label and does not say who wrote which, so that
    no two of them can be ascribed to one person.

    Raises
    ------
    ItemsError
        The file cannot be had, or is not the expected one.
    """
    rows = {
        f"varierr-{number:03}": json.loads(line)
        for number, line in enumerate(fetch(FILES[0]).decode().splitlines(), start=1)
    }
    items = [Item(uid, {name: row[name] for name in ("premise", "hypothesis")}) for uid, row in rows.items()]
    note = "counts of 100, 5 and 4 people an item; who gave which label is not published here"
    return Dataset(
        name="varierr341",
        items=ItemSource.of(items, "varierr341", note),
        distributions={
            "chaosnli": {uid: _chaos(uid, row) for uid, row in rows.items()},
            "mnli": {uid: tuple(row["mnli labels"][1]) for uid, row in rows.items()},
            "varierr": {uid: tuple(row["varierr labels"]) for uid, row in rows.items()},
        },
        licence="Apache-2.0 (the repository); texts are MNLI's",
        source="https://github.com/mainlp/MJD-Estimator",
        note=note,
    )


def _chaos(uid: str, row: Mapping[str, Any]) -> tuple[int, ...]:
    """Votes from their shares, which the file gives to two decimals."""
    counts = tuple(round(CHAOS_VOTES * share) for share in row["chaos probs"])
    if sum(counts) != CHAOS_VOTES:
        raise ItemsError(f"{FILES[0].path}: the shares of {uid} are no shares of {CHAOS_VOTES} votes")
    return counts
