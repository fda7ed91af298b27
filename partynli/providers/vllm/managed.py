"""A vLLM server that is started for one model, shared by all its participants, and gone afterwards."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

import aiohttp

from partynli.errors import ProviderError
from partynli.providers.vllm.gpus import gpus_for, share_of
from partynli.providers.vllm.room import Place, Room, room_here
from partynli.records import Participant
from partynli.redaction import redact

PYTHON_ENV = "PARTYNLI_VLLM"
"""Environment variable that names the Python interpreter which vLLM is installed for, where it is not this one."""
RESTARTS = 2
"""How often a server that died is started again."""
_HOST = "127.0.0.1"
_START_S = 3600.0
"""Longest wait for a server, the download of its model included."""
_RECOVER_S = 120.0
"""Longest wait for one that came up before and does not answer; then it counts as dead."""
_STOP_S = 30.0
_LOOK_S = 0.5
_ERROR = re.compile(r"\w*(?:Error|Exception): .+")
_LONGEST = 300
_PORT_TRIES = 3
_TAKEN = "address already in use"
_SERVE = ("-m", "vllm.entrypoints.cli.main", "serve")
_SERVE_OTHER_BUILD = ("-m", "vllm.entrypoints.openai.api_server", "--model")
"""For builds under another name, which `vllm serve` does not find itself in."""
_FOREIGN_KEY = re.compile(r"(?!HF_|HUGGING|AWS_|MODELSCOPE_).*(?:API_KEY|ACCESS_KEY|_TOKEN|_SECRET|_PASSWORD)")
"""Variables that a server of a model has no business with: a model may bring code, and `serve.args` name more."""
_SUPERVISOR = Path(__file__).with_name("supervisor.py")


def missing(participant: Participant, environ: Mapping[str, str]) -> str | None:
    """Why no server can be started for a participant here, said before anything is downloaded; None if one can."""
    if not _installed(environ.get(PYTHON_ENV)):
        return (
            f"vLLM is not installed: pip install 'partynli[vllm]', name the Python that has it in {PYTHON_ENV}, "
            "or give the api_base of a running server"
        )
    try:
        gpus_for(participant, room_here().gpus)
    except ProviderError as error:
        return str(error)
    return None


class ManagedServer:
    """The server of one model: started when it is first needed, and again, at most twice, where it dies.

    Parameters
    ----------
    participant
        Any of those that share the server.
    room
        Where it is to find a place.
    """

    def __init__(self, participant: Participant, room: Room | None = None) -> None:
        self._participant = participant
        self._room = room or room_here()
        self._place: Place | None = None
        self._process: Process | None = None
        self._log: IO[bytes] | None = None
        self._starting: asyncio.Task[str] | None = None
        self._starts = 0
        self._is_up = False
        self._address = ""
        self._failed: ProviderError | None = None
        self.key = secrets.token_urlsafe(24)
        """Other users of the machine do not have it."""

    @property
    def is_running(self) -> bool:
        """Whether it has come up, has not died since, and is not in doubt."""
        return self._is_up and self._process is not None and self._process.returncode is None

    def doubt(self) -> None:
        """A call could not reach it: it may be dying, which `start` finds out before the next call is made."""
        self._is_up = False

    async def start(self) -> str:
        """Start it, or wait for who does; returns the address for calls.

        Raises
        ------
        ProviderError
            It does not come up, or died too often; the message says why, and where its log is.
        """
        if self._failed is not None:
            raise self._failed
        if self._starting is None or (self._starting.done() and not self.is_running):
            self._starting = asyncio.create_task(self._start())
        return await asyncio.shield(self._starting)

    async def aclose(self) -> None:
        """Stop it; returns when no process of it is left."""
        if self._starting is not None:
            self._starting.cancel()
            with suppress(asyncio.CancelledError, ProviderError):
                await self._starting
        await self._stop()
        if self._place is not None:
            self._room.give_back(self._place)
            self._place = None

    async def _start(self) -> str:
        if self._process is None or not await self._comes_up(_RECOVER_S):
            if self._starts > RESTARTS:
                raise self._failure(f"its server died {self._starts} times and is not started again")
            self._starts += 1
            await self._start_anew()
        self._is_up = True
        return f"{self._address}/v1"

    async def _start_anew(self) -> None:
        one = self._participant
        if self._place is None:
            self._place = await self._room.take(gpus_for(one, self._room.gpus), share_of(one))
        try:
            for _ in range(_PORT_TRIES):
                await self._launch(self._place)
                if await self._comes_up(_START_S):
                    return
                if _TAKEN not in self._read_log()[1].lower():
                    break
            raise self._failure("its server did not start")
        finally:
            self._room.started(self._place)

    async def _launch(self, place: Place) -> None:
        await self._stop()
        port = _free_port(self._participant)
        self._address = f"http://{_HOST}:{port}"
        self._log = tempfile.TemporaryFile("a+b")  # noqa: SIM115 - nameless: nothing stays behind, however this ends
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", str(_SUPERVISOR)),
            *_command(self._participant, port, place),
            stdin=PIPE,  # held open: the supervisor stops everything when it ends
            stdout=self._log,
            stderr=self._log,
            env=_environment(place, self.key),
            start_new_session=True,  # Ctrl-C is partynli's to handle
        )

    async def _comes_up(self, within_s: float) -> bool:
        """Wait until the server is healthy; False where it ends before, or is not in time."""
        assert self._process is not None
        deadline = asyncio.get_running_loop().time() + within_s
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while self._process.returncode is None and asyncio.get_running_loop().time() < deadline:
                with suppress(aiohttp.ClientError, OSError, TimeoutError):
                    async with session.get(f"{self._address}/health") as answer:
                        if answer.status == 200:
                            return True
                await asyncio.sleep(_LOOK_S)
        return False

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), _STOP_S)
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._log is not None:
            self._log.close()
            self._log = None

    def _failure(self, what: str) -> ProviderError:
        """Why there is no server: what its log says, and a copy of all of it."""
        cause, log = self._read_log()
        kept = ""
        if log:
            with tempfile.NamedTemporaryFile("w", prefix="partynli-vllm-", suffix=".log", delete=False) as copy:
                copy.write(log)
            kept = f" (its log: {copy.name})"
        self._failed = ProviderError(f"{self._participant.model}: {what}: {cause}{kept}", "fatal_participant")
        return self._failed

    def _read_log(self) -> tuple[str, str]:
        """The line that tells most, and everything, without secrets."""
        if self._log is None:
            return "it was not started", ""
        self._log.seek(0)
        log = redact(self._log.read().decode("utf-8", "replace"), self.key, os.environ.get("HF_TOKEN"))
        lines = [line.strip() for line in log.splitlines() if line.strip() and " WARNING " not in line]
        # the first error is the cause, those that follow are its consequences
        found = next((match[0] for match in map(_ERROR.search, lines) if match), None)
        return (found or (lines[-1] if lines else "it said nothing"))[:_LONGEST], log


def _command(participant: Participant, port: int, place: Place) -> list[str]:
    """The command of a participant's server; everything that is declared of the model is in it."""
    python = os.environ.get(PYTHON_ENV)
    options: dict[str, object] = {
        "--served-model-name": participant.model,
        "--host": _HOST,
        "--port": port,
        "--revision": participant.revision,
        "--dtype": participant.dtype,
        "--quantization": participant.quantization,
        "--max-model-len": participant.serving.max_model_len,
    }
    if not place.gpus[0].is_cpu:
        options |= {"--tensor-parallel-size": len(place.gpus), "--gpu-memory-utilization": place.share}
    given = [part for name, value in options.items() if value is not None for part in (name, str(value))]
    start = _SERVE if "vllm" in (_installed(python) or "").split() else _SERVE_OTHER_BUILD
    # the system prompt is the same in every call: its keys and values are worked out once
    always = ("--enable-prefix-caching", "--disable-uvicorn-access-log")
    return [python or sys.executable, *start, participant.model, *given, *always, *participant.serving.args]


@cache
def _installed(python: str | None) -> str | None:
    """Name of the distribution that brings the module `vllm` to a Python, this one where None; None without any."""
    look = "import importlib.metadata as m; print(*m.packages_distributions().get('vllm', ()))"
    try:
        found = subprocess.run([python or sys.executable, "-c", look], capture_output=True, timeout=60, text=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def _environment(place: Place, key: str) -> dict[str, str]:
    """This process's environment without keys of other services; where the model lies is the server's business."""
    environ = {name: value for name, value in os.environ.items() if not _FOREIGN_KEY.fullmatch(name)}
    if not place.gpus[0].is_cpu:
        environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpu.name for gpu in place.gpus)
    return {**environ, "VLLM_API_KEY": key, "VLLM_NO_USAGE_STATS": "1"}


def _free_port(participant: Participant) -> int:
    """A port that nobody listens on at this moment, from the declared ones or any."""
    first, last = participant.serving.ports or (0, 0)
    for port in range(first, last + 1):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of a server that has ended
            probe.bind((_HOST, port))
            return int(probe.getsockname()[1])
    taken = f"no port from {first} to {last} is free: widen `ports`" if first else "no port is free on this machine"
    raise ProviderError(f"{participant.model}: {taken}", "fatal_participant")
