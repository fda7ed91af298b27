"""Is it still the same model that answers? What a server says of itself, held against the run's first answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from partynli.records import Participant, Response
from partynli.sampling.events import Event, Notice


class Drift:
    """Watches the served model and the fingerprint of every participant.

    Parameters
    ----------
    served
        Model and fingerprint of each participant's first answer, by its id, as far as the run holds answers.
    tell
        Told of what a person should know and what stops nothing.
    """

    def __init__(self, served: Mapping[str, tuple[str | None, str | None]], tell: Callable[[Event], None]) -> None:
        self._served = dict(served)
        self._told: set[str] = set()
        self._tell = tell

    def check(self, participant: Participant, response: Response) -> str | None:
        """Why an answer is another model's than the run's first ones, or None.

        A changed fingerprint is told and no more: some providers change it between calls of one model. That of a vLLM
        server is its version and its chat template, which change nothing by themselves.
        """
        if response.served_model is None:
            return None
        if participant.id not in self._served:
            self._served[participant.id] = (response.served_model, response.fingerprint)
            if not participant.synthetic and not same_model(participant.model, response.served_model):
                asked, answers = participant.model, response.served_model
                self._tell(Notice(f"{participant.name}: asked for {asked}, answered by {answers}"))
            return None
        model, fingerprint = self._served[participant.id]
        if participant.route == "vllm" and response.fingerprint != fingerprint:
            return _changed(str(response.fingerprint), str(fingerprint))
        if response.fingerprint != fingerprint and participant.id not in self._told:
            self._told.add(participant.id)
            self._tell(Notice(f"{participant.name}: the server's fingerprint changed during the run; it is stored"))
        if response.served_model == model:
            return None
        return _changed(repr(response.served_model), repr(model))


def _changed(now: str, before: str) -> str:
    return (
        f"{now} answers now, the run began with {before}; what it answered is kept apart. "
        "`partynli resume --allow-drift` takes both"
    )


def same_model(asked: str, served: str) -> bool:
    """Whether one name is the other with a provider's prefix or a date: a hint for people, not a verdict.

    >>> same_model("anthropic/claude-opus-4", "claude-opus-4-20250514"), same_model("gpt-4.1", "gpt-4.1-2025-04-14")
    (True, True)
    >>> same_model("grok-3-mini", "grok-4.3")
    False
    """
    names = [name.rpartition("/")[2].removesuffix("-latest").lower() for name in (asked, served)]
    return names[0] in names[1] or names[1] in names[0]
