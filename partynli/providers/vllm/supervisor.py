"""Runs one command, and sees to it that nothing of it outlives the process that asked for it.

``python supervisor.py COMMAND ...`` is started with its standard input on a pipe whose other end only its parent holds.
When the parent closes it, or dies in whatever way, the pipe ends, and the command with all its descendants is stopped:
asked first, then killed. A parent-death signal would reach the first child alone, and a process group loses those who
leave it; here the kernel hands every orphan to this process, so that none can get away. What the command writes to the
folder for temporary files goes into one of its own, and goes with it.

Uses the standard library only and imports nothing of partynli: it has to start at once, and to stay small.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ASK_S = 5.0
"""How long the command may take to end when it is asked to; then it is killed."""
_LOOK_S = 0.2
_LONGEST_TMP = 50
_told: list[int] = []
"""Signals that asked this process to end, which it does as if the pipe had ended."""


def main() -> int:
    """Run the command until it ends or the pipe does; returns its exit code.

    Who supervises is a child of the process that was started: some parents, Ray's workers among them, kill their
    children when they end, and would kill the supervisor before it has cleaned up.
    """
    supervisor = os.fork()
    if supervisor:
        for number in _ENDING:
            signal.signal(number, lambda number, _: os.kill(supervisor, number))
        code = os.waitstatus_to_exitcode(os.waitpid(supervisor, 0)[1])
        return code if code >= 0 else 128 - code
    os.setsid()
    for number in _ENDING:
        signal.signal(number, lambda number, _: _told.append(number))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # vLLM makes sockets there, whose paths may not be longer than 107 characters
    short = None if len(gettempdir()) <= _LONGEST_TMP else "/tmp"  # noqa: S108 - a folder of its own is made in it
    with TemporaryDirectory(prefix="partynli-", dir=short, ignore_cleanup_errors=True) as folder:
        return _run(sys.argv[1:], {**os.environ, "TMPDIR": folder}, libc)


def _run(command: list[str], environ: dict[str, str], libc: ctypes.CDLL) -> int:
    child = subprocess.Popen(  # noqa: S603 - the command is partynli's own
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        # should this process be killed itself, the first child at least goes with it
        preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),
    )
    while child.poll() is None and not _has_ended():
        pass
    _stop_all()
    code = child.wait()
    return code if code >= 0 else 128 - code


def _has_ended() -> bool:
    """Wait a moment; True where the pipe has ended, or a signal came."""
    readable, _, _ = select.select([0], [], [], _LOOK_S)
    return bool(_told) or (bool(readable) and not os.read(0, 1))


def _stop_all() -> None:
    """Ask every descendant to end, kill those who do not, and return when none is left alive."""
    deadline = time.monotonic() + _ASK_S
    asked: set[int] = set()
    while below := _descendants():
        late = time.monotonic() > deadline
        for pid in below:
            if late or pid not in asked:
                asked.add(pid)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        time.sleep(0.05)


def _descendants() -> list[int]:
    """Every living process below this one; a child's child whose parent died has become a child."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if state != "Z":
                children.setdefault(int(parent), []).append(int(folder.name))
    found: list[int] = []
    above = [os.getpid()]
    while above:
        below = children.get(above.pop(), [])
        found += below
        above += below
    return found


if __name__ == "__main__":
    sys.exit(main())
