"""Names and archives from strangers: nothing is written outside its folder, and nothing small becomes huge."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

import partynli as package
from partynli.datafiles import find_task
from partynli.errors import InputError, ItemsError, ProviderError, RegistryError
from partynli.items.anli import load_rounds
from partynli.items.download import RemoteFile, fetch
from partynli.providers.openai_compatible import OpenAICompatibleProvider
from partynli.publish.card.update import read_card
from partynli.publish.hub.target import check_repo_id
from partynli.publish.tables.folder import is_data_file, read_manifest
from partynli.records import Participant, Prompt, Request
from partynli.registry import Registry
from partynli.yamlfile import load_yaml

Partynli = Callable[..., CompletedProcess[str]]
NAMES = [
    "../x",
    "..",
    ".",
    "/etc/x",
    "a\\b",
    "C:\\x",
    "x\0y",
    "x\ny",
    "-rf",
    "--help",
    ".hidden",
    "~root",
    "x" * 300,
    "data/../../x",
    "\u202ex",
    "file:///etc/passwd",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_no_name_leaves_its_folder(name: str, partynli: Partynli, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RegistryError):
        find_task(name)
    with pytest.raises(RegistryError):
        find_task(name, tmp_path)
    with pytest.raises(InputError):
        check_repo_id(name)
    assert not is_data_file(name)
    assert not is_data_file(f"data/{name}/train-00000.csv")
    assert not is_data_file(f"data/items/{name}-00000.csv") or name == "x" * 300  # a long name stays where it is
    if "\0" not in name:  # which no command line can hold
        assert partynli("import", "x.csv", f"--run={name}").returncode == 2
    provider = {"route": "simulated"}
    for content in (
        {"providers": {name: provider}, "participants": {"a": {"provider": name, "model": "m"}}},
        {"providers": {"p": provider}, "participants": {name: {"provider": "p", "model": "m"}}},
        {"providers": {"p": provider}, "participants": {"a": {"provider": "p", "model": "m"}}, "mixes": {name: ["a"]}},
    ):
        with pytest.raises(RegistryError):
            Registry({"version": 1, **content})
    assert sorted(tmp_path.rglob("*")) == before


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., Path]:
    """A folder whose manifest names one file as it likes."""

    def write(name: str) -> Path:
        content = b'{"a": 1}\n'
        file = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": 9, "rows": 1, "config": "items", "split": "s"}
        columns = [{"name": "a", "type": "int64", "description": "A."}]
        manifest = {
            "format": 1,
            "partynli": "0",
            "run": {},
            "split": "s",
            "kind": "jsonl",
            "licences": {},
            "files": {name: file},
            "configs": {"items": {"columns": columns, "rows": 1}},
        }
        folder = tmp_path / "export"
        (folder / "data" / "items").mkdir(parents=True)
        (tmp_path / "outside.jsonl").write_bytes(content)
        (folder / "partynli.json").write_text(json.dumps(manifest))
        return folder

    return write


@pytest.mark.parametrize("name", ["../outside.jsonl", "data/items/../../../outside.jsonl", "/etc/hostname", "a\0b"])
def test_a_manifest_cannot_name_a_file_elsewhere(name: str, export: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="names the file"):
        read_manifest(export(name))


def test_a_link_in_an_export_does_not_lead_out_of_it(export: Callable[..., Path], tmp_path: Path) -> None:
    folder = export("data/items/s-00000.jsonl")
    (folder / "data" / "items" / "s-00000.jsonl").symlink_to(tmp_path / "outside.jsonl")
    with pytest.raises(InputError, match="a link that leaves the folder"):
        read_manifest(folder)


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def test_an_archive_that_is_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    bomb = archive(tmp_path / "bomb.zip", {"R1/test.jsonl": b" " * (1 << 26) + b"\n"})
    assert bomb.stat().st_size < 100_000
    with pytest.raises(ItemsError, match="unpacks to more than"):
        load_rounds(bomb)


def test_names_in_an_archive_are_never_written(tmp_path: Path) -> None:
    row = json.dumps({"uid": "1", "context": "It rains.", "hypothesis": "It is wet.", "label": "e"}).encode()
    names = {f"../../{name}/test.jsonl": row for name in ("R1", "R2", "R3")}
    path = archive(tmp_path / "a.zip", {**names, "/etc/cron.d/x": b"x"})
    before = sorted(tmp_path.parent.rglob("*"))
    assert len(load_rounds(path)) == 3
    assert sorted(tmp_path.parent.rglob("*")) == before


def test_an_answer_that_is_a_bomb_is_not_kept_in_memory(rogues: Any, go: Any) -> None:
    packed = gzip.compress(b"[" * (1 << 27), 1)
    assert len(packed) < 1 << 20
    rogue = rogues()
    rogue.says = lambda _: rogues.said(200, packed, {"Content-Encoding": "gzip"})

    async def main() -> None:
        provider = OpenAICompatibleProvider(rogue.url)
        try:
            one = Participant("m", "openai", "m", {})
            with pytest.raises(ProviderError, match="larger than"):
                await provider.generate(Request(one, Prompt((), {}), None), timeout=20)
        finally:
            await provider.aclose()

    go(main())


@pytest.mark.parametrize(
    ("location", "why"),
    [("file:///etc/passwd", "HTTP 302"), ("ftp://127.0.0.1/x", "https"), ("http://evil.example/x", "https")],
)
def test_a_download_follows_no_redirect_out_of_https(
    location: str, why: str, rogues: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARTYNLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PARTYNLI_DATA", raising=False)
    rogue = rogues()
    rogue.says = lambda _: rogues.said(302, "", {"Location": location})
    with pytest.raises(ItemsError, match=why):
        fetch(RemoteFile(f"{rogue.url}/x", "x", "0" * 64, 10))
    rogue.says = lambda _: rogues.said(200, "y" * 10)
    with pytest.raises(ItemsError, match="SHA-256"):  # also what came from the right place
        fetch(RemoteFile(f"{rogue.url}/x", "x", "0" * 64, 10))
    assert not list(tmp_path.rglob("x"))


BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))


@pytest.mark.parametrize(
    "text",
    [BOMB, "a: !!python/object/apply:os.system [id]", "a: !!python/name:os.system", "[" * 600, "{" * 600],
    ids=["bomb", "apply", "name", "lists", "maps"],
)
def test_no_yaml_runs_or_grows(text: str) -> None:
    with pytest.raises(ValueError):
        load_yaml(text)
    with pytest.raises(InputError):
        read_card(f"---\n{text}\n---\n")


def test_every_yaml_is_read_by_a_safe_loader() -> None:
    for path in Path(package.__file__).parent.rglob("*.py"):
        text = path.read_text("utf-8")
        if path.name != "yamlfile.py":
            assert not any(f"yaml.{bad}" in text for bad in ("load(", "unsafe", "full_load")), path
        if "testing" not in path.parts:  # a double of the Hub, which reads what tests send
            assert "yaml.safe_load" not in text, path  # it takes aliases
        assert not any(bad in text for bad in ("pickle.load", "marshal.load", "shelve.open", "shell=True")), path
        assert "torch.load(" not in text or "weights_only=True" in text, path
        assert "trust_remote_code=True" not in text, path
