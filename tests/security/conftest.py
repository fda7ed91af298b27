"""Texts that attack whoever shows them, and a place to look for keys."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import CompletedProcess
from typing import NamedTuple

import pytest

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<!-- partynli:end participants --> --> <![CDATA[ ]]>",
    "\"' onmouseover='alert(3)' x=\"",
    "<a href='javascript:alert(4)'>x</a> [x](javascript:alert(5)) ![x](http://evil.example/x.png) <http://evil.example>",
    "\x1b[31mred\x1b]8;;http://evil.example\x07link\x1b]8;;\x07\x1b]0;title\x07\x08\x7f",
    "\x9b31m\x9d0;title\x9c C1",
    "\u202egnp.exe\u2066x\u2069\u200b\ufeff\u2028line\u2029paragraph\x85next",
    "[red]x[/red] [/bold] [link=http://evil.example]y[/link] [@click=app.bell]z[/] :warning: \\[b] \\",
    "[/]",
    '=HYPERLINK("http://evil.example","x")',
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20x",
    " =1+1",
    "a|b||c\n| --- |\n# head\n\n---\n",
    "```\n# fence\n~~~",
    "x\n---\nlicense: mit\n---\n",
    "'\": {}[]&*#?|-<>=!%@`\n- !!python/object/apply:os.system [id]",
    '{"@type": "sc:Dataset"} {{script}} {{data}} {{7*7}} ${7*7} %s %n {0.__class__}',
    r"$\frac{a}{0}$ $$\href{javascript:alert(6)}{y}$$ \(z\) $x_{",
    "../../../../etc/passwd",
    "x" * 300,
]
"""No NUL: items and tables with one are refused, and answers keep it as an escape."""


@pytest.fixture
def hostile() -> list[str]:
    return HOSTILE


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        "PARTYNLI_CACHE": str(tmp_path / "cache"),
        "PARTYNLI_RUNS": str(tmp_path / "runs"),
        "PARTYNLI_DATA": "",
        "COLUMNS": "200",
    }


@pytest.fixture
def partynli(partynli_here: Callable[..., CompletedProcess[str]]) -> Callable[..., CompletedProcess[str]]:
    return partynli_here


def holders(folder: Path, secret: str) -> list[str]:
    """Files below a folder that hold a secret, plain or as bytes of a database and its log."""
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file() and (secret.encode() in path.read_bytes() or secret in os.fsdecode(path.name))
    ]


@pytest.fixture
def holding() -> Callable[[Path, str], list[str]]:
    return holders


class Said(NamedTuple):
    """An answer of the server below."""

    status: int
    body: str | bytes
    headers: Mapping[str, str] = {}


class Heard(NamedTuple):
    """A call to it."""

    path: str
    headers: Mapping[str, str]
    body: str


@dataclass
class Rogue:
    """A server on loopback that says to any call what a test wants, and remembers every call."""

    url: str = ""
    says: Callable[[Heard], Said] = lambda _: Said(200, "{}")
    heard: list[Heard] = field(default_factory=list)


class Rogues:
    """Starts such servers."""

    said = Said

    def __init__(self) -> None:
        self.servers: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def __call__(self) -> Rogue:
        rogue = Rogue()

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
                heard = Heard(self.path, dict(self.headers), body)
                rogue.heard.append(heard)
                said = rogue.says(heard)
                content = said.body if isinstance(said.body, bytes) else said.body.encode("utf-8", "surrogatepass")
                self.send_response(said.status)
                for name, value in {"Content-Type": "application/json", **said.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = answer

            def log_message(self, *_: object) -> None:
                """Quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        self.servers.append((server, thread))
        rogue.url = f"http://127.0.0.1:{server.server_port}"
        return rogue


@pytest.fixture
def rogues() -> Iterator[Rogues]:
    made = Rogues()
    yield made
    for server, thread in made.servers:
        server.shutdown()
        server.server_close()
        thread.join()
