"""A process that trains cells for a queue: a cell comes in as a line of JSON, what becomes of it goes out as lines.

It ends with the process that started it, whichever way that ends: its input is closed then.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from pathlib import Path
from typing import IO, Any

from partynli.errors import PartyNLIError
from partynli.finetune.extra import training
from partynli.finetune.study import Cell


def main() -> None:
    """Train what comes in until the input ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a library that prints, in C too, must not get between the lines
    cells: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(cells,), daemon=True).start()
    while True:
        _train(json.loads(cells.get()), out)


def _read(cells: queue.Queue[str]) -> None:
    for line in sys.stdin:
        cells.put(line)
    os._exit(0)  # nobody waits for the result; checkpoints are whole at any moment


def _train(asked: dict[str, Any], out: IO[str]) -> None:
    cell = Cell.from_json(asked["cell"])
    try:
        training().run(
            cell.job(),
            Path(asked["folder"]),
            keeps_model=asked["keeps_models"],
            checkpoint_s=asked["checkpoint_s"],
            heard=lambda heard: _say(out, {"step": heard.step, "steps": heard.steps}),
        )
        _say(out, {"done": True})
    except PartyNLIError as error:
        _say(out, {"failed": str(error)})
    except Exception as error:  # a cell that fails must not take the others with it
        _say(out, {"failed": " ".join(f"{type(error).__name__}: {error}".split())[:300]})


def _say(out: IO[str], what: dict[str, Any]) -> None:
    out.write(json.dumps(what) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
