"""`.ci/audit`: an unknown or forbidden licence fails by name, and what cannot be looked up is said."""

from __future__ import annotations

import sys
import tomllib
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "audit"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the source distribution comes without .ci")


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    loader = SourceFileLoader("audit", str(SCRIPT))
    spec = spec_from_loader("audit", loader)
    assert spec
    made = module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(made)
    sys.dont_write_bytecode = before
    return made


@pytest.fixture
def licences() -> Any:
    return tomllib.loads(SCRIPT.with_name("audit.toml").read_text("utf-8"))["licences"]


def row(expression: str = "UNKNOWN", classifier: str = "UNKNOWN", metadata: str = "UNKNOWN") -> dict[str, str]:
    return {"License-Expression": expression, "License-Classifier": classifier, "License-Metadata": metadata}


@pytest.mark.parametrize(
    ("declared", "passes"),
    [
        (row("MIT"), True),
        (row("Apache-2.0 AND CNRI-Python"), True),
        (row("BSD-2-Clause AND Apache-2.0 WITH LLVM-exception"), True),
        (row("GPL-3.0-or-later OR MIT"), True),
        (row("MIT AND GPL-3.0-or-later"), False),
        (row("GPL-3.0-or-later", "MIT License"), False),
        (row(classifier="GNU General Public License v3 (GPLv3)"), False),
        (row(classifier="Apache Software License; BSD License", metadata="Dual License"), True),
        (row(metadata="MIT License\n\nCopyright (c) 2022"), True),
        (row(metadata="Proprietary"), False),
        (row(metadata="Copyright 2001, all rights reserved"), False),
        (row(), False),
    ],
)
def test_a_licence_passes_only_where_it_is_known_and_allowed(
    audit: ModuleType, licences: Any, declared: dict[str, str], passes: bool
) -> None:
    licence = audit.licence_of(declared, licences["spdx"])
    assert audit.is_allowed(licence, set(licences["allowed"])) is passes


def test_what_partynli_needs_is_found_through_all_levels(audit: ModuleType) -> None:
    found = audit.installed_with("partynli", audit.EXTRAS)
    assert {"aiohttp", "multidict", "litellm", "httpx", "pyarrow", "matplotlib"} <= found
    assert not {"krippendorff", "hypothesis"} & found  # tests need them, users do not


def test_every_package_of_an_installation_has_a_licence_that_may_be(audit: ModuleType, licences: Any) -> None:
    pytest.importorskip("piplicenses")
    assert audit.check_licences(licences) == []
    strict = licences | {"allowed": [name for name in licences["allowed"] if name != "MPL-2.0"]}
    assert any(line.startswith("certifi: ") for line in audit.check_licences(strict))
