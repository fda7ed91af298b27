"""``partynli randommix`` as a person runs it."""

from __future__ import annotations

import json
import os
import struct
import xml.etree.ElementTree as ET
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from partynli.derive import judgment_row
from partynli.judgments import reader_for
from partynli.prompts import load_task
from partynli.store import Run

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("PARTYNLI_DATA") or Path(__file__).parents[3] / "shared" / "data")
UIDS = [f"i{k}" for k in range(8)]
LABELS = ("true", "either", "false")


@pytest.fixture
def partynli(partynli_here: Any) -> Any:
    return partynli_here


def labels_of(seed: int, n: int = 8) -> list[str]:
    return np.random.default_rng(seed).choice(LABELS, size=n).tolist()


def strictly(text: str) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in JSON")

    return json.loads(text, parse_constant=refuse)


def one_line(done: Any) -> str:
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    return str(line)


@pytest.fixture
def livenli(partynli: Any) -> dict[str, str]:
    if not (DATA / "livenli" / "livenli.csv").is_file():
        pytest.skip("livenli.csv is not under PARTYNLI_DATA nor under ../shared/data")
    environ = {"PARTYNLI_DATA": str(DATA)}
    done = partynli("sample", "--mix", "demo", "--items", "livenli", "--trials", "2", "--run", "first", **environ)
    assert done.returncode == 0, done.stderr
    return environ


def test_the_demo_run_on_livenli(partynli: Any, livenli: dict[str, str], tmp_path: Path) -> None:
    done = partynli("randommix", "--size", "5", "--draws", "60", "--curve", "--out", "figures", **livenli)
    assert done.returncode == 0, done.stderr
    assert "common50: 50 items, 2 trials, 1,000 of 1,000 answers valid" in done.stdout
    assert "Quantiles of draws are no confidence interval" in done.stdout
    assert "SYNTHETIC" in done.stdout
    for source in ("livenli", "chaosnli", "mnli"):
        assert f"JS distance  {source}" in done.stdout
    assert "all 252" not in done.stdout
    assert "all 45" in done.stdout
    written = {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()}
    assert set(written) >= {"randommix.png", "randommix.svg", "randommix-curve.png", "randommix-curve.svg"}
    for name, content in written.items():
        if name.endswith(".png"):
            assert content.startswith(b"\x89PNG")
            assert min(struct.unpack(">II", content[16:24])) > 1000
        if name.endswith(".svg"):
            texts = {(node.text or "") for node in ET.fromstring(content).iter("{http://www.w3.org/2000/svg}text")}
            assert "JS distance" in texts  # text, not outlines
    json_holds_everything(partynli, livenli, tmp_path)


def json_holds_everything(partynli: Any, livenli: dict[str, str], tmp_path: Path) -> None:
    given = ("randommix", "--size", "5", "--draws", "40", "--json", "--scope", "all122")
    done = partynli(*given, "--curve", "--out", "figures", **livenli)
    assert done.returncode == 0, done.stderr
    found = strictly(done.stdout)
    assert found["schema"] == 1
    assert (found["scope"], found["n_items"], found["group"], found["trials"]) == ("all122", 122, "demo", 2)
    assert (found["n_valid"], found["n_asked"], found["n_draws"]) == (2440, 2440, 40)
    assert found["synthetic"] is True
    assert found["pool"] == sorted(found["pool"])
    values = found["draws"]["values"]
    assert {len(members) for members in found["draws"]["members"]} == {5}
    js = values["against"]["mnli"]["js_distance"]
    summary = found["figures"]["against"]["mnli"]["js_distance"]
    assert len(js) == 40
    assert summary["mean"] == pytest.approx(np.mean(js))
    assert summary["quantiles"]["97.5"] == pytest.approx(np.quantile(js, 0.975))
    assert summary["bootstrap"][0] < summary["mean"] < summary["bootstrap"][1]
    assert found["figures"]["alpha"]["bootstrap"] is None
    assert found["curve"][0]["figures"]["alpha"]["mean"] is None
    assert [point["calls"] for point in found["curve"]] == [244.0 * size for size in range(1, 11)]
    assert set(found["mixes"]) == {"demo"}
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(tmp_path / "figures" / "randommix-draws.parquet").to_pylist()
    assert [row["js_distance_mnli"] for row in table] == js
    assert table[0]["participants"].split(";") == [found["pool"][k] for k in found["draws"]["members"][0]]


def test_a_run_without_people(partynli: Any, judged_run: Any, tmp_path: Path) -> None:
    judged_run("r", {f"p{k}": [labels_of(k)] for k in range(5)}, UIDS)
    done = partynli("randommix", "--size", "3", "--json", PARTYNLI_DATA=str(tmp_path / "nowhere"))
    assert done.returncode == 0, done.stderr
    found = strictly(done.stdout)
    assert found["scope"] == "all"
    assert found["figures"]["against"] == {}
    assert any(note.startswith("no human data") for note in found["notes"])
    assert "--scope 'common50' does not apply" in one_line(partynli("randommix", "--scope", "common50", "--size", "2"))


def test_hi_and_lo_are_drawn_from_together_and_marked_alone(partynli: Any, judged_run: Any) -> None:
    names = [f"p{k}" for k in range(6)]
    groups = {"hi": names[:3], "lo": names[3:], "size:x": names[:2]}
    judged_run("r", {name: [labels_of(k)] for k, name in enumerate(names)}, UIDS, groups)
    found = strictly(partynli("randommix", "--size", "2", "--draws", "9", "--json").stdout)
    assert found["group"] == "hi + lo"
    assert found["pool"] == names
    assert set(found["mixes"]) == {"hi + lo", "hi", "lo"}
    assert found["mixes"]["hi"]["participants"] == 3
    assert "did you mean lo" in one_line(partynli("randommix", "--group", "loo"))


def test_too_large_a_size_is_one_clear_line(partynli: Any, judged_run: Any) -> None:
    judged_run("r", {f"p{k}": [labels_of(k)] for k in range(4)}, UIDS)
    assert "--size 10 is more than the pool has: 4 participants" in one_line(partynli("randommix"))


def test_an_empty_run_and_participants_who_were_never_asked(partynli: Any, judged_run: Any) -> None:
    judged_run("empty", {"a": [[None] * 8], "b": [[None] * 8]}, UIDS)
    assert "nobody of the pool was asked" in one_line(partynli("randommix", "empty", "--size", "1"))
    judged_run("half", {"a": [labels_of(0)], "b": [[None] * 8]}, UIDS)
    found = strictly(partynli("randommix", "half", "--size", "1", "--json").stdout)
    assert found["pool"] == ["a"]
    assert "--size 2 is more than the pool has: 1 participant " in one_line(
        partynli("randommix", "half", "--size", "2")
    )


def test_undefined_figures_are_dashes(partynli: Any, judged_run: Any) -> None:
    judged_run("r", {"a": [["error"] * 8], "b": [["error"] * 8]}, UIDS)
    done = partynli("randommix", "--size", "2", "--draws", "5", "--curve", "--out", "o")
    assert done.returncode == 0, done.stderr
    assert "0 of 16 answers valid" in done.stdout
    assert "–" in done.stdout
    assert "nan" not in done.stdout


def test_names_from_a_registry_cannot_harm_terminal_or_plot(partynli: Any, judged_run: Any) -> None:
    names = ["[bold]a\x1b[31m", "$b_1^{", "c<&>"]
    judged_run("r", {name: [labels_of(k)] for k, name in enumerate(names)}, UIDS, {"$x_{ <b>\x1b": names})
    done = partynli("randommix", "--size", "2", "--draws", "5", "--curve", "--out", "o")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "$x_{ <b>" in done.stdout


@pytest.mark.parametrize("reader", ["older", "current"])
def test_a_held_run_is_read_with_all_of_its_answers(partynli: Any, tmp_path: Path, reader: str) -> None:
    partynli("sample", "--mix", "demo", "--trials", "2", "--run", "held")
    path = tmp_path / "runs" / "held"
    free = strictly(partynli("randommix", "held", "--size", "2", "--json").stdout)
    with Run.sampling(path) as run:
        some = run.attempts()[:100]
        texts = run.texts({one.item for _, one in some})
        task = load_task("livenli", ROOT / "prompts")
        reads, version = reader_for(task)
        rows = [judgment_row(one, reads, version, texts) for _, one in some]
        if reader == "older":  # it read all of them wrongly
            rows = [one._replace(class_simple="true", class_multi="true") for one in rows]
        run.forget_judgments(reader if reader == "older" else version)
        run.add_judgments(rows, some[-1][0])
        held = strictly(partynli("randommix", "held", "--size", "2", "--json").stdout)
        assert run.meta("judged") == str(some[-1][0])
    assert "is held by another process" in held["notes"][0]
    assert {**held, "notes": held["notes"][1:]} == free
    assert strictly(partynli("randommix", "held", "--size", "2", "--json").stdout) == free
    with closing(Run.open(path)) as run:
        assert (run.meta("reader"), run.meta("judged")) != (reader, str(some[-1][0]))  # nobody held it any more
