"""``partynli plan``: from a pilot to a design, its price, and the command that samples it."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from partynli.testing import Behaviour, LoopbackProcess

Command = Callable[..., CompletedProcess[str]]
Study = Callable[..., Path]
UIDS = [f"i{k}" for k in range(12)]
LABELS = ("true", "either", "false")


@pytest.fixture
def pilot(judged_run: Study) -> Callable[..., Path]:
    """A pilot whose participants stick to a label on some items and change on others."""

    def write(participants: int = 6, trials: int = 3, name: str = "pilot") -> Path:
        rng = np.random.default_rng(0)
        shares = rng.dirichlet(np.ones(3), len(UIDS))
        own = [rng.permuted([rng.choice(3, p=p) for p in shares]) for _ in range(participants)]
        answers = {
            f"m{one}": [
                [LABELS[own[one][i] if rng.random() < 0.7 else rng.choice(3, p=p)] for i, p in enumerate(shares)]
                for _ in range(trials)
            ]
            for one in range(participants)
        }
        return judged_run(name, answers, UIDS)

    return write


def test_it_prints_widths_and_marks_the_cheapest_design(pilot: Callable[..., Path], partynli_here: Command) -> None:
    pilot()
    done = partynli_here("plan", "--width", "0.3", "--participants", "6,20", "--trials", "1,4", "--json", "plan.json")
    assert done.returncode == 0, done.stderr
    assert "pilot mix: 6 participants x 3 trials on 12 items" in done.stdout
    assert re.search(r"participants +expected +T = 1 +T = 4", done.stdout)
    assert "uncertain by about 32%" in done.stdout
    assert re.search(r"6 x 1 < +0\.\d+ +72 +\?", done.stdout)
    assert re.search(r"the cheapest: partynli sample --participant m0 .*--trials 1 --items test", done.stdout)


def test_the_json_holds_every_design_and_the_same_seed_gives_the_same(
    pilot: Callable[..., Path], partynli_here: Command, tmp_path: Path
) -> None:
    pilot()
    asked = ("plan", "pilot", "--metric", "entropy", "--metric", "alpha", "--width", "0.4", "--width", "2")
    first = partynli_here(*asked, "--participants", "5,10", "--trials", "1,2", "--json", "plan.json")
    again = partynli_here(*asked, "--participants", "10,5", "--trials", "2,1", "--json", "-")
    found = json.loads((tmp_path / "plan.json").read_text("utf-8"))
    assert json.loads(again.stdout) == found, first.stderr
    assert found["wanted"] == {"entropy": 0.4, "alpha": 2.0}
    assert [(one["participants"], one["trials"], one["calls"]) for one in found["designs"]] == [
        (5, 1, 60),
        (5, 2, 120),
        (10, 1, 120),
        (10, 2, 240),
    ]
    enough = [one for one in found["designs"] if one["enough"]]
    assert all(one["figures"]["entropy"]["width"] <= 0.4 for one in enough)
    assert enough
    cheapest = min(enough, key=lambda one: one["calls"])
    assert found["cheapest"] == {"participants": cheapest["participants"], "trials": cheapest["trials"]}
    assert not found["lacking"]


def test_where_nothing_is_enough_it_says_what_limits(pilot: Callable[..., Path], partynli_here: Command) -> None:
    pilot()
    few = partynli_here("plan", "--width", "0.01", "--participants", "5", "--trials", "1")
    assert few.returncode == 0
    assert re.search(
        r"no number of trials helps.*about [\d,]+ participants would do(, or more items|; more items would not)",
        few.stdout,
    )
    (endless,) = re.findall(r"leave (\S+) with endless trials", few.stdout)
    wanted = f"{float(endless) + 0.005:.3f}"
    assert (
        "would do with more trials"
        in partynli_here("plan", "--width", wanted, "--participants", "5", "--trials", "1").stdout
    )


def test_more_items_narrow_it(pilot: Callable[..., Path], partynli_here: Command) -> None:
    pilot()
    asked = ("plan", "--participants", "6", "--trials", "1", "--json", "-")
    here, more = (json.loads(partynli_here(*asked, *items).stdout) for items in ((), ("--items", "120")))
    assert more["designs"][0]["calls"] == 10 * here["designs"][0]["calls"]
    figures = [one["designs"][0]["figures"]["entropy"] for one in (here, more)]
    assert figures[1]["width"] < figures[0]["width"]
    assert figures[1]["expected"] == figures[0]["expected"]


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((1, 3), "a pilot needs two participants or more, and two trials of each; this one has 1 participant with"),
        ((3, 1), "this one has 1 of m0"),
    ],
)
def test_too_small_a_pilot_is_refused(
    shape: tuple[int, int], said: str, pilot: Callable[..., Path], partynli_here: Command
) -> None:
    pilot(*shape)
    done = partynli_here("plan")
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--metric", "js"), "js needs people's answers"),
        (("--metric", "entropy", "--width", "1", "--width", "2"), "1 --metric and 2 --width do not go together"),
        (("--metric", "alpha", "--metric", "alpha"), "name each figure once"),
        (("--participants", "1,5"), "no list of numbers from 2"),
        (("--trials", "two"), "'two' is no list of numbers"),
        (("--group", "mox"), "mox"),
        (("--json", "nowhere/plan.json"), "cannot be written"),
        (("--width", "nan"), "nan is no width"),
        (("--width", "inf"), "inf is no width"),
    ],
)
def test_what_cannot_be_planned_gets_one_line(
    options: tuple[str, ...], said: str, pilot: Callable[..., Path], partynli_here: Command
) -> None:
    pilot()
    done = partynli_here("plan", *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_js_without_people_is_left_out_beside_others(pilot: Callable[..., Path], partynli_here: Command) -> None:
    pilot()
    done = partynli_here("plan", "--metric", "entropy", "--metric", "js", "--participants", "5", "--trials", "1")
    assert "note: js is left out: no people's answers to these items" in done.stdout
    assert "JS distance" not in done.stdout


def test_cost_and_time_are_the_pilots_and_the_command_runs(
    registry: Callable[..., Path], partynli_here: Command
) -> None:
    with LoopbackProcess(default=Behaviour(seed=3)) as server:
        registry(server.url, ["a", "b", "c", "d"], rpm=600000)
        sampled = partynli_here("sample", "--mix", "test", "--items", "demo", "--trials", "2", "--run", "pilot")
        assert sampled.returncode == 0, sampled.stderr
        done = partynli_here("plan", "--width", "1", "--participants", "2,4,8", "--trials", "1,3", "--json", "-")
        found = json.loads(done.stdout)
        status = json.loads(partynli_here("status", "pilot", "--json").stdout)
        spent = sum(one["cost"] for one in status["participants"])
        design = next(one for one in found["designs"] if (one["participants"], one["trials"]) == (4, 3))
        assert design["dollars"] == pytest.approx(spent * 3 / 2)
        assert design["seconds"] == pytest.approx(4 * 3 * 24 * 60 / 600000 / 0.985)
        assert found["cheapest"] == {"participants": 2, "trials": 1}
        words = shlex.split(found["command"])
        assert words == shlex.split("partynli sample --participant a --participant b --trials 1 --items demo")
        again = partynli_here(*words[1:], "--run", "study")
        assert "48 of 48 trials done" in again.stdout, again.stderr
        wide = partynli_here("plan", "pilot", "--width", "1", "--participants", "8", "--trials", "1")
        assert "the cheapest: partynli sample --mix test --trials 1 --items demo\n" in wide.stdout
        assert "the design has 4 more participants: add each by --participant NAME\n" in wide.stdout
        more = json.loads(
            partynli_here("plan", "pilot", "--width", "1", "--participants", "4", "--items", "99", "--json", "-").stdout
        )
        assert more["command"] == "partynli sample --mix test --trials 1 --items demo"
        assert more["command_lacks"] == ["the design has 99 items: give them by --items in the place of demo"]


def test_a_night_between_two_sessions_is_no_part_of_the_pace(
    registry: Callable[..., Path], partynli_here: Command, tmp_path: Path
) -> None:
    with LoopbackProcess(default=Behaviour(seed=3)) as server:
        registry(server.url, ["a", "b"])
        partynli_here("sample", "--mix", "test", "--items", "demo", "--trials", "2", "--run", "pilot")
    db = sqlite3.connect(tmp_path / "runs" / "pilot" / "run.sqlite")
    with db:
        (n,) = db.execute("SELECT count(*) FROM attempt").fetchone()
        db.execute("UPDATE attempt SET at = 1e9 + id + iif(id > ?, 50000, 0)", (n / 2,))
    db.close()
    asked = ("plan", "--participants", "2", "--trials", "2", "--json", "-")
    (design,) = json.loads(partynli_here(*asked).stdout)["designs"]
    assert design["seconds"] == pytest.approx(n - 2)


# --- strange pilots ---


def drawn(participants: int, trials: int, rng: np.random.Generator) -> dict[str, list[list[str | None]]]:
    return {
        f"m{one}": [[str(label) for label in rng.choice(LABELS, len(UIDS))] for _ in range(trials)]
        for one in range(participants)
    }


def expected_entropy(partynli_here: Command, size: int = 4) -> float:
    asked = ("plan", "--participants", str(size), "--trials", "1", "--json", "-")
    return float(json.loads(partynli_here(*asked).stdout)["designs"][0]["figures"]["entropy"]["expected"])


def test_trials_that_some_have_alone_do_not_lower_the_expected_figure(
    judged_run: Study, partynli_here: Command
) -> None:
    answers = drawn(4, 2, np.random.default_rng(0))
    judged_run("even", answers, UIDS)
    even = expected_entropy(partynli_here)
    more = drawn(4, 6, np.random.default_rng(1))["m0"]
    judged_run("uneven", {**answers, "m0": [*answers["m0"], *more]}, UIDS)
    assert expected_entropy(partynli_here) == pytest.approx(even, abs=0.02)
    assert "note: figures are of trials 1 to 2, which all participants have" in partynli_here("plan").stdout


def test_who_gave_no_valid_answer_is_no_participant_of_the_pilot(judged_run: Study, partynli_here: Command) -> None:
    answers = drawn(4, 2, np.random.default_rng(0))
    judged_run("without", answers, UIDS)
    without = expected_entropy(partynli_here)
    judged_run("silent", {**answers, "broken": [["error"] * len(UIDS)] * 2}, UIDS)
    assert expected_entropy(partynli_here) == without
    done = partynli_here("plan")
    assert "note: without a valid answer, and left out: broken" in done.stdout
    assert "pilot mix: 4 participants" in done.stdout


def test_what_is_undefined_is_said_to_be(judged_run: Study, partynli_here: Command) -> None:
    judged_run("equal", {f"m{one}": [["true"] * len(UIDS)] * 2 for one in range(5)}, UIDS)
    asked = ("plan", "--metric", "entropy", "--metric", "alpha", "--participants", "3,9", "--trials", "1,4")
    found = json.loads(partynli_here(*asked, "--json", "-").stdout)
    assert all(one["figures"]["alpha"] == {"expected": None, "width": None} for one in found["designs"])
    assert not any(one["enough"] for one in found["designs"])
    assert [(one["figure"], one["bound_by"]) for one in found["lacking"]] == [("alpha", None)]
    done = partynli_here(*asked)
    assert "alpha: undefined on the pilot's answers" in done.stdout
    assert "nan" not in done.stdout
    assert not done.stderr


def test_participants_without_a_common_item_are_no_pilot(judged_run: Study, partynli_here: Command) -> None:
    halves = [[label if k % 2 == part else None for k, label in enumerate(["true"] * len(UIDS))] for part in (0, 1)]
    judged_run("apart", {"a": [halves[0]] * 2, "b": [halves[1]] * 2}, UIDS)
    done = partynli_here("plan")
    assert done.returncode == 2
    assert "no item of the pilot has valid answers of two participants" in done.stderr


def test_few_common_items_are_told(judged_run: Study, partynli_here: Command) -> None:
    answers = drawn(4, 2, np.random.default_rng(0))
    answers["m3"] = [[*given[:3], *[None] * (len(UIDS) - 3)] for given in answers["m3"]]
    judged_run("few", answers, UIDS)
    assert "participants answered 81% of the items on average" in partynli_here("plan").stdout


def test_one_item_has_no_alpha(judged_run: Study, partynli_here: Command) -> None:
    judged_run("one", {name: [["true"], ["either"]] for name in "abc"}, ["i0"])
    assert "needs two items or more" in partynli_here("plan", "--metric", "alpha").stderr
    both = partynli_here("plan", "--metric", "alpha", "--metric", "entropy")
    assert "note: alpha is left out" in both.stdout


def test_participants_of_an_experiment_are_not_named_in_a_command(judged_run: Study, partynli_here: Command) -> None:
    answers = drawn(4, 2, np.random.default_rng(0))
    judged_run("varied", {f"m@temperature={k}": given for k, given in enumerate(answers.values())}, UIDS)
    done = partynli_here("plan", "--width", "9")
    assert "the cheapest: " not in done.stdout
    assert "m@temperature=0 is a participant of an experiment, which cannot be asked by name" in done.stdout
