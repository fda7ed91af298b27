"""What every client is told, and how it is called: `python CLIENT.py ask|count JOB.json`. Standard library only.

`ask` asks every prompt, and goes on where it was killed if the tool can; `count` prints how many answers the tool has
kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

KEY = "sk-not-a-key"
MODEL = "m"
RETRIES = 20
"""Where a tool lets one say; enough that no answer is given up under the limit."""


class Prompt(NamedTuple):
    """One prompt: its two messages."""

    uid: str
    system: str
    user: str

    @property
    def messages(self) -> list[dict[str, str]]:
        return [{"role": "system", "content": self.system}, {"role": "user", "content": self.user}]


class Job(NamedTuple):
    """What to ask, of whom, and where to keep the answers."""

    url: str
    items: str
    """JSON lines: uid, premise, hypothesis, system, user."""
    folder: str
    """Empty at first; holds what a killed client left."""
    in_flight: int
    rpm: float | None
    """The server's limit, for tools that can be told."""
    resumable: bool
    """Whether a cache that is off by default is to be used."""

    def prompts(self) -> list[Prompt]:
        rows = map(json.loads, Path(self.items).read_text().splitlines())
        return [Prompt(row["uid"], row["system"], row["user"]) for row in rows]

    @property
    def path(self) -> Path:
        return Path(self.folder)


def main(ask: Callable[[Job], object], count: Callable[[Job], int | None]) -> None:
    """Do what the command line says."""
    job = Job(**json.loads(Path(sys.argv[2]).read_text()))
    if sys.argv[1] == "ask":
        ask(job)
    else:
        print(count(job))
