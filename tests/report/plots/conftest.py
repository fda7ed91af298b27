"""A small run with everything that figures show, made once: a mix, two sweeps, sizes, people, explanations."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas

from partynli.aggregate import Answers, load_answers
from partynli.analysis.groups import Group
from partynli.items import Dataset, ItemSource
from partynli.metrics import convention
from partynli.prompts import load_task
from partynli.records import Annotation, Item, Participant, Task
from partynli.report.plots.catalogue import CATALOGUE
from partynli.report.plots.subject import Subject
from partynli.sampling.plan import Plan
from partynli.store import JudgmentRow, Run

LABELS = ("true", "either", "false")
DOLLARS = "$x_{1}^{2}$"
UIDS = [f"item{k:03}" for k in range(104)]
WORDS = ["the", "claim", "rain", "wet", "may", "surely", "holds", "text", "says", "nothing", "of", "it", "that"]
SHOWN = UIDS[:24]
"""Items of the subject's scope; workers are busy or not by all items."""


@pytest.fixture(scope="session")
def task() -> Task:
    return load_task("livenli", Path(__file__).parents[3] / "prompts")


def sentence(rng: np.random.Generator, n: int) -> str:
    return " ".join(rng.choice(WORDS, size=n)) + "."


def participants() -> dict[str, list[Participant]]:
    """By group. Those of the mix have three trials, `steady` never changes its mind; the others have one."""

    def made(name: str, model: str = "", size: float | None = None, **params: float) -> Participant:
        return Participant(name, "openai", model or name, params, size_b=size, provider="loop")

    return {
        "mix": [made(name) for name in (DOLLARS, "steady", "_fickle", "third")],
        "temperature:m": [made(f"m@temperature={t}", "m", temperature=t) for t in (1.0, 0.5, 0.1)],
        "top_p:m": [made(f"m@top_p={p}", "m", top_p=p) for p in (0.9, 0.2)],
        "size:f": [made(f"f-{size:g}b", size=size) for size in (70.0, 8.0, 0.6)],
    }


@pytest.fixture(scope="session")
def run_path(tmp_path_factory: pytest.TempPathFactory, task: Task) -> Path:
    rng = np.random.default_rng(0)
    groups = participants()
    everybody = [one for members in groups.values() for one in members]
    trials = {one.id: 3 if one in groups["mix"] else 1 for one in everybody}
    items = [Item(uid, {"premise": f"{uid} is in the rain.", "hypothesis": "It is wet $now$."}) for uid in UIDS]
    members = {name: tuple(one.id for one in some) for name, some in groups.items()}
    plan = Plan(task, tuple(everybody), trials, items, len(items), members, item_source="test")
    manifest = {"run": "small", "synthetic": False, "plan": plan.describe(), "task": asdict(task)}
    path = tmp_path_factory.mktemp("runs") / "small"
    Run.create(path, manifest, everybody, items, members)
    rows = []
    for number, one in enumerate(everybody):
        for k, uid in enumerate(UIDS):
            for trial in range(1, trials[one.id] + 1):
                chosen = LABELS[k % 3] if one.name == "steady" else str(rng.choice(LABELS))
                label = "error" if (number, k, trial) == (0, 0, 1) else chosen
                text = None if label == "error" else sentence(rng, 5 + number)
                key = f"{number}/{k}/{trial}"
                rows.append(JudgmentRow(key, one.id, uid, trial, label, label, text, None, None, None, "import"))
    with Run.sampling(path) as run:
        run.add_judgments(rows, 0)
    return path


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """Six workers of all items but one each, and one who saw few."""
    rng = np.random.default_rng(1)
    seen = {f"w{k}": [*UIDS[:k], *UIDS[k + 1 :]] for k in (10, 2, 3, 4, 5, 6)} | {"w7": UIDS[:2]}
    annotations = tuple(
        Annotation(uid, worker, label, label, sentence(rng, 9))
        for worker, uids in seen.items()
        for uid in uids
        for label in [str(rng.choice(LABELS, p=(0.5, 0.3, 0.2)))]
    )
    counts = {uid: tuple(sum(a.class_simple == x for a in annotations if a.uid == uid) for x in LABELS) for uid in UIDS}
    crowd = {
        uid: tuple(row) for uid, row in zip(UIDS, rng.multinomial(100, (0.4, 0.4, 0.2), 104).tolist(), strict=True)
    }
    voted = {uid: votes for uid, votes in counts.items() if sum(votes)}
    return Dataset("people", ItemSource.of([], "people"), annotations, {"livenli": voted, "chaosnli": crowd})


@contextmanager
def embedding_server() -> Iterator[str]:
    """A server that speaks OpenAI's embeddings protocol: sums of a vector for each word."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            rows = [
                {"object": "embedding", "index": k, "embedding": vector(text, asked["model"])}
                for k, text in enumerate(asked["input"])
            ]
            body = json.dumps({"object": "list", "data": rows, "model": asked["model"]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    def vector(text: str, model: str) -> list[float]:
        words = [np.random.default_rng(zlib.crc32(f"{model} {word}".encode())).normal(size=8) for word in text.split()]
        return np.round(np.sum(words, axis=0), 4).tolist()  # type: ignore[no-any-return]

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def embeddings() -> Iterator[str]:
    with embedding_server() as url:
        yield url


@pytest.fixture(scope="session")
def answers(run_path: Path, task: Task) -> Answers:
    with Run.open(run_path) as run:
        return load_answers(run, task).on(SHOWN)


@pytest.fixture(scope="session")
def subject(run_path: Path, answers: Answers, dataset: Dataset, embeddings: str) -> Subject:
    members = tuple(answers.names.index(one.name) for one in participants()["mix"])
    return Subject(
        run="small",
        scope="all122",
        answers=answers,
        group=Group("mix", "mix", members),
        dataset=dataset,
        convention=convention("kulmizev2026"),
        tallies={},
        path=run_path,
        embedder_names=(f"{embeddings}#one", f"{embeddings}#two"),
        item="item007",
    )


@pytest.fixture(scope="session")
def canvas(subject: Subject) -> Callable[[str], Canvas]:
    """Draw a figure of the run, once."""
    drawn: dict[str, Canvas] = {}

    def draw(name: str) -> Canvas:
        if name not in drawn:
            drawn[name] = CATALOGUE[name].draw(subject)
        return drawn[name]

    return draw


@pytest.fixture(scope="session")
def alone(subject: Subject) -> Subject:
    """One participant on three items, without people and experiments."""
    few = replace(subject.answers.on(UIDS[:3]), groups={})
    position = few.names.index("_fickle")
    return replace(subject, answers=few, group=Group("_fickle", "participant", (position,)), dataset=None, item=None)
