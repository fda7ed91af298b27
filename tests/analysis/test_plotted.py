"""The numbers behind figures, against counts done by hand."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
import pytest

from partynli.aggregate import ASKED_IN_VAIN, NOT_ASKED, Answers
from partynli.analysis.groups import Group
from partynli.analysis.label_use import BUSY, busy_workers, item_order, label_use
from partynli.analysis.per_item import item_spreads
from partynli.analysis.projection import neighbours_alike, project
from partynli.analysis.simplex import moves_of, outline_of, places_of
from partynli.analysis.sweeps import sweeps_of
from partynli.errors import InputError
from partynli.items import Dataset, ItemSource
from partynli.labels import LABELS
from partynli.metrics import convention
from partynli.records import Annotation, Participant

TRUE, EITHER, FALSE = 0, 1, 2
OURS = convention("kulmizev2026")


def answers_of(codes: list[list[list[int]]], **changed: object) -> Answers:
    """(P, T, I) codes as answers."""
    simple = np.array(codes, dtype=np.int16)
    made = Answers(
        labels=LABELS,
        sets=LABELS,
        items=tuple(f"i{k}" for k in range(simple.shape[2])),
        participants=tuple(Participant(f"p{k}", "openai", f"p{k}", {}) for k in range(len(simple))),
        simple=simple,
        multi=simple,
        groups={},
        synthetic=False,
    )
    return replace(made, **changed)  # type: ignore[arg-type]


def test_spreads_stand_by_peoples_entropy_and_leave_out_unanswered_items() -> None:
    answers = answers_of([[[TRUE, TRUE, TRUE, NOT_ASKED]], [[FALSE, TRUE, TRUE, NOT_ASKED]]])
    people = np.array([[9, 0, 0], [5, 5, 0], [0, 0, 0], [1, 1, 1]])
    found = item_spreads(answers, Group("mix", "mix", (0, 1)), people, OURS)
    assert found.items == ("i1", "i0")
    assert found.people.entropy == pytest.approx([log(2), 0])
    assert found.group.entropy == pytest.approx([0, log(2)])
    assert found.people.low[1] > 0  # nine equal votes do not show that everybody agrees
    assert (found.people.low <= found.people.high).all()


def test_spreads_are_means_over_trials_that_were_answered() -> None:
    answers = answers_of([[[TRUE], [TRUE], [ASKED_IN_VAIN]], [[FALSE], [TRUE], [ASKED_IN_VAIN]]])
    found = item_spreads(answers, Group("mix", "mix", (0, 1)), np.array([[3, 0, 0]]), OURS)
    assert found.group.entropy == pytest.approx([log(2) / 2])


def test_nobody_answered_what_people_answered() -> None:
    answers = answers_of([[[ASKED_IN_VAIN, TRUE]]])
    found = item_spreads(answers, Group("p0", "participant", (0,)), np.array([[3, 0, 0], [0, 0, 0]]), OURS)
    assert found.items == ()
    assert len(found.distance) == 0


def test_the_least_consistent_stand_on_top_and_single_trials_last() -> None:
    fickle, steady = [[TRUE, TRUE], [FALSE, TRUE]], [[TRUE, EITHER], [TRUE, EITHER]]
    once = [[FALSE, FALSE], [NOT_ASKED, NOT_ASKED]]
    silent = [[NOT_ASKED, NOT_ASKED]] * 2
    found = label_use(answers_of([steady, once, silent, fickle]), range(4), None)
    assert [one.name for one in found] == ["p3", "p0", "p1"]
    assert [one.consistency for one in found[:2]] == [1.5, 1.0]
    assert [one.share_consistent for one in found[:2]] == [0.5, 1.0]
    assert np.isnan(found[2].consistency)
    assert found[0].shares == pytest.approx([0.75, 0, 0.25])
    assert [one.codes.shape for one in found] == [(2, 2), (2, 2), (1, 2)]


def test_busy_workers_come_first_whatever_the_scope() -> None:
    saw = {"w10": BUSY + 1, "w9": BUSY + 1, "w1": BUSY}
    notes = tuple(Annotation(f"i{k}", who, "true", "true", "") for who, n in saw.items() for k in range(n))
    dataset = Dataset("people", ItemSource.of([], "people"), notes)
    answers = answers_of([[[TRUE, FALSE]]])
    assert busy_workers(dataset) == {"w9", "w10"}
    assert [one.name for one in label_use(answers, [0], dataset)] == ["w9", "w10", "p0"]
    person = replace(answers.participants[0], provider="human")
    assert [one.name for one in label_use(replace(answers, participants=(person,)), [0], dataset)] == ["p0"]


def test_items_stand_from_the_first_label_to_the_last() -> None:
    uses = label_use(answers_of([[[FALSE, TRUE, EITHER, ASKED_IN_VAIN, TRUE]]]), [0], None)
    assert item_order(uses, [f"i{k}" for k in range(5)]) == [1, 4, 2, 0, 3]


def test_sweeps_grow_and_leave_out_who_was_not_asked() -> None:
    sizes = (70.0, None, 0.6, 8.0)
    people = tuple(Participant(f"f{k}", "openai", f"f{k}", {}, size_b=size) for k, size in enumerate(sizes))
    codes = [[[TRUE, TRUE]], [[FALSE, FALSE]], [[TRUE, ASKED_IN_VAIN]], [[NOT_ASKED, NOT_ASKED]]]
    answers = answers_of(codes, participants=people, groups={"size:f": (0, 1, 2, 3), "size:lone": (0,)})
    (found,) = sweeps_of(answers, "size")
    assert found.names == ("f2", "f0", "f1")
    assert found.values[:2].tolist() == [0.6, 70.0]
    assert np.isnan(found.values[2])
    assert found.shares.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 1]]
    assert sweeps_of(answers, "temperature") == []


def test_moves_go_from_people_to_the_first_trial() -> None:
    answers = answers_of([[[TRUE, NOT_ASKED], [FALSE, FALSE]]] * 30)
    people = np.array([[0, 0, 30], [1, 0, 0]])
    found = moves_of(answers, Group("mix", "mix", tuple(range(30))), people)
    assert (found.items, found.people.tolist(), found.group.tolist()) == (("i0",), [[0, 0, 1]], [[1, 0, 0]])
    assert found.differs.tolist() == [True]


def test_places_weigh_items_equally() -> None:
    (place,) = places_of({"people": np.array([[90, 0, 0], [0, 1, 0], [0, 0, 0]])})
    assert place.mean.tolist() == [0.5, 0.5, 0]
    assert place.outline.shape == (2, 3)  # all means lie between two corners
    assert place.outline[:, 2].tolist() == [0, 0]


def test_outlines_hold_most_points_within_the_triangle() -> None:
    points = np.random.default_rng(0).dirichlet((2, 1, 0.5), size=400)
    outline = outline_of(points)
    assert (outline >= 0).all()
    assert outline.sum(-1) == pytest.approx(1)
    ends, starts = np.roll(outline, -1, axis=0)[:, :2], outline[:, :2]
    (dx, dy), to = (ends - starts).T, points[:, None, :2] - starts
    side = dx * to[..., 1] - dy * to[..., 0]
    inside = (side >= -1e-12).all(1) | (side <= 1e-12).all(1)
    assert 0.94 <= np.mean(inside) <= 0.97
    assert outline_of(np.tile([0.2, 0.3, 0.5], (9, 1))).tolist() == [[0.2, 0.3, 0.5]]
    assert outline_of(np.empty((0, 3))).shape == (0, 3)


def test_projections_are_the_same_twice_and_keep_neighbours() -> None:
    rng = np.random.default_rng(0)
    kind = np.repeat(np.arange(4), 30)
    vectors = (8 * rng.normal(size=(4, 12))[kind] + rng.normal(size=(120, 12))).astype(np.float32)
    places = project(vectors)
    assert places.shape == (120, 2)
    assert np.array_equal(places, project(vectors))
    assert neighbours_alike(vectors, kind) == 1
    middles = np.stack([places[kind == k].mean(0) for k in range(4)])
    assert (np.linalg.norm(places[:, None] - middles, axis=-1).argmin(1) == kind).mean() > 0.95
    with pytest.raises(InputError, match="5 explanations or more"):
        project(vectors[:4])
    assert np.isnan(neighbours_alike(vectors[:1], kind[:1]))
