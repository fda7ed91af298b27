"""The loopback hub's API of datasets and models, as ``huggingface_hub`` speaks it."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from fnmatch import fnmatch
from typing import Any

import yaml
from aiohttp import web

from partynli.testing.hub import shapes
from partynli.testing.hub.access import Access, proposes
from partynli.testing.hub.large_files import LargeFiles
from partynli.testing.hub.repository import MAIN, RefusedError, Repository

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_LONG_AGO = "2025-01-01T00:00:00.000Z"
_PLACE = "{kind:(?:datasets/)?}{owner}/{name}"
_REPO = "/api/{kind:datasets|models}/{owner}/{name}"
_LFS = f"/{_PLACE}.git/info/lfs"
_STORAGE = f"/_storage/{_PLACE}/{{oid}}"
_RESOLVE = f"/{_PLACE}/resolve/{{revision}}/{{path:.+}}"


class HubProtocol:
    """All answers but the faults. Each method that answers a request is a step that a fault can be scripted for."""

    def __init__(self, access: Access, large_files: LargeFiles) -> None:
        self._access = access
        self._large_files = large_files

    def routes(self) -> list[tuple[str, str, Handler]]:
        """Method, path and handler of each step."""
        large = self._large_files
        return [
            ("GET", "/api/whoami-v2", self.whoami),
            ("POST", "/api/repos/create", self.create),
            ("POST", "/api/validate-yaml", self.validate_yaml),
            ("GET", _REPO, self.info),
            ("GET", _REPO + "/revision/{revision}", self.info),
            ("GET", _REPO + "/tree/{revision}", self.tree),
            ("GET", _REPO + "/tree/{revision}/{path:.+}", self.tree),
            ("POST", _REPO + "/paths-info/{revision}", self.paths_info),
            ("GET", _REPO + "/refs", self.refs),
            ("POST", _REPO + "/branch/{revision}", self.branch),
            ("POST", _REPO + "/preupload/{revision}", self.preupload),
            ("POST", _REPO + "/commit/{revision}", self.commit),
            *((method, _RESOLVE, self.resolve) for method in ("GET", "HEAD")),
            ("POST", _LFS + "/objects/batch", large.batch),
            ("POST", _LFS + "/verify", large.verify),
            ("POST", _LFS + "/complete/{oid}", large.complete),
            ("PUT", _STORAGE, large.put_object),
            *((method, _STORAGE, large.get_object) for method in ("GET", "HEAD")),
        ]

    async def whoami(self, request: web.Request) -> web.Response:
        user = self._access.user(request)
        role = {"displayName": "loopback", "role": "write"}
        return web.json_response(
            {"type": "user", "name": user, "orgs": [], "auth": {"type": "access_token", "accessToken": role}}
        )

    async def create(self, request: web.Request) -> web.Response:
        given = await shapes.read_body(request)
        user = self._access.user(request)
        kind = given.get("type", "model")
        if kind not in self._access.held:
            raise RefusedError(400, "the loopback hub holds datasets and models only")
        owner = given.get("organization") or user
        name = f"{owner}/{given['name']}"
        if owner != user:
            raise RefusedError(403, f"You don't have the rights to create a {kind} under the namespace {owner!r}")
        private = given.get("visibility") == "private" or bool(given.get("private"))
        made, held = Repository(name, private, kind), self._access.held[kind]
        answer = {"url": f"{self._access.url}/{made.path}", "name": name}
        if name in held:
            return web.json_response(answer | {"error": f"You already created this {kind} repo"}, status=409)
        held[name] = made
        return web.json_response(answer)

    async def validate_yaml(self, request: web.Request) -> web.Response:
        """The real hub looks at every field; here it is enough that there is metadata, and that it is YAML."""
        given = await shapes.read_body(request)
        found = re.match(r"---\n(.*?)\n---\n", given["content"], re.DOTALL)
        if found is None:
            return web.json_response(
                {"errors": [], "warnings": [{"message": "empty or missing yaml metadata in repo card"}]}
            )
        try:
            metadata = yaml.safe_load(found[1])
        except yaml.YAMLError:
            metadata = None
        if isinstance(metadata, dict):
            return web.json_response({"errors": [], "warnings": []})
        return web.json_response(
            {"errors": [{"message": "the metadata is no YAML mapping"}], "warnings": []}, status=400
        )

    async def info(self, request: web.Request) -> web.Response:
        repository = self._access.readable(request)
        commit = repository.at(shapes.revision_in(request))
        with_blobs = request.query.get("blobs", "").lower() == "true"
        siblings = [shapes.sibling_info(path, entry, with_blobs) for path, entry in sorted(commit.files.items())]
        return web.json_response(
            {
                "id": repository.id,
                "author": repository.owner,
                "sha": commit.oid,
                "private": repository.private,
                "gated": False,
                "disabled": False,
                "lastModified": _LONG_AGO,
                "createdAt": _LONG_AGO,
                "tags": [],
                "downloads": 0,
                "likes": 0,
                "siblings": siblings,
            }
        )

    async def tree(self, request: web.Request) -> web.Response:
        """All in one page, where the real hub gives 1,000 files a page."""
        files = self._access.readable(request).at(shapes.revision_in(request)).files
        folder = request.match_info.get("path", "")
        below = {path: entry for path, entry in files.items() if not folder or path.startswith(f"{folder}/")}
        if folder and not below:
            raise RefusedError(404, f"{folder} does not exist", "EntryNotFound")
        depth = folder.count("/") + 1 if folder else 0
        found: dict[str, dict[str, Any]] = {}
        for path, entry in sorted(below.items()):
            parts = path.split("/")
            for stop in range(depth + 1, len(parts)):
                found.setdefault("/".join(parts[:stop]), shapes.folder_info("/".join(parts[:stop])))
            found[path] = shapes.file_info(path, entry)
        if request.query.get("recursive", "").lower() != "true":
            found = {path: one for path, one in found.items() if path.count("/") == depth}
        return web.json_response(list(found.values()))

    async def paths_info(self, request: web.Request) -> web.Response:
        files = self._access.readable(request).at(shapes.revision_in(request)).files
        asked = [str(path) for path in (await request.post()).getall("paths", [])]
        if len(asked) > 1000:
            raise RefusedError(413, "too many parameters")
        found = [shapes.file_info(path, files[path]) for path in asked if path in files]
        folders = [path for path in asked if any(name.startswith(f"{path}/") for name in files)]
        return web.json_response(found + [shapes.folder_info(path) for path in folders])

    async def refs(self, request: web.Request) -> web.Response:
        repository = self._access.readable(request)
        branches = [
            shapes.ref_info(name, f"refs/heads/{name}", oid) for name, oid in repository.refs.items() if "/" not in name
        ]
        proposed = [shapes.ref_info(name, name, repository.refs[name]) for name in repository.pull_requests]
        return web.json_response({"branches": branches, "converts": [], "tags": [], "pullRequests": proposed})

    async def branch(self, request: web.Request) -> web.Response:
        repository, given = self._access.writable(request), await shapes.read_body(request)
        name = shapes.revision_in(request)
        if name in repository.refs:
            raise RefusedError(409, f"Reference already exists: refs/heads/{name}")
        repository.refs[name] = repository.at(given.get("startingPoint") or MAIN).oid
        return web.json_response({})

    async def preupload(self, request: web.Request) -> web.Response:
        repository = self._access.committable(request)
        files = repository.at(shapes.revision_in(request)).files
        ignored = repository.content(files[".gitignore"]).decode().split() if ".gitignore" in files else []
        answers = []
        for given in (await shapes.read_body(request))["files"]:
            path = given["path"]
            mode = repository.upload_mode(path, given["size"], shapes.decoded(given["sample"]))
            known = {"oid": files[path].etag} if path in files else {}
            ignore = any(fnmatch(path, pattern) for pattern in ignored)
            answers.append({"path": path, "uploadMode": mode, "shouldIgnore": ignore, **known})
        return web.json_response({"files": answers})

    async def commit(self, request: web.Request) -> web.Response:
        repository = self._access.committable(request)
        lines = [json.loads(line) for line in (await request.read()).splitlines() if line.strip()]
        if not lines or lines[0].get("key") != "header":
            raise RefusedError(400, "the first line of a commit must be its header")
        header = lines[0]["value"]
        changes = [shapes.read_change(line) for line in lines[1:]]
        title, user, parent = header["summary"], self._access.user(request), header.get("parentCommit")
        proposal: str | None = None
        if proposes(request):
            ref, oid = repository.propose(changes, title, user, parent)
            proposal = f"{self._access.url}/{repository.path}/discussions/{ref.rpartition('/')[2]}"
        else:
            oid = repository.commit(shapes.revision_in(request), changes, title, user, parent).oid
        commit_url = f"{self._access.url}/{repository.path}/commit/{oid}"
        return web.json_response(
            {"success": True, "commitOid": oid, "commitUrl": commit_url, "pullRequestUrl": proposal}
        )

    async def resolve(self, request: web.Request) -> web.Response:
        repository = self._access.readable(request)
        commit = repository.at(shapes.revision_in(request))
        path = request.match_info["path"]
        known = {"X-Repo-Commit": commit.oid}
        if path not in commit.files:
            raise RefusedError(404, "Entry not found", "EntryNotFound")
        entry = commit.files[path]
        if entry.sha256 is None:
            return shapes.send_file(request, repository.content(entry), known | {"ETag": f'"{entry.oid}"'})
        known |= {"X-Linked-Etag": f'"{entry.sha256}"', "X-Linked-Size": str(entry.size)}
        return web.Response(
            status=302, headers=known | {"Location": self._large_files.address(repository, entry.sha256)}
        )
