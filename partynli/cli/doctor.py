"""``partynli doctor``: is everything there that a run needs?"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import click

from partynli.cli.options import prompts_option, registry_option, runs_option
from partynli.cli.output import console, counted, money, safe, shown
from partynli.errors import PartyNLIError, ProviderError
from partynli.prompts import load_task
from partynli.providers import provider_for
from partynli.records import Participant, Prompt, Request
from partynli.registry import load_registry
from partynli.sampling.budget import cost_of
from partynli.sampling.preflight import missing
from partynli.store import is_remote, runs_dir

_PROBE = Prompt(({"role": "user", "content": "Reply with the word OK."},), {})
_WAIT_S = 30.0


@click.command("doctor")
@click.option("--mix", metavar="NAME", help="Check the participants of this mix; by default all.")
@click.option("--no-probe", is_flag=True, help="Send nothing.")
@registry_option
@prompts_option
@runs_option
def command(
    mix: str | None, no_probe: bool, registry_path: Path | None, prompts_path: Path | None, runs_path: Path | None
) -> int:
    """Check registry, prompts, keys and servers, with one tiny call to each provider whose key is there.

    \b
    Examples:
      partynli doctor
      partynli doctor --mix hi --no-probe
    """
    registry, path, _ = load_registry(registry_path)
    _good(
        f"registry {shown(path)}: {counted(len(registry.participants), 'participant')}, "
        f"{counted(len(registry.mixes), 'mix', 'mixes')}"
    )
    task = load_task("livenli", prompts_path)
    _good(f"task {task.name}: system prompt {task.hashes['system'][:19]}, user prompt {task.hashes['user'][:19]}")
    healthy = _check_runs(runs_dir(runs_path))
    chosen = list(registry.mix(mix)) if mix else list(registry.participants.values())
    lacking = missing(chosen, os.environ)
    for provider in dict.fromkeys(one.provider for one in chosen):
        members = [one for one in chosen if one.provider == provider]
        ready = [one for one in members if one.name not in lacking]
        ready.sort(key=lambda one: registry.retired(one.name) is not None)
        if not ready:
            _bad(f"{provider}: {lacking[members[0].name]} ({counted(len(members), 'participant')})")
        elif ready[0].needs_server:
            _good(f"{provider}: vLLM is here, and a server is started for each model when it is needed")
        elif no_probe or ready[0].synthetic:
            _good(f"{provider}: {ready[0].api_key_env or 'no key needed'}{', set' if ready[0].api_key_env else ''}")
        else:
            healthy = asyncio.run(_probe(ready[0])) and healthy
    return 0 if healthy else 1


def _check_runs(folder: Path) -> bool:
    existing = next(parent for parent in (folder, *folder.resolve().parents) if parent.exists())
    if not os.access(existing, os.W_OK):
        _bad(f"runs are kept in {shown(folder)}, which cannot be written")
        return False
    note = ", a network file system: slower, without a write-ahead log" if is_remote(existing) else ""
    _good(f"runs are kept in {shown(folder)}{note}")
    return True


async def _probe(participant: Participant) -> bool:
    """One call whose answer is not kept."""
    where = f"{participant.provider} ({participant.name})"
    started = time.perf_counter()
    try:
        provider = provider_for(participant, os.environ)
        try:
            await provider.aopen()
            answer = await provider.generate(
                Request(participant, _PROBE, 1 if participant.seed else None), timeout=_WAIT_S
            )
        finally:
            await provider.aclose()
    except (ProviderError, PartyNLIError) as error:
        _bad(f"{where}: {error}")
        return False
    took = time.perf_counter() - started
    cost = cost_of(participant, answer.usage)
    said = "price unknown" if cost is None else money(cost)
    _good(f"{where}: {answer.served_model or participant.model} answered in {took:.1f} s, {said}")
    return True


def _good(text: str) -> None:
    console.print(f"[green]ok[/green]      {safe(text)}", soft_wrap=True)


def _bad(text: str) -> None:
    console.print(f"[yellow]missing[/yellow] {safe(text)}", soft_wrap=True)
