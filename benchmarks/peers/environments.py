"""Who is measured, each in a virtual environment of its own: what they need does not go together."""

from __future__ import annotations

import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from measure import HERE, FailedError, Peer


class Entry(NamedTuple):
    """One peer, before its environment is there."""

    key: str
    """Name of its client and of its requirements; without requirements, this environment is its own."""
    name: str
    package: str
    """Whose version is named."""
    slow: bool = False
    """It makes a quarter of the calls in `speed`."""
    only: str = ""
    """The one scenario in which it takes part, if not in all."""
    note: str = ""
    """How it is set up."""


PARTYNLI = Entry(
    "partynli_sample",
    "partynli",
    "partynli",
    note="`partynli sample`, `concurrency: 64`, and `rpm: 3000` under the limit; gone on with by the same command",
)
ENTRIES = (
    PARTYNLI,
    Entry(
        "partynli_untold",
        "partynli, limit not told",
        "partynli",
        only="limited",
        note="the same without `rpm`: it learns the limit from the answers' headers",
    ),
    Entry("aiohttp_workers", "aiohttp", "aiohttp", note="64 workers that wait as long as `Retry-After` says; no store"),
    Entry(
        "aiohttp_gather",
        "gather",
        "aiohttp",
        note="a script as researchers write it: `asyncio.gather` on all prompts, a semaphore of 64, tenacity as in "
        "OpenAI's cookbook (random exponential, 6 attempts), aiohttp, JSON at the end",
    ),
    Entry("openai_sdk", "openai SDK", "openai", note="`AsyncOpenAI(max_retries=20)`, a semaphore of 64; no store"),
    Entry(
        "litellm_sdk",
        "litellm",
        "litellm",
        slow=True,
        note="`acompletion(num_retries=20)`, a semaphore of 64; its disk cache, which is off by default, only where it "
        "is killed",
    ),
    Entry(
        "inspect_task",
        "inspect_ai",
        "inspect-ai",
        slow=True,
        note="a task of samples with `generate()`, no scorer, `openai-api` provider, `max_connections=64`, log as by "
        "default; gone on with by `eval_retry`",
    ),
    Entry(
        "lm_eval_harness",
        "lm-evaluation-harness",
        "lm-eval",
        note="`generate_until` through `local-chat-completions`, `num_concurrent=64`, `max_retries=20`; `use_cache`, "
        "which is off by default, only where it is killed",
    ),
    Entry(
        "curator_llm",
        "curator",
        "bespokelabs-curator",
        note="backend `openai`, `max_concurrent_requests=64`, `max_retries=20`, no limit on tokens, and "
        "`max_requests_per_minute=3000` under the limit; its cache, as by default",
    ),
    Entry(
        "distilabel_pipeline",
        "distilabel",
        "distilabel",
        slow=True,
        note="`LoadDataFromDicts >> TextGeneration(OpenAILLM(max_retries=20))`, batches of 64, since a batch is what "
        "it asks at once; its cache, as by default",
    ),
)


def prepare(entry: Entry, folder: Path) -> Peer:
    """Make the environment where it is not there yet; a `FailedError` says why it cannot be made."""
    wanted = HERE / "requirements" / f"{entry.key}.txt"
    if not wanted.exists():
        client = PARTYNLI.key if entry.package == PARTYNLI.package else entry.key
        return Peer(entry.key, f"{client}.py", sys.executable)
    home = folder / entry.key
    python, done = home / "bin" / "python", home / "installed.txt"
    if not done.exists() or done.read_text() != wanted.read_text():
        print(f"{entry.name}: installing into {home}", flush=True)
        venv.create(home, clear=True, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(wanted)]
        installed = subprocess.run(command, capture_output=True, text=True)
        if installed.returncode:
            why = [line for line in installed.stderr.splitlines() if line.startswith("ERROR")]
            raise FailedError(f"cannot be installed: {' '.join(why)[-300:]}")
        done.write_text(wanted.read_text())
    return Peer(entry.key, f"{entry.key}.py", str(python))


def version_of(entry: Entry, peer: Peer) -> str:
    """The version that its environment has."""
    if peer.python == sys.executable:
        return version(entry.package)
    ask = f"from importlib.metadata import version; print(version({entry.package!r}))"
    return subprocess.run([peer.python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
