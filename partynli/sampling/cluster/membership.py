"""Joining a Ray cluster, or starting one on this machine, and leaving it again."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit

import ray
from ray.exceptions import RayError

from partynli.errors import InputError
from partynli.sampling.cluster.placement import Resources

_OBJECT_STORE = 256 << 20
"""Bytes of shared memory for what is under way between the processes of one machine."""
_LISTENS_S = 5.0
_JOIN_S = 120.0


def check_address(address: str | None) -> None:
    """See that something listens at a cluster's address: Ray itself would look for it for many minutes.

    Raises
    ------
    InputError
        Nothing does, or it is no address.
    """
    if address in (None, "auto"):
        return
    try:
        split = urlsplit(address if "://" in address else f"//{address}")
        if not split.hostname or not split.port:
            raise ValueError
        socket.create_connection((split.hostname, split.port), timeout=_LISTENS_S).close()
    except ValueError:
        raise InputError(f"--ray-address {address!r} is none: write auto, ray://HOST:PORT or HOST:PORT") from None
    except OSError as error:
        raise InputError(f"no Ray cluster answers at {address}: {error.strerror or error}") from None


class Membership:
    """This process's stay in a cluster.

    A thread of its own joins, so that Ctrl-C is heard meanwhile, and lives until the end: the processes that Ray starts
    on this machine die with the thread that started them, and so with this process, however it ends.

    Parameters
    ----------
    address
        ``auto``, ``ray://HOST:PORT`` or ``HOST:PORT``; None to start Ray on this machine.
    """

    def __init__(self, address: str | None) -> None:
        self._address = address
        self._joined: asyncio.Future[Resources] | None = None
        self._left = threading.Event()

    async def join(self) -> Resources:
        """Join; returns what the cluster has.

        Raises
        ------
        InputError
            There is no cluster at the address.
        """
        self._joined = asyncio.get_running_loop().create_future()
        threading.Thread(target=self._stay, args=(self._joined,), name="partynli-in-ray", daemon=True).start()
        try:
            return await asyncio.wait_for(self._joined, _JOIN_S)
        except TimeoutError:
            raise InputError(f"{self._nothing()} within {_JOIN_S:.0f} s") from None
        finally:
            _take_signals_back()

    async def has_machines(self) -> bool:
        """Whether any machine of the cluster is left: without one, a worker would be waited for without end."""
        try:
            nodes = await asyncio.to_thread(ray.nodes)
        except (RayError, OSError, RuntimeError):
            return False
        return any(node["Alive"] for node in nodes)

    def give_up_joining(self) -> None:
        """Have `join` end with a `CancelledError`, if it still waits."""
        if self._joined is not None:
            self._joined.cancel()

    def leave(self) -> None:
        """Leave the cluster; what was started on this machine ends."""
        ray.shutdown()
        self._left.set()

    def _stay(self, joined: asyncio.Future[Resources]) -> None:
        resources, failure = None, None
        try:
            resources = self._join()
        except (ConnectionError, ImportError, ValueError, RuntimeError, OSError) as error:
            said = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
            hint = "; a cluster that asks for a token wants RAY_AUTH_MODE=token here" if self._address else ""
            failure = InputError(f"{self._nothing()}: {said}{hint}")
        with suppress(RuntimeError):  # the loop is closed: nobody waits any longer
            joined.get_loop().call_soon_threadsafe(_settle, joined, resources, failure)
            self._left.wait()

    def _join(self) -> Resources:
        here = {} if self._address else {"include_dashboard": False, "object_store_memory": _OBJECT_STORE}
        ray.init(address=self._address or "local", log_to_driver=False, logging_level=logging.ERROR, **here)
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        cpus, gpus = ([one.get(name, 0.0) for one in nodes] for name in ("CPU", "GPU"))
        return Resources(cpus=int(sum(cpus)), gpus=int(max(gpus)))

    def _nothing(self) -> str:
        return f"no Ray cluster answers at {self._address}" if self._address else "Ray does not start on this machine"


def _settle(joined: asyncio.Future[Resources], resources: Resources | None, failure: InputError | None) -> None:
    if joined.done():  # given up
        return
    if resources is not None:
        joined.set_result(resources)
    elif failure is not None:
        joined.set_exception(failure)


def _take_signals_back() -> None:
    """Ray puts a handler below Python's that writes a stack trace at SIGTERM; Python's is put in its place again."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
