"""All figures: whole, safe, the same twice, marked where they are synthetic, and refused in words."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.text import Text

from partynli.aggregate import ASKED_IN_VAIN
from partynli.analysis.groups import Group
from partynli.errors import InputError
from partynli.records import Participant
from partynli.report.plots.catalogue import CATALOGUE, find_figure
from partynli.report.plots.style import legend, look, plain, save
from partynli.report.plots.subject import Subject

Draw = Callable[[str], Canvas]
LONG = "a-participant-with-a-name-that-is-much-too-long-for-any-figure-2025-07-17-preview"


def cut(canvas: Canvas) -> list[str]:
    """Texts that are drawn and do not lie within the canvas."""
    with look():
        FigureCanvasAgg(canvas).draw()
        never = unseen(canvas)
        found = []
        for text in canvas.findobj(Text):
            if text.get_visible() and text.get_text().strip() and text not in never:
                box = text.get_window_extent()
                low, high = min(box.x0, box.y0), max(box.x1 - canvas.bbox.x1, box.y1 - canvas.bbox.y1)
                if low < -1 or high > 1:
                    found.append(text.get_text())
    return found


def unseen(canvas: Canvas) -> set[Text]:
    """Labels of ticks beyond the ends of their axis, and of axes that are switched off."""
    found: set[Text] = set()
    for axes in canvas.findobj(Axes):
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                if not axes.axison or not low <= tick.get_loc() <= high:
                    found |= {tick.label1, tick.label2}
            if not axes.axison:
                found.add(axis.label)
    return found


@pytest.mark.parametrize("name", CATALOGUE)
def test_no_label_is_cut(canvas: Draw, name: str) -> None:
    assert cut(canvas(name)) == []


def test_no_long_name_is_cut(subject: Subject) -> None:
    people = subject.answers.participants
    long = tuple(replace(one, name=f"{LONG}-{k}") for k, one in enumerate(people))
    group = replace(subject.group, name=LONG)
    given = replace(subject, answers=replace(subject.answers, participants=long), group=group, run=LONG)
    for name in ("entropy", "consistency", "ternary", "randommix", "explanations", "item"):
        assert cut(CATALOGUE[name].draw(given)) == []


@pytest.mark.parametrize(
    "name",
    [
        "entropy",
        "item",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("consistency", "ternary", "size-explanations")),
    ],
)
def test_the_same_figure_gives_the_same_bytes(subject: Subject, tmp_path: Path, name: str) -> None:
    formats = ("png", "svg", "pdf")
    written = [
        [path.read_bytes() for path in save(CATALOGUE[name].draw(subject), tmp_path / name, formats)] for _ in range(2)
    ]
    assert written[0] == written[1]
    assert [one[:5] for one in written[0]] == [b"\x89PNG\r", b"<?xml", b"%PDF-"]


def test_text_stays_text_and_dollars_stay_dollars(canvas: Draw, tmp_path: Path) -> None:
    svg, pdf = save(canvas("consistency"), tmp_path / "f", ("svg", "pdf"))
    texts = {node.text for node in ET.parse(svg).iter("{http://www.w3.org/2000/svg}text")}
    assert {"$x_{1}^{2}$", "_fickle", "w10"} <= texts
    assert b"/FontFile2" in pdf.read_bytes()  # a TrueType font, whose text can be searched
    assert b"/Type3" not in pdf.read_bytes()


def test_a_matplotlibrc_changes_nothing(subject: Subject, tmp_path: Path) -> None:
    first = save(CATALOGUE["size"].draw(subject), tmp_path / "one", ("svg",))[0].read_bytes()
    with mpl.rc_context({"font.size": 20, "svg.fonttype": "path", "text.parse_math": True, "lines.linewidth": 9}):
        assert save(CATALOGUE["size"].draw(subject), tmp_path / "one", ("svg",))[0].read_bytes() == first


@pytest.mark.parametrize("name", CATALOGUE)
def test_synthetic_runs_are_marked(canvas: Draw, subject: Subject, name: str) -> None:
    assert "SYNTHETIC" not in canvas(name).get_suptitle()
    if name in ("entropy", "consistency", "ternary", "curve", "temperature", "top-p-explanations"):
        made_up = replace(subject, answers=replace(subject.answers, synthetic=True))
        assert "SYNTHETIC" in CATALOGUE[name].draw(made_up).get_suptitle()


def test_foreign_names_are_harmless(subject: Subject, tmp_path: Path) -> None:
    names = ["a\nb", "c\x1b[31m", "rtl\u202eevil", "<script>alert(1)</script>", r"$\frac{a}{0}$", "日本"]
    few = subject.answers.participants[:4]
    people: tuple[Participant, ...] = tuple(replace(one, name=name) for one, name in zip(few, names, strict=False))
    answers = replace(subject.answers, participants=(*people, *subject.answers.participants[4:]))
    (svg,) = save(CATALOGUE["consistency"].draw(replace(subject, answers=answers)), tmp_path / "f", ("svg",))
    content = svg.read_text("utf-8")
    assert "\x1b" not in content
    assert "<script" not in content
    assert plain(names[2]) == "rtl\ufffdevil"
    save(CATALOGUE["consistency"].draw(replace(subject, run=names[4], scope=names[5])), tmp_path / "g")


def test_a_legend_keeps_names_that_begin_with_a_line() -> None:
    with look():
        drawn = Canvas(layout="constrained")
        legend(drawn, [Line2D([], [], label="_hidden")], columns=1)
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == [" _hidden"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("entropy", "needs people's answers"),
        ("ternary", "needs people's answers"),
        ("randommix", "fewer than two participants"),
        ("curve", "fewer than two participants"),
        ("temperature", "varies no temperature: sample it with --experiment temperature"),
        ("top-p", "varies no top-p"),
        ("size", "varies no model size"),
        ("size-explanations", "varies no model size"),
        ("embedders", "5 explanations|side by side"),
        ("item", "5 explanations"),
    ],
)
def test_what_a_run_cannot_give_is_said(alone: Subject, embeddings: str, name: str, why: str) -> None:
    few = replace(alone, embedder_names=(f"{embeddings}#one",))
    with pytest.raises(InputError, match=why):
        CATALOGUE[name].draw(few)


def test_one_participant_on_three_items(alone: Subject, tmp_path: Path) -> None:
    for name in ("consistency", "explanations"):
        drawn = CATALOGUE[name].draw(alone)
        assert cut(drawn) == []
        save(drawn, tmp_path / name)


@pytest.mark.parametrize("name", ["randommix", "curve"])
def test_what_is_undefined_is_said_and_covers_nothing(subject: Subject, name: str) -> None:
    """Nobody gave a valid answer; three human populations side by side."""
    simple = np.where(subject.answers.simple >= 0, ASKED_IN_VAIN, subject.answers.simple)
    assert subject.dataset is not None
    votes = subject.dataset.distributions
    three = replace(subject.dataset, distributions={**votes, "mnli": votes["chaosnli"]})
    silent = replace(subject, answers=replace(subject.answers, simple=simple), dataset=three)
    drawn = CATALOGUE[name].draw(silent)
    with look():
        FigureCanvasAgg(drawn).draw()
        panels = [axes for axes in drawn.axes if axes.get_title(loc="left")]
        assert len(panels) == 7
        for axes in panels:
            said = [text for text in axes.texts if text.get_text() == "undefined"]
            assert len(said) in ((1, 3) if name == "randommix" else (1,))
            names = [one for one in axes.get_xticklabels() if one.get_text()] if name == "randommix" else []
            for texts in (said, names):
                boxes = [text.get_window_extent() for text in texts]
                assert all(one.x1 < other.x0 for one, other in pairwise(boxes))


def test_a_group_without_valid_answers_has_no_entropies(subject: Subject) -> None:
    simple = np.where(subject.answers.simple >= 0, ASKED_IN_VAIN, subject.answers.simple)
    with pytest.raises(InputError, match="has no answers to items that people answered"):
        CATALOGUE["entropy"].draw(replace(subject, answers=replace(subject.answers, simple=simple)))


def test_people_are_not_set_beside_themselves(subject: Subject) -> None:
    people = tuple(replace(one, provider="human") for one in subject.answers.participants)
    with pytest.raises(InputError, match="holds people alone"):
        CATALOGUE["entropy"].draw(replace(subject, answers=replace(subject.answers, participants=people)))


def test_an_unknown_item_is_named_with_the_nearest(subject: Subject) -> None:
    with pytest.raises(InputError, match=r"item 'item07'.*did you mean"):
        CATALOGUE["item"].draw(replace(subject, item="item07"))


def test_a_task_of_two_labels_has_no_triangle(subject: Subject) -> None:
    two = replace(subject.answers, labels=("yes", "no"))
    with pytest.raises(InputError, match="three labels, and the task has 2"):
        CATALOGUE["ternary"].draw(replace(subject, answers=two))


def test_many_participants_have_room(subject: Subject) -> None:
    group = Group("run", "mix", tuple(range(len(subject.answers.participants))))
    once = CATALOGUE["consistency"].draw(subject)
    more = CATALOGUE["consistency"].draw(replace(subject, group=group))
    assert more.get_figheight() > once.get_figheight()
    assert cut(more) == []


def test_a_figure_is_found_by_number_and_name() -> None:
    numbers = {entry.number: name for name, entry in CATALOGUE.items() if entry.number}
    assert {find_figure(number) for number in numbers} == set(numbers.values())
    assert {find_figure(name) for name in CATALOGUE} == set(CATALOGUE)
    assert find_figure("Top_P") == "top-p"
    for wrong, hint in (
        ("entropi", "did you mean entropy"),
        ("5", "no figure 5: figures of the paper are 1, 2"),
        ("", "unknown"),
    ):
        with pytest.raises(InputError, match=hint):
            find_figure(wrong)


def test_what_cannot_be_written_is_said(canvas: Draw, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        save(canvas("size"), tmp_path / "no" / "f")
