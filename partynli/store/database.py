"""Files of a run: where runs lie, who may write to one, and how its database is opened."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from partynli.errors import RunLockedError, StoreError

_REMOTE = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "lustre", "gpfs", "beegfs", "ceph", "afs", "glusterfs")
)

_PASSING = frozenset((sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR))


def runs_dir(given: Path | None = None) -> Path:
    """Folder of all runs: `given`, else ``$PARTYNLI_RUNS``, else ``./runs``."""
    return given or Path(os.environ.get("PARTYNLI_RUNS") or "runs")


def list_runs(folder: Path) -> list[Path]:
    """The runs in a folder, oldest first."""
    manifests = folder.glob("*/manifest.json") if folder.is_dir() else ()
    return [path.parent for path in sorted(manifests, key=lambda path: (path.stat().st_mtime, path.parent.name))]


def connect(path: Path, *, write: bool = False, create: bool = False) -> sqlite3.Connection:
    """Open a run's database, durable in every mode: a commit returns when the disk has it.

    WAL lets readers read while a run is sampled, but is unsafe on a network file system; there, and there only, the
    rollback journal is used.
    """
    mode = "rwc" if create else "rw" if write else "ro"
    uri = f"{path.resolve().as_uri()}?mode={mode}"
    log = path.with_name(path.name + "-wal")
    if not write and not os.access(path.parent, os.W_OK) and not (log.exists() and log.stat().st_size):
        # a folder that cannot be written to: SQLite could not even make its lock files. A log of committed answers
        # would be passed over in silence, so where there is one it is left to SQLite, which reads it or says why not
        uri += "&immutable=1"
    db: sqlite3.Connection | None = None
    try:
        # autocommit: the connection never opens a transaction on its own
        db = sqlite3.connect(uri, uri=True, timeout=30, check_same_thread=False, isolation_level=None)
        if write:
            db.execute(f"PRAGMA journal_mode = {'DELETE' if file_system(path) in _REMOTE else 'WAL'}")
            db.execute("PRAGMA synchronous = FULL")
            # a statement's journal in a file fails where no descriptor is left
            db.execute("PRAGMA temp_store = MEMORY")
        db.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error as error:
        if db is not None:
            db.close()
        raise StoreError(f"{path} cannot be opened: {plain(error)}; nothing was changed") from None
    return db


def may_pass(error: BaseException) -> bool:
    """Whether an error of SQLite is the disk's or another process's, and not one of the file itself."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _PASSING


@contextmanager
def explained(database: Path) -> Iterator[None]:
    """Turn what SQLite says of a run's database into one line."""
    try:
        yield
    except sqlite3.Error as error:
        safe = "; what was committed before is safe" if may_pass(error) else ""
        raise StoreError(f"{database}: {plain(error)}{safe}") from None


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit everything in the context, or nothing of it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def file_system(path: Path) -> str:
    """Type of the file system that holds `path` (``ext4``, ``nfs4``), or an empty string where it cannot be told."""
    try:
        mounts = Path("/proc/self/mounts").read_text("utf-8").splitlines()
    except OSError:
        return ""
    here = str(path.resolve())
    fitting = [fields for line in mounts if _below(here, (fields := line.split())[1].replace("\\040", " "))]
    return max(fitting, key=lambda fields: len(fields[1]))[2] if fitting else ""


def is_remote(path: Path) -> bool:
    """Whether `path` lies on a network file system, where WAL is unsafe."""
    return file_system(path) in _REMOTE


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Keep a run to this process for as long as the context lasts; the kernel lets go when the process dies."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock: IO[bytes] = (path / "lock").open("ab+", buffering=0)
    except OSError as error:
        raise StoreError(f"run {path} cannot be written: {plain(error)}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise RunLockedError(
                f"run {path.name!r} is being sampled by another process (pid {_pid(lock)}); "
                "wait for it, stop it, or choose another --run"
            ) from None
        try:
            lock.truncate(0)
            lock.write(str(os.getpid()).encode())
        except OSError as error:
            raise StoreError(f"run {path} cannot be written: {plain(error)}") from None
        yield


def held_by(path: Path) -> str | None:
    """Process id of the process that is sampling into a run, or None."""
    try:
        with (path / "lock").open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return _pid(lock)
    except OSError:
        return None
    return None


def _pid(lock: IO[bytes]) -> str:
    return lock.read().decode("utf-8", "replace").strip() or "unknown"


def _below(path: str, mount: str) -> bool:
    return path == mount or path.startswith(mount.rstrip("/") + "/")


def plain(error: BaseException) -> str:
    """What a foreign error says, on one line."""
    if isinstance(error, OSError):
        return f"{error.strerror or error}"
    return " ".join(str(error).split())
