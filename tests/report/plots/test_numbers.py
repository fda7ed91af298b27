"""Figures show the numbers of the analysis, in the right order and place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure as Canvas

from partynli.aggregate import ASKED_IN_VAIN, load_answers
from partynli.analysis.explanations import explanation_report, middle_of, populations_of, variations_of
from partynli.analysis.label_use import item_order, label_use
from partynli.analysis.lookup import People
from partynli.analysis.per_item import item_spreads
from partynli.analysis.randommix import Pool, randommix
from partynli.analysis.simplex import moves_of, places_of
from partynli.analysis.sweeps import sweeps_of
from partynli.metrics import convention
from partynli.records import Task
from partynli.report.plots.catalogue import CATALOGUE
from partynli.report.plots.subject import Subject
from partynli.report.plots.ternary import flat
from partynli.store import Run

SHOWN = [f"item{k:03}" for k in range(24)]
Draw = Callable[[str], Canvas]


def names_on(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def line(axes: Axes, number: int) -> np.ndarray:
    return np.asarray(axes.lines[number].get_xydata())


def legend_of(canvas: Canvas) -> list[str]:
    return [text.get_text() for text in canvas.legends[0].get_texts()]


def test_entropies_and_distances_of_items(canvas: Draw, subject: Subject) -> None:
    drawn = canvas("entropy")
    upper, lower = drawn.axes
    found = item_spreads(subject.answers, subject.group, subject.people["livenli"], subject.convention)
    assert len(found.items) == len(SHOWN)
    assert np.all(np.diff(found.people.entropy) <= 1e-9)
    assert line(upper, 0)[:, 1] == pytest.approx(found.distance)
    assert line(lower, 0)[:, 1] == pytest.approx(found.people.entropy)
    assert line(lower, 1)[:, 1] == pytest.approx(found.group.entropy)
    assert legend_of(drawn)[:3] == ["people (LiveNLI)", "mix", "JS distance of the two"]
    assert tuple(label.get_text() for label in lower.get_xticklabels()) == found.items


def test_items_are_counted_where_they_are_too_many_to_name(subject: Subject, run_path: Path, task: Task) -> None:
    with Run.open(run_path) as run:
        everything = replace(subject, answers=load_answers(run, task))
    lower = CATALOGUE["entropy"].draw(everything).axes[1]
    assert "104 items, by people's entropy" in lower.get_xlabel()
    assert len(line(lower, 0)) == 104


def test_a_convention_changes_the_unit(subject: Subject) -> None:
    nats = CATALOGUE["entropy"].draw(subject).axes[1]
    bits = CATALOGUE["entropy"].draw(replace(subject, convention=convention("chaosnli2020"))).axes[1]
    assert line(bits, 0)[:, 1] * np.log(2) == pytest.approx(line(nats, 0)[:, 1])
    assert "bits" in bits.get_ylabel()


def test_participants_stand_by_consistency_below_busy_workers(canvas: Draw, subject: Subject) -> None:
    shares, same, grid, over = canvas("consistency").axes
    uses = label_use(subject.answers, subject.group.members, subject.dataset)
    names = [one.name for one in uses]
    assert names_on(shares) == names
    assert names[:6] == ["w2", "w3", "w4", "w5", "w6", "w10"]  # w7 saw few items
    assert names[-1] == "steady"
    assert shares.get_ylim()[0] > shares.get_ylim()[1]  # the first one on top
    squares = line(over, 0)
    assert squares[6:, 0] == pytest.approx([one.consistency for one in uses[6:]])
    assert np.isnan(squares[:6, 0]).all()
    assert (np.diff(squares[6:, 0]) <= 0).all()
    bars = [container.patches for container in shares.containers]
    assert [[bar.get_width() for bar in one] for one in bars] == pytest.approx(np.array([x.shares for x in uses]).T)
    assert [(text.get_text(), text.get_position()[1]) for text in same.texts] == [("–", row) for row in range(6)]
    kept = [bar.get_width() for bar in same.containers[0].patches]
    assert kept == pytest.approx([0.0] * 6 + [one.share_consistent for one in uses[6:]])
    order = item_order(uses, subject.answers.items)
    for image, use in zip(grid.images, uses, strict=True):
        assert np.array_equal(image.get_array(), use.codes[:, order])
    assert {"true", "either", "false", "no valid answer", "not asked"} < set(legend_of(canvas("consistency")))


@pytest.mark.parametrize(
    ("name", "parameter", "values"),
    [
        ("temperature", "temperature", ["0.1", "0.5", "1"]),
        ("top-p", "top_p", ["0.2", "0.9"]),
        ("size", "size", ["0.6B", "8B", "70B"]),
    ],
)
def test_sweeps_stand_by_growing_value(
    canvas: Draw, subject: Subject, name: str, parameter: str, values: list[str]
) -> None:
    grid, shares = canvas(name).axes
    (sweep,) = sweeps_of(subject.answers, parameter)  # type: ignore[arg-type]
    assert names_on(grid) == values
    assert [np.sort(image.get_array().ravel()).tolist() for image in grid.images] == [
        np.sort(codes.ravel()).tolist() for codes in sweep.codes
    ]
    assert [[bar.get_width() for bar in one.patches] for one in shares.containers] == pytest.approx(sweep.shares.T)


def test_arrows_and_means_between_labels(canvas: Draw, subject: Subject) -> None:
    left, right = canvas("ternary").axes
    moves = moves_of(subject.answers, subject.group, subject.people["livenli"])
    points = [one for one in left.collections if isinstance(one, PathCollection)]
    for drawn, p in zip(points, (moves.people, moves.group), strict=True):
        assert len(drawn.get_offsets()) == len(np.unique(p.round(9), axis=0))
        assert np.asarray(drawn.get_sizes()).sum() == pytest.approx(5 * len(np.unique(p.round(9), axis=0)) + 5 * len(p))
    arrows = [one for one in left.patches if hasattr(one, "get_arrowstyle")]
    assert len(arrows) == (~np.isclose(flat(moves.people), flat(moves.group)).all(-1)).sum()
    texts = {text.get_text() for text in right.texts}
    assert {"true", "either", "false", "LiveNLI", "ChaosNLI", "steady", "$x_{1}^{2}$", "_fickle", "third"} <= texts
    (crowd,) = places_of({"LiveNLI": subject.people["livenli"]})
    assert any(np.allclose(one.get_xydata(), flat(crowd.mean)) for one in right.lines)


def test_corners_are_the_labels() -> None:
    corners = flat(np.eye(3))
    assert corners[1, 1] == corners[:, 1].max()
    assert corners[0, 0] < corners[1, 0] < corners[2, 0]
    assert np.linalg.norm(corners - corners[[1, 2, 0]], axis=1) == pytest.approx([1, 1, 1])


def test_draws_of_half_the_mix(canvas: Draw, subject: Subject) -> None:
    drawn = canvas("randommix")
    pool = Pool.of(subject.answers, subject.group.members, subject.people)
    assert all(isinstance(one, People) for one in pool.people.values())
    expected = randommix(pool, size=2).whole
    entropy = drawn.axes[0]
    assert any(one.get_ydata() == pytest.approx(expected["entropy", None]) for one in entropy.lines)
    assert "1,000 draws of 2 from the 4 participants of mix" in drawn.get_suptitle()


def test_the_curve_has_a_point_for_each_size(canvas: Draw) -> None:
    assert line(canvas("curve").axes[0], 0)[:, 0].tolist() == [1, 2, 3, 4]


def test_explanations_of_writers_and_populations(canvas: Draw, subject: Subject) -> None:
    words, vocabulary, jaccard, *distances = canvas("explanations").axes
    found = {one.name: one for one in variations_of(
        subject.explanations, populations_of(subject.explanations, [subject.group]), subject.vectors, overlap=False
    )}  # fmt: skip
    names = names_on(words)
    assert set(names) == {
        "w2",
        "w3",
        "w4",
        "w5",
        "w6",
        "w10",
        *(subject.answers.names[k] for k in subject.group.members),
    }
    assert all(name.startswith("w") for name in names[:6])
    for axes, figure in ((words, "word_count"), (vocabulary, "vocabulary"), (jaccard, "jaccard")):
        medians = [line(axes, row)[0, 0] for row in range(len(names))]
        assert medians == pytest.approx([middle_of(found[name].lexical[figure]) for name in names])
    assert len(distances) == 6
    assert names_on(distances[0]) == ["people", "mix"]
    for axes, (embedder, figure) in zip(
        distances, [(e, f) for e in subject.vectors for f in ("d_pair", "d_cent", "d_max")], strict=True
    ):
        expected = [middle_of(found[name].vectors[embedder][figure]) for name in ("people", "mix")]
        assert [line(axes, row)[0, 0] for row in range(2)] == pytest.approx(expected)


def test_marks_are_the_medians_of_the_table(canvas: Draw, subject: Subject) -> None:
    """A mix of several trials has the mean of their medians in both."""
    report = explanation_report("all", subject.explanations, [subject.group], subject.vectors, draws=100)
    rows = {row.name: row for row in report.rows}
    *_, first, second, third = canvas("explanations").axes
    embedder = list(subject.vectors)[-1]
    for axes, figure in ((first, "d_pair"), (second, "d_cent"), (third, "d_max")):
        expected = [rows[name].vectors[embedder][figure].value for name in ("people", "mix")]
        assert [line(axes, row)[0, 0] for row in range(2)] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["temperature", "top-p", "size"])
def test_explanations_of_sweeps_beside_people(canvas: Draw, name: str) -> None:
    axes = canvas(f"{name}-explanations").axes
    assert len(axes) == 6
    assert names_on(axes[0]) == ["people", "f" if name == "size" else "m"]


def test_each_explanation_of_an_item_is_a_point(canvas: Draw, subject: Subject) -> None:
    drawn = canvas("item")
    (axes,) = drawn.axes
    points = [one for one in axes.collections if isinstance(one, PathCollection)]
    assert sum(len(one.get_offsets()) for one in points) == 6 + 4  # workers, and the mix's first trial
    named = {text.get_text() for text in axes.texts}
    assert named <= {"w2", "w3", "w4", "w5", "w6", "w10", *(subject.answers.names[k] for k in subject.group.members)}
    assert len(named) >= 5
    assert "item007 is in the rain. It is wet $now$." in drawn.legends[0].get_title().get_text()


def test_embedders_stand_side_by_side(canvas: Draw, subject: Subject) -> None:
    axes = canvas("embedders").axes
    assert len(axes) == 2
    first_trial = subject.answers.simple[list(subject.group.members), 0]
    shown = [one for one in subject.dataset.annotations if one.uid in subject.answers.items]  # type: ignore[union-attr]
    expected = (first_trial != ASKED_IN_VAIN).sum() + len(shown)
    for one, name in zip(axes, subject.vectors, strict=True):
        assert sum(len(c.get_offsets()) for c in one.collections if isinstance(c, PathCollection)) == expected
        assert one.get_title(loc="left").startswith(name[:10])
        assert "same item" in one.get_title(loc="left")
