"""`partynli report --explanations` as a person runs it."""

from __future__ import annotations

import csv
import json
import os
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

Partynli = Callable[..., CompletedProcess[str]]
DATA = Path(os.environ.get("PARTYNLI_DATA") or Path(__file__).parents[3] / "shared/data")


@pytest.fixture
def partynli(partynli_here: Any) -> Any:
    return partynli_here


@pytest.fixture
def sampled(partynli: Partynli) -> str:
    done = partynli("sample", "--mix", "demo", "--trials", "2", "--run", "first")
    assert done.returncode == 0, done.stderr
    return "first"


def found(done: CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    parsed: dict[str, Any] = json.loads(done.stdout, parse_constant=pytest.fail)
    return parsed


def test_tables_and_report(partynli: Partynli, sampled: str, tmp_path: Path) -> None:
    plain = partynli("report", sampled, "--draws", "100")
    assert "Explanations, " not in plain.stdout + (tmp_path / "runs/first/report.md").read_text()
    done = partynli("report", sampled, "--explanations", "--draws", "100")
    assert done.returncode == 0, done.stderr
    for title in ("Length and words of explanations", "Distances between explanations: tfidf", "Overlap of explanati"):
        assert title in done.stdout
    assert "all: 24 items" in done.stdout
    assert "SYNTHETIC" in done.stdout[done.stdout.index("Explanations, ") :]
    text = (tmp_path / "runs/first/report.md").read_text()
    assert "## Explanations, all: 24 items" in text
    assert "### Distances between explanations: tfidf" in text
    assert not re.search(r"^run ", done.stdout[done.stdout.index("Explanations, ") :], re.MULTILINE)  # as demo


def test_json(partynli: Partynli, sampled: str) -> None:
    args = ("report", sampled, "--json", "--draws", "100")
    options = ("--explanations", "--multi-label", "class_multi")
    done = partynli(*args, *options)
    assert partynli(*args, *options).stdout == done.stdout
    more = found(done)
    report = more.pop("explanations")["all"]
    assert more == found(partynli(*args))
    assert (report["multi_label"], report["embedders"], report["rarefied_to"]) == ("class_multi", ["tfidf"], 4)
    (mix,) = (row for row in report["rows"] if row["name"] == "demo")
    assert mix["kind"] == "mix"
    assert mix["n_explanations"] > 400
    assert set(mix["vectors"]["tfidf"]) == {"d_pair", "d_cent", "d_max", "d_cent_rarefied", "d_max_rarefied"}
    low, high = mix["vectors"]["tfidf"]["d_pair"]["ci"]
    assert 0 < low <= mix["vectors"]["tfidf"]["d_pair"]["value"] <= high < 1
    assert {"words_1", "words_2", "words_3", "tfidf cosine"} <= set(mix["overlap"])
    single = next(row for row in report["rows"] if row["kind"] == "participant")
    assert single["overlap"] == {}
    assert single["vectors"]["tfidf"]["d_max_rarefied"]["value"] is None  # two trials are fewer than four


def test_a_server_of_embeddings_is_asked_once(
    partynli: Partynli, sampled: str, embeddings: Any, tmp_path: Path
) -> None:
    embedder = f"{embeddings.url}#letters:minus-item"
    args = ("report", sampled, "--json", "--explanations", "--draws", "100", "--embedder", embedder)
    first = partynli(*args, "--embedder", "tfidf")
    report = found(first)["explanations"]["all"]
    assert report["embedders"] == [f"{embeddings.url}#letters minus item", "tfidf"]
    asked = len(embeddings.texts)
    assert asked == len(set(embeddings.texts)) > 24
    both = found(partynli(*args, "--embedder", f"{embeddings.url}#letters"))["explanations"]["all"]["rows"][0][
        "vectors"
    ]
    assert len(embeddings.texts) == asked
    whole, less = both[f"{embeddings.url}#letters"], both[f"{embeddings.url}#letters minus item"]
    assert whole["d_pair"]["value"] < less["d_pair"]["value"]
    db = sqlite3.connect(tmp_path / "runs/first/run.sqlite")
    assert db.execute("SELECT count(*), count(DISTINCT model) FROM embedding").fetchone() == (asked, 1)
    db.close()


def test_a_server_that_refuses_is_one_line(partynli_alone: Partynli, sampled: str, embeddings: Any) -> None:
    embeddings.key = "sk-right"
    done = partynli_alone(
        "report", sampled, "--explanations", "--embedder", f"{embeddings.url}#m", PARTYNLI_EMBED_API_KEY="sk-wrong"
    )
    assert done.returncode == 2
    assert re.fullmatch(r"partynli: --embedder http.*: HTTP 401: wrong key Bearer \*\*\*; set .*\n", done.stderr)
    assert "sk-wrong" not in done.stdout + done.stderr


def test_a_run_that_cannot_be_written(partynli: Partynli, sampled: str, embeddings: Any, tmp_path: Path) -> None:
    lock = tmp_path / "runs/first/lock"
    lock.unlink()
    lock.mkdir()  # nobody can take this lock, not even root, whom no mode of a folder stops
    args = ("report", sampled, "--explanations", "--embedder", f"{embeddings.url}#m", "--json", "--draws", "100")
    report = found(partynli(*args))["explanations"]["all"]
    assert any("are not kept" in note for note in report["notes"])
    assert report["rows"]


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["--embedder", "tfidf"], "add --explanations"),
        (["--multi-label", "split"], "add --explanations"),
        (["--explanations", "--embedder", "http://nowhere"], "names no server and model"),
        (["--explanations", "--multi-label", "other"], "'other' is not one of"),
    ],
)
def test_options_that_make_no_sense(partynli: Partynli, sampled: str, args: list[str], why: str) -> None:
    done = partynli("report", sampled, *args)
    assert done.returncode == 2
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_without_explanations(partynli: Partynli, judged_run: Callable[..., Path]) -> None:
    judged_run("toy", {"a": [["true", "false"]], "b": [["true", "true"]]}, ["i1", "i2"])
    done = partynli("report", "toy", "--explanations")
    assert done.returncode == 2
    assert "nothing to embed" in done.stderr


def test_a_group_that_explained_nothing_is_a_row_of_dashes(partynli: Partynli, tmp_path: Path) -> None:
    items = [{"uid": f"i{k}", "premise": "A man sings.", "hypothesis": "A person sings."} for k in range(4)]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    with (tmp_path / "t.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["sent_id", "participant", "trial", "class_simple", "explanation", "experiment", "num_params"])
        for item in items:
            for name, text in (("a", "it is so"), ("b", "that follows"), ("c", ""), ("d", "")):
                size = ("size_ablation", "8") if text == "" else ("model_mix_hi", "")
                table.writerow([item["uid"], name, 1, "true", text, *size])
    assert partynli("import", "t.csv", "--items", "items.jsonl", "--run", "e").returncode == 0
    report = found(partynli("report", "e", "--explanations", "--json", "--draws", "100"))["explanations"]["all"]
    rows = {row["name"]: row for row in report["rows"]}
    assert rows["size:c"]["n_empty"] == rows["size:c"]["n_explanations"] == 4
    assert rows["size:c"]["lexical"]["word_count"]["value"] is None
    assert rows["hi"]["lexical"]["word_count"]["value"] == 2.5


def test_hostile_names(partynli: Partynli, judged_run: Callable[..., Path]) -> None:
    name = "<script>alert(1)</script>|\x1b[31m\u202e"
    path = judged_run("toy", {name: [["true", "false"]], "b": [["true", "true"]]}, ["i1", "i2"])
    db = sqlite3.connect(path / "run.sqlite")
    db.execute("UPDATE judgment SET explanation = '=cmd() <b>' || trial_key")
    db.commit()
    db.close()
    done = partynli("report", "toy", "--explanations", "--draws", "100")
    assert done.returncode == 0, done.stderr
    assert "\x1b[31m" not in done.stdout
    assert "\u202e" not in done.stdout
    text = (path / "report.md").read_text()
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert "\u202e" not in text


def test_people_imported_as_a_table(partynli: Partynli, tmp_path: Path) -> None:
    if not (DATA / "livenli/livenli.csv").is_file():
        pytest.skip("livenli/livenli.csv is not there")
    with (DATA / "livenli/livenli.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with (tmp_path / "people.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["sent_id", "participant", "class_multi", "explanation", "participant_type"])
        for row in rows:
            labels = "-".join(sorted(row["multilabel"].split(" | ")))
            table.writerow([row["uid"], row["worker_id"], labels, row["explanation"], "human"])
    data = {"PARTYNLI_DATA": str(DATA)}
    done = partynli("import", "people.csv", "--run", "people", **data)
    assert done.returncode == 0, done.stderr
    report = found(partynli("report", "people", "--json", "--explanations", "--draws", "100", **data))
    people = report["explanations"]["all122"]["rows"][0]
    assert (people["name"], people["kind"], people["n_explanations"]) == ("people", "human", 1405)
    figures = people["vectors"]["tfidf"]
    assert [round(figures[name]["value"], 3) for name in ("d_pair", "d_cent", "d_max")] == [0.811, 0.389, 0.957]
    assert (people["n_sets"], people["n_single"], people["n_empty"]) == (245, 56, 2)
