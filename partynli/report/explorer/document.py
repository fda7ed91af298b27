"""The page itself: plain files and the data put together into one HTML file that may load nothing and send nothing."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

_PAGE = files("partynli.report.explorer") / "page"
_STYLES = ("base.css", "parts.css")
_SCRIPTS = (
    "data.js",
    "figures.js",
    "state.js",
    "dom.js",
    "draw.js",
    "table.js",
    "lists.js",
    "item.js",
    "controls.js",
    "page.js",
)
"""In the order in which they build upon each other; together they are one script."""


def to_html(data: Mapping[str, Any]) -> str:
    """The explorer as one HTML file.

    The data stand in it as gzipped JSON in base64, whose letters can end no element, and the page's script turns them
    into text nodes only. Should that ever fail, the content security policy stands behind it: one script and one style
    sheet, known by their hashes, may act; nothing may be loaded, sent or submitted, and no text can become markup.

    Parameters
    ----------
    data
        From `partynli.report.explorer.explorer_data`.

    Returns
    -------
    str
        The same for the same data, byte for byte.
    """
    style, script = _joined(_STYLES), '"use strict";\n' + _joined(_SCRIPTS)
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )
    packed = gzip.compress(json.dumps(data, separators=(",", ":"), allow_nan=False).encode(), 6, mtime=0)
    parts = {"policy": policy, "style": style, "script": script, "data": base64.b64encode(packed).decode()}
    page = (_PAGE / "page.html").read_text("utf-8")
    for name, text in parts.items():
        before, after = page.split(f"{{{{{name}}}}}")
        page = before + text + after
    return page


def _joined(names: tuple[str, ...]) -> str:
    return "".join((_PAGE / name).read_text("utf-8") for name in names)


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
