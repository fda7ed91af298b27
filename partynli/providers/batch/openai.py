"""OpenAI's batches, and those of servers that speak the same protocol: files of JSON lines, answered within a day."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from json.encoder import encode_basestring_ascii
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp

from partynli.errors import ProviderError
from partynli.hashing import canonical_json
from partynli.providers.base import kind_of
from partynli.providers.batch.base import BatchState, Result
from partynli.providers.batch.http import BatchHTTP, count_of, text_of
from partynli.providers.openai_compatible import read_answer
from partynli.records import Participant, Request

_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_NOT_RUN = frozenset({"batch_expired", "batch_cancelled"})
_QUEUE_FULL = "token_limit_exceeded"
_MARK = "partynli"
_PAGE = 100


class OpenAIBatches:
    """Batches at ``{api_base}/batches``, their requests uploaded to ``{api_base}/files``.

    Parameters
    ----------
    api_base
        Address up to and including the version, ``https://api.openai.com/v1``.
    api_key
        Sent as a bearer token.
    """

    max_requests = 50_000
    max_bytes = 200_000_000

    def __init__(self, api_base: str, api_key: str | None) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = BatchHTTP(api_base, headers, api_key)
        self._key = api_key

    @staticmethod
    def unsendable(participant: Participant) -> str | None:
        """Why a participant cannot be sent as this API takes it, or None."""
        return None if participant.api_base else "it has no api_base; give its address in the registry"

    async def aopen(self) -> None:
        """Open the session."""
        await self._http.aopen()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    def line(self, id: str, request: Request) -> bytes:
        """The request as a line of the file: the same body that a single call would have."""
        participant = request.participant
        params = canonical_json(dict(participant.params))[1:-1]
        seed = "" if request.seed is None else f',"seed":{request.seed}'
        body = (
            f'{{"model":{encode_basestring_ascii(participant.model)},"messages":{request.prompt.json}'
            f"{',' if params else ''}{params}{seed}}}"
        )
        line = f'{{"custom_id":"{id}","method":"POST","url":"/v1/chat/completions","body":{body}}}'
        return line.encode("utf-8", "surrogatepass")

    async def submit(self, mark: str, lines: Sequence[bytes]) -> str:
        """Upload the requests, then start the batch; our mark goes into its metadata."""
        form = aiohttp.FormData()
        form.add_field("purpose", "batch")
        name = f"{_MARK}-{mark}.jsonl"
        form.add_field("file", io.BytesIO(b"\n".join(lines)), filename=name, content_type="application/jsonl")
        # a file alone costs nothing: what becomes of it need not be known
        file = text_of((await self._http.ask("POST", self._url("/files"), data=form)).get("id"))
        if file is None:
            raise ProviderError("the answer to an upload has no id", "retryable")
        asked = {
            "input_file_id": file,
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "metadata": {_MARK: mark},
        }
        batch = await self._http.ask("POST", self._url("/batches"), data=aiohttp.JsonPayload(asked), buys=True)
        id = text_of(batch.get("id"))
        if id is None:
            raise ProviderError("the answer to a new batch has no id", "retryable", billable=True)
        return id

    async def look(self, id: str) -> BatchState:
        """How a batch stands."""
        return _state(await self._http.ask("GET", self._url(f"/batches/{quote(id, safe='')}")), id)

    async def since(self, when: float) -> AsyncGenerator[BatchState, None]:
        """The account's batches that were created after a time, newest first."""
        query: dict[str, Any] = {"limit": _PAGE}
        while True:
            page, batches = await self._http.page(self._url(f"/batches?{urlencode(query)}"))
            for batch in batches:
                state = _state(batch, "")
                if state.created is not None and state.created < when:
                    return
                if state.id:
                    yield state
            last = text_of(batches[-1].get("id")) if batches else None
            if page.get("has_more") is not True:
                return
            if last is None or last == query.get("after"):
                raise ProviderError("the list of batches breaks off", "retryable", status=200)
            query["after"] = last

    async def results(self, state: BatchState) -> AsyncGenerator[Result | None, None]:
        """The lines of the files with answers and with errors."""
        for file in state.results:
            async with aclosing(self._http.lines(self._url(f"/files/{quote(file, safe='')}/content"))) as lines:
                async for line in lines:
                    yield None if line is None else self._result(line)

    def _url(self, path: str) -> str:
        return self._http.address + path

    def _result(self, line: Mapping[str, Any]) -> Result | None:
        id = text_of(line.get("custom_id"))
        if id is None:
            return None
        answer, error = line.get("response"), line.get("error")
        if isinstance(answer, dict) and isinstance(answer.get("status_code"), int):
            content = json.dumps(answer.get("body"), separators=(",", ":")).encode()
            is_counted = answer["status_code"] == 200
            try:
                return Result(id, read_answer(answer["status_code"], content, {}, self._key), is_counted)
            except ProviderError as failed:
                return Result(id, failed, is_counted)
        code = text_of(error.get("code")) if isinstance(error, dict) else None
        if code in _NOT_RUN:
            return Result(id, None)
        raw = json.dumps(line, separators=(",", ":"))
        message = text_of(error.get("message")) if isinstance(error, dict) else None
        why = f"no answer in the batch: {code or 'no code'}: {message or 'no text'}"
        return Result(id, ProviderError(why, kind_of(500, code), raw=raw))


def _state(batch: Mapping[str, Any], id: str) -> BatchState:
    """A batch object as we read it; `id` where it does not say its own."""
    counts, metadata = batch.get("request_counts"), batch.get("metadata")
    counts = counts if isinstance(counts, dict) else {}
    created = batch.get("created_at")
    status = str(batch.get("status")).lower()
    codes, first = _faults(batch.get("errors"))
    named = (text_of(batch.get("output_file_id")), text_of(batch.get("error_file_id")))
    files = tuple(file for file in named if file is not None)
    total, answered = count_of(counts.get("total")), count_of(counts.get("completed"))
    done = answered + count_of(counts.get("failed"))
    is_uncounted = not counts or (status == "completed" and not total)
    return BatchState(
        id=text_of(batch.get("id")) or id,
        # none of another's: this API keeps marks, so what has none is not ours
        mark=(text_of(metadata.get(_MARK)) if isinstance(metadata, dict) else None) or "",
        created=float(created) if isinstance(created, int | float) else None,
        ended=status in _ENDED,
        total=total,
        done=done,
        word=f"{status}: {first}" if first else status,
        refused=status == "failed" and not answered and not files,
        queue_full=_QUEUE_FULL in codes,
        results=files,
        answered=None if is_uncounted else answered,
    )


def _faults(errors: Any) -> tuple[set[str], str | None]:
    """Codes of a batch that was refused as a whole, and what the first of them says."""
    listed = errors.get("data") if isinstance(errors, dict) else None
    found = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    codes = {code for one in found if (code := text_of(one.get("code")))}
    return codes, text_of(found[0].get("message")) if found else None
