"""A hub on loopback with a user and a token, and exported folders to send there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from partynli.publish.tables.columns import METRICS, PARTICIPANTS, distribution_columns
from partynli.publish.tables.folder import Export, read_manifest
from partynli.publish.tables.formats import Column, write_table
from partynli.testing.hub import HubServer

CANARY = "hf_" + "cAnArYtOkEnThatNobodyMayEverSee01"  # in two pieces, so that no scanner takes it for a real one


@pytest.fixture
def canary() -> str:
    return CANARY


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub where the token in the environment is Ada's; another one is Bob's."""
    with HubServer({CANARY: "ada", "hf_bobs": "bob"}, part_bytes=1000, slow_s=0.3) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", CANARY)
        yield server


@pytest.fixture
def exported(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder in the layout of an export; its data are any bytes, which nobody but a reader looks into."""

    def write(data: Mapping[str, bytes] | None = None, card: str = "---\nlicense: mit\n---\nA study.\n") -> Path:
        folder = tmp_path / "export"
        contents = {"judgments": b"PAR1 judgments", "items": b"PAR1 items"} if data is None else data
        files, configs = {}, {}
        for config, content in contents.items():
            name = f"data/{config}/train-00000.parquet"
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            sha256 = hashlib.sha256(content).hexdigest()
            files[name] = {"sha256": sha256, "bytes": len(content), "rows": 1, "config": config, "split": "train"}
            configs[config] = {"columns": [{"name": "id", "type": "string", "description": "Id."}], "rows": 1}
        manifest = {
            "format": 1,
            "partynli": "0",
            "run": {"run": "pilot"},
            "split": "train",
            "kind": "parquet",
            "files": files,
            "configs": configs,
            "licences": {},
        }
        (folder / "partynli.json").write_text(json.dumps(manifest))
        (folder / "README.md").write_text(card)
        (folder / "croissant.json").write_text("{}")
        return folder

    return write


TASK = {
    "name": "livenli",
    "labels": ["true", "either", "false"],
    "set_labels": True,
    "collapse_to": "either",
    "fields": ["premise", "hypothesis"],
    "reader": "livenli",
    "system": "You are an annotator.\n\nAnswer in JSON.",
    "user": "{} and {}?",
}
PLAN = {
    "items": "demo",
    "items_hash": "sha256:0",
    "n_items": 2,
    "participants": ["sha256:1", "sha256:2"],
    "trials": [5],
    "reasks": 2,
    "groups": {"all": ["sha256:1", "sha256:2"]},
}
RUN = {
    "run": "test",
    "partynli": "0.1.0",
    "commit": "abc",
    "created": "2026-11-21T11:00:00+00:00",
    "synthetic": False,
}
DECIDED = {"dataset": "demo", "included": True, "licence": "Apache-2.0", "source": None, "reason": "our own"}
JUDGMENTS = (
    Column("sent_id", "string", "The item."),
    Column("trial", "int64", "The trial."),
    Column("cost", "float64", "Dollars."),
    Column("synthetic", "bool", "Simulated?"),
    Column("explanation", "string", "Why."),
)
COLUMNS = {"participants": PARTICIPANTS, "metrics": METRICS, "distributions": distribution_columns(TASK["labels"])}


@pytest.fixture
def by_hand(tmp_path: Path) -> Callable[..., Export]:
    """Write an export whose rows are given, by configuration, as what they hold in some of the columns."""

    def write(
        kind: str = "parquet",
        *,
        run: Mapping[str, Any] = MappingProxyType({}),
        task: Mapping[str, Any] = MappingProxyType({}),
        plan: Mapping[str, Any] = MappingProxyType({}),
        licences: Mapping[str, Any] = MappingProxyType({"items": DECIDED, "human": DECIDED}),
        folder: Path = tmp_path / "by-hand",
        shards: int = 1,
        **rows: Sequence[Mapping[str, Any]],
    ) -> Export:
        files, configs = {}, {}
        for config, given in rows.items():
            columns = COLUMNS.get(config, JUDGMENTS)
            names = [column.name for column in columns]
            assert all(row.keys() <= set(names) for row in given)
            cells = [[row.get(name) for name in names] for row in given]
            for number in range(shards):
                (part,) = write_table(folder / "part", "train", columns, cells[number::shards], kind)
                name = f"data/{config}/train-{number:05}.{kind}"
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / "part" / part.name).rename(folder / name)
                about = {"sha256": part.sha256, "bytes": part.bytes, "rows": part.rows}
                files[name] = about | {"config": config, "split": "train"}
            configs[config] = {"columns": [column._asdict() for column in columns], "rows": len(given)}
        manifest = {
            "format": 1,
            "partynli": "0.1.0",
            "run": {**RUN, "task": {**TASK, **task}, "plan": {**PLAN, **plan}, **run},
            "split": "train",
            "kind": kind,
            "files": files,
            "configs": configs,
            "licences": dict(licences),
        }
        (folder / "partynli.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        return read_manifest(folder)

    return write
