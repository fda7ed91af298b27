"""Who may do what with which repository of the loopback hub."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from partynli.testing.hub.repository import Kind, RefusedError, Repository

HOST = "127.0.0.1"
_MISSING_REPOSITORY = "Repository not found"


class Access:
    """The repositories, and the tokens that open them.

    Parameters
    ----------
    tokens
        Token to the user whom it belongs to. A user writes into the namespace of the same name only, and reads what is
        there and what is public.
    """

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self.held: dict[Kind, dict[str, Repository]] = {"dataset": {}, "model": {}}
        """By what they hold: a dataset and a model may have the same name."""
        self.port = 0
        self._tokens = tokens

    @property
    def url(self) -> str:
        """Address of the hub."""
        return f"http://{HOST}:{self.port}"

    def user(self, request: web.Request) -> str:
        """Whose token a request brings."""
        user = self._known_user(request)
        if user is None:
            raise RefusedError(401, "Invalid username or password.")
        return user

    def _known_user(self, request: web.Request) -> str | None:
        given = request.headers.get("Authorization")
        if given is None:
            return None
        user = self._tokens.get(given.removeprefix("Bearer "))
        if user is None:
            raise RefusedError(401, "Invalid credentials in Authorization header")
        return user

    def repository(self, request: web.Request) -> Repository:
        """The repository that a request's path names, whoever asks."""
        repository = self._find(request)
        if repository is None:
            raise RefusedError(404, _MISSING_REPOSITORY, "RepoNotFound")
        return repository

    def _find(self, request: web.Request) -> Repository | None:
        named = request.match_info
        kind: Kind = "dataset" if named["kind"].startswith("datasets") else "model"
        return self.held[kind].get(f"{named['owner']}/{named['name']}")

    def readable(self, request: web.Request) -> Repository:
        """The same, if its sender may read it."""
        user = self._known_user(request)
        repository = self._find(request)
        if repository is None or (repository.private and user != repository.owner):
            # a private repository and none at all look the same to others
            raise RefusedError(401 if user is None else 404, _MISSING_REPOSITORY, "RepoNotFound")
        return repository

    def writable(self, request: web.Request) -> Repository:
        """The same, if its sender may write into it."""
        repository, user = self.readable(request), self.user(request)
        if user != repository.owner:
            raise RefusedError(403, f"You don't have write access to {repository.id}")
        return repository

    def committable(self, request: web.Request) -> Repository:
        """The same, if its sender may commit to it; a pull request may be opened by everyone who can read."""
        if proposes(request):
            self.user(request)
            return self.readable(request)
        return self.writable(request)


def proposes(request: web.Request) -> bool:
    """Whether a commit is to be a pull request."""
    return request.query.get("create_pr") == "1"
