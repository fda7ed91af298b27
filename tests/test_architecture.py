"""The layers of docs/ and CONTRIBUTING: a module imports only from below, and siblings do not import each other."""

from __future__ import annotations

import ast
from pathlib import Path

import partynli

ROOT = Path(partynli.__file__).parent
LAYERS = [
    {"errors", "labels", "hashing", "markdown", "spreadsheets", "redaction"},
    {"records", "yamlfile", "datafiles", "prices", "options", "listing"},
    {"items", "registry", "prompts", "judgments", "store", "providers", "embed", "metrics"},
    {"sampling", "derive", "aggregate"},
    {"analysis", "studies", "finetune"},
    {"report", "publish"},
    {"testing", "cli"},
]
# yamlfile and datafiles read files of no meaning; prices, options, listing and datafiles know records and errors only
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
NEVER = {
    "metrics": {"store", "registry", "providers", "items"},
    "providers": {"items", "metrics", "judgments"},
    "embed": {"items", "metrics", "judgments"},
    "analysis": {"sampling", "providers"},
}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("partynli."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {name.name.split(".")[1] for name in node.names if name.name.startswith("partynli.")}
    return found


MODULES = [
    path for path in ROOT.rglob("*.py") if path.parent != ROOT or path.name not in ("__init__.py", "__main__.py")
]


def test_every_module_has_its_layer() -> None:
    assert {room_of(path) for path in MODULES} <= LEVEL.keys()


def test_modules_import_only_from_below() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports partynli.{other}"
        for path in MODULES
        for other in imports(path)
        if other != room_of(path) and LEVEL[other] >= LEVEL[room_of(path)] and (room_of(path), other) not in ALLOWED
    ]
    assert not wrong


ALLOWED = {
    ("datafiles", "errors"),
    ("prices", "records"),
    ("options", "records"),
    ("listing", "records"),
}
"""Pairs within one layer that are no siblings in meaning: a file of helpers below the rest of its layer."""


def test_what_must_never_meet() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports partynli.{other}"
        for path in MODULES
        for other in imports(path) & NEVER.get(room_of(path), set())
    ]
    assert not wrong


def test_only_the_command_line_prints() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
        and room_of(path) not in ("cli", "testing")
    ]
    assert not wrong


def test_no_import_hides_inside_a_function() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{inner.lineno}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]
    assert not wrong


def test_all_names_that_a_package_exports_are_there() -> None:
    for path in ROOT.rglob("__init__.py"):
        tree = ast.parse(path.read_text("utf-8"))
        for node in tree.body:
            if isinstance(node, ast.Assign) and any(
                isinstance(one, ast.Name) and one.id == "__all__" for one in node.targets
            ):
                names = ast.literal_eval(node.value)
                module = __import__(".".join(["partynli", *path.parent.relative_to(ROOT).parts]), fromlist=names)
                assert all(hasattr(module, name) for name in names)
