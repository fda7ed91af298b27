"""Twenty-four NLI items of partynli's own writing: for trying things out, without a download and without human answers.

They are no research data. Some are written to be clear, some to divide people; the file says which (``written_as``),
which is what the author meant and no annotation.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from partynli.items.base import Dataset, ItemSource
from partynli.items.table import load_table


def load() -> Dataset:
    """Load the demonstration items, which come with partynli."""
    table = load_table(Path(__file__).with_name("demo.jsonl"))
    note = "written for demonstration; no human answers"
    return replace(
        table,
        name="demo",
        items=ItemSource("demo", table.items.located, note=note),
        licence="Apache-2.0, as partynli",
        source="partynli demo",
        note=note,
    )
