"""Which participants live in one worker, and what that worker asks of the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from partynli.records import Participant
from partynli.sampling.plan import Plan
from partynli.sampling.settings import ProviderCaps


class Resources(NamedTuple):
    """What a cluster has."""

    cpus: int
    """Of all machines together."""
    gpus: int
    """Of the machine that has most."""


class Placement(NamedTuple):
    """One worker."""

    name: str
    participants: tuple[Participant, ...]
    num_cpus: float
    num_gpus: float


def place(
    plan: Plan, caps: Mapping[str, ProviderCaps], skip: Mapping[str, str], resources: Resources
) -> list[Placement]:
    """Spread the lanes of a plan over workers.

    Whatever a limit or a budget counts lives in one worker, ``api``, whose engine keeps both exactly as on one machine.
    A model that gets a server of its own is a worker with its GPUs. The other lanes are dealt out to as many workers as
    there are CPUs.

    Parameters
    ----------
    plan
        Who is asked.
    caps
        Limits of each provider, by its name.
    skip
        Participants that are not asked now, by name.
    resources
        What the cluster has. Where no machine has a GPU, none is asked for.
    """
    counted: list[Participant] = []
    served: list[Placement] = []
    free: list[tuple[Participant, ...]] = []
    for lane in plan.lanes().values():
        asked = tuple(one for one in lane if one.name not in skip)
        if not asked:
            continue
        if any(_is_counted(one, caps) for one in asked):
            counted += asked
        elif asked[0].needs_server:
            served.append(Placement(asked[0].model, asked, 0.0, _gpus(asked[0]) if resources.gpus else 0.0))
        elif asked[0].synthetic:  # nothing is shared by those that are simulated, not even a server
            free += [(one,) for one in asked]
        else:
            free.append(asked)
    n_workers = min(len(free), max(1, resources.cpus))
    dealt = [sum(free[number::n_workers], ()) for number in range(n_workers)]
    api = [Placement("api", tuple(counted), 0.0, 0.0)] if counted else []
    return [*api, *served, *(Placement(f"free {n}", those, 1.0, 0.0) for n, those in enumerate(dealt, start=1))]


def _is_counted(one: Participant, caps: Mapping[str, ProviderCaps]) -> bool:
    """Whether a limit or a budget is to hold over more than the participant's own lane."""
    cap = caps.get(one.provider, ProviderCaps())
    costs = one.price is not None and (one.price.input > 0 or one.price.output > 0)
    limited = any(limit is not None for limit in (one.rpm, one.tpm, cap.rpm, cap.tpm, cap.concurrency))
    return costs or limited or one.api_key_env is not None


def _gpus(one: Participant) -> float:
    """GPUs of a server: a share of one where several models are to lie side by side."""
    split, share = one.serving.tensor_parallel or 1, one.serving.gpu_memory or 1.0
    return share if split == 1 else float(split)
