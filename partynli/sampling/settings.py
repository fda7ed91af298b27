"""How a plan is run, and how that ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from partynli.sampling.events import Event
from partynli.sampling.retry import RetryPolicy


@dataclass(frozen=True, slots=True)
class ProviderCaps:
    """Limits that a registry sets for all models of one provider together."""

    rpm: float | None = None
    tpm: float | None = None
    concurrency: int | None = None


@dataclass(frozen=True)
class Settings:
    """How a plan is run; none of it changes what the answers are."""

    caps: Mapping[str, ProviderCaps] = field(default_factory=dict)
    max_cost: float | None = None
    """Dollars, what the run has spent before included."""
    allow_drift: bool = False
    """Take the answers of a model that changed during the run."""
    skip: Mapping[str, str] = field(default_factory=dict)
    """Participants that are not asked now, by name, and why; `partynli resume` asks them later."""
    limit: int | None = None
    """Most trials to begin."""
    poll_s: float = 60.0
    """Seconds between two looks at a batch; five times as long where nothing happens."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    on_event: Callable[[Event], None] = lambda event: None


@dataclass
class Summary:
    """How a run of the engine ended."""

    begun: int = 0
    stored: int = 0
    failed: int = 0
    """Trials that got no answer."""
    stopped: dict[str, str] = field(default_factory=dict)
    """Participants that were stopped, by name, and why."""
    budget_reached: bool = False
    interrupted: bool = False
