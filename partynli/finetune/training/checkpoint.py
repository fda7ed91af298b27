"""Checkpoints: all that a training needs to go on as if it had never stopped, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from partynli.errors import InputError, StoreError
from partynli.finetune.folders import CHECKPOINT


@dataclass
class State:
    """Where a training stands. The data's order and the learning rate follow from seed and step."""

    step: int = 0
    loss_sum: float = 0.0
    """Of the steps since the last evaluation."""
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    """The best weights so far, in the processor's memory."""
    ran_on: list[str] = field(default_factory=list)
    """Devices and precisions, in the order in which they were first used."""


def save(folder: Path, state: State, parts: dict[str, Any]) -> None:
    """Keep a state and the state of `parts` (model, optimizer, scaler) with torch's random numbers.

    Raises
    ------
    StoreError
        The disk does not take it. The checkpoint before stays as it was.
    """
    content = {
        **vars(state),
        "parts": {name: part.state_dict() for name, part in parts.items()},
        "rng": torch.get_rng_state(),
        "rng_gpu": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    half = folder / f"{CHECKPOINT}.half"
    try:
        with half.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        half.replace(folder / CHECKPOINT)
    except (OSError, RuntimeError) as error:  # torch makes its own of a full disk
        with contextlib.suppress(OSError):
            half.unlink()
        why = " ".join(str(error).split())[:120]
        raise StoreError(f"the checkpoint cannot be written to {folder}: {why}") from None


def load(folder: Path, parts: dict[str, Any]) -> State:
    """The state that was kept, put back into `parts`; a new one where nothing was kept.

    Raises
    ------
    InputError
        The checkpoint is damaged.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return State()
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(content["parts"][name])
        torch.set_rng_state(content["rng"])
        if torch.cuda.is_available() and len(content["rng_gpu"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(content["rng_gpu"])
        return State(
            content["step"], content["loss_sum"], content["history"], content["best"], content.get("ran_on", [])
        )
    except Exception as error:  # a damaged file fails in many ways
        why = " ".join(str(error).split())[:120]
        raise InputError(f"{path} cannot be gone on from ({why}); delete it to begin anew") from None
