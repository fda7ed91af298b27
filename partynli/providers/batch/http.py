"""HTTP as both batch APIs need it: bodies of many megabytes, answers line by line, failures mapped once."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from partynli.errors import ProviderError
from partynli.providers.base import failure
from partynli.providers.openai_compatible import decoded, lost, proxy_for
from partynli.redaction import redact

_CONNECT_S = 30.0
_SILENCE_S = 300.0
"""Longest silence of a server: 200 MB take a while to be looked through before it answers."""
_LONGEST_LINE = 64 * 2**20
_LATE = (408, 409)
"""Said by some gateways for what went on behind them."""


class BatchHTTP:
    """Calls at one address, with one set of headers.

    Parameters
    ----------
    address
        Where the API is, up to and including the version where it has one.
    headers
        Sent with every call, the key among them.
    key
        Taken out of every text that is kept or shown.
    """

    def __init__(self, address: str, headers: Mapping[str, str], key: str | None) -> None:
        self.address = address.rstrip("/")
        self._headers = headers
        self._key = key
        self._proxy = proxy_for(address)
        self._session: aiohttp.ClientSession | None = None

    async def aopen(self) -> None:
        """Open the session."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout)

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, method: str, url: str, *, data: Any = None, buys: bool = False) -> dict[str, Any]:
        """Make a call that is answered by a JSON object.

        With `buys`, a failure that leaves open whether the server took the call is marked as billable.
        """
        async with self._answer(method, url, data, buys=buys) as answer:
            raw = redact(decoded(await answer.read()), self._key)
            status, headers = answer.status, answer.headers
        body = _parsed(raw)
        if status >= 300:
            error = failure(status, body, raw, headers)
            error.billable = buys and (status >= 500 or status in _LATE)
            raise error
        if not isinstance(body, dict):
            raise ProviderError(f"{url} answered no JSON object", "retryable", status=status, raw=raw, billable=buys)
        return body

    async def page(self, url: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """A page of a list, and the objects in it."""
        body = await self.ask("GET", url)
        listed = body.get("data")
        if not isinstance(listed, list):  # to take it for an empty one could mean to buy something twice
            raise ProviderError(f"{url} answered no list", "retryable", status=200)
        return body, [one for one in listed if isinstance(one, dict)]

    async def lines(self, url: str) -> AsyncGenerator[dict[str, Any] | None, None]:
        """The JSON objects of a file, one a line; None for a line that is none."""
        async with self._answer("GET", url, None, buys=False) as answer:
            if answer.status >= 300:
                text = redact(decoded(await answer.read()), self._key)
                raise failure(answer.status, _parsed(text), text, answer.headers)
            rest = b""
            async for block in answer.content.iter_any():
                *whole, rest = (rest + block).split(b"\n")
                for line in filter(bytes.strip, whole):
                    yield self._read(line)
                if len(rest) > _LONGEST_LINE:
                    raise ProviderError(f"{url}: a line of over {_LONGEST_LINE:,} bytes", "bad_request")
            if rest.strip():
                yield self._read(rest)

    def _read(self, line: bytes) -> dict[str, Any] | None:
        found = _parsed(redact(decoded(line), self._key))
        return found if isinstance(found, dict) else None

    @asynccontextmanager
    async def _answer(self, method: str, url: str, data: Any, *, buys: bool) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._session is not None, "open it first"
        try:
            # a redirect could take the key to another host
            async with self._session.request(
                method, url, data=data, proxy=self._proxy, allow_redirects=False
            ) as answer:
                yield answer
                return
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failed = lost(error, url, self._key)
        failed.billable = failed.billable and buys
        raise failed  # out here: an error that holds on to aiohttp's holds the key


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def count_of(value: Any) -> int:
    """A count that a server gave; 0 where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def text_of(value: Any) -> str | None:
    """A text that a server gave and that can be stored, or None."""
    return value[:500].encode("utf-8", "backslashreplace").decode() if isinstance(value, str) and value else None
