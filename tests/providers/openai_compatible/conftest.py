"""A server that says one thing, over a real connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from aiohttp import web


@pytest.fixture
def saying() -> Callable[..., AbstractAsyncContextManager[str]]:
    """Start a server that answers everything with the same bytes; gives its address."""
    return _saying


@asynccontextmanager
async def _saying(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> AsyncIterator[str]:
    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, body=body, headers=headers)

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()
