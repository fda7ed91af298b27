"""An exported folder: what it holds, by its own ``partynli.json``, checked before anything is believed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from partynli.errors import InputError
from partynli.publish.tables.formats import KINDS, TYPES, Column, Row, read_rows

FORMAT = 1
"""Version of the layout; a folder of a newer one is refused."""
MANIFEST = "partynli.json"
_MAX_MANIFEST = 256 * 1024 * 1024
_DATA_FILE = re.compile(
    r"data/(?P<config>[a-z]{1,40})/(?P<split>\w+(\.\w+)*)-\d{5}\.(?P<kind>parquet|csv|jsonl)", re.ASCII
)
_DAMAGED = "it is damaged, or no export of partynli; export the run again"


@dataclass(frozen=True)
class Export:
    """An exported folder."""

    path: Path
    manifest: Mapping[str, Any]
    """What ``partynli.json`` says."""

    @property
    def run(self) -> Mapping[str, Any]:
        """The manifest of the run, as it was exported."""
        found: Mapping[str, Any] = self.manifest["run"]
        return found

    @property
    def name(self) -> str:
        """Name of the run."""
        return str(self.run.get("run", ""))

    @property
    def kind(self) -> str:
        """``parquet``, ``csv`` or ``jsonl``."""
        return str(self.manifest["kind"])

    @property
    def split(self) -> str:
        """Name of the split."""
        return str(self.manifest["split"])

    @property
    def synthetic(self) -> bool:
        """Whether simulated participants took part."""
        return bool(self.run.get("synthetic"))

    @property
    def files(self) -> Mapping[str, Mapping[str, Any]]:
        """SHA-256, size, rows, configuration and split of every file of data, by its path in the folder."""
        found: Mapping[str, Mapping[str, Any]] = self.manifest["files"]
        return found

    @property
    def configs(self) -> Mapping[str, Mapping[str, Any]]:
        """Columns and number of rows, by configuration; one without rows is not there."""
        found: Mapping[str, Mapping[str, Any]] = self.manifest["configs"]
        return found

    @property
    def licences(self) -> Mapping[str, Mapping[str, Any]]:
        """What was decided about the items' texts (``items``) and people's answers (``human``), and why."""
        found: Mapping[str, Mapping[str, Any]] = self.manifest["licences"]
        return found

    @cached_property
    def participants(self) -> tuple[Row, ...]:
        """Rows of the configuration ``participants``."""
        return tuple(self.rows("participants"))

    def columns(self, config: str) -> tuple[Column, ...]:
        """Columns of a configuration, in their order."""
        return tuple(Column(one["name"], one["type"], one["description"]) for one in self.configs[config]["columns"])

    def rows(self, config: str) -> Iterator[Row]:
        """The rows of a configuration, read from disk as they are needed; none where it is not there.

        Raises
        ------
        InputError
            A file cannot be read, or does not hold what it should. The message names it.
        """
        if config not in self.configs:
            return
        columns = self.columns(config)
        for name, file in self.files.items():
            if file["config"] == config:
                yield from read_rows(self.path / name, columns, self.kind, int(file["rows"]))

    def verify(self) -> None:
        """See that every file is what was exported.

        Raises
        ------
        InputError
            A file was changed since.
        """
        for name, file in self.files.items():
            path = self.path / name
            try:
                with path.open("rb") as opened:
                    found = hashlib.file_digest(opened, "sha256").hexdigest()
            except OSError as error:
                raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
            if found != file["sha256"]:
                raise InputError(f"{path} was changed since it was exported: its SHA-256 differs; export again")


def read_manifest(path: Path) -> Export:
    """Open an exported folder.

    What its files are called, how large they are and which columns they have is checked; that nothing in them was
    changed is for `Export.verify`.

    Raises
    ------
    InputError
        The folder is no export, one of a newer partynli, damaged, or lacks a file.
    """
    file = path / MANIFEST
    try:
        if file.stat().st_size > _MAX_MANIFEST:
            raise InputError(f"{file} is larger than {_MAX_MANIFEST:,} bytes: {_DAMAGED}")
        manifest = json.loads(file.read_text("utf-8"))
        json.dumps(manifest, ensure_ascii=False, allow_nan=False).encode()  # nothing that could not be written again
    except FileNotFoundError:
        raise InputError(f"{path} is no export: it has no {MANIFEST}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file} cannot be read: {' '.join(str(error).split())[:200]}") from None
    _check(file, manifest)
    export = Export(path, manifest)
    for name, one in export.files.items():
        _check_file(path, name, one, manifest)
    return export


def _check(file: Path, manifest: Any) -> None:
    version = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(version, int):
        raise InputError(f"{file} says no format: {_DAMAGED}")
    if version > FORMAT:
        written = str(manifest.get("partynli"))[:20]
        raise InputError(f"{file} has format {version}, this partynli reads {FORMAT}; use partynli {written} or newer")
    wanted = {"run": dict, "split": str, "kind": str, "files": dict, "configs": dict, "licences": dict}
    for key, kind in wanted.items():
        if not isinstance(manifest.get(key), kind):
            raise InputError(f"{file} lacks {key!r}: {_DAMAGED}")
    if manifest["kind"] not in KINDS:
        raise InputError(f"{file}: kind {manifest['kind'][:40]!r} is none of {', '.join(KINDS)}")
    for name, config in manifest["configs"].items():
        columns = config.get("columns") if isinstance(config, dict) else None
        if not isinstance(columns, list) or not all(_is_column(one) for one in columns):
            raise InputError(f"{file}: the columns of {name[:40]!r} are not described: {_DAMAGED}")
    for name, decided in manifest["licences"].items():
        if not isinstance(decided, dict):
            raise InputError(f"{file}: the licence of {name[:40]!r} is not described: {_DAMAGED}")


def is_data_file(path: str) -> bool:
    """Whether a path is one that every export gives to its data, and no other: whatever a manifest says.

    >>> is_data_file("data/judgments/train-00000.parquet"), is_data_file("data/../../.bashrc")
    (True, False)
    """
    return _DATA_FILE.fullmatch(path) is not None


def _is_column(given: Any) -> bool:
    return (
        isinstance(given, dict)
        and all(isinstance(given.get(key), str) for key in ("name", "type", "description"))
        and given["type"] in TYPES
    )


def _check_file(folder: Path, name: str, one: Any, manifest: Mapping[str, Any]) -> None:
    said = _DATA_FILE.fullmatch(name)
    named = said and (said["config"], said["split"], said["kind"])
    if not isinstance(one, dict) or named != (one.get("config"), one.get("split"), manifest["kind"]):
        raise InputError(f"{folder / MANIFEST} names the file {name[:80]!r}, which no export has: {_DAMAGED}")
    numbers = (one.get("bytes"), one.get("rows"))
    if not all(isinstance(number, int) for number in numbers) or not isinstance(one.get("sha256"), str):
        raise InputError(f"{folder / MANIFEST} says no size of {name!r}: {_DAMAGED}")
    if one["config"] not in manifest["configs"]:
        raise InputError(f"{folder / MANIFEST} does not describe the configuration of {name!r}: {_DAMAGED}")
    path = folder / name
    if not path.is_file():
        raise InputError(f"{path} is missing; fetch or export the whole folder again")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{path} is a link that leaves the folder; copy the folder with what its links point to")
    if (size := path.stat().st_size) != one["bytes"]:
        raise InputError(f"{path} has {size:,} bytes and not {one['bytes']:,}: it was changed since it was exported")
