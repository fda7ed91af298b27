"""Repositories of the loopback hub: contents by their hashes, commits as history, branches that point at them.

A commit is made whole or not at all: what is wrong with it is found before a branch moves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

MAIN = "main"
Kind = Literal["dataset", "model"]
"""What a repository holds."""
LFS_SUFFIXES = (".parquet", ".arrow", ".bin", ".gz", ".zip", ".zst", ".npy", ".safetensors")
_ATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES)
_LFS_FROM_BYTES = 10 * 2**20


class RefusedError(Exception):
    """A request that the hub answers with an error."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        """What the header ``X-Error-Code`` says, or None."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a commit."""

    oid: str
    """SHA-1 of its git blob; of the pointer's blob where the content is in LFS."""
    size: int
    sha256: str | None = None
    """Name of the content in LFS; None for a file that git holds itself."""

    @property
    def etag(self) -> str:
        """What names its content: the LFS object, else the git blob."""
        return self.sha256 or self.oid


@dataclass(frozen=True, slots=True)
class Commit:
    """A state of a repository."""

    oid: str
    parent: str | None
    title: str
    author: str
    files: Mapping[str, Entry]
    """Path to file."""


@dataclass(frozen=True, slots=True)
class Change:
    """One operation of a commit."""

    kind: Literal["file", "lfsFile", "deletedFile", "deletedFolder"]
    path: str
    content: bytes = b""
    """Content of a ``file``."""
    sha256: str = ""
    """Name of the content of an ``lfsFile``, which must have been uploaded."""


def git_oid(content: bytes) -> str:
    """SHA-1 of a content as a git blob.

    >>> git_oid(b"")
    'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
    """
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class Repository:
    """One repository, of a dataset or a model."""

    id: str
    """``NAMESPACE/NAME``."""
    private: bool = False
    kind: Kind = "dataset"
    refs: dict[str, str] = field(default_factory=dict)
    """Branch, or ``refs/pr/N`` of a pull request, to commit."""
    commits: dict[str, Commit] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    """SHA-256 to content: what was uploaded to LFS, committed or not."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    """Git's SHA-1 to content."""

    def __post_init__(self) -> None:
        self.commit(MAIN, [Change("file", ".gitattributes", _ATTRIBUTES.encode())], "initial commit", "hub")

    @property
    def owner(self) -> str:
        """The namespace that it is in."""
        return self.id.partition("/")[0]

    @property
    def path(self) -> str:
        """Where it is at the hub: a model's address has its name only."""
        return f"datasets/{self.id}" if self.kind == "dataset" else self.id

    @property
    def head(self) -> Commit:
        """The newest commit of the main branch."""
        return self.commits[self.refs[MAIN]]

    @property
    def pull_requests(self) -> list[str]:
        """``refs/pr/N`` of each pull request."""
        return [ref for ref in self.refs if ref.startswith("refs/pr/")]

    def at(self, revision: str) -> Commit:
        """The commit that a branch, a pull request or a commit's name means."""
        oid = self.refs.get(revision, revision)
        if oid not in self.commits:
            raise RefusedError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[oid]

    def content(self, entry: Entry) -> bytes:
        """The bytes of a file."""
        return self.objects[entry.sha256] if entry.sha256 else self.blobs[entry.oid]

    def read(self, path: str, revision: str = MAIN) -> bytes:
        """The bytes of a file by its path."""
        files = self.at(revision).files
        if path not in files:
            raise RefusedError(404, f"Entry not found: {path}", "EntryNotFound")
        return self.content(files[path])

    def upload_mode(self, path: str, size: int, sample: bytes) -> Literal["lfs", "regular"]:
        """Whether git holds a file itself, told from its name, its size and its beginning."""
        large = path.endswith(LFS_SUFFIXES) or size > _LFS_FROM_BYTES or b"\0" in sample
        return "lfs" if large else "regular"

    def add_object(self, sha256: str, content: bytes) -> None:
        """Take an upload, if it is what it was said to be."""
        if hashlib.sha256(content).hexdigest() != sha256:
            raise RefusedError(400, "the content does not have the SHA-256 that was given")
        self.objects[sha256] = content

    def commit(
        self, branch: str, changes: Sequence[Change], title: str, author: str, parent: str | None = None
    ) -> Commit:
        """Add a commit to a branch.

        Parameters
        ----------
        branch
            Branch to move; it must be there, but for the first commit of all.
        changes
            Operations, applied in their order.
        title, author
            What the history says of it.
        parent
            The commit that the branch must point at; None takes it as it is.

        Raises
        ------
        RefusedError
            The branch is not there, or points at another commit (412), or an operation is impossible; nothing changed.
        """
        base = self.at(branch) if self.commits else None
        if parent is not None and (base is None or base.oid != self.at(parent).oid):
            raise RefusedError(412, "A commit has happened since. Please refresh and try again.")
        self.refs[branch] = (made := self._built(base, changes, title, author)).oid
        return made

    def propose(self, changes: Sequence[Change], title: str, author: str, parent: str | None = None) -> tuple[str, str]:
        """Open a pull request from `parent`, else from the main branch; return its ref and its commit."""
        made = self._built(self.at(parent or MAIN), changes, title, author)
        ref = f"refs/pr/{len(self.pull_requests) + 1}"
        self.refs[ref] = made.oid
        return ref, made.oid

    def _built(self, base: Commit | None, changes: Sequence[Change], title: str, author: str) -> Commit:
        files = dict(base.files) if base else {}
        contents: dict[str, bytes] = {}
        for change in changes:
            match change.kind:
                case "file":
                    oid = git_oid(change.content)
                    contents[oid] = change.content
                    files[change.path] = Entry(oid, len(change.content))
                case "lfsFile":
                    files[change.path] = self._large(change)
                case "deletedFile":
                    if files.pop(change.path, None) is None:
                        raise RefusedError(404, f"A file with this name doesn't exist: {change.path}", "EntryNotFound")
                case "deletedFolder":
                    files = {path: entry for path, entry in files.items() if not path.startswith(change.path)}
        tree = sorted((path, entry.oid) for path, entry in files.items())
        parent = base.oid if base else None
        # two equal commits on the same parent have different names at the hub, where they have different times
        told = repr((self.id, parent, title, tree, len(self.commits))).encode()
        commit = Commit(hashlib.sha1(told, usedforsecurity=False).hexdigest(), parent, title, author, files)
        self.blobs |= contents
        self.commits[commit.oid] = commit
        return commit

    def _large(self, change: Change) -> Entry:
        content = self.objects.get(change.sha256)
        if content is None:
            raise RefusedError(400, f"LFS object {change.sha256} of {change.path} was never uploaded")
        size = len(content)
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{change.sha256}\nsize {size}\n"
        return Entry(git_oid(pointer.encode()), size, change.sha256)
