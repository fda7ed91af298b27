"""A stand-in for ``vllm serve``: the same command and paths, no model, started in a moment.

What it does is told by the JSON file that the environment variable DOUBLE names; what it did goes into a log beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from argparse import ArgumentParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TOLD = Path(os.environ["DOUBLE"])
WANTED: dict[str, Any] = json.loads(TOLD.read_text())
GRANDCHILD = "import time; time.sleep(600)"
ANSWER = '{"classification": {"label": "either", "explanation": "so"}, "highlights": {"context": "", "statement": ""}}'


def note(what: str, **more: Any) -> None:
    with TOLD.with_suffix(".log").open("a") as log:
        log.write(json.dumps({"what": what, "at": time.time(), "pid": os.getpid(), **more}) + "\n")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answered = 0

    def do_GET(self) -> None:
        self.say(200, {"version": WANTED.get("version", "9.9.9")} if self.path == "/version" else {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/tokenize":
            return self.say(200, {"tokens": WANTED.get("tokens", [1, 2, 3])})
        if self.headers["Authorization"] != f"Bearer {os.environ['VLLM_API_KEY']}":
            return self.say(401, {"error": {"message": "Unauthorized"}})
        Handler.answered += 1
        if Handler.answered > WANTED.get("dies_after", 10**9):
            note("died")
            os._exit(1)
        time.sleep(WANTED.get("latency_s", 0.0))
        message = {"role": "assistant", "content": ANSWER}
        usage = {"prompt_tokens": 9, "completion_tokens": 9}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return self.say(200, {"model": WANTED.get("served", body["model"]), "choices": [choice], "usage": usage})

    def say(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Silent."""


class Server(ThreadingHTTPServer):
    request_queue_size = 128


def main() -> None:
    parser = ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("model")
    parser.add_argument("--port", type=int)
    given, others = parser.parse_known_args()
    keys = sorted(name for name in os.environ if name.endswith("_API_KEY"))
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
    note("started", model=given.model, port=given.port, args=others, keys=keys, gpus=gpus)
    print("INFO nothing to see", flush=True)
    time.sleep(WANTED.get("start_s", 0.0))
    if given.model in WANTED.get("unknown", ()):
        sys.exit(f"OSError: {given.model} is not a local folder and is not a valid model identifier\nbye")
    grandchild = subprocess.Popen([sys.executable, "-c", GRANDCHILD], start_new_session=True)
    note("grandchild", child=grandchild.pid)
    Server(("127.0.0.1", given.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
