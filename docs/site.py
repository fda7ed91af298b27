"""Hooks of mkdocs: formulas as MathML, and what this repository shows on GitHub without being below docs/."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_ROOT = Path(__file__).parents[1]
_OUTSIDE = {
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
    "CHANGELOG.md": "changelog.md",
}
"""File of the repository -> page of the site."""
_SOURCE = {page: file for file, page in _OUTSIDE.items()}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Blocks that GitHub draws as formulas, ```math, become MathML, which browsers draw without scripts."""
    fence = {"name": "math", "class": "math", "format": _mathml}
    config.mdx_configs["pymdownx.superfences"] = {"custom_fences": [fence]}
    return config


def _mathml(source: str, *_: Any, **__: Any) -> str:
    return f'<div class="formula">{convert(source, display="block")}</div>'


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Pages for the files that lie outside of docs/."""
    for file, page in _OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(_ROOT / file)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links that are right on GitHub become right on the site; what the site does not have keeps its text alone."""
    at = page.file.src_uri
    folder = posixpath.dirname(_SOURCE.get(at) or f"docs/{at}")

    def relinked(link: re.Match[str]) -> str:
        image, text, target, anchor = link[1], link[2], link[3], link[4] or ""
        path = posixpath.normpath(posixpath.join(folder, target))
        inside = _OUTSIDE.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        if inside is None and (_ROOT / path).exists():
            return text
        where = posixpath.relpath(inside, posixpath.dirname(at) or ".") if inside else target
        return f"{image}[{text}]({where}{anchor})"

    return _LINK.sub(relinked, markdown)
