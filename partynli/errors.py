"""Every error that partynli raises on purpose.

::

    PartyNLIError                 one clear line for the person at the terminal
    ├── InputError                what was given cannot be used (exit code 2, nothing was spent)
    │   ├── RegistryError         registry.yaml, a task.yaml or a name that they do not know
    │   ├── ItemsError            a dataset or a file of items
    │   └── MissingKeysError      API keys that the environment lacks
    ├── RunError                  a run directory cannot be used as asked (exit code 2)
    │   ├── RunLockedError        another process is sampling into it
    │   ├── PlanMismatchError     the run was made by another plan
    │   └── StoreError            the disk or the database failed; what was committed is safe
    ├── BudgetReachedError        --max-cost leaves no room for another call (exit code 3)
    └── ProviderError             one call failed; the engine decides what follows from its `kind`
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Literal, get_args

ErrorKind = Literal["retryable", "rate_limited", "fatal_participant", "bad_request"]
"""What a failed call means for those that follow.

``retryable``: the same call may succeed later. ``rate_limited``: the same, and the whole lane must wait.
``fatal_participant``: no call of this participant can succeed. ``bad_request``: the provider refuses this
participant's request as it stands (a parameter it does not take, say); no other attempt will change that.
"""


def without_kind(reason: str) -> str:
    """A stored reason as a person reads it.

    >>> without_kind("fatal_participant: HTTP 401"), without_kind("schema")
    ('HTTP 401', 'schema')
    """
    kind, colon, said = reason.partition(": ")
    return said if colon and kind in get_args(ErrorKind) else reason


class PartyNLIError(Exception):
    """Base of all errors here. Its text is one line that says what was wrong, where, and what to do."""

    exit_code = 2


class InputError(PartyNLIError):
    """Something that was given cannot be used."""


class RegistryError(InputError):
    """The registry or a task is unreadable, or a name in it is unknown."""


class ItemsError(InputError):
    """A dataset or a file of items cannot be used."""


class MissingKeysError(InputError):
    """API keys that the plan needs are not in the environment."""


class RunError(PartyNLIError):
    """A run directory cannot be used as asked."""


class RunLockedError(RunError):
    """Another process is sampling into the run."""


class PlanMismatchError(RunError):
    """The run was made by another plan; nothing was overwritten."""


class StoreError(RunError):
    """The disk or the database failed. What was committed before is safe."""


class BudgetReachedError(PartyNLIError):
    """The budget leaves no room for the worst case of another call."""

    exit_code = 3


class ProviderError(PartyNLIError):
    """One call to a provider failed.

    Parameters
    ----------
    message
        What happened, without any secret.
    kind
        What it means for the calls that follow; see `ErrorKind`.
    retry_after
        Seconds that the provider asked to wait, or None.
    status
        HTTP status, or None where no answer came.
    raw
        Body of the error answer as text, or None.
    billable
        True where the provider may have charged for the call although no answer arrived.
    """

    def __init__(
        self,
        message: str,
        kind: ErrorKind,
        *,
        retry_after: float | None = None,
        status: int | None = None,
        raw: str | None = None,
        billable: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after
        self.status = status
        self.raw = raw
        self.billable = billable


def unknown_name(kind: str, name: str, known: Iterable[str], source: str = "") -> str:
    """One line about an unknown name, with the nearest known ones.

    >>> unknown_name("dataset", "livenly", ["demo", "livenli"])
    "unknown dataset 'livenly'; did you mean livenli?"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    else:
        hint = f"known: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}" if names else "there is none"
    shown = repr(name) if len(repr(name)) <= 80 else repr(name)[:77] + "..."
    return f"unknown {kind} {shown}{f' in {source}' if source else ''}; {hint}"
