"""Public files: looked for on this machine, else downloaded once from their home, and never used unverified."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from partynli.errors import ItemsError

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_LONGEST_S = 600.0
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A public file at a fixed version."""

    url: str
    """Its home; https, or http on this machine."""
    path: str
    """Where it lies below ``PARTYNLI_DATA`` and below the cache folder."""
    sha256: str
    size: int
    """Bytes."""


def cache_folder() -> Path:
    """The folder that downloads are kept in: ``PARTYNLI_CACHE``, else ``~/.cache/partynli``."""
    return Path(os.environ.get("PARTYNLI_CACHE") or "~/.cache/partynli").expanduser()


def locate(file: RemoteFile) -> Path | None:
    """Where a file lies on this machine, or None where it has to be downloaded.

    ``PARTYNLI_DATA`` comes before the cache. The content is not looked at.

    Raises
    ------
    ItemsError
        ``PARTYNLI_DATA`` names no folder.
    """
    places = [cache_folder() / file.path]
    if data := os.environ.get("PARTYNLI_DATA"):
        if not Path(data).is_dir():
            raise ItemsError(f"PARTYNLI_DATA is {data!r}, which is no folder; correct it or unset it")
        places.insert(0, Path(data) / file.path)
    return next((place for place in places if place.exists()), None)


def fetch(file: RemoteFile, *, timeout: float = 30.0) -> bytes:
    """The verified bytes of a public file, downloaded into the cache where this machine lacks it.

    Parameters
    ----------
    file
        What to get.
    timeout
        Seconds to wait for the connection and for each part of the answer; the whole takes ten minutes at most.

    Raises
    ------
    ItemsError
        The file cannot be read, downloaded or kept, or its SHA-256 is not the expected one. Nothing is left behind.
    """
    place = locate(file)
    if place is None:
        content = _download(file, timeout)
        _keep(content, cache_folder() / file.path)
        return content
    try:
        content = place.read_bytes()
    except OSError as error:
        raise ItemsError(f"{place} cannot be read: {error.strerror or error}") from None
    _verify(content, file, str(place), "delete it and it is downloaded again")
    return content


def _verify(content: bytes, file: RemoteFile, where: str, hint: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise ItemsError(f"{where} has the SHA-256 {found}, expected is {file.sha256}; {hint}")


def _download(file: RemoteFile, timeout: float) -> bytes:
    by_hand = f"to place it by hand, save it as {cache_folder() / file.path}"
    try:
        content = _read(file, timeout)
    except urllib.error.HTTPError as error:
        error.close()
        raise ItemsError(f"{file.url} answered HTTP {error.code}; {by_hand}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        shown = " ".join(str(reason).split()) or type(error).__name__
        raise ItemsError(f"{file.url} cannot be downloaded ({shown}); {by_hand}") from None
    if len(content) > file.size:
        raise ItemsError(f"{file.url} is longer than the expected {file.size:,} bytes; it is another file now")
    if len(content) < file.size:
        cut = f"{file.url} broke off after {len(content):,} of {file.size:,} bytes"
        raise ItemsError(f"{cut}; try again; {by_hand}")
    _verify(content, file, file.url, "it is another file now; nothing was kept")
    return content


def _read(file: RemoteFile, timeout: float) -> bytes:
    _check_address(file.url)
    # A proxy is for the network beyond this machine.
    proxies = [urllib.request.ProxyHandler({})] if urlsplit(file.url).hostname in _LOOPBACK else []
    opener = urllib.request.build_opener(_SafeRedirects(), *proxies)
    request = urllib.request.Request(file.url, headers={"User-Agent": "partynli"})  # noqa: S310 - checked above
    end = time.monotonic() + _LONGEST_S
    content = bytearray()
    with opener.open(request, timeout=timeout) as answer:
        while len(content) <= file.size and (chunk := answer.read1(_CHUNK)):
            content += chunk
            if time.monotonic() > end:
                raise TimeoutError(f"it takes longer than {_LONGEST_S:.0f} s")
    return bytes(content)


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError("only https addresses are downloaded from")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect that leaves https."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str) -> Any:
        try:
            _check_address(newurl)
        except ValueError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _keep(content: bytes, place: Path) -> None:
    """Write all of a file or nothing: under another name first, then renamed."""
    half = None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place.parent, prefix=".partynli-", delete=False) as file:
            half = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        half.replace(place)
    except BaseException as error:  # a stop from the keyboard leaves no half file either
        if half is not None:
            with contextlib.suppress(OSError):
                half.unlink()
        if not isinstance(error, OSError):
            raise
        reason = error.strerror or error
        raise ItemsError(f"{place} cannot be written ({reason}); set PARTYNLI_CACHE to a folder that can be") from None
