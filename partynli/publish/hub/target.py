"""Where a dataset or a model is to go, what is there already, and what of that may be touched."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from partynli.errors import InputError
from partynli.finetune.outcome import NAME as OUTCOME
from partynli.publish.hub.connection import Kind
from partynli.publish.hub.model import is_model_file
from partynli.publish.tables.folder import MANIFEST, is_data_file

CARD = "README.md"
CROISSANT = "croissant.json"
MAIN = "main"
_LONGEST_NAME = 96
_HARMLESS = re.compile(r"\.git\w+|README\.md|LICEN[CS]E(\.\w+)?|CITATION\.\w+")


@dataclass(frozen=True)
class RepoTarget:
    """Where a dataset or a model is to go.

    Raises
    ------
    InputError
        The name is none that the Hub takes, or a pull request is asked for against another branch than the main one.
    """

    repo_id: str
    """``USER/NAME``."""
    branch: str = MAIN
    private: bool = False
    """Whether a new repository is private; one that is there and public is then refused."""
    create_pr: bool = False
    """Whether to open a pull request, and leave the branch as it is."""
    kind: Kind = "dataset"

    def __post_init__(self) -> None:
        check_repo_id(self.repo_id, self.kind)
        if self.create_pr and self.branch != MAIN:
            raise InputError(f"a pull request goes to the branch {MAIN}, not to {self.branch!r}: leave one of them out")

    @property
    def manifest(self) -> str:
        """The file by which partynli tells what it has sent there itself."""
        return MANIFEST if self.kind == "dataset" else OUTCOME

    @property
    def path(self) -> str:
        """Path of its page at the Hub."""
        tree = "" if self.branch == MAIN else f"/tree/{self.branch}"
        return f"{'datasets/' if self.kind == 'dataset' else ''}{self.repo_id}{tree}"


@dataclass(frozen=True)
class Head:
    """What a branch of a repository held when it was looked at."""

    commit: str | None
    """Name of its newest commit; None where there is no such repository yet."""
    private: bool = False
    names: frozenset[str] = frozenset()
    """Paths of all its files."""
    manifest: str | None = None
    """Its `RepoTarget.manifest`, or None; untrusted, as all that a repository holds."""
    card: str | None = None
    """Its README.md, or None."""
    kind: Kind = "dataset"

    @property
    def is_ours(self) -> bool:
        """Whether partynli has sent there before; other programs, too, call a file ``training.json``."""
        if self.kind == "dataset" or self.manifest is None:
            return self.manifest is not None
        try:
            stored: dict[str, Any] = json.loads(self.manifest)
            return stored.keys() >= {"schema", "job", "weights"}
        except (ValueError, AttributeError, RecursionError):
            return False

    @property
    def exported(self) -> frozenset[str]:
        """Paths that partynli wrote there before, of data or a model: the only ones that it may take away."""
        if self.kind == "model":
            return frozenset(filter(is_model_file, self.names)) if self.is_ours else frozenset()
        try:
            named = json.loads(self.manifest or "{}")["files"]
            return frozenset(name for name in named if is_data_file(name)) & self.names
        except (ValueError, KeyError, TypeError, RecursionError):
            return frozenset()


def check_repo_id(repo_id: str, kind: Kind = "dataset") -> None:
    """See that a text names a repository at the Hub.

    >>> check_repo_id("ada/my-study")
    >>> check_repo_id("study")
    Traceback (most recent call last):
    partynli.errors.InputError: 'study' names no dataset at the Hub: give USER/NAME
    """
    if repo_id.count("/") != 1:
        raise InputError(f"{repo_id[:100]!r} names no {kind} at the Hub: give USER/NAME")
    try:
        validate_repo_id(repo_id)
        if len(repo_id) > _LONGEST_NAME:  # older clients count the two parts apart
            raise HFValidationError
    except HFValidationError:
        raise InputError(
            f"{repo_id[:100]!r} names no {kind} at the Hub: USER and NAME have letters, digits, '-', '_' and '.', "
            f"begin and end with a letter or digit, have no '--' or '..', and {_LONGEST_NAME} characters in all at most"
        ) from None


def check_target(target: RepoTarget, head: Head) -> None:
    """Refuse what would surprise somebody.

    Raises
    ------
    InputError
        What is to be private is public; a repository holds files of somebody else's making; or a branch or a
        pull request is asked for and there is no repository.
    """
    name = target.repo_id
    if head.commit is None:
        if target.create_pr or target.branch != MAIN:
            raise InputError(
                f"there is no {target.kind} {name} yet: publish it without a pull request or a branch first"
            )
        return
    if target.private and not head.private:
        raise InputError(f"{name} is there and public: make it private in its settings first, or leave --private out")
    foreign = sorted(one for one in head.names if not _HARMLESS.fullmatch(one))
    if not head.is_ours and foreign and not target.create_pr:
        more = f" and {len(foreign) - 1:,} more" if len(foreign) > 1 else ""
        raise InputError(
            f"{name} holds files that partynli did not write ({foreign[0][:80]!r}{more}): choose another name, or "
            "propose it by --create-pr"
        )
