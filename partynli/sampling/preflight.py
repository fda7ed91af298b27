"""What a plan takes, worked out before anything is spent: keys, calls, tokens, money, time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from urllib.parse import urlsplit

from partynli.prompts import Renderer
from partynli.providers import lacking
from partynli.records import Participant
from partynli.sampling.budget import most_tokens_out, tokens_in
from partynli.sampling.limits import MARGIN
from partynli.sampling.plan import Plan
from partynli.sampling.settings import ProviderCaps

_SAMPLED_ITEMS = 2000


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one participant's share of a plan takes."""

    participant: Participant
    calls: int
    tokens_in: float
    """Expected input tokens of all calls, four bytes to a token."""
    tokens_out: float
    """Most output tokens of all calls, as far as the registry declares them."""
    cost: float | None
    """Dollars for these tokens, without re-asks; None where the price is unknown."""
    seconds: float
    """Least time under the limits of the participant's lane and provider; 0 where none is known."""


def missing(participants: Sequence[Participant], environ: Mapping[str, str]) -> dict[str, str]:
    """What participants lack before they can be asked, by name."""
    found = {one.name: lacking(one, environ) for one in participants}
    return {name: why for name, why in found.items() if why is not None}


def key_destinations(participants: Sequence[Participant]) -> dict[str, list[str]]:
    """Where each key is sent: hosts, by the name of its environment variable; said where it is sent unencrypted."""
    found: dict[str, dict[str, None]] = {}
    for one in participants:
        if one.api_key_env:
            found.setdefault(one.api_key_env, {})[_host(one)] = None
    return {name: list(hosts) for name, hosts in found.items()}


def _host(participant: Participant) -> str:
    if participant.api_base is None:
        return f"{participant.model.partition('/')[0]} (litellm knows the address)"
    parts = urlsplit(participant.api_base)
    is_open = parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "::1", "localhost")
    return parts.netloc.rpartition("@")[2] + (" UNENCRYPTED" if is_open else "")


def estimate(plan: Plan, caps: Mapping[str, ProviderCaps]) -> list[Estimate]:
    """Work out a plan, participant by participant.

    Input is counted on the first 2,000 items. The time of a participant is that of its whole lane: participants of one
    lane wait for each other.
    """
    renderer = Renderer(plan.task)
    sample = [tokens_in(renderer.render(item)) for item in islice(plan.items, _SAMPLED_ITEMS)]
    mean_in = sum(sample) / max(1, len(sample))
    calls = {one.id: plan.trials[one.id] * plan.n_items for one in plan.participants}
    tokens = {one.id: calls[one.id] * (mean_in + most_tokens_out(one)) for one in plan.participants}
    seconds: dict[str, float] = {}
    for lane in plan.lanes().values():
        total, load = sum(calls[one.id] for one in lane), sum(tokens[one.id] for one in lane)
        for one in lane:
            seconds[one.id] = max(_time(total, one.rpm), _time(load, one.tpm))
    for provider, cap in caps.items():
        members = [one for one in plan.participants if one.provider == provider]
        total, load = sum(calls[one.id] for one in members), sum(tokens[one.id] for one in members)
        for one in members:
            seconds[one.id] = max(seconds[one.id], _time(total, cap.rpm), _time(load, cap.tpm))
    return [
        Estimate(
            participant=one,
            calls=calls[one.id],
            tokens_in=calls[one.id] * mean_in,
            tokens_out=float(calls[one.id] * most_tokens_out(one)),
            cost=one.price.cost(calls[one.id] * mean_in, calls[one.id] * most_tokens_out(one)) if one.price else None,
            seconds=seconds[one.id],
        )
        for one in plan.participants
    ]


def _time(amount: float, per_minute: float | None) -> float:
    return 60.0 * amount / (per_minute * MARGIN) if per_minute else 0.0
