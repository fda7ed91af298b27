"""What a hostile server or registry says, and hostile names on the command line, while a run is sampled and read."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

Partynli = Callable[..., CompletedProcess[str]]
PRICE = {"input": 1, "output": 2, "as_of": "2025-07"}


def check(done: CompletedProcess[str]) -> None:
    for text in (done.stdout, done.stderr):
        assert all(sign.isprintable() or sign == "\n" for sign in text), ascii(text)
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1, done.stderr


def registry_at(url: str, models: list[str], **provider: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "providers": {"loop": {"route": "openai", "api_base": url, **provider}},
        "participants": {
            f"p{at}": {"provider": "loop", "model": model, "family": model, "price": dict(PRICE)}
            for at, model in enumerate(models)
        },
        "mixes": {"all": [f"p{at}" for at in range(len(models))]},
    }


@pytest.fixture
def evil(rogues: Any, tmp_path: Path, hostile: list[str]) -> Path:
    """A registry whose models are named by hostile texts, at a server that answers with them."""
    printable = [text for text in hostile if text.isprintable() and not text.startswith("-")]
    rogue = rogues()

    def says(heard: Any) -> Any:
        text = json.loads(heard.body)["model"] if heard.body else ""
        at = printable.index(text) if text else 0
        said = hostile[at % len(hostile)]
        if at % 3 == 0:
            body = json.dumps({"error": {"message": said, "code": said, "type": said}})
            return rogues.said(401, body)
        answer = said if at % 3 == 1 else json.dumps({"classification": {"label": "true", "explanation": said}})
        choice = {"message": {"content": answer}, "finish_reason": said}
        return rogues.said(200, json.dumps({"model": said, "system_fingerprint": said, "choices": [choice]}))

    rogue.says = says
    path = tmp_path / "[red]" / "x[" / "] :warning:.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(registry_at(rogue.url, printable)))
    return path


def test_no_word_of_a_server_or_a_registry_is_obeyed(evil: Path, partynli: Partynli, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("uid,premise,hypothesis\na,It rains.,It is wet.\n")
    shown = str(evil.relative_to(tmp_path))
    given = ["--registry", shown]
    sample = ["sample", "--mix", "all", "--items", "items.csv", "--trials", "1", "--run", "r", *given]
    dry = partynli(*sample, "--dry-run")
    assert dry.returncode == 0
    done = partynli(*sample)
    assert done.returncode == 1
    assert "stopped: HTTP 401" in done.stdout
    name = "[red]r [bold] :warning:"
    (tmp_path / "runs" / "r").rename(tmp_path / "runs" / name)
    rest = [
        partynli("participants", *given),
        partynli("doctor", *given),
        partynli("resume", name),
        partynli("status", name),
        partynli("status", name, "--json"),
        partynli("report", name, "--draws", "100", *given),
        partynli("data"),
    ]
    for one in (dry, done, *rest):
        check(one)
        assert one.returncode in (0, 1), one.stderr
    assert name in rest[2].stdout
    assert name in rest[3].stdout
    assert shown in done.stdout


@pytest.mark.slow
def test_a_live_terminal_is_told_no_escapes_but_our_own(
    rogues: Any, environ: dict[str, str], tmp_path: Path, hostile: list[str]
) -> None:
    rogue = rogues()
    evil = "".join(hostile[5:8])
    rogue.says = lambda _: rogues.said(401, json.dumps({"error": {"message": evil}}))
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(registry_at(rogue.url, ["m", "[red]x[/red][/]"])))
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "partynli", "sample", "--mix", "all", "--items", "demo", "--trials", "1", "--yes"]
    with subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, cwd=tmp_path, env=os.environ | environ | {"TERM": "xterm"}
    ) as process:
        os.close(slave)
        shown = b""
        try:
            while part := os.read(master, 65536):
                shown += part
        except OSError:  # what the end of a terminal looks like
            pass
        assert process.wait() == 1
    os.close(master)
    text = shown.decode()
    assert "HTTP 401" in text
    ours = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)  # colours and the moves of the cursor
    assert all(sign.isprintable() or sign in "\r\n" for sign in ours), ascii(ours)
    assert "[31m" in ours  # the server's, without its escape


@pytest.mark.parametrize(
    "args",
    [
        ("status", "{}"),
        ("report", "{}"),
        ("plot", "{}"),
        ("sample", "--mix", "{}", "--items", "demo", "--trials", "1"),
        ("sample", "--mix", "demo", "--items", "{}", "--trials", "1"),
        ("sample", "--mix", "demo", "--items", "demo", "--trials", "1", "--run", "{}"),
        ("sample", "--mix", "demo", "--items", "demo", "--trials", "1", "--task", "{}"),
        ("sample", "--participant", "{}", "--trials", "1"),
        ("import", "{}", "--run", "x"),
        ("data", "--fetch", "{}"),
        ("{}",),
    ],
    ids=lambda args: " ".join(args),
)
def test_hostile_names_are_repeated_without_harm(
    args: tuple[str, ...], partynli: Partynli, hostile: list[str], tmp_path: Path
) -> None:
    for text in (*hostile[5:10], *hostile[-2:]):  # what a terminal or a file system minds
        done = partynli(*(text if arg == "{}" else arg for arg in args))
        assert done.returncode == 2, text
        check(done)
    assert not (tmp_path / "runs").exists()


def test_keys_are_said_to_go_where_they_go(partynli: Partynli, rogues: Any, tmp_path: Path) -> None:
    content = registry_at(rogues().url, ["m"], api_key_env="LOOP_KEY")
    content["providers"]["far"] = {"route": "openai", "api_base": "http://evil.example/v1", "api_key_env": "LOOP_KEY"}
    content["providers"]["own"] = {"route": "litellm", "api_key_env": "ANTHROPIC_API_KEY"}
    content["participants"]["q"] = {"provider": "far", "model": "q", "price": dict(PRICE)}
    content["participants"]["c"] = {"provider": "own", "model": "anthropic/c", "price": dict(PRICE)}
    content["mixes"]["all"] += ["q", "c"]
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(content))
    environ = {"LOOP_KEY": "canary-key", "ANTHROPIC_API_KEY": "canary-other"}
    done = partynli("sample", "--mix", "all", "--items", "demo", "--trials", "1", "--dry-run", **environ)
    (said,) = [line for line in done.stdout.splitlines() if line.startswith("keys: ")]
    assert "LOOP_KEY goes to 127.0.0.1:" in said
    assert "evil.example UNENCRYPTED" in said
    assert "ANTHROPIC_API_KEY goes to anthropic (litellm knows the address)" in said
    assert "canary" not in done.stdout + done.stderr
