"""Tables of others' answers: the same figures whichever way they come, and nothing odd is passed over in silence."""

from __future__ import annotations

import csv
import json
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from partynli.aggregate import NOT_ASKED, Answers, load_answers
from partynli.analysis.imported import Imported, import_tables
from partynli.analysis.imported.participants import cast
from partynli.analysis.imported.rows import Reader, Source
from partynli.errors import InputError, PartyNLIError, RegistryError, RunError, StoreError
from partynli.items import Dataset, ItemSource, load_dataset
from partynli.metrics import entropy, item_mean, krippendorff_alpha, probabilities
from partynli.providers import provider_for
from partynli.records import Item, Participant, Task
from partynli.store import JudgmentRow, Run, importing

DATA = Path(os.environ.get("PARTYNLI_DATA") or Path(__file__).parents[3] / "shared" / "data")
COLUMNS = ["sent_id", "participant", "trial", "class_simple", "class_multi", "explanation"]
COLUMNS += ["participant_type", "experiment", "num_params", "temperature", "top_p", "id"]
UIDS = ("a", "b", "c")


def row(sent_id: str = "a", participant: str = "m", multi: str = "true", **given: object) -> dict[str, object]:
    return {"sent_id": sent_id, "participant": participant, "class_multi": multi, **given}


@pytest.fixture
def items() -> Dataset:
    known = [Item(uid, {"premise": f"{uid}.", "hypothesis": "So."}) for uid in UIDS]
    return Dataset("three", ItemSource.of(known, "three"))


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Write rows as CSV or parquet, by the end of the name."""

    def write(rows: Iterable[dict[str, object]], name: str = "t.csv", columns: Sequence[str] = ()) -> Path:
        rows = list(rows)
        header = columns or list(dict.fromkeys(key for one in rows for key in one))
        path = tmp_path / name
        if path.suffix == ".csv":
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(header)
                writer.writerows([one.get(key, "") for key in header] for one in rows)
        else:
            pq.write_table(pa.table({key: [one.get(key) for one in rows] for key in header}), path)
        return path

    return write


@pytest.fixture
def take(tmp_path: Path, task: Task, items: Dataset) -> Callable[..., tuple[Imported, Answers]]:
    """Import files into a run, and read it."""

    def run(*paths: Path, name: str = "r", dataset: Dataset | None = None) -> tuple[Imported, Answers]:
        done = import_tables(paths, tmp_path / "runs" / name, task, dataset or items, {})
        with Run.open(tmp_path / "runs" / name) as opened:
            return done, load_answers(opened, task)

    return run


def counted(answers: Answers, group: str) -> Any:
    return answers.counts(answers.groups[group]).tolist()


def members(answers: Answers, group: str) -> list[str]:
    return [answers.names[number] for number in answers.groups[group]]


def labels(answers: Answers, name: str = "m") -> list[list[str]]:
    """Label sets by trial and item; ``-`` for missing data, an empty text where nothing was asked."""
    signs = (*answers.sets, "", "-")
    return [[signs[code] for code in trial] for trial in answers.multi[answers.names.index(name)].tolist()]


def odd(done: Imported) -> dict[str, int]:
    return {kind: found.count for kind, found in done.odd.items()}


@pytest.mark.skipif(not (DATA / "livenli").is_dir(), reason="the LiveNLI data is not on this machine")
@pytest.mark.parametrize("name", ["people.csv", "people.parquet"])
def test_people_of_livenli_give_the_published_figures(
    name: str, table: Any, take: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARTYNLI_DATA", str(DATA))
    livenli = load_dataset("livenli")
    rows = [
        row(
            one.uid,
            one.worker,
            " | ".join(reversed(one.class_multi.split("-"))).title(),
            class_simple=one.class_simple,
            explanation=one.explanation,
            participant_type="human",
            experiment="human",
            id=one.worker,
        )
        for one in livenli.annotations
    ]
    random.Random(0).shuffle(rows)
    done, answers = take(table(rows, name, COLUMNS), dataset=livenli)
    assert (done.n_judgments, done.n_errors, done.n_items, odd(done)) == (1405, 0, 122, {})
    assert members(answers, "human")[:3] == ["w0", "w1", "w2"]
    assert len(members(answers, "human")) == 48
    assert answers.items == tuple(item.uid for item in livenli.items)
    counts = answers.counts(answers.groups["human"])
    assert {uid: tuple(of) for uid, of in zip(answers.items, counts.tolist(), strict=True)} == dict(
        livenli.distributions["livenli"]
    )
    assert round(float(krippendorff_alpha(counts)), 3) == 0.265
    assert round(float(item_mean(entropy(probabilities(counts)))), 3) == 0.706


def as_rows(answers: Answers, group: str) -> list[dict[str, object]]:
    """A run as such a table."""
    rows = []
    for number, name in enumerate(answers.names):
        for trial, codes in enumerate(answers.multi[number].tolist(), start=1):
            for uid, code in zip(answers.items, codes, strict=True):
                if code != NOT_ASKED:
                    multi = (*answers.sets, "error")[code]
                    simple = multi if "-" not in multi else "either"
                    rows.append(row(uid, name, multi, trial=trial, class_simple=simple, experiment=group, top_p=None))
    return rows


@pytest.mark.parametrize("seed", range(6))
def test_a_run_comes_back_the_same_from_csv_and_from_parquet_in_any_order(
    seed: int, table: Any, take: Any, items: Dataset, tmp_path: Path, task: Task
) -> None:
    rng = random.Random(seed)
    sets = ("true", "either", "false", "either-false", "false-true", "error")
    people = [Participant(f"p{k}", "simulated", f"p{k}", {}) for k in rng.sample(range(20), rng.randint(1, 5))]
    plan = {"participants": [one.id for one in people], "trials": [3] * len(people), "items": "three", "n_items": 3}
    manifest = {"plan": {**plan, "groups": {}, "reasks": 0}, "synthetic": True}
    made = [
        JudgmentRow(
            f"{one.id}{trial}{uid}",
            one.id,
            uid,
            trial,
            chosen if "-" not in chosen else "either",
            chosen,
            *[None] * 4,
            "",
        )
        for one in people
        for trial in (1, 2, 3)
        for uid in UIDS
        for chosen in (rng.choice(sets),)
        if rng.random() < 0.8 or trial == 1
    ]
    with importing(
        tmp_path / "runs" / "made", manifest, people, items.items, {"mix": [one.id for one in people]}
    ) as run:
        run.add(made, {})
    with Run.open(tmp_path / "runs" / "made") as opened:
        original = load_answers(opened, task)
    rows = as_rows(original, "mix")
    rng.shuffle(rows)
    for name in ("t.csv", "t.parquet"):
        _, answers = take(table(rows, name, COLUMNS), name=name)
        order = [original.names.index(one) for one in answers.names]
        assert answers.items == original.items
        np.testing.assert_array_equal(answers.simple, original.simple[order])
        assert counted(answers, "mix") == counted(original, "mix")
        assert [labels(answers, one) for one in answers.names] == [labels(original, one) for one in answers.names]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("false-either", "either-false"),
        ("true | either", "either-true"),
        ("FALSE, True", "false-true"),
        ("['true', 'either', 'false']", "either-false-true"),
        ("either/either", "either"),
        (" True ", "true"),
        ("Error", "-"),
    ],
)
def test_sets_are_read_in_every_spelling(written: str, expected: str, table: Any, take: Any) -> None:
    done, answers = take(table([row(multi=written)]))
    assert labels(answers) == [[expected]]
    assert not done.odd


def test_one_class_column_is_enough(table: Any, take: Any) -> None:
    simple = [{"sent_id": uid, "participant": "m", "class_simple": label} for uid, label in (("a", "true"), ("b", ""))]
    done, answers = take(table(simple))
    assert labels(answers) == [["true", "-"]]
    assert odd(done) == {"no_label": 1}
    done, answers = take(table([row(multi="true-false")], "u.csv"), name="s")
    assert answers.labels[answers.simple[0, 0, 0]] == "either"


ODD_ROWS = {
    "no_item": (row("  "), ""),
    "no_participant": (row("a", ""), ""),
    "trial": (row(trial="1.5"), "(1.5)"),
    "number": (row(temperature="warm"), "(warm)"),
    "no_label": (row("b", multi="nan"), "(nan)"),
    "unknown_label": (row("b", multi="perhaps"), "(perhaps)"),
    "contradiction": (row("b", multi="true", class_simple="false"), "(false / true)"),
    "type": (row("b", participant_type="robot"), "(robot)"),
    "duplicate": (row("c"), "(m, item c, trial 1)"),
    "conflict": (row("c", multi="either"), "(m, item c, trial 1: either after true)"),
}


@pytest.mark.parametrize("kind", ODD_ROWS)
@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_an_odd_row_is_counted_and_named(kind: str, name: str, table: Any, take: Any) -> None:
    given, what = ODD_ROWS[kind]
    columns = ["sent_id", "participant", "trial", "class_simple", "class_multi", "participant_type", "temperature"]
    rows = [row("c"), given, row("a")]
    texts = [{key: str(one.get(key, "")) for key in columns} for one in rows]
    done, answers = take(table(texts, name, columns))
    line = "3" if name.endswith("csv") else "2"
    assert odd(done) == {kind: 1}
    assert done.odd[kind].examples == [f"{name}:{line} {what}".strip()]
    kept = {"no_label": "-", "unknown_label": "-", "contradiction": "true", "type": "true"}
    expected = ["true", kept[kind], "true"] if kind in kept else ["true", "true"]
    assert labels(answers) == [expected]
    assert done.n_judgments == len(expected)


def test_many_odd_rows_are_all_counted_and_the_first_named(table: Any, take: Any) -> None:
    done, _ = take(table([row(), *(row("b", multi="?") for _ in range(9000))]))
    assert odd(done) == {"unknown_label": 9000, "duplicate": 8999}
    assert len(done.odd["duplicate"].examples) == 3


def test_what_another_label_was_is_kept(table: Any, take: Any, tmp_path: Path) -> None:
    take(table([row(multi="Perhaps", id="m-1", note="x\ny"), row("b", note="")]))
    db = sqlite3.connect(tmp_path / "runs" / "r" / "run.sqlite")
    kept = dict(db.execute("SELECT item, body.json FROM judgment JOIN body ON hash = trial_key"))
    db.close()
    assert {item: json.loads(text) for item, text in kept.items()} == {
        "a": {"id": "m-1", "note": "x\ny", "class_multi": "Perhaps"}
    }


def test_explanations_come_to_the_letter(table: Any, take: Any, tmp_path: Path) -> None:
    text = 'He said "no",\nthen\r\n\tleft. \u2028 ü '
    for number, name in enumerate(("t.csv", "t.parquet")):
        take(table([row(explanation=text), row("b", explanation="")], name), name=f"r{number}")
        db = sqlite3.connect(tmp_path / "runs" / f"r{number}" / "run.sqlite")
        assert db.execute("SELECT explanation, reader, source FROM judgment ORDER BY item").fetchall() == [
            (text, "import", "import"),
            (None, "import", "import"),
        ]
        db.close()


def test_lines_are_counted_over_raw_line_breaks(table: Any, take: Any, tmp_path: Path) -> None:
    path = table([row(explanation="one\ntwo\nthree"), row("b", multi="?")])
    path.write_text(path.read_text() + "c,m\n")
    done, _ = take(path)
    assert done.odd["unknown_label"].examples == ["t.csv:5 (?)"]
    assert done.odd["cells"].examples == ["t.csv:6 (2 for 4)"]


def test_mixes_grids_sizes_and_people_become_groups(table: Any, take: Any) -> None:
    rows = [
        row(participant="x", experiment="model_mix_hi"),
        row(participant="y", experiment="model_mix_lo"),
        row(participant="g", experiment="hp_ablation", num_params=8),
        row(participant="g", experiment="hp_ablation", num_params=8, temperature=0.1 + 0.2),
        row(participant="g", experiment="hp_ablation", num_params=8, top_p=0.7),
        row(participant="g", experiment="hp_ablation", num_params=8, temperature=1.0, top_p=0.7),
        row(participant="s-4b", experiment="size_ablation", num_params="4.0"),
        row(participant="s", experiment="size_ablation", num_params=12),
        row(participant="s", experiment="size_ablation", num_params=1),
        row(participant="w9", experiment="human", participant_type="human"),
        row(participant="x", experiment="pilot"),
    ]
    done, answers = take(table(rows))
    assert {name: members(answers, name) for name in answers.groups} == {
        "hi": ["x"],
        "lo": ["y"],
        "all": ["x", "y"],
        "grid:g": ["g", "g@temperature=0.3", "g@temperature=1@top_p=0.7", "g@top_p=0.7"],
        "temperature:g": ["g@temperature=0.3"],
        "top_p:g": ["g@top_p=0.7"],
        "size:s": ["s-1b", "s-4b", "s-12b"],
        "human": ["w9"],
        "pilot": ["x"],
    }
    found = {one.name: one for one in answers.participants}
    assert found["g@temperature=1@top_p=0.7"].params == {"temperature": 1.0, "top_p": 0.7}
    assert (found["s-12b"].size_b, found["s-12b"].family, found["g"].size_b) == (12, "s", 8)
    assert done.relisted == 1
    assert not done.odd


def test_another_sample_in_another_experiment_is_another_participant(table: Any, take: Any) -> None:
    rows = [row(uid, "q-8b", "true", experiment="model_mix_hi") for uid in UIDS]
    rows += [row(uid, "q", "false" if uid == "b" else "true", experiment="size_ablation", num_params=8) for uid in UIDS]
    rows += [row(uid, "q", "true", experiment="size_ablation", num_params=4) for uid in UIDS]
    for number, given in enumerate((rows, rows[::-1])):
        done, answers = take(table(given, f"{number}.csv"), name=str(number))
        assert members(answers, "hi") == ["q-8b"]
        assert members(answers, "size:q") == ["q-4b", "q-8b@experiment=size_ablation"]
        assert labels(answers, "q-8b@experiment=size_ablation") == [["true", "false", "true"]]
        assert not done.odd


def test_the_same_answers_in_two_experiments_are_stored_once(table: Any, take: Any) -> None:
    rows = [row(uid, "q", trial=trial, experiment="model_mix_lo") for trial in (1, 2) for uid in UIDS]
    rows += [row(uid, "q", trial=1, experiment="hp_ablation") for uid in UIDS]
    done, answers = take(table(rows))
    assert (done.n_judgments, done.relisted, odd(done)) == (6, 3, {})
    assert members(answers, "lo") == members(answers, "grid:q") == ["q"]


def test_a_person_and_a_model_of_one_name_are_two() -> None:
    sources = [Source(kind, "w9", None, None, None, "") for kind in ("model", "human")]  # type: ignore[arg-type]
    found = cast(sources, [{1: 1}, {1: 2}])
    assert sorted(one.name for one in found.participants) == ["w9", "w9@model"]
    assert len(set(found.of_source)) == 2


def test_names_of_variants_are_read(table: Any, take: Any) -> None:
    rows = [
        row("a", "k@temperature=0.5"),
        row("b", "k@temperature=0.5", temperature=0.5),
        row("c", "k", temperature=0.5),
        row("c", "k@temperature=hot"),
    ]
    _, answers = take(table(rows))
    assert answers.names == ("k@temperature=0.5", "k@temperature=hot")
    assert labels(answers, "k@temperature=0.5") == [["true", "true", "true"]]


def test_unknown_items_gaps_and_short_blocks_are_named(table: Any, take: Any) -> None:
    rows = [row(uid, trial=trial) for trial in (1, 4) for uid in ("b", "x10", "x9", "a")][:-1]
    done, answers = take(table(rows))
    assert answers.items == ("a", "b", "x9", "x10")
    assert done.unknown == {"x9": 2, "x10": 2}
    assert done.odd["gap"].examples == ["m has trial 4 and not 2, 3"]
    assert done.incomplete == ("m, trial 4: 3 of 4",)
    assert answers.simple.shape == (1, 4, 4)


def test_a_run_says_where_it_came_from(table: Any, take: Any, tmp_path: Path, task: Task) -> None:
    take(table([row(), row("z")]), table([row("b")], "u.parquet"))
    with Run.open(tmp_path / "runs" / "r") as run:
        plan, imported = run.manifest["plan"], run.manifest["imported"]
        assert {one.route for one in run.participants().values()} == {"imported"}
        with pytest.raises(RegistryError, match="'m' was imported"):
            provider_for(next(iter(run.participants().values())), {})
    assert [(one["file"], one["rows"], len(one["sha256"])) for one in imported["files"]] == [
        ("t.csv", 2, 71),
        ("u.parquet", 1, 71),
    ]
    assert (imported["judgments"], imported["unknown_items"], imported["odd"]) == (3, 1, {})
    assert (plan["names"], plan["trials"], plan["items"], plan["n_items"], plan["reasks"]) == (
        ["m"],
        [1],
        "three",
        3,
        0,
    )
    assert plan["prompts"] == task.hashes
    assert run.manifest["synthetic"] is False


@pytest.mark.parametrize(("written", "synthetic"), [("True", True), ("1", True), ("no", False), ("", False)])
def test_a_table_that_says_so_makes_a_synthetic_run(written: str, synthetic: bool, table: Any, take: Any) -> None:
    done, answers = take(table([row(synthetic="no"), row("b", synthetic=written)]))
    assert (done.synthetic, answers.synthetic) == (synthetic, synthetic)
    assert answers.names == ("m",)


BAD = {
    "t.csv": (
        "sentid,participant,label\na,m,true\n",
        "no column sent_id, no column class_multi or class_simple; found ",
    ),
    "semicolon.csv": ("sent_id;participant;class_multi\n", "separate the columns by commas"),
    "twice.csv": ("sent_id,participant,class_multi,class_multi\n", "two columns are named 'class_multi'"),
    "empty.csv": ("", "found nothing"),
    "header.csv": ("sent_id,participant,class_multi\n", "there are no rows"),
    "useless.csv": ("sent_id,participant,class_multi\n,m,true\n,m,true\n", "2 with no sent_id (useless.csv:2)"),
    "open.csv": ('sent_id,participant,class_multi\na,m,true\nb,"m,true\nc,m,true\n', "open.csv:3: a quote that opens"),
    "quote.csv": ('sent_id,participant,class_multi\na,"m"x,true\n', "quote.csv:2: "),
    "t.parquet": ("PAR1", "cannot be read as parquet"),
    "capitals.csv": ("SENT_ID,participant,class_multi\na,m,true\n", "is 'SENT_ID' meant to be 'sent_id'?"),
    "t.xlsx": ("", "must end in .csv or .parquet or .pq, which says how to read it; save a spreadsheet as CSV"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_leaves_no_run(name: str, take: Any, tmp_path: Path) -> None:
    text, message = BAD[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as caught:
        take(tmp_path / name)
    assert message in str(caught.value)
    assert name in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "runs" / "r").exists()


def test_bytes_that_are_no_utf_8_and_files_that_are_none(take: Any, tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes(
        "sent_id,participant,class_multi\na,café,true\nb,café,true\n".encode().replace(b"b,caf\xc3\xa9", b"b,caf\xe9")
    )
    os.mkfifo(tmp_path / "pipe.csv")
    for name, message in (
        ("latin.csv", r"latin.csv:3: invalid UTF-8 \(byte 0xe9\)"),
        ("pipe.csv", "no regular file"),
        ("gone.csv", "is not there"),
        (".", "is a folder"),
    ):
        with pytest.raises(InputError, match=message):
            take(tmp_path / name)
    assert not (tmp_path / "runs" / "r").exists()


def test_an_existing_run_stays_as_it_is(table: Any, take: Any, tmp_path: Path) -> None:
    path = table([row()])
    take(path)
    before = (tmp_path / "runs" / "r" / "run.sqlite").read_bytes()
    with pytest.raises(RunError, match="is there already"):
        take(path)
    assert (tmp_path / "runs" / "r" / "run.sqlite").read_bytes() == before


def test_an_import_that_fails_half_way_leaves_nothing(tmp_path: Path, items: Dataset) -> None:
    path = tmp_path / "runs" / "r"
    one = Participant("m", "imported", "m", {})
    judgment = JudgmentRow("k", one.id, "a", 1, "true", "true", None, None, None, "import", "import")

    def fail(error: Exception) -> None:
        with importing(path, {}, [one], items.items, {}) as run:
            run.add([judgment], {"k": "{}"})
            raise error

    for error in (InputError("bad"), KeyError("bug")):
        with pytest.raises(type(error)):
            fail(error)
        assert not path.exists()
    with pytest.raises(StoreError, match="nothing is left of it"):
        fail(sqlite3.OperationalError("database or disk is full"))
    (path).mkdir()
    (path / "mine.txt").write_text("x")
    with pytest.raises(PartyNLIError):
        fail(InputError("bad"))
    assert {file.name for file in path.iterdir()} == {"mine.txt", "lock"}


def test_what_an_import_that_was_killed_left_is_replaced(table: Any, take: Any, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "r"
    folder.mkdir(parents=True)
    db = sqlite3.connect(folder / "run.sqlite")
    db.execute("CREATE TABLE junk (x)")
    db.close()
    done, _ = take(table([row()]))
    assert done.n_judgments == 1


def test_parquet_columns_of_every_type(table: Any, take: Any, tmp_path: Path) -> None:
    columns = {
        "sent_id": pa.array([1, 2]),
        "participant": pa.array(["m", "m"]).dictionary_encode(),
        "trial": pa.array([1.0, None]),
        "class_multi": pa.array([["true", "either"], ["false"]]),
        "temperature": pa.array([0.1, 0.1], pa.float32()),
        "num_params": pa.array([float("nan"), None]),
        "explanation": pa.array([b"Because.", None], pa.binary()),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    done, answers = take(tmp_path / "t.parquet")
    assert answers.names == ("m@temperature=0.1",)
    assert labels(answers, "m@temperature=0.1") == [["either-true", "false"]]
    assert not done.odd
    with Run.open(tmp_path / "runs" / "r") as run:
        assert [text for *_, text in run.explanations()] == ["Because."]


def test_memory_for_spellings_is_bounded(task: Task, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("sent_id,participant,class_multi,note\n" + "".join(f"a,m,x{k},n{k}\n" for k in range(60_000)))
    reader = Reader(task)
    assert sum(1 for _ in reader.rows(path)) == 60_000
    assert reader.odd["unknown_label"].count == 60_000


@pytest.mark.parametrize("values", [pa.array([2**30], pa.date32()), "no text"])
def test_values_that_python_cannot_hold_are_one_line(values: Any, take: Any, tmp_path: Path) -> None:
    if isinstance(values, str):
        offsets = pa.py_buffer(b"\0\0\0\0\2\0\0\0")
        values = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"\xff\xfe")])
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"sent_id": ["a"], "participant": ["m"], "class_multi": ["true"], "note": values}), path)
    with pytest.raises(InputError, match=r"t\.parquet cannot be read behind row 0: ."):
        take(path)


def test_names_of_thousands_of_digits_are_names(table: Any, take: Any) -> None:
    long = "9" * 5_000
    done, _ = take(table([row(participant=long), row(participant=f"w{long}"), row(participant="w10", sent_id=long)]))
    assert [one.name for one in done.cast.participants] == [long, "w10", f"w{long}"]


def test_names_of_very_many_digits_take_no_time(table: Any, take: Any) -> None:
    started = time.process_time()
    take(table([row(participant="1" * 200_000)]))
    assert time.process_time() - started < 2.0


def test_a_participant_whose_rows_are_all_left_out_takes_no_part(table: Any, take: Any) -> None:
    done, _ = take(table([row(), row(participant="other", trial="0")]))
    assert [one.name for one in done.cast.participants] == [row()["participant"]]
    assert done.odd["trial"].count == 1


def test_very_many_columns_take_no_time(tmp_path: Path, take: Any) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"column{n}" for n in range(50_000)))
    started = time.process_time()
    with pytest.raises(InputError, match="no column sent_id"):
        take(path)
    assert time.process_time() - started < 3.0
