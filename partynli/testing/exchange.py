"""One chat call at the loopback server, from its arrival to what its client gets."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, cast, get_args

from aiohttp import web

from partynli.testing import delivery
from partynli.testing.behaviour import Behaviour, Fault
from partynli.testing.books import Account, Books
from partynli.testing.lane import Lane, Lanes
from partynli.testing.wire import MESSAGES, Call, Problem, RequestRefused, WireProtocol, count_tokens, parse, read_call

_JSON = "application/json"
_ALWAYS_TAKEN = {"model", "messages", "stream", "max_tokens"}
_SECRET_HEADERS = {"authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization", "cookie"}
_PAGE = b"<!DOCTYPE html>\n<html><head><title>Just a moment</title></head><body>Checking your browser</body></html>\n"


@dataclass(frozen=True, slots=True)
class Desk:
    """What all calls of a server share."""

    lanes: Lanes
    books: Books
    api_key: str | None

    def demand_key(self, protocol: WireProtocol, headers: Mapping[str, str]) -> None:
        """Refuse a request with another key than the one demanded."""
        if self.api_key is not None and protocol.key(headers) != self.api_key:
            raise RequestRefused("unauthorized", MESSAGES["unauthorized"], book="wrong_key")


class Exchange:
    """One call: its request, its protocol, and what has been decided about it so far."""

    __slots__ = ("_account", "_desk", "_headers", "_protocol", "_request")

    def __init__(self, desk: Desk, request: web.BaseRequest, protocol: WireProtocol) -> None:
        self._desk = desk
        self._request = request
        self._protocol = protocol
        self._headers: dict[str, str] = {}
        self._account = Account(desk.books.total)

    async def run(self) -> web.StreamResponse:
        """Read the call, do what the model's behaviour says, and keep the books."""
        arrived = time.monotonic()
        raw = await self._request.content.read()
        try:
            body = parse(raw)
        except RequestRefused as refused:
            return await self._booked(arrived, self._refuse(refused))
        self._account = self._desk.books.account(body["model"])
        self._keep(body, arrived)
        return await self._booked(arrived, self._outcome(body, len(raw)))

    async def _booked(self, arrived: float, outcome: Awaitable[web.StreamResponse]) -> web.StreamResponse:
        self._account.arrive(arrived)
        try:
            return await outcome
        except (asyncio.CancelledError, ConnectionError):
            self._account.left()
            raise
        finally:
            self._account.end()

    async def _outcome(self, body: Mapping[str, Any], size: int) -> web.StreamResponse:
        try:
            return await self._serve(body, size)
        except RequestRefused as refused:
            return await self._refuse(refused)

    async def _serve(self, body: Mapping[str, Any], size: int) -> web.StreamResponse:
        call, lane = self._admitted(body, size)
        fault = lane.next_fault()
        if fault == "rate_limited":
            self._come_back(lane.behaviour, lane.behaviour.retry_after_s)
        elif delay := lane.delay():
            await asyncio.sleep(delay)
        if fault is not None:
            self._raise_problem(fault, call)
            self._account.fault(fault)
        match fault:
            case "hang":
                await asyncio.Event().wait()
            case "reset":
                return delivery.reset(self._request)
            case "not_http_json":
                self._headers["Content-Type"] = "text/html"
                return await self._write(200, _PAGE, answered=False)
        return await self._answer(call, lane, fault)

    def _admitted(self, body: Mapping[str, Any], size: int) -> tuple[Call, Lane]:
        """Understand a call, or refuse it as a provider would before a model sees it."""
        self._desk.demand_key(self._protocol, self._request.headers)
        self._protocol.check(self._request.headers, body)
        call = read_call(body, size)
        lane = self._desk.lanes.find(call.model)
        for name in lane.behaviour.refuse_parameters:
            if name in body:
                raise _unsupported(name, "refused_parameter")
        wait = lane.limits.admit(time.monotonic(), call.tokens)
        if lane.behaviour.limit_headers:
            self._headers |= self._protocol.limit_headers(*lane.limits.quotas(time.monotonic()))
        if wait:
            self._come_back(lane.behaviour, wait)
            message = f"Rate limit reached for {call.model}. Please try again in {wait:.3f}s."
            raise RequestRefused("rate_limited", message, book="over_limit")
        return call, lane

    def _come_back(self, behaviour: Behaviour, wait: float) -> None:
        """Say when to come back, and note it in the books."""
        told = 0.0
        if behaviour.retry_after == "seconds":
            told = math.ceil(wait)
            self._headers["Retry-After"] = str(told)
        elif behaviour.retry_after == "date":
            date = math.ceil(time.time() + wait)
            told = date - time.time()
            self._headers["Retry-After"] = formatdate(date, usegmt=True)
        self._account.limited(time.monotonic(), told)

    def _raise_problem(self, fault: Fault, call: Call) -> None:
        if fault == "bad_parameter":
            raise _unsupported(next((name for name in call.body if name not in _ALWAYS_TAKEN), "temperature"), fault)
        if fault == "echo_key":
            key = self._protocol.key(self._request.headers)
            raise RequestRefused("unauthorized", f"Incorrect API key provided: {key}.", book=fault)
        if fault in _PROBLEMS:
            problem = cast(Problem, fault)
            raise RequestRefused(problem, MESSAGES[problem])

    async def _answer(self, call: Call, lane: Lane, fault: Fault | None) -> web.StreamResponse:
        answer = lane.answer(call.user_text, fault)
        lane.limits.spend_tokens(time.monotonic(), count_tokens(answer.text))
        body = json.dumps(self._protocol.success(call, answer)).encode()
        self._headers["Content-Type"] = _JSON
        if fault == "cut":
            return await delivery.write_half(self._request, body, self._headers)
        if fault == "slow_body":
            seconds = lane.behaviour.slow_body_s
            response = await delivery.write_slowly(self._request, body, self._headers, seconds)
            self._account.written(200, answered=True)
            return response
        return await self._write(200, body, answered=True)

    async def _refuse(self, refused: RequestRefused) -> web.StreamResponse:
        self._account.fault(refused.book)
        status, body = self._protocol.error(refused.problem, refused.message, refused.param)
        self._headers["Content-Type"] = _JSON
        return await self._write(status, json.dumps(body).encode(), answered=False)

    async def _write(self, status: int, body: bytes, *, answered: bool) -> web.StreamResponse:
        response = await delivery.write(self._request, status, body, self._headers)
        self._account.written(status, answered=answered)
        return response

    def _keep(self, body: Mapping[str, Any], at: float) -> None:
        requests = self._desk.books.requests
        if requests.maxlen:
            given = self._request.headers.items()
            headers = {name: "***" if name.lower() in _SECRET_HEADERS else value for name, value in given}
            # a query may hold a key, so only the path is kept
            path = self._request.raw_path.partition("?")[0]
            requests.append({"path": path, "at": at, "headers": headers, "body": body})


_PROBLEMS = frozenset(get_args(Problem))


def _unsupported(name: str, book: str) -> RequestRefused:
    message = f"Unsupported parameter: '{name}' is not supported with this model."
    return RequestRefused("bad_parameter", message, param=name, book=book)
