"""A tiny model for this folder's tests."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

if find_spec("torch"):  # elsewhere the tests of the hub run beside, and the client reads this when it is imported
    os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.append(str(Path(__file__).parent))  # for make_model, which is no test


@pytest.fixture(scope="session")
def make_model() -> Any:
    return import_module("make_model")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, make_model: Any) -> str:
    return str(make_model.make(tmp_path_factory.mktemp("models") / "tiny"))
