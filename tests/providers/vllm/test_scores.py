"""Option scores of vLLM itself, with a tiny model: those of transformers, as raw logits and as log-probabilities."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from partynli.derive import stored_response
from partynli.store import Run

pytestmark = pytest.mark.vllm
PYTHON = os.environ.get("PARTYNLI_VLLM", "")
ITEMS = [{"uid": f"i{k}", "premise": f"The {k} men sang.", "hypothesis": f"{k} people sang."} for k in range(2)]
PLAIN = """
import json, sys, torch, transformers
folder, prompts = sys.argv[1], json.load(sys.stdin)
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
options = [tokenizer.convert_tokens_to_ids(letter) for letter in "ABC"]
found = {}
for uid, messages in prompts.items():
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    with torch.inference_mode():
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        logits = model(ids).logits[0, -1]
    found[uid] = [logits[options].tolist(), torch.log_softmax(logits, -1)[options].tolist()]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    assert PYTHON, "PARTYNLI_VLLM must name the Python of an environment with vLLM"
    folder = tmp_path_factory.mktemp("model") / "tiny"
    made = subprocess.run([PYTHON, str(Path(__file__).with_name("tiny_model.py")), str(folder)], capture_output=True)
    assert made.returncode == 0, made.stderr.decode()
    return str(folder)


def scores(path: Path) -> tuple[dict[str, dict[str, float]], dict[str, Any]]:
    """Scores by prompt, and the prompts' messages."""
    with Run.open(path) as run:
        attempts = [attempt for _, attempt in run.attempts()]
        messages = {attempt.item: json.loads(run.body(attempt.prompt)) for attempt in attempts}
    found = {attempt.item: stored_response(attempt).option_scores for attempt in attempts}
    return {uid: dict(one.of) for uid, one in found.items() if one is not None}, messages


@pytest.mark.parametrize(("mode", "column"), [("raw_logits", 0), ("raw_logprobs", 1)])
def test_scores_are_those_of_transformers(tmp_path: Path, model: str, mode: str, column: int) -> None:
    args = ["--enforce-eager", *(["--logprobs-mode", mode] if column else [])]  # logits are what partynli asks for
    entry = {"route": "vllm", "timeout_s": 120, "serve": {"args": args, "max_model_len": 2048}}
    # nothing of decoding may change the scores
    participant = {"provider": "vllm", "model": model, "dtype": "float32", "params": {"temperature": 0.3}}
    content = {"version": 1, "providers": {"vllm": entry}, "participants": {"m": participant}}
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in ITEMS))
    quiet = {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "PARTYNLI_RUNS": str(tmp_path / "runs")}
    command = [sys.executable, "-m", "partynli", "mjd", "run", "--participant", "m", "--items", "items.jsonl"]
    done = subprocess.run(
        [*command, "--run", "r"], cwd=tmp_path, env=os.environ | quiet, capture_output=True, text=True
    )
    assert "12 of 12 trials done, 12 of them valid" in done.stdout, done.stdout + done.stderr
    found, messages = scores(tmp_path / "runs" / "r")
    plain = subprocess.run(
        [PYTHON, "-c", PLAIN, model], input=json.dumps(messages), capture_output=True, text=True, check=True
    )
    expected = {uid: dict(zip("ABC", both[column], strict=True)) for uid, both in json.loads(plain.stdout).items()}
    assert found.keys() == expected.keys()
    for uid, one in expected.items():
        assert found[uid] == pytest.approx(one, abs=1e-3)
