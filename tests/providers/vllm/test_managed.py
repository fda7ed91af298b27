"""Servers that are started: through the engine, with a stand-in for vLLM that is a process of its own."""

from __future__ import annotations

import socket
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from partynli.providers import lacking
from partynli.providers.vllm.managed import PYTHON_ENV
from partynli.records import Participant, Serving
from partynli.sampling.events import Notice, Stopped
from partynli.sampling.plan import Plan
from partynli.sampling.retry import RetryPolicy

QUICK = RetryPolicy(base_s=0.05, longest_s=0.2)


def local(name: str, model: str = "org/m", **given: Any) -> Participant:
    params = {"temperature": given.pop("temperature")} if "temperature" in given else {}
    return Participant(name, "vllm", model, params, seed="auto", provider="vllm", concurrency=8, **given)


def rows(study: Any, what: str) -> list[tuple[Any, ...]]:
    db = sqlite3.connect(study.path / "run.sqlite")
    try:
        return db.execute(f"SELECT {what} FROM attempt ORDER BY id").fetchall()
    finally:
        db.close()


def test_one_server_for_all_variants_and_none_afterwards(study: Any, double: Any, go: Callable[..., Any]) -> None:
    variants = [local("cold"), local("warm", temperature=0.7), local("hot", temperature=1.5)]
    summary = go(study.run(study.plan(variants, items=6, trials=2)))
    assert (summary.stored, summary.failed) == (36, 0)
    (started,) = double.log("started")
    assert started["model"] == "org/m"
    assert "--enable-prefix-caching" in started["args"]
    assert {row[0] for row in rows(study, "fingerprint")} == {"vllm 9.9.9, chat template a615eeaee21d"}
    assert {row[0] for row in rows(study, "served_model")} == {"org/m"}
    assert not double.alive()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # refused only where somebody listens
        probe.bind(("127.0.0.1", started["port"]))


def test_the_time_of_an_answer_is_without_the_start_of_the_server(
    study: Any, double: Any, go: Callable[..., Any]
) -> None:
    double.behave(start_s=1.5)
    go(study.run(study.plan([local("m")], items=4)))
    assert max(row[0] for row in rows(study, "latency_s")) < 1.4


def test_everything_declared_is_in_the_command(study: Any, double: Any, go: Callable[..., Any]) -> None:
    serving = Serving(max_model_len=4096, args=("--enforce-eager",))
    go(study.run(study.plan([local("m", revision="abc", dtype="bfloat16", quantization="awq", serving=serving)])))
    args = " ".join(double.log("started")[0]["args"])
    for expected in ("--revision abc", "--dtype bfloat16", "--quantization awq", "--max-model-len 4096"):
        assert expected in args
    assert args.endswith("--enforce-eager")
    assert "gpu" not in args


def test_on_gpus_they_run_side_by_side_where_they_fit(
    study: Any, double: Any, go: Callable[..., Any], tmp_path: Path
) -> None:
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text("#!/bin/sh\necho 0, GPU-a, 80000; echo 1, GPU-b, 80000\n")
    smi.chmod(0o755)
    double.behave(latency_s=0.2)
    whole, half = Serving(), Serving(gpu_memory=0.45)
    asked = [
        local("large", "org/large", size_b=70, quantization="fp8", serving=whole),
        local("a", "org/a", size_b=1, serving=half),
        local("b", "org/b", size_b=1, serving=half),
    ]
    summary = go(study.run(study.plan(asked, items=4)))
    assert summary.stored == 24
    started = {entry["model"]: entry for entry in double.log("started")}
    assert started["org/large"]["gpus"] == "0,1"
    assert "--tensor-parallel-size 2 --gpu-memory-utilization 0.9" in " ".join(started["org/large"]["args"])
    # both wait for the large one to end, and neither for the other
    ended = {model: max(row[1] for row in rows(study, "served_model, at") if row[0] == model) for model in started}
    assert started["org/a"]["at"] > ended["org/large"]
    assert started["org/b"]["at"] < ended["org/a"]


def test_a_server_that_dies_is_started_again(study: Any, double: Any, go: Callable[..., Any]) -> None:
    double.behave(dies_after=15)
    summary = go(study.run(study.plan([local("m")], items=20, trials=2), retry=QUICK))
    assert (summary.stored, summary.failed) == (40, 0)
    assert 2 <= len(double.log("died")) <= 3
    assert len({row[0] for row in rows(study, "trial_key")}) == 40
    assert not double.alive()


def test_one_that_dies_again_and_again_is_given_up_and_the_others_go_on(
    study: Any, double: Any, go: Callable[..., Any]
) -> None:
    double.behave(dies_after=2)
    simulated = Participant("s", "simulated", "simulated/persona", {"seed": 1}, provider="simulated")
    summary = go(study.run(study.plan([local("m"), simulated], items=20), retry=QUICK))
    assert "its server died 3 times and is not started again" in summary.stopped["m"]
    assert [row[0] for row in rows(study, "count(*)") if row] == [summary.stored]
    assert sum(name == simulated.id for (name,) in rows(study, "participant")) == 40
    assert len(double.log("started")) == 3
    assert not double.alive()


def test_a_model_that_does_not_exist_is_said_in_the_servers_words(
    study: Any, double: Any, go: Callable[..., Any]
) -> None:
    double.behave(unknown=["org/none"])
    summary = go(study.run(study.plan([local("none", "org/none"), local("there")])))
    why = summary.stopped["none"]
    assert why.startswith("org/none: its server did not start: OSError: org/none is not a local folder")
    log = Path(why.rpartition("(its log: ")[2].rstrip(")"))
    assert "INFO nothing to see\nOSError" in log.read_text()
    log.unlink()
    assert summary.stored == 12
    assert any(isinstance(event, Stopped) for event in study.events)
    assert not double.alive()


def test_no_free_port(study: Any, double: Any, go: Callable[..., Any]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        summary = go(study.run(study.plan([local("m", serving=Serving(ports=(port, port)))])))
    assert summary.stopped == {"m": f"org/m: no port from {port} to {port} is free: widen `ports`"}
    assert not double.log("started")


def test_a_declared_port_is_used(study: Any, double: Any, go: Callable[..., Any]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    go(study.run(study.plan([local("m", serving=Serving(ports=(port, port)))])))
    assert double.log("started")[0]["port"] == port


@pytest.mark.slow
def test_it_starts_again_on_its_only_port(study: Any, double: Any, go: Callable[..., Any]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    double.behave(dies_after=15)
    summary = go(study.run(study.plan([local("m", serving=Serving(ports=(port, port)))], items=20), retry=QUICK))
    assert (summary.stored, summary.failed) == (40, 0)
    assert {entry["port"] for entry in double.log("started")} == {port}


def test_a_server_that_answers_as_another_model_is_refused(study: Any, double: Any, go: Callable[..., Any]) -> None:
    double.behave(served="org/other")
    summary = go(study.run(study.plan([local("m")])))
    assert summary.stopped["m"].startswith("the server answers as 'org/other', not as 'org/m'")
    assert {row[0] for row in rows(study, "status")} == {"failed"}


@pytest.mark.parametrize("change", [{"version": "9.9.10"}, {"tokens": [1, 2, 4]}])
def test_another_vllm_or_chat_template_is_refused(
    study: Any, double: Any, go: Callable[..., Any], change: dict[str, Any]
) -> None:
    plan = study.plan([local("m")], items=10)
    go(study.run(plan, limit=4))
    double.behave(**change)
    summary = go(study.run(plan))
    assert "answers now, the run began with vllm 9.9.9, chat template" in summary.stopped["m"]
    assert [row[0] for row in rows(study, "status")].count("valid") == 4
    go(study.run(plan, allow_drift=True))
    assert [row[0] for row in rows(study, "status")].count("valid") >= 12


def test_keys_of_other_services_do_not_reach_the_server(
    study: Any, double: Any, go: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-you")
    go(study.run(study.plan([local("m")])))
    assert double.log("started")[0]["keys"] == ["VLLM_API_KEY"]


def test_stopped_while_a_server_starts(study: Any, double: Any, go: Callable[..., Any]) -> None:
    double.behave(start_s=600)

    def heard(event: Any) -> None:
        study.events.append(event)
        if isinstance(event, Notice):
            study.engine._loop.call_later(1.0, study.engine.stop)

    summary = go(study.run(study.plan([local("m")]), on_event=heard))
    assert summary.interrupted
    assert len(double.log("started")) == 1
    assert not double.alive()


def test_nothing_is_started_where_nothing_is_left_to_ask(study: Any, double: Any, go: Callable[..., Any]) -> None:
    plan = study.plan([local("m")])
    go(study.run(plan))
    go(study.run(plan))
    assert len(double.log("started")) == 1


def test_what_is_missing_is_said_before(double: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert lacking(local("m"), {PYTHON_ENV: str(double.told)}).startswith("vLLM is not installed")  # type: ignore[union-attr]
    huge = lacking(local("m", size_b=10_000), {PYTHON_ENV: sys.executable})
    assert huge is not None
    assert "20000 GB need a GPU" in huge
    assert lacking(local("m", api_base="http://127.0.0.1:1/v1", size_b=10_000), {}) is None


def test_lanes_are_servers(study: Any) -> None:
    base, other = local("a"), local("b", revision="abc")
    plan: Plan = study.plan([base, local("c", temperature=0.5), other, local("d", serving=Serving(gpu_memory=0.5))])
    assert sorted(len(lane) for lane in plan.lanes().values()) == [1, 1, 2]
