"""What pages say is there: links, commands, options, and the pages themselves in the navigation."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

from partynli.cli import COMMANDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NAV = yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), yaml.BaseLoader)["nav"]
"""Without the tags of Python objects that mkdocs knows."""
SHELL = {"", "sh", "console", "text"}
"""Languages of blocks with commands, or with what commands print."""


def in_nav(entry: Any) -> set[str]:
    if isinstance(entry, str):
        return {entry}
    return set[str]().union(*map(in_nav, entry.values() if isinstance(entry, dict) else entry))


def anchor(heading: str) -> str:
    """The id of a heading, as GitHub makes it."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")


def test_every_link_leads_somewhere(pages: list[Path], prose: Callable[[Path], str]) -> None:
    headings = {
        path.resolve(): {anchor(title) for title in re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)}
        for path in pages
    }
    wrong = []
    for path in pages:
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
            if re.match(r"https?:|mailto:", target):
                continue
            name, _, fragment = unquote(target).partition("#")
            there = (path.parent / name).resolve() if name else path.resolve()
            if not there.exists():
                wrong.append(f"{path.relative_to(ROOT)}: {target} is not there")
            elif fragment and fragment not in headings.get(there, {fragment}):
                wrong.append(f"{path.relative_to(ROOT)}: {target}: no such heading")
    assert not wrong


def test_every_option_that_a_page_names_is_there(
    pages: list[Path],
    blocks: Callable[[Path], Any],
    prose: Callable[[Path], str],
    command_lines: Callable[[str], Any],
) -> None:
    wrong, seen = [], 0
    for path in pages:
        said = [(block.name, block.body) for block in blocks(path) if block.language in SHELL]
        said += [(path.name, " ".join(code.split())) for code in re.findall(r"`([^`]+)`", prose(path))]
        for where, code in said:
            for line in command_lines(code):
                seen += 1
                wrong += [f"{where}: {line.path} has no {option}" for option in line.unknown]
    assert not wrong
    assert seen > 300


def test_the_check_of_options_finds_one_that_is_not_there(command_lines: Callable[[str], Any]) -> None:
    code = "$ partynli mjd report r --json --nosuch=1 && .venv/bin/partynli sample --mix a \\\n --also-not  # --no"
    assert [(line.path, line.unknown) for line in command_lines(code)] == [
        ("partynli mjd report", ["--nosuch"]),
        ("partynli sample", ["--also-not"]),
    ]


def test_every_page_is_in_the_navigation() -> None:
    there = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert sorted(there - in_nav(NAV)) == []


def test_every_command_has_a_page_in_the_navigation() -> None:
    assert {f"reference/commands/{name}.md" for name in COMMANDS} <= in_nav(NAV)


def test_every_block_of_commands_is_run_or_says_why_not(pages: list[Path], blocks: Callable[[Path], Any]) -> None:
    run = {"README.md", "docs/tutorial.md", *(f"docs/how-to/{path.name}" for path in (DOCS / "how-to").glob("*.md"))}
    silent = [
        block.name
        for path in pages
        for block in blocks(path)
        if block.language == "sh" and block.mark is None and block.name.partition(":")[0] not in run
    ]
    assert not silent
