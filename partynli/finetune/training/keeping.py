"""What is kept of a training: the model, its predictions, and ``training.json``, written in that order."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from partynli.errors import RunLockedError, StoreError
from partynli.finetune.card import CARD, card
from partynli.finetune.folders import CHECKPOINT, KEPT_JOB, write_text
from partynli.finetune.outcome import NAME, Outcome
from partynli.finetune.softlabels import SoftLabels
from partynli.finetune.training.network import Network
from partynli.hashing import file_hash
from partynli.labels import LABELS

PREDICTIONS = "predictions.jsonl"
"""What every figure is computed from, together with the soft labels: the model's distribution of each pair."""
_HALF_CHECKPOINT = f"{CHECKPOINT}.half"
_NO_MODEL = (NAME, PREDICTIONS, CARD, KEPT_JOB, CHECKPOINT, _HALF_CHECKPOINT)


class Predictions(NamedTuple):
    """A set, and the distributions that a model gives its pairs."""

    labels: SoftLabels
    q: NDArray[np.float64]
    """(pairs, 3), in the order of `LABELS`."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only process that trains into a folder.

    Raises
    ------
    RunLockedError
        Another one does.
    StoreError
        The folder cannot be made or opened.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise StoreError(f"{folder} cannot be used: {error.strerror or error}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise RunLockedError(f"another process trains into {folder}; wait for it, or choose another folder") from None
    finally:
        os.close(handle)


def keep(folder: Path, outcome: Outcome, predictions: Mapping[str, Predictions], network: Network | None) -> Outcome:
    """Write what came out; the model only where one is given. Returned is the outcome as it is stored.

    Raises
    ------
    StoreError
        The disk does not take it; the same command goes on from the last checkpoint.
    """
    if network is not None:
        try:
            network.save(folder)
            outcome = replace(outcome, files=_hashes(folder))
        except (OSError, SafetensorError) as error:
            why = " ".join(str(error).split())[:120]
            raise StoreError(
                f"the model cannot be written to {folder} ({why}); make room, and give the same command again"
            ) from None
        write_text(folder / CARD, card(outcome))
    write_text(folder / PREDICTIONS, "\n".join(_lines(predictions)))
    write_text(folder / NAME, outcome.to_json())
    tidy(folder)
    return outcome


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return {path.name: file_hash(path) for path in files if path.name not in _NO_MODEL}


def _lines(predictions: Mapping[str, Predictions]) -> Iterator[str]:
    for name, (labels, q) in predictions.items():
        for item, row in zip(labels.items, q.tolist(), strict=True):
            yield json.dumps({"set": name, "uid": item.uid, "labels": LABELS, "q": row})


def tidy(folder: Path) -> None:
    """Take away what a finished training needs no more."""
    for name in (CHECKPOINT, _HALF_CHECKPOINT, KEPT_JOB):
        (folder / name).unlink(missing_ok=True)
