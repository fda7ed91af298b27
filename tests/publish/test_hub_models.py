"""Trained models to a hub, through the real client and over HTTP; their folders are made by hand, without torch."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace

import pytest
import yaml
from huggingface_hub import HfApi

from partynli.errors import InputError, PartyNLIError
from partynli.finetune.card import card
from partynli.finetune.outcome import Evaluation, Outcome
from partynli.publish.hub.model import model_card, read_model
from partynli.publish.hub.publishing import Head, Patience, RepoTarget, look, send

# httpx says so of the way in which huggingface_hub hands it an open file
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

TARGET = RepoTarget("ada/small", kind="model")
QUICK = Patience(tries=2, first_wait_s=0.01)
WRITTEN = {
    "config.json": b'{"model_type": "bert"}',
    "model.safetensors": b"\x08\0\0\0weights" * 300,
    "tokenizer.json": b"{}",
    "tokenizer_config.json": b"{}",
    "vocab.txt": b"[PAD]\n",
}
ALL = sorted([*WRITTEN, "README.md", "training.json"])
TRAIN_HASH = f"sha256:{'7' * 64}"


def outcome(weights="sha256:1"):
    figures = dict.fromkeys(
        ("weighted_f1", "accuracy", "kl", "cross_entropy", "ece", "entropy_correlation", "macro_f1"), 0.5
    )
    one = {"name": "mjd|x", "n": 341, "hash": TRAIN_HASH}
    settings = {"loss": "cross_entropy", "learning_rate": 2e-5, "select_by": "macro_f1"}
    job = {"model": "bert-base-uncased", "start": "bert-base-uncased", "seed": 0, "settings": settings}
    job["data"] = {"train": one, "dev": one | {"hash": "sha256:8"}}
    versions = {"partynli": "0.1.0"}
    found = (Evaluation(20, 0.7, figures),)
    given = Outcome(job, 20, 20, found, {"dev": figures}, {"dev": figures}, (), weights, versions, "cpu", "fp32")
    return replace(given, commit="c" * 40, files={name: hash_of(content) for name, content in WRITTEN.items()})


def hash_of(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def trained_again(folder, **files):
    """Write files of the model anew, and record them, as another training would; None takes one away."""
    stored = json.loads((folder / "training.json").read_text())
    for name, content in files.items():
        if content is None:
            (folder / name).unlink()
            del stored["files"][name]
        else:
            (folder / name).write_bytes(content)
            stored["files"][name] = hash_of(content)
    (folder / "training.json").write_text(json.dumps(stored))


@pytest.fixture
def folder(tmp_path):
    """A finished training, as it lies on disk."""
    path = tmp_path / "seed-0"
    path.mkdir()
    for name, content in WRITTEN.items():
        (path / name).write_bytes(content)
    (path / "README.md").write_text(card(outcome()), "utf-8")
    (path / "training.json").write_text(outcome().to_json(), "utf-8")
    return path


def sent(folder, target=TARGET, licence="apache-2.0", patience=QUICK):
    model = read_model(folder)
    head = look(target, patience=patience)
    text = folder.parent / "card.md"
    text.write_text(model_card(model.outcome, licence, head.card), "utf-8")
    return send({"README.md": text, **model.files}, target, head, title=model.title, patience=patience)


def front(text):
    return yaml.safe_load(text.split("---\n")[1])


def test_a_model_is_one_commit(hub, folder):
    done = sent(folder)
    repository = hub.models["ada/small"]
    assert hub.repositories == {}
    assert done.url == f"{hub.url}/ada/small"
    assert (done.commit, sorted(done.sent)) == (repository.head.oid, ALL)
    assert len(repository.commits) == 2  # the hub's own first one, and ours
    assert repository.head.title.startswith("bert-base-uncased trained on mjd|x, by partynli ")
    assert {name: repository.read(name) for name in WRITTEN} == WRITTEN
    assert repository.head.files["model.safetensors"].sha256  # in LFS, as the hub wants it
    text = repository.read("README.md").decode()
    assert (front(text)["license"], front(text)["base_model"]) == ("apache-2.0", "bert-base-uncased")
    assert f"| train | mjd\\|x | 341 | `{TRAIN_HASH}` |" in text
    assert "unknown" not in hub.steps()


def test_the_client_finds_it_there(hub, folder, tmp_path):
    sent(folder)
    api = HfApi(endpoint=hub.url)
    assert api.model_info("ada/small").id == "ada/small"
    api.hf_hub_download("ada/small", "model.safetensors", local_dir=tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == WRITTEN["model.safetensors"]


def test_a_dataset_may_have_the_same_name(hub, folder):
    hub.push("ada/small", {"train.csv": b"a,b"})
    before = hub.repositories["ada/small"].head
    assert sorted(sent(folder).sent) == ALL
    assert hub.repositories["ada/small"].head == before


def test_only_what_a_training_wrote_is_sent(hub, folder):
    others = ["added_tokens.json", "checkpoint.pt", "job.json", "my.safetensors", "notes.md"]
    others += ["predictions.jsonl", "pytorch_model.bin"]
    for name in (*others, ".training.json.half"):
        (folder / name).write_bytes(b"mine")
    (folder / "runs").mkdir()
    sent(folder)
    assert set(hub.models["ada/small"].head.files) == {".gitattributes", *ALL}
    assert read_model(folder).left == (*others, "runs")


def test_the_same_again_makes_no_commit(hub, folder):
    first = sent(folder)
    hub.requests.clear()
    again = sent(folder, licence=None)  # it stands in the card
    assert (again.sent, again.deleted, again.n_unchanged, again.n_bytes) == ((), (), len(ALL), 0)
    assert again.commit == first.commit
    assert not {"create", "preupload", "batch", "put_object", "commit"} & set(hub.steps())


def test_of_changed_weights_only_these_are_sent(hub, folder):
    sent(folder)
    hub.requests.clear()
    trained_again(folder, **{"model.safetensors": b"other weights"})
    assert sent(folder).sent == ("model.safetensors", "training.json")
    assert hub.steps().count("put_object") == 1
    assert hub.models["ada/small"].read("model.safetensors") == b"other weights"


def test_another_tokenizer_leaves_nothing_of_the_last_one(hub, folder):
    sent(folder)
    hub.push("ada/small", {"notes.md": b"mine", "onnx/config.json": b"mine"}, kind="model")
    trained_again(folder, **{"vocab.txt": None, "spm.model": b"pieces"})
    done = sent(folder)
    assert (done.sent, done.deleted) == (("spm.model", "training.json"), ("vocab.txt",))
    assert {"notes.md", "onnx/config.json"} <= hub.models["ada/small"].head.files.keys()


def test_what_was_written_by_hand_into_the_card_stays(hub, folder):
    sent(folder)
    text = hub.models["ada/small"].read("README.md").decode()
    text = text.replace("- partynli\n", "- partynli\n- mine\n").replace("---\n", "---\nthumbnail: a.png\n", 1)
    hub.push("ada/small", {"README.md": f"{text}\nBy hand.\n".encode()}, kind="model")
    sent(folder, licence="mit")
    now = hub.models["ada/small"].read("README.md").decode()
    assert now.endswith("\nBy hand.\n")
    assert (front(now)["thumbnail"], front(now)["license"], front(now)["tags"][-1]) == ("a.png", "mit", "mine")


@pytest.mark.parametrize(
    "files",
    [
        {"pytorch_model.bin": b"theirs"},
        {"model.safetensors": b"theirs", "training.json": b'{"epochs": 3}'},
        {"model.safetensors": b"theirs", "training.json": b"[" * 100_000},
        {"model.safetensors": b"theirs", "training.json": b"3"},
    ],
)
def test_a_model_of_somebody_elses_making_is_left_alone(hub, folder, files):
    hub.push("ada/small", files, kind="model")
    before = hub.models["ada/small"].head
    with pytest.raises(InputError, match="ada/small holds files that partynli did not write"):
        sent(folder)
    assert hub.models["ada/small"].head == before
    done = sent(folder, RepoTarget("ada/small", create_pr=True, kind="model"))
    repository = hub.models["ada/small"]
    assert (done.url, done.deleted) == (f"{hub.url}/ada/small/discussions/1", ())
    assert (repository.head, repository.refs["refs/pr/1"]) == (before, done.commit)
    assert repository.read("model.safetensors", "refs/pr/1") == WRITTEN["model.safetensors"]


def test_private(hub, folder):
    sent(folder, RepoTarget("ada/small", private=True, kind="model"))
    assert hub.models["ada/small"].private
    sent(folder, RepoTarget("ada/open", kind="model"))
    with pytest.raises(InputError, match="ada/open is there and public"):
        sent(folder, RepoTarget("ada/open", private=True, kind="model"))


def test_messages_speak_of_a_model(hub, folder):
    assert look(TARGET) == Head(None, kind="model")
    with pytest.raises(InputError, match="'small' names no model at the Hub: give USER/NAME"):
        RepoTarget("small", kind="model")
    with pytest.raises(InputError, match="there is no model ada/small yet"):
        look(RepoTarget("ada/small", create_pr=True, kind="model"))
    hub.fail("create", "not_found")
    with pytest.raises(InputError, match="there is no such model at"):
        sent(folder)


def test_a_commit_whose_answer_was_lost_is_found(hub, folder):
    hub.fail("commit", "lost")
    done = sent(folder)
    assert done.commit == hub.models["ada/small"].head.oid
    assert len(hub.models["ada/small"].commits) == 2


@pytest.mark.parametrize(
    ("licence", "said"),
    [
        (None, "no licence is given"),
        ("apache-2", "unknown licence 'apache-2'; did you mean apache-2.0"),
        ("other", "the licence 'other' has no name"),
    ],
)
def test_without_a_licence_there_is_no_card(licence, said):
    with pytest.raises(InputError, match=said):
        model_card(outcome(), licence, None)


def test_a_licence_of_ones_own_stands_in_the_card_at_the_hub():
    old = "---\nlicense: other\nlicense_name: ours\nlicense_link: LICENSE\n---\n"
    assert front(model_card(outcome(), None, old))["license_name"] == "ours"


def test_what_is_no_finished_training_is_one_line(folder, tmp_path):
    def said():
        with pytest.raises(InputError) as caught:
            read_model(folder)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    training = folder / "training.json"
    stored = json.loads(training.read_text())
    for job in ({**stored["job"], "data": {"dev": {}}}, {**stored["job"], "data": {"train": []}}):
        training.write_text(json.dumps(stored | {"job": job}))
        assert "does not say what a card needs" in said()
    training.write_text(json.dumps(stored | {"files": {}}))
    assert "does not say what the model's files hold" in said()
    training.write_text("[]")
    assert "cannot be read as the outcome of a training" in said()
    training.write_text(json.dumps(stored))
    (folder / "config.json").write_bytes(b"{}")
    assert "config.json is not the file that the training wrote" in said()
    (folder / "config.json").write_bytes(WRITTEN["config.json"])
    (tmp_path / "elsewhere").write_bytes(b"{}")
    (folder / "vocab.txt").unlink()
    (folder / "vocab.txt").symlink_to(tmp_path / "elsewhere")
    assert "vocab.txt is a link that leaves the folder" in said()
    (folder / "model.safetensors").unlink()
    assert "holds no model: it has no model.safetensors" in said()
    training.unlink()
    assert "is no finished training: it has no training.json" in said()


@pytest.mark.parametrize("fault", ["unauthorized", "echo_token", "cut"])
def test_nobody_is_told_the_token(hub, folder, canary, fault, capfd, caplog):
    hub.fail_always("commit", fault)
    with pytest.raises(PartyNLIError) as caught:
        sent(folder)
    hub.fail_always("commit", None)
    texts = [str(caught.value), repr(caught.value), repr(sent(folder))]
    assert any(request.authorized for request in hub.requests)
    storage = [request for request in hub.requests if request.step == "put_object"]
    assert storage
    assert not any(request.authorized for request in storage)
    repository = hub.models["ada/small"]
    texts += [*capfd.readouterr(), caplog.text, repr(hub.requests), repr(repository)]
    texts += [path.read_text("utf-8", "replace") for path in folder.parent.rglob("*") if path.is_file()]
    assert not re.search(canary, "".join(texts))


def test_weights_that_are_not_those_of_the_figures_are_not_sent(hub, folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes().replace(b"weights", b"WEIGHTS", 1))
    with pytest.raises(InputError, match=r"model\.safetensors is not the file that the training wrote"):
        sent(folder)
    assert hub.requests == []
    weights.unlink()
    (folder / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(InputError, match=r"model\.safetensors cannot be read: No such file"):
        sent(folder)
