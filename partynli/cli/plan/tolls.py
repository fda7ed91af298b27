"""What a study takes in money and time, told from its pilot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from partynli.analysis.curve import dollars_spent
from partynli.analysis.planner.designs import Bottleneck, Toll
from partynli.cli.reading import Reading
from partynli.records import Participant
from partynli.sampling.limits import MARGIN
from partynli.store import Run, Tally


def toll_of(path: Path, members: Sequence[Participant], reading: Reading) -> Toll:
    """What an answer of the pilot took: money, and time under the limits that were kept, or at the pilot's own rate."""
    tallies = [reading.tallies.get(one.id, Tally()) for one in members]
    begun = sum(tally.begun for tally in tallies)
    spent = [dollars_spent(tally) for tally in tallies]
    known = [
        dollars / tally.begun
        for dollars, tally in zip(spent, tallies, strict=True)
        if dollars is not None and tally.begun
    ]
    dollars = sum(known) / len(known) if len(known) == len(members) else None
    tokens = sum(tally.tokens_in + tally.tokens_out for tally in tallies) / begun if begun else 0.0
    limits = [
        Bottleneck(60 * amount / (cap * MARGIN), share)
        for rpm, tpm, share in _limits(members, reading.manifest.get("caps", {}))
        for amount, cap in ((1.0, rpm), (tokens, tpm))
        if cap
    ]
    return Toll(dollars, tuple(limits) if limits else _measured(path, members, begun))


def _limits(
    members: Sequence[Participant], caps: Mapping[str, Mapping[str, float | None]]
) -> list[tuple[float | None, float | None, float | None]]:
    """Calls and tokens a minute, and whom they bind: a provider's participants together, and each lane by itself."""
    n = len(members)
    providers = [one.provider for one in members]
    lanes = [one.lane for one in members]
    found: list[tuple[float | None, float | None, float | None]] = [
        (cap["rpm"], cap["tpm"], providers.count(name) / n) for name, cap in caps.items() if name in providers
    ]
    for one in members:
        shared = lanes.count(one.lane)
        found.append((one.rpm, one.tpm, shared / n if shared > 1 else None))
    return found


def _measured(path: Path, members: Sequence[Participant], begun: int) -> tuple[Bottleneck, ...]:
    if begun < 2:
        return ()
    with Run.open(path) as run:
        return (Bottleneck(run.trials.busy_s([one.id for one in members]) / begun, 1.0),)
