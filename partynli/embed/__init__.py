"""Texts as vectors: built-in tf-idf, sentence-transformers, or any server with OpenAI's ``/v1/embeddings``.

A module is imported when its embedder is chosen: scikit-learn takes a second, sentence-transformers many.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module

from partynli.embed.base import Embedder, Reading, Vectors, title_of
from partynli.errors import InputError

MODELS: Mapping[str, str] = {"e5": "intfloat/multilingual-e5-large", "style": "StyleDistance/styledistance"}
"""Models of Kulmizev et al. (2026) by their short names. Their paper names E5's family and not its size."""
MINUS_ITEM = ":minus-item"
"""End of an embedder's name that asks for the item's own vector to be subtracted; it always is for ``e5``."""


def embedder_for(given: str, environ: Mapping[str, str] = os.environ) -> Embedder:
    """An embedder by its name.

    Parameters
    ----------
    given
        ``tfidf``; ``e5`` or ``style``; a model of sentence-transformers by its hub name or its folder; or the address
        of a server and its model, ``https://api.openai.com/v1#text-embedding-3-small``. With ``:minus-item`` behind
        the last two, the vector of the item's texts is subtracted.
    environ
        Where a server's key is read from, and nowhere else.

    Raises
    ------
    InputError
        The name cannot be one, or what it needs is not installed.

    Examples
    --------
    >>> embedder_for("http://127.0.0.1:8000/v1#all-minilm:minus-item", {}).reading.minus_item
    True
    """
    model = given.removesuffix(MINUS_ITEM)
    if not model.strip() or model != model.strip():
        raise InputError(f"--embedder {given!r} names no embedder; give tfidf, e5, style, a model or URL#MODEL")
    if model == "tfidf":
        if given != model:
            raise InputError("--embedder tfidf reads texts without quotations already; leave out :minus-item")
        return _made("partynli.embed.tfidf", "TfidfEmbedder")
    reading = Reading(minus_item=given != model or model == "e5")
    if model.startswith(("http://", "https://")):
        return _made("partynli.embed.openai_compatible", "ServerEmbedder", model, reading, environ)
    return _made("partynli.embed.sentence_transformers", "SentenceEmbedder", MODELS.get(model, model), reading)


def _made(module: str, name: str, *given: object) -> Embedder:
    made: Embedder = getattr(import_module(module), name)(*given)
    return made


__all__ = ["MINUS_ITEM", "MODELS", "Embedder", "Reading", "Vectors", "embedder_for", "title_of"]
