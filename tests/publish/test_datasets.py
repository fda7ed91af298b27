"""`datasets.load_dataset` opens every configuration of an exported folder, with its types and to the letter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from partynli.publish.card.card import card_text
from partynli.publish.card.details import CardDetails
from partynli.publish.tables.folder import Export
from partynli.publish.tables.formats import KINDS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("datasets") is None, reason="datasets, of the extra `dev`, is not installed"),
]

# a process of its own, as people use it, and because `datasets` warns of much that is not ours
LOAD = """
import json, sys
from datasets import load_dataset
folder, cache = sys.argv[1:]
found = {}
for config in json.load(open(folder + "/partynli.json"))["configs"]:
    rows = load_dataset(folder, config, split="train", cache_dir=cache)
    found[config] = {"types": {name: one.dtype for name, one in rows.features.items()}, "rows": list(rows)}
first = load_dataset(folder, split="train", cache_dir=cache)
json.dump({"configs": found, "first": first.config_name}, sys.stdout)
"""
TEXTS = (
    *(
        "NA",
        "null",
        "nan",
        "None",
        "true",
        "123",
        "1e5",
        "007",
        "2025-01-01 00:00:00",
        "2025-01-01T00:00:00Z",
        "",
        None,
    ),
    *(
        'He said "no", twice',
        "one\ntwo\r\nthree\rfour",
        "a\tb",
        " spaces ",
        "=1+1",
        "'tis",
        "@x",
        "-",
        "é ∂ 😀",
        "{}",
        "[1]",
    ),
)


SHOWN = {
    "params": "{}",
    "declared": "{}",
    "first_answer": "2026-11-20T23:59:00Z",
    "last_answer": "2026-11-21T00:01:00Z",
}
PEOPLE = [
    SHOWN | {"name": "kimi-k2", "provider": "moonshot", "model": "kimi-k2", "num_params": 1000.0},
    SHOWN | {"name": "m2", "provider": "loop", "model": "m2"},
]


def in_csv(value: Any) -> Any:
    """A value without the apostrophe that keeps a spreadsheet from running it."""
    return value.removeprefix("'") if isinstance(value, str) else value


def in_jsonl(value: Any) -> Any:
    """A value as `datasets` has it where a whole column of texts are times: it takes them for times, and back."""
    is_time = isinstance(value, str) and value in ("2026-11-20T23:59:00Z", "2026-11-21T00:01:00Z")
    return value.replace("T", " ").removesuffix("Z") if is_time else value


@pytest.mark.parametrize("kind", KINDS)
def test_every_configuration_opens_with_its_types_and_values(
    by_hand: Callable[..., Export], tmp_path: Path, kind: str
) -> None:
    rows = [
        {"sent_id": f"{n:03}", "trial": n, "cost": n / 7 * 10**-n, "synthetic": n % 2 == 0, "explanation": text}
        for n, text in enumerate(TEXTS)
    ]
    empty = [{"sent_id": "1"}, {"sent_id": "2"}]
    export = by_hand(kind, shards=2, judgments=[*rows, {"explanation": "no more"}], items=empty, participants=PEOPLE)
    (export.path / "README.md").write_text(card_text(export, CardDetails(licence="cc-by-4.0")), encoding="utf-8")
    environ = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(export.path), str(tmp_path / "cache")],
        capture_output=True,
        text=True,
        env=environ,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    loaded = json.loads(done.stdout)
    assert loaded["first"] == "judgments"
    assert loaded["configs"].keys() == export.configs.keys()
    for config, found in loaded["configs"].items():
        assert found["types"] == {column.name: column.type for column in export.columns(config)}
        assert len(found["rows"]) == export.configs[config]["rows"]
        for row, exported in zip(found["rows"], export.rows(config), strict=True):
            read = {name: in_csv(value) for name, value in row.items()} if kind == "csv" else row
            wanted = {name: in_jsonl(value) for name, value in exported.items()} if kind == "jsonl" else exported
            assert read == wanted
