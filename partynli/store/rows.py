"""The tables of a run, and their rows as records."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Literal, NamedTuple

AttemptStatus = Literal["valid", "rejected", "drift", "failed"]
"""``valid``: holds a judgment. ``rejected``: an answer without one. ``drift``: an answer of another model than the
run's first answers, kept apart. ``failed``: no answer came."""

SCHEMA = """
CREATE TABLE participant (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, json TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE item (n INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, json TEXT NOT NULL);
CREATE TABLE experiment (name TEXT, participant TEXT, PRIMARY KEY (name, participant)) WITHOUT ROWID;
CREATE TABLE body (hash TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE attempt (
  id INTEGER PRIMARY KEY, trial_key TEXT NOT NULL, n INTEGER NOT NULL, participant TEXT NOT NULL, item TEXT NOT NULL,
  prompt TEXT NOT NULL, trial INTEGER NOT NULL, status TEXT NOT NULL, reason TEXT, body TEXT NOT NULL, seed INTEGER,
  response TEXT, served_model TEXT, fingerprint TEXT, finish_reason TEXT, tokens_in INTEGER, tokens_out INTEGER,
  cost REAL, latency_s REAL, at REAL NOT NULL, UNIQUE (trial_key, n));
CREATE TABLE judgment (
  trial_key TEXT PRIMARY KEY, participant TEXT NOT NULL, item TEXT NOT NULL, trial INTEGER NOT NULL,
  class_simple TEXT NOT NULL, class_multi TEXT NOT NULL, explanation TEXT, highlights TEXT, repair TEXT, reader TEXT,
  source TEXT NOT NULL);
CREATE TABLE batch (
  mark TEXT PRIMARY KEY, state TEXT NOT NULL, remote TEXT, n INTEGER NOT NULL, worst REAL NOT NULL,
  planned_at REAL NOT NULL, note TEXT) WITHOUT ROWID;
CREATE TABLE batch_request (
  mark TEXT, number INTEGER, trial_key TEXT NOT NULL, n INTEGER NOT NULL, participant TEXT NOT NULL, item TEXT NOT NULL,
  prompt TEXT NOT NULL, trial INTEGER NOT NULL, PRIMARY KEY (mark, number)) WITHOUT ROWID;
CREATE TABLE embedding (model TEXT, text TEXT, vector BLOB NOT NULL, PRIMARY KEY (model, text)) WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
PRAGMA user_version = 1;
"""
VERSION = 1
"""Version of the schema; a database with another one is refused."""


class Attempt(NamedTuple):
    """One row of the table `attempt`: a call that was made and what came of it."""

    trial_key: str
    n: int
    participant: str
    item: str
    prompt: str
    trial: int
    status: AttemptStatus
    reason: str | None
    body: str
    seed: int | None
    response: str | None
    served_model: str | None
    fingerprint: str | None
    finish_reason: str | None
    tokens_in: int | None
    tokens_out: int | None
    cost: float | None
    latency_s: float | None
    at: float
    """Seconds since 1970, UTC, when the answer came."""


BatchStage = Literal["planned", "submitted", "ended", "lost", "collected", "dropped"]
"""``planned``: about to be sent, or sent and not yet heard of. ``submitted``: the provider has it. ``ended``: the
provider is done with it. ``lost``: the provider does not know it any more; what it holds may have been paid for and is
not asked anew unless a person says so. ``collected``: its answers are stored. ``dropped``: it never came to be, or was
given up; what it held is asked anew."""


class Batch(NamedTuple):
    """One row of the table `batch`."""

    mark: str
    """Our name for it, which the provider keeps or repeats with its results."""
    state: BatchStage
    remote: str | None
    """The provider's id of it, once that is known."""
    n: int
    """Requests in it."""
    worst: float
    """Dollars that it may cost at most; 0 where the price is unknown."""
    planned_at: float
    """Seconds since 1970, UTC."""
    note: str | None
    """Where it is sent; then what the provider said of it last."""


class BatchRequest(NamedTuple):
    """One row of the table `batch_request`: the `number`-th request of a batch, an attempt that is being made."""

    mark: str
    number: int
    trial_key: str
    n: int
    participant: str
    item: str
    prompt: str
    trial: int


class JudgmentRow(NamedTuple):
    """One row of the table `judgment`: where a trial stands under the current reader."""

    trial_key: str
    participant: str
    item: str
    trial: int
    class_simple: str
    class_multi: str
    explanation: str | None
    highlights: str | None
    repair: str | None
    reader: str | None
    source: str


class Judged(NamedTuple):
    """All judgments of a run, as numbers."""

    labels: list[tuple[str, str]]
    """Label set and single label that occur together, sorted; L of them."""
    n_trials: int
    """The highest number of a trial, T."""
    numbers: array[int]
    """``((participant * items + item) * T + trial - 1) * L + label`` of each."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is stored of a trial's attempts."""

    attempts: int = 0
    rejected: int = 0
    settled: bool = False
    """A valid answer is there, or one of a drifted model."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What is stored of one participant. Trials that were begun are valid, invalid, drifted or open."""

    begun: int = 0
    valid: int = 0
    """Trials with a valid answer."""
    invalid: int = 0
    """Trials whose every answer was rejected, asked as often as the plan allows."""
    drift: int = 0
    """Trials that another model answered than the run's first answers."""
    open: int = 0
    """Trials without an outcome: the call failed, or the run was stopped before asking again."""
    reasked: int = 0
    """Trials that took more than one answer."""
    rejected: int = 0
    """Answers that held no judgment."""
    failed: int = 0
    """Calls that got no answer, retries included in one."""
    cost: float = 0.0
    """Dollars for all answers whose cost is known."""
    unpriced: int = 0
    """Answers whose cost is unknown."""
    tokens_in: int = 0
    tokens_out: int = 0

    @property
    def settled(self) -> int:
        """Trials that `partynli resume` will not ask again."""
        return self.valid + self.invalid + self.drift


def storable(text: str) -> str:
    """A text that a database takes: half of a surrogate pair, which JSON may hold, is written out as an escape."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text
