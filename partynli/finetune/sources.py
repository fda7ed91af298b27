"""Soft labels by name: public data that is downloaded at need, or a file of the user's."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from partynli.errors import ItemsError, unknown_name
from partynli.finetune.softlabels import SoftItem, SoftLabels, one_hot, read_soft_labels, soft_labels_of
from partynli.items import load_dataset
from partynli.items.anli import load_rounds
from partynli.items.download import RemoteFile, fetch
from partynli.labels import LABELS

_MJD = "https://raw.githubusercontent.com/mainlp/MJD-Estimator/a939ed0892c7007d946ba286e691dc797e3a8fb0/"
CHAOSNLI: Mapping[str, RemoteFile] = {
    "chaosnli-dev": RemoteFile(
        url=f"{_MJD}MJD-fine-tuning/data/chaos_dev_test/dev.json",
        path="chaosnli_soft/dev.jsonl",
        sha256="27f58ba66049e893313f27c2199164e49d4514fdc15c951e2f9bf900764b33fc",
        size=148_259,
    ),
    "chaosnli-test": RemoteFile(
        url=f"{_MJD}MJD-fine-tuning/data/chaos_dev_test/test.json",
        path="chaosnli_soft/test.jsonl",
        sha256="0b931367354a4c4de8a4144d772bc15006fdcc9abb4333d7d49e4f78f4cdf15f",
        size=144_490,
    ),
}
"""Items of ChaosNLI (its part from MNLI) that are not among the 341 of VariErr, in two halves."""
MNLI_FILE = RemoteFile(
    url="https://cims.nyu.edu/~sbowman/multinli/multinli_1.0.zip",
    path="mnli/multinli_1.0.zip",
    sha256="049f507b9e36b1fcb756cfd5aeb3b7a0cfcb84bf023793652987f7e7e0957822",
    size=226_850_426,
)
MNLI: Mapping[str, str] = {
    "mnli-train": "multinli_1.0/multinli_1.0_train.jsonl",
    "mnli-dev-matched": "multinli_1.0/multinli_1.0_dev_matched.jsonl",
    "mnli-dev-mismatched": "multinli_1.0/multinli_1.0_dev_mismatched.jsonl",
}
_SUFFIXES = (".jsonl", ".ndjson", ".json", ".parquet")


def load_source(given: str) -> SoftLabels:
    """Load soft labels by name (`SOURCES`), or from a file.

    Raises
    ------
    ItemsError
        The name is unknown, the data cannot be had, or the file is wrong.
    """
    if given in SOURCES:
        return SOURCES[given]()
    if not (given.lower().endswith(_SUFFIXES) or "/" in given):
        hint = f"a file of your own ends in {', '.join(_SUFFIXES)}"
        raise ItemsError(f"{unknown_name('soft labels', given, SOURCES)} ({hint})")
    return read_soft_labels(Path(given))


def load_anli(given: str) -> dict[str, SoftLabels]:
    """ANLI's test sets by round: ``anli`` downloads them at need, anything else is a file or a folder."""
    rounds = load_rounds(None if given == "anli" else Path(given))
    return {
        name: SoftLabels(
            f"anli {name}",
            tuple(
                SoftItem(item.uid, item.texts["premise"], item.texts["hypothesis"], one_hot(label))
                for item, label in labelled
            ),
        )
        for name, labelled in rounds.items()
    }


def _chaosnli(name: str) -> SoftLabels:
    return soft_labels_of(io.BytesIO(fetch(CHAOSNLI[name])), name, f"{name}.jsonl")


def _mnli(name: str) -> SoftLabels:
    try:
        with zipfile.ZipFile(io.BytesIO(fetch(MNLI_FILE))) as archive, archive.open(MNLI[name]) as file:
            return soft_labels_of(io.BytesIO(file.read()), name, f"{MNLI_FILE.path}:{MNLI[name]}")
    except (zipfile.BadZipFile, KeyError) as error:
        raise ItemsError(f"{MNLI_FILE.path} cannot be unpacked: {error}") from None


def _varierr(part: str) -> SoftLabels:
    """The 341 items with the label counts of one population; ``single`` is the label most of MNLI's five gave."""
    dataset = load_dataset("varierr341")
    counts = dataset.distributions["mnli" if part == "single" else part]
    return SoftLabels(
        f"varierr341:{part}",
        tuple(
            SoftItem(item.uid, item.texts["premise"], item.texts["hypothesis"], _shares(counts[item.uid], part))
            for item in dataset.items
        ),
    )


def _shares(votes: tuple[int, ...], part: str) -> tuple[float, ...]:
    if part == "single":
        return one_hot(LABELS[int(np.argmax(votes))])
    return tuple(n / sum(votes) for n in votes)


SOURCES: Mapping[str, Callable[[], SoftLabels]] = {
    **{name: partial(_chaosnli, name) for name in CHAOSNLI},
    **{f"varierr341:{part}": partial(_varierr, part) for part in ("chaosnli", "single", "mnli", "varierr")},
    **{name: partial(_mnli, name) for name in MNLI},
}
"""Name -> what loads it."""
