"""Any server that speaks OpenAI's embeddings protocol."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import numpy as np
from numpy.typing import NDArray
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from partynli.embed.base import Reading, prefixed
from partynli.errors import InputError
from partynli.redaction import redact

KEY = "PARTYNLI_EMBED_API_KEY"
"""Environment variable of the server's key; servers at api.openai.com are sent OPENAI_API_KEY where it is not set."""
BATCH = 64
"""Texts in one call."""
_AT_ONCE = 4
_ATTEMPTS = 6
_TIMEOUT_S = 120.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_PASSING = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))


class _PassingError(Exception):
    """The same call may succeed later."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after
        """Seconds that the server asked to wait."""


class ServerEmbedder:
    """One model of one server.

    Parameters
    ----------
    address
        Address up to and including the version, and the model: ``http://127.0.0.1:8000/v1#all-minilm``.
    reading
        What is done with its vectors.
    environ
        Holds the key, see `KEY`.
    longest_wait
        Seconds that are waited at most between two tries, unless the server asks for more.

    Raises
    ------
    InputError
        The address names no server or no model.
    """

    def __init__(self, address: str, reading: Reading, environ: Mapping[str, str], longest_wait: float = 20.0) -> None:
        url, _, self._model = address.partition("#")
        try:
            host = urlsplit(url).hostname
        except ValueError:
            host = None
        if not host or not self._model or "@" in url or urlsplit(url).query:
            raise InputError(
                f"--embedder {_without_secrets(address)!r} names no server and model: write http://HOST:PORT/v1#MODEL; "
                f"a key goes into {KEY}"
            )
        self.name = address
        self.reading = reading
        self._url = url.rstrip("/").removesuffix("/embeddings") + "/embeddings"
        key = environ.get(KEY) or (environ.get("OPENAI_API_KEY") if host == "api.openai.com" else None)
        self._key = key.strip() if key else None
        self._longest_wait = longest_wait
        self._by_proxy = host not in _LOOPBACK

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts, some batches at a time; see `partynli.embed.base.Embedder.embed`."""
        return asyncio.run(self._embed(prefixed(self._model, texts)))

    async def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        room = asyncio.Semaphore(_AT_ONCE)
        limit = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with aiohttp.ClientSession(headers=headers, timeout=limit, trust_env=self._by_proxy) as session:

            async def one(batch: Sequence[str]) -> NDArray[np.float32]:
                async with room:
                    return await self._with_retries(session, batch)

            batches = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
            tasks = [asyncio.ensure_future(one(batch)) for batch in batches]
            try:
                found = await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
        if len({part.shape[1] for part in found}) > 1:
            raise self._failure("its vectors have different lengths")
        return np.concatenate(found)

    async def _with_retries(self, session: aiohttp.ClientSession, batch: Sequence[str]) -> NDArray[np.float32]:
        jitter = wait_random_exponential(multiplier=min(1.0, self._longest_wait), max=self._longest_wait)

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.after if isinstance(error, _PassingError) else None
            return jitter(state) if asked is None else asked

        schedule = AsyncRetrying(
            retry=retry_if_exception_type(_PassingError), wait=wait, stop=stop_after_attempt(_ATTEMPTS), reraise=True
        )
        try:
            return await schedule(self._call, session, batch)
        except _PassingError as error:
            raise self._failure(f"{error}, {_ATTEMPTS} times in a row; try again later") from None

    async def _call(self, session: aiohttp.ClientSession, batch: Sequence[str]) -> NDArray[np.float32]:
        body = {"model": self._model, "input": list(batch), "encoding_format": "float"}
        try:
            async with session.post(self._url, json=body, allow_redirects=False) as answer:
                content = await answer.read()
                status, after = answer.status, answer.headers.get("Retry-After")
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
            failed: Exception = _PassingError(self._plain(str(error)) or "no answer in time")
        except (aiohttp.ClientError, ValueError) as error:
            failed = self._failure(self._plain(str(error)) or type(error).__name__)
        else:
            return self._read(status, after, content, len(batch))
        raise failed  # out here: an error that holds on to aiohttp's holds the key

    def _read(self, status: int, after: str | None, content: bytes, n: int) -> NDArray[np.float32]:
        if status in _PASSING:
            raise _PassingError(f"HTTP {status}", _seconds(after))
        if 300 <= status < 400:
            raise self._failure(f"HTTP {status}: it redirects, and no text follows; give the address that it leads to")
        if status != 200:
            hint = f"; set {KEY}" if status in (401, 403) else ""
            raise self._failure(f"HTTP {status}: {self._plain(content.decode('utf-8', 'replace'))}{hint}")
        return self._vectors(content, n)

    def _vectors(self, content: bytes, n: int) -> NDArray[np.float32]:
        """Vectors in the order of the texts, which the answer may give in another."""
        try:
            rows: list[Mapping[str, Any]] = sorted(json.loads(content)["data"], key=lambda row: row["index"])
            if [row["index"] for row in rows] != list(range(n)):
                raise self._failure(f"it gave {len(rows)} vectors for {n} texts")
            vectors = np.array([row["embedding"] for row in rows], dtype=np.float32)
        except (ValueError, KeyError, TypeError, RecursionError):
            vectors = None
        if vectors is None:  # out here: an error that holds on to json's holds the answer, and the key perhaps
            raise self._failure("what it answers are no embeddings in OpenAI's form")
        if vectors.ndim != 2 or not vectors.shape[1] or not np.isfinite(vectors).all():
            raise self._failure("its vectors are empty, of different lengths, or no finite numbers")
        return vectors

    def _plain(self, text: str) -> str:
        """What somebody else says, on one line and without the key, which some servers repeat."""
        return redact(" ".join(text.split()), self._key)[:200]

    def _failure(self, why: str) -> InputError:
        return InputError(f"--embedder {self.name}: {why}")


def _seconds(asked: str | None) -> float | None:
    try:
        return min(max(float(asked), 0.0), 600.0) if asked else None
    except ValueError:
        return None


def _without_secrets(address: str) -> str:
    """An address without a login and a query, where a key may stand."""
    return re.sub(r"\?[^#]*", "", address.rpartition("@")[2])
