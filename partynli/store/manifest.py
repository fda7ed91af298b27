"""``manifest.json``: what a run was planned to be; written last, so that a folder with one is a whole run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from partynli.errors import RunError
from partynli.hashing import canonical_json
from partynli.store.database import plain


class _Manifest(dict[str, Any]):
    """A manifest that says on one line what it lacks."""

    def __missing__(self, key: str) -> Any:
        raise RunError(f"the run's manifest.json lacks {key!r}: it is damaged, or another version wrote it")


_PLAN: Mapping[str, type] = {
    "participants": list,
    "trials": list,
    "items": str,
    "n_items": int,
    "groups": dict,
    "reasks": int,
}
"""What every plan says, and of which type."""


def read_manifest(path: Path) -> Mapping[str, Any]:
    """The manifest of a run, which is a run only with one."""
    file = path / "manifest.json"
    try:
        manifest = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path} is no run: it has no manifest.json") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{file} cannot be read: {plain(error)}; nothing was changed") from None
    plan = manifest.get("plan") if isinstance(manifest, dict) else None
    if not isinstance(plan, dict):
        raise RunError(f"{file} is damaged: it holds no plan; nothing was changed")
    if damaged := [key for key, kind in _PLAN.items() if not isinstance(plan.get(key), kind)]:
        raise RunError(f"{file} is damaged: its plan lacks {', '.join(damaged)}; nothing was changed")
    if len(plan["trials"]) != len(plan["participants"]):
        raise RunError(f"{file} is damaged: its plan has not one number of trials a participant; nothing was changed")
    rule = plan.get("until_ci")
    if rule is not None and not (isinstance(rule, dict) and _is_width(rule.get("width"))):
        raise RunError(f"{file} is damaged: its plan's until_ci has no width above 0; nothing was changed")
    return _Manifest(manifest)


def _is_width(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write a run's manifest, whole or not at all."""
    scratch = path / "manifest.json.part"
    with scratch.open("w", encoding="utf-8") as file:
        file.write(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())  # else a power cut could leave an empty manifest beside stored answers
    scratch.replace(path / "manifest.json")


_READ_BY = ("labels", "set_labels", "collapse_to", "fields", "highlights", "answer")
"""What of a task decides how its answers are read; a plan names the task and its prompts only."""


def comparable_plans(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The plans of two manifests, with what both tell of how answers are read; earlier versions told less."""
    tasks = [dict(one.get("task") or {}) for one in (old, new)]
    told = [key for key in _READ_BY if all(key in task for task in tasks)]
    return [
        {**one["plan"], **{key: json.loads(canonical_json(task[key])) for key in told}}
        for one, task in zip((old, new), tasks, strict=True)
    ]


def asks_more(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Keys of a plan by which the new one asks for all that the old one does, and for more."""
    more = []
    fewer, trials = old["trials"], new["trials"]
    if len(fewer) == len(trials) and fewer != trials and all(map(int.__le__, fewer, trials)):
        more.append("trials")
    wide, narrow = old.get("until_ci"), new.get("until_ci")
    if wide and narrow and narrow["width"] < wide["width"]:
        more.append("until_ci")
    return more
