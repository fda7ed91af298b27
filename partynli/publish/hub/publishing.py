"""An exported folder, or a trained model, on the Hugging Face Hub: looked at first, then sent in one commit.

Nothing at the Hub changes but by that one commit, and only where the branch still is where it was when it was looked
at. Files that partynli did not write are left alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

from huggingface_hub import CommitOperationAdd, CommitOperationDelete
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.hf_api import DatasetInfo, ModelInfo, RepoFile

from partynli import __version__
from partynli.errors import PartyNLIError
from partynli.publish.hub.connection import Connection, Patience, StaleError, connected
from partynli.publish.hub.fetching import fetch
from partynli.publish.hub.target import CARD, CROISSANT, MAIN, Head, RepoTarget, check_repo_id, check_target
from partynli.publish.tables.folder import MANIFEST, read_manifest

__all__ = [
    "Head",
    "Patience",
    "Published",
    "RepoTarget",
    "StaleError",
    "check_repo_id",
    "fetch",
    "look",
    "publish",
    "send",
]

_PIECE = 2**20
_PATHS_A_REQUEST = 500
_NEEDED_FOR = "publishing"


@dataclass(frozen=True)
class Published:
    """What became of files that were to be sent."""

    url: str
    """Page of the repository, or of the pull request."""
    commit: str
    """The commit that holds it: to be cited, and to be fetched again by."""
    sent: tuple[str, ...] = ()
    """Paths that were new or had changed. With none of them and nothing deleted, no commit was made."""
    deleted: tuple[str, ...] = ()
    """Paths of the last export that are not in this one."""
    n_unchanged: int = 0
    """Files that were there already."""
    n_bytes: int = 0
    """Bytes of what was sent."""


class _Plan(NamedTuple):
    send: tuple[str, ...]
    delete: tuple[str, ...]


def look(target: RepoTarget, *, patience: Patience = Patience()) -> Head:  # noqa: B008  # it is frozen
    """See what a repository holds, before anything is made for it.

    Raises
    ------
    InputError
        There is no token, or it is not taken; or the target cannot be published to as it is, see `check_target`.
    PartyNLIError
        The Hub cannot be reached, or failed too often.
    """
    with connected(patience, kind=target.kind, needed_for=_NEEDED_FOR) as hub:
        head = _look(hub, target)
    check_target(target, head)
    return head


def publish(folder: Path, target: RepoTarget, head: Head, *, patience: Patience = Patience()) -> Published:  # noqa: B008
    """Send an exported folder, as far as the Hub does not have it yet, in one commit; see `send`.

    Parameters
    ----------
    folder
        An export, with its card; other files in it stay here.
    head
        What the repository held, from `look`.

    Raises
    ------
    InputError
        The folder is no export, or the Hub refuses.
    PartyNLIError
        As `send` raises it.
    """
    export = read_manifest(folder)
    names = (*export.files, *(name for name in (CARD, CROISSANT, MANIFEST) if (folder / name).is_file()))
    return send({name: folder / name for name in names}, target, head, title=export.name, patience=patience)


def send(
    files: Mapping[str, Path],
    target: RepoTarget,
    head: Head,
    *,
    title: str,
    patience: Patience = Patience(),  # noqa: B008
) -> Published:
    """Send files, as far as the Hub does not have them yet, in one commit.

    What was uploaded before a failure is not in the repository, and is not uploaded again.

    Parameters
    ----------
    files
        Path in the repository to the file here.
    head
        What the repository held, from `look`; the commit is made on top of that and nothing else.
    title
        What the history calls it.

    Raises
    ------
    InputError
        The Hub refuses.
    StaleError
        Somebody committed since `head` was looked at.
    PartyNLIError
        The Hub could not be reached, or failed too often: the repository is as it was. Or it took the commit and left
        files out.
    """
    check_target(target, head)
    with connected(patience, kind=target.kind, needed_for=_NEEDED_FOR) as hub:
        if head.commit is None:
            head = _created(hub, target)
        plan = _plan(hub, target, files, head)
        there = Published(_page(hub, target), head.commit or "", n_unchanged=len(files) - len(plan.send))
        if not any(plan):
            return there
        url, commit = _sent(hub, target, files, plan, head, f"{title}, by partynli {__version__}")
        missing = _plan(hub, target, files, replace(head, commit=commit)).send
    if missing:
        raise PartyNLIError(
            f"{target.repo_id}: commit {commit[:8]} was made, and lacks {', '.join(missing)}: see whether a .gitignore "
            f"in the {target.kind} leaves them out"
        )
    n_bytes = sum(files[name].stat().st_size for name in plan.send)
    return replace(there, url=url, commit=commit, sent=plan.send, deleted=plan.delete, n_bytes=n_bytes)


def _look(hub: Connection, target: RepoTarget) -> Head:
    def text(commit: str, name: str) -> str:
        with hub.file(target.repo_id, commit, name) as response:
            return response.read().decode("utf-8", "replace")

    def look() -> Head:
        try:
            revision = None if target.branch == MAIN else target.branch
            found = hub.api.repo_info(target.repo_id, revision=revision, repo_type=hub.kind)
            info = cast("DatasetInfo | ModelInfo", found)
        except RepositoryNotFoundError as error:
            if error.response.status_code != 404:
                raise
            return Head(None, kind=target.kind)
        commit, names = info.sha or "", frozenset(one.rfilename for one in info.siblings or ())
        manifest, card = (text(commit, name) if name in names else None for name in (target.manifest, CARD))
        return Head(commit, bool(info.private), names, manifest, card, target.kind)

    return hub.attempt(look, target.repo_id)


def _created(hub: Connection, target: RepoTarget) -> Head:
    private = True if target.private else None  # an organisation may have a default of its own
    hub.attempt(
        lambda: hub.api.create_repo(target.repo_id, repo_type=hub.kind, private=private, exist_ok=True),
        target.repo_id,
    )
    head = _look(hub, target)
    check_target(target, head)
    return head


def _plan(hub: Connection, target: RepoTarget, files: Mapping[str, Path], head: Head) -> _Plan:
    """What the repository lacks, told by the hashes that it gives of its files."""
    wanted = sorted({*files, *head.exported})
    there: dict[str, RepoFile] = {}
    for start in range(0, len(wanted), _PATHS_A_REQUEST):
        paths = wanted[start : start + _PATHS_A_REQUEST]
        ask = partial(hub.api.get_paths_info, target.repo_id, paths, revision=head.commit, repo_type=hub.kind)
        found = hub.attempt(ask, target.repo_id)
        there |= {one.path: one for one in found if isinstance(one, RepoFile)}
    changed = tuple(name for name, file in files.items() if name not in there or not _same(file, there[name]))
    return _Plan(changed, tuple(name for name in wanted if name in there and name not in files))


def _same(path: Path, there: RepoFile) -> bool:
    size = path.stat().st_size
    if size != there.size:
        return False
    if there.lfs is not None:
        return _digest(path, hashlib.sha256()) == there.lfs.sha256
    return _digest(path, hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)) == there.blob_id


def _digest(path: Path, into: Any) -> str:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            into.update(piece)
    return str(into.hexdigest())


def _sent(
    hub: Connection, target: RepoTarget, files: Mapping[str, Path], plan: _Plan, head: Head, message: str
) -> tuple[str, str]:
    """Page and name of the commit."""
    try:
        return hub.attempt(
            lambda: _commit(hub, target, files, plan, head, message),
            target.repo_id,
            repeat_uncertain=not target.create_pr,
        )
    except StaleError:
        # the answer to our own commit may have been lost: then the branch holds all that was to be sent
        now = _look(hub, target)
        sent = {name: files[name] for name in plan.send}
        if any(_plan(hub, target, sent, replace(now, manifest=None))) or now.names & {*plan.delete}:
            raise
        return _page(hub, target), now.commit or ""


def _commit(
    hub: Connection, target: RepoTarget, files: Mapping[str, Path], plan: _Plan, head: Head, message: str
) -> tuple[str, str]:
    with ExitStack() as opened:
        # open files go by LFS, which all hubs and mirrors speak; files by their paths would go by Xet, where the client
        # has it, without a look at whether the hub does
        contents = {name: opened.enter_context(files[name].open("rb")) for name in plan.send}
        done = hub.api.create_commit(
            target.repo_id,
            [
                *(CommitOperationAdd(name, file) for name, file in contents.items()),
                *(CommitOperationDelete(name, is_folder=False) for name in plan.delete),
            ],
            commit_message=message,
            repo_type=hub.kind,
            revision=target.branch,
            parent_commit=head.commit,
            create_pr=target.create_pr,
        )
    return done.pr_url or _page(hub, target), done.oid


def _page(hub: Connection, target: RepoTarget) -> str:
    return f"{hub.endpoint}/{target.path}"
