"""Write the reference from the code: commands from click, files from their models, JSON from a report that was made.

``make reference`` runs it. Pages in ``docs/reference/commands`` are written whole. Other pages keep their text, and
only what stands between ``<!-- begin: NAME -->`` and ``<!-- end: NAME -->`` is replaced.
"""

from __future__ import annotations

import html
import inspect
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel

from partynli.cli import COMMANDS, cli, run
from partynli.prompts import TaskFile
from partynli.registry import entries

REFERENCE = Path(__file__).parent / "reference"
_MADE = "<!-- made from the code by `make reference`; what is changed here by hand is lost -->"
_BLOCK = re.compile(r"(<!-- begin: (\w+) -->\n).*?(<!-- end: \2 -->)", re.DOTALL)


def command_pages() -> dict[Path, str]:
    """A page for every command, with its sub-commands, and one that lists them."""
    folder = REFERENCE / "commands"
    pages = {folder / f"{name}.md": "\n\n".join([*_command(name), _MADE]) + "\n" for name in COMMANDS}
    rows = [f"| [`partynli {name}`]({name}.md) | {_cell(said)} |" for name, said in COMMANDS.items()]
    table = _table("command", "does", rows=rows)
    codes = (inspect.getdoc(run) or "").split("\n\n")[1]
    pages[folder / "index.md"] = f"# Commands\n\n{table}\n\nExit codes: {codes}\n\n{_MADE}\n"
    return pages


def _command(name: str) -> Iterator[str]:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return _sections(command, f"partynli {name}", "#")


def _sections(command: click.Command, path: str, heading: str) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    yield f"{heading} {path}"
    yield from (_paragraph(text) for text in inspect.cleandoc(command.help or "").split("\n\n"))
    yield f"```text\n{' '.join(command.get_usage(context).split())}\n```"
    options = [one for one in command.params if isinstance(one, click.Option)]
    records = [record for one in options if (record := one.get_help_record(context))]
    if records:
        yield _table("option", "meaning", rows=[f"| {_code(name)} | {_plain(said)} |" for name, said in records])
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _sections(below, f"{path} {name}", heading + "#")


def _paragraph(text: str) -> str:
    """A paragraph of a help text; what click is told to leave as it is becomes a block of examples."""
    if not text.startswith("\b\n"):
        return text
    title, _, lines = text.removeprefix("\b\n").partition("\n")
    return f"{title}\n\n```text\n{inspect.cleandoc(lines)}\n```"


def _table(*columns: str, rows: list[str]) -> str:
    return "\n".join([f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *rows])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str) -> str:
    """A cell of code; a bar in backticks is read in one way by GitHub, and in another by Python-Markdown."""
    return f"<code>{html.escape(text).replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"


def _plain(text: str) -> str:
    """A cell with the remarks of click in brackets, which are no links."""
    return re.sub(r"([\[\]])", r"\\\1", _cell(text))


def file_pages() -> dict[Path, str]:
    """The pages on registry.yaml and task.yaml, with a table for each of their models."""
    models = {
        name: one for name, one in vars(entries).items() if inspect.isclass(one) and issubclass(one, entries.Entry)
    }
    tables = {name: _keys(model) for name, model in (models | {"TaskFile": TaskFile}).items()}
    return {REFERENCE / name: _filled(REFERENCE / name, tables) for name in ("registry.md", "task.md")}


def _filled(path: Path, blocks: Mapping[str, str]) -> str:
    return _BLOCK.sub(lambda found: f"{found[1]}\n{blocks[found[2]]}\n\n{found[3]}", path.read_text("utf-8"))


def _keys(model: type[BaseModel]) -> str:
    """The keys that a model declares itself, with types, defaults and meanings."""
    schema = model.model_json_schema()
    rows = [
        f"| `{key}` | {_type(one)} | {_default(one)} | {_cell(one.get('description', ''))} |"
        for key, one in schema.get("properties", {}).items()
        if key in model.__annotations__
    ]
    return _table("key", "type", "default", "meaning", rows=rows)


def _default(schema: Mapping[str, Any]) -> str:
    if "default" not in schema:
        return "must be given"
    if "$ref" in schema:  # the defaults of its keys stand in their own table
        return "`{}`"
    return "none" if schema["default"] is None else f"`{json.dumps(schema['default'])}`"


_BOUNDS = {"exclusiveMinimum": "above", "minimum": "from", "exclusiveMaximum": "below", "maximum": "to"}
_TYPES = {"string": "text", "number": "number", "integer": "whole number", "boolean": "boolean"}


def _type(schema: Mapping[str, Any]) -> str:
    """A JSON schema in a few words."""
    match schema:
        case {"anyOf": list(several)}:
            return " or ".join(_type(one) for one in several if one.get("type") != "null")
        case {"enum": list(values)}:
            return ", ".join(f"`{value}`" for value in values)
        case {"const": value}:
            return f"`{value}`"
        case {"$ref": str(name)}:
            return f"a mapping: {name.rpartition('/')[2]}"
        case {"type": "array", "items": inner}:
            return f"list of {_type(inner)}"
        case {"type": "object"}:
            named = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
            return f"name → {_type(named[0])}" if isinstance(named[0], dict) else "mapping"
        case {"type": kind}:
            bounds = [f"{word} {schema[key]:g}" for key, word in _BOUNDS.items() if key in schema]
            return " ".join([_TYPES[kind], *bounds])
    return "anything"


_ITEMS = """\
uid,premise,hypothesis,human_true,human_either,human_false
a1,It has rained all night.,The street is wet.,14,5,1
a2,A man plays a guitar.,A man makes music.,18,2,0
a3,Nobody came.,The room was full.,0,1,19
"""
_NAMES = {
    "scopes": "SCOPE",
    "human": "PEOPLE",
    "against": "PEOPLE",
    "ceilings": "SOURCE",
    "SOURCE": "VOTES",
    "honesty": "GROUP",
    "label_shares": "LABEL",
    "influence": "FIGURE",
    "FIGURE": "PARTICIPANT",
    "missingness_bounds": "FIGURE",
    "jackknife_participants": "FIGURE",
}
"""Keys below which names stand that depend on the run."""


def report_page() -> dict[Path, str]:
    """The page on ``report --json``, with every key of a report that is made for it."""
    page = REFERENCE / "report-json.md"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "items.csv").write_text(_ITEMS)
        for arguments in (["sample", "--mix", "demo", "--trials", "2", "--items", "items.csv"], ["report", "--json"]):
            command = [sys.executable, "-m", "partynli", *arguments]
            said = subprocess.run(command, cwd=folder, capture_output=True, check=True, text=True).stdout  # noqa: S603
    found = dict(_keys_of(json.loads(said)))
    width = max(map(len, found)) + 2
    lines = "\n".join(f"{key:{width}}{kind}" for key, kind in found.items())
    return {page: _filled(page, {"report": f"```text\n{lines}\n```"})}


def _keys_of(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    match value:
        case {"value": _, "ci": _}:
            yield path, "figure"
        case dict() if value:
            name = _NAMES.get(path.rpartition(".")[2])
            for key, inner in value.items():
                yield from _keys_of(inner, f"{path}.{name or key}".removeprefix("."))
        case [first, *_] if isinstance(first, dict):
            for inner in value:
                yield from _keys_of(inner, f"{path}[]")
        case list():
            yield path, "list"
        case bool():
            yield path, "boolean"
        case int() | float():
            yield path, "number"
        case str():
            yield path, "text"
        case _:
            yield path, "null in this run"


if __name__ == "__main__":
    for pages in (command_pages, file_pages, report_page):
        for path, text in pages().items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
