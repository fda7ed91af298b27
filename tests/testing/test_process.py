"""The loopback server in a process of its own, and from the command line."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import aiohttp
import pytest

from partynli.errors import InputError, PartyNLIError
from partynli.testing import FAULTS, Behaviour, LoopbackProcess

COMMAND = [sys.executable, "-m", "partynli.testing.server"]


def call(url, model="m"):
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "x"}]}).encode()
    with urllib.request.urlopen(f"{url}/chat/completions", body, timeout=10) as answer:
        return json.load(answer)


def listens(url):
    port = int(url.split(":")[2].split("/")[0])
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def ends(url, within=10.0):
    deadline = time.monotonic() + within
    while listens(url):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_it_serves_from_a_process_of_its_own():
    with LoopbackProcess({"m": Behaviour(text="hi")}, keep_requests=1) as server:
        assert server.pid != os.getpid()
        assert call(server.url)["choices"][0]["message"]["content"] == "hi"
        books = server.fetch_books()
        assert books["m"].answered == 1
        assert 0 <= time.monotonic() - books["m"].arrivals[0] < 10
        assert books.requests[0]["body"]["model"] == "m"
        server.set_behaviour(None, Behaviour(text="ho"))
        assert call(server.url, "n")["choices"][0]["message"]["content"] == "ho"
        server.reset_books()
        assert server.fetch_books().total.received == 0
        assert server.anthropic_url + "/v1" == server.url
    assert not listens(server.url)
    server.close()


def test_it_ends_though_calls_hang():
    async def main(url):
        async with aiohttp.ClientSession() as session:
            body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
            call = asyncio.create_task(session.post(f"{url}/chat/completions", json=body))
            while not server.fetch_books().total.in_flight:
                await asyncio.sleep(0.02)
            start = time.monotonic()
            server.close()
            assert time.monotonic() - start < 3
            with pytest.raises(aiohttp.ClientError):
                await call

    with LoopbackProcess(default=Behaviour(script=("hang",))) as server:
        asyncio.run(main(server.url))


PARENT = """
import os, sys, time
from partynli.testing import LoopbackProcess
with LoopbackProcess() as server:
    forked = os.fork() if "fork" in sys.argv else None
    if forked != 0:
        print(server.url, server.pid, forked, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("fork", [[], ["fork"]])
def test_it_ends_when_its_parent_is_killed(fork):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, *fork], stdout=subprocess.PIPE, text=True)
    url, child, forked = parent.stdout.readline().split()
    try:
        assert listens(url)
        parent.kill()
        parent.wait()
        # a process that the parent forked holds the pipe to the server open
        ended = ends(url)
    finally:
        parent.stdout.close()
        if fork:
            os.kill(int(forked), signal.SIGKILL)
    if not ended:
        os.kill(int(child), signal.SIGKILL)
    assert ended


def test_a_server_that_cannot_start_is_said(capfd):
    with LoopbackProcess() as server:
        port = int(server.anthropic_url.rpartition(":")[2])
        with pytest.raises(PartyNLIError, match="did not start"):
            LoopbackProcess(port=port).open()
    assert f"cannot listen on 127.0.0.1:{port}" in capfd.readouterr().err


def test_a_behaviour_is_checked_before_anything_starts():
    with pytest.raises(InputError, match="burst"):
        LoopbackProcess(default=Behaviour(burst=0))


def test_help_has_an_example_and_every_fault():
    done = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True)
    assert '"default": {"latency_s": 0.3' in done.stdout
    assert all(fault in done.stdout for fault in FAULTS)
    assert done.stderr == ""


def test_from_the_command_line(tmp_path):
    file = tmp_path / "behaviour.json"
    file.write_text(json.dumps({"behaviours": {"m": {"text": "hi"}}, "models": ["m"]}))
    command = [*COMMAND, "--port", "0", "--behaviour", str(file), "--key-env", "LOOPBACK_KEY"]
    environ = {**os.environ, "LOOPBACK_KEY": "sk-1"}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as server:
        url = server.stdout.readline().split(" ")[0]
        try:
            with pytest.raises(urllib.error.HTTPError) as refused:
                call(url)
            refused.value.close()
            request = urllib.request.Request(f"{url}/models", headers={"Authorization": "Bearer sk-1"})
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert json.load(answer)["data"][0]["id"] == "m"
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(10) == 0
    assert refused.value.code == 401


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "must hold a JSON object"),
        ('{"api_key": "k"}', "use --key-env"),
        ('{"default": {"latency": 1}}', "default.latency: unknown key; did you mean 'latency_s'?"),
        ('{"behaviours": {"m": {"script": ["hung"]}}}', "behaviours.m.script.0"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, text, message):
    file = tmp_path / "behaviour.json"
    file.write_text(text)
    done = subprocess.run([*COMMAND, "--behaviour", str(file)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_missing_file_or_key_is_refused(tmp_path):
    for options in (["--behaviour", str(tmp_path / "none.json")], ["--key-env", "NO_SUCH_VARIABLE"]):
        done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=20)
        assert done.returncode == 2
        assert options[1].rpartition("/")[2] in done.stderr
