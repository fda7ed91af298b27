"""Croissant: what its readers rely on; the `mlcroissant` package itself reads it where it is installed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from subprocess import run

import pytest

from partynli.publish.card.croissant import CONFORMS_TO, croissant_json
from partynli.publish.card.details import CardDetails
from partynli.publish.tables.folder import Export
from partynli.publish.tables.formats import KINDS

Write = Callable[..., Export]
ROWS = [
    {"sent_id": f"s{n}", "trial": n, "cost": n / 7, "synthetic": n % 2 == 0, "explanation": f"Since {n}."}
    for n in range(1, 8)
]
PEOPLE = [
    {"name": "kimi", "provider": "moonshot", "model": "kimi-k2", "params": "{}"},
    {"name": "kimi-hot", "provider": "moonshot", "model": "kimi-k2", "params": "{}"},
    {"name": "w1", "provider": "human", "model": "w1", "params": "{}"},
]
READ = """
import json, sys
import mlcroissant as mlc
read = mlc.Dataset(jsonld=sys.argv[1])
issues = read.metadata.ctx.issues
plain = lambda value: value.decode() if isinstance(value, bytes) else getattr(value, "item", lambda: value)()
rows = [{key.split("/")[-1]: plain(value) for key, value in row.items()} for row in read.records("judgments")]
json.dump({"errors": list(issues.errors), "warnings": list(issues.warnings), "rows": rows}, sys.stdout)
"""
RAI = (
    "dataCollection",
    "dataCollectionType",
    "dataCollectionMissingData",
    "dataAnnotationProtocol",
    "annotationsPerItem",
    "machineAnnotationTools",
    "dataLimitations",
    "dataBiases",
    "personalSensitiveInformation",
    "dataUseCases",
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shards", [1, 3])
def test_every_reference_leads_somewhere(by_hand: Write, kind: str, shards: int) -> None:
    export = by_hand(kind, judgments=ROWS, shards=shards)
    found = json.loads(croissant_json(export, CardDetails(licence="cc-by-4.0")))
    assert found["conformsTo"] == list(CONFORMS_TO)
    assert found["@type"] == "sc:Dataset"
    objects = {one["@id"]: one for one in found["distribution"] if one["@type"] == "cr:FileObject"}
    sets = {one["@id"]: one for one in found["distribution"] if one["@type"] == "cr:FileSet"}
    assert objects.keys() == export.files.keys()
    for name, one in objects.items():
        assert one["sha256"] == export.files[name]["sha256"]
        assert one["contentSize"] == f"{(export.path / name).stat().st_size} B"
        assert (export.path / one["contentUrl"]).is_file()
    assert len(sets) == (shards > 1)
    for one in sets.values():
        assert {str(path.relative_to(export.path)) for path in export.path.glob(one["includes"])} == objects.keys()
    ids = [*objects, *sets]
    (records,) = found["recordSet"]
    for field, column in zip(records["field"], export.columns("judgments"), strict=True):
        assert (field["name"], field["description"]) == (column.name, column.description)
        (held,) = (value["@id"] for key, value in field["source"].items() if key in ("fileObject", "fileSet"))
        assert held in (sets or objects)
        assert field["source"]["extract"] == {"column": column.name}
        ids.append(field["@id"])
    assert len(ids) == len(set(ids))
    types = [field["dataType"] for field in records["field"]]
    assert types == ["sc:Text", "sc:Integer", "sc:Float", "sc:Boolean", "sc:Text"]


def test_what_is_said_of_machines_that_annotate(by_hand: Write) -> None:
    found = json.loads(croissant_json(by_hand(judgments=ROWS, participants=PEOPLE), CardDetails(licence="mit")))
    assert all(found[f"rai:{name}"] for name in RAI)
    assert found["rai:machineAnnotationTools"] == ["kimi-k2 (moonshot)"]
    assert found["rai:annotationsPerItem"] == "5"
    synthetic = json.loads(croissant_json(by_hand(judgments=ROWS, run={"synthetic": True}), CardDetails()))
    assert synthetic["rai:dataLimitations"][0].startswith("SYNTHETIC")
    assert "license" not in synthetic


def test_files_of_a_repository_have_their_addresses(by_hand: Write) -> None:
    details = CardDetails(repo="jane/study", licence="other", licence_name="mine", authors=("Jane",))
    text = croissant_json(by_hand(judgments=ROWS), details)
    found = json.loads(text)
    base = "https://huggingface.co/datasets/jane/study"
    assert found["url"] == base
    assert found["distribution"][0]["contentUrl"] == f"{base}/resolve/main/data/judgments/train-00000.parquet"
    assert found["license"] == "mine"
    assert found["creator"] == [{"@type": "sc:Person", "name": "Jane"}]
    assert croissant_json(by_hand(judgments=ROWS), details) == text
    sharded = json.loads(croissant_json(by_hand(judgments=ROWS, shards=2), details))["distribution"]
    assert sharded[0]["contentUrl"] == f"{base}/tree/main"
    assert sharded[-1]["containedIn"] == {"@id": sharded[0]["@id"]}


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mlcroissant") is None, reason="mlcroissant is not installed")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shards", [1, 3])
def test_mlcroissant_reads_the_rows(by_hand: Write, kind: str, shards: int) -> None:
    export = by_hand(kind, judgments=ROWS, participants=PEOPLE, shards=shards)
    file = export.path / "croissant.json"
    file.write_text(croissant_json(export, CardDetails(licence="cc-by-4.0")), encoding="utf-8")
    done = run([sys.executable, "-c", READ, str(file)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    read = json.loads(done.stdout)
    assert read["errors"] == []
    assert "not standard" not in done.stderr
    by_item = {row["sent_id"]: row for row in read["rows"]}
    assert by_item == {row["sent_id"]: row | {"cost": pytest.approx(row["cost"])} for row in ROWS}


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mlcroissant") is None, reason="mlcroissant is not installed")
def test_mlcroissant_takes_what_is_said_of_a_repository(by_hand: Write) -> None:
    export = by_hand(judgments=ROWS, participants=PEOPLE, shards=3)
    file = export.path / "croissant.json"
    file.write_text(croissant_json(export, CardDetails(repo="jane/study", licence="cc-by-4.0")), encoding="utf-8")
    check = READ.partition("rows =")[0] + "print(list(issues.errors), *read.metadata.machine_annotation_tools)"
    done = run([sys.executable, "-c", check, str(file)], capture_output=True, text=True, timeout=120)
    assert done.stdout == "[] kimi-k2 (moonshot)\n", done.stderr[-2000:]
