"""`partynli finetune` as a person runs it; what trains needs the extra and is marked so."""

from __future__ import annotations

import json
import os
import signal
import string
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

Partynli = Callable[..., subprocess.CompletedProcess[str]]
WORDS = ("rain", "snow", "wind", "sun")
QUICK = ("--epochs", "1", "--batch", "4", "--evaluate-every", "2", "--max-length", "16", "--learning-rate", "0.001")


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A BERT of one layer with random weights."""
    torch, transformers = import_module("torch"), import_module("transformers")
    folder = tmp_path / "tiny"
    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *string.ascii_lowercase]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    transformers.BertModel(config).save_pretrained(folder)
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Soft labels, the same pairs with single labels, MNLI's and ANLI's rows."""
    names = ["true", "either", "false"]
    soft, single, mnli, anli = [], [], [], []
    for k in range(16):
        pair = {"premise": WORDS[k % 4], "hypothesis": WORDS[k // 4]}
        p = [0.6, 0.3, 0.1][k % 3 :] + [0.6, 0.3, 0.1][: k % 3]
        soft.append({"uid": f"u{k}", **pair, "labels": names, "p": p})
        single.append({"uid": f"u{k}", **pair, "labels": names, "p": [float(one == 0.6) for one in p]})
        gold = "-" if k == 15 else ("entailment", "neutral", "contradiction")[k % 3]
        mnli.append(
            {"sentence1": pair["premise"], "sentence2": pair["hypothesis"], "pairID": f"{k}", "gold_label": gold}
        )
        anli.append(
            {"uid": f"a{k}", "context": pair["hypothesis"], "hypothesis": pair["premise"], "label": "enc"[k % 3]}
        )
    for name, rows in (("soft", soft), ("single", single), ("mnli", mnli), ("anli", anli)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("partynli: ")
    return line


@pytest.mark.parametrize("command", ["train", "pretrain", "table"])
def test_help_needs_no_torch(command: str, partynli: Partynli) -> None:
    done = partynli("finetune", command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"partynli finetune {command}" in done.stdout


def test_the_command_line_itself_loads_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; import partynli.cli.finetune, partynli.report.finetune, partynli.finetune.worker; "
        "print([name for name in ('torch', 'transformers', 'litellm') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(find_spec("torch") is not None, reason="the extra is installed")
@pytest.mark.parametrize("command", ["train --model m --train x.jsonl", "pretrain --model m", "table --model m"])
def test_without_the_extra_a_line_says_what_to_install(command: str, partynli: Partynli, tmp_path: Path) -> None:
    assert "pip install 'partynli[finetune]'" in one_line(partynli("finetune", *command.split()))
    assert not (tmp_path / "finetuned").exists()


@pytest.mark.finetune
def test_train_with_two_seeds(partynli: Partynli, model: Path, data: Path) -> None:
    sets = ("--dev", "soft.jsonl", "--test", "single.jsonl", "--anli", "anli.jsonl")
    args = ("finetune", "train", "--model", "./tiny", "--train", "soft.jsonl", *sets, *QUICK, "--seeds", "2")
    done = partynli(*args)
    assert done.returncode == 0, done.stderr
    for said in ("seed 0", "seed 1", "mean [95 % over seeds]", "training mean", "16 of 16 pairs of dev are among"):
        assert said in done.stdout
    assert "recall" in done.stdout
    out = data / "finetuned/soft-tiny"
    assert sorted(one.name for one in out.iterdir()) == ["seed-0", "seed-1"]
    stored = json.loads((out / "seed-1/training.json").read_text())
    assert stored["job"]["seed"] == 1
    assert set(stored["scores"]) == set(stored["baseline"]) == {"dev", "test", "anli anli"}
    assert stored["baseline"]["dev"]["entropy_correlation"] is None
    assert stored["scores"]["dev"]["kl"] == pytest.approx(3 * stored["scores"]["dev"]["kl_element_mean"])
    again = partynli(*args)
    assert again.returncode == 0
    assert "step 2 of" not in again.stderr, "it was trained again"
    assert "is of another training" in one_line(partynli(*args, "--epochs", "2"))


@pytest.mark.finetune
def test_pretrain_then_table(partynli: Partynli, model: Path, data: Path) -> None:
    done = partynli("finetune", "pretrain", "--model", "./tiny", "--train", "mnli.jsonl", "--dev", "mnli.jsonl", *QUICK)
    assert done.returncode == 0, done.stderr
    assert "1 rows of train have no label and are left out" in done.stdout
    start = "finetuned/mnli-tiny/seed-0"
    sets = ("--dev", "soft.jsonl", "--test", "soft.jsonl", "--anli", "anli.jsonl", "--against", "soft.jsonl")
    args = ("finetune", "table", "soft.jsonl", "one=single.jsonl", "--model", f"./tiny={start}", *sets, *QUICK)
    nothing = partynli(*args, "--show")
    assert nothing.returncode == 1
    assert "nothing of this table" in nothing.stdout
    first = partynli(*args, "--seeds", "2", "--json")
    assert first.returncode == 0, first.stderr
    found: dict[str, Any] = json.loads(first.stdout)
    assert [row["name"] for row in found["rows"]] == ["zero-shot", "checkpoint only", "soft.jsonl", "one"]
    assert [row["name"] for row in found["baselines"]] == ["mean of soft.jsonl", "mean of one"]
    assert found["cells"] == {"done": 7, "of": 7}
    seeds = [row["figures"]["tiny"]["dev"]["kl"]["n"] for row in found["rows"]]
    assert seeds == [2, 1, 2, 2]
    assert found["rows"][2]["distances"]["kl"] == 0
    assert found["rows"][3]["distances"]["kl"] > 1
    again = partynli(*args, "--seeds", "2")
    assert again.returncode == 0, again.stderr
    assert "7 cells, 7 of them done" in again.stdout
    assert ": done" not in again.stdout
    text = (data / "finetuned/table/table.md").read_text()
    for said in ("mean of one", "ANLI, weighted F1", "ANLI, recall", "zero-shot", "checkpoint only"):
        assert said in text
        assert said in again.stdout
    wrong = partynli("finetune", "train", "--model", "other", "--init-from", start, "--train", "soft.jsonl")
    assert "was made from tiny, not from other" in one_line(wrong)


@pytest.mark.finetune
def test_a_table_that_is_killed_goes_on(
    partynli: Partynli, model: Path, data: Path, environ: dict[str, str], until: Callable[..., None]
) -> None:
    sets = ("--dev", "soft.jsonl", "--test", "soft.jsonl", "--against", "soft.jsonl")
    args = ("finetune", "table", "soft.jsonl", "single.jsonl", "--model", "./tiny", *sets, *QUICK, "--seeds", "2")
    cells = data / "finetuned/table/cells"
    with subprocess.Popen([sys.executable, "-m", "partynli", *args], cwd=data, env=environ) as process:
        try:
            until(lambda: len(list(cells.glob("*/training.json"))) >= 2, 90)
            workers = children(process.pid)
        finally:
            process.send_signal(signal.SIGKILL)
    assert workers
    until(lambda: not any(alive(one) for one in workers))
    kept = {path: path.stat().st_mtime_ns for path in cells.glob("*/training.json")}
    done = partynli(*args)
    assert done.returncode == 0, done.stderr
    assert f"6 cells, {len(kept)} of them done" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "a finished cell was trained again"
    assert "6 of 6 cells" in done.stdout


def children(pid: int) -> list[int]:
    """Processes that any of its threads has started."""
    return [int(one) for file in Path(f"/proc/{pid}/task").glob("*/children") for one in file.read_text().split()]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.finetune
def test_a_library_that_prints_does_not_stop_a_table(
    partynli: Partynli, model: Path, data: Path, environ: dict[str, str]
) -> None:
    """It writes to the descriptor itself, as libraries in C do, when torch is loaded."""
    (data / "noise").mkdir()
    (data / "noise/sitecustomize.py").write_text(
        "import os, sys\n"
        "sys.addaudithook(lambda event, args: os.write(1, b'noise\\n') if (event, *args[:1]) == ('import', 'torch') "
        "else None)\n"
    )
    sets = ("--dev", "soft.jsonl", "--test", "soft.jsonl", "--against", "soft.jsonl")
    args = ("finetune", "table", "soft.jsonl", "--model", "./tiny", *sets, *QUICK)
    done = partynli(*args, PYTHONPATH=str(data / "noise"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 cells" in done.stdout
    assert "noise" in (data / "finetuned/table/worker-cpu.log").read_text()


@pytest.mark.finetune
def test_a_full_disk_is_one_line_and_the_same_command_goes_on(
    model: Path, data: Path, environ: dict[str, str], partynli: Partynli
) -> None:
    """Stood in for by a limit on the size of a file, which the kernel keeps in the same place."""
    sets = ("--dev", "soft.jsonl", "--test", "soft.jsonl")
    args = ("finetune", "train", "--model", "./tiny", "--train", "soft.jsonl", *sets, *QUICK)
    limited = ["bash", "-c", 'ulimit -f 12; exec "$@"', "-", sys.executable, "-m", "partynli", *args]
    failed = subprocess.run(limited, capture_output=True, text=True, cwd=data, env=environ, timeout=120)
    assert failed.returncode == 2, failed.stderr
    said = failed.stderr.splitlines()[-1]
    assert said.startswith("partynli: the model cannot be written to finetuned/soft-tiny/seed-0")
    assert "Traceback" not in failed.stderr
    assert not (data / "finetuned/soft-tiny/seed-0/training.json").exists()
    assert partynli(*args).returncode == 0


@pytest.mark.finetune
def test_a_cell_that_fails_leaves_the_others(partynli: Partynli, model: Path, data: Path) -> None:
    sets = ("--dev", "soft.jsonl", "--test", "soft.jsonl", "--against", "soft.jsonl")
    models = ("--model", "./tiny", "--model", "no/such-model")
    done = partynli("finetune", "table", "soft.jsonl", *models, *sets, *QUICK)
    assert done.returncode == 1
    assert "no/such-model, soft.jsonl, seed 0: failed: the model 'no/such-model' cannot be loaded" in done.stdout
    assert "2 of 4 cells" in done.stdout


@pytest.mark.finetune
@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("train", "--model", "./tiny", "--train", "chaosnli-def"), "did you mean chaosnli-de"),
        (("train", "--model", "./tiny", "--train", "absent.jsonl"), "absent.jsonl cannot be read"),
        (("train", "--model", "./tiny", "--train", "wrong.jsonl"), "wrong.jsonl:1: p is"),
        (("train", "--model", "./absent", "--train", "soft.jsonl"), "is no folder"),
        (("train", "--model", "./tiny", "--init-from", "./absent", "--train", "soft.jsonl"), "is no folder"),
        (("table", "--model", "./tiny="), "write MODEL, MODEL@REVISION, or MODEL=CHECKPOINT"),
        (("table", "--model", "ada/tiny@"), "write MODEL@REVISION, or MODEL alone"),
        (("train", "--model", "./tiny", "--revision", "main", "--train", "soft.jsonl"), "which has no revision 'main'"),
        (("train", "--model", "./tiny", "--train", "soft.jsonl", "--anli", "twice.jsonl"), "twice.jsonl:2: the uid"),
        (("table", "--model", "./tiny", "--model", "./tiny"), "two --model have the same name"),
        (("table", "a=soft.jsonl", "a=single.jsonl", "--model", "./tiny"), "two rows are called 'a'"),
        (("train", "--model", "./tiny", "--train", "soft.jsonl", "--epochs", "0"), "--epochs"),
    ],
)
def test_garbage_is_one_line(args: tuple[str, ...], said: str, partynli: Partynli, model: Path, data: Path) -> None:
    (data / "wrong.jsonl").write_text(
        '{"uid": "a", "premise": "P", "hypothesis": "H", "labels": ["true", "either", "false"], "p": [1, 1, 1]}\n'
    )
    (data / "twice.jsonl").write_text('{"uid": "a", "context": "P", "hypothesis": "H", "label": "e"}\n' * 2)
    sets = ("--dev", "soft.jsonl", "--test", "soft.jsonl")
    assert said in one_line(partynli("finetune", *args, *sets))
