"""Any server that speaks OpenAI's chat completions protocol, straight over aiohttp."""

from __future__ import annotations

import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from partynli.errors import InputError, ProviderError
from partynli.hashing import canonical_json
from partynli.providers.base import POLICY_CODES, error_code, failure, read_completion, refusal
from partynli.providers.option_scores import demand_scores
from partynli.records import Participant, Request, Response
from partynli.redaction import redact

_REACH_S = 15.0
_LARGEST = 32 * 2**20
"""Bytes of the largest answer that is read."""
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class OpenAICompatibleProvider:
    """Calls ``{api_base}/chat/completions``.

    Parameters
    ----------
    api_base
        Address up to and including the version, ``https://api.openai.com/v1``.
    api_key
        Sent as a bearer token; None for servers that ask for none.
    """

    serves = False

    def __init__(self, api_base: str, api_key: str | None = None) -> None:
        self._url = api_base.rstrip("/") + "/chat/completions"
        self._key = api_key
        self._proxy = proxy_for(api_base)
        self._heads: dict[str, tuple[str, str]] = {}
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def for_participant(cls, participant: Participant, api_key: str | None) -> OpenAICompatibleProvider:
        """The provider at a participant's address."""
        if participant.api_base is None:
            raise InputError(
                f"participant {participant.name!r} has no api_base; give its address in the registry, "
                "for instance api_base: http://127.0.0.1:8000/v1"
            )
        return cls(participant.api_base, api_key)

    async def aopen(self) -> None:
        """Open the session; connections are made when they are first needed and kept."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        # the engine limits calls in flight, lane by lane; a second limit here would hide waiting in the connector
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        self._session = aiohttp.ClientSession(connector=connector, headers=headers)

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            await self.aopen()
        assert self._session is not None
        if self._session.closed:
            raise ProviderError(f"the connection to {self._url} is closed", "retryable")
        return self._session

    async def reach(self) -> None:
        """Check that an HTTP server answers at the address; what it answers does not matter."""
        session = await self._opened()
        url = self._url.removesuffix("/chat/completions") + "/models"
        try:
            limit = aiohttp.ClientTimeout(total=_REACH_S)
            async with session.get(url, timeout=limit, proxy=self._proxy, allow_redirects=False):
                return
        except (aiohttp.ClientError, OSError, ValueError) as error:
            text = said(error, self._key)
        raise ProviderError(f"nothing answers at {url}: {text}", "retryable")

    async def ready(self) -> None:
        """Nothing to wait for: the server runs already."""

    def is_at(self, api_base: str) -> bool:
        """Whether this is the provider of an address."""
        return self._url == api_base.rstrip("/") + "/chat/completions"

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None, timeout: float) -> Mapping[str, Any]:
        """Ask the server something else than an answer of the model, at a path beside that of its API.

        Empty where the server does not know the path or says nothing that is understood; raises a retryable
        `ProviderError` where the server cannot be reached.
        """
        session = await self._opened()
        url = self._url.removesuffix("/chat/completions").removesuffix("/v1") + path
        limit = aiohttp.ClientTimeout(total=min(timeout, _REACH_S))
        try:
            async with session.request(
                method, url, json=body, timeout=limit, proxy=self._proxy, allow_redirects=False
            ) as answer:
                content = await answer.json(content_type=None) if answer.status == 200 else None
                return content if isinstance(content, dict) else {}
        except (aiohttp.ClientError, OSError) as error:
            text = said(error, self._key)
        except ValueError:
            return {}
        raise ProviderError(f"nothing answers at {url}: {text}", "retryable")

    async def generate(self, request: Request, *, timeout: float) -> Response:
        """Make one call; `timeout` bounds all of it, in seconds."""
        session = await self._opened()
        limit = self._timeouts.get(timeout)
        if limit is None:
            limit = self._timeouts[timeout] = aiohttp.ClientTimeout(total=timeout, sock_connect=min(timeout, 30.0))
        body = self._body(request)
        try:
            # a redirect could take prompts, and what was paid for, to another host
            async with session.post(
                self._url, data=body, timeout=limit, proxy=self._proxy, allow_redirects=False
            ) as answer:
                content = await _whole(answer)
                status, headers = answer.status, answer.headers
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failed = lost(error, self._url, self._key, timeout)
        else:
            return demand_scores(request, read_answer(status, content, headers, self._key))
        raise failed  # out here: an error that holds on to aiohttp's holds the key

    def _body(self, request: Request) -> bytes:
        participant = request.participant
        head = self._heads.get(participant.id)
        if head is None:
            params = canonical_json(dict(participant.params))[1:-1]
            model = encode_basestring_ascii(participant.model)
            head = self._heads[participant.id] = f'{{"model":{model},"messages":', f",{params}" if params else ""
        seed = "" if request.seed is None else f',"seed":{request.seed}'
        # the messages are encoded once for an item and shared by all participants and trials
        return f"{head[0]}{request.prompt.json}{head[1]}{seed}}}".encode("utf-8", "surrogatepass")


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    """The body of an answer; one that does not end is given up before it fills the memory."""
    parts: list[bytes] = []
    left = _LARGEST
    async for part in answer.content.iter_any():
        parts.append(part)
        left -= len(part)
        if left < 0:
            megabytes = _LARGEST >> 20
            raise ProviderError(
                f"the answer is larger than {megabytes} MB", "retryable", status=answer.status, billable=True
            )
    return b"".join(parts)


def lost(error: Exception, url: str, key: str | None, timeout: float | None = None) -> ProviderError:
    """What a call means that brought no answer, as aiohttp says it."""
    if isinstance(error, aiohttp.InvalidURL):
        return ProviderError(f"{url} is not an address", "fatal_participant")
    if isinstance(error, aiohttp.ClientConnectorError):
        return ProviderError(f"cannot connect to {error.host}:{error.port}: {said(error, key)}", "retryable")
    if isinstance(error, TimeoutError):
        within = "" if timeout is None else f" within {timeout:g} s"
        return ProviderError(f"no answer from {url}{within}", "retryable", billable=True)
    if isinstance(error, aiohttp.ClientError | OSError):
        return ProviderError(f"connection to {url} broke: {said(error, key)}", "retryable", billable=True)
    # a key that no header can hold, say
    return ProviderError(f"the call cannot be sent: {said(error, key)}", "fatal_participant")


def said(error: Exception, key: str | None) -> str:
    """What an error says, on one line and without the key."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):  # older aiohttp gives it no os_error
        error = error.certificate_error
    elif isinstance(error, aiohttp.ClientConnectorError):  # the rest of its text is of aiohttp's insides
        error = error.os_error
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return redact(" ".join(text.split()), key) or type(error).__name__


def proxy_for(address: str) -> str | None:
    """The proxy that the environment names for an address, or None.

    Looked up once: aiohttp's own `trust_env` looks at every call, which triples the time of a call.
    """
    try:
        parts = urlsplit(address)
    except ValueError:  # no address at all; the first call will say so
        return None
    if not parts.hostname or parts.hostname in _LOOPBACK or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)


def read_answer(status: int, content: bytes, headers: Mapping[str, str], key: str | None) -> Response:
    """Read an HTTP answer in OpenAI's shape, keys taken out of what is kept."""
    raw = redact(decoded(content), key)
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    if status == 400 and error_code(body) in POLICY_CODES:
        return refusal(raw, headers)
    if status != 200:
        raise failure(status, body, raw, headers)
    if body is None:
        raise ProviderError("the answer is not JSON", "retryable", status=status, raw=raw, billable=True)
    return read_completion(body, raw, headers)


def decoded(content: bytes) -> str:
    """The text of an answer, whatever its bytes are."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        # a byte that is no UTF-8 becomes half of a surrogate pair as JSON escapes it: an answer stays readable, whole
        return content.decode("utf-8", "surrogateescape").encode("utf-8", "backslashreplace").decode()
