"""A real HTTP server on loopback that speaks OpenAI's and Anthropic's protocols and misbehaves as told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from aiohttp import web

from partynli.errors import InputError
from partynli.testing.anthropic_protocol import AnthropicProtocol
from partynli.testing.batch_behaviour import BatchBehaviour
from partynli.testing.batches import BatchCounter
from partynli.testing.behaviour import Behaviour, Setup
from partynli.testing.books import Books
from partynli.testing.exchange import Desk, Exchange
from partynli.testing.lane import Lanes
from partynli.testing.openai_protocol import OpenAIProtocol
from partynli.testing.wire import RequestRefused, WireProtocol

HOST = "127.0.0.1"
_OPENAI = OpenAIProtocol()
_ANTHROPIC = AnthropicProtocol()
_CHATS: Mapping[str, WireProtocol] = {
    "/v1/chat/completions": _OPENAI,
    "/chat/completions": _OPENAI,
    "/v1/messages": _ANTHROPIC,
}


class LoopbackServer:
    """The server, in the event loop of whoever opens it.

    Parameters
    ----------
    behaviours
        Model name to what happens when it is called.
    default
        What happens when any other model is called.
    batches
        What happens to batches.
    models
        Models that exist, others get 404; None takes every name for a model.
    api_key
        Key to demand; None takes any, or none.
    keep_requests
        How many of the last requests to keep in ``books.requests``.
    port
        Port to listen on, on 127.0.0.1 only; 0 takes a free one.

    Attributes
    ----------
    books
        What came in and what was done; see `Books`.
    port
        The port that it listens on, once it is open.

    Examples
    --------
    >>> import aiohttp, asyncio
    >>> async def main():
    ...     async with LoopbackServer({"m": Behaviour(script=("server_error",))}) as server:
    ...         async with aiohttp.ClientSession() as session:
    ...             call = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
    ...             for _ in range(2):
    ...                 async with session.post(f"{server.url}/chat/completions", json=call) as answer:
    ...                     print(answer.status)
    ...         return server.books["m"].answered
    >>> asyncio.run(main())
    500
    200
    1
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
        self.books = Books(keep_requests)
        self.port = port
        self._lanes = Lanes(behaviours or {}, default or Behaviour(), models)
        self._desk = Desk(self._lanes, self.books, api_key)
        self._batches = BatchCounter(self._desk, _OPENAI, _ANTHROPIC, batches or BatchBehaviour())
        self._handling: set[asyncio.Task[Any]] = set()
        self._runner: web.ServerRunner | None = None

    @classmethod
    def from_setup(cls, setup: Setup) -> LoopbackServer:
        """The server that a setup describes."""
        return cls(
            setup.behaviours,
            setup.default,
            setup.batches,
            models=setup.models,
            api_key=setup.api_key,
            keep_requests=setup.keep_requests,
            port=setup.port,
        )

    @property
    def url(self) -> str:
        """Base address of the OpenAI protocol, ``http://127.0.0.1:PORT/v1``."""
        return f"{self.anthropic_url}/v1"

    @property
    def anthropic_url(self) -> str:
        """Base address of the Anthropic protocol, ``http://127.0.0.1:PORT``."""
        return f"http://{HOST}:{self.port}"

    def set_behaviour(self, model: str | None, behaviour: Behaviour) -> None:
        """Change what happens from now on when `model` is called; None changes the default."""
        self._lanes.behave(model, behaviour)

    def set_batches(self, behaviour: BatchBehaviour) -> None:
        """Change what happens to batches from now on."""
        self._batches.behave(behaviour)

    async def aopen(self) -> None:
        """Start to listen."""
        # without the cancellation, calls whose client has left would go on and be counted as in flight
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, self.port, backlog=2048).start()
        except OSError as error:
            await self.aclose()
            raise InputError(f"cannot listen on {HOST}:{self.port}: {error.strerror}") from None
        self.port = self._runner.addresses[0][1]

    async def aclose(self) -> None:
        """Stop; calls in flight are dropped."""
        if self._runner is None:
            return
        for task in self._handling:
            task.cancel()
        if self._handling:
            await asyncio.wait(self._handling)
        await self._runner.cleanup()
        self._runner = None
        await asyncio.sleep(0)  # lets the transports close, so that the caller's loop is as it was

    async def __aenter__(self) -> LoopbackServer:
        await self.aopen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._handling.add(task)
        try:
            path = request.raw_path.partition("?")[0]
            protocol = _CHATS.get(path)
            if protocol is not None and request.method == "POST":
                return await Exchange(self._desk, request, protocol).run()
            if (response := await self._batches.handle(request, path)) is not None:
                return response
            return await self._control(request, path)
        finally:
            self._handling.discard(task)

    async def _control(self, request: web.BaseRequest, path: str) -> web.Response:
        match request.method, path:
            case "GET", "/v1/models" | "/models":
                return self._list_models(request)
            case "GET", "/_books":
                return web.json_response(self.books.to_json())
            case "POST", "/_books/reset":
                self.books.reset()
                return web.json_response({})
            case "POST", "/_behaviour":
                return await self._take_behaviour(request)
            case "POST", "/_batches":
                self.set_batches(BatchBehaviour(**json.loads(await request.content.read())))
                return web.json_response({})
        message = f"Unknown request URL: {request.method} {path}."
        return web.json_response(_OPENAI.error("bad_request", message, None)[1], status=404)

    def _list_models(self, request: web.BaseRequest) -> web.Response:
        protocol: WireProtocol = _ANTHROPIC if "anthropic-version" in request.headers else _OPENAI
        try:
            self._desk.demand_key(protocol, request.headers)
        except RequestRefused as refused:
            status, body = protocol.error(refused.problem, refused.message, None)
            return web.json_response(body, status=status)
        return web.json_response(protocol.models(self._lanes.names))

    async def _take_behaviour(self, request: web.BaseRequest) -> web.Response:
        try:
            given = json.loads(await request.content.read())
            self.set_behaviour(given.get("model"), Behaviour.from_json(given["behaviour"]))
        except InputError as error:
            message = str(error)
        except (ValueError, KeyError, AttributeError):
            message = 'give {"model": NAME or null, "behaviour": {...}}'
        else:
            return web.json_response({})
        return web.json_response(_OPENAI.error("bad_request", message, None)[1], status=400)
