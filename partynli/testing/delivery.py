"""How an HTTP answer leaves: whole, in pieces, cut in the middle, or not at all."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping

from aiohttp import web

_PIECES = 5


async def write(request: web.BaseRequest, status: int, body: bytes, headers: Mapping[str, str]) -> web.Response:
    """Write a whole answer here and now: once this returns, it is known to be written."""
    response = web.Response(status=status, body=body, headers=headers)
    await response.prepare(request)
    await response.write_eof()
    return response


async def write_slowly(
    request: web.BaseRequest, body: bytes, headers: Mapping[str, str], seconds: float
) -> web.StreamResponse:
    """Write a whole answer in pieces over so many seconds."""
    response = await _start(request, body, headers)
    size = -(-len(body) // _PIECES)
    for start in range(0, len(body), size):
        await asyncio.sleep(seconds / _PIECES)
        await response.write(body[start : start + size])
    await response.write_eof()
    return response


async def write_half(request: web.BaseRequest, body: bytes, headers: Mapping[str, str]) -> web.StreamResponse:
    """Write half of an answer and close the connection."""
    response = await _start(request, body, headers)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def reset(request: web.BaseRequest) -> web.Response:
    """Reset the connection; the response is never sent, aiohttp only wants one."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        # closing with a linger time of 0 sends a reset, where closing alone would end the stream in good order
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()


async def _start(request: web.BaseRequest, body: bytes, headers: Mapping[str, str]) -> web.StreamResponse:
    response = web.StreamResponse(headers=headers)
    response.content_length = len(body)
    await response.prepare(request)
    return response
