"""Items to annotate: datasets by name, or a file of the user's. One file a dataset, imported when it is chosen."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from partynli.errors import ItemsError, unknown_name
from partynli.items.base import Dataset, ItemSource, ItemsSummary, check_items
from partynli.items.table import SUFFIXES, load_table

DATASETS: Mapping[str, tuple[str, str]] = {
    # name -> (module with a function `load()`, one line of help)
    "demo": ("partynli.items.demo", "24 premise and hypothesis pairs of partynli's own, nothing to download"),
    "livenli": (
        "partynli.items.livenli",
        "122 NLI items with 1,405 human answers (Jiang et al. 2023); downloaded once",
    ),
    "varierr341": (
        "partynli.items.varierr341",
        "341 NLI items with label counts of ChaosNLI, MNLI and VariErr (Chen et al. 2024); downloaded once",
    ),
    "varierr": (
        "partynli.items.varierr",
        "498 NLI items, four annotators' labels and explanations (Weber-Genzel et al. 2024); downloaded once",
    ),
    "anli": ("partynli.items.anli", "3,200 NLI items of ANLI's three test sets (Nie et al. 2020); downloaded once"),
}


def load_dataset(
    name_or_path: str, fields: Sequence[str] = ("premise", "hypothesis"), labels: Sequence[str] | None = None
) -> Dataset:
    """Load a dataset by its name, or a JSONL, CSV or parquet file by its path.

    Parameters
    ----------
    name_or_path
        A name in `DATASETS`, or a path. A name comes first: write ``./demo`` for a file of that name.
    fields
        Names of the texts that every item must have (``Task.fields``).
    labels
        The task's labels (``Task.labels``), for people's counts; `partynli.labels.LABELS` if None.

    Raises
    ------
    ItemsError
        The name is unknown, the data cannot be had, or it lacks one of the texts. What is wrong inside a user's file
        is found when it is gone through: see `check_items`.

    Examples
    --------
    >>> check_items(load_dataset("demo").items).n
    24
    """
    if name_or_path not in DATASETS:
        if not _is_path(name_or_path):
            hint = f"a file of your own ends in {', '.join(SUFFIXES)}"
            raise ItemsError(f"{unknown_name('dataset', name_or_path, DATASETS)} ({hint})")
        return load_table(Path(name_or_path), fields, labels)
    dataset: Dataset = import_module(DATASETS[name_or_path][0]).load()
    if labels is not None:
        dataset = dataset.asked_for(labels)
    given = next(iter(dataset.items)).texts
    if lacking := [field for field in fields if field not in given]:
        raise ItemsError(
            f"dataset {name_or_path!r} has the texts {', '.join(given)} and lacks {', '.join(lacking)}, "
            "which the task asks for; choose other items or another task"
        )
    return dataset


def _is_path(given: str) -> bool:
    return given.lower().endswith(SUFFIXES) or "/" in given or os.sep in given or bool(given and os.path.exists(given))


__all__ = ["DATASETS", "Dataset", "ItemSource", "ItemsSummary", "check_items", "load_dataset"]
