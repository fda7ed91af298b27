"""Hostile texts as answers, explanations, items, uids, participants and groups, through every output there is.

One run holds all of them. What a text may do is what the letters of its own would: it is shown or escaped, never
obeyed by a terminal, a browser, a Markdown renderer, a spreadsheet or a reader of YAML and JSON.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml
from markdown_it import MarkdownIt

Partynli = Callable[..., CompletedProcess[str]]
MARKDOWN = MarkdownIt("gfm-like", {"linkify": False})
LABELS = ("true", "either", "false")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture
def tmp_path(folder: Path) -> Path:
    """All tests here read the run that the first one makes."""
    return folder


@pytest.fixture
def run(folder: Path, partynli: Partynli, hostile: list[str]) -> str:
    if not (folder / "runs" / "evil").exists():
        with (folder / "items.csv").open("w", newline="", encoding="utf-8") as file:
            heads = ["uid", "premise", "hypothesis", *(f"human_{label}" for label in LABELS)]
            rows = [[text, text, text, 50, 0, 0] for text in hostile]
            csv.writer(file).writerows([heads, *rows])
        with (folder / "answers.csv").open("w", newline="", encoding="utf-8") as file:
            heads = ["sent_id", "participant", "trial", "class_multi", "explanation", "participant_type", "experiment"]
            rows = [
                [uid, name, trial, LABELS[2 - (at + who) % 7 // 6], hostile[(at + who) % len(hostile)], "model", text]
                for who, name in enumerate(hostile[:12])
                for text in (hostile[8],)
                for trial in (1, 2)
                for at, uid in enumerate(hostile)
            ]
            csv.writer(file).writerows([heads, *rows])
        done = partynli("import", "answers.csv", "--items", "items.csv", "--run", "evil")
        assert done.returncode == 0, done.stderr
        check_terminal(done)
    return "evil"


def check_terminal(done: CompletedProcess[str]) -> None:
    for text in (done.stdout, done.stderr):
        bad = {sign for sign in text if not (sign.isprintable() or sign == "\n")}
        assert not bad, bad
    assert "Traceback" not in done.stderr


def check_markdown(text: str) -> None:
    """Nothing but the headings, lists and tables that the report itself is made of."""
    bad = {sign for sign in text if not (sign.isprintable() or sign == "\n")}
    assert not bad, bad
    kinds = set()
    for token in MARKDOWN.parse(re.sub(r"^<!-- partynli:(begin|end) [a-z-]+ -->$", "", text, flags=re.M)):
        kinds |= {token.type, *(one.type for one in token.children or ())}
        if token.type == "heading_open":
            assert token.tag in ("h1", "h2", "h3"), token
    assert not kinds & {"html_block", "html_inline", "image", "fence", "hr"}, kinds
    links = {
        one.attrGet("href") for token in MARKDOWN.parse(text) for one in token.children or () if one.type == "link_open"
    }
    assert not [link for link in links if "evil" in str(link) or "javascript" in str(link)]
    assert not re.search(r"(?<!\\)\$", text)  # some renderers set formulas


def check_spreadsheet(text: str) -> None:
    """No cell begins as a formula, whatever a spreadsheet trims or takes for the same sign."""
    for row in csv.reader(io.StringIO(text, newline="")):
        for cell in row:
            begins = unicodedata.normalize("NFKC", cell).lstrip()[:1]
            is_number = re.fullmatch(r"-?[0-9.]+(e[-+]?[0-9]+)?", cell)
            assert is_number or begins not in ("=", "+", "-", "@"), cell
            assert cell[:1] not in ("\t", "\r", "\n"), cell


def check_svg(text: str) -> None:
    tree = ET.fromstring(text)
    names = {element.tag.rpartition("}")[2] for element in tree.iter()}
    assert not names & {"script", "a", "foreignObject", "iframe"}, names
    for element in tree.iter():
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            assert not name.endswith("href") or value.startswith(("#", "data:image/png;base64,"))


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from strings(key)
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


COMMANDS = {
    "status": ["status", "evil"],
    "report": ["report", "evil", "--draws", "100", "--items-out", "missed.csv"],
    "randommix": ["randommix", "evil", "--draws", "20", "--size", "3"],
    "compare": ["compare", "evil", "evil"],
    "explore": ["explore", "evil", "--no-open"],
    "reasons": ["reasons", "evil", "--sheet", "sheet.csv"],
    "export csv": ["export", "evil", "--out", "export-csv", "--format", "csv", "--include-texts"],
    "export jsonl": ["export", "evil", "--out", "export-jsonl", "--format", "jsonl", "--include-texts"],
    "publish": ["publish", "evil", "--repo", "ada/evil", "--dry-run", "card", "--license", "cc0-1.0", "--include-texts",
                "--title", "=<b>|evil", "--author", "[x](javascript:1)\n---\n", "--allow-emails"],
    "report json": ["report", "evil", "--draws", "100", "--json"],
    "randommix json": ["randommix", "evil", "--draws", "20", "--size", "3", "--json", "--curve"],
    "compare json": ["compare", "evil", "evil", "--json"],
    "status json": ["status", "evil", "--json"],
    "plot entropy": ["plot", "2", "evil", "--format", "svg", "--out", "plots"],
}  # fmt: skip


SLOW = {
    "plot item": ["plot", "1", "evil", "--format", "svg", "--out", "plots"],
    "explanations": ["report", "evil", "--draws", "100", "--explanations"],
    "every figure": ["report", "evil", "--draws", "100", "--out", "all"],
    "draws": ["randommix", "evil", "--draws", "20", "--size", "3", "--out", "draws"],
}


@pytest.mark.parametrize("name", [*COMMANDS, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_no_output_obeys_a_foreign_text(
    name: str, run: str, partynli: Partynli, folder: Path, hostile: list[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    done = partynli(*(COMMANDS | SLOW)[name])
    assert done.returncode == 0, done.stderr
    check_terminal(done)
    if name.endswith(" json"):
        found = set(strings(json.loads(done.stdout)))
        assert name == "compare json" or set(hostile[:12]) <= found or hostile[8] in found  # to the letter
    written = [p for p in folder.rglob("*") if p.is_file() and before.get(p) != p.stat().st_mtime_ns]
    for path in written:
        assert path.resolve().is_relative_to(folder.resolve())
        if path.suffix == ".md":
            body = path.read_text("utf-8")
            if body.startswith("---\n"):
                front, body = body[4:].split("\n---\n", 1)
                assert yaml.safe_load(front).get("license") == ("cc0-1.0" if name == "publish" else None)
            check_markdown(body)
        elif path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                check_spreadsheet(file.read())
        elif path.suffix == ".svg":
            check_svg(path.read_text("utf-8"))
        elif path.suffix in (".json", ".jsonl"):
            for line in path.read_text("utf-8").split("\n") if path.suffix == ".jsonl" else [path.read_text("utf-8")]:
                json.loads(line or "0", parse_constant=lambda sign: pytest.fail(f"{sign} is no JSON"))
        elif path.suffix == ".html":
            assert path.read_text("utf-8").count("<script") == 2
            assert path.read_text("utf-8").count("</script>") == 2
            assert not [text for text in ("evil.example", "javascript:", "alert(") if text in path.read_text("utf-8")]
    assert written or name.split()[0] in ("status", "randommix", "compare", "report"), "the test has looked at nothing"
    if name in ("status", "report"):
        assert "[red]x[/red] [/bold]" in done.stdout  # shown, and not taken for a colour
