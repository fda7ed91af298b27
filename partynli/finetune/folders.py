"""Folders of trainings: which job one is of, and what a starting model holds."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from partynli.errors import InputError, PlanMismatchError, StoreError
from partynli.finetune.outcome import NAME, read_outcome

KEPT_JOB = "job.json"
"""The job of a training that is under way."""
CHECKPOINT = "checkpoint.pt"
_COMMIT = "commit"
"""Beside the job in `KEPT_JOB`: seen when the model was loaded, and no part of the job."""
_LOADED = (".safetensors", ".bin", ".json", ".txt", ".model")


@cache  # a checkpoint has hundreds of megabytes, and a table asks for every cell
def mark_of(start: str, revision: str | None = None) -> str:
    """Name what a starting model holds: the hash of a folder's files, or NAME or NAME@REVISION at the hub as given.

    Raises
    ------
    InputError
        It looks like a folder and is none, or is one and a revision is given.
    """
    folder = Path(start).expanduser()
    if not folder.is_dir():
        if start.startswith((".", "~", os.sep)):
            raise InputError(f"{start} is no folder; give that of a model, or its name on the hub")
        return start if revision is None else f"{start}@{revision}"
    if revision is not None:
        raise InputError(f"{start} is a folder, which has no revision {revision!r}; revisions are of models at the hub")
    seen = hashlib.sha256()
    for file in sorted(path for path in folder.iterdir() if path.suffix in _LOADED and path.name != NAME):
        seen.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as content:
            seen.update(hashlib.file_digest(content, "sha256").digest())
    return f"sha256:{seen.hexdigest()}"


def name_of(model: str) -> str:
    """A model's name on the hub, or that of its folder: where the folder lies is nobody's business."""
    folder = Path(model).expanduser()
    return folder.resolve().name if folder.is_dir() else model


def base_of(init_from: str) -> str | None:
    """The pretrained model that a checkpoint of partynli's was made from; None where nothing says so."""
    outcome = read_outcome(Path(init_from).expanduser())
    return None if outcome is None else outcome.job["model"]


def check_job(folder: Path, identity: Mapping[str, Any]) -> bool:
    """Whether a folder holds this job already, finished or not.

    Raises
    ------
    PlanMismatchError
        It holds another one, or files of another kind.
    """
    there = _job_in(folder)
    if there is None:
        strange = next((path.name for path in folder.iterdir() if not path.name.startswith(".")), None)
        if strange and not (folder / KEPT_JOB).exists():
            raise PlanMismatchError(f"{folder} holds {strange!r}, which is of no training; choose another --out")
        return False
    if differences := list(_differences(there, identity)):
        raise PlanMismatchError(f"{folder} is of another training: {'; '.join(differences[:3])}; choose another --out")
    return True


def _job_in(folder: Path) -> Mapping[str, Any] | None:
    """The job that a folder has something of: what it gave, or a checkpoint."""
    if (outcome := read_outcome(folder)) is not None:
        return outcome.job
    kept = _kept_job(folder)
    return None if kept is None else {key: value for key, value in kept.items() if key != _COMMIT}


def _kept_job(folder: Path) -> dict[str, Any] | None:
    if not (folder / CHECKPOINT).exists():
        return None
    try:
        stored = json.loads((folder / KEPT_JOB).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / KEPT_JOB} cannot be read ({error}); move the folder away") from None
    if not isinstance(stored, dict):
        raise InputError(f"{folder / KEPT_JOB} holds no job; move the folder away")
    return stored


def keep_job(folder: Path, identity: Mapping[str, Any], commit: str | None) -> None:
    """Write which job is under way, and from which commit at the hub it started; raises as `write_text` does."""
    write_text(folder / KEPT_JOB, {**identity, _COMMIT: commit})


def kept_commit(folder: Path) -> str | None:
    """The commit at the hub that the job under way started from; None where nothing is kept, or it was a folder."""
    return (_kept_job(folder) or {}).get(_COMMIT)


def _differences(there: Any, here: Any, name: str = "") -> Iterator[str]:
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        for key in sorted({*there, *here}):
            yield from _differences(there.get(key), here.get(key), f"{name}.{key}".lstrip("."))
    elif there != here:
        yield f"{name} is {_short(there)} there and {_short(here)} here"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def write_text(path: Path, content: str | Mapping[str, Any]) -> None:
    """Write a text, or JSON, whole or not at all.

    Raises
    ------
    StoreError
        The disk does not take it.
    """
    text = content if isinstance(content, str) else json.dumps(content, indent=1, ensure_ascii=False)
    half = path.with_name(f".{path.name}.half")
    try:
        with half.open("w", encoding="utf-8", newline="\n") as file:
            file.write(f"{text.rstrip()}\n")
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from None
