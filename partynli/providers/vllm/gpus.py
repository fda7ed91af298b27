"""The GPUs of this machine, and how many of them a model needs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from partynli.errors import ProviderError
from partynli.records import Participant

DEFAULT_SHARE = 0.9
"""Share of a GPU's memory that a server takes where the registry does not say; vLLM's own default."""
_FOR_WEIGHTS = 0.85
"""Share of a server's memory that weights may take; the rest holds the calls in flight."""
_CPU = "cpu"
_BYTES = (("float32", 4.0), ("8", 1.0), ("4", 0.6), ("awq", 0.6), ("gptq", 0.6))
"""Bytes of a parameter, by what the name of a type or quantisation contains; 2 otherwise."""


@dataclass(frozen=True, slots=True)
class GPU:
    """One GPU, or the machine itself where it has none."""

    name: str
    """Number or UUID, as ``CUDA_VISIBLE_DEVICES`` takes it."""
    memory: float | None
    """Bytes; None where they are not known."""

    @property
    def is_cpu(self) -> bool:
        """Whether it stands for a machine without GPUs."""
        return self.name == _CPU


def find_gpus(environ: Mapping[str, str]) -> tuple[GPU, ...]:
    """The NVIDIA GPUs that ``CUDA_VISIBLE_DEVICES`` leaves; where there are none, the machine itself as one."""
    memory = _nvidia_smi()
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        names = [name for name in memory if name.isdigit()]
    else:
        names = [name.strip() for name in visible.split(",")] if memory else []
    found = tuple(GPU(name, memory.get(name)) for name in names if name not in ("", "-1", "none"))
    return found or (GPU(_CPU, _main_memory()),)


def share_of(participant: Participant) -> float:
    """Share of each GPU's memory that a participant's server takes."""
    return participant.serving.gpu_memory or DEFAULT_SHARE


def gpus_for(participant: Participant, gpus: Sequence[GPU]) -> int:
    """How many GPUs a model is split over: as many as declared, or the fewest, in powers of two, that hold its weights.

    Raises
    ------
    ProviderError
        It does not fit on this machine.
    """
    weights = weights_of(participant)
    declared = participant.serving.tensor_parallel
    smallest = min((gpu.memory for gpu in gpus if gpu.memory is not None), default=None)
    size = "" if weights is None else f" of about {weights / 1e9:.0f} GB"
    if gpus[0].is_cpu:
        if weights is not None and smallest is not None and weights > smallest:
            raise _too_large(f"its weights{size} need a GPU, or more than {smallest / 1e9:.0f} GB of memory")
        return 1
    if declared is not None and declared > len(gpus):
        raise _too_large(f"it is to be split over {declared} GPUs, and {len(gpus)} can be used here")
    if declared is not None or weights is None or smallest is None:
        return declared or 1
    for n in (1 << power for power in range(len(gpus).bit_length())):
        if weights / n <= smallest * share_of(participant) * _FOR_WEIGHTS:
            return n
    raise _too_large(
        f"its weights{size} do not fit on {len(gpus)} GPUs, of whose {smallest / 1e9:.0f} GB each it may take "
        f"{share_of(participant):.0%}"
    )


def weights_of(participant: Participant) -> float | None:
    """Bytes that a model's weights take, or None where its size is not declared.

    >>> weights_of(Participant("m", "vllm", "m", {}, size_b=8))
    16000000000.0
    """
    if participant.size_b is None:
        return None
    kind = f"{participant.quantization or ''} {participant.dtype or ''}".lower().replace("bfloat16", "")
    return participant.size_b * 1e9 * next((size for name, size in _BYTES if name in kind), 2.0)


def _too_large(why: str) -> ProviderError:
    return ProviderError(f"{why}; serve it elsewhere and give its api_base, or leave it out", "fatal_participant")


def _nvidia_smi() -> dict[str, float]:
    """Bytes of memory by number and by UUID of the GPU, in their order; empty where there is no NVIDIA GPU."""
    query = ["nvidia-smi", "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return {}
    found: dict[str, float] = {}
    for line in told.splitlines():
        number, uuid, mebibytes = (cell.strip() for cell in line.split(","))
        found[number] = found[uuid] = float(mebibytes) * 2**20
    return found


def _main_memory() -> float:
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
