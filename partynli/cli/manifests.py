"""What a run's manifest says of its plan, its limits and where it was made."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from partynli import __version__
from partynli.registry import Registry
from partynli.sampling.plan import Plan
from partynli.sampling.settings import ProviderCaps


def caps_of(registry: Registry) -> dict[str, ProviderCaps]:
    """The limits that the registry sets for each provider."""
    return {
        name: ProviderCaps(entry.rpm, entry.tpm, entry.concurrency if entry.route not in ("vllm", "hf") else None)
        for name, entry in registry.providers.items()
    }


def make_manifest(
    name: str, plan: Plan, registry_hash: str, registry: str, caps: Mapping[str, ProviderCaps]
) -> dict[str, Any]:
    """Everything that says what a run was: what was planned, by which code, from which files."""
    used = {one.provider for one in plan.participants}
    return {
        "schema": 1,
        "run": name,
        **provenance(),
        "synthetic": plan.synthetic,
        "packages": {package: version(package) for package in ("aiohttp", "litellm", "pydantic")},
        "registry": {"file": registry, "hash": registry_hash},
        "plan": plan.describe(),
        "task": asdict(plan.task),
        "caps": {provider: asdict(cap) for provider, cap in caps.items() if provider in used},
    }


def provenance() -> dict[str, Any]:
    """When a run is made, and by which code."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "partynli": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": sys.platform,
    }


def _commit() -> str | None:
    """The commit of the code that runs, where it runs from a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        asked = subprocess.run(  # noqa: S603 - no input of anyone's in it
            ["git", "-C", str(root), "rev-parse", "HEAD"],  # noqa: S607 - whichever git is on the path
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return asked.stdout.strip()
