"""`partynli report` as a person runs it, on runs that hold what the paper's run would."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

Partynli = Callable[..., CompletedProcess[str]]
ANSWERS = {
    "a": [["true", "either", "false", "either"], ["true", "either", "either", "either"]],
    "b": [["true", "true", "false", "error"], ["either", "true", "false", "either"]],
}
UIDS = ["i1", "i2", "i3", "i4"]


@pytest.fixture
def partynli(partynli_here: Any) -> Any:
    return partynli_here


def report(partynli: Partynli, *args: str) -> dict[str, Any]:
    done = partynli("report", *args, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout, parse_constant=pytest.fail)
    return found


def test_report_of_a_run_without_people(partynli: Partynli, judged_run: Callable[..., Path]) -> None:
    path = judged_run("toy", ANSWERS, UIDS)
    done = partynli("report", "toy")
    assert done.returncode == 0, done.stderr
    assert "no human data" in done.stdout
    assert "Table 2" in done.stdout
    assert "Table 5" in done.stdout
    text = (path / "report.md").read_text()
    assert text.startswith("# Report of run toy")
    assert "no human data" in text
    heads = [
        line for above, line in zip(text.splitlines(), text.splitlines()[2:], strict=False) if above.startswith("### ")
    ]
    assert heads == [
        "|  | H (nats) | α |",
        "|  | H | α | labels an item | % true | % either | % false | valid / asked |",
        "|  | valid / asked | votes an item | H \\[95 %\\] | H at 10 votes | α \\[95 %\\] |",
        "|  | participants | worth | H if errors a label |",
    ]
    found = report(partynli, "toy")
    (mix,) = (one for one in found["scopes"]["all"]["groups"] if one["name"] == "mix")
    assert (mix["n_valid"], mix["n_asked"], mix["trials"]) == (15, 16, 2)
    assert mix["label_shares"]["true"] == pytest.approx(5 / 15)
    assert any("no human data" in note for note in found["notes"])


@pytest.mark.parametrize("width", ["50", pytest.param("80", marks=pytest.mark.slow)])
def test_a_narrow_terminal_cuts_no_figure_and_no_name(
    partynli_alone: Partynli, judged_run: Callable[..., Path], width: str
) -> None:
    people = {f"participant-{k}": ANSWERS["ab"[k % 2]] for k in range(4)}
    judged_run("toy", people, UIDS, {"hi": list(people)})
    terminal = {"FORCE_COLOR": "1", "COLUMNS": width}
    for args in (["report", "toy"], ["randommix", "toy", "--size", "2", "--curve"], ["compare", "toy", "toy"]):
        done = partynli_alone(*args, **terminal)
        assert done.returncode == 0, done.stderr
        lines = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout).splitlines()
        assert "…" not in done.stdout
        assert max(map(len, lines)) <= int(width)
        if args[0] == "report":
            assert sum(line.startswith("participant-3") for line in lines) >= 3  # in every part of every table


def test_a_terminal_without_greek_letters(partynli_alone: Partynli, judged_run: Callable[..., Path]) -> None:
    judged_run("toy", ANSWERS, UIDS)
    done = partynli_alone("report", "toy", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "\\u03b1" in done.stdout
    assert "Traceback" not in done.stderr


def test_tables_are_shown_where_they_cannot_be_written(partynli: Partynli, judged_run: Callable[..., Path]) -> None:
    (judged_run("toy", ANSWERS, UIDS) / "report.md").mkdir()
    done = partynli("report", "toy")
    assert done.returncode == 2
    assert "Table 5" in done.stdout
    assert "report.md cannot be written" in done.stderr
    assert "--out" in done.stderr


def test_report_goes_where_it_is_wanted(partynli: Partynli, judged_run: Callable[..., Path], tmp_path: Path) -> None:
    path = judged_run("toy", ANSWERS, UIDS)
    assert partynli("report", "toy", "--out", "there/it").returncode == 0
    assert (tmp_path / "there" / "it" / "report.md").is_file()
    assert not (path / "report.md").exists()
    report(partynli, "toy", "--out", "json")
    written = json.loads((tmp_path / "json" / "report.json").read_text())
    assert written["schema"] == 1


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--scope", "common05"], "unknown scope 'common05' in run toy"),
        (["--convention", "chen2042"], "no convention is called 'chen2042'"),
        (["--items-out", "x.csv"], "--items-out needs people's answers"),
        (["--out", "/dev/null/x"], "cannot be written"),
        (["--draws", "1"], "100"),
        (["--registry", "none.yaml"], "none.yaml"),
    ],
)
def test_bad_input_is_one_line(partynli: Partynli, judged_run: Callable[..., Path], args: list[str], said: str) -> None:
    judged_run("toy", ANSWERS, UIDS)
    done = partynli("report", "toy", *args)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_empty_run(partynli: Partynli, judged_run: Callable[..., Path]) -> None:
    judged_run("empty", {"a": [[None, None]]}, ["i1", "i2"])
    done = partynli("report", "empty")
    assert done.returncode == 2
    assert "run empty holds no answers yet" in done.stderr


def test_synthetic_runs_say_so(partynli: Partynli, tmp_path: Path) -> None:
    assert partynli("sample", "--mix", "demo", "--trials", "1", "--limit", "60", "--run", "demo").returncode == 0
    done = partynli("report", "demo")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("SYNTHETIC") >= 2
    assert "SYNTHETIC" in (tmp_path / "runs" / "demo" / "report.md").read_text()
    assert report(partynli, "demo")["synthetic"] is True


@pytest.fixture
def livenli(environ: dict[str, str]) -> list[dict[str, str]]:
    root = Path(environ.get("PARTYNLI_DATA") or Path(__file__).parents[3] / "shared" / "data")
    file = root / "livenli" / "livenli.csv"
    if not file.is_file():
        pytest.skip("livenli/livenli.csv is not under PARTYNLI_DATA nor under ../shared/data")
    environ["PARTYNLI_DATA"] = str(root)
    with file.open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


@pytest.fixture
def run_over_livenli(livenli: list[dict[str, str]], judged_run: Callable[..., Path]) -> list[str]:
    """A run over all items and one that LiveNLI does not know, whose participants answer as two people did."""
    uids = list(dict.fromkeys(row["uid"] for row in livenli))
    first: dict[str, Counter[str]] = {uid: Counter() for uid in uids}
    for row in livenli:
        chosen = row["multilabel"].split(" | ")
        first[row["uid"]][chosen[0] if len(chosen) == 1 else "either"] += 1
    mode = [first[uid].most_common(1)[0][0] for uid in uids]
    steady, wavering = [mode, mode], [mode, [first[uid].most_common()[-1][0] for uid in uids]]
    judged_run("live", {"steady": steady, "wavering": wavering}, uids)
    judged_run("more", {"steady": [[*mode, "true"]], "wavering": [[*mode, "error"]]}, [*uids, "mine-1"])
    return uids


def test_published_human_figures(partynli: Partynli, run_over_livenli: list[str]) -> None:
    scopes = report(partynli, "live")["scopes"]
    assert list(scopes) == ["common50", "all122"]
    assert [scopes[name]["n_items"] for name in scopes] == [50, 122]
    common, everything = scopes["common50"]["human"], scopes["all122"]["human"]
    printed = {"livenli": (0.639, 0.231), "chaosnli": (0.724, 0.125), "mnli": (0.717, 0.103)}
    for source, (mean, sd) in printed.items():
        assert (round(common[source]["entropy"]["value"], 3), round(common[source]["entropy"]["sd"], 3)) == (mean, sd)
    assert round(common["livenli"]["alpha"]["value"], 3) == 0.262
    assert round(everything["livenli"]["alpha"]["value"], 3) == 0.265
    assert round(everything["livenli"]["entropy"]["value"], 3) == 0.706
    assert everything["livenli"]["n_valid"] == 1405
    assert round(common["chaosnli"]["entropy_rarefied"]["value"], 3) == 0.636
    assert round(common["livenli"]["entropy_rarefied"]["value"], 3) == 0.639
    against = common["livenli"]["against"]
    assert round(against["chaosnli"]["kendall_tau"]["value"], 3) == 0.211
    assert round(against["mnli"]["kendall_tau"]["value"], 3) == -0.023
    nulls = {one["name"]: one["against"]["livenli"] for one in scopes["common50"]["groups"] if one["kind"] == "null"}
    assert round(nulls["uniform"]["js_distance"]["value"], 3) == 0.352
    assert round(nulls["marginal of livenli"]["js_distance"]["value"], 3) == 0.318


def test_the_rest_of_the_report_on_livenli(partynli: Partynli, run_over_livenli: list[str], tmp_path: Path) -> None:
    done = partynli("report", "live", "--items-out", "missed.csv", "--scope", "all122")
    assert done.returncode == 0, done.stderr
    assert "14 of 48 workers have at least 30 items" in done.stdout
    assert "common50" not in done.stdout
    with (tmp_path / "missed.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(float(row["q_value"]) <= 0.05 for row in rows)
    assert all(row["premise"] for row in rows)


def test_items_that_miss_people_are_those_of_the_scope(
    partynli: Partynli, run_over_livenli: list[str], tmp_path: Path
) -> None:
    done = partynli("report", "live", "--items-out", "missed.csv", "--scope", "common50")
    assert done.returncode == 0, done.stderr
    assert "misses livenli beyond sampling on 0 of 50 items" in done.stdout
    assert "of 122 items" not in done.stdout


def test_trials_that_lack_items_are_counted(partynli: Partynli, judged_run: Callable[..., Path]) -> None:
    whole = ["true", "either", "false", "error"]
    judged_run("cut", {"a": [whole, ["true", "either", None, None]], "b": [whole, ["true", None, None, None]]}, UIDS)
    judged_run("whole", {"a": [whole, whole], "b": [whole]}, UIDS)
    note = (
        "participants' trials that lack items: 2 of 4, which hold 1 to 2 of 4; a trial's figures are of the items that "
        "it has, and all trials count the same"
    )
    assert note in report(partynli, "cut")["notes"]
    drawn = partynli("randommix", "cut", "--size", "1", "--draws", "10", "--json")
    assert note in json.loads(drawn.stdout)["notes"]
    assert not any("lack items" in line for line in report(partynli, "whole")["notes"])


def test_items_that_people_did_not_see_are_named_and_counted(partynli: Partynli, run_over_livenli: list[str]) -> None:
    found = report(partynli, "more")
    assert any("1 of 123 items" in note and "mine-1" in note for note in found["notes"])
    assert list(found["scopes"]) == ["common50", "all122", "all"]
    everything = found["scopes"]["all"]
    assert everything["n_items"] == 123
    assert any("livenli knows 122 of 123 items" in note for note in everything["notes"])
    (mix,) = (one for one in everything["groups"] if one["name"] == "mix")
    assert mix["against"]["livenli"]["js_distance"]["n"] == 122
    assert mix["entropy"]["n"] == 123


def test_people_s_counts_beside_the_items(partynli: Partynli, tmp_path: Path) -> None:
    header = "uid,premise,hypothesis,human_true,human_either,human_false\n"
    rows = [f"u{n},It rains {n}.,It is wet.,{n},{10 - n},0\n" for n in range(1, 9)]
    items = tmp_path / "mine.csv"
    items.write_text(header + "".join(rows))
    sampled = partynli("sample", "--mix", "demo", "--items", "mine.csv", "--trials", "1", "--run", "own")
    assert sampled.returncode == 0, sampled.stderr
    found = report(partynli, "own")
    scope = found["scopes"]["all"]
    assert list(found["scopes"]) == ["all"]
    assert list(scope["human"]) == ["human"]
    assert scope["human"]["human"]["n_valid"] == 80
    assert scope["human"]["human"]["label_shares"]["true"] == pytest.approx(36 / 80)
    assert all(one["against"]["human"]["js_distance"]["value"] is not None for one in scope["groups"])
    assert not any("human data" in note for note in found["notes"])

    items.write_text(header + "".join(rows[:6]) + "u7,It rains 7.,It is wet.,,,\nu8,It rains 8.,It is wet.,,,\n")
    found = report(partynli, "own")
    assert any("2 of 8 items have no people's counts in mine.csv: u7, u8" in note for note in found["notes"])
    assert found["scopes"]["all"]["human"]["human"]["n_valid"] == 60

    items.write_text(header + "other,It rains.,It is wet.,1,2,3\n")
    found = report(partynli, "own")
    assert any("none of the run's 8 items has people's counts in mine.csv" in note for note in found["notes"])
    items.unlink()
    found = report(partynli, "own")
    assert any("mine.csv is not there" in note for note in found["notes"])
    assert found["scopes"]["all"]["human"] == {}
