"""LFS at the loopback hub: what is to be uploaded and where, and the storage that takes and gives it."""

from __future__ import annotations

import hashlib
from typing import Any

from aiohttp import web

from partynli.testing.hub import shapes
from partynli.testing.hub.access import Access
from partynli.testing.hub.repository import RefusedError, Repository


class LargeFiles:
    """Uploads and downloads of large files. Each method that answers a request is a step.

    Parameters
    ----------
    part_bytes
        Uploads that are longer are taken in parts of this length.
    """

    def __init__(self, access: Access, part_bytes: int) -> None:
        self._access = access
        self._part_bytes = part_bytes
        self._parts: dict[tuple[str, str], dict[int, bytes]] = {}

    async def batch(self, request: web.Request) -> web.Response:
        """Xet is never offered, as to clients without it: `basic` for what fits in a part, else `multipart`."""
        repository = self._access.readable(request)
        self._access.user(request)
        given = await shapes.read_body(request)
        objects = [self._instructions(repository, one["oid"], one["size"]) for one in given["objects"]]
        large = any("chunk_size" in one.get("actions", {}).get("upload", {}).get("header", {}) for one in objects)
        return web.json_response({"transfer": "multipart" if large else "basic", "objects": objects})

    def _instructions(self, repository: Repository, oid: str, size: int) -> dict[str, Any]:
        said: dict[str, Any] = {"oid": oid, "size": size, "authenticated": True}
        if oid in repository.objects:
            return said
        lfs = f"{self._access.url}/{repository.path}.git/info/lfs"
        upload: dict[str, Any] = {"href": f"{self.address(repository, oid)}"}
        if size > self._part_bytes:
            parts = range(1, -(-size // self._part_bytes) + 1)
            header = {f"{part:05}": f"{self.address(repository, oid)}&part={part}" for part in parts}
            upload = {"href": f"{lfs}/complete/{oid}", "header": {"chunk_size": str(self._part_bytes), **header}}
        return {**said, "actions": {"upload": upload, "verify": {"href": f"{lfs}/verify"}}}

    def address(self, repository: Repository, oid: str) -> str:
        """Where the storage takes and gives a content."""
        # by another name than the hub's own, as its storage has another host: no token may come along
        signature = hashlib.sha256(f"{repository.path} {oid}".encode()).hexdigest()[:16]
        return f"http://localhost:{self._access.port}/_storage/{repository.path}/{oid}?signature={signature}"

    async def put_object(self, request: web.Request) -> web.Response:
        repository, oid = self._stored(request)
        content = await request.read()
        if "part" not in request.query:
            repository.add_object(oid, content)
            return web.Response()
        self._parts.setdefault((repository.path, oid), {})[int(request.query["part"])] = content
        return web.Response(headers={"ETag": f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'})

    async def complete(self, request: web.Request) -> web.Response:
        repository, given = self._access.repository(request), await shapes.read_body(request)
        parts = self._parts.pop((repository.path, given["oid"]), {})
        if sorted(parts) != [part["partNumber"] for part in given["parts"]]:
            raise RefusedError(400, "parts are missing")
        repository.add_object(given["oid"], b"".join(parts[number] for number in sorted(parts)))
        return web.json_response({})

    async def verify(self, request: web.Request) -> web.Response:
        self._access.user(request)
        given = await shapes.read_body(request)
        content = self._access.readable(request).objects.get(given["oid"])
        if content is None or len(content) != given["size"]:
            raise RefusedError(404, "the object was not uploaded whole")
        return web.json_response({})

    async def get_object(self, request: web.Request) -> web.Response:
        repository, oid = self._stored(request)
        if oid not in repository.objects:
            raise RefusedError(404, "no such object")
        return shapes.send_file(request, repository.objects[oid], {"ETag": f'"{oid}"'})

    def _stored(self, request: web.Request) -> tuple[Repository, str]:
        if "Authorization" in request.headers:
            raise RefusedError(400, "Only one auth mechanism allowed")
        repository, oid = self._access.repository(request), request.match_info["oid"]
        if request.query_string.partition("&")[0] != self.address(repository, oid).partition("?")[2]:
            raise RefusedError(403, "SignatureDoesNotMatch")
        return repository, oid
