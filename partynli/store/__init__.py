"""``runs/<run>/``: what was asked and answered, kept for ever. The only package that touches a run's files.

A run is a folder with ``run.sqlite`` (every attempt, raw), ``manifest.json`` (what was planned, by which code) and
``lock``. Whatever else is wanted is computed from them, offline.
"""

from partynli.store.batches import Batches
from partynli.store.database import held_by, is_remote, list_runs, runs_dir
from partynli.store.importing import Earlier, Importing, importing, refuse_existing
from partynli.store.items import StoredItems
from partynli.store.rows import Attempt, AttemptStatus, Batch, BatchRequest, JudgmentRow, Outcome, Tally, storable
from partynli.store.run import Run
from partynli.store.trials import StoredTrial, StoredTrials
from partynli.store.writer import Writer

__all__ = [
    "Attempt",
    "AttemptStatus",
    "Batch",
    "BatchRequest",
    "Batches",
    "Earlier",
    "Importing",
    "JudgmentRow",
    "Outcome",
    "Run",
    "StoredItems",
    "StoredTrial",
    "StoredTrials",
    "Tally",
    "Writer",
    "held_by",
    "importing",
    "is_remote",
    "list_runs",
    "refuse_existing",
    "runs_dir",
    "storable",
]
