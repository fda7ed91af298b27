"""Which server runs on which GPU: models wait in a queue until there is room for them."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from partynli.providers.vllm.gpus import GPU, find_gpus


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server runs."""

    gpus: tuple[GPU, ...]
    share: float
    """Of each GPU's memory."""


class Room:
    """Memory shares of some GPUs, given out in the order in which they are asked for.

    While a server starts it measures the memory that is free, so no two start on one GPU at the same time.
    """

    def __init__(self, gpus: Sequence[GPU]) -> None:
        self.gpus = gpus
        self._free = dict.fromkeys(gpus, 1.0)
        self._starting: set[GPU] = set()
        self._queue: deque[tuple[int, float, asyncio.Future[Place]]] = deque()

    async def take(self, n: int, share: float) -> Place:
        """Wait for a share of n GPUs; its holder says when the server has `started`, and gives the place back."""
        place: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        self._queue.append((n, share, place))
        self._give_out()
        try:
            return await place
        except asyncio.CancelledError:
            if place.cancelled():
                self._give_out()  # who waited behind may fit
            else:
                self.give_back(place.result())
            raise

    def started(self, place: Place) -> None:
        """The server holds its memory, or is given up."""
        self._starting.difference_update(place.gpus)
        self._give_out()

    def give_back(self, place: Place) -> None:
        """The server is gone."""
        for gpu in place.gpus:
            self._free[gpu] += place.share
        self.started(place)

    def _give_out(self) -> None:
        while self._queue:
            n, share, place = self._queue[0]
            if not place.done():
                fit = [gpu for gpu in self.gpus if gpu not in self._starting and self._free[gpu] > share - 1e-9]
                if len(fit) < n:
                    return
                # the fullest first, so that a model that needs whole GPUs finds some
                chosen = tuple(sorted(fit, key=lambda gpu: self._free[gpu])[:n])
                for gpu in chosen:
                    self._free[gpu] -= share
                self._starting.update(chosen)
                place.set_result(Place(chosen, share))
            self._queue.popleft()


@cache
def room_here() -> Room:
    """The room of this machine, shared by all that runs in this process."""
    return Room(find_gpus(os.environ))
