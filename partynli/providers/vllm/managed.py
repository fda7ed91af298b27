"""A vLLM server that is started for one model, shared by all its participants, and gone afterwards."""

from __future__ import annotations

from partynli.records import Participant


class ManagedServer:
    """The server of one model."""

    def __init__(self, participant: Participant) -> None:
        self._participant = participant
        self.key: str | None = None

    @property
    def is_running(self) -> bool:
        """Whether calls can be made."""
        return False

    async def start(self) -> str:
        """Start it; returns the address for calls."""
        return ""

    async def aclose(self) -> None:
        """Stop it."""
