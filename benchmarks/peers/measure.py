"""One client against one server: how fast, at what cost, and what a kill costs. Reads /proc, so it needs Linux."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
LATENCY_S = 0.05
IN_FLIGHT = 64
RATE, BURST = 50, 5
MOST_S = 120
"""A client that takes longer has failed."""
_LOOK_S = 0.02
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_QUIET = {
    "CURATOR_DISABLE_RICH_DISPLAY": "1",
    "DO_NOT_TRACK": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "LOOPBACK_API_KEY": "sk-not-a-key",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOG": "ERROR",
    "NO_PROXY": "*",
    "OPENAI_API_KEY": "sk-not-a-key",
    "OPENBLAS_NUM_THREADS": "1",
    "TELEMETRY_ENABLED": "false",
    "TOKENIZERS_PARALLELISM": "false",
}
"""No telemetry, no look-ups: nothing but loopback is to be reached."""


class FailedError(Exception):
    """A client did not do what it was asked; says why."""


class Peer(NamedTuple):
    """Who is measured."""

    key: str
    client: str
    """Its file in clients/."""
    python: str
    """The interpreter of its environment."""


class Server:
    """The peers' server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self._address = f"http://127.0.0.1:{int(process.stdout.readline())}"
        self._process = process
        self.url = f"{self._address}/v1"

    def read(self, path: str) -> Any:
        """Its books, or how many calls it has done."""
        with urllib.request.urlopen(f"{self._address}/{path}", timeout=10) as answer:
            return json.load(answer)

    @property
    def cpu_s(self) -> float:
        """Processor seconds that the server has used."""
        return _seen(self._process.pid)[1]


@contextmanager
def serving(*limit: float) -> Iterator[Server]:
    """The server, on the last core; `limit` is calls a second, and the burst."""
    command = [sys.executable, str(HERE / "server.py"), str(LATENCY_S), *map(str, limit)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
        yield Server(process)  # it ends when its stdin is closed


class Client:
    """One start of a peer's client, on the first core; its whole tree of processes is watched."""

    def __init__(self, peer: Peer, job: dict[str, Any], home: Path) -> None:
        file = Path(job["folder"]).with_suffix(".json")
        file.write_text(json.dumps(job))
        self._command = [peer.python, str(HERE / "clients" / peer.client)]
        self._job = str(file)
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        self._environ = {**kept, **_QUIET, "HOME": str(home)}
        self._said = Path(job["folder"]).with_suffix(".log")
        self.seen: list[tuple[float, float, float]] = []
        """Time, RSS in bytes, CPU seconds: of the tree."""

    def ask(self) -> None:
        """Start it; `wait` or `kill` ends it."""
        self.started = time.monotonic()
        with self._said.open("ab") as said:
            self._process = subprocess.Popen(
                [*self._command, "ask", self._job],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=self._environ,
                cwd=HERE / "clients",
                start_new_session=True,
            )
        os.sched_setaffinity(self._process.pid, {min(os.sched_getaffinity(0))})
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()

    def wait(self) -> None:
        """Until it has ended; raises where it failed."""
        try:
            deadline = time.monotonic() + MOST_S
            while (ended := os.wait4(self._process.pid, os.WNOHANG))[0] == 0:
                if time.monotonic() > deadline:
                    raise FailedError(f"not done after {MOST_S} s")
                time.sleep(0.005)
        except BaseException:
            self.kill()
            raise
        self.ended = time.monotonic()
        self._over.set()
        self._watch.join()
        _, status, used = ended
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self.cpu_s = max([used.ru_utime + used.ru_stime, *(cpu for _, _, cpu in self.seen)])
        self.peak_mb = max([used.ru_maxrss * 1024, *(rss for _, rss, _ in self.seen)]) / 2**20
        if self._process.returncode:
            raise FailedError(f"exit code {self._process.returncode}: {self.last_words()}")

    def kill(self) -> None:
        """kill -9, the whole tree at once."""
        for pid in _tree(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._over.set()
        self._watch.join()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def cpu_at(self, moment: float) -> float:
        """CPU seconds that it had used by then."""
        return max((cpu for at, _, cpu in self.seen if at <= moment), default=0.0)

    def count(self) -> int | None:
        """How many answers it has kept; None where it keeps none."""
        command = [*self._command, "count", self._job]
        done = subprocess.run(command, env=self._environ, capture_output=True, text=True, timeout=MOST_S)
        if done.returncode:
            raise FailedError(f"cannot count: {done.stderr[-300:]}")
        said = done.stdout.split()[-1]
        return None if said == "None" else int(said)

    def last_words(self) -> str:
        """The last line that it said."""
        lines = [line for line in self._said.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip()[:300] if lines else "it said nothing"

    def _look(self) -> None:
        while not self._over.wait(_LOOK_S):
            looks = [_seen(pid) for pid in _tree(self._process.pid)]
            self.seen.append((time.monotonic(), sum(rss for rss, _ in looks), sum(cpu for _, cpu in looks)))


def _tree(pid: int) -> list[int]:
    found = [pid]
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found += _tree(int(child))
    return found


def _seen(pid: int) -> tuple[float, float]:
    """RSS in bytes and CPU seconds of one process, those of its ended children included."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0, 0.0
    return int(fields[21]) * _PAGE, sum(map(int, fields[11:15])) / _TICKS
