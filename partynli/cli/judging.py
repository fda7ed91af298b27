"""The part of ``partynli reasons`` that asks a participant to code: a run of its own, the validation sample first."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from partynli.cli.manifests import caps_of, make_manifest
from partynli.cli.options import new_run
from partynli.cli.output import console, safe, shown
from partynli.cli.preflight import ask_first, check_prices, print_estimate
from partynli.cli.running import run_to_the_end
from partynli.errors import MissingKeysError
from partynli.records import Item, Task
from partynli.registry import load_registry
from partynli.sampling.preflight import missing
from partynli.sampling.settings import Settings
from partynli.store import Run
from partynli.studies.reasons.judging import codes_of, is_done, judge_plan

_MAX_NAME = 100


@dataclass(frozen=True)
class Terms:
    """Who judges, and on what terms it is asked."""

    judge: str
    """A participant of the registry."""
    run_name: str | None
    """Name of the run of its answers; by default made of the studied run's and the judge's."""
    max_cost: float | None
    dry_run: bool
    yes: bool
    registry_path: Path | None
    runs_path: Path | None


@dataclass(frozen=True)
class Answered:
    """What a judge answered."""

    exit_code: int
    """Above 0 where it did not answer everything, or nothing was asked: then nothing may be counted."""
    category: Mapping[str, str]
    """By name of the explanation."""
    judge: str
    run: str
    synthetic: bool


def ask_judge(
    terms: Terms,
    task: Task,
    sample: Sequence[Item],
    rest: Sequence[Item],
    studied: str,
    is_enough: Callable[[Mapping[str, str]], bool],
) -> Answered | None:
    """Have explanations coded: first the sample, and the rest if the judge's codes of the sample are good enough.

    Parameters
    ----------
    terms
        Who is asked, and how.
    task
        What is asked.
    sample, rest
        Explanations as items.
    studied
        The run whose explanations they are.
    is_enough
        Tells whether to go on, from the codes of the sample.

    Returns
    -------
    Answered or None
        None where nothing was to be sent (``--dry-run``).
    """
    registry, found, registry_hash = load_registry(terms.registry_path)
    plan = judge_plan(task, registry.participant(terms.judge), [*sample, *rest], studied)
    (judge,) = plan.participants
    caps = caps_of(registry)
    lacking = missing(plan.participants, os.environ)
    if terms.dry_run:
        print_estimate(plan, caps, lacking)
        return None
    check_prices(plan, {}, terms.max_cost)
    path = new_run(terms.run_name or run_name(studied, judge.name), terms.runs_path)
    if not (path / "manifest.json").exists():
        _see_keys(lacking)
        ask_first(plan, caps, {}, asked=not terms.yes and terms.max_cost is None)
    settings = Settings(caps=caps, max_cost=terms.max_cost)
    first = replace(plan, items=list(sample), n_items=len(sample))
    manifest = make_manifest(path.name, plan, registry_hash, shown(found), caps)
    code = 0
    with Run.begin(path, manifest, plan.participants, plan.items, plan.groups) as run:
        for part in (first, plan):
            if not is_done(part, run):
                _see_keys(lacking)
                console.print(f"run [bold]{safe(run.name)}[/bold]: {len(part):,} explanations to code", soft_wrap=True)
                code = run_to_the_end(part, run, settings)
            if code or not is_enough(codes_of(run)):
                break
        return Answered(code, codes_of(run), judge.name, run.name, plan.synthetic)


def run_name(studied: str, judge: str) -> str:
    """Name of the run of a judge's answers.

    >>> run_name("pilot", "m@temperature=0.5")
    'pilot-reasons-m-temperature-0.5'
    """
    return re.sub(r"[^A-Za-z0-9._+-]", "-", f"{studied}-reasons-{judge}")[:_MAX_NAME]


def _see_keys(lacking: Mapping[str, str]) -> None:
    if lacking:
        raise MissingKeysError("; ".join(f"{name}: {why}" for name, why in lacking.items()) + ". Set what is missing")
