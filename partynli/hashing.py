"""Canonical JSON and content hashes: the same content has the same name on every machine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def canonical_json(value: Any) -> str:
    """Write `value` as JSON with sorted keys, no spaces and no NaN.

    >>> canonical_json({"b": 1, "a": ["é", None]})
    '{"a":["é",null],"b":1}'
    """
    return _encode(value)


def text_hash(text: str) -> str:
    """Name a text by its SHA-256, with the algorithm as a prefix.

    >>> text_hash("")
    'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def content_hash(value: Any) -> str:
    """Name any JSON value by the hash of its canonical JSON."""
    return text_hash(canonical_json(value))


def file_hash(path: Path) -> str:
    """Name a file by the SHA-256 of its bytes; an `OSError` where it cannot be read."""
    with path.open("rb") as content:
        return f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"
