"""A run that waits says so where nobody sees the live table: in a file, or under `nohup`."""

from __future__ import annotations

from typing import Any

from partynli.cli.progress import Progress
from partynli.sampling.events import Retrying, Stored


def test_a_long_wait_is_told_once(study: Any, capsys: Any) -> None:
    one = study.participant("http://127.0.0.1:9/v1")
    with Progress(study.plan([one]), {}) as progress:
        progress.heard(Retrying(one, "HTTP 503", 2.0))
        progress.heard(Stored(one, "valid", None, 0.1, again=False))
        for _ in range(3):
            progress.heard(Retrying(one, "HTTP 429: come back tomorrow", 30_000.0))
        assert capsys.readouterr().out == "m waits 8 h 20 min: HTTP 429: come back tomorrow\n"
        progress.heard(Stored(one, "valid", None, 0.1, again=False))
        progress.heard(Retrying(one, "HTTP 429", 60.0))
        assert capsys.readouterr().out == "m waits 1 min 0 s: HTTP 429\n"
