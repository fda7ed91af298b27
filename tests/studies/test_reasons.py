"""What is coded, how a coding is read, what a coder is worth, and what is counted."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from partynli.errors import InputError
from partynli.items import Dataset, ItemSource
from partynli.labels import REASONS
from partynli.records import Annotation, Item
from partynli.report.reasons import codes_csv, items_sheet, to_json, to_markdown
from partynli.studies.reasons.coding import read_coding
from partynli.studies.reasons.counting import count_kinds, kind_counts
from partynli.studies.reasons.material import Choice, Explanation, Material, choose_items, shuffled
from partynli.studies.reasons.result import OURS, ReasonStudy
from partynli.studies.reasons.validation import Reference, reference_of, validate

SEMANTIC, SYNTACTIC, PRAGMATIC = "Semantic", "Syntactic", "Pragmatic"


def by(source: str, uid: str = "a", *, human: bool = True, text: str = "Because.", trial: int = 1) -> Explanation:
    return Explanation(uid, source, human, trial, "true", text)


def material(js: list[float], people: bool = True) -> Material:
    uids = [f"i{n:02}" for n in range(len(js))]
    said = [by(f"w{k}", uid) for uid in uids for k in range(2)] if people else []
    answered = [by(f"m{k}", uid, human=False) for uid in uids for k in range(2)]
    votes = np.tile([2, 0, 0], (len(uids), 1))
    return Material(
        labels=("true", "either", "false"),
        texts={uid: {"premise": "P", "hypothesis": "H"} for uid in uids},
        voters="livenli" if people else None,
        people=votes if people else votes * 0,
        models=votes,
        js=np.array(js),
        explanations=(*said, *answered),
        blank=0,
    )


# Items


def test_the_papers_twelve() -> None:
    found = choose_items(material([n / 20 for n in range(20)]), ["extremes"], seed=1)
    assert Counter(one.why for one in found) == {"highest JS": 3, "lowest JS": 3, "random": 6}
    assert [one.uid for one in found][:3] == ["i19", "i18", "i17"]
    assert [one.uid for one in found][-3:] == ["i02", "i01", "i00"]
    assert [one.js for one in found] == sorted((one.js for one in found), reverse=True)
    assert found == choose_items(material([n / 20 for n in range(20)]), ["extremes"], seed=1)
    others = {
        one.uid
        for seed in range(9)
        for one in choose_items(material([n / 20 for n in range(20)]), ["extremes"], seed)
        if one.why == "random"
    }
    assert len(others) > 6, "the seed draws"


def test_few_items_are_all_chosen_and_none_twice() -> None:
    for n in range(1, 14):
        found = choose_items(material([k / 20 for k in range(n)]), ["extremes"], seed=0)
        assert len({one.uid for one in found}) == len(found) == min(n, 12)
        assert [one.why for one in found].count("highest JS") == min(n, 3), "no item is the farthest and the closest"


def test_items_without_people_have_no_extremes() -> None:
    nan = float("nan")
    found = choose_items(material([nan] * 20, people=False), ["extremes"], seed=0)
    assert [one.why for one in found] == ["random"] * 12
    some = choose_items(material([0.5, nan, 0.1, nan]), ["extremes"], seed=0)
    assert [one.uid for one in some] == ["i00", "i02"], "an item without a distance is no extreme and is not drawn"
    everything = choose_items(material([0.5, nan, 0.1, nan]), ["all"], seed=0)
    assert [one.uid for one in everything] == ["i00", "i02", "i01", "i03"]


def test_items_by_name() -> None:
    assert [one.uid for one in choose_items(material([0.1, 0.2, 0.3]), ["i01", "i00", "i01"], 0)] == ["i01", "i00"]
    with pytest.raises(InputError, match=r"unknown item 'i0'.*did you mean"):
        choose_items(material([0.1, 0.2]), ["i0"], 0)
    silent = replace(material([0.1, 0.2]), explanations=(by("w0", "i00"), by("m0", "i01", human=False)))
    with pytest.raises(InputError, match="no model of the group explained item 'i00'"):
        choose_items(silent, ["i00"], 0)


def test_neighbours_come_from_different_sources() -> None:
    explanations = [by(f"s{k % 7}", f"i{k}", text=f"t{k}") for k in range(140)]
    order = shuffled(explanations, seed=0)
    assert sorted(order, key=lambda one: one.name) == sorted(explanations, key=lambda one: one.name)
    assert order == shuffled(reversed(explanations), seed=0), "the order of storing changes nothing"
    assert order != shuffled(explanations, seed=1)
    neighbours = [first.source == second.source for first, second in pairwise(order)]
    assert sum(neighbours) <= 2, "only at the end may one source be left over"
    assert len(shuffled([by("one", f"i{k}") for k in range(5)], 0)) == 5


def test_the_judge_is_not_told_whose_it_is() -> None:
    one = Explanation("a", "claude", False, 1, "either-true", "Why not.")
    item = one.item({"premise": "P", "hypothesis": "H"})
    assert item.texts == {"premise": "P", "hypothesis": "H", "label": "either or true", "explanation": "Why not."}
    names = {one.name, replace(one, is_human=True).name, replace(one, text="No.").name, replace(one, source="x").name}
    assert len(names) == 4


# A person's coding


def rows_of(tmp_path: Path, text: str | bytes, name: str = "codes.csv") -> Any:
    file = tmp_path / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    known = [by("w0"), by("w1"), by("m0", human=False), by("both"), by("both", human=False)]
    return read_coding(file, known, REASONS)


def test_a_coding_in_csv_and_in_jsonl(tmp_path: Path) -> None:
    found = rows_of(tmp_path, "\ufeffitem,participant,category,extra\na,w0,semantic,x\na,m0, Logic Conflict ,\n")
    assert found.category == {by("w0").name: SEMANTIC, by("m0", human=False).name: "Logic Conflict"}
    assert (found.items, found.n_rows, found.odd) == (("a",), 2, {})
    lines = [
        {"item": "a", "source": "w0", "category": "Semantic", "trial": 1},
        {"item": "a", "source": "m0", "category": "LOGIC CONFLICT", "trial": "1.0"},
    ]
    again = rows_of(tmp_path, "\n\n".join(map(json.dumps, lines)), "codes.jsonl")
    assert again.category == found.category


def test_odd_rows_are_counted_and_named(tmp_path: Path) -> None:
    text = (
        "item,source,trial,category\n"
        "a,w0,1,Semantic\n"
        "a,w1,1,Semantics\n"
        "a,w1,1,\n"
        "b,w1,1,Semantic\n"
        "a,nobody,1,Semantic\n"
        "a,w1,2,Semantic\n"
        f"a,w1,{'9' * 5000},Semantic\n"
        "a,w1,x,Semantic\n"
        "a,w0,1,Syntactic\n"
        "a,w0,1,Semantic\n"
        "a,both,1,Semantic\n"
        "a,w1\n"
    )
    found = rows_of(tmp_path, text)
    assert found.category == {by("w0").name: SEMANTIC}
    assert {what: len(rows) for what, rows in found.odd.items()} == {
        "an unknown category": 1,
        "no category": 1,
        "an item without explanations in the run": 1,
        "a source that did not explain the item": 1,
        "a trial that is not coded": 3,
        "another category than an earlier row gives": 1,
        "a source that is a person's and a model's name": 1,
        "more or fewer cells than the header": 1,
    }
    assert found.n_rows == 12
    lines = found.odd_lines()
    assert "codes.csv:3 (unknown category 'Semantics'; did you mean Semantic" in lines[0]
    assert all(len(line) < 500 for line in lines)


def test_odd_lines_of_jsonl(tmp_path: Path) -> None:
    good = json.dumps({"item": "a", "source": "w0", "category": "Semantic"})
    bad = ["{", "[1]", "null", '{"item": "a"}', '{"item": 1, "source": null, "category": {"x": 2}}', "[" * 100_000]
    found = rows_of(tmp_path, "\n".join([*bad, good]), "codes.jsonl")
    assert len(found.category) == 1
    assert sum(map(len, found.odd.values())) == len(bad)


@pytest.mark.parametrize(
    ("text", "name", "error"),
    [
        ("item;source;category\na;w0;Semantic\n", "c.csv", "no column item"),
        ("item,source\na,w0\n", "c.csv", "no column category; found 'item', 'source'"),
        ("item,source,source,category\na,w0,w0,Semantic\n", "c.csv", "two columns are named 'source'"),
        ("", "c.csv", "no column item, no column source, no column category; found nothing"),
        ('item,source,category\na,w0,"Semantic\n', "c.csv", "c.csv:2: invalid CSV"),
        ("item,source,category\na,w0,x\0y\n", "c.csv", "no row that can be used|invalid CSV"),
        (b"item,source,category\na,w0,\xff\n", "c.csv", "c.csv:2: invalid UTF-8"),
        ("item,source,category\na,w0,Sem\n", "c.csv", "no row that can be used, of 1; 1 rows left out, an unknown"),
        ("", "c.jsonl", "no row that can be used, of 0"),
        ("x", "c.txt", "must end in .csv"),
    ],
)
def test_a_file_that_is_no_coding(tmp_path: Path, text: str | bytes, name: str, error: str) -> None:
    limit = csv.field_size_limit()
    with pytest.raises(InputError, match=error) as raised:
        rows_of(tmp_path, text, name)
    assert "\n" not in str(raised.value)
    assert csv.field_size_limit() == limit
    with pytest.raises(InputError, match="cannot be read"):
        read_coding(tmp_path / "not there.csv", [], REASONS)


# Validation


def reference(pairs: dict[str, str], n_items: int = 1) -> Reference:
    """Explanations by their worker's name, with LiTEx's category, spread over items."""
    explanations = [by(worker, f"i{k % n_items}") for k, worker in enumerate(pairs)]
    return Reference(
        explanations=tuple(explanations),
        category={(one.uid, one.source): pairs[one.source] for one in explanations},
        texts={},
        n_left_out=0,
    )


def test_a_coder_is_measured() -> None:
    truth = {f"w{k}": SEMANTIC if k < 60 else SYNTACTIC for k in range(100)}
    known = reference(truth, n_items=20)
    # 40 of the 60 right, 30 of the 40: the worked table of the metric's own test, kappa 0.4
    said = {f"w{k}": SEMANTIC if k < 40 or k >= 90 else SYNTACTIC for k in range(100)}
    coded = {one.name: said[one.source] for one in known.explanations}
    found = validate(known.explanations, coded, known, REASONS, seed=0)
    assert found.kappa == pytest.approx(0.4)
    assert found.low < 0.4 < found.high
    assert 0.1 < found.high - found.low < 0.6
    assert (found.n, found.n_uncoded, found.is_enough) == (100, 0, False)
    assert found.support.tolist() == [0, 60, 40, 0, 0, 0, 0, 0]
    assert found.f1[1:3].tolist() == pytest.approx([80 / 110, 60 / 90])
    assert np.isnan(found.f1[0])
    assert validate(known.explanations, coded, known, REASONS, seed=0, threshold=0.4 - 1e-9).is_enough
    assert validate(known.explanations, coded, known, REASONS, seed=0).low == found.low, "the seed decides"


def test_uncoded_and_few_and_none() -> None:
    known = reference({f"w{k}": SEMANTIC if k % 2 else SYNTACTIC for k in range(40)}, n_items=4)
    right = {one.name: known.category[one.uid, one.source] for one in known.explanations}
    found = validate(known.explanations, right, known, REASONS, seed=0)
    assert found.is_enough
    assert found.kappa == 1.0
    assert np.isnan(found.low), "four items give no interval"
    some = dict(list(right.items())[:29])
    few = validate(known.explanations, some, known, REASONS, seed=0)
    assert (few.n, few.n_uncoded, few.is_enough) == (29, 11, False), "too few to say anything"
    none = validate(known.explanations, {}, known, REASONS, seed=0)
    assert (none.n, none.is_enough) == (0, False)
    assert np.isnan(none.kappa)


def test_a_kappa_of_just_what_is_wanted_is_enough() -> None:
    # 4 and 28 alike, 2 and 2 not: (8/9 - 13/18) / (1 - 13/18) = 3/5, which is a little less in binary
    table = [(SEMANTIC, SEMANTIC)] * 4 + [(SEMANTIC, SYNTACTIC), (SYNTACTIC, SEMANTIC)] * 2 + [(SYNTACTIC,) * 2] * 28
    known = reference({f"w{k}": theirs for k, (theirs, _) in enumerate(table)}, n_items=12)
    said = {f"w{k}": ours for k, (_, ours) in enumerate(table)}
    coded = {one.name: said[one.source] for one in known.explanations}
    found = validate(known.explanations, coded, known, REASONS, seed=0)
    assert found.kappa < 0.6
    assert found.is_enough


def test_a_coder_that_always_says_the_same_is_no_good() -> None:
    known = reference({f"w{k}": SEMANTIC for k in range(40)}, n_items=20)
    same = {one.name: SEMANTIC for one in known.explanations}
    assert not validate(known.explanations, same, known, REASONS, seed=0).is_enough, "kappa is undefined, not 1"


def test_litex_codes_go_to_the_workers_by_text() -> None:
    said = [("w1", "It  rains."), ("w2", "Two reasons."), ("w3", "Unknown."), ("w4", "Whole. And more.")]
    dataset = Dataset(
        "livenli",
        ItemSource.of([Item("a", {"premise": "P", "hypothesis": "H"})], "livenli"),
        tuple(Annotation("a", worker, "true", "true", text) for worker, text in said),
    )
    codes = {"a": {"It rains.": {SEMANTIC}, "Two reasons.": {SEMANTIC, PRAGMATIC}, "Whole.": {SYNTACTIC}}}
    found = reference_of(dataset, {uid: {t: frozenset(c) for t, c in of.items()} for uid, of in codes.items()})
    assert found.category == {("a", "w1"): SEMANTIC}
    assert found.n_left_out == 3
    assert found.sample(9, 0) == found.explanations


# Counts and their tables


def counted(codes: dict[str, str], choices: list[Choice] | None = None) -> ReasonStudy:
    stuff = material([0.25, float("nan")])
    category = {
        one.name: codes[f"{one.uid} {one.source}"] for one in stuff.explanations if f"{one.uid} {one.source}" in codes
    }
    chosen = choices or list(choose_items(stuff, ["all"], 0))
    return ReasonStudy(
        run="r", group="mix", people="livenli", coder="me", coder_run=None, synthetic=False, seed=0,
        labels=stuff.labels, categories=REASONS, validation=None,
        items=count_kinds(stuff, chosen, category, REASONS),
        coded=stuff.explanations, category=category, notes=(),
    )  # fmt: skip


def test_shared_and_only_on_one_side() -> None:
    study = counted(
        {"i00 w0": SEMANTIC, "i00 w1": SYNTACTIC, "i00 m0": SEMANTIC, "i00 m1": PRAGMATIC, "i01 m0": SEMANTIC}
    )
    assert study.items is not None
    first, second = study.items
    assert (first.shared, first.only_people, first.only_models) == ((SEMANTIC,), (SYNTACTIC,), (PRAGMATIC,))
    assert (second.people.coded, second.models.coded, second.is_comparable) == (0, 1, False)
    sheet = items_sheet(study, study.items)
    assert sheet.rows[0][3:6] == ("1", "1", "1")
    assert sheet.rows[1][2:6] == ("–", "–", "–", "–"), "without people's codes nothing is only the models'"
    assert sheet.rows[1][-2:] == ("0/2", "1/2")
    assert kind_counts(study.items[:1]) == (1, 1, 1)
    report = json.loads(to_json(study), parse_constant=pytest.fail)
    assert report["totals"] == {"n_items": 1, "shared": 1, "only_human": 1, "only_model": 1}
    assert report["items"][1]["shared"] is None
    assert report["items"][1]["js_distance"] is None
    assert report["items"][0]["human"]["kinds"] == {SEMANTIC: 1, SYNTACTIC: 1}


def test_what_is_said_of_an_unvalidated_coding() -> None:
    study = counted({"i00 w0": SEMANTIC})
    assert study.verdict.startswith("NOT VALIDATED")
    assert study.is_good_enough, "nothing speaks against a person's coding"
    assert not replace(study, coder_run="r-reasons-me").is_good_enough, "a judge must be validated"
    text = to_markdown(study)
    assert OURS in text
    assert "NOT VALIDATED" in text
    held = to_markdown(replace(study, items=None))
    assert "held back" in held
    assert "only human" not in held
    assert json.loads(to_json(replace(study, items=None)))["totals"] is None


def test_texts_from_anywhere_are_harmless() -> None:
    nasty = "=cmd()|x\n# <script>alert(1)</script> [l](javascript:x) \x1b[31m \u202e"
    study = replace(
        counted({"i00 w0": SEMANTIC, "i00 m0": SEMANTIC}), run=nasty, group=nasty, coder=nasty, notes=(nasty,)
    )
    text = to_markdown(study)
    assert "<script" not in text.replace("\\<script", "")
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert all(not line.startswith("# <") for line in text.splitlines())
    one = Explanation(nasty, nasty, False, 1, "true", nasty)
    (row,) = list(csv.DictReader(io.StringIO(codes_csv([one], {one.name: SEMANTIC}, synthetic=True))))
    assert all(not cell.startswith(("=", "+", "-", "@")) for cell in row.values())
    assert row["synthetic"] == "SYNTHETIC"
    assert row["category"] == SEMANTIC


def test_a_table_of_codes_can_be_read_again(tmp_path: Path) -> None:
    study = counted({"i00 w0": SEMANTIC, "i00 m1": PRAGMATIC, "i01 w1": SYNTACTIC})
    file = tmp_path / "reasons.csv"
    file.write_text(codes_csv(study.coded, study.category, synthetic=False))
    found = read_coding(file, study.coded, REASONS)
    assert found.category == study.category
    assert {what: len(rows) for what, rows in found.odd.items()} == {"no category": 5}


def test_no_text_breaks_out_of_its_row(tmp_path: Path) -> None:
    """A carriage return alone ends a row for readers of CSV, and nothing else in this text asks for quotes."""
    said = [by("w0"), by("m0", human=False, text="First.\rThen.")]
    file = tmp_path / "reasons.csv"
    file.write_bytes(codes_csv(said, dict.fromkeys([one.name for one in said], SEMANTIC), synthetic=False).encode())
    found = read_coding(file, said, REASONS)
    assert (found.n_rows, found.odd) == (2, {})
    assert set(found.category.values()) == {SEMANTIC}


@pytest.mark.parametrize(("uid", "source"), [("-3", "w0"), ("a", "@w"), ("=a", "+w"), ("'-3", "w0")])
def test_names_that_look_like_formulas_are_read_again(tmp_path: Path, uid: str, source: str) -> None:
    said = [replace(by("w0"), uid=uid, source=source)]
    file = tmp_path / "reasons.csv"
    file.write_bytes(codes_csv(said, {said[0].name: SEMANTIC}, synthetic=False).encode())
    assert read_coding(file, said, REASONS).category == {said[0].name: SEMANTIC}
