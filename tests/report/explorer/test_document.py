"""The page as a file: one of its kind, closed to the network, and no answer that could become a part of it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from partynli.report.explorer import to_html

NASTY = [
    "<script>alert(1)</script>",
    "</script>",
    "--><img src=x onerror=alert(1)>",
    "{{script}}{{data}}",
    "\ud83d",
    "\x00",
]


def unpacked(page: str) -> dict[str, Any]:
    """The data in a page, as a browser reads them."""
    (packed,) = re.findall(r'<script type="application/octet-stream" id="data">([^<]*)</script>', page)
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed, validate=True)))
    return found


def test_the_data_come_back() -> None:
    data = {"run": "é\u2028", "answers": {"explanation": NASTY}}
    assert unpacked(to_html(data)) == data
    assert to_html(data) == to_html(data)


def test_no_answer_can_become_a_part_of_the_page() -> None:
    def without_data(text: str) -> str:
        return re.sub(r'id="data">[^<]*<', "", text)

    assert without_data(to_html({"said": NASTY})) == without_data(to_html({}))


def test_the_policy_allows_this_script_and_this_style_and_nothing_else() -> None:
    page = to_html({})
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">', page)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)

    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert rules == {
        "default-src": "'none'",
        "script-src": hashed(script),
        "style-src": hashed(style),
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert page.index("Content-Security-Policy") < page.index("<style>")


def test_the_page_names_no_address() -> None:
    page = to_html({})
    assert not re.findall(
        r"(?:https?:|//[a-z]|url\(|@import|\bsrc=|<link|<iframe|<object|<base)", page.replace("\n//", "\n")
    )


def test_the_script_builds_no_markup_from_text() -> None:
    folder = files("partynli.report.explorer") / "page"
    scripts = {one.name: one.read_text("utf-8") for one in folder.iterdir() if one.name.endswith(".js")}
    page = to_html({})
    for name, script in scripts.items():
        assert script in page, f"{name} is not in the page"
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\(", script), (
            name
        )


def test_the_files_are_in_the_page(make_page: Callable[..., Path]) -> None:
    page = make_page([("a", "i1", 1, "true", "</script><b>", [])], name="made")
    assert unpacked(page.read_text("utf-8"))["answers"]["explanation"] == ["</script><b>"]
    assert page.read_text("utf-8").count("</script>") == 2
