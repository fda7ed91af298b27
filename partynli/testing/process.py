"""The loopback server in a process of its own, which ends when this one does."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from partynli.errors import PartyNLIError
from partynli.testing.batch_behaviour import BatchBehaviour
from partynli.testing.behaviour import Behaviour, Setup
from partynli.testing.books import Books

_END_WITHIN_S = 5.0


class LoopbackProcess:
    """A `LoopbackServer` in a child process: it costs the caller's event loop and memory nothing.

    The child reads its setup, key included, from a pipe that this process holds; when the pipe closes, however this
    process ends, so does the child.

    Parameters
    ----------
    behaviours, default, batches, models, api_key, keep_requests, port
        As for `LoopbackServer`.

    Examples
    --------
    >>> with LoopbackProcess(default=Behaviour(latency_s=0.3)) as server:
    ...     server.fetch_books().total.received
    0
    """

    def __init__(
        self,
        behaviours: Mapping[str, Behaviour] | None = None,
        default: Behaviour | None = None,
        batches: BatchBehaviour | None = None,
        *,
        models: tuple[str, ...] | None = None,
        api_key: str | None = None,
        keep_requests: int = 0,
        port: int = 0,
    ) -> None:
        self._setup = Setup(
            behaviours=behaviours or {},
            default=default or Behaviour(),
            batches=batches or BatchBehaviour(),
            models=models,
            api_key=api_key,
            keep_requests=keep_requests,
            port=port,
        )
        self._child: subprocess.Popen[str] | None = None
        self.url = ""
        """Base address of the OpenAI protocol, ``http://127.0.0.1:PORT/v1``, once open."""
        # a proxy named in the environment must not get between
        self._http = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    @property
    def anthropic_url(self) -> str:
        """Base address of the Anthropic protocol, ``http://127.0.0.1:PORT``."""
        return self.url.removesuffix("/v1")

    @property
    def pid(self) -> int:
        """Process id of the child."""
        assert self._child is not None, "the server is not open"
        return self._child.pid

    def open(self) -> None:
        """Start the child and wait until it listens."""
        self._child = subprocess.Popen(
            [sys.executable, "-m", "partynli.testing.server", "--setup-from-stdin"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C at the terminal, or a signal to the caller's group, is for the caller alone
            start_new_session=True,
        )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it died at once; the missing address says so
            self._child.stdin.write(self._setup.to_json() + "\n")
            self._child.stdin.flush()
        self.url = self._child.stdout.readline().split(" ")[0].strip()
        if not self.url:
            self.close()
            raise PartyNLIError("the loopback server did not start; its own message stands above")

    def close(self) -> None:
        """End the child, surely."""
        child, self._child = self._child, None
        if child is None:
            return
        assert child.stdin is not None
        assert child.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
        try:
            child.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()

    def __enter__(self) -> LoopbackProcess:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fetch_books(self) -> Books:
        """What came in and what was done so far."""
        return Books.from_json(self._ask("/_books"))

    def reset_books(self) -> None:
        """Start the books anew."""
        self._ask("/_books/reset", {})

    def set_behaviour(self, model: str | None, behaviour: Behaviour) -> None:
        """Change what happens from now on when `model` is called; None changes the default."""
        self._ask("/_behaviour", {"model": model, "behaviour": behaviour.to_json()})

    def set_batches(self, behaviour: BatchBehaviour) -> None:
        """Change what happens to batches from now on."""
        self._ask("/_batches", behaviour.to_json())

    def _ask(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        with self._http.open(f"{self.anthropic_url}{path}", data, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
