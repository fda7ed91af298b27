"""Where registry.yaml and prompts/ are found: as given, here, in the wheel, or at the repository's root."""

from __future__ import annotations

import re
from pathlib import Path

from partynli.errors import RegistryError, unknown_name

_PACKAGE = Path(__file__).resolve().parent
_PLACES = (Path(), _PACKAGE / "_data", _PACKAGE.parent)
"""Where they are looked for: here, in the wheel, at the repository's root."""
_TASK = re.compile(r"\w[\w.+-]{0,59}")


def find_registry(given: Path | None = None) -> Path:
    """Path of the registry: `given`, else ``./registry.yaml``, else the one that came with partynli."""
    if given is not None:
        if not given.exists():
            raise RegistryError(f"{given} is not there; `partynli init` copies the files that come with partynli")
        return given
    for place in _PLACES:
        if (place / "registry.yaml").exists():
            return place / "registry.yaml"
    raise RegistryError("registry.yaml was not found here nor among the files that come with partynli")


def find_task(name: str, given: Path | None = None) -> Path:
    """Folder of a task below the prompts folder `given`, else ``./prompts``, else those that came with partynli."""
    if not _TASK.fullmatch(name):
        raise RegistryError(
            f"task {name!r} cannot name a folder in prompts/: use letters, digits, dots, dashes and underscores, at "
            "most 60; --prompts names another folder of tasks"
        )
    folders = [given] if given is not None else [place / "prompts" for place in _PLACES]
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    known = {task.parent.name for folder in folders for task in folder.glob("*/task.yaml")}
    raise RegistryError(unknown_name("task", name, known, "prompts" if given is None else str(given)))


def shipped() -> list[Path]:
    """The registry and the prompts folder that came with partynli."""
    root = _PACKAGE / "_data" if (_PACKAGE / "_data").exists() else _PACKAGE.parent
    return [root / "registry.yaml", root / "prompts"]
