"""What an answer, or a failure, means for its trial and its participant; the same for single calls and for batches."""

from __future__ import annotations

from collections.abc import Mapping

from partynli.errors import ProviderError
from partynli.judgments import reader_for
from partynli.records import Participant, Response, Task
from partynli.sampling.drift import Drift
from partynli.sampling.events import Notice, Stopped
from partynli.sampling.settings import Settings, Summary
from partynli.store import AttemptStatus

_HOPELESS = 3
"""Requests refused one after the other, with none answered before, after which a participant is stopped."""


class Verdicts:
    """Judges answers and failures, and stops participants.

    Parameters
    ----------
    task
        Says how answers are read.
    served
        Model and fingerprint of each participant's first answer, by its id.
    settings
        Who is told, and whether drift is allowed.
    summary
        Where stopped participants are written down.
    """

    def __init__(
        self, task: Task, served: Mapping[str, tuple[str | None, str | None]], settings: Settings, summary: Summary
    ) -> None:
        self._reader, _ = reader_for(task)
        self._allow_drift = settings.allow_drift
        self._tell = settings.on_event
        self._drift = Drift(served, self._tell)
        self._summary = summary
        self._answered: set[str] = set()
        self._refused: dict[str, int] = {}

    def of_answer(self, participant: Participant, response: Response) -> tuple[AttemptStatus, str | None]:
        """Status of an answer, and why it is rejected; another model's answer stops the participant."""
        self._answered.add(participant.id)
        drifted = None if self._allow_drift else self._drift.check(participant, response)
        if drifted:
            self.stop(participant, drifted)
        reason = self._why_rejected(participant, response)
        return ("drift" if drifted else "rejected" if reason else "valid"), reason

    def of_failure(self, participant: Participant, error: ProviderError) -> None:
        """Stop a participant that cannot be asked, or whose every request is refused."""
        if error.kind == "fatal_participant":
            self.stop(participant, str(error))
        elif error.kind == "bad_request":
            self._refused[participant.id] = self._refused.get(participant.id, 0) + 1
            if self._refused[participant.id] >= _HOPELESS and participant.id not in self._answered:
                self.stop(participant, str(error))

    def stop(self, participant: Participant, why: str) -> None:
        """Ask a participant nothing more; the others go on."""
        if participant.name not in self._summary.stopped:
            self._summary.stopped[participant.name] = why
            self._tell(Stopped(participant, why))

    def _why_rejected(self, participant: Participant, response: Response) -> str | None:
        try:
            rejection = self._reader.check(response)
        except Exception as error:  # whatever a reader stumbles over, the answer is paid for and must be stored
            self._tell(Notice(f"the reader failed on an answer of {participant.name}: {type(error).__name__}"))
            return "schema"
        return rejection.reason if rejection else None
