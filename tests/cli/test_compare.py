"""``partynli compare`` as a person runs it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

DATA = Path(os.environ.get("PARTYNLI_DATA") or Path(__file__).parents[3] / "shared" / "data")
UIDS = [f"i{k}" for k in range(12)]
LABELS = ("true", "either", "false")


@pytest.fixture
def partynli(partynli_here: Any) -> Any:
    return partynli_here


def labels_of(seed: int, n: int = 12) -> list[str]:
    return np.random.default_rng(seed).choice(LABELS, size=n).tolist()


def strictly(text: str) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in JSON")

    return json.loads(text, parse_constant=refuse)


def one_line(done: Any) -> str:
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    return str(line)


def test_two_sampled_runs_on_livenli(partynli: Any) -> None:
    if not (DATA / "livenli" / "livenli.csv").is_file():
        pytest.skip("livenli.csv is not under PARTYNLI_DATA nor under ../shared/data")
    environ = {"PARTYNLI_DATA": str(DATA)}
    for name, trials in (("one", "1"), ("two", "2")):
        given = ("--mix", "demo", "--items", "livenli", "--trials", trials, "--run", name)
        assert partynli("sample", *given, **environ).returncode == 0
    done = partynli("compare", "one", "two", **environ)
    assert done.returncode == 0, done.stderr
    assert "50 items that both have" in done.stdout
    assert "JS distance  chaosnli" in done.stdout
    assert "the first 1 of each compared" in done.stdout
    found = strictly(partynli("compare", "one", "two", "--scope", "all122", "--json", **environ).stdout)
    assert (found["runs"], found["scope"], found["n_items"]) == (["one", "two"], "all122", 122)
    js = found["groups"]["demo"]["figures"]["against"]["mnli"]["js_distance"]
    assert (js["n"], js["difference"], js["p"], js["ci"]) == (110, 0, 1, [0, 0])  # the same simulated answers


def test_items_that_one_run_lacks_are_named_and_counted(partynli: Any, judged_run: Any) -> None:
    people = {f"p{k}": [labels_of(k)] for k in range(5)}
    others = {f"q{k}": [labels_of(50 + k)] for k in range(4)}
    judged_run("a", people, UIDS)
    judged_run("b", others, [*UIDS[2:], "x", "y"], {"other": list(others)})
    found = strictly(partynli("compare", "a", "b", "--json").stdout)
    assert found["n_items"] == 10
    assert list(found["groups"]) == ["run"]  # no group of the same name
    notes = " / ".join(found["notes"])
    assert "2 items only in a, left out: i0, i1" in notes
    assert "2 items only in b, left out: x, y" in notes
    assert any("sample size" in note for note in found["groups"]["run"]["notes"])
    assert found["groups"]["run"]["a"] == {"participants": 5, "trials": 1, "n_valid": 50, "n_asked": 50}
    again = partynli("compare", "a", "b", "--json").stdout
    assert strictly(again) == found
    assert strictly(partynli("compare", "a", "b", "--json", "--seed", "5").stdout) != found


def test_the_order_of_items_in_the_runs_changes_nothing(partynli: Any, judged_run: Any) -> None:
    people = {f"p{k}": [labels_of(k)] for k in range(5)}
    judged_run("a", people, UIDS)
    judged_run("b", {f"p{k}": [labels_of(70 + k)] for k in range(5)}, UIDS)
    judged_run("turned", {name: [given[0][::-1]] for name, given in people.items()}, UIDS[::-1])
    found, other = (strictly(partynli("compare", run, "b", "--json").stdout)["groups"] for run in ("a", "turned"))
    assert found == other


def test_other_people_beside_the_same_items_are_told_of(partynli: Any, tmp_path: Path) -> None:
    for name, votes in (("a", "9,1,0"), ("b", "1,8,1"), ("c", ",,")):
        rows = [f"u{k},Premise {k}.,It rains.,{votes}" for k in range(3)]
        head = "uid,premise,hypothesis," + ",".join(f"human_{label}" for label in LABELS)
        (tmp_path / f"{name}.csv").write_text("\n".join([head, *rows]) + "\n")
        given = ("--mix", "demo", "--items", f"{name}.csv", "--trials", "1", "--run", name)
        assert partynli("sample", *given).returncode == 0
    said = "people's answers to these items are not the same in both runs: a's are taken"
    assert said in strictly(partynli("compare", "a", "b", "--json").stdout)["notes"]
    for one, other in (("a", "a"), ("a", "c"), ("c", "a")):
        found = strictly(partynli("compare", one, other, "--json").stdout)
        assert said not in found["notes"]
        assert list(found["groups"]["demo"]["figures"]["against"]) == ["human"]


def test_other_texts_under_one_uid_are_named(partynli: Any, tmp_path: Path) -> None:
    for name, third in (("a", "It rains."), ("b", "It snows."), ("c", "")):
        rows = [f"u{k},Premise {k}.,It rains." for k in range(2)] + ([f"u2,Premise 2.,{third}"] if third else [])
        (tmp_path / f"{name}.csv").write_text("\n".join(["uid,premise,hypothesis", *rows]) + "\n")
        answers = [f"u{k},m{m},{LABELS[(k + m) % 3]}" for k in range(3) for m in range(2)]
        (tmp_path / "t.csv").write_text("\n".join(["sent_id,participant,class_multi", *answers]) + "\n")
        done = partynli("import", "t.csv", "--items", f"{name}.csv", "--run", name)
        assert done.returncode == 0, done.stderr
    said = "1 items have other texts in B than in A, and may be other items: u2"
    assert said in strictly(partynli("compare", "a", "b", "--json").stdout)["notes"]
    assert said not in strictly(partynli("compare", "a", "c", "--json").stdout)["notes"]  # c knows no text of u2


def test_one_participant_against_another(partynli: Any, judged_run: Any) -> None:
    judged_run("a", {"p": [labels_of(k) for k in range(3)], "q": [labels_of(9)]}, UIDS)
    done = partynli("compare", "a", "a", "--group", "p")
    assert done.returncode == 0, done.stderr
    assert "–" in done.stdout  # alpha of one rater
    assert "nan" not in done.stdout
    assert "1 and 1 participants" in done.stdout
    assert "unknown group 'z' in a" in one_line(partynli("compare", "a", "a", "--group", "z"))


def test_what_cannot_be_compared(partynli: Any, judged_run: Any) -> None:
    judged_run("a", {"p": [labels_of(0)]}, UIDS)
    judged_run("far", {"p": [labels_of(0)]}, [f"j{k}" for k in range(12)])
    judged_run("empty", {"p": [[None] * 12]}, UIDS)
    assert "share no item" in one_line(partynli("compare", "a", "far"))
    assert "run empty holds no answers yet" in one_line(partynli("compare", "a", "empty"))


def test_undefined_figures_are_dashes_and_null(partynli: Any, judged_run: Any) -> None:
    judged_run("a", {"p": [labels_of(0)], "q": [labels_of(1)]}, UIDS)
    judged_run("b", {"p": [["either"] * 12], "q": [["either"] * 12]}, UIDS)
    alpha = strictly(partynli("compare", "a", "b", "--json").stdout)["groups"]["mix"]["figures"]["alpha"]
    assert alpha["difference"] is None
    assert alpha["p"] is None
    assert alpha["ci"] == [None, None]
