"""The loopback hub: a server in a thread of its own, so that a blocking client can be tested in the same process."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from aiohttp import web

from partynli.errors import InputError
from partynli.testing import delivery
from partynli.testing.hub.access import HOST, Access
from partynli.testing.hub.faults import STATUSES, FaultScript, HubFault, HubRequest, Step
from partynli.testing.hub.large_files import LargeFiles
from partynli.testing.hub.protocol import HubProtocol
from partynli.testing.hub.repository import MAIN, Change, Commit, Kind, RefusedError, Repository

_LONGEST_BODY = 2**31
_OPEN_WITHIN_S = 30.0


class HubServer:
    """A hub of datasets and models on loopback, with nothing in it.

    Parameters
    ----------
    tokens
        Token to the user whom it belongs to, who may write into the namespace of that name.
    port
        Port to listen on, on 127.0.0.1 only; 0 takes a free one.
    part_bytes
        Uploads to LFS that are longer are taken in parts.
    retry_after
        What ``Retry-After`` says in a 429: seconds, or a date.
    slow_s
        Seconds that the fault ``slow`` takes.

    Attributes
    ----------
    requests
        What came in, in order.
    url
        Its address, for ``HF_ENDPOINT``, once it is open.

    Examples
    --------
    >>> from urllib.request import urlopen
    >>> with HubServer() as hub:
    ...     _ = hub.push("ada/study", {"README.md": b"A study."})
    ...     urlopen(f"{hub.url}/datasets/ada/study/resolve/main/README.md").read()
    b'A study.'
    """

    def __init__(
        self,
        tokens: Mapping[str, str] | None = None,
        *,
        port: int = 0,
        part_bytes: int = 64 * 2**20,
        retry_after: str = "0",
        slow_s: float = 1.0,
    ) -> None:
        self.requests: list[HubRequest] = []
        self._port = port
        self._retry_after = retry_after
        self._slow_s = slow_s
        self._access = Access({} if tokens is None else tokens)
        self._protocol = HubProtocol(self._access, LargeFiles(self._access, part_bytes))
        self._script = FaultScript()
        self._opened = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Event | None = None
        self._problem: OSError | None = None

    @property
    def url(self) -> str:
        return self._access.url

    @property
    def repositories(self) -> Mapping[str, Repository]:
        """``NAMESPACE/NAME`` to dataset repository."""
        return self._access.held["dataset"]

    @property
    def models(self) -> Mapping[str, Repository]:
        """``NAMESPACE/NAME`` to model repository."""
        return self._access.held["model"]

    def push(
        self,
        repo_id: str,
        files: Mapping[str, bytes | None],
        *,
        branch: str = MAIN,
        private: bool = False,
        kind: Kind = "dataset",
    ) -> Commit:
        """Commit as if somebody else had: files by their path, None for one to delete.

        The repository is made where it is not there, and the branch from the main one.
        """
        repository = self._access.held[kind].setdefault(repo_id, Repository(repo_id, private, kind))
        repository.refs.setdefault(branch, repository.head.oid)
        changes = [
            Change("deletedFile", path) if content is None else Change("file", path, content)
            for path, content in files.items()
        ]
        return repository.commit(branch, changes, "somebody else's", "somebody else")

    def fail(self, step: Step, *faults: HubFault | None) -> None:
        """Let the next requests of a step go wrong, one fault a request; None lets one pass."""
        self._script.add(step, *faults)

    def fail_always(self, step: Step, fault: HubFault | None) -> None:
        """Let all further requests of a step go wrong; None ends that."""
        self._script.always(step, fault)

    def steps(self) -> list[str]:
        """The steps of all requests, in order."""
        return [request.step for request in self.requests]

    def open(self) -> None:
        """Start to listen."""
        self._opened.clear()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="loopback-hub", daemon=True)
        self._thread.start()
        if not self._opened.wait(_OPEN_WITHIN_S) or self._problem is not None:
            why = self._problem.strerror if self._problem else "it did not start"
            raise InputError(f"the loopback hub cannot listen on {HOST}:{self._port}: {why}")

    def close(self) -> None:
        """Stop; requests in flight are dropped."""
        if self._thread is not None and self._loop is not None and self._closing is not None:
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join()
            self._thread = None

    def __enter__(self) -> HubServer:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _serve(self) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(middlewares=[self._answer], client_max_size=_LONGEST_BODY)
        for method, path, handler in self._protocol.routes():
            app.router.add_route(method, path, handler)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, self._port).start()
            self._access.port = runner.addresses[0][1]
            self._opened.set()
            await self._closing.wait()
        except OSError as error:
            self._problem = error
            self._opened.set()
        finally:
            await runner.cleanup()

    @web.middleware
    async def _answer(self, request: web.Request, handler: Any) -> web.StreamResponse:
        step = getattr(request.match_info.handler, "__name__", "unknown")
        step = "unknown" if request.match_info.http_exception is not None else step
        n_bytes = request.content_length or 0
        seen = HubRequest(step, request.method, request.path, "Authorization" in request.headers, n_bytes)
        self.requests.append(seen)
        fault = self._script.take(step)
        response = await self._disturbed(request, handler, fault)
        if fault not in ("cut", "lost", "half"):
            seen.status = response.status
        return response

    async def _disturbed(self, request: web.Request, handler: Any, fault: HubFault | None) -> web.StreamResponse:
        if fault is not None and fault in STATUSES:
            return self._refusal(*STATUSES[fault])
        match fault:
            case "echo_token":
                return self._refusal(500, f"bad header: {request.headers.get('Authorization')}")
            case "hang":
                await asyncio.Event().wait()
            case "cut":
                await request.content.readexactly((request.content_length or 0) // 2)
                return delivery.reset(request)
            case "slow":
                await asyncio.sleep(self._slow_s)
        response = await self._handled(request, handler)
        match fault:
            case "lost":
                return delivery.reset(request)
            case "half":
                assert isinstance(response, web.Response)
                assert isinstance(response.body, bytes)
                return await delivery.write_half(request, response.body, {})
        return response

    async def _handled(self, request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            response: web.StreamResponse = await handler(request)
        except RefusedError as refused:
            return self._refusal(refused.status, refused.message, refused.code)
        except (KeyError, TypeError, ValueError) as error:
            return self._refusal(400, f"the request is not of the expected form: {type(error).__name__}")
        return response

    def _refusal(self, status: int, message: str, code: str | None = None) -> web.Response:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        if status == 429:
            headers["Retry-After"] = self._retry_after
        body = json.dumps({"error": message})
        return web.Response(status=status, text=body, headers=headers, content_type="application/json")
