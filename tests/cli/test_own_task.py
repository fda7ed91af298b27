"""Tasks of a user's own, through task.yaml and two templates alone: every command, and nothing of NLI in them."""

from __future__ import annotations

import csv
import json
import os
import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from partynli.metrics import ordinal_alpha, probabilities, wasserstein

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("PARTYNLI_DATA") or ROOT.parent / "shared" / "data")
TWO = ("--participant", "sim-judge", "--participant", "sim-chatty", "--participant", "sim-fickle")

OFFENCE = """
name: offence
labels: ["yes", "no", "unsure"]
fields: [comment]
answer: {label: offensive}
"""
FEELINGS = """
name: feelings
labels: [Joy, Sadness, Anger, Fear, Disgust, Surprise, Nothing at all]
set_labels: true
collapse_to: Nothing at all
fields: [before, line, after]
answer: {label: feelings, explanation: notes.why, highlights: marks}
highlights: {line: line, context: before}
"""
RATING = """
name: rating
labels: ["1", "2", "3", "4"]
ordered: true
fields: [text]
answer: {label: rating, explanation: why}
human: people.csv
"""


@pytest.fixture
def partynli(partynli_here: Any) -> Any:
    return partynli_here


@pytest.fixture
def own(tmp_path: Path) -> Any:
    """Write a task into ./prompts and items into a file, with people's counts where labels are given."""

    def write(task: str, fields: str, items: str = "items.csv", labels: str = "", n: int = 12) -> None:
        name = re.findall(r"name: (\w+)", task)[0]
        folder = tmp_path / "prompts" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "task.yaml").write_text(task)
        (folder / "system.txt").write_text("Answer with JSON.\n")
        (folder / "user.txt").write_text("\n".join(["{}"] * len(fields.split())) + "\n")
        rng = np.random.default_rng(7)
        with (tmp_path / items).open("w", newline="") as file:
            table = csv.writer(file)
            human = [f"human_{label}" for label in labels.split(", ")] if labels else []
            table.writerow(["uid", *fields.split(), *human])
            for k in range(n):
                texts = [f"The {field} number {k} sounds <b>loud</b>." for field in fields.split()]
                table.writerow([f"i{k}", *texts, *(1 + rng.integers(6, size=len(human)))])

    return write


def good(done: Any) -> str:
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def one_line(done: Any) -> str:
    assert done.returncode == 2, done.stdout
    (line,) = done.stderr.splitlines()
    return str(line)


def answers_in(tmp_path: Path, run: str, column: str = "class_multi") -> list[str]:
    with closing(sqlite3.connect(tmp_path / "runs" / run / "run.sqlite")) as db:
        return [found for (found,) in db.execute(f"SELECT {column} FROM judgment ORDER BY trial_key")]


def votes_in(rows: list[Any], uids: Iterable[str]) -> Any:
    given = [row[2:] for row in rows]
    return np.array([[given.count((uid, label)) for label in "1234"] for uid in sorted(uids)])


def test_labels_alone_from_one_text(partynli: Any, own: Any, tmp_path: Path) -> None:
    own(OFFENCE, "comment", labels="yes, no, unsure")
    ask = ("sample", "--task", "offence", "--items", "items.csv", "--trials", "2")
    out = good(partynli(*ask, *TWO, "--run", "r"))
    assert "72 of 72 trials done, 72 of them valid" in out
    assert set(answers_in(tmp_path, "r")) == {"yes", "no", "unsure"}
    assert set(answers_in(tmp_path, "r", "explanation")) == {None}
    assert "unsure" in good(partynli("status", "r")) + good(partynli("report", "r"))
    scope = json.loads(good(partynli("report", "r", "--json")))["scopes"]["all"]
    (mix,) = [one for one in scope["groups"] if one["name"] == "run"]
    assert mix["against"]["human"]["js_distance"]["n"] == 12
    assert "alpha_ordinal" not in mix
    assert "wasserstein" not in mix["against"]["human"]
    assert mix["label_shares"].keys() == {"yes", "no", "unsure"}
    why = one_line(partynli("report", "r", "--explanations", "--embedder", "tfidf"))
    assert why == "partynli: task offence asks for no explanations: there is nothing to compare"
    assert "agreement" in good(partynli("randommix", "r", "--size", "2", "--draws", "20"))
    good(partynli(*ask, "--participant", "sim-typical", "--run", "other"))
    assert "JS distance" in good(partynli("compare", "r", "other"))
    good(partynli("explore", "r", "--out", "r.html", "--no-open"))
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "<b>loud" not in page


def test_an_export_of_it_comes_back_the_same(partynli: Any, own: Any, tmp_path: Path) -> None:
    own(OFFENCE, "comment", labels="yes, no, unsure")
    good(partynli("sample", "--task", "offence", "--items", "items.csv", *TWO, "--run", "r"))
    good(partynli("export", "r", "--out", "x", "--format", "csv", "--include-texts"))
    card = (tmp_path / "x" / "README.md").read_text("utf-8")
    assert "Participants choose one of yes, no, unsure." in card
    assert "explain their choice" not in card
    good(partynli("import", "x", "--run", "again"))
    first, again = (json.loads(good(partynli("report", run, "--json"))) for run in ("r", "again"))
    assert first["scopes"]["all"]["groups"] == again["scopes"]["all"]["groups"]


def test_people_of_ones_own_from_a_table(partynli: Any, own: Any, tmp_path: Path) -> None:
    own(OFFENCE, "comment")
    rows = ["i0,ann,human,yes", "i0,bob,human,NO", "i1,ann,human,unsure", "i1,bob,human,yes|no", "i2,ann,human,maybe"]
    (tmp_path / "t.csv").write_text("sent_id,participant,participant_type,class_multi\n" + "\n".join(rows) + "\n")
    out = good(partynli("import", "t.csv", "--task", "offence", "--items", "items.csv", "--run", "people"))
    assert "2 rows: an unknown label; kept as missing data: t.csv:5 (yes|no), t.csv:6 (maybe)" in out
    assert sorted(answers_in(tmp_path, "people")) == ["error", "error", "no", "unsure", "yes"]
    assert "holds answers of people alone; `partynli report people` shows them" in one_line(
        partynli("compare", "people", "people")
    )


def test_sets_of_seven_labels_on_three_texts(partynli: Any, own: Any, tmp_path: Path) -> None:
    own(FEELINGS, "before line after", labels="Joy, Sadness, Anger, Fear, Disgust, Surprise, Nothing at all", n=20)
    good(partynli("sample", "--task", "feelings", "--items", "items.csv", "--trials", "2", *TWO, "--run", "r"))
    chosen = answers_in(tmp_path, "r")
    assert len({one for one in chosen if "-" not in one}) == 7
    assert any("-" in one for one in chosen)
    assert "error" not in chosen
    marked = [json.loads(one) for one in answers_in(tmp_path, "r", "highlights")]
    assert {span[0] for spans in marked for span in spans} == {"before", "line"}
    assert all(one == "Nothing at all" or "-" not in one for one in answers_in(tmp_path, "r", "class_simple"))
    assert all(answers_in(tmp_path, "r", "explanation"))
    assert set(filter(None, answers_in(tmp_path, "r", "repair"))) <= {"fence", "surrounding_text"}
    assert "Nothing at" in good(partynli("report", "r"))
    assert "it takes three labels, and the task has 7" in one_line(partynli("plot", "ternary", "r"))
    good(partynli("explore", "r", "--out", "r.html", "--no-open"))


@pytest.mark.slow
def test_all_its_figures(partynli: Any, own: Any, tmp_path: Path) -> None:
    own(FEELINGS, "before line after", labels="Joy, Sadness, Anger, Fear, Disgust, Surprise, Nothing at all", n=20)
    good(partynli("sample", "--task", "feelings", "--items", "items.csv", "--trials", "2", *TWO, "--run", "r"))
    out = good(partynli("report", "r", "--out", "all", "--explanations", "--embedder", "tfidf"))
    assert "no figure ternary: it takes three labels, and the task has 7" in out
    drawn = {file.stem for file in (tmp_path / "all" / "plots").iterdir()}
    assert {"consistency", "curve", "entropy", "explanations", "randommix"} <= drawn


def test_ordered_labels_have_figures_of_their_own(partynli: Any, own: Any, tmp_path: Path) -> None:
    own(RATING, "text", items="people.csv", labels="1, 2, 3, 4")
    own(RATING, "text", items="bare.csv")
    good(partynli("sample", "--task", "rating", "--items", "bare.csv", "--trials", "2", "--mix", "demo", "--run", "r"))
    text = good(partynli("report", "r"))
    assert "ordinal" in text
    assert "W: Wasserstein distance on the order of the labels" in " ".join(text.split())
    scope = json.loads(good(partynli("report", "r", "--json")))["scopes"]["all"]
    (mix,) = [one for one in scope["groups"] if one["name"] == "run"]
    with closing(sqlite3.connect(tmp_path / "runs" / "r" / "run.sqlite")) as db:
        rows = db.execute("SELECT trial, participant, item, class_simple FROM judgment").fetchall()
    with (tmp_path / "people.csv").open(newline="") as file:
        people = {row["uid"]: [int(row[f"human_{k}"]) for k in "1234"] for row in csv.DictReader(file)}
    by_trial = [[row for row in rows if row[0] == trial] for trial in (1, 2)]
    votes = np.array([votes_in(some, people) for some in by_trial])
    counts = np.array([people[uid] for uid in sorted(people)])
    alpha, moved = mix["alpha_ordinal"], mix["against"]["human"]["wasserstein"]
    assert alpha["value"] == pytest.approx(float(ordinal_alpha(votes).mean()))  # over trials
    assert scope["human"]["human"]["alpha_ordinal"]["value"] == pytest.approx(float(ordinal_alpha(counts)))
    p, q = probabilities(counts), probabilities(votes)
    assert moved["value"] == pytest.approx(float(wasserstein(p, q).mean()))
    assert moved["null"] == pytest.approx(float(wasserstein(p[:, None, None], q[None]).mean()))
    assert moved["ci"][0] < moved["value"] < moved["ci"][1]
    assert 0 < moved["ceiling"] < moved["value"]
    assert alpha["ci"][0] <= alpha["value"] <= alpha["ci"][1]
    assert alpha["ceiling"] < 1
    alone = [
        ordinal_alpha(votes_in([row for row in rows if row[1] == one], people)) for one in {row[1] for row in rows}
    ]
    assert mix["alpha_within_ordinal"]["value"] == pytest.approx(np.nanmean(alone))
    good(partynli("report", "r", "--items-out", "missed.csv", "--draws", "100"))
    with (tmp_path / "missed.csv").open(newline="") as file:
        missed = {row["uid"]: float(row["wasserstein"]) for row in csv.DictReader(file) if row["group"] == "demo"}
    each = dict(zip(sorted(people), wasserstein(p, q[0]), strict=True))  # of a mix, its first trial
    assert missed == pytest.approx({uid: each[uid] for uid in missed}, abs=1e-5)
    assert missed
    draws = good(partynli("randommix", "r", "--size", "10", "--draws", "5"))
    found = dict(re.findall(r"^(alpha_ordinal|wasserstein) +(?:human +)?(-?\d\.\d+)", draws, re.MULTILINE))
    assert float(found["alpha_ordinal"]) == pytest.approx(alpha["value"], abs=6e-4)  # the whole pool, again and again
    assert float(found["wasserstein"]) == pytest.approx(moved["value"], abs=6e-4)
    same = json.loads(good(partynli("compare", "r", "r", "--json")))
    figures = next(iter(same["groups"].values()))["figures"]
    assert figures["alpha_ordinal"]["difference"] == figures["against"]["human"]["wasserstein"]["difference"] == 0


def test_a_task_that_changed_is_another_plan(partynli: Any, own: Any) -> None:
    own(OFFENCE, "comment")
    ask = ("sample", "--task", "offence", "--items", "items.csv", "--participant", "sim-judge", "--run", "r")
    good(partynli(*ask))
    own(OFFENCE.replace("unsure", "perhaps"), "comment")
    assert 'made by another plan: labels was ["yes","no","unsure"]' in one_line(partynli(*ask))
    own(OFFENCE.replace("offensive", "is_offensive"), "comment")
    assert "made by another plan: answer was" in one_line(partynli(*ask))


@pytest.mark.slow
def test_people_who_chose_from_other_labels_are_left_out(partynli: Any) -> None:
    if not (DATA / "chaosnli_varierr" / "nli_explanations.jsonl").is_file():
        pytest.skip("nli_explanations.jsonl is not under PARTYNLI_DATA nor under ../shared/data")
    environ = {"PARTYNLI_DATA": str(DATA)}
    given = ("--items", "varierr341", "--participant", "sim-judge", "--prompts", str(ROOT / "prompts"))
    good(partynli("sample", "--task", "likelihood", *given, "--run", "r", **environ))
    report = json.loads(good(partynli("report", "r", "--json", **environ)))
    assert report["scopes"]["all"]["human"] == {}
    assert any("people in varierr341 chose from true, either, false; the task has impossible" in note
               for note in report["notes"])  # fmt: skip
    good(partynli("sample", "--task", "varierr", *given, "--run", "v", **environ))
    scope = json.loads(good(partynli("report", "v", "--json", **environ)))["scopes"]["all"]
    assert scope["human"]["varierr"]["label_shares"].keys() == {"entailment", "neutral", "contradiction"}
    assert scope["groups"][0]["against"]["varierr"]["js_distance"]["n"] == 341


def test_init_copies_the_tasks(partynli: Any, tmp_path: Path) -> None:
    good(partynli("init", "mine"))
    for task in ("livenli", "varierr", "likelihood"):
        for file in ("task.yaml", "system.txt", "user.txt"):
            copied = tmp_path / "mine" / "prompts" / task / file
            assert copied.read_bytes() == (ROOT / "prompts" / task / file).read_bytes()
