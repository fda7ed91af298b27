"""``partynli reasons`` as a person runs it: judges that are good, bad, unreadable or cut off, and no judge."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from partynli.cli import cli
from partynli.errors import PartyNLIError
from partynli.items.litex import FILES as LITEX
from partynli.items.livenli import FILES as LIVENLI
from partynli.labels import REASONS
from partynli.testing import Behaviour, LoopbackProcess

DATA = Path(os.environ.get("PARTYNLI_DATA") or Path(__file__).parents[3] / "shared" / "data")
SAMPLE = 60
NASTY = "=cmd()|<script>x</script>\x1b[31m"

pytestmark = pytest.mark.skipif(
    not all((DATA / files[0].path).is_file() for files in (LITEX, LIVENLI)), reason="LiveNLI and LiTEx are not there"
)


@pytest.fixture
def partynli(partynli_here: Any) -> Any:
    return partynli_here


class Judge(ThreadingHTTPServer):
    """A server that knows LiTEx by heart, and errs in a share of the explanations."""

    daemon_threads = True

    def __init__(self, errs: float = 0.1, latency_s: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        rows = map(json.loads, (DATA / LITEX[0].path).read_text("utf-8").splitlines())
        self.known = {" ".join(row["explanation"].split()): row["explanation_category"] for row in rows}
        self.errs = errs
        self.latency_s = latency_s
        self.calls: Counter[str] = Counter()
        self.order: list[str] = []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def answer(self, prompt: str) -> str:
        text = " ".join(prompt.partition("\n[EXPLANATION] ")[2].split())
        number = int.from_bytes(sha256(text.encode()).digest()[:4]) / 2**32
        known = self.known.get(text) or [REASONS[int(8 * number)]]
        label = REASONS[(REASONS.index(known[0]) + 1) % 8] if number < self.errs else known[0]
        return json.dumps({"reason": NASTY, "category": label})


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Judge

    def do_GET(self) -> None:
        self.reply({"data": []})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        prompt = asked["messages"][-1]["content"]
        time.sleep(self.server.latency_s)
        self.server.calls[prompt] += 1
        self.server.order.append(prompt)
        message = {"role": "assistant", "content": self.server.answer(prompt)}
        usage = {"prompt_tokens": 700, "completion_tokens": 20}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        self.reply({"id": "x", "model": asked["model"], "choices": choices, "usage": usage})

    def reply(self, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def judges() -> Iterator[Callable[..., Judge]]:
    made: list[Judge] = []

    def make(**given: Any) -> Judge:
        made.append(Judge(**given))
        return made[-1]

    yield make
    for one in made:
        one.shutdown()
        one.server_close()


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {"PARTYNLI_DATA": str(DATA)}


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the simulated participants on LiveNLI's items."""
    folder = tmp_path_factory.mktemp("sampled")
    command = [sys.executable, "-m", "partynli", "sample", "--mix", "demo", "--items", "livenli", "--trials", "1"]
    environ = os.environ | {"PARTYNLI_DATA": str(DATA)}
    subprocess.run([*command, "--run", "study"], cwd=folder, env=environ, check=True, capture_output=True, timeout=60)
    return folder / "runs" / "study"


@pytest.fixture
def study(sampled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sampled, tmp_path / "runs" / "study"))


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    return line


def table(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text("utf-8").splitlines(keepends=True)))


def asked(run: Path) -> list[str]:
    db = sqlite3.connect(run / "run.sqlite")
    try:
        return [key for (key,) in db.execute("SELECT trial_key FROM attempt")]
    finally:
        db.close()


def test_a_good_judge(partynli: Any, registry: Any, judges: Any, study: Path, tmp_path: Path) -> None:
    server = judges(errs=0.1)
    registry(server.url, ["judge"])
    args = ("reasons", "study", "--judge", "judge", "--validate", str(SAMPLE))
    done = partynli(*args)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ours, and no reproduction" in done.stdout
    verdict = next(line for line in done.stdout.splitlines() if line.startswith("validated: kappa 0."))
    assert f"on {SAMPLE} explanations" in verdict
    assert done.stdout.index("Validation against") < done.stdout.index("Kinds of reasoning, and labels")
    assert "total" in done.stdout
    assert set(server.calls.values()) == {1}, "nothing is asked twice"
    assert len(server.calls) == len(asked(tmp_path / "runs" / "study-reasons-judge"))

    server.shutdown()  # what is complete needs no server: the same figures, as JSON
    again = partynli(*args, "--json")
    assert again.returncode == 0, again.stderr
    report = json.loads(again.stdout, parse_constant=pytest.fail)
    assert report["verdict"] in done.stdout
    assert report["validation"]["n"] == SAMPLE
    assert 0.6 < report["validation"]["ci"][0] < report["validation"]["kappa"] < 1
    assert sum(map(sum, report["validation"]["confusion"])) == SAMPLE
    assert Counter(one["why"] for one in report["items"]) == {"highest JS": 3, "lowest JS": 3, "random": 6}
    assert report["synthetic"] is True
    rows = table(study / "reasons.csv")
    for one in report["items"]:
        kinds = {
            by: {row["category"] for row in rows if row["item"] == one["uid"] and row["by"] == by}
            for by in ("human", "model")
        }
        assert set(one["shared"]) == kinds["human"] & kinds["model"]
        assert set(one["only_human"]) == kinds["human"] - kinds["model"]
        assert set(one["only_model"]) == kinds["model"] - kinds["human"]
        assert one["human"]["n_coded"] == one["human"]["n_explanations"] >= 10
        assert sum(one["model"]["labels"]) == 10
    text = (study / "reasons.md").read_text()
    assert report["verdict"].replace("[", r"\[").replace("]", r"\]") in text
    assert "SYNTHETIC" in text


def test_a_judge_that_is_no_good_is_not_paid_for_the_rest(
    partynli: Any, registry: Any, judges: Any, study: Path
) -> None:
    server = judges(errs=1.0)
    registry(server.url, ["judge"])
    args = ("reasons", "study", "--judge", "judge", "--validate", str(SAMPLE))
    done = partynli(*args)
    assert done.returncode == 1
    assert "VALIDATION FAILED: kappa -0." in done.stdout
    assert "counts are held back" in done.stdout
    assert "only" not in (study / "reasons.md").read_text().split("held back")[0].split("Confusion")[1]
    assert len(server.calls) == SAMPLE, "only the sample was asked"
    held = partynli(*args, "--kappa", "0", "--json")
    assert held.returncode == 1, "worse than chance is below 0"
    assert json.loads(held.stdout)["items"] is None
    assert len(server.calls) == SAMPLE
    forced = partynli(*args, "--force")
    assert forced.returncode == 0
    assert "Kinds of reasoning, and labels" in forced.stdout
    assert "VALIDATION FAILED" in forced.stdout
    assert set(server.calls.values()) == {1}


def test_a_judge_that_cannot_be_read_is_not_validated(partynli: Any, registry: Any, study: Path) -> None:
    with LoopbackProcess(default=Behaviour(text='{"category": "Nonsense"}')) as server:
        registry(server.url, ["judge"])
        done = partynli("reasons", "--judge", "judge", "--validate", "30")
    assert done.returncode == 1
    assert "NOT VALIDATED: 0 explanations are too few, 30 are wanted" in done.stdout
    assert "Kinds of reasoning, and labels" not in done.stdout


@pytest.mark.slow
def test_killed_and_gone_on_with(
    partynli: Any, registry: Any, judges: Any, study: Path, environ: Any, until: Any, tmp_path: Path
) -> None:
    in_flight = 8
    server = judges(latency_s=0.02)
    registry(server.url, ["judge"], concurrency=in_flight, rpm=600000)
    args = ["reasons", "study", "--judge", "judge", "--validate", str(SAMPLE)]
    kills = (20, SAMPLE + 40)  # within the sample, and behind it
    for answered in kills:
        process = subprocess.Popen(
            [sys.executable, "-m", "partynli", *args], cwd=tmp_path, env=environ, stdout=subprocess.DEVNULL
        )
        until(lambda answered=answered: server.calls.total() >= answered)
        process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(0.1)
    done = partynli(*args)
    assert done.returncode == 0, done.stderr
    keys = asked(tmp_path / "runs" / "study-reasons-judge")
    assert len(keys) == len(set(keys)) == len(server.calls)
    assert server.calls.total() - len(keys) <= in_flight * len(kills)


def test_cost(partynli: Any, registry: Any, judges: Any, study: Path, tmp_path: Path) -> None:
    server = judges()
    registry(server.url, ["judge"])
    dry = partynli("reasons", "--judge", "judge", "--dry-run")
    assert dry.returncode == 0
    assert "Nothing was sent" in dry.stdout
    assert not server.calls
    assert not (tmp_path / "runs" / "study-reasons-judge").exists()
    stopped = partynli("reasons", "--judge", "judge", "--max-cost", "0.02")
    assert stopped.returncode == 3
    assert "nothing is counted before everything is coded" in stopped.stdout
    assert "kappa" not in stopped.stdout
    assert 0 < server.calls.total() < 40
    registry(server.url, ["judge"], key="JUDGE_KEY")
    missing = partynli("reasons", "--judge", "judge", "--run", "other")
    assert missing.returncode == 2
    assert "JUDGE_KEY is not set" in one_line(missing)
    assert not (tmp_path / "runs" / "other").exists()


def test_the_first_try_needs_no_key(partynli_alone: Any, study: Path) -> None:
    assert partynli_alone("reasons", "--judge", "sim-typical", "--validate", "40", "--force").returncode == 0
    newest = partynli_alone("reasons", "--judge", "sim-typical", "--validate", "40", "--force", "--json")
    report = json.loads(newest.stdout)
    assert report["run"] == "study", "a run of codes is no study"
    assert report["synthetic"] is True
    assert report["verdict"].startswith("VALIDATION FAILED"), "a made-up judge agrees with nobody"
    assert "sim-typical also wrote some of the explanations that it codes" in report["notes"]
    assert "run study" in partynli_alone("report", "--scope", "all122").stdout, "a judge's run is no study to report on"
    other = partynli_alone("reasons", "--judge", "sim-typical", "--validate", "41")
    assert "was made by another plan" in one_line(other)
    codes = partynli_alone("reasons", "study-reasons-sim-typical", "--judge", "sim-typical")
    assert "holds a judge's codes" in one_line(codes)


def test_items_without_people(partynli: Any, tmp_path: Path) -> None:
    assert partynli("sample", "--mix", "demo", "--trials", "1", "--run", "own").returncode == 0
    done = partynli("reasons", "own", "--judge", "sim-typical", "--validate", "40", "--force", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["people"] is None
    assert [one["why"] for one in report["items"]] == ["random"] * 12
    assert all(one["shared"] is None and one["js_distance"] is None for one in report["items"])
    assert all(one["model"]["n_coded"] == 10 for one in report["items"])
    assert report["totals"] == {"n_items": 0, "shared": 0, "only_human": 0, "only_model": 0}


def test_labels_are_those_of_the_people_whose_explanations_are_coded(partynli: Any, tmp_path: Path) -> None:
    counts = "uid,premise,hypothesis,human_true,human_either,human_false\n"
    (tmp_path / "mine.csv").write_text(counts + "a,It rains.,It is wet.,90,10,0\nb,Cats sleep.,Dogs do.,0,100,0\n")
    head = "sent_id,participant,participant_type,experiment,trial,class_multi,explanation\n"
    rows = [f"{uid},m{k},model,mix,1,true,Model {k}.\n" for uid in "ab" for k in range(2)]
    rows += [
        f"{uid},w{k},human,human,{trial},false,Person {k}.\n" for uid in "ab" for k in range(3) for trial in (1, 2)
    ]
    (tmp_path / "answers.csv").write_text(head + "".join(rows))
    assert partynli("import", "answers.csv", "--items", "mine.csv", "--run", "both").returncode == 0
    assert partynli("reasons", "both", "--items", "all", "--sheet", "sheet.csv").returncode == 0
    sheet = (tmp_path / "sheet.csv").read_text()
    (tmp_path / "coded.csv").write_text(sheet.replace(".,,", ".,Semantic,"))
    found = json.loads(partynli("reasons", "both", "--coding", "coded.csv", "--json").stdout)
    assert found["people"] == "human"
    for one in found["items"]:
        assert one["human"] == {"labels": [0, 0, 3], "n_explanations": 3, "n_coded": 3, "kinds": {"Semantic": 3}}
        assert one["js_distance"] == pytest.approx(0.8325546, abs=1e-6)  # sqrt(ln 2): all false against all true


def test_items_of_other_texts_are_refused(partynli: Any, tmp_path: Path) -> None:
    folder = tmp_path / "prompts" / "tone"
    shutil.copytree(Path(__file__).parents[2] / "prompts" / "reasons", tmp_path / "prompts" / "reasons")
    folder.mkdir()
    (folder / "task.yaml").write_text(
        "name: tone\nlabels: [bad, good]\nfields: [text]\nanswer: {label: a, explanation: b}\n"
    )
    (folder / "system.txt").write_text("Good or bad?\n")
    (folder / "user.txt").write_text("Text: {}\n")
    (tmp_path / "texts.csv").write_text("uid,text\na,It rains.\n")
    of = ("--task", "tone", "--items", "texts.csv", "--run", "tone", "--trials", "1")
    assert partynli("sample", "--mix", "demo", *of).returncode == 0
    assert "no item of run tone has the texts premise, hypothesis" in one_line(
        partynli("reasons", "tone", "--sheet", "sheet.csv")
    )


def test_coding_by_hand(partynli: Any, study: Path, tmp_path: Path, judges: Any) -> None:
    sheet = partynli("reasons", "study", "--sheet", "sheet.csv", "--items", "extremes")
    assert sheet.returncode == 0, sheet.stderr
    rows = table(tmp_path / "sheet.csv")
    assert len({row["item"] for row in rows}) == 12
    assert {row["category"] for row in rows} == {""}
    person = judges(errs=0.05)
    for row in rows:
        row["category"] = json.loads(person.answer("\n[EXPLANATION] " + row["explanation"]))["category"]
    rows[0]["category"] = "Semantik\x1b[31m[bold]"
    rows[1]["source"] = "=nobody()"
    with (tmp_path / "coded.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    done = partynli("reasons", "study", "--coding", "coded.csv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "validated: kappa 0.9" in done.stdout
    assert "1 rows left out, an unknown category: coded.csv:2" in done.stdout
    assert "did you mean Semantic" in done.stdout
    assert "a source that did not explain the item: coded.csv:3" in done.stdout
    assert "\x1b" not in done.stdout
    assert "=nobody\\(\\)" not in done.stdout
    assert "\x1b" not in (study / "reasons.md").read_text()
    assert [one.name for one in (tmp_path / "runs").iterdir()] == ["study"], "nobody was asked"

    only = [row for row in rows[2:] if row["by"] == "model"]
    lines = [{name: row[name] for name in ("item", "source", "trial", "category")} for row in only]
    (tmp_path / "models.jsonl").write_text("\n".join(map(json.dumps, lines)))
    unvalidated = partynli("reasons", "study", "--coding", "models.jsonl", "--json")
    assert unvalidated.returncode == 0, unvalidated.stderr
    report = json.loads(unvalidated.stdout)
    assert report["validation"] is None
    assert report["verdict"].startswith("NOT VALIDATED: none of these codes")
    assert all(one["shared"] is None for one in report["items"])


def test_a_careless_coding_is_held_back(partynli: Any, study: Path, tmp_path: Path) -> None:
    people = table(DATA / LIVENLI[0].path)
    rows = [
        {"item": row["uid"], "source": row["worker_id"], "category": REASONS[k % 8]}
        for k, row in enumerate(people[:60])
    ]
    models = [{"item": people[0]["uid"], "source": "sim-judge", "category": "Semantic"}]
    (tmp_path / "c.jsonl").write_text("\n".join(map(json.dumps, rows + models)))
    done = partynli("reasons", "study", "--coding", "c.jsonl")
    assert done.returncode == 1
    assert "VALIDATION FAILED" in done.stdout
    assert "Kinds of reasoning, and labels" not in done.stdout


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((), "who codes? --judge NAME"),
        (("--judge", "sim-judge", "--sheet", "x.csv"), "choose one"),
        (("--judge", "nobody"), "unknown participant 'nobody'"),
        (("--judge", "sim-judge", "--group", "dmeo"), "unknown group 'dmeo' in run study; did you mean demo?"),
        (("--judge", "sim-judge", "--items", "20274"), "unknown item '20274' in the run; did you mean 20274n"),
        (("--coding", "nothing.csv"), "nothing.csv cannot be read"),
        (("--sheet", "no/where.csv"), "cannot be written"),
    ],
)
def test_what_is_wrong_is_one_line(
    args: tuple[str, ...], error: str, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARTYNLI_DATA", str(DATA))
    monkeypatch.chdir(study.parent.parent)
    with pytest.raises(PartyNLIError) as raised:
        cli.main(["reasons", "--runs", str(study.parent), *args], standalone_mode=False)
    assert error in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (study / "reasons.md").exists()
