"""The Markdown files of the repository as tests read them: their blocks, and the commands that they name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from partynli.cli import cli

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w-]*)[^\n]*\n(?P<body>.*?)^(?P=indent)```", re.DOTALL | re.MULTILINE
)
_MARK = re.compile(r"<!-- (?:not run|differs): (.+) -->\s*\Z")


class Block(NamedTuple):
    """What stands between two fences."""

    name: str
    """Page and line."""
    language: str
    body: str
    mark: str | None
    """Why it is not run, or why its output differs; None where neither is said."""


def _blocks(path: Path) -> list[Block]:
    text, found = path.read_text("utf-8"), []
    for fence in _FENCE.finditer(text):
        body = re.sub(rf"^{fence['indent']}", "", fence["body"], flags=re.MULTILINE)
        mark = _MARK.search(text[: fence.start()])
        name = f"{path.relative_to(ROOT).as_posix()}:{text.count(chr(10), 0, fence.start()) + 1}"
        found.append(Block(name, fence["language"], body, mark[1] if mark else None))
    return found


class Line(NamedTuple):
    """A command line of ours that a page names."""

    command: click.Command
    path: str
    """Its name with those of the groups above it: ``partynli mjd run``."""
    options: list[str]

    @property
    def unknown(self) -> list[str]:
        """Options that the command does not have."""
        has = {"--help", "-h", "--version"}.union(*([*one.opts, *one.secondary_opts] for one in self.command.params))
        return [option for option in self.options if option not in has]


def _lines(code: str) -> Iterator[Line]:
    for line in re.sub(r"\\\n", " ", code).splitlines():
        for part in re.split(r"&&|\|\||[;|&]\s|#\s", line):
            words = [word.removeprefix(".venv/bin/") for word in part.split()]
            if "partynli" in words[:-1]:
                yield _resolved(words[words.index("partynli") + 1 :])


def _resolved(words: list[str]) -> Line:
    command: click.Command = cli
    path, context = "partynli", click.Context(cli)
    for word in words:
        if not isinstance(command, click.Group) or not re.fullmatch("[a-z]+", word):
            break
        below = command.get_command(context, word)
        if below is None and command is not cli:
            break  # a group that is a command as well, and an argument of it
        assert below is not None, f"there is no command `{path} {word}`"
        command, path = below, f"{path} {word}"
    options = [found[0] for word in words if (found := re.match(r"--?[a-z][a-z-]*", word))]
    return Line(command, path, options)


@pytest.fixture(scope="session")
def pages() -> list[Path]:
    """All Markdown files of the repository that are read by people."""
    return sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "benchmarks").rglob("*.md")])


@pytest.fixture(scope="session")
def blocks() -> Callable[[Path], list[Block]]:
    """The fenced blocks of a page, in order; those in lists without their indentation."""
    return _blocks


@pytest.fixture(scope="session")
def prose() -> Callable[[Path], str]:
    """A page without its fenced blocks."""
    return lambda path: _FENCE.sub("", path.read_text("utf-8"))


@pytest.fixture(scope="session")
def command_lines() -> Callable[[str], Iterator[Line]]:
    """Every command line of ours in a text of code."""
    return _lines
