"""What the loopback hub's requests and answers look like."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from partynli.testing.hub.repository import MAIN, Change, Entry, RefusedError

_RANGE = re.compile(r"bytes=(\d+)-")


async def read_body(request: web.Request) -> dict[str, Any]:
    """The JSON object that a request brings."""
    found = json.loads(await request.read())
    if not isinstance(found, dict):
        raise RefusedError(400, "the body must be a JSON object")
    return found


def revision_in(request: web.Request) -> str:
    """The branch, pull request or commit that a request's path names."""
    return unquote(request.match_info.get("revision", MAIN))


def decoded(text: str) -> bytes:
    """Bytes that were sent as base64."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise RefusedError(400, "the content is not base64") from None


def read_change(line: Mapping[str, Any]) -> Change:
    """A line of a commit, behind its header."""
    kind, value = line["key"], line["value"]
    path = value["path"]
    if not path or path.startswith("/") or {"", ".", "..", ".git"} & set(path.rstrip("/").split("/")):
        raise RefusedError(400, f"not a path in a repository: {path!r}")
    match kind:
        case "file":
            return Change("file", path, decoded(value["content"]))
        case "lfsFile":
            return Change("lfsFile", path, sha256=value["oid"])
        case "deletedFile" | "deletedFolder":
            return Change(kind, path)
    raise RefusedError(400, f"unknown operation {kind!r}")


def send_file(request: web.Request, content: bytes, headers: Mapping[str, str]) -> web.Response:
    """A file, from the byte on that the client asks for."""
    found = _RANGE.fullmatch(request.headers.get("Range", ""))
    if found is None:
        return web.Response(body=content, headers=headers, content_type="application/octet-stream")
    start = int(found[1])
    span = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
    return web.Response(status=206, body=content[start:], headers={**headers, **span})


def file_info(path: str, entry: Entry) -> dict[str, Any]:
    """A file, as listings of a tree say it."""
    said: dict[str, Any] = {"type": "file", "path": path, "oid": entry.oid, "size": entry.size}
    if entry.sha256:
        said["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": 134}
    return said


def folder_info(path: str) -> dict[str, Any]:
    """A folder, as listings of a tree say it."""
    oid = hashlib.sha1(path.encode(), usedforsecurity=False).hexdigest()
    return {"type": "directory", "path": path, "oid": oid, "size": 0}


def sibling_info(path: str, entry: Entry, with_blobs: bool) -> dict[str, Any]:
    """A file, as a repository's description says it."""
    if not with_blobs:
        return {"rfilename": path}
    large = {"lfs": {"sha256": entry.sha256, "size": entry.size, "pointerSize": 134}} if entry.sha256 else {}
    return {"rfilename": path, "size": entry.size, "blobId": entry.oid, **large}


def ref_info(name: str, ref: str, oid: str) -> dict[str, str]:
    """A branch or a pull request."""
    return {"name": name, "ref": ref, "targetCommit": oid}
