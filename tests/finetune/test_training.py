"""Training for real, on a tiny BERT made on the spot: ``python -m pytest -m finetune tests/finetune tests/cli``."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from partynli.errors import InputError, PlanMismatchError, RunLockedError, StoreError
from partynli.finetune.outcome import Outcome, read_outcome
from partynli.finetune.settings import Job, Settings
from partynli.finetune.softlabels import SoftItem, SoftLabels, one_hot, read_soft_labels
from partynli.hashing import file_hash
from partynli.metrics import entropy

pytestmark = [
    pytest.mark.finetune,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # torch's and transformers' own
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
QUICK = Settings(learning_rate=1e-3, batch_size=8, epochs=2, evaluate_every=3, max_length=16)


def run(job: Job, folder: Path, **given: Any) -> Outcome:
    found: Outcome = import_module("partynli.finetune.training.loop").run(job, folder, **given)
    return found


@pytest.fixture
def job(tiny_bert: Path, synthetic: SoftLabels) -> Job:
    return Job(str(tiny_bert), None, synthetic, synthetic, None, settings=QUICK)


@pytest.mark.parametrize("loss", ["cross_entropy", "kl"])
def test_the_loss_against_plain_numpy(loss: str) -> None:
    torch, loop = import_module("torch"), import_module("partynli.finetune.training.loop")
    rng = np.random.default_rng(0)
    logits, p = rng.normal(size=(7, 3)) * 3, rng.dirichlet([1, 1, 1], 7)
    p[0] = [1, 0, 0]  # an empty cell adds nothing
    q = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    by_hand = -(p * np.log(q)).sum(1).mean()
    if loss == "kl":
        by_hand += np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0).sum(1).mean()
    found = loop.soft_loss(torch.tensor(logits), torch.tensor(p), loss)
    assert found.item() == pytest.approx(by_hand, abs=1e-12)


def test_both_losses_have_the_same_gradient() -> None:
    torch, loop = import_module("torch"), import_module("partynli.finetune.training.loop")
    p = torch.tensor(np.random.default_rng(1).dirichlet([1, 1, 1], 5))
    gradients = []
    for loss in ("cross_entropy", "kl"):
        logits = torch.linspace(-1, 1, 15, dtype=torch.float64).reshape(5, 3).requires_grad_()
        loop.soft_loss(logits, p, loss).backward()
        gradients.append(logits.grad.numpy())
    np.testing.assert_allclose(*gradients, atol=1e-15)


def test_kl_element_mean_is_pytorchs(job: Job, tmp_path: Path) -> None:
    torch = import_module("torch")
    from_ours = run(replace(job, train=None), tmp_path / "a").scores["dev"]
    network = import_module("partynli.finetune.training.network").Network(
        job.model, is_trained=False, seed=0, max_length=16, precision=None
    )
    q = torch.tensor(network.predict(job.dev.pairs))
    theirs = torch.nn.functional.kl_div(q.log(), torch.tensor(job.dev.p), reduction="mean").item()
    assert from_ours["kl_element_mean"] == pytest.approx(theirs, abs=1e-12)
    assert from_ours["kl"] == pytest.approx(3 * theirs, abs=1e-12)


def test_a_tiny_bert_reaches_the_best_cross_entropy_there_is(job: Job, tmp_path: Path) -> None:
    settings = Settings(learning_rate=3e-3, batch_size=12, epochs=100, evaluate_every=60, max_length=16)
    outcome = run(replace(job, settings=settings), tmp_path / "a")
    bayes = float(np.mean(entropy(job.dev.p)))
    last = outcome.history[-1].scores
    assert 0 <= last["cross_entropy"] - bayes < 0.01
    assert last["kl"] == pytest.approx(last["cross_entropy"] - bayes, abs=1e-9)
    assert outcome.baseline["dev"]["cross_entropy"] > bayes + 0.1, "the task would be learned by a constant"
    assert outcome.scores["dev"]["macro_f1"] == 1.0


def test_a_seed_decides_the_weights(job: Job, tmp_path: Path) -> None:
    one, same, other = (run(replace(job, seed=seed), tmp_path / name) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert one.to_json() == same.to_json()
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()
    assert one.weights != other.weights
    assert one.history != other.history
    names = ("README.md", "training.json", "config.json")
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)


KILLED = """
import json, sys, time
from pathlib import Path
from partynli.finetune.extra import training
from partynli.finetune.settings import Job, Settings
from partynli.finetune.softlabels import read_soft_labels
given = json.loads(sys.argv[1])
data = read_soft_labels(Path(given["data"]))
job = Job(given["model"], None, data, data, None, settings=Settings(**given["settings"]))
def heard(news):
    print(news.step, flush=True)
    time.sleep(given["pause"])
training().run(job, Path(given["out"]), checkpoint_s=given["checkpoint_s"], heard=heard)
"""


def test_a_kill_and_a_restart_are_as_no_kill(
    tiny_bert: Path, synthetic: SoftLabels, rows: Callable[..., Path], tmp_path: Path
) -> None:
    """Killed hard twice, once without a checkpoint since; dropout, optimizer and best weights included."""
    data = rows("synthetic.jsonl", synthetic)
    settings = Settings(learning_rate=1e-3, batch_size=4, epochs=4, evaluate_every=4, max_length=16)
    labels = read_soft_labels(data)
    whole = run(Job(str(tiny_bert), None, labels, labels, None, settings=settings), tmp_path / "whole")
    assert [one.step for one in whole.history] == list(range(4, 37, 4))

    def start(**more: Any) -> subprocess.Popen[str]:
        asked = {"data": str(data), "model": str(tiny_bert), "out": str(tmp_path / "killed"), "checkpoint_s": 0.0}
        given = json.dumps({**asked, "settings": asdict(settings), "pause": 0.0, **more})
        return subprocess.Popen([sys.executable, "-c", KILLED, given], stdout=subprocess.PIPE, text=True)

    seen = []
    for stop_at, checkpoint_s in ((12, 0.0), (28, 1e9)):
        process = start(pause=0.3, checkpoint_s=checkpoint_s)
        assert process.stdout is not None
        for line in process.stdout:
            seen.append(int(line))
            if int(line) >= stop_at:
                process.send_signal(signal.SIGKILL)
                break
        process.communicate(timeout=60)
        assert read_outcome(tmp_path / "killed") is None
        assert (tmp_path / "killed/checkpoint.pt").exists()
    assert start().wait(timeout=120) == 0
    assert seen.count(4) == 1, "it began anew"
    for name in ("model.safetensors", "predictions.jsonl", "training.json", "README.md"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()
    assert not (tmp_path / "killed/checkpoint.pt").exists()


def test_a_finished_training_is_not_done_again(job: Job, tmp_path: Path) -> None:
    first = run(job, tmp_path / "a")
    heard: list[Any] = []
    assert run(job, tmp_path / "a", heard=heard.append).to_json() == first.to_json()
    assert not heard


def test_what_came_out_says_what_went_in(job: Job, tmp_path: Path) -> None:
    outcome = run(job, tmp_path / "secret-place" / "a")
    stored = read_outcome(tmp_path / "secret-place" / "a")
    assert stored is not None
    assert stored.to_json() == outcome.to_json()
    card = (tmp_path / "secret-place/a/README.md").read_text()
    assert job.train is not None
    assert f"`{job.train.hash}`" in card
    assert outcome.weights in card
    assert outcome.job["data"]["train"] == {"name": "synthetic", "n": 36, "hash": job.train.hash}
    config = json.loads((tmp_path / "secret-place/a/config.json").read_text())
    assert config["id2label"] == {"0": "true", "1": "either", "2": "false"}
    assert {"torch", "transformers", "partynli", "python"} == set(outcome.versions)
    for text in (card, (tmp_path / "secret-place/a/training.json").read_text()):
        assert str(tmp_path) not in text, "where files lie is nobody's business"


def test_the_best_weights_are_kept_and_training_stops_when_it_gets_no_better(job: Job, tmp_path: Path) -> None:
    settings = replace(QUICK, epochs=40, evaluate_every=2, patience=3)
    outcome = run(replace(job, settings=settings), tmp_path / "a")
    f1 = [one.scores["macro_f1"] for one in outcome.history]
    best = f1.index(max(f1))
    assert outcome.best_step == outcome.history[best].step
    assert len(f1) - 1 - best == 3
    assert outcome.steps < 200
    assert outcome.scores["dev"]["macro_f1"] == max(f1)


def test_outputs_are_read_by_their_names(bert: Callable[..., Path], job: Job, tmp_path: Path) -> None:
    """A checkpoint whose outputs stand in another order, as many on the hub, gives the same in ours."""
    torch = import_module("torch")
    transformers = import_module("transformers")
    ours = bert("ours", names=("entailment", "neutral", "contradiction"))
    model = transformers.BertForSequenceClassification.from_pretrained(ours)
    with torch.no_grad():
        model.classifier.weight[:] = model.classifier.weight[[2, 0, 1]]
        model.classifier.bias[:] = torch.tensor([0.1, 0.2, 0.3])
    model.config.id2label = {0: "CONTRADICTION", 1: "ENTAILMENT", 2: "NEUTRAL"}
    other = tmp_path / "other"
    model.save_pretrained(other)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (other / name).write_bytes((ours / name).read_bytes())
    first = transformers.BertForSequenceClassification.from_pretrained(ours)
    with torch.no_grad():
        first.classifier.bias[:] = torch.tensor([0.2, 0.3, 0.1])
    first.save_pretrained(ours)
    network = import_module("partynli.finetune.training.network").Network
    found = [
        network(str(one), is_trained=True, seed=0, max_length=16, precision=None).predict(job.dev.pairs)
        for one in (ours, other)
    ]
    np.testing.assert_allclose(*found, atol=1e-7)
    assert abs(found[0] - found[0][:, [1, 2, 0]]).max() > 1e-3, "the order would not show"


def test_training_goes_on_from_a_checkpoint(job: Job, tmp_path: Path) -> None:
    single = SoftLabels(
        "single",
        tuple(SoftItem(one.uid, one.premise, one.hypothesis, one_hot("false")) for one in job.dev.items),
    )
    first = run(replace(job, train=single, dev=single), tmp_path / "first")
    start = replace(job, init_from=str(tmp_path / "first"), train=None)
    assert run(start, tmp_path / "as-is").weights == first.weights
    second = run(replace(start, train=job.train), tmp_path / "second")
    assert second.job["start"] != job.identity()["start"]
    assert second.weights != first.weights


@pytest.mark.parametrize(
    ("names", "init", "said"),
    [
        (("LABEL_0", "LABEL_1", "LABEL_2"), True, "calls its outputs LABEL_0, LABEL_1, LABEL_2"),
        (("true", "false"), True, "calls its outputs true, false"),
        (("true", "either", "false"), False, "is trained on labels already: give it as --init-from"),
    ],
)
def test_outputs_that_cannot_be_used(
    bert: Callable[..., Path], job: Job, tmp_path: Path, names: tuple[str, ...], init: bool, said: str
) -> None:
    model = str(bert("m", names=names))
    with pytest.raises(InputError, match=said):
        run(replace(job, model=model, init_from=model if init else None), tmp_path / "a")


def test_weights_that_are_not_there_are_not_made_up(bert: Callable[..., Path], job: Job, tmp_path: Path) -> None:
    safetensors = import_module("safetensors.torch")
    trained = bert("trained", names=("true", "either", "false"))
    kept = safetensors.load_file(trained / "model.safetensors")
    headless = {name: one for name, one in kept.items() if not name.startswith("classifier")}
    safetensors.save_file(headless, trained / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"lacks classifier\.bias"):
        run(replace(job, init_from=str(trained)), tmp_path / "a")
    bare = bert("bare")
    kept = safetensors.load_file(bare / "model.safetensors")
    safetensors.save_file(
        {k: v for k, v in kept.items() if "layer.1" not in k}, bare / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(InputError, match=r"lacks (bert\.)?encoder\.layer\.1"):
        run(replace(job, model=str(bare)), tmp_path / "b")


def test_models_that_cannot_be_loaded_are_one_line(job: Job, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "config.json").write_text("{")
    for model in ("no/such-model", str(tmp_path / "empty"), str(damaged)):
        with pytest.raises(InputError, match="cannot be loaded") as raised:
            run(replace(job, model=model), tmp_path / "a")
        assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match="is no folder"):
        run(replace(job, model="./absent"), tmp_path / "a")


def test_a_folder_of_another_training_is_left_alone(job: Job, tmp_path: Path) -> None:
    run(job, tmp_path / "a")
    before = (tmp_path / "a/training.json").read_bytes()
    with pytest.raises(PlanMismatchError, match=r"settings\.learning_rate is 0\.001 there and 0\.002 here"):
        run(replace(job, settings=replace(QUICK, learning_rate=2e-3)), tmp_path / "a")
    assert (tmp_path / "a/training.json").read_bytes() == before
    (tmp_path / "b").mkdir()
    (tmp_path / "b/thesis.tex").write_text("years of work")
    with pytest.raises(PlanMismatchError, match=r"holds 'thesis\.tex'"):
        run(job, tmp_path / "b")
    (tmp_path / "c").write_text("a file")
    with pytest.raises(StoreError, match="cannot be used"):
        run(job, tmp_path / "c")


def test_two_processes_do_not_share_a_folder(job: Job, tmp_path: Path) -> None:
    def nested(_: object) -> None:
        with pytest.raises(RunLockedError, match="another process trains into"):
            run(job, tmp_path / "a")

    run(job, tmp_path / "a", heard=nested)


class Stop(Exception):
    """Ends a training on its way."""


def stop(news: Any) -> None:
    if news.step > 3:
        raise Stop


def test_a_damaged_checkpoint_is_one_line(job: Job, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        run(job, tmp_path / "a", checkpoint_s=0, heard=stop)
    (tmp_path / "a/checkpoint.pt").write_bytes(b"PK garbage")
    with pytest.raises(InputError, match="delete it to begin anew"):
        run(job, tmp_path / "a")


def test_training_that_diverges_says_so(job: Job, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="training diverges"):
        run(replace(job, settings=replace(QUICK, learning_rate=1e30, epochs=20)), tmp_path / "a")


def test_long_pairs_and_shared_pairs_are_told(job: Job, tmp_path: Path) -> None:
    long = SoftItem("long", "rain " * 40, "snow", (0.2, 0.3, 0.5))
    dev = SoftLabels("dev", (*job.dev.items[:5], long))
    outcome = run(replace(job, dev=dev, test=dev), tmp_path / "a")
    assert outcome.notes == (
        "5 of 6 pairs of dev are among the training data",
        "5 of 6 pairs of test are among the training data",
        "6 of 6 pairs of test are among dev, by which the weights are chosen",
        "1 of 6 pairs of dev are cut to 16 tokens",
        "1 of 6 pairs of test are cut to 16 tokens",
    )
    with pytest.raises(InputError, match="--max-length 600 is more than the 512 tokens"):
        run(replace(job, settings=replace(QUICK, max_length=600)), tmp_path / "b")


def test_half_precision_trains_too(job: Job, tmp_path: Path) -> None:
    outcome = run(replace(job, precision="bf16"), tmp_path / "a")
    assert outcome.precision == "bf16"
    assert all(math.isfinite(value) for value in outcome.scores["dev"].values())
    if not import_module("torch").cuda.is_available():
        with pytest.raises(InputError, match="fp16 needs a GPU"):
            run(replace(job, precision="fp16"), tmp_path / "b")


def test_real_dev_and_test_and_anli_evaluate(real_data: Path, job: Job, tmp_path: Path) -> None:
    sources = import_module("partynli.finetune.sources")
    own = tmp_path / "own.jsonl"
    own.write_text(
        "".join(
            json.dumps({"uid": str(k), "context": "rain", "hypothesis": "snow", "label": "enc"[k % 3]}) + "\n"
            for k in range(9)
        )
    )
    started = time.monotonic()
    outcome = run(
        replace(
            job,
            train=None,
            dev=sources.load_source("chaosnli-dev"),
            test=sources.load_source("chaosnli-test"),
            anli=sources.load_anli(str(own)),
        ),
        tmp_path / "a",
        keeps_model=False,
    )
    assert time.monotonic() - started < 60
    assert [outcome.job["data"][name]["n"] for name in ("dev", "test", "anli own")] == [629, 629, 9]
    assert outcome.scores["anli own"]["weighted_f1"] == pytest.approx(1 / 6), "one text, one guess"
    assert outcome.steps == 0
    assert outcome.baseline == {}
    assert not (tmp_path / "a/model.safetensors").exists()


def test_every_figure_follows_from_the_stored_predictions(job: Job, tmp_path: Path) -> None:
    """The predictions by plain transformers, pair by pair, and the figures from the file, by hand."""
    torch, transformers = import_module("torch"), import_module("transformers")
    single = tuple(one._replace(p=one_hot(("true", "either", "false")[k % 3])) for k, one in enumerate(job.dev.items))
    folder = tmp_path / "a"
    outcome = run(replace(job, test=SoftLabels("single", single)), folder)
    lines = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    assert [(one["set"], one["uid"]) for one in lines] == [(s, i.uid) for s in ("dev", "test") for i in job.dev.items]
    assert all(one["labels"] == ["true", "either", "false"] for one in lines)
    q = np.array([one["q"] for one in lines[: len(single)]])
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        logits = [model(**tokenizer(*pair, return_tensors="pt")).logits[0].double() for pair in job.dev.pairs]
    np.testing.assert_allclose(q, torch.softmax(torch.stack(logits), -1).numpy(), atol=1e-6)
    for name, labels in (("dev", job.dev.p), ("test", np.array([one.p for one in single]))):
        found, gold = outcome.scores[name], labels.argmax(1)
        confidence, right = q.max(1), q.argmax(1) == gold
        bins = np.ceil(confidence * 15)
        ece = sum(abs(right[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean() for b in set(bins))
        assert found["cross_entropy"] == pytest.approx(-(labels * np.log(q)).sum(1).mean(), abs=1e-12)
        assert found["kl"] == pytest.approx(found["cross_entropy"] - np.mean(entropy(labels)), abs=1e-12)
        assert found["accuracy"] == pytest.approx(right.mean(), abs=1e-12)
        assert found["ece"] == pytest.approx(ece, abs=1e-12)
        assert found["dist_ce"] == pytest.approx(np.abs(labels - q).sum(1).mean() / 2, abs=1e-12)


@pytest.mark.parametrize("train", [True, False])
def test_weights_without_numbers_give_no_figures(
    bert: Callable[..., Path], job: Job, tmp_path: Path, train: bool
) -> None:
    """NaN for one word only: figures of the other pairs would pass for figures of all."""
    safetensors = import_module("safetensors.torch")
    damaged = bert("damaged")
    weights = safetensors.load_file(damaged / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][5] = math.nan  # the first of WORDS
    safetensors.save_file(weights, damaged / "model.safetensors", {"format": "pt"})
    own = job.train if train else None
    said = "the loss is nan at step 1" if train else "no numbers for 11 of 36 pairs: the model is damaged"
    with pytest.raises(InputError, match=said):
        run(replace(job, model=str(damaged), train=own), tmp_path / "a")
    assert read_outcome(tmp_path / "a") is None


def test_files_are_named_by_their_hashes(job: Job, tmp_path: Path) -> None:
    outcome = run(job, tmp_path / "a")
    names = {path.name for path in (tmp_path / "a").iterdir()} - {"README.md", "training.json", "predictions.jsonl"}
    assert outcome.files == {name: file_hash(tmp_path / "a" / name) for name in names}
    assert "model.safetensors" in outcome.files
    assert run(job, tmp_path / "b", keeps_model=False).files == {}


def test_another_device_on_the_way_is_told(job: Job, tmp_path: Path) -> None:
    torch = import_module("torch")
    with pytest.raises(Stop):
        run(job, tmp_path / "a", checkpoint_s=0, heard=stop)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        (*_, note) = run(job, tmp_path / "a").notes
    finally:
        torch.set_num_threads(threads)
    began, went_on = (f"cpu, {n} threads in fp32" for n in (threads, threads + 1))
    assert note == f"trained on {began}, then on {went_on}: another run of it gives other weights"


def test_a_gpu_that_is_not_there() -> None:
    if import_module("torch").cuda.is_available():
        pytest.skip("there is one")
    device = import_module("partynli.finetune.training.network")._device
    with pytest.raises(InputError, match=r"asks for GPU '7', and torch .* sees none"):
        device({"CUDA_VISIBLE_DEVICES": "7"})
    assert all(device({"CUDA_VISIBLE_DEVICES": no}).type == "cpu" for no in ("", "-1", "NoDevFiles"))
    assert device({}).type == "cpu"


def test_positions_that_begin_behind_the_padding(tiny_bert: Path, job: Job, tmp_path: Path) -> None:
    """RoBERTa's: of 20 positions 18 can be used."""
    transformers = import_module("transformers")
    folder = tmp_path / "roberta"
    config = transformers.RobertaConfig(
        vocab_size=200,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=20,
        type_vocab_size=2,
        pad_token_id=1,
    )
    transformers.RobertaModel(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((tiny_bert / name).read_bytes())
    long = SoftLabels("long", (SoftItem("long", "rain " * 40, "snow", (0.2, 0.3, 0.5)),))
    roberta = replace(job, model=str(folder), train=None, dev=long)
    with pytest.raises(InputError, match="--max-length 19 is more than the 18 tokens"):
        run(replace(roberta, settings=replace(QUICK, max_length=19)), tmp_path / "a")
    assert run(replace(roberta, settings=replace(QUICK, max_length=18)), tmp_path / "b").steps == 0


@pytest.fixture
def hub_cache(tiny_bert: Path, tmp_path: Path) -> Path:
    """The hub's cache, as its client writes it: ``ada/tiny`` at two commits, the first of them its main branch."""
    cache = tmp_path / "cache"
    refs = cache / "models--ada--tiny/refs"
    refs.mkdir(parents=True)
    for branch, letter in (("main", "a"), ("v2", "b")):
        (refs / branch).write_text(letter * 40)
        shutil.copytree(tiny_bert, refs.parent / "snapshots" / (letter * 40))
    return cache


def test_the_commit_of_a_model_at_the_hub(synthetic: SoftLabels, rows: Callable[..., Path], hub_cache: Path) -> None:
    """It is recorded, a training that was killed goes on from it when the branch has moved, and another one begins."""
    data, out = rows("synthetic.jsonl", synthetic), hub_cache.parent

    def start(out: Path, **given: Any) -> subprocess.Popen[str]:
        settings = asdict(replace(QUICK, epochs=4))
        asked = {"data": str(data), "model": "ada/tiny", "out": str(out), "checkpoint_s": 0, "pause": 0, **given}
        return subprocess.Popen(
            [sys.executable, "-c", KILLED, json.dumps({**asked, "settings": settings})],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"HF_HUB_CACHE": str(hub_cache)},
        )

    killed = start(out / "killed", pause=0.3)
    assert killed.stdout is not None
    next(line for line in killed.stdout if int(line) > 3)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    (hub_cache / "models--ada--tiny/refs/main").write_text("b" * 40)
    for name, letter in (("killed", "a"), ("new", "b")):
        seen, _ = start(out / name).communicate(timeout=60)
        assert ("3" in seen.split()) == (name == "new"), "whether it began anew"
        outcome = read_outcome(out / name)
        assert outcome is not None
        assert outcome.commit == letter * 40
        assert outcome.job["start"] == "ada/tiny"
        card = (out / name / "README.md").read_text()
        assert f"Started from ada/tiny, commit `{letter * 40}`" in card
        assert "base_model: ada/tiny\n" in card
