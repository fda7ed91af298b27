"""The explorer as a reader meets it, in a real Chromium: what it shows, what it computes, and what it never does."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from partynli.items import Dataset, ItemSource
from partynli.metrics import entropy, js_distance, probabilities
from partynli.records import Annotation, Span, Task

pytestmark = pytest.mark.browser

CHROMIUM = os.environ.get("PARTYNLI_CHROMIUM", "/usr/bin/chromium")
AXE = os.environ.get("PARTYNLI_AXE", "")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ROW = "#list tbody tr:not(.gap)"
SECONDS = float(os.environ.get("PARTYNLI_BROWSER_SECONDS", "2"))
"""Within which a page of 33,000 answers must be there."""

SAID = [
    ("ant", "i1", 1, "true", "It rained, so it is wet.", [["premise", 0, 4, "Rain"]]),
    ("ant", "i1", 2, "either", "A roof may have kept it dry.", [["hypothesis", None, None, "roof"]]),
    ("ant", "i2", 1, "true", "Rain again.", []),
    ("ant", "i2", 2, "true", "As before.", []),
    ("bee", "i1", 1, "false", "Dry.", []),
    ("bee", "i1", 2, "error", "", []),
    ("bee", "i2", 1, "either-true", "Who knows?", []),
    ("bee", "i2", 2, "true", "Wet.", []),
    ("cat", "i3", 1, "false", "No rain at all.", []),
]
PEOPLE = Dataset(
    "people",
    ItemSource.of([], "people"),
    annotations=(Annotation("i1", "w1", "either", "either", "Roofs exist.", (Span("premise", "fell", 5, 9),)),),
    distributions={"crowd": {"i1": (1, 8, 1), "i2": (9, 1, 0), "i3": (0, 0, 10)}, "few": {"i1": (5, 0, 0)}},
)
GIVEN: dict[str, Any] = {
    "dataset": PEOPLE,
    "groups": {"small": ["ant"], "big": ["ant", "bee", "cat"]},
    "families": {"ant": "insects", "bee": "insects", "cat": "mammals"},
}


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"there is no Chromium at {CHROMIUM}; PARTYNLI_CHROMIUM may name another place")
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


class Reader:
    """A browser window that notes everything a page should never do."""

    def __init__(self, context: Any) -> None:
        self.context = context
        self.page = context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: (self.complaints.append("a dialog"), dialog.dismiss()))
        context.on("page", lambda _: self.complaints.append("a window"))
        context.route("**/*", self._watch)

    def _watch(self, route: Any) -> None:
        self.requests.append(route.request.url)
        route.continue_() if len(self.requests) == 1 else route.abort()

    def open(self, page: Path, hash_: str = "") -> Any:
        self.page.goto(f"{page.as_uri()}{hash_}")
        self.page.wait_for_selector("#list thead", state="attached")
        return self.page

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something; Playwright's own way would need `eval`, which the page forbids."""
        end = time.monotonic() + 8
        while not holds():
            assert time.monotonic() < end, "it did not come"
            self.page.wait_for_timeout(20)

    def texts(self, selector: str) -> list[str]:
        found: list[str] = self.page.locator(selector).all_inner_texts()
        return found

    def uids(self) -> list[str]:
        return self.texts(f"{ROW} span.uid")


@pytest.fixture
def reader(chromium: Any) -> Iterator[Reader]:
    """A window in which nothing may go wrong and from which nothing may be asked."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(8000)
    made = Reader(context)
    yield made
    context.close()
    assert made.complaints == []
    assert len(made.requests) <= 1, made.requests


@pytest.fixture
def small(make_page: Callable[..., Path]) -> Path:
    return make_page(SAID, **GIVEN)


def number(text: str) -> float:
    return float("nan") if text == "–" else float(text)


def test_the_figures_are_those_of_the_metrics(reader: Reader, small: Path) -> None:
    reader.open(small)
    models = np.array([[1, 1, 1], [3, 1, 0], [0, 0, 1]])  # of i1, i2, i3; a set of labels counts as either
    crowd = np.array([[1, 8, 1], [9, 1, 0], [0, 0, 10]])
    h = entropy(probabilities(models))
    js = js_distance(probabilities(crowd), probabilities(models))
    columns = [reader.texts(f"{ROW} td.{key}") for key in ("h", "js", "d")]
    cells = dict(zip(reader.uids(), zip(*columns, strict=True), strict=True))
    for place, uid in enumerate(("i1", "i2", "i3")):
        assert number(cells[uid][0]) == pytest.approx(h[place], abs=0.005)
        assert number(cells[uid][1]) == pytest.approx(js[place], abs=0.005)
    assert [cells[uid][2] for uid in ("i1", "i2", "i3")] == ["1.00", "0.50", "–"]  # one answer has no pair
    assert reader.uids() == [f"i{k + 1}" for k in np.argsort(-js)]


def test_the_list_is_sorted_as_asked(reader: Reader, small: Path) -> None:
    page = reader.open(small)
    page.locator("th.uid button").click()
    assert reader.uids() == ["i1", "i2", "i3"]
    page.locator("th.uid button").click()
    assert reader.uids() == ["i3", "i2", "i1"]
    assert page.locator("thead th.uid").get_attribute("aria-sort") == "descending"
    page.locator("th.d button").click()
    assert reader.uids() == ["i1", "i2", "i3"]  # falling first; what is undefined comes last, either way
    page.locator("th.d button").click()
    assert reader.uids() == ["i2", "i1", "i3"]


def test_mix_family_and_trial_say_whose_answers_count(reader: Reader, small: Path) -> None:
    page = reader.open(small, "#item=i1")

    def votes() -> list[str]:
        cells: list[str] = page.locator(".numbers tbody tr").filter(has_text="Models:").locator("td").all_inner_texts()
        return [one.replace("\u202f", " ") for one in (cells[0], *cells[4:])]

    assert votes() == ["3", "33 %", "33 %", "33 %"]
    page.locator("#choose-group").select_option("small")
    assert votes() == ["2", "50 %", "50 %", "0 %"]
    page.locator("#choose-trial").select_option("2")
    assert votes() == ["1", "0 %", "100 %", "0 %"]
    page.get_by_role("button", name="Clear").click()
    page.locator("#choose-family").select_option("mammals")
    assert votes() == ["0", "–", "–", "–"]
    page.locator("#choose-people").select_option("few")
    assert "people (few)" in page.locator("figcaption").inner_text()


def test_label_search_and_whose_answers_say_what_is_listed(reader: Reader, small: Path) -> None:
    page = reader.open(small, "#view=answers")
    assert page.locator("#found").inner_text() == "10 of 10 answers"
    page.locator("#choose-label").select_option("either")
    assert set(reader.texts(f"{ROW} td.text")) == {"A roof may have kept it dry.", "Who knows?", "Roofs exist."}
    page.locator("#choose-who").select_option("people")
    assert reader.texts(f"{ROW} td.who") == ["w1 (person)\ntrial 1"]
    page.get_by_role("button", name="Clear").click()
    page.locator("#choose-label").select_option("(none)")
    assert reader.texts(f"{ROW} td.who") == ["bee\ntrial 2"]
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Search").fill("ROOF")
    reader.until(lambda: page.locator("#list mark.hit").count() == 2)
    page.locator("#view-items").click()
    assert reader.uids() == ["i1"]
    assert reader.texts(f"{ROW} td.hits") == ["2"]


def test_an_item_shows_every_answer_with_its_reasons_in_place(reader: Reader, small: Path) -> None:
    page = reader.open(small)
    page.locator(ROW).filter(has_text="i1 is wet").click()
    assert page.locator("#item-title").inner_text() == "i1"
    assert len(reader.texts(".card")) == 5
    assert "hypothesis: roof (not in the text)" in page.locator(".card").nth(1).inner_text()
    assert reader.texts(".grid tbody tr:nth-child(1) button") == ["T", "E"]
    page.get_by_role("button", name="trial 1 of ant").click()
    assert reader.texts(".card.selected mark.own") == ["Rain"]
    assert reader.texts(".texts mark") == ["Rain", "fell"]
    assert "people (crowd)" in page.locator("figcaption").inner_text()
    assert page.locator("svg.between rect.people").count() == 1
    assert "crowd): true 10\u202f%, either 80\u202f%, false 10\u202f%" in page.locator("svg.between").get_attribute(
        "aria-label"
    )


def test_two_participants_side_by_side(reader: Reader, small: Path) -> None:
    page = reader.open(small, "#item=i1")
    page.locator("[data-key=pair-a]").select_option("ant")
    page.locator("[data-key=pair-b]").select_option("w1")
    assert [text.split("\n")[0] for text in reader.texts(".column")] == ["A · ant", "B · w1 (person)"]
    assert reader.texts(".column:nth-child(2) mark.own") == ["fell"]
    assert [number(text) for text in reader.texts(f"{ROW} td.ab")][reader.uids().index("i1")] == pytest.approx(
        float(js_distance([0.5, 0.5, 0], [0, 1, 0])), abs=0.005
    )


def test_the_address_holds_what_is_seen(reader: Reader, small: Path) -> None:
    page = reader.open(small)
    page.locator("#choose-group").select_option("big")
    page.locator("th.h button").click()
    page.get_by_label("Search").fill("rain")
    reader.until(lambda: "q=rain" in page.url)
    page.locator(ROW).filter(has_text="i1 is wet").click()
    page.get_by_role("button", name="trial 1 of ant").click()
    page.locator("#theme").click()
    seen, address = page.locator("main").inner_text(), page.url
    reader.requests.clear()
    page.reload()
    page.wait_for_selector(".card.selected")
    assert page.locator("main").inner_text() == seen
    assert page.url == address
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.go_back()
    reader.until(lambda: "item=" not in page.url)
    assert page.locator("#item-title").count() == 0


def test_an_address_of_another_run_says_what_is_missing(reader: Reader, small: Path) -> None:
    page = reader.open(small, "#item=i99&group=large&sort=-nothing")
    assert page.locator("#found").inner_text() == "3 of 3 items. Not in this run: group large, item i99"


def test_everything_can_be_done_from_the_keyboard(reader: Reader, small: Path) -> None:
    page = reader.open(small, "#sort=uid")
    page.keyboard.press("l")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.innerText").startswith("i2")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.locator("#item-title").inner_text() == "i2"
    page.keyboard.press("j")
    assert page.locator("#item-title").inner_text() == "i3"
    page.keyboard.press("k")
    page.keyboard.press("k")
    page.keyboard.press("n")
    page.keyboard.press("n")
    assert page.locator(".card.selected .name").text_content().startswith("ant, trial 2")
    page.keyboard.press("Escape")
    assert page.locator("#item-title").count() == 0
    assert page.evaluate("document.activeElement.innerText").startswith("i1")
    page.keyboard.press("/")
    page.keyboard.type("jet")  # letters are letters there
    reader.until(lambda: "q=jet" in page.url)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.locator("#about").is_visible()
    page.get_by_label("letters act as keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    assert "view=answers" not in page.url


def test_33000_answers_are_there_in_two_seconds_and_scroll(
    reader: Reader, make_page: Callable[..., Path], huge: list[Any]
) -> None:
    path = make_page(huge)
    start = time.monotonic()
    page = reader.open(path)
    assert time.monotonic() - start < SECONDS
    start = time.monotonic()
    page.locator("#view-answers").click()
    assert page.locator("#found").inner_text() == "33,000 of 33,000 answers"
    assert time.monotonic() - start < SECONDS
    drawn = page.evaluate(
        """async () => {
            const scroller = document.getElementById("scroller");
            const rows = [], late = [];
            for (let step = 1; step <= 60; step++) {
                scroller.scrollTop = scroller.scrollHeight * step / 60;
                const before = performance.now();
                await new Promise(requestAnimationFrame);
                await new Promise(requestAnimationFrame);
                late.push(performance.now() - before);
                rows.push(scroller.querySelectorAll("tbody tr").length);
            }
            return [Math.max(...rows), late.sort((a, b) => a - b)[30]];
        }"""
    )
    assert drawn[0] < 60  # of 33,000
    assert drawn[1] < 100  # ms for two frames, with a far jump before each
    assert page.locator(f"{ROW} >> nth=-1").get_attribute("aria-rowindex") == "33001"
    page.get_by_label("Search").fill("nothing here tells")
    reader.until(lambda: page.locator("#list mark.hit").count() > 0)


NASTY = [
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<img src=x onerror=alert(3)><svg onload=alert(4)>",
    "<a href='javascript:alert(5)'>javascript:alert(5)</a> [x](javascript:alert(6))",
    "\x1b[31mred\x1b]8;;http://example.org\x07link\x1b]8;;\x07",
    "user \u202egnp.exe\u2066 \u200b\U000e0041",
    '=HYPERLINK("http://example.org","x")',
    "<iframe src=http://example.org></iframe><link rel=stylesheet href=http://example.org/x.css>",
    "' onfocus=alert(7) autofocus x='",
]


def test_what_a_model_wrote_is_only_ever_text(reader: Reader, make_page: Callable[..., Path]) -> None:
    said = [
        (f"m{k} {text}", f"i {text}", 1, "true", text, [["premise", None, None, text], ["hypothesis", 0, 5, text]])
        for k, text in enumerate(NASTY)
    ]
    texts = {f"i {text}": (text, text) for text in NASTY}
    path = make_page(said, texts=texts, notes=NASTY, synthetic=True, groups={text: [said[0][0]] for text in NASTY[:3]})
    page = reader.open(path)
    for hash_ in ("#view=answers", "#q=alert", f"#{NASTY[0]}", "#item=%3Cscript%3E&a=<img onerror=alert(8)>"):
        page.evaluate("hash => { location.hash = hash; }", hash_)
        page.wait_for_timeout(50)
    page.evaluate("location.hash = ''")
    page.wait_for_timeout(50)
    shown = ""
    page.keyboard.press("l")
    for _ in NASTY:
        page.keyboard.press("j")
        page.keyboard.press("n")
        shown += page.locator("#item").inner_text()
    page.keyboard.press("?")
    assert page.locator("script, iframe, link, img, object, embed, base").count() == 2  # the data and the script
    assert page.locator("[href]:not([href^='#']), [src], [onerror], [onload], [onfocus]").count() == 0
    assert page.locator("#synthetic").is_visible()
    assert "SYNTHETIC" in page.title()
    for text in (*NASTY[:4], *NASTY[6:]):
        assert text in shown
    assert "␛[31mred␛]8;;" in shown
    assert "user ⟦RLO⟧gnp.exe⟦LRI⟧ ⟦U+200B⟧⟦U+E0041⟧" in shown
    assert not {"\x1b", "\u202e", "\u2066"} & set(page.locator("body").inner_text())


def test_a_run_without_people_says_why(reader: Reader, make_page: Callable[..., Path]) -> None:
    page = reader.open(make_page(SAID, notes=["no human data: task x names none"]), "#item=i1")
    assert (
        "No people's answers stand beside these. no human data: task x names none."
        in page.locator("#item").inner_text()
    )
    assert page.locator("th.js").count() == 0
    assert page.locator("#synthetic").is_hidden()


@pytest.mark.parametrize(
    ("labels", "drawn"), [(("yes", "no"), True), (("bad", "poor", "fair", "good", "very good"), False), (("x",), False)]
)
def test_other_tasks_have_other_labels(
    reader: Reader, make_page: Callable[..., Path], task: Task, labels: tuple[str, ...], drawn: bool
) -> None:
    other = replace(task, labels=labels, fields=("text",), set_labels=False, collapse_to=labels[0], highlights={})
    said = [("m", "i", trial, label, "Because.", []) for trial, label in enumerate(labels, start=1)]
    page = reader.open(make_page(said, task=other, texts={"i": ("A text.",)}), "#item=i")
    assert len(reader.texts(".numbers thead .chip")) == len(labels)
    assert len(set(reader.texts(".legend b, .numbers thead b"))) == len(labels)
    assert page.locator("svg.between").count() == drawn


def test_a_phone_shows_list_or_item(chromium: Any, small: Path) -> None:
    context = chromium.new_context(viewport={"width": 360, "height": 700})
    page = context.new_page()
    page.goto(small.as_uri())
    page.locator(ROW).first.click()
    assert not page.locator("#list").is_visible()
    assert page.evaluate("document.activeElement.id") == "item-title"
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.get_by_role("button", name="List").click()
    assert page.locator("#list").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    context.close()


def test_a_browser_without_decompression_is_told(chromium: Any, small: Path) -> None:
    context = chromium.new_context()
    context.add_init_script("delete window.DecompressionStream")
    page = context.new_page()
    page.goto(small.as_uri())
    assert "lacks DecompressionStream" in page.get_by_role("alert").inner_text()
    context.close()


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The folder as a static site on loopback, and the paths that were asked for."""
    asked: list[str] = []

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_as_a_static_site_it_asks_for_nothing_but_itself(chromium: Any, small: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_bytes(small.read_bytes())
    (site / "frame.html").write_text('<iframe src="index.html#item=i2" width=800 height=600></iframe>')
    with served(site) as (address, asked):
        context = chromium.new_context()
        page = context.new_page()
        page.goto(f"{address}/#item=i1")
        page.wait_for_selector("#item-title")
        assert set(asked) <= {"/", "/favicon.ico"}  # the icon is asked for by the browser, of its own
        page.goto(f"{address}/frame.html")
        frame = page.frame_locator("iframe")
        assert frame.locator("#item-title").inner_text() == "i2"
        context.close()


@pytest.mark.skipif(not AXE, reason="PARTYNLI_AXE names no axe.min.js (npm install axe-core)")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_serious(chromium: Any, small: Path, scheme: str, width: int) -> None:
    axe = Path(AXE).read_text("utf-8")
    # axe comes in from outside, which the page's policy would forbid
    context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True)
    for hash_ in ("", "view=answers", "item=i1&answer=ant%2F1&q=rain&a=ant&b=w1", "help"):
        page = context.new_page()
        page.goto(f"{small.as_uri()}#{hash_}")
        page.wait_for_selector("#counts:not(:empty)")
        if hash_ == "help":
            page.locator("#help").click()
        page.evaluate(axe)
        found = page.evaluate("axe.run()")["violations"]
        serious = [one for one in found if one["impact"] in ("serious", "critical", "moderate")]
        assert not serious, [(one["id"], one["nodes"][0]["html"]) for one in serious]
        page.close()
    context.close()
