"""Downloads, from a server on loopback that also answers wrongly."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from partynli.errors import ItemsError
from partynli.items.download import RemoteFile, cache_folder, fetch, locate

CONTENT = b"uid,premise,hypothesis\n" + b"a,P,H\n" * 40_000
SHA = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Answers by path."""

    released: Event
    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(self.path)
        match self.path:
            case "/good":
                self.answer(CONTENT)
            case "/other":
                self.answer(CONTENT[:-1] + b"!")
            case "/longer":
                self.answer(CONTENT + b"more")
            case "/shorter":
                self.answer(CONTENT[:-5])
            case "/cut":
                self.answer(CONTENT[: len(CONTENT) // 2], length=len(CONTENT))
            case "/moved":
                self.answer(b"", 302, location="/good")
            case "/moved-to-http":
                self.answer(b"", 302, location="http://example.invalid/good")
            case "/moved-to-file":
                self.answer(b"", 302, location="file:///etc/hostname")
            case "/gets-in-the-way":
                (cache_folder() / "set/items.csv").mkdir(parents=True)
                self.answer(CONTENT)
            case "/hangs":
                self.released.wait(30)
            case "/no-http":
                self.wfile.write(b"nonsense\r\n\r\n")
            case _:
                self.answer(b"nothing here", 404)

    def answer(self, body: bytes, status: int = 200, length: int | None = None, location: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Home:
    """A server, and what it was asked for."""

    def __init__(self, url: str, seen: list[str]) -> None:
        self.url = url
        self.seen = seen

    def file(self, path: str) -> RemoteFile:
        return RemoteFile(self.url + path, "set/items.csv", SHA, len(CONTENT))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("PARTYNLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PARTYNLI_DATA", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # a proxy is not asked for what is on this machine
    handler = type("OneHandler", (Handler,), {"released": Event(), "seen": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Home(f"http://127.0.0.1:{server.server_port}", handler.seen)
        handler.released.set()
        server.shutdown()
        thread.join()


def kept() -> list[str]:
    return [path.name for path in cache_folder().rglob("*") if not path.is_dir()]


def test_downloads_once_and_keeps_it(home: Home) -> None:
    file = home.file("/good")
    assert locate(file) is None
    assert fetch(file) == CONTENT
    assert fetch(file) == CONTENT
    assert home.seen == ["/good"]
    assert locate(file) == cache_folder() / "set/items.csv"
    assert kept() == ["items.csv"]


def test_follows_a_redirect(home: Home) -> None:
    assert fetch(home.file("/moved")) == CONTENT
    assert home.seen == ["/moved", "/good"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/absent", r"/absent answered HTTP 404; to place it by hand, save it as .*cache/set/items.csv"),
        ("/other", rf"/other has the SHA-256 [0-9a-f]{{64}}, expected is {SHA}; it is another file now"),
        ("/longer", r"/longer is longer than the expected 240,023 bytes"),
        ("/shorter", r"/shorter broke off after 240,018 of 240,023 bytes; try again"),
        ("/cut", r"/cut (broke off after 120,011 of 240,023 bytes|cannot be downloaded)"),
        ("/hangs", r"/hangs cannot be downloaded \(.*timed out\); to place it by hand"),
        ("/no-http", r"/no-http cannot be downloaded \(.+\)"),
        ("/moved-to-http", r"cannot be downloaded \(only https addresses are downloaded from\)"),
        ("/moved-to-file", r"cannot be downloaded|answered HTTP 302"),
    ],
)
def test_what_goes_wrong_is_said_in_one_line_and_leaves_nothing(home: Home, path: str, says: str) -> None:
    with pytest.raises(ItemsError) as caught:
        fetch(home.file(path), timeout=0.5)
    assert re.search(says, str(caught.value))
    assert len(str(caught.value).splitlines()) == 1
    assert kept() == []


def test_no_network(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = replace(home.file("/good"), url=f"http://127.0.0.1:{port}/good")
    with pytest.raises(
        ItemsError, match=rf"^http://127.0.0.1:{port}/good cannot be downloaded \(.*refused.*\); to place"
    ):
        fetch(file)


@pytest.mark.parametrize("url", ["http://example.invalid/x", "file:///etc/hostname", "ftp://127.0.0.1/x", "x"])
def test_only_https(home: Home, url: str) -> None:
    with pytest.raises(ItemsError, match="only https"):
        fetch(replace(home.file("/good"), url=url))


def test_a_folder_of_ones_own_comes_first(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "data/set/items.csv"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(CONTENT)
    monkeypatch.setenv("PARTYNLI_DATA", str(tmp_path / "data"))
    assert fetch(home.file("/good")) == CONTENT
    assert (home.seen, kept()) == ([], [])
    mine.unlink()
    assert fetch(home.file("/good")) == CONTENT
    assert home.seen == ["/good"]


def test_a_damaged_file_is_named_and_left_alone(home: Home) -> None:
    place = cache_folder() / "set/items.csv"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"damaged")
    damaged = hashlib.sha256(b"damaged").hexdigest()
    with pytest.raises(ItemsError, match=f"items.csv has the SHA-256 {damaged}, expected is {SHA}; delete it"):
        fetch(home.file("/good"))
    assert place.read_bytes() == b"damaged"
    assert home.seen == []


def test_places_that_cannot_be_used(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PARTYNLI_CACHE", str(tmp_path / "file/below"))
    with pytest.raises(ItemsError, match=r"items.csv cannot be written \(.*\); set PARTYNLI_CACHE"):
        fetch(home.file("/good"))
    monkeypatch.setenv("PARTYNLI_DATA", str(tmp_path / "absent"))
    with pytest.raises(ItemsError, match=r"PARTYNLI_DATA is '.*absent', which is no folder"):
        fetch(home.file("/good"))
    monkeypatch.setenv("PARTYNLI_DATA", str(tmp_path))
    (tmp_path / "set/items.csv").mkdir(parents=True)
    with pytest.raises(ItemsError, match=r"items.csv cannot be read: Is a directory"):
        fetch(home.file("/good"))


def test_a_write_that_fails_at_the_last_step_leaves_nothing(home: Home) -> None:
    with pytest.raises(ItemsError, match=r"items.csv cannot be written \(Is a directory\)"):
        fetch(home.file("/gets-in-the-way"))
    assert kept() == []


def test_the_cache_is_in_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PARTYNLI_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache/partynli"
