"""Reports as text: schema 1 without NaN, tables that no name can break, spreadsheets that run nothing."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
import pytest

from partynli.aggregate import ASKED_IN_VAIN, Answers
from partynli.analysis.overview import Overview, overview_of
from partynli.analysis.scope import Choices
from partynli.analysis.surprises import Surprise
from partynli.items import Dataset, ItemSource
from partynli.labels import LABELS
from partynli.metrics import CONVENTIONS, convention
from partynli.records import Participant
from partynli.report.items_csv import items_csv
from partynli.report.json_report import to_json
from partynli.report.markdown import to_markdown
from partynli.spreadsheets import spreadsheet_safe

FIGURE = {"value", "sd", "ci", "n", "ceiling", "null"}
NASTY = "a|b\n# <img src=x onerror=alert(1)> `x` [l](http://x)\x1b[31m"


def overview(
    *,
    codes: np.ndarray | None = None,
    human: bool = True,
    paper: str = "kulmizev2026",
    name: str = "p1",
    **changed: Any,
) -> Overview:
    if codes is None:
        codes = np.random.default_rng(0).choice(3, p=[0.5, 0.3, 0.2], size=(4, 2, 12))
    answers = Answers(
        labels=LABELS,
        sets=LABELS,
        items=tuple(f"i{k:02}" for k in range(codes.shape[2])),
        participants=tuple(Participant(f"p{k}" if k != 1 else name, "openai", f"p{k}", {}) for k in range(len(codes))),
        simple=codes.astype(np.int16),
        multi=codes.astype(np.int16),
        groups={"mix": tuple(range(len(codes))), "two": (0, 1)},
        synthetic=False,
    )
    answers = replace(answers, **changed)
    rng = np.random.default_rng(7)
    found = {
        source: {
            uid: tuple(row.tolist())
            for uid, row in zip(
                answers.items, rng.multinomial(n, [0.4, 0.35, 0.25], size=len(answers.items)), strict=True
            )
        }
        for source, n in (("livenli", 10), ("chaosnli", 100), ("mnli", 5))
    }
    dataset = Dataset("people", ItemSource.of([], "people"), distributions=found) if human else None
    return overview_of("test", answers, dataset, {"all": answers.items}, Choices(convention(paper), draws=150))


def parsed(text: str) -> dict[str, Any]:
    def refuse(constant: str) -> NoReturn:
        raise AssertionError(f"{constant} is no JSON")

    report: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return report


def test_the_schema_that_other_tools_read() -> None:
    report = parsed(to_json(overview()))
    assert {"schema", "run", "synthetic", "convention", "scopes"} <= report.keys()
    assert (report["schema"], report["run"], report["synthetic"]) == (1, "test", False)
    scope = report["scopes"]["all"]
    assert scope["n_items"] == 12
    assert list(scope["human"]) == ["livenli", "chaosnli", "mnli"]
    assert scope["human"]["livenli"]["entropy"].keys() >= FIGURE
    assert scope["human"]["livenli"]["alpha"].keys() >= FIGURE
    assert [one["kind"] for one in scope["groups"]] == ["mix"] * 3 + ["participant"] * 4 + ["null"] * 5
    for group in scope["groups"]:
        keys = {"name", "kind", "participants", "trials", "n_valid", "n_asked", "label_shares", "against"}
        figures = {"entropy", "entropy_rarefied", "alpha", "alpha_within", "consistency"}
        assert keys | figures <= group.keys()
        assert all(group[name].keys() >= FIGURE for name in figures)
        assert list(group["against"]) == ["livenli", "chaosnli", "mnli"]
        for against in group["against"].values():
            names = {"js_distance", "kendall_tau", "kl_pq", "kl_qp", "agreement", "tvd"}
            assert names <= against.keys()
            assert all(figure.keys() >= FIGURE for figure in against.values())
    js = scope["groups"][0]["against"]["livenli"]["js_distance"]
    assert js["ci"][0] <= js["value"] <= js["ci"][1]
    assert js["n"] == 12
    assert 0 < js["ceiling"] < js["null"] + 1
    assert 0 < scope["groups"][0]["against"]["livenli"]["kendall_tau"]["p"] <= 1


@pytest.mark.parametrize(
    "codes",
    [np.full((3, 2, 12), ASKED_IN_VAIN), np.ones((3, 2, 12)), np.ones((2, 1, 1)), np.zeros((2, 2, 3))],
    ids=["all errors", "one label", "one item", "few items"],
)
@pytest.mark.parametrize("human", [True, False])
def test_undefined_figures_are_null_and_dashes(codes: np.ndarray, human: bool) -> None:
    found = overview(codes=codes, human=human)
    report = parsed(to_json(found))
    mix = report["scopes"]["all"]["groups"][0]
    assert mix["alpha"]["value"] is None
    assert mix["alpha"]["ci"] is None
    text = to_markdown(found)
    assert "–" in text
    assert "nan" not in text.casefold()


def test_without_people_their_columns_are_empty_and_say_why() -> None:
    found = overview(human=False)
    scope = parsed(to_json(found))["scopes"]["all"]
    assert scope["human"] == {}
    assert all(one["against"] == {} for one in scope["groups"])
    assert scope["groups"][0]["entropy"]["value"] > 0
    assert "no people's answers to these items" in to_markdown(found)


@pytest.mark.parametrize("paper", CONVENTIONS)
def test_conventions(paper: str) -> None:
    report = parsed(to_json(overview(paper=paper)))
    ours = parsed(to_json(overview()))["scopes"]["all"]["groups"][0]
    mix = report["scopes"]["all"]["groups"][0]
    assert report["convention"] == paper
    bits = np.log(2) if paper == "chaosnli2020" else 1.0
    for name in ("entropy", "entropy_rarefied", "entropy_miller_madow"):
        if ours[name]["value"] is not None:
            assert mix[name]["value"] * bits == pytest.approx(ours[name]["value"])
    assert ("distance_correlation" in mix["against"]["livenli"]) == paper.startswith("chen")
    uniform = next(one for one in report["scopes"]["all"]["groups"] if one["name"] == "uniform")
    if paper.startswith("chen"):
        assert uniform["against"]["livenli"]["distance_correlation"]["value"] == 0


def test_synthetic_runs_say_so_everywhere() -> None:
    found = overview(synthetic=True)
    assert parsed(to_json(found))["synthetic"] is True
    assert to_markdown(found).count("SYNTHETIC") >= 2
    assert "SYNTHETIC" not in to_markdown(overview())


def test_names_cannot_become_markup() -> None:
    text = to_markdown(overview(name=NASTY))
    assert "<img" not in text.replace("\\<img", "")
    assert "\x1b" not in text
    rows = [line for line in text.splitlines() if "onerror" in line]
    assert rows
    assert all(line.startswith("| a\\|b \\# \\<img") for line in rows if line.startswith("|"))
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    for table in tables:
        widths = {line.replace("\\|", "").count("|") for line in table.splitlines()}
        assert len(widths) == 1


def test_same_seed_same_report() -> None:
    assert to_json(overview()) == to_json(overview())


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20", " ="])
def test_a_spreadsheet_runs_nothing(start: str) -> None:
    assert spreadsheet_safe(f"{start}cmd") == f"'{start}cmd"
    one = Surprise("-g", "livenli", "u", 0.01, 0.001, 0.5, 0.4, 0.6, (10, 0, 0), (0, 0, 9), "true", "false")
    text = items_csv([one], LABELS, {"u": {"premise": f"{start}1+1"}}, run="r", synthetic=True)
    (row,) = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    assert (row["group"], row["premise"], row["synthetic"]) == ("'-g", f"'{start}1+1", "SYNTHETIC")
    assert (row["human_true"], row["model_false"], row["q_value"]) == ("10", "9", "0.01")
