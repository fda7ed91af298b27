"""What is stored of a call."""

from __future__ import annotations

import time
from collections.abc import Iterable

from partynli.errors import ProviderError
from partynli.hashing import canonical_json, text_hash
from partynli.records import Participant, Request, Response, Trial
from partynli.sampling.budget import cost_of
from partynli.store import Attempt, AttemptStatus, storable

_PROMPTS = 4096


def answered_row(
    trial: Trial,
    n: int,
    request: Request,
    body: str,
    response: Response,
    status: AttemptStatus,
    reason: str | None,
    latency_s: float,
) -> Attempt:
    """The row of a call that was answered. `body` is the hash of the request without its messages."""
    return Attempt(
        trial_key=trial.key,
        n=n,
        participant=trial.participant.id,
        item=trial.item.uid,
        prompt=trial.prompt.hash,
        trial=trial.number,
        status=status,
        reason=reason,
        body=body,
        seed=request.seed,
        response=response.raw,
        served_model=response.served_model,
        fingerprint=response.fingerprint,
        finish_reason=response.finish_reason,
        tokens_in=response.usage.tokens_in,
        tokens_out=response.usage.tokens_out,
        cost=cost_of(trial.participant, response.usage),
        latency_s=latency_s,
        at=time.time(),
    )


def failed_row(trial: Trial, n: int, request: Request, body: str, error: ProviderError) -> Attempt:
    """The row of a call that got no answer, however often it was tried."""
    unanswered = Response("", "", None, storable(error.raw or ""))
    row = answered_row(trial, n, request, body, unanswered, "failed", f"{error.kind}: {storable(str(error))}", 0.0)
    return row._replace(response=unanswered.raw or None, cost=None, latency_s=None)


class NewBodies:
    """Requests and prompts that a run may not hold yet.

    Of prompts, the last few thousand are remembered; one that is forgotten is offered to the store again, which ignores
    it.

    Parameters
    ----------
    participants
        Those who are asked.
    """

    def __init__(self, participants: Iterable[Participant]) -> None:
        self._requests = {one.id: request_body(one) for one in participants}
        self._unsent = set(self._requests.values())
        self._prompts: dict[str, None] = {}

    def request(self, participant: Participant) -> str:
        """Hash of what a participant is sent besides messages and seed."""
        return self._requests[participant.id][0]

    def of(self, trial: Trial) -> tuple[tuple[str, str], ...]:
        """Hash and JSON of what a trial brings that no trial before it did."""
        bodies = []
        prompt = trial.prompt.hash
        if prompt not in self._prompts:
            self._prompts[prompt] = None
            if len(self._prompts) > _PROMPTS:
                del self._prompts[next(iter(self._prompts))]
            bodies.append((prompt, trial.prompt.json))
        if (body := self._requests[trial.participant.id]) in self._unsent:
            self._unsent.discard(body)
            bodies.append(body)
        return tuple(bodies)


def request_body(participant: Participant) -> tuple[str, str]:
    """Hash and JSON of what a participant is sent besides messages and seed; stored once, as every prompt is."""
    text = canonical_json({"model": participant.model, **participant.params})
    return text_hash(text), text
