"""Cells over the GPUs of a machine: one process each, and one cell at a time in each of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from partynli.errors import StoreError
from partynli.finetune.outcome import NAME
from partynli.finetune.study import Cell, folder_of
from partynli.providers.vllm.gpus import find_gpus


@dataclass(frozen=True)
class CellHeard:
    """What is told of a cell on its way."""

    cell: Cell
    state: str
    """``step``, ``done``, or ``failed``."""
    step: int = 0
    steps: int = 0
    why: str = ""


def run_cells(
    cells: Sequence[Cell],
    folder: Path,
    *,
    keeps_models: bool,
    checkpoint_s: float,
    heard: Callable[[CellHeard], None],
) -> int:
    """Train the cells that are not stored yet; the number of those that failed.

    Parameters
    ----------
    cells
        Those of a study.
    folder
        The table's.
    keeps_models
        Whether weights are kept, or only what came out.
    checkpoint_s
        Seconds between the checkpoints of a cell.
    heard
        Called from one thread at a time.
    """
    waiting = deque(cell for cell in cells if not (folder_of(cell, folder) / NAME).exists())
    if not waiting:
        return 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder} cannot be used: {error.strerror or error}") from None
    failed: list[Cell] = []
    lock = threading.Lock()

    def tell(news: CellHeard) -> None:
        with lock:
            if news.state == "failed":
                failed.append(news.cell)
            heard(news)

    gpus = find_gpus(os.environ)[: len(waiting)]
    workers = [_Worker(None if gpu.is_cpu else gpu.name, folder, keeps_models, checkpoint_s) for gpu in gpus]
    threads = [threading.Thread(target=worker.work, args=(waiting, tell), daemon=True) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)  # a wait without an end would not hear Ctrl-C
    finally:
        for worker in workers:
            worker.stop()
    return len(failed)


class _Worker:
    """A process on one GPU, or on the processor."""

    def __init__(self, gpu: str | None, folder: Path, keeps_models: bool, checkpoint_s: float) -> None:
        self._environ = {**os.environ, **({} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu})}
        self._folder = folder
        self._log = folder / f"worker-{'cpu' if gpu is None else gpu}.log"
        self._asked = {"keeps_models": keeps_models, "checkpoint_s": checkpoint_s}
        self._process: subprocess.Popen[str] | None = None

    def work(self, waiting: deque[Cell], tell: Callable[[CellHeard], None]) -> None:
        """Train cells until none is left."""
        while True:
            try:
                cell = waiting.popleft()
            except IndexError:
                return
            tell(self._train(cell, tell))

    def _train(self, cell: Cell, tell: Callable[[CellHeard], None]) -> CellHeard:
        try:
            process = self._running()
        except OSError as error:
            return CellHeard(cell, "failed", why=f"its process cannot be started: {error}")
        assert process.stdin is not None
        assert process.stdout is not None
        asked = {**self._asked, "cell": cell.to_json(), "folder": str(folder_of(cell, self._folder))}
        try:
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                news = json.loads(line)
                if "step" in news:
                    tell(CellHeard(cell, "step", news["step"], news["steps"]))
                else:
                    return CellHeard(cell, "failed" if "failed" in news else "done", why=news.get("failed", ""))
        except BrokenPipeError:
            pass
        code = process.wait()
        return CellHeard(cell, "failed", why=f"its process ended with {code}; see {self._log}")

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "partynli.finetune.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=self._environ,
                    text=True,
                    start_new_session=True,  # Ctrl-C is for the table, which then ends its workers
                )
        return self._process

    def stop(self) -> None:
        """End the process; a cell that it was at goes on from its checkpoint the next time."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
