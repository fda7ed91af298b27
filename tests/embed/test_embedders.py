"""Embedders: how they are named, tf-idf, and a server on loopback with its faults."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from partynli.embed import embedder_for
from partynli.embed.base import Reading
from partynli.embed.openai_compatible import BATCH, KEY, ServerEmbedder
from partynli.embed.tags import can_tag, tagged
from partynli.errors import InputError

has_sentence_transformers = importlib.util.find_spec("sentence_transformers") is not None


def test_tfidf_is_scikit_learns():
    found = embedder_for("tfidf").embed(["a man walks", "a man sits"]).toarray()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, rtol=1e-6)
    once, twice = 1 + np.log(3 / 2), 1.0  # smooth idf of words that stand in one of two texts, and in both
    assert found[0] @ found[1] == pytest.approx(
        2 * twice / (2 * twice + once**2), rel=1e-6
    )  # one letter is a word, too


def test_tfidf_reads_what_is_left_of_a_text_and_cannot_be_kept():
    assert embedder_for("tfidf").reading == Reading(delexicalised=True, alone=False)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "names no embedder"),
        (" e5", "names no embedder"),
        (":minus-item", "names no embedder"),
        ("tfidf:minus-item", "leave out"),
        ("http://127.0.0.1:1/v1", "names no server and model"),
        ("http://#m", "names no server and model"),
        ("http://[::1/v1#m", "names no server and model"),
        ("https://me:secret@host/v1#m", "names no server and model"),
    ],
)
def test_names_that_name_nothing(given, why):
    with pytest.raises(InputError, match=why) as raised:
        embedder_for(given, {})
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(has_sentence_transformers, reason="the extra `embed` is installed")
@pytest.mark.parametrize("given", ["e5", "style", "some/model"])
def test_a_missing_library_is_said_with_the_way_to_it(given):
    with pytest.raises(InputError, match=r"pip install 'partynli\[embed\]'"):
        embedder_for(given, {})


def test_vectors_come_in_the_order_of_the_texts(embeddings):
    texts = [f"text {'a' * (k % 7)}{'o' * (k % 5)}" for k in range(3 * BATCH + 5)]
    embedder = embedder_for(f"{embeddings.url}#letters", {})
    found = embedder.embed(texts)
    assert found.dtype == np.float32
    assert found.shape == (len(texts), 6)
    np.testing.assert_array_equal(found[:, 0], [text.count("a") for text in texts])
    np.testing.assert_array_equal(found[:, 3], [text.count("o") for text in texts])
    assert sorted(map(len, (call["input"] for call in embeddings.calls))) == [5, BATCH, BATCH, BATCH]
    assert {call["model"] for call in embeddings.calls} == {"letters"}
    assert embedder.name == f"{embeddings.url}#letters"


def test_e5_is_asked_after_its_prefix(embeddings):
    embedder_for(f"{embeddings.url}#intfloat/multilingual-e5-small", {}).embed(["It rains."])
    embedder_for(f"{embeddings.url}#all-minilm", {}).embed(["It rains."])
    assert embeddings.texts == ["query: It rains.", "It rains."]


def test_the_address_may_be_that_of_the_call(embeddings):
    assert embedder_for(f"{embeddings.url}/embeddings#m", {}).embed(["a"]).shape == (1, 6)


def test_the_key_is_sent_and_told_to_nobody(embeddings):
    embeddings.key = "sk-secret"
    assert embedder_for(f"{embeddings.url}#m", {KEY: "sk-secret\n"}).embed(["a"]).shape == (1, 6)
    with pytest.raises(InputError, match="HTTP 401") as raised:
        embedder_for(f"{embeddings.url}#m", {KEY: "sk-wrong", "OPENAI_API_KEY": "sk-other"}).embed(["a"])
    assert "sk-wrong" not in str(raised.value)
    with pytest.raises(InputError, match=f"HTTP 401: wrong key None; set {KEY}"):
        embedder_for(f"{embeddings.url}#m", {"OPENAI_API_KEY": "sk-secret"}).embed(["a"])


def test_passing_failures_are_tried_again(embeddings):
    embeddings.failures = [(503, {}, "busy"), (429, {"Retry-After": "0"}, "slow down"), (500, {}, "oops")]
    embedder = ServerEmbedder(f"{embeddings.url}#m", Reading(), {}, longest_wait=0.01)
    assert embedder.embed(["a"])[0, 0] == 1.0
    assert embeddings.failures == []


def test_a_server_that_stays_down_is_given_up(embeddings):
    embeddings.failures = [(503, {}, "busy")] * 20
    with pytest.raises(InputError, match="HTTP 503, 6 times in a row"):
        ServerEmbedder(f"{embeddings.url}#m", Reading(), {}, longest_wait=0.01).embed(["a"])
    assert len(embeddings.failures) == 14


def test_nobody_there():
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9.* 6 times in a row") as raised:
        ServerEmbedder("http://127.0.0.1:9/v1#m", Reading(), {}, longest_wait=0.01).embed(["a"])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("status", [400, 404, 422])
def test_what_cannot_succeed_is_asked_once(embeddings, status):
    embeddings.failures = [(status, {}, "no\nsuch model" + "!" * 500)] * 2
    with pytest.raises(InputError, match=f"HTTP {status}: no such model") as raised:
        embedder_for(f"{embeddings.url}#m", {}).embed(["a"])
    assert len(embeddings.failures) == 1
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("<html>", "no embeddings in OpenAI's form"),
        ("[]", "no embeddings in OpenAI's form"),
        ('{"data": [{"index": 0}, {"index": 1}]}', "no embeddings in OpenAI's form"),
        ('{"data": []}', "gave 0 vectors for 2 texts"),
        ('{"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]}', "gave 2 vectors for 2 texts"),
        ('{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1, 2]}]}', "no embeddings in"),
        ('{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [NaN]}]}', "no finite numbers"),
        ('{"data": [{"index": 0, "embedding": []}, {"index": 1, "embedding": []}]}', "empty"),
    ],
)
def test_answers_that_are_no_vectors(embeddings, body, why):
    embeddings.body = body
    with pytest.raises(InputError, match=why):
        embedder_for(f"{embeddings.url}#m", {}).embed(["a", "b"])


def test_tags():
    if not can_tag():
        pytest.skip("needs the extra `pos`")
    assert tagged(["The dogs bark, don’t they?", ""]) == [["DT", "NNS", "NN", ",", "VBP", "RB", "PRP", "."], []]
