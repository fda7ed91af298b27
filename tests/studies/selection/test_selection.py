"""Mixed sets: what is replaced, how much of it, and that each step holds the one before it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partynli.errors import InputError, ItemsError
from partynli.items.explanation_files import Explanation, Explanations, read_explanations
from partynli.labels import LABELS
from partynli.records import Item
from partynli.studies.selection.curves import Measured, curves
from partynli.studies.selection.files import made_of, to_jsonl
from partynli.studies.selection.replacement import SHARES, MixedSet, replace_with_model, replace_with_noise
from partynli.studies.selection.validation import read_validation, select

PEOPLE: Explanations = {
    f"u{k}": tuple(Explanation(LABELS[(k + j // 2) % 3], f"person {j} of u{k}") for j in range(4)) for k in range(20)
}
MODEL: Explanations = {
    uid: tuple(Explanation(one.label, f"model {j} of {uid}") for j, one in enumerate(given))
    for uid, given in PEOPLE.items()
}


def replaced(mixed: MixedSet) -> set[tuple[str, int, str]]:
    return {
        (uid, k, one.explanation.text)
        for uid, placed in mixed.of_item.items()
        for k, one in enumerate(placed)
        if one.source != "human"
    }


def test_all_of_a_guided_model_is_the_model() -> None:
    mixed = replace_with_model(PEOPLE, MODEL, 100, 0)
    assert {uid: tuple(one.explanation for one in placed) for uid, placed in mixed.of_item.items()} == MODEL
    assert (mixed.n, mixed.wanted, mixed.replaced) == (80, 80, 80)
    nothing = replace_with_model(PEOPLE, MODEL, 0, 0)
    assert {uid: tuple(one.explanation for one in placed) for uid, placed in nothing.of_item.items()} == PEOPLE


@given(st.integers(0, 2**32))
def test_sets_are_nested_and_keep_labels(seed: int) -> None:
    for make in (
        lambda share: replace_with_model(PEOPLE, MODEL, share, seed),
        lambda share: replace_with_noise(PEOPLE, share, seed),
    ):
        before: set[tuple[str, int, str]] = set()
        for share in SHARES:
            mixed = make(share)
            assert mixed.replaced == 80 * share // 100
            assert before < replaced(mixed)
            before = replaced(mixed)
            for uid, placed in mixed.of_item.items():
                assert [one.explanation.label for one in placed] == [one.label for one in PEOPLE[uid]]


def test_model_and_noise_replace_the_same_ones() -> None:
    by_model = replaced(replace_with_model(PEOPLE, MODEL, 50, 7))
    by_noise = replaced(replace_with_noise(PEOPLE, 50, 7))
    assert {place[:2] for place in by_model} == {place[:2] for place in by_noise}
    assert {place[:2] for place in by_model} != {
        place[:2] for place in replaced(replace_with_model(PEOPLE, MODEL, 50, 8))
    }


def test_noise_is_of_another_item_and_never_twice_on_one() -> None:
    for uid, placed in replace_with_noise(PEOPLE, 100, 3).of_item.items():
        texts = [one.explanation.text for one in placed]
        assert not any(text.endswith(f" of {uid}") for text in texts)
        assert len(set(texts)) == len(texts)


def test_people_stay_where_the_model_has_none_of_the_label() -> None:
    few = {uid: given[:1] for uid, given in MODEL.items() if uid != "u0"}
    mixed = replace_with_model(PEOPLE, few, 100, 0)
    assert (mixed.wanted, mixed.replaced) == (80, 19)
    assert all(one.source == "human" for one in mixed.of_item["u0"])
    alone = {"u0": PEOPLE["u0"]}
    assert replace_with_noise(alone, 100, 0).replaced == 0


def test_what_cannot_be_replaced_is_an_error() -> None:
    with pytest.raises(InputError, match="no item in common"):
        replace_with_model(PEOPLE, {"other": ()}, 50, 0)
    with pytest.raises(InputError, match="from 0 to 100, not 101"):
        replace_with_noise(PEOPLE, 101, 0)


def test_a_file_is_read_again_and_says_how_it_was_made(tmp_path: Path) -> None:
    file = tmp_path / "mixed.jsonl"
    mixed = replace_with_noise(PEOPLE, 25, 0)
    file.write_text(to_jsonl(mixed, {"with": "noise", "share": 25, "seed": 0}))
    items = [Item(uid, {"premise": uid, "hypothesis": "x"}) for uid in PEOPLE]
    assert {
        uid: tuple(one.explanation for one in placed) for uid, placed in mixed.of_item.items()
    } == read_explanations(file, items)
    assert made_of(file.read_text(), "x") == {"with": "noise", "share": 25, "seed": 0}
    for text in ("", "[]", '{"made": 3}', "{}"):
        with pytest.raises(ItemsError, match="explain replace"):
            made_of(text, "x")


def validated(tmp_path: Path, *rows: tuple[int, str, str, str | None, str | None, str | None]) -> Path:
    names = ("item", "model_label", "explanation", "faithful", "adds_information", "validated_label")
    file = tmp_path / "validated.jsonl"
    file.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows))
    return file


def test_selection_goes_by_the_label_that_people_found(tmp_path: Path) -> None:
    human = {"a": (*(Explanation("either", f"p{k}") for k in range(3)), Explanation("false", "p3"))}
    file = validated(
        tmp_path,
        (0, "Neutral-1", "lepers are nowhere", "y", "y", "N"),
        (0, "Contradiction-1", "lepers are not mentioned, nowhere are lepers", "y", "y", "N"),
        (0, "Contradiction-2", "no ladies", "n", "n", "-"),
        (0, "NotEntailment-1", "not so", "y", "n", "-"),
        (0, "Neutral-2", "open", None, None, None),
        (0, "Neutral-3", "are they nowhere", "y", "y", "n"),
    )
    validation = read_validation(file, ["a"])
    assert (len(validation.found), validation.left_out) == (4, 2)

    def chosen(preferred: bool, how: str) -> list[str]:
        mixed = select(human, validation, preferred=preferred, how=how)
        return [one.explanation.text for one in mixed.of_item["a"]]

    said = ["lepers are nowhere", "lepers are not mentioned, nowhere are lepers", "are they nowhere"]
    assert chosen(True, "greedy") == [*said, "p3"]
    assert chosen(True, "representative") == [said[0], "p1", "p2", "p3"]
    assert chosen(False, "greedy") == chosen(False, "representative") == ["p0", "p1", "p2", "no ladies"]
    with pytest.raises(InputError, match="none of the validated items"):
        select({"z": human["a"]}, validation, preferred=True, how="greedy")


@pytest.mark.parametrize(
    "row",
    [
        (9, "Neutral-1", "x", "y", "y", "N"),
        (-1, "Neutral-1", "x", "y", "y", "N"),
        ("0", "Neutral-1", "x", "y", "y", "N"),
        (0, "Maybe-1", "x", "y", "y", "N"),
        (0, 7, "x", "y", "y", "N"),
        (0, "Neutral-1", None, "y", "y", "N"),
    ],
)
def test_a_row_that_is_no_validation_is_named(row: tuple, tmp_path: Path) -> None:
    with pytest.raises(ItemsError, match=r"validated\.jsonl:1: no validated explanation"):
        read_validation(validated(tmp_path, row), ["a"])


def test_curves_begin_with_people_and_have_intervals_over_seeds() -> None:
    rows = [Measured("model", 0, 0, 0.20, 0.0)]
    rows += [
        Measured("noise", share, seed, 0.2 + share / 1000 + seed / 100, share)
        for share in (50, 100)
        for seed in range(4)
    ]
    rows += [Measured("model", 100, seed, 0.21, replaced) for seed, replaced in ((3, 43.0), (4, 44.0))]
    model, noise = curves(rows)
    assert (model.by, noise.by) == ("model", "noise")
    assert [(one.share, one.n) for one in noise.points] == [(0, 1), (50, 4), (100, 4)]
    assert [one.mean for one in model.points] == [0.20, 0.21]
    assert [(one.share, one.replaced) for one in model.points] == [(0, 0.0), (100, 43.5)]
    assert np.isnan(noise.points[0].low)
    point = noise.points[1]
    values = np.array([0.25, 0.26, 0.27, 0.28])
    half = 3.182446305284263 * values.std(ddof=1) / 2  # Student's t of 3 degrees of freedom, as tables have it
    assert (point.mean, point.low, point.high) == pytest.approx((0.265, 0.265 - half, 0.265 + half))


def test_what_makes_no_curve_is_an_error() -> None:
    with pytest.raises(InputError, match="no distances"):
        curves([])
    with pytest.raises(InputError, match="there is no curve"):
        curves([Measured("model", 0, 0, 0.2, 0.0)])
    with pytest.raises(InputError, match="50 % replaced by noise with seed 1"):
        curves([Measured("noise", 50, 1, 0.2, 50.0)] * 2)


def test_noise_is_drawn_from_all_items() -> None:
    drawn = Counter(
        one.explanation.text
        for seed in range(30)
        for placed in replace_with_noise(PEOPLE, 100, seed).of_item.values()
        for one in placed
    )
    assert len(drawn) == 80
