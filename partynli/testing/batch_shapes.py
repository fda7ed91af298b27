"""Batches in OpenAI's and in Anthropic's words, as the loopback server speaks them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from partynli.testing.batch_behaviour import BatchFault
from partynli.testing.wire import RequestRefused

Fate = Literal["run", "expired", "cancelled"]
_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Line:
    """One request of a batch, and what came of it."""

    id: str
    fate: Fate
    status: int = 0
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class KeptBatch:
    """A batch that was taken."""

    id: str
    created: float
    fault: BatchFault | None
    lines: list[Line]
    metadata: Mapping[str, Any] | None = None
    file: str = ""
    looks: int = 0
    """How often it was looked at."""
    ended: bool = False


def read_openai(raw: bytes) -> list[tuple[str, dict[str, Any], int]]:
    """Id, body and size of the requests in an uploaded file; refused as the provider's validation would."""
    requests = []
    lines = raw.split(b"\n")
    if len(lines) > 50_000:
        raise RequestRefused("bad_request", "This batch holds more than 50,000 requests.")
    for number, line in enumerate(lines, start=1):
        try:
            given = json.loads(line)
            id, body = given["custom_id"], given["body"]
            fits = given["method"] == "POST" and given["url"] == "/v1/chat/completions" and isinstance(id, str)
        except (ValueError, KeyError, TypeError):
            fits = False
        if not fits:
            raise RequestRefused("bad_request", f"Line {number} is no request of a batch.")
        requests.append((id, body, len(line)))
    _demand_unique([id for id, *_ in requests])
    if len({body.get("model") for _, body, _ in requests}) > 1:
        raise RequestRefused("bad_request", "All requests of a batch must be to one model.")
    return requests


def read_anthropic(raw: bytes) -> list[tuple[str, dict[str, Any], int]]:
    """Id, body and size of the requests in a call."""
    try:
        requests = [(one["custom_id"], one["params"], len(raw)) for one in json.loads(raw)["requests"]]
    except (ValueError, KeyError, TypeError):
        raise RequestRefused("bad_request", "requests: Field required") from None
    if not 1 <= len(requests) <= 100_000:
        raise RequestRefused("bad_request", "requests: a batch holds 1 to 100,000")
    for id, *_ in requests:
        if not isinstance(id, str) or not _ID.fullmatch(id):
            raise RequestRefused("bad_request", "custom_id: must match ^[a-zA-Z0-9_-]{1,64}$")
    _demand_unique([id for id, *_ in requests])
    size = len(raw) // len(requests)
    return [(id, body, size) for id, body, _ in requests]


def _demand_unique(ids: Sequence[str]) -> None:
    if len(set(ids)) < len(ids):
        raise RequestRefused("bad_request", "custom_id: must be unique within a batch")


def openai_batch(batch: KeptBatch) -> dict[str, Any]:
    """The batch object."""
    failed = batch.fault in ("refused", "queue_full")
    run = [line for line in batch.lines if line.fate == "run"]
    good = sum(line.status == 200 for line in run)
    word = batch.fault if batch.fault in ("expired", "cancelled") else "completed"
    ended = batch.ended and not failed
    gone = batch.fault == "results_gone"
    errors = None
    if failed and batch.ended:
        code = "token_limit_exceeded" if batch.fault == "queue_full" else "invalid_json_line"
        message = "Enqueued token limit reached for this model." if batch.fault == "queue_full" else "Invalid line."
        errors = {"object": "list", "data": [{"code": code, "message": message, "param": None, "line": None}]}
    counts = {"total": len(batch.lines), "completed": good, "failed": len(run) - good}
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "errors": errors,
        "input_file_id": batch.file,
        "completion_window": "24h",
        "status": "failed" if failed and batch.ended else word if batch.ended else "in_progress",
        "output_file_id": f"{batch.id}-output" if ended and good and not gone else None,
        "error_file_id": f"{batch.id}-error" if ended and good < len(batch.lines) and not gone else None,
        "created_at": int(batch.created),
        "request_counts": counts if ended else {"total": len(batch.lines), "completed": 0, "failed": 0},
        "metadata": batch.metadata,
    }


def openai_lines(batch: KeptBatch, which: str) -> list[dict[str, Any]]:
    """The lines of a file with answers (``output``) or with errors (``error``)."""
    found = []
    for number, line in enumerate(batch.lines):
        if (line.fate == "run" and line.status == 200) != (which == "output"):
            continue
        given: dict[str, Any] = {"id": f"batch_req_{number}", "custom_id": line.id, "response": None, "error": None}
        if line.fate == "run":
            given["response"] = {"status_code": line.status, "request_id": f"req_{number}", "body": line.body}
        else:
            message = "This request could not be executed before the completion window expired."
            given["error"] = {"code": f"batch_{line.fate}", "message": message}
        found.append(given)
    return found


def anthropic_batch(batch: KeptBatch, address: str) -> dict[str, Any]:
    """The message batch object."""
    counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
    if batch.ended:
        for line in batch.lines:
            counts[_fate(line)] += 1
    else:
        counts["processing"] = len(batch.lines)
    created = datetime.fromtimestamp(batch.created, UTC)
    results = f"{address}/v1/messages/batches/{batch.id}/results"
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if batch.ended else "in_progress",
        "request_counts": counts,
        "created_at": created.isoformat().replace("+00:00", "Z"),
        "results_url": results if batch.ended and batch.fault != "results_gone" else None,
    }


def anthropic_lines(batch: KeptBatch) -> list[dict[str, Any]]:
    """The lines of the results."""
    found = []
    for line in batch.lines:
        fate = _fate(line)
        result: dict[str, Any] = {"type": fate}
        if fate == "succeeded":
            result["message"] = line.body
        elif fate == "errored":
            result["error"] = line.body
        found.append({"custom_id": line.id, "result": result})
    return found


def _fate(line: Line) -> str:
    if line.fate != "run":
        return "canceled" if line.fate == "cancelled" else line.fate
    return "succeeded" if line.status == 200 else "errored"
