"""A server that costs next to nothing: one ready answer to every POST, written as soon as the request is whole.

For measuring clients only. `partynli.testing.server` is the one that behaves.
"""

import asyncio
import json
import re
import sys

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ANSWER = json.dumps(
    {
        "classification": {
            "label": "either",
            "explanation": "The context names a place and a season, but the statement speaks of most such events; "
            "whether most of them happen there depends on how many other places stage them in the summer.",
        },
        "highlights": {"context": "In the <<summer>>, the pool stages concerts.", "statement": "<<Most>> concerts."},
    }
)
BODY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": _ANSWER}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 700, "completion_tokens": 90, "total_tokens": 790},
    }
).encode()
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


class Connection(asyncio.Protocol):
    """One client's connection; `answer` is what another kind of server overrides."""

    def connection_made(self, transport):
        self.transport, self._buffer, self._needed = transport, b"", 0

    def data_received(self, data):
        self._buffer += data
        while True:
            if not self._needed:
                head = self._buffer.find(b"\r\n\r\n")
                if head < 0:
                    return
                length = _LENGTH.search(self._buffer, 0, head)
                self._needed = head + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < self._needed:
                return
            request, self._buffer, self._needed = self._buffer[: self._needed], self._buffer[self._needed :], 0
            self.answer(request)

    def answer(self, request: bytes) -> None:
        self.transport.write(REPLY)


async def serve(connection=Connection):
    """Say the port in a line, then serve until stdin is closed."""
    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # ends with its parent
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
