"""An export back from the Hugging Face Hub: its manifest, and what the manifest names, all of one commit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from partynli.errors import InputError
from partynli.publish.hub.connection import Connection, Patience, connected
from partynli.publish.hub.target import MAIN, check_repo_id
from partynli.publish.tables.folder import MANIFEST, is_data_file

_LARGEST_MANIFEST = 256 * 2**20
_PIECE = 2**20


def fetch(repo_id: str, revision: str | None, into: Path, *, patience: Patience = Patience()) -> Path:  # noqa: B008
    """Download an export.

    Parameters
    ----------
    revision
        Branch or commit; None for the main branch.
    into
        Folder to write into, which is made where it is not there.

    Returns
    -------
    `into`. Whether the files are what the manifest says is for `Export.verify`.

    Raises
    ------
    InputError
        There is no such dataset or revision, it is no export of partynli, or names files that no export has.
    PartyNLIError
        The Hub cannot be reached, or failed too often.
    """
    check_repo_id(repo_id)
    about = f"{repo_id}@{revision}" if revision else repo_id
    with connected(patience) as hub:
        info = hub.attempt(lambda: hub.api.dataset_info(repo_id, revision=revision or MAIN), about)
        commit = info.sha or ""
        if MANIFEST not in {one.rfilename for one in info.siblings or ()}:
            raise InputError(f"{about} is no export of partynli: it has no {MANIFEST}")
        _download(hub, repo_id, commit, MANIFEST, into, _LARGEST_MANIFEST)
        for name, size in _named(about, (into / MANIFEST).read_bytes()).items():
            _download(hub, repo_id, commit, name, into, size)
    return into


def _named(about: str, manifest: bytes) -> Mapping[str, int]:
    """Names and sizes of the files of data."""
    try:
        files = json.loads(manifest)["files"]
        sizes = {str(name): int(one["bytes"]) for name, one in files.items()}
    except (ValueError, OverflowError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{about} is no export of partynli: its {MANIFEST} cannot be read") from None
    for name in sizes:
        if not is_data_file(name):
            raise InputError(f"{about} is no export of partynli: its {MANIFEST} names {name[:80]!r}")
    return sizes


def _download(hub: Connection, repo_id: str, commit: str, name: str, into: Path, largest: int) -> None:
    path = into / name

    def write() -> None:
        n_bytes = 0
        with hub.file(repo_id, commit, name) as response, path.open("wb") as file:
            for piece in response.iter_bytes(_PIECE):
                n_bytes += len(piece)
                if n_bytes > largest:
                    raise InputError(
                        f"{repo_id}@{commit}: {name} is larger than the {largest:,} bytes that it may have"
                    )
                file.write(piece)

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path.parent} cannot be made: {error.strerror or error}") from None
    hub.attempt(write, f"{repo_id}@{commit[:8]}, {name}")
