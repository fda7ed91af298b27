"""Batches at the loopback server: taken, run at once, and shown as ended after as many looks as told."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections.abc import Mapping
from typing import Any, cast, get_args

from aiohttp import BodyPartReader, web

from partynli.testing import delivery
from partynli.testing.batch_behaviour import BatchBehaviour, BatchFault
from partynli.testing.batch_shapes import (
    Fate,
    KeptBatch,
    Line,
    anthropic_batch,
    anthropic_lines,
    openai_batch,
    openai_lines,
    read_anthropic,
    read_openai,
)
from partynli.testing.exchange import Desk
from partynli.testing.wire import MESSAGES, Problem, RequestRefused, WireProtocol, read_call

_ANTHROPIC = "/v1/messages/batches"
_OPENAI = "/v1/batches"
_FILES = "/v1/files"
_AT_THE_DOOR: Mapping[BatchFault, Problem] = {
    "server_error": "server_error",
    "rate_limited": "rate_limited",
}


class BatchCounter:
    """Takes batches in both protocols, and files in OpenAI's."""

    def __init__(self, desk: Desk, openai: WireProtocol, anthropic: WireProtocol, behaviour: BatchBehaviour) -> None:
        self._desk = desk
        self._protocols = {_OPENAI: openai, _FILES: openai, _ANTHROPIC: anthropic}
        self._numbers = itertools.count(1)
        self._files: dict[str, bytes] = {}
        self._kept: dict[str, KeptBatch] = {}
        self._cut: set[str] = set()
        self.behave(behaviour)

    def behave(self, behaviour: BatchBehaviour) -> None:
        """Take on a behaviour; its script starts anew, batches that were taken go on."""
        self._behaviour = behaviour
        self._script = iter(behaviour.script)

    async def handle(self, request: web.BaseRequest, path: str) -> web.StreamResponse | None:
        """Answer a request to one of the paths of batches; None where it is none."""
        root = next((root for root in (_ANTHROPIC, _OPENAI, _FILES) if path == root or path.startswith(root + "/")), "")
        if not root:
            return None
        protocol = self._protocols[root]
        rest = path[len(root) + 1 :]
        try:
            self._desk.demand_key(protocol, request.headers)
            match request.method, root, rest:
                case "POST", "/v1/files", "":
                    return await self._upload(request)
                case "GET", "/v1/files", _:
                    return await self._download(request, rest.removesuffix("/content"))
                case "POST", _, "":
                    return await self._take(request, protocol, root)
                case "GET", _, "":
                    return self._list(request, root)
                case "GET", _, _ if rest.endswith("/results"):
                    return await self._results(request, rest.removesuffix("/results"))
                case "GET", _, _:
                    return self._look(request, root, rest)
        except RequestRefused as refused:
            status, body = protocol.error(refused.problem, refused.message, refused.param)
            return web.json_response(body, status=413 if refused.book == "too_large" else status)
        return None

    async def _upload(self, request: web.BaseRequest) -> web.Response:
        fields: dict[str, bytes] = {}
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.name:
                whole = bytearray()
                while piece := await part.read_chunk(2**20):  # read() would refuse more than a megabyte
                    whole += piece
                fields[part.name] = bytes(whole)
        if fields.get("purpose") != b"batch" or "file" not in fields:
            raise RequestRefused("bad_request", "purpose must be batch, and there must be a file")
        id = f"file-{next(self._numbers)}"
        self._files[id] = fields["file"]
        return web.json_response({"id": id, "object": "file", "bytes": len(fields["file"]), "purpose": "batch"})

    async def _take(self, request: web.BaseRequest, protocol: WireProtocol, root: str) -> web.StreamResponse:
        raw = await request.content.read()
        fault = next(self._script, None)
        self._refuse_at_the_door(fault, root)
        if fault == "cut_before":
            return delivery.reset(request)
        batch = self._keep(raw, fault, protocol, root, request.headers)
        if fault == "taken_and_cut":
            return delivery.reset(request)
        if fault == "taken_and_hang":
            await asyncio.Event().wait()
        if fault == "taken_and_500":
            raise RequestRefused("server_error", MESSAGES["server_error"])
        return web.json_response(self._shown(batch, root, request))

    def _refuse_at_the_door(self, fault: BatchFault | None, root: str) -> None:
        if fault is None:
            return
        if fault in _AT_THE_DOOR or (fault == "queue_full" and root == _ANTHROPIC):
            problem = _AT_THE_DOOR.get(fault, "rate_limited")
            raise RequestRefused(problem, MESSAGES[problem])
        if fault == "too_large":
            raise RequestRefused("bad_request", "The batch is too large.", book="too_large")
        if fault == "refused" and root == _ANTHROPIC:
            raise RequestRefused("bad_request", "requests: this batch cannot be taken")

    def _keep(
        self, raw: bytes, fault: BatchFault | None, protocol: WireProtocol, root: str, headers: Mapping[str, str]
    ) -> KeptBatch:
        """Take a batch, and run it here and now: what is taken is bought, whether anyone looks or not."""
        metadata, file = None, ""
        if root == _OPENAI:
            given = json.loads(raw)
            file = str(given.get("input_file_id"))
            if given.get("completion_window") != "24h" or given.get("endpoint") != "/v1/chat/completions":
                raise RequestRefused("bad_request", "completion_window must be 24h, endpoint /v1/chat/completions")
            if file not in self._files:
                raise RequestRefused("bad_request", f"There is no file {file}.")
            metadata = given.get("metadata")
            requests = read_openai(self._files[file])
        else:
            requests = read_anthropic(raw)
        id = f"{'batch' if root == _OPENAI else 'msgbatch'}_{next(self._numbers)}"
        n_run = len(requests)
        if fault in ("refused", "queue_full"):
            n_run = 0
        elif fault in ("expired", "cancelled"):
            n_run -= round(self._behaviour.share * n_run)
        n_good = len(requests) - round(self._behaviour.share * len(requests)) if fault == "errored" else n_run
        unrun = cast(Fate, fault if fault in ("expired", "cancelled") else "cancelled")
        lines = [
            Line(one, "run", *self._run(protocol, headers, body, size, errored=number >= n_good))
            if number < n_run
            else Line(one, unrun)
            for number, (one, body, size) in enumerate(requests)
        ]
        batch = self._kept[id] = KeptBatch(id, time.time(), fault, lines, metadata, file)
        self._desk.books.batches[id] = {"requests": len(lines), "run": n_run}
        return batch

    def _run(
        self, protocol: WireProtocol, headers: Mapping[str, str], body: Mapping[str, Any], size: int, *, errored: bool
    ) -> tuple[int, dict[str, Any]]:
        """Answer one request; it counts in the books as a call does."""
        account = self._desk.books.account(str(body.get("model")))
        account.arrive(time.monotonic())
        try:
            protocol.check(headers, body)
            call = read_call(body, size)
            lane = self._desk.lanes.find(call.model)
            for name in lane.behaviour.refuse_parameters:
                if name in body:
                    raise RequestRefused("bad_parameter", f"Unsupported parameter: '{name}'.", param=name)
            fault = "server_error" if errored else lane.next_fault()
            if fault in get_args(Problem):
                raise RequestRefused(cast(Problem, fault), MESSAGES.get(cast(Problem, fault), "It cannot be done."))
            status, answer = 200, protocol.success(call, lane.answer(call.user_text, fault))
        except RequestRefused as refused:
            account.fault(refused.book)
            status, answer = protocol.error(refused.problem, refused.message, refused.param)
        account.written(status, answered=status == 200)
        account.end()
        return status, answer

    def _find(self, id: str) -> KeptBatch:
        batch = self._kept.get(id)
        if batch is None or batch.fault == "lost":
            raise RequestRefused("not_found", f"No batch found with id '{id}'.")
        return batch

    def _look(self, request: web.BaseRequest, root: str, id: str) -> web.Response:
        batch = self._find(id)
        self._age(batch)
        return web.json_response(self._shown(batch, root, request))

    def _age(self, batch: KeptBatch) -> None:
        batch.looks += 1
        batch.ended = batch.ended or batch.looks > self._behaviour.polls

    def _list(self, request: web.BaseRequest, root: str) -> web.Response:
        kind, cursor = ("msgbatch_", "after_id") if root == _ANTHROPIC else ("batch_", "after")
        query = request.rel_url.query
        batches = [one for one in reversed(self._kept.values()) if one.id.startswith(kind) and one.fault != "lost"]
        ids = [one.id for one in batches]
        for one in batches:
            self._age(one)
        if cursor in query:
            batches = batches[ids.index(query[cursor]) + 1 :]
        most = min(int(query.get("limit", "20")), self._behaviour.page)
        shown = [self._shown(one, root, request) for one in batches[:most]]
        ends = (
            {"first_id": shown[0]["id"], "last_id": shown[-1]["id"]} if shown else {"first_id": None, "last_id": None}
        )
        return web.json_response({"object": "list", "data": shown, "has_more": len(batches) > most, **ends})

    async def _download(self, request: web.BaseRequest, id: str) -> web.StreamResponse:
        name, _, which = id.rpartition("-")
        if which not in ("output", "error"):
            raise RequestRefused("not_found", f"No such file: {id}")
        batch = self._find(name)
        return await self._write(request, batch, openai_lines(batch, which))

    async def _results(self, request: web.BaseRequest, id: str) -> web.StreamResponse:
        batch = self._find(id)
        return await self._write(request, batch, anthropic_lines(batch))

    async def _write(
        self, request: web.BaseRequest, batch: KeptBatch, lines: list[dict[str, Any]]
    ) -> web.StreamResponse:
        random.Random(batch.id).shuffle(lines)  # in no order, as the providers say
        texts = [json.dumps(line) for line in lines]
        if batch.fault == "garbage" and len(texts) > 2:
            texts[0] = texts[0][:-20]
            texts += [texts[1], json.dumps({**lines[2], "custom_id": "nobody-0"}), "[]", "not json", ""]
        body = "\n".join(texts).encode() + b"\n"
        headers = {"Content-Type": "application/x-jsonl"}
        if batch.fault == "results_cut" and batch.id not in self._cut:
            self._cut.add(batch.id)
            return await delivery.write_half(request, body, headers)
        return await delivery.write(request, 200, body, headers)

    def _shown(self, batch: KeptBatch, root: str, request: web.BaseRequest) -> dict[str, Any]:
        return anthropic_batch(batch, f"http://{request.host}") if root == _ANTHROPIC else openai_batch(batch)
