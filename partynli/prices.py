"""Prices for models to which the registry gives none: litellm's list, read without importing litellm."""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from partynli.records import Price

_FILE = "model_prices_and_context_window_backup.json"


def fallback_price(model: str) -> Price | None:
    """The price that litellm's own list gives a model, or None.

    The list has no date; `Price.as_of` names the version of litellm that it came with.
    """
    listed = _listed().get(model, {})
    try:
        per_token = float(listed["input_cost_per_token"]), float(listed["output_cost_per_token"])
    except (KeyError, TypeError, ValueError):
        return None
    return Price(round(1e6 * per_token[0], 9), round(1e6 * per_token[1], 9), f"litellm {version('litellm')}")


@cache
def _listed() -> dict[str, Any]:
    try:
        spec = find_spec("litellm")
        folder = Path((spec and spec.origin) or "").parent
        version("litellm")
        listed = json.loads((folder / _FILE).read_text("utf-8"))
    except (OSError, ValueError, PackageNotFoundError):
        return {}
    return listed if isinstance(listed, dict) else {}
