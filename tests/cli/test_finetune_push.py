"""``partynli finetune push`` as a person runs it, against a hub on loopback; the model's folder is made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from partynli.finetune.outcome import Evaluation, Outcome
from partynli.hashing import file_hash
from partynli.testing.hub import HubServer

CANARY = "hf_" + "cAnArYtOkEnThatNobodyMayEverSee03"  # in two pieces, so that no scanner takes it for a real one
TO = ["--repo", "ada/small"]
LICENSED = [*TO, "--license", "apache-2.0"]
WEIGHTS = b"\x08\0\0\0weights" * 300


@pytest.fixture
def hub(environ, tmp_path):
    """A hub where the token in the environment is Ada's."""
    with HubServer({CANARY: "ada"}) as server:
        # a login that a developer has is out of reach
        environ |= {"HF_ENDPOINT": server.url, "HF_TOKEN": CANARY, "HF_HOME": str(tmp_path / "hf-home")}
        yield server


@pytest.fixture
def model(tmp_path):
    """A finished training, as it lies on disk."""
    figures = dict.fromkeys(("weighted_f1", "accuracy", "kl", "cross_entropy", "ece", "entropy_correlation"), 0.5)
    train = {"name": "mjd", "n": 341, "hash": "sha256:7"}
    job = {"model": "tiny", "start": "tiny", "seed": 0, "settings": {"select_by": "kl"}, "data": {"train": train}}
    found = (Evaluation(20, 0.7, figures),)
    outcome = Outcome(job, 20, 20, found, {"dev": figures}, {}, (), "sha256:1", {}, "cpu", "fp32")
    folder = tmp_path / "seed-0"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text("{}")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    files = {path.name: file_hash(path) for path in folder.iterdir()}
    (folder / "training.json").write_text(replace(outcome, files=files).to_json())
    return folder


def test_there_and_again(hub, partynli, model):
    (model / "checkpoint.pt").write_bytes(b"half")
    done = partynli("finetune", "push", "seed-0", *LICENSED, "--private")
    assert (done.returncode, done.stderr) == (0, "")
    repository = hub.models["ada/small"]
    assert repository.private
    assert repository.read("model.safetensors") == WEIGHTS
    assert "license: apache-2.0" in repository.read("README.md").decode()
    assert "| train | mjd | 341 | `sha256:7` |" in repository.read("README.md").decode()
    for said in ("sent 6 files", "in one commit; 0 were there already", f"{hub.url}/ada/small\n", repository.head.oid):
        assert said in done.stdout
    assert "stays here: checkpoint.pt\n" in done.stdout
    again = partynli("finetune", "push", "seed-0", *TO)  # the licence stands in the card
    assert "nothing has changed: all 6 files are there, and no commit was made" in again.stdout
    (model / "model.safetensors").write_bytes(b"others")
    changed = partynli("finetune", "push", "seed-0", *TO)
    assert changed.returncode == 2
    assert changed.stderr.startswith("partynli: seed-0/model.safetensors is not the file that the training wrote")
    assert changed.stderr.count("\n") == 1
    assert len(repository.commits) == 2  # the hub's own first one, and ours


def test_a_dry_run_asks_nobody(hub, partynli, model):
    done = partynli("finetune", "push", "seed-0", *LICENSED, "--dry-run", HF_TOKEN="")
    assert (done.returncode, done.stderr) == (0, "")
    assert "model.safetensors" in done.stdout
    assert done.stdout.endswith("nothing was sent\n")
    assert hub.requests == []


def test_a_pull_request_to_somebody_elses_model(hub, partynli, model):
    before = hub.push("bob/small", {"pytorch_model.bin": b"theirs"}, kind="model")
    refused = partynli("finetune", "push", "seed-0", "--repo", "bob/small", "--license", "mit")
    assert refused.returncode == 2
    assert refused.stderr.startswith("partynli: bob/small holds files that partynli did not write")
    done = partynli("finetune", "push", "seed-0", "--repo", "bob/small", "--license", "mit", "--create-pr")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{hub.url}/bob/small/discussions/1\n" in done.stdout
    assert hub.models["bob/small"].head == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["seed-0", *TO], "partynli: no licence is given; say under which one others may use the model"),
        (["seed-0", *TO, "--license", "apache"], "partynli: unknown licence 'apache'; did you mean apache-2.0"),
        (["seed-0", "--repo", "small"], "partynli: 'small' names no model at the Hub: give USER/NAME\n"),
        (["seed-0", *LICENSED, "--create-pr"], "partynli: there is no model ada/small yet"),
        ([".", *LICENSED], "partynli: . is no finished training: it has no training.json"),
        (["nowhere", *LICENSED], "partynli: nowhere is no finished training: it has no training.json"),
        (["seed-0/config.json", *LICENSED], "partynli: seed-0/config.json/training.json cannot be read"),
    ],
)
def test_one_line_for_what_is_wrong(hub, partynli, model, given, said):
    done = partynli("finetune", "push", *given)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
    assert hub.models == {}
    assert "create" not in hub.steps()


def test_without_a_token_nothing_is_begun(hub, partynli, model):
    done = partynli("finetune", "push", "seed-0", *LICENSED, HF_TOKEN="")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("partynli: publishing needs a token of the Hugging Face Hub")
    assert hub.requests == []


@pytest.mark.parametrize(
    "fault",
    [
        "unauthorized",
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("echo_token", "cut")),
    ],  # ten seconds of waiting
)
def test_the_token_is_in_no_file_and_no_word(hub, partynli, model, tmp_path, fault):
    hub.fail_always("commit", fault)
    failed = partynli("finetune", "push", "seed-0", *LICENSED, HF_DEBUG="1")
    assert failed.returncode == 2
    assert failed.stderr.splitlines()[-1].startswith("partynli: ada/small: ")
    hub.fail_always("commit", None)
    done = partynli("finetune", "push", "seed-0", *LICENSED)
    assert done.returncode == 0
    repository = hub.models["ada/small"]
    words = [failed.stdout, failed.stderr, done.stdout, done.stderr, repr(hub.requests), repr(repository)]
    assert not [text for text in words if CANARY in text]
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    contents = [*repository.blobs.values(), *repository.objects.values()]
    assert not [content for content in contents if CANARY.encode() in content]
