"""The providers that a plan's participants are reached through, one for each endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable, Mapping

from partynli.errors import InputError, ProviderError
from partynli.providers import Provider, endpoint_of, provider_for
from partynli.records import Participant


class Endpoints:
    """Opens, finds and closes providers.

    Parameters
    ----------
    participants
        Those that are asked.
    environ
        Where keys are read from.
    """

    def __init__(self, participants: Iterable[Participant], environ: Mapping[str, str]) -> None:
        self._providers: dict[Hashable, Provider] = {}
        self._of: dict[str, Provider] = {}
        for one in participants:
            endpoint = endpoint_of(one)
            if endpoint not in self._providers:
                self._providers[endpoint] = provider_for(one, environ)
            self._of[one.id] = self._providers[endpoint]

    def __getitem__(self, participant: Participant) -> Provider:
        return self._of[participant.id]

    def server_for(self, participants: Iterable[Participant]) -> Provider | None:
        """The server that is to be started for the participants of a lane; None where there is nothing to start."""
        provider = next((self._of[one.id] for one in participants if one.id in self._of), None)
        return provider if provider is not None and provider.serves else None

    async def aopen(self) -> None:
        """Open all, and see that something answers there: before anything is sent, and before any pace is kept."""
        await asyncio.gather(*map(_open, self._providers.values()))

    async def aclose(self) -> None:
        """Close all."""
        await asyncio.gather(*(provider.aclose() for provider in self._providers.values()), return_exceptions=True)


async def _open(provider: Provider) -> None:
    await provider.aopen()
    try:
        await provider.reach()
    except ProviderError as error:
        raise InputError(f"{error}; nothing was sent. Start the server, or mend api_base in the registry") from None
