"""A canary key through every way to fail: whoever sees, reads or publishes what partynli leaves never finds it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from partynli.embed import embedder_for
from partynli.embed.openai_compatible import KEY as EMBED_KEY
from partynli.errors import InputError, PartyNLIError, ProviderError, RegistryError
from partynli.providers import provider_for
from partynli.providers.batch import batch_api_for
from partynli.providers.vllm import managed
from partynli.providers.vllm.gpus import GPU
from partynli.providers.vllm.room import Place
from partynli.records import Batching, Participant, Prompt, Request
from partynli.registry import Registry

CANARY = "sk-cAnAry/7+f3=a-b_9"  # signs that JSON, addresses and HTML spell otherwise
PROMPT = Prompt(({"role": "user", "content": "It rains."},), {})
ENVIRON = {"CANARY_KEY": CANARY, EMBED_KEY: CANARY}


def spellings(key: str) -> set[str]:
    return {
        key,
        key.replace("/", "\\/"),
        "".join(f"\\u{ord(sign):04x}" for sign in key),
        "".join(f"%{ord(sign):02X}" for sign in key),
        "".join(f"&#{ord(sign)};" for sign in key),
        key.replace("/", "%2F").replace("+", "%2B").replace("=", "%3D"),
    }


def told(error: BaseException | None) -> Iterator[str]:
    """All that an error says to a person, a log or a debugger, those behind it included."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield from (str(error), repr(error), repr(getattr(error, "__dict__", "")))
        error = error.__cause__ or error.__context__


def check(texts: Iterator[str] | list[str]) -> None:
    for text in texts:
        assert not [one for one in spellings(CANARY) if one in text], text[:500]


# --- what a server says, by the fault ---


def error_body(text: str) -> str:
    return json.dumps({"error": {"message": f"wrong key {text}", "type": text, "code": text}})


def completion(text: str) -> str:
    return json.dumps({"choices": [{"message": {"content": text}, "finish_reason": text}], "model": text})


ECHO = {"X-Echo": f"Bearer {CANARY}", "WWW-Authenticate": f'Bearer realm="{CANARY}"'}
FAULTS: dict[str, tuple[int, str, dict[str, str]]] = {
    "401": (401, error_body(CANARY), ECHO),
    "401 in text": (401, f"<p>wrong key {CANARY}", ECHO),
    "401 escaped": (401, '{"error": {"message": "wrong key ' + "".join(f"\\u{ord(s):04x}" for s in CANARY) + '"}}', {}),
    "401 as PHP does": (401, error_body(CANARY).replace("/", "\\/"), {}),
    "401 in an address": (401, error_body("http://x/?key=" + "".join(f"%{ord(s):02X}" for s in CANARY)), {}),
    "401 in HTML": (401, "<p>" + "".join(f"&#{ord(s)};" for s in CANARY), {}),
    "400": (400, error_body(CANARY), {}),
    "400 by policy": (400, json.dumps({"error": {"message": CANARY, "code": "content_policy_violation"}}), {}),
    "429": (429, error_body(CANARY), {**ECHO, "Retry-After": CANARY}),
    "500": (500, error_body(CANARY), ECHO),
    "200 with the key": (200, completion(CANARY), ECHO),
    "200 with an error": (200, error_body(CANARY), {}),
    "malformed": (200, f'{{"choices": [{CANARY}', {}),
    "nothing": (200, "", {}),
}


def always(said: Any) -> Callable[[Any], Any]:
    return lambda _: said


def participant(route: str, url: str) -> Participant:
    given: dict[str, Any] = {"provider": "p", "api_base": url, "api_key_env": "CANARY_KEY"}
    if route == "openai":
        return Participant("m", "openai", "m", {}, **given)
    prefix = route.removeprefix("litellm-")
    return Participant("m", "litellm", f"{prefix}/claude-m", {"max_tokens": 9}, **given)


async def call(one: Participant, timeout: float = 5.0) -> Iterator[str]:
    provider = provider_for(one, ENVIRON)
    texts = [repr(provider), str(provider)]
    try:
        await provider.aopen()
        if timeout > 1:  # a server that hangs is waited for much longer
            await provider.reach()
        answer = await provider.generate(Request(one, PROMPT, None), timeout=timeout)
        texts += [answer.text, answer.raw or "", repr(answer.served_model), repr(answer.fingerprint)]
    except PartyNLIError as error:
        texts += [*told(error), *traceback.format_exception(error)]
    finally:
        await provider.aclose()
    return iter(texts)


ROUTES = (
    "openai",  # to import litellm takes seconds
    *(pytest.param(f"litellm-{one}", marks=pytest.mark.slow) for one in ("openai", "anthropic")),
)


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Whatever libraries log or print meanwhile is looked at, too."""
    caplog.set_level(logging.INFO)  # below, libraries say what they send
    yield
    check([caplog.text, *capfd.readouterr()])


@pytest.mark.parametrize("route", ROUTES)
def test_no_answer_of_a_server_brings_the_key_back(route: str, rogues: Any, go: Any, quiet: None) -> None:
    rogue = rogues()

    async def main() -> None:
        for status, body, headers in FAULTS.values():
            rogue.says = always(rogues.said(status, body, headers))
            check(await call(participant(route, rogue.url)))

    go(main())
    assert CANARY in repr(rogue.heard)  # it was sent, so that it could have come back


@pytest.mark.parametrize("route", ROUTES)
def test_no_broken_connection_tells_the_key(route: str, rogues: Any, go: Any, quiet: None, monkeypatch: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        refused = f"http://127.0.0.1:{free.getsockname()[1]}"

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + CANARY.encode())
        await writer.drain()
        writer.close()

    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/9.9 {CANARY}\r\n{CANARY}\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the other side gives up
        writer.close()

    async def main() -> None:
        check(await call(participant(route, refused)))
        check(await call(participant(route, rogues().url.replace("http:", "https:"))))  # TLS to a plain port
        for manner in (cut, nonsense, hang):
            server = await asyncio.start_server(manner, "127.0.0.1", 0)
            async with server:
                port = server.sockets[0].getsockname()[1]
                check(await call(participant(route, f"http://127.0.0.1:{port}"), timeout=0.3))
        monkeypatch.setitem(ENVIRON, "CANARY_KEY", f"{CANARY}\nX-Evil: {CANARY}")  # no header may hold that
        check(await call(participant(route, rogues().url)))

    go(main())


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("status", [302, 307])
def test_no_redirect_takes_key_or_prompt_elsewhere(status: int, route: str, rogues: Any, go: Any, quiet: None) -> None:
    here, there = rogues(), rogues()
    there.says = lambda _: rogues.said(200, completion("stolen"), {})
    here.says = lambda _: rogues.said(status, "", {"Location": f"{there.url}/v1/x?key={CANARY}"})

    async def main() -> None:
        check(await call(participant(route, here.url)))

    go(main())
    assert "sk-cAnAry" in repr(here.heard)
    if route == "openai":
        assert not there.heard


# --- other ways to servers ---


def test_no_failure_of_an_embedding_server_tells_the_key(rogues: Any, quiet: None) -> None:
    rogue, there = rogues(), rogues()
    embedder = embedder_for(f"{rogue.url}/v1#m", ENVIRON)
    said = [repr(embedder), embedder.name]
    for fault, (status, body, headers) in FAULTS.items():
        if status < 429:  # the others are tried again for long
            rogue.says = always(rogues.said(status, body, headers))
            with pytest.raises(InputError) as caught:
                embedder.embed(["It rains."])
            said += [fault, *told(caught.value)]
    rogue.says = always(rogues.said(307, "", {"Location": f"{there.url}/v1/embeddings?key={CANARY}"}))
    with pytest.raises(InputError, match="it redirects, and no text follows"):
        embedder.embed(["It rains."])
    check(said)
    assert CANARY in repr(rogue.heard)
    assert not there.heard
    for address in (f"http://me:{CANARY}@127.0.0.1/v1#m", f"http://127.0.0.1/v1?key={CANARY}#m"):
        with pytest.raises(InputError) as caught:
            embedder_for(address, {})
        check(list(told(caught.value)))


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
def test_no_failure_of_a_batch_api_tells_the_key(protocol: Any, rogues: Any, go: Any, quiet: None) -> None:
    rogue, there = rogues(), rogues()
    route = "openai" if protocol == "openai" else "litellm-anthropic"
    one = replace(participant(route, rogue.url), batch=Batching(protocol))

    async def main() -> None:
        api = batch_api_for(one, ENVIRON)
        await api.aopen()
        said = [repr(api)]
        redirect = (307, "", {"Location": f"{there.url}/x?key={CANARY}"})
        elsewhere = {"processing_status": "ended", "results_url": f"{there.url}/x", "output_file_id": f"../{CANARY}"}
        try:
            for status, body, headers in (*FAULTS.values(), redirect, (200, json.dumps(elsewhere), {})):
                rogue.says = always(rogues.said(status, body, headers))
                for work in (api.submit("mark", [b"{}"]), api.look("id"), all_of(api.results, api.look)):
                    try:
                        said.append(repr(await work))
                    except ProviderError as error:
                        said += told(error)
        finally:
            await api.aclose()
        check(said)

    go(main())
    assert CANARY in repr(rogue.heard)
    assert not there.heard


async def all_of(results: Any, look: Any) -> list[Any]:
    return [one async for one in results(await look("id"))]


def test_a_proxy_s_password_is_told_to_nobody_else(
    rogues: Any, go: Any, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = rogues()
    proxy.says = always(rogues.said(407, CANARY, ECHO))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, proxy.url.replace("http://", f"http://me:{CANARY.replace('/', '%2F')}@"))
    monkeypatch.delenv("no_proxy", raising=False)

    async def main() -> None:
        for address in ("http://models.invalid/v1", "https://models.invalid/v1"):
            check(await call(participant("openai", address)))

    go(main())
    assert proxy.heard


# --- what children and libraries are given ---


def test_a_model_server_is_given_no_key_of_another_service(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = ("OPENAI_API_KEY", "LOOP_API_KEY", "GITHUB_TOKEN", "MY_SECRET", "DB_PASSWORD", EMBED_KEY)
    for name in (*secret, "HF_TOKEN", "TOKENIZERS_PARALLELISM"):
        monkeypatch.setenv(name, CANARY)
    given = managed._environment(Place((GPU("0", None),), 0.9), "own")
    assert not [name for name in secret if name in given]
    assert given["VLLM_API_KEY"] == "own"  # in the environment, where no list of processes shows it
    assert given["HF_TOKEN"] == CANARY  # for the model's own home


@pytest.mark.slow
def test_litellm_sends_no_key_that_it_finds_to_an_address_of_a_registry(
    rogues: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, CANARY)
    for route in ("litellm-openai", "litellm-anthropic", "litellm-gemini"):
        stranger = replace(participant(route, rogues().url), api_key_env=None)
        with pytest.raises(InputError, match="whatever key it finds"):
            provider_for(stranger, os.environ)


ELSEWHERE = (
    *("api_base", "base_url", "azure_endpoint", "aws_bedrock_runtime_endpoint", "sagemaker_base_url"),
    *("vertex_credentials", "use_litellm_proxy", "logger_fn", "success_callback"),
    *("api_key", "aws_secret_access_key", "aws_session_token"),
)


@pytest.mark.parametrize("key", ELSEWHERE)
def test_a_registry_cannot_lead_a_library_elsewhere(key: str) -> None:
    with pytest.raises(RegistryError, match=f"'{key}' cannot stand in params"):
        registry(params={key: CANARY})


@pytest.mark.parametrize(
    "address", [f"https://me:{CANARY}@x/v1", f"https://x/v1?key={CANARY}", f"https://x/v1#{CANARY}"]
)
def test_an_address_with_a_key_in_it_is_refused_unseen(address: str) -> None:
    with pytest.raises(RegistryError) as caught:
        registry(api_base=address)
    check(list(told(caught.value)))


def test_a_key_in_the_place_of_its_variable_s_name_is_refused_unseen() -> None:
    with pytest.raises(RegistryError) as caught:
        registry(api_key_env=CANARY)
    check(list(told(caught.value)))


@pytest.mark.parametrize("field", ["model", "revision", "dtype", "quantization"])
def test_no_name_of_a_model_is_an_option_of_its_server(field: str) -> None:
    with pytest.raises(RegistryError, match="taken for an option"):
        registry(participant={"model": "m", field: "--trust-remote-code"})


def registry(participant: dict[str, Any] | None = None, **provider: Any) -> Registry:
    entry = {"provider": "p", **(participant or {"model": "m"})}
    return Registry({"version": 1, "providers": {"p": {"route": "vllm", **provider}}, "participants": {"a": entry}})


# --- the commands ---


def test_no_command_leaves_the_key_anywhere(rogues: Any, partynli: Any, holding: Any, tmp_path: Path) -> None:
    rogue = rogues()
    bodies = [FAULTS[name] for name in ("401", "401 escaped", "401 as PHP does", "400", "200 with the key")]

    def says(heard: Any) -> Any:
        status, body, headers = bodies[int(json.loads(heard.body)["model"][1:]) if heard.body else 0]
        return rogues.said(status, body, headers)

    rogue.says = says
    names = [f"m{at}" for at in range(len(bodies))]
    content = {
        "version": 1,
        "providers": {"loop": {"route": "openai", "api_base": rogue.url, "api_key_env": "CANARY_KEY"}},
        "participants": {name: {"provider": "loop", "model": name} for name in names},
        "mixes": {"all": names},
    }
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(content))
    environ = {"CANARY_KEY": CANARY, EMBED_KEY: CANARY, "HF_TOKEN": CANARY, "LITELLM_LOG": "ERROR"}
    commands = (
        *(["--help"], ["doctor"], ["participants"], ["sample", "--mix", "all", "--trials", "1", "--dry-run"]),
        ["sample", "--mix", "all", "--items", "demo", "--trials", "1", "--run", "r"],
        *(["status", "r"], ["status", "r", "--json"], ["report", "r", "--draws", "100"], ["resume", "r"]),
        ["export", "r", "--out", "out", "--format", "jsonl", "--raw"],
        ["explore", "r", "--no-open"],
    )
    for command in commands:
        done = partynli(*command, **environ)
        assert done.returncode in (0, 1, 2), done.stderr
        check([done.stdout, done.stderr])
    assert CANARY in repr(rogue.heard)
    assert (tmp_path / "runs" / "r" / "run.sqlite").exists()
    assert (tmp_path / "out" / "README.md").exists()
    for spelling in spellings(CANARY):
        assert not holding(tmp_path, spelling)
