"""The reference says what the code says: `make reference` would change nothing."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stale(made: dict[Path, str]) -> list[str]:
    return [
        f"{path.relative_to(DOCS)} is out of date; run `make reference`"
        for path, text in made.items()
        if not path.is_file() or path.read_text("utf-8") != text
    ]


def test_the_pages_of_commands(generate: ModuleType) -> None:
    made = generate.command_pages()
    assert stale(made) == []
    assert set((DOCS / "reference" / "commands").iterdir()) == set(made)


def test_the_tables_of_keys(generate: ModuleType) -> None:
    made = generate.file_pages()
    assert stale(made) == []
    assert "Requests a minute" in made[DOCS / "reference" / "registry.md"]


@pytest.mark.slow
def test_the_keys_of_a_report(generate: ModuleType) -> None:
    assert stale(generate.report_page()) == []


def test_every_key_has_a_meaning() -> None:
    pages = [(DOCS / "reference" / name).read_text("utf-8") for name in ("registry.md", "task.md")]
    assert [line for page in pages for line in page.splitlines() if line.endswith("|  |")] == []
