"""The way to the Hub: one client, one layer of retries, errors of one line, and a token that nobody is told."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from logging import ERROR
from typing import Any, Literal, TypeVar

import httpx
from huggingface_hub import HfApi, constants, get_session, get_token, hf_hub_url, logging, set_client_factory
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import (
    _http,
    are_progress_bars_disabled,
    build_hf_headers,
    disable_progress_bars,
    enable_progress_bars,
    hf_raise_for_status,
)

from partynli import __version__
from partynli.errors import InputError, PartyNLIError
from partynli.providers.base import retry_after
from partynli.redaction import redact

Kind = Literal["dataset", "model"]
"""What a repository holds."""
_Result = TypeVar("_Result")
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_NOTHING_DONE = frozenset({429, 503})
"""Of these, the ones that say that the request was not even looked at."""
_LONGEST_MESSAGE = 200
_TOKEN_LIKE = re.compile(r"\bhf_\w{4,}|\bBearer \S+")


@dataclass(frozen=True)
class Patience:
    """How long a busy or unreachable Hub is waited for."""

    tries: int = 4
    """Times that each step is tried, the first included."""
    first_wait_s: float = 1.0
    """Seconds before the second try, doubled for each one after that; unless the Hub says how long."""
    longest_wait_s: float = 120.0
    """The Hub may ask for so many seconds; if for more, that is said and nothing is waited for."""
    timeout_s: float = 120.0
    """Seconds without a byte after which a connection is given up."""


class StaleError(PartyNLIError):
    """The branch is not where it was when it was looked at."""


class _PassingError(Exception):
    """A failure that may pass. Its text holds no secret."""

    def __init__(self, text: str, *, wait_s: float | None = None, uncertain: bool = False) -> None:
        super().__init__(text)
        self.wait_s = wait_s
        """Seconds that the Hub asks to wait."""
        self.uncertain = uncertain
        """Whether a commit may have been made all the same."""


class _Client(httpx.Client):
    """Says what may pass in a way that no other layer catches.

    `huggingface_hub` itself retries some calls and not others, waits however long a server asks, and never gives up on
    a server that has gone silent.
    """

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send a request, and raise where the same one may succeed later."""
        commits = "/commit/" in request.url.path
        request.extensions["timeout"] = self.timeout.as_dict()  # some calls come with none
        try:
            response = super().send(request, **options)
        except httpx.TransportError as error:
            raise _PassingError(_lost(request.url.host, error), uncertain=commits) from None
        status = response.status_code
        if status not in _PASSING and not (commits and status == 409):
            return response
        response.close()
        said = "somebody else is committing" if status == 409 else "too many requests" if status == 429 else "it failed"
        raise _PassingError(
            f"{request.url.host}: {said} (HTTP {status})",
            wait_s=retry_after(response.headers),
            uncertain=commits and status not in _NOTHING_DONE,
        )


@dataclass(frozen=True)
class Connection:
    """A Hub and who asks it."""

    endpoint: str
    token: str | None = field(repr=False)
    patience: Patience
    kind: Kind = "dataset"
    """What the repositories hold that it is asked for."""

    @property
    def api(self) -> HfApi:
        """The client; without a token it brings none."""
        return HfApi(
            endpoint=self.endpoint, token=self.token or False, library_name="partynli", library_version=__version__
        )

    @contextmanager
    def file(self, repo_id: str, commit: str, name: str) -> Iterator[httpx.Response]:
        """A file of a repository as a response whose body is yet to be read; the token goes to the Hub only."""
        url = hf_hub_url(repo_id, name, repo_type=self.kind, revision=commit, endpoint=self.endpoint)
        headers = build_hf_headers(token=self.token or False, library_name="partynli", library_version=__version__)
        with get_session().stream("GET", url, headers=headers) as response:
            hf_raise_for_status(response)
            yield response

    def attempt(self, work: Callable[[], _Result], about: str, *, repeat_uncertain: bool = True) -> _Result:
        """Do something at the Hub, again where that may help.

        Parameters
        ----------
        work
            What to do; it may be called several times.
        about
            What it is about, for an error: the repository, say.
        repeat_uncertain
            Whether to try again where the failed try may have been taken all the same.

        Raises
        ------
        InputError
            The Hub refuses: the token, the name, the right to do so.
        StaleError
            The branch has moved on.
        PartyNLIError
            It failed too often, or in a way that was not foreseen.
        """
        for number in range(1, self.patience.tries + 1):
            problem: PartyNLIError
            try:
                return work()
            except PartyNLIError:
                raise
            except Exception as error:
                reason = _reason(error)
                passing = reason if isinstance(reason, _PassingError) else None
                problem = self._said(reason, about) if passing is None else _given_up(passing, about, number)
            # raised out here, so that it does not hold on to an error with the request, and the token, in it
            if passing is None or number == self.patience.tries:
                raise problem
            if passing.uncertain and not repeat_uncertain:
                raise PartyNLIError(
                    f"{about}: {passing}; it may have been done all the same: look there, then try again"
                )
            wait = self.patience.first_wait_s * 2 ** (number - 1) if passing.wait_s is None else passing.wait_s
            if wait > self.patience.longest_wait_s:
                raise PartyNLIError(f"{about}: {passing}; it asks to come back in {wait:,.0f} s")
            time.sleep(wait)
        raise AssertionError("the last try returns or raises")

    def _said(self, error: Exception, about: str) -> PartyNLIError:
        status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
        if isinstance(error, RevisionNotFoundError):
            return InputError(f"{about}: there is no such branch or commit")
        if isinstance(error, EntryNotFoundError):
            return InputError(f"{about}: there is no such file")
        # the storage behind the Hub is asked without a token, and has reasons of its own
        with_token = isinstance(error, HfHubHTTPError) and "authorization" in error.response.request.headers
        if isinstance(error, RepositoryNotFoundError) or (status == 404 and with_token):
            seen = "this token may not see it" if self.token else f"it is private ({HOW_TO_LOG_IN})"
            return InputError(f"{about}: there is no such {self.kind} at {self.endpoint}, or {seen}")
        if status == 401 and with_token:
            return InputError(f"{about}: the Hub does not take the token (HTTP 401); {HOW_TO_LOG_IN}")
        if status == 403 and with_token:
            return InputError(
                f"{about}: the token has no right to do this (HTTP 403: {self._short(error)}); it needs to write there"
            )
        if status == 412:
            return StaleError(
                f"{about}: somebody committed in the meantime, and nothing was changed; look at what they did, "
                "then run the same command again"
            )
        return PartyNLIError(f"{about}: {self._short(error)}")

    def _short(self, error: Exception) -> str:
        told = getattr(error, "server_message", None) or str(error) or type(error).__name__
        line = _TOKEN_LIKE.sub("***", redact(" ".join(str(told).split()), self.token))
        return line if len(line) <= _LONGEST_MESSAGE else line[: _LONGEST_MESSAGE - 3] + "..."


HOW_TO_LOG_IN = "set HF_TOKEN, or run `hf auth login`"


@contextmanager
def connected(patience: Patience, *, kind: Kind = "dataset", needed_for: str | None = None) -> Iterator[Connection]:
    """A connection to the Hub that ``HF_ENDPOINT`` names, else the public one.

    The token is that of ``HF_TOKEN``, else that of `huggingface_hub`'s own login. Nothing is reported about the use of
    the Hub, and `huggingface_hub` prints nothing.

    Parameters
    ----------
    kind
        What the repositories hold.
    needed_for
        What a token is needed for, or None where it goes without.

    Raises
    ------
    InputError
        There is no token and one is needed, or ``HF_HUB_OFFLINE`` forbids to ask.
    """
    if constants.HF_HUB_OFFLINE:
        raise InputError("HF_HUB_OFFLINE is set: unset it to reach the Hub")
    token = find_token()
    if token is None and needed_for is not None:
        raise InputError(f"{needed_for} needs a token of the Hugging Face Hub: {HOW_TO_LOG_IN}")
    endpoint = os.environ.get("HF_ENDPOINT") or constants.ENDPOINT
    # the client has no way to give these to a call, only to a process; they are put back
    before = (_http._GLOBAL_CLIENT_FACTORY, constants.HF_HUB_DISABLE_TELEMETRY, logging.get_verbosity())
    showed_progress = not are_progress_bars_disabled()
    try:
        set_client_factory(partial(_Client, follow_redirects=True, timeout=patience.timeout_s))
        constants.HF_HUB_DISABLE_TELEMETRY = True
        logging.set_verbosity(ERROR)
        disable_progress_bars()
        yield Connection(endpoint.rstrip("/"), token, patience, kind)
    finally:
        set_client_factory(before[0])
        constants.HF_HUB_DISABLE_TELEMETRY = before[1]
        logging.set_verbosity(before[2])
        if showed_progress:
            enable_progress_bars()


def find_token() -> str | None:
    """The token of ``HF_TOKEN`` or of `huggingface_hub`'s own login; None where there is none."""
    try:
        return get_token() or None
    except Exception as error:  # a login that has run out is renewed here, and that can fail in many ways
        kind = type(error).__name__
    raise InputError(f"the login at the Hub cannot be read ({kind}); {HOW_TO_LOG_IN}")


def _reason(error: Exception) -> Exception:
    """The error that says most, where the client has wrapped it in another one."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(
            found, _PassingError | HfHubHTTPError | ValueError
        ):  # of the latter, the client says what is wrong
            return found
        if isinstance(found, httpx.TransportError):  # while a body was read
            return _PassingError(_lost("the Hub", found))
        found = found.__cause__ or found.__context__
    return error


def _given_up(passing: _PassingError, about: str, tries: int) -> PartyNLIError:
    times = "once" if tries == 1 else f"{tries} times"
    return PartyNLIError(f"{about}: {passing}, tried {times}; try again later")


def _lost(host: str, error: httpx.TransportError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return f"{host} does not answer"
    if isinstance(error, httpx.ConnectError):
        return f"{host} cannot be reached"
    return f"the connection to {host} broke"
