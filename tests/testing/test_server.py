"""The loopback server as its users meet it: over HTTP."""

import asyncio
import io
import json
import os
import re
import socket
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from partynli.errors import InputError
from partynli.testing import Behaviour, Books, LoopbackServer, Tally
from partynli.testing.limits import Bucket, Limits, Window

PROMPTS = Path(__file__).parents[2] / "prompts" / "livenli"
LABELS = {"true", "either", "false", "either-true", "either-false"}


def run(coroutine):
    async def bounded():
        async with asyncio.timeout(30):
            return await coroutine

    return asyncio.run(bounded())


def prompt(context="A man walks his dog.", statement="An animal is outside."):
    parts = (PROMPTS / "user.txt").read_text().rstrip("\n").split("{}")
    return parts[0] + context + parts[1] + statement + parts[2]


async def post(url, body, headers=None):
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body if isinstance(body, bytes) else json.dumps(body), headers=headers) as answer,
    ):
        return answer.status, answer.headers, await answer.json()


async def get(url, headers=None):
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status, await answer.json()


async def ask_openai(server, text=None, model="m", key=None, **params):
    messages = [
        {"role": "system", "content": "Judge."},
        {"role": "user", "content": prompt() if text is None else text},
    ]
    headers = {"Authorization": f"Bearer {key}"} if key else None
    return await post(f"{server.url}/chat/completions", {"model": model, "messages": messages, **params}, headers)


async def ask_anthropic(server, text=None, model="m", key="k", **params):
    messages = [{"role": "user", "content": [{"type": "text", "text": prompt() if text is None else text}]}]
    headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
    body = {"model": model, "system": "Judge.", "max_tokens": 100, "messages": messages, **params}
    return await post(f"{server.anthropic_url}/v1/messages", body, headers)


def text_of(body):
    return body["choices"][0]["message"]["content"]


def label_of(body):
    return json.loads(text_of(body))["classification"]["label"]


def test_an_answer_in_openai_s_shape():
    async def main():
        async with LoopbackServer() as server:
            return await ask_openai(server, temperature=0.5)

    status, headers, body = run(main())
    assert status == 200
    assert headers["Content-Type"] == "application/json"
    assert body["object"] == "chat.completion"
    assert body["model"] == "m"
    assert body["id"]
    assert body["created"] > 1.7e9
    assert body["system_fingerprint"]
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["choices"][0]["message"]["role"] == "assistant"
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert label_of(body) in LABELS


def test_an_answer_in_anthropic_s_shape():
    async def main():
        async with LoopbackServer() as server:
            return await ask_anthropic(server)

    status, _, body = run(main())
    assert status == 200
    assert (body["type"], body["role"], body["stop_reason"]) == ("message", "assistant", "end_turn")
    assert body["model"] == "m"
    assert body["usage"]["input_tokens"] > 0
    assert body["usage"]["output_tokens"] > 0
    (block,) = body["content"]
    assert block["type"] == "text"
    assert json.loads(block["text"])["classification"]["label"] in LABELS


@pytest.mark.parametrize(
    ("context", "statement"),
    [
        ("A man walks his dog.", "An animal is outside."),
        ('He said "no {} %s \\ \t tabs"', "Über 50 % — naïve 猫猫猫 ☃"),
        ("Marks <<of its own>> here", "[STATEMENT] twice [CONTEXT]"),
        ("word " * 3000, "lone half \ud800 of a pair"),
        ("", "?!"),
    ],
)
def test_highlights_occur_in_the_item(context, statement):
    async def main():
        async with LoopbackServer() as server:
            return [await ask_openai(server, prompt(context, statement)) for _ in range(4)]

    for status, _, body in run(main()):
        assert status == 200
        answer = json.loads(text_of(body))
        for key, text in (("context", context), ("statement", statement)):
            marked = re.findall("<<(.*?)>>", answer["highlights"][key])
            assert all(part in text for part in marked)
            assert bool(marked) == bool(re.search(r"\w{3}", text))


def test_a_text_that_is_no_livenli_prompt_is_answered_too():
    async def main():
        async with LoopbackServer(default=Behaviour(text="fixed")) as server, LoopbackServer() as plain:
            return text_of((await ask_openai(server, "Hi"))[2]), label_of((await ask_openai(plain, "Hi"))[2])

    fixed, label = run(main())
    assert fixed == "fixed"
    assert label in LABELS


def test_labels_depend_on_seed_model_text_and_count_alone():
    async def labels(seed, order):
        async with LoopbackServer(default=Behaviour(seed=seed)) as server:
            return [label_of((await ask_openai(server, prompt(statement=one)))[2]) for one in order]

    async def main():
        return await labels(1, "aabbaabb"), await labels(1, "bbbbaaaa"), await labels(2, "aabbaabb")

    mixed, sorted_, other = run(main())
    assert [mixed[i] for i in (2, 3, 6, 7)] == sorted_[:4]
    assert [mixed[i] for i in (0, 1, 4, 5)] == sorted_[4:]
    assert mixed != other


def test_labels_can_be_weighted():
    async def main():
        async with LoopbackServer(default=Behaviour(labels=("true", "true", "true", "false"))) as server:
            return Counter([label_of((await ask_openai(server))[2]) for _ in range(100)])

    counts = run(main())
    assert set(counts) == {"true", "false"}
    assert counts["true"] > counts["false"] > 0


def test_a_wrong_key_is_refused_in_each_protocol_s_form():
    async def main():
        async with LoopbackServer(api_key="secret") as server:
            assert (await ask_openai(server, key="secret"))[0] == 200
            assert (await ask_anthropic(server, key="secret"))[0] == 200
            assert (await get(f"{server.url}/models"))[0] == 401
            assert (await get(f"{server.url}/models", {"Authorization": "Bearer secret"}))[0] == 200
            refusals = [await ask_openai(server, key="wrong"), await ask_anthropic(server, key="wrong")]
            return refusals, await ask_openai(server), server.books

    (openai, anthropic), no_key, books = run(main())
    assert openai[0] == anthropic[0] == no_key[0] == 401
    assert openai[2]["error"]["code"] == "invalid_api_key"
    assert anthropic[2]["error"]["type"] == "authentication_error"
    assert anthropic[2]["type"] == "error"
    assert "wrong" not in str(openai[2]) + str(anthropic[2])
    assert books["m"].faults["wrong_key"] == 3
    assert books["m"].answered == 2


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", "model"),
        ({"messages": [{"role": "user", "content": "x"}]}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"model": "m", "messages": [{"role": "user", "content": 3}]}, "messages"),
        ({"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}, "stream"),
    ],
)
def test_a_request_that_is_none_gets_400(body, param):
    async def main():
        async with LoopbackServer() as server:
            return await post(f"{server.url}/chat/completions", body), server.books

    (status, _, answer), books = run(main())
    assert status == 400
    assert answer["error"]["param"] == param
    assert answer["error"]["type"] == "invalid_request_error"
    assert (books.total.received, books.total.answered, books.total.in_flight) == (1, 0, 0)
    assert books.total.faults["bad_request"] == 1


def test_what_anthropic_alone_demands():
    async def main():
        async with LoopbackServer() as server:
            url = f"{server.anthropic_url}/v1/messages"
            body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
            no_version = await post(url, body)
            no_maximum = await ask_anthropic(server, max_tokens=None)
            return no_version, no_maximum, await ask_anthropic(server, stream=True)

    for status, _, body in run(main()):
        assert status == 400
        assert body["error"]["type"] == "invalid_request_error"


def test_models_are_listed_and_others_unknown():
    async def main():
        async with LoopbackServer(models=("m", "n")) as server:
            known, unknown = await ask_openai(server), await ask_openai(server, model="x")
            lists = [
                await get(f"{server.url}/models"),
                await get(f"{server.url}/models", {"anthropic-version": "2023-06-01"}),
            ]
            return known, unknown, await ask_anthropic(server, model="x"), lists, server.books

    known, unknown, unknown_too, lists, books = run(main())
    assert known[0] == 200
    assert (unknown[0], unknown[2]["error"]["code"]) == (404, "model_not_found")
    assert (unknown_too[0], unknown_too[2]["error"]["type"]) == (404, "not_found_error")
    for status, body in lists:
        assert status == 200
        assert [one["id"] for one in body["data"]] == ["m", "n"]
    assert books["x"].faults["unknown_model"] == 2


def test_refused_parameters():
    async def main():
        async with LoopbackServer(default=Behaviour(refuse_parameters=("top_p",))) as server:
            answers = await ask_openai(server, top_p=0.5), await ask_anthropic(server, top_p=0.5)
            return answers, await ask_openai(server, temperature=1), server.books

    (openai, anthropic), fine, books = run(main())
    assert openai[0] == anthropic[0] == 400
    assert (openai[2]["error"]["param"], openai[2]["error"]["code"]) == ("top_p", "unsupported_parameter")
    assert "top_p" in anthropic[2]["error"]["message"]
    assert fine[0] == 200
    assert books["m"].faults["refused_parameter"] == 2


def test_an_unknown_address_is_a_404():
    async def main():
        async with LoopbackServer() as server:
            return await get(f"{server.url}/chat/completions"), await post(f"{server.url}/embeddings", {})

    (status, body), (other, _, _) = run(main())
    assert status == other == 404
    assert "GET /v1/chat/completions" in body["error"]["message"]


def test_a_long_prompt_is_read():
    async def main():
        async with LoopbackServer() as server:
            body = json.dumps({"model": "m", "messages": [{"role": "user", "content": prompt("long " * 1_000_000)}]})
            # aiohttp warns of large bodies that are not streams
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"{server.url}/chat/completions", data=io.BytesIO(body.encode())) as answer,
            ):
                return answer.status

    assert run(main()) == 200


def test_it_listens_on_127_0_0_1_alone():
    async def main():
        async with LoopbackServer() as server:
            # where a server listens on every address, 127.0.0.2 answers as well
            with pytest.raises(OSError, match=r"refused|assign"):
                socket.create_connection(("127.0.0.2", server.port), timeout=5)
            socket.create_connection(("127.0.0.1", server.port), timeout=5).close()

    run(main())


def test_a_taken_port_is_said():
    async def main():
        async with LoopbackServer() as server:
            with pytest.raises(InputError, match=f"cannot listen on 127.0.0.1:{server.port}"):
                await LoopbackServer(port=server.port).aopen()

    run(main())


def test_in_flight_is_counted_and_latency_kept():
    async def main():
        async with LoopbackServer({"slow": Behaviour(latency_s=0.2, jitter_s=0.1)}) as server:
            start = asyncio.get_running_loop().time()
            await asyncio.gather(*[ask_openai(server, model="slow") for _ in range(8)], ask_openai(server))
            return asyncio.get_running_loop().time() - start, server.books

    seconds, books = run(main())
    assert 0.2 <= seconds < 1
    assert books["slow"].peak_in_flight == 8
    assert books["m"].peak_in_flight == 1
    assert books.total.in_flight == 0
    assert books.total.answered == 9


def test_a_client_that_leaves_is_counted():
    async def main():
        async with LoopbackServer(default=Behaviour(latency_s=30)) as server:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ask_openai(server), 0.2)
            while server.books.total.in_flight:
                await asyncio.sleep(0.01)
            return server.books

    tally = run(main())["m"]
    assert (tally.received, tally.answered, tally.gone) == (1, 0, 1)


def test_closing_drops_calls_and_leaves_no_task():
    async def main():
        server = LoopbackServer(default=Behaviour(script=("hang",)))
        async with server:
            call = asyncio.create_task(ask_openai(server))
            while not server.books.total.in_flight:
                await asyncio.sleep(0.01)
        with pytest.raises(aiohttp.ClientError):
            await call
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await server.aclose()
        return server.books

    assert run(main())["m"].gone == 1


def test_books_over_http_and_reset():
    async def main():
        async with LoopbackServer(
            default=Behaviour(script=("server_error", "rate_limited")), keep_requests=2
        ) as server:
            for _ in range(4):
                await ask_openai(server, key="sk-123")
            read = Books.from_json((await get(f"{server.anthropic_url}/_books"))[1])
            written = server.books.to_json()
            await post(f"{server.anthropic_url}/_books/reset", {})
            return read, written, server.books

    read, written, after = run(main())
    assert json.dumps(read.to_json()) == json.dumps(written)
    tally = read["m"]
    assert tally.statuses == {500: 1, 429: 1, 200: 2}
    assert tally.faults == {"server_error": 1, "rate_limited": 1}
    assert (tally.received, tally.answered) == (4, 2)
    assert list(tally.arrivals) == sorted(tally.arrivals)
    assert len(tally.arrivals) == 4
    assert len(read.requests) == 2
    assert "sk-123" not in str(written)
    assert read.requests[0]["headers"]["Authorization"] == "***"
    assert read.requests[0]["body"]["model"] == "m"
    assert after.total == Tally()
    assert after["m"] == Tally()


def test_behaviour_changes_while_it_runs():
    async def main():
        async with LoopbackServer({"own": Behaviour()}) as server:
            url = f"{server.anthropic_url}/_behaviour"
            statuses = [(await ask_openai(server, model=model))[0] for model in ("m", "own")]
            await post(url, {"model": None, "behaviour": {"script": ["server_error"]}})
            statuses += [(await ask_openai(server, model=model))[0] for model in ("m", "own")]
            await post(url, {"model": "own", "behaviour": {"script": ["overloaded"]}})
            statuses += [(await ask_openai(server, model=model))[0] for model in ("m", "own")]
            wrong = [
                await post(url, {"behaviour": {"latency": 1}}),
                await post(url, {"behaviour": {"script": ["hand"]}}),
                await post(url, b"["),
            ]
            return statuses, wrong

    statuses, wrong = run(main())
    assert statuses == [200, 200, 500, 200, 200, 503]
    assert [status for status, _, _ in wrong] == [400] * 3
    assert "'latency_s'" in wrong[0][2]["error"]["message"]
    assert "'hang'" in str(wrong[1][2]) or "script" in str(wrong[1][2])


# limits


def test_a_bucket_refuses_what_comes_too_fast_and_says_when_to_come_back():
    async def main():
        async with LoopbackServer(default=Behaviour(rps=2, limit_headers=True)) as server:
            return [await ask_openai(server) for _ in range(3)], await ask_anthropic(server), server.books

    openai, anthropic, books = run(main())
    assert [status for status, _, _ in openai] == [200, 429, 429]
    for _, headers, body in openai[1:]:
        assert headers["Retry-After"] == "1"
        assert body["error"]["code"] == "rate_limit_exceeded"
        assert headers["x-ratelimit-limit-requests"] == "120"
        assert headers["x-ratelimit-remaining-requests"] == "0"
        assert headers["x-ratelimit-reset-requests"].endswith("ms")
    assert anthropic[0] == 429
    assert anthropic[1]["anthropic-ratelimit-requests-limit"] == "120"
    assert anthropic[1]["anthropic-ratelimit-requests-remaining"] == "0"
    assert anthropic[1]["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert books["m"].faults["over_limit"] == 3
    assert books["m"].early_arrivals(grace_s=0) == 2
    assert [wait for _, wait in books["m"].rate_limited] == [1, 1, 1]


def test_retry_after_as_a_date_or_not_at_all():
    async def main():
        behaviours = {"date": Behaviour(rpm=6, retry_after="date"), "none": Behaviour(rpm=6, retry_after="none")}
        async with LoopbackServer(behaviours) as server:
            for model in behaviours:
                await ask_openai(server, model=model)
            return [(await ask_openai(server, model=model))[1] for model in behaviours], server.books

    (date, none), books = run(main())
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", date["Retry-After"])
    assert "Retry-After" not in none
    assert 9.5 < books["date"].rate_limited[0][1] <= 11
    assert books["none"].rate_limited[0][1] == 0


def test_tokens_are_limited_too():
    async def main():
        async with LoopbackServer(default=Behaviour(tpm=400, limit_headers=True)) as server:
            return [await ask_openai(server) for _ in range(2)]

    (first, headers, body), (second, later, _) = run(main())
    assert (first, second) == (200, 429)
    assert headers["x-ratelimit-limit-tokens"] == "400"
    assert later["x-ratelimit-remaining-tokens"] == "0"
    assert body["usage"]["total_tokens"] > 400


def test_a_bucket_lets_burst_and_rate_through_in_any_stretch():
    bucket = Bucket(rate=10, burst=3)
    taken = []
    for tick in range(200):  # a hundred calls a second, for two seconds
        if bucket.wait(tick / 100) == 0:
            bucket.spend(tick / 100, 1)
            taken.append(tick / 100)
    assert taken[:3] == [0, 0.01, 0.02]
    assert len(taken) == 3 + 19
    assert bucket.left(100.0) == (3, 0)


def test_a_window_counts_any_stretch_of_its_length():
    window = Window(limit=5, period=1.0)
    taken = []
    for tick in range(3 * 128):  # a power of two, for times without rounding
        if window.wait(tick / 128) == 0:
            window.spend(tick / 128, 1)
            taken.append(tick / 128)
    assert all(sum(start <= at < start + 1 for at in taken) <= 5 for start in taken)
    assert len(taken) == 15
    assert window.left(100.0) == (5, 0)


def test_refused_calls_count_where_told_so():
    kind, strict = (Limits(Behaviour(rps=1, count_refused=counted)) for counted in (False, True))
    for limits in (kind, strict):
        assert limits.admit(0.0) == 0
        assert limits.admit(0.5) > 0
    assert kind.admit(1.0) == 0
    assert strict.admit(1.0) == pytest.approx(2.0)


def test_a_window_over_http():
    async def main():
        async with LoopbackServer(default=Behaviour(rps=3, limiter="window")) as server:
            return [(await ask_openai(server))[0] for _ in range(5)]

    assert run(main()) == [200, 200, 200, 429, 429]


# behaviours


def test_a_behaviour_survives_json():
    behaviour = Behaviour(rpm=3, script=("hang", None), faults=("cut",), fault_share=0.5, labels=("true",))
    assert Behaviour.from_json(json.loads(json.dumps(behaviour.to_json()))) == behaviour


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rps": 1, "rpm": 1}, "not both"),
        ({"rps": 0}, "rps must be above 0"),
        ({"latency_s": -1}, "latency_s must not be negative"),
        ({"fault_share": 0.5}, "needs faults"),
        ({"fault_share": 2, "faults": ("cut",)}, "0 to 1"),
        ({"rps": 1.5, "limiter": "window"}, "whole number"),
        ({"burst": 0}, "burst"),
        ({"labels": ()}, "labels"),
    ],
)
def test_a_behaviour_that_cannot_be_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        Behaviour(**given)
    with pytest.raises(InputError, match=message):
        Behaviour.from_json(given)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'hang'"):
        Behaviour(script=("hung",))
    with pytest.raises(InputError, match="latency: unknown key; did you mean 'latency_s'"):
        Behaviour.from_json({"latency": 1})


# real clients


def test_litellm_speaks_both_protocols_with_it():
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # before the import, which else asks the network
    import litellm

    messages = [{"role": "system", "content": "Judge."}, {"role": "user", "content": prompt()}]
    behaviours = {"x": Behaviour(script=(None, None, "reasoning_content", "server_error"))}

    async def call(model, base):
        return await litellm.acompletion(model=model, api_base=base, api_key="k", messages=messages, max_retries=0)

    async def main():
        async with LoopbackServer(behaviours, api_key="k") as server:
            answers = [await call("openai/x", server.url), await call("anthropic/x", server.anthropic_url)]
            answers.append(await call("anthropic/x", server.anthropic_url))
            with pytest.raises(litellm.InternalServerError):
                await call("openai/x", server.url)
            await litellm.close_litellm_async_clients()
            return answers, server.books

    (openai, anthropic, thinking), books = run(main())
    for answer in (openai, anthropic, thinking):
        assert json.loads(answer.choices[0].message.content)["classification"]["label"] in LABELS
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage.completion_tokens > 0
    assert thinking.choices[0].message.reasoning_content
    assert (books["x"].received, books["x"].answered) == (4, 3)
