"""A tiny BERT made on the spot, files of soft labels, and a task whose best cross-entropy is known."""

from __future__ import annotations

import json
import os
import string
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from partynli.finetune.softlabels import SoftItem, SoftLabels

if find_spec("torch"):  # elsewhere the tests of the hub run beside, and the client reads this when it is imported
    os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"  # threads wait for each other longer than such models compute
DATA = Path(os.environ.get("PARTYNLI_DATA") or Path(__file__).parents[3] / "shared/data")
WORDS = ("rain", "snow", "wind", "sun", "dog", "cat")


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def rows_of(labels: SoftLabels) -> list[dict[str, object]]:
    names = ["true", "either", "false"]
    return [
        {"uid": one.uid, "premise": one.premise, "hypothesis": one.hypothesis, "labels": names, "p": list(one.p)}
        for one in labels.items
    ]


@pytest.fixture
def real_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    if not (DATA / "chaosnli_soft").is_dir():
        pytest.skip("the data are not under PARTYNLI_DATA nor under ../shared/data")
    monkeypatch.setenv("PARTYNLI_DATA", str(DATA))
    return DATA


@pytest.fixture(scope="session")
def synthetic() -> SoftLabels:
    """36 pairs of two words; the first word decides the distribution."""
    rng = np.random.default_rng(3)
    p = {word: rng.dirichlet([1.5, 1.5, 1.5]) for word in WORDS}
    items = [
        SoftItem(f"s{k}", first, second, tuple(p[first].tolist()))
        for k, (first, second) in enumerate(product(WORDS, WORDS))
    ]
    return SoftLabels("synthetic", tuple(items))


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers with random weights and a tokenizer of its own."""
    return make_bert(tmp_path_factory.mktemp("models") / "tiny-bert")


def make_bert(folder: Path, *, seed: int = 0, names: tuple[str, ...] = ()) -> Path:
    torch, transformers = import_module("torch"), import_module("transformers")
    folder.mkdir(parents=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *string.ascii_lowercase]
    vocabulary += [f"##{letter}" for letter in string.ascii_lowercase]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    torch.manual_seed(seed)
    given = {"id2label": dict(enumerate(names))} if names else {}
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        **given,
    )
    kind = transformers.BertForSequenceClassification if names else transformers.BertModel
    kind(config).save_pretrained(folder)
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


@pytest.fixture
def bert(tmp_path: Path) -> Callable[..., Path]:
    """Make further ones."""

    def make(name: str, **given: object) -> Path:
        return make_bert(tmp_path / "models" / name, **given)  # type: ignore[arg-type]

    return make


@pytest.fixture
def rows(tmp_path: Path) -> Callable[..., Path]:
    """Write soft labels as a file."""

    def write(name: str, labels: SoftLabels) -> Path:
        return write_rows(tmp_path / name, rows_of(labels))

    return write
