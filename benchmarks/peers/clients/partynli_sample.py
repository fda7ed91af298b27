"""`partynli sample`: one participant, one trial an item; the same command goes on with a run that was killed."""

import json
import os
import sqlite3
import sys
from contextlib import closing

from job import MODEL, Job, main


def ask(job: Job) -> None:
    provider = {"route": "openai", "api_base": job.url, "concurrency": job.in_flight, "rpm": job.rpm}
    registry = {
        "version": 1,
        "providers": {"bench": {key: value for key, value in provider.items() if value is not None}},
        "participants": {"m": {"provider": "bench", "model": MODEL, "family": "none"}},
    }
    file = job.path / "registry.yaml"
    file.write_text(json.dumps(registry))  # JSON is YAML
    command = ["sample", "--participant", "m", "--trials", "1", "--items", job.items, "--run", "bench", "--yes"]
    places = ["--registry", str(file), "--runs", job.folder]
    os.execv(sys.executable, [sys.executable, "-m", "partynli", *command, *places])


def count(job: Job) -> int | None:
    with closing(sqlite3.connect(job.path / "bench" / "run.sqlite")) as db:
        return db.execute("SELECT count(DISTINCT trial_key) FROM attempt WHERE status = 'valid'").fetchone()[0]


if __name__ == "__main__":
    main(ask, count)
