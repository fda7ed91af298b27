"""The loopback server's batches: what is taken, what is refused as a provider would, and what the books say."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from partynli.errors import InputError
from partynli.testing import BATCH_FAULTS, BatchBehaviour, Behaviour, LoopbackProcess, Setup

CALL = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture(scope="module")
def shared() -> Iterator[LoopbackProcess]:
    with LoopbackProcess(api_key="k") as server:
        yield server


@pytest.fixture
def server(shared: LoopbackProcess) -> LoopbackProcess:
    shared.reset_books()
    shared.set_batches(BatchBehaviour())
    shared.set_behaviour(None, Behaviour())
    return shared


def ask(server: LoopbackProcess, path: str, body: Any = None, *, key: str = "k", **headers: str) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    sent = {"authorization": f"Bearer {key}", "x-api-key": key, "anthropic-version": "2023-06-01", **headers}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(server.anthropic_url + path, data, sent), timeout=10) as answer:
            text = answer.read().decode()
            status = answer.status
    except urllib.error.HTTPError as error:
        text, status = error.read().decode(), error.code
    try:
        return status, json.loads(text)
    except ValueError:
        return status, [json.loads(line) for line in text.splitlines()]


def message_batch(ids: list[str]) -> dict[str, Any]:
    return {"requests": [{"custom_id": id, "params": CALL} for id in ids]}


def upload(server: LoopbackProcess, lines: list[Any]) -> str:
    text = "\n".join(json.dumps(line) for line in lines)
    head = "--b\r\nContent-Disposition: form-data; name="
    parts = f'{head}"purpose"\r\n\r\nbatch\r\n{head}"file"; filename="f"\r\n\r\n{text}\r\n--b--\r\n'
    status, file = ask(server, "/v1/files", parts.encode(), **{"content-type": "multipart/form-data; boundary=b"})
    assert status == 200
    return str(file["id"])


def line(id: str, **given: Any) -> dict[str, Any]:
    return {"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": {**CALL, **given}}


ASKED = {"endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": {"a": "b"}}


def test_anthropic_s_way(server: LoopbackProcess) -> None:
    server.set_batches(BatchBehaviour(polls=1))
    status, batch = ask(server, "/v1/messages/batches", message_batch(["a", "b"]))
    assert (status, batch["processing_status"], batch["results_url"]) == (200, "in_progress", None)
    assert server.fetch_books()["m"].answered == 2  # bought when it is taken
    path = f"/v1/messages/batches/{batch['id']}"
    assert ask(server, path)[1]["processing_status"] == "in_progress"
    ended = ask(server, path)[1]
    assert ended["request_counts"]["succeeded"] == 2
    _, lines = ask(server, ended["results_url"].removeprefix(server.anthropic_url))
    assert {one["custom_id"]: one["result"]["message"]["model"] for one in lines} == {"a": "m", "b": "m"}


def test_openai_s_way(server: LoopbackProcess) -> None:
    file = upload(server, [line("a"), line("b")])
    status, batch = ask(server, "/v1/batches", {**ASKED, "input_file_id": file})
    assert (status, batch["metadata"]) == (200, {"a": "b"})
    ended = ask(server, f"/v1/batches/{batch['id']}")[1]
    assert (ended["status"], ended["error_file_id"]) == ("completed", None)
    _, lines = ask(server, f"/v1/files/{ended['output_file_id']}/content")
    assert sorted(one["custom_id"] for one in lines) == ["a", "b"]
    assert server.fetch_books().batches[batch["id"]] == {"requests": 2, "run": 2}


@pytest.mark.parametrize("ids", [["a", "a"], ["ä"], ["x" * 65], [""], []])
def test_ids_that_anthropic_does_not_take(ids: list[str], server: LoopbackProcess) -> None:
    assert ask(server, "/v1/messages/batches", message_batch(ids))[0] == 400
    assert server.fetch_books().total.answered == 0


@pytest.mark.parametrize(
    "lines",
    [[line("a"), line("a")], [line("a"), line("b", model="n")], [{"custom_id": "a"}], [{**line("a"), "url": "/x"}]],
)
def test_files_that_openai_does_not_take(lines: list[Any], server: LoopbackProcess) -> None:
    file = upload(server, lines)
    assert ask(server, "/v1/batches", {**ASKED, "input_file_id": file})[0] == 400
    assert server.fetch_books().total.answered == 0


def test_a_key_is_demanded(server: LoopbackProcess) -> None:
    assert ask(server, "/v1/messages/batches", message_batch(["a"]), key="x")[0] == 401
    assert ask(server, "/v1/batches", key="x")[0] == 401
    assert ask(server, "/v1/files", b"", key="x")[0] == 401


def test_unknown_batches_and_files(server: LoopbackProcess) -> None:
    for path in (
        "/v1/batches/none",
        "/v1/messages/batches/none",
        "/v1/messages/batches/none/results",
        "/v1/files/f/content",
    ):
        assert ask(server, path)[0] == 404


@pytest.mark.parametrize("fault", ["expired", "cancelled", "errored"])
def test_what_ends_early(fault: Any, server: LoopbackProcess) -> None:
    server.set_batches(BatchBehaviour(script=(fault, fault), share=0.5))
    _, batch = ask(server, "/v1/messages/batches", message_batch(["a", "b", "c", "d"]))
    counts = ask(server, f"/v1/messages/batches/{batch['id']}")[1]["request_counts"]
    assert counts["succeeded"] == 2
    assert counts[{"cancelled": "canceled"}.get(fault, fault)] == 2
    _, batch = ask(server, "/v1/batches", {**ASKED, "input_file_id": upload(server, [line(id) for id in "abcd"])})
    ended = ask(server, f"/v1/batches/{batch['id']}")[1]
    assert ended["status"] == ("completed" if fault == "errored" else fault)
    assert len(ask(server, f"/v1/files/{ended['output_file_id']}/content")[1]) == 2
    assert len(ask(server, f"/v1/files/{ended['error_file_id']}/content")[1]) == 2
    assert server.fetch_books()["m"].answered == 4


def test_a_setup_file_may_hold_batches() -> None:
    setup = Setup.from_json({"batches": {"polls": 2, "script": ["expired", None]}})
    assert setup.batches == BatchBehaviour(polls=2, script=("expired", None))
    with pytest.raises(InputError, match="did you mean 'polls'"):
        Setup.from_json({"batches": {"pols": 2}})
    with pytest.raises(InputError, match="did you mean expired"):
        BatchBehaviour(script=("expierd",))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="share"):
        BatchBehaviour(share=2)
    assert all(BATCH_FAULTS.values())
