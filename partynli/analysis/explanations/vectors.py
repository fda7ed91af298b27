"""Vectors of explanations, those that the run keeps taken from there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from partynli.analysis.explanations.texts import Explanations
from partynli.embed import Embedder, Vectors
from partynli.errors import InputError, RunError
from partynli.hashing import text_hash
from partynli.store.embeddings import KeptVectors

_AT_ONCE = 512
"""Texts that are embedded before their vectors are kept; a stop loses no more than these."""


class Heard(Protocol):
    """Is told how far the work is."""

    def __call__(self, embedder: str, done: int, total: int) -> None: ...


def embedded(
    explanations: Explanations,
    embedder: Embedder,
    kept: KeptVectors | None = None,
    *,
    heard: Heard | None = None,
    warn: Callable[[str], None] | None = None,
) -> Vectors:
    """Embed all explanations of which something is left.

    Parameters
    ----------
    explanations
        N of them.
    embedder
        From `partynli.embed.embedder_for`.
    kept
        Vectors that the run keeps. None to embed everything anew.
    heard
        Is told how far the work is.
    warn
        Is told, once, where vectors cannot be kept.

    Returns
    -------
    numpy.ndarray or scipy.sparse.csr_matrix
        (N, d); rows of texts of which nothing is left are zero, and are not to be used.

    Raises
    ------
    InputError
        The embedder failed, or gave vectors of another length than those that are kept.
    """
    said = np.flatnonzero(explanations.is_said)
    if not len(said):
        raise InputError("no explanation is left once quotations are taken out: there is nothing to embed")
    reading = embedder.reading
    texts = [" ".join(explanations.words[row]) if reading.delexicalised else explanations.texts[row] for row in said]
    n = len(explanations.texts)
    if not reading.alone:
        places = csr_matrix((np.ones(len(said)), (said, np.arange(len(said)))), shape=(n, len(said)))
        return csr_matrix(places @ csr_matrix(embedder.embed(texts)))
    items = list(explanations.item_texts) if reading.minus_item else []
    different = list(dict.fromkeys([*texts, *items]))
    vectors = _kept_or_new(different, embedder, kept, heard, warn)
    at = {text: number for number, text in enumerate(different)}
    found = np.zeros((n, vectors.shape[1]), dtype=np.float32)
    found[said] = vectors[[at[text] for text in texts]]
    if items:
        found[said] -= vectors[[at[text] for text in items]][explanations.item[said]]
    return found


def _kept_or_new(
    texts: Sequence[str],
    embedder: Embedder,
    kept: KeptVectors | None,
    heard: Heard | None,
    warn: Callable[[str], None] | None,
) -> NDArray[np.float32]:
    """(n, d) vectors of different texts; what is not kept yet is embedded and kept, some texts at a time."""
    names = [text_hash(text) for text in texts]
    found = {
        name: np.frombuffer(raw, dtype="<f4") for name, raw in (kept.get(embedder.name, names) if kept else {}).items()
    }
    missing = [number for number, name in enumerate(names) if name not in found]
    for start in range(0, len(missing), _AT_ONCE):
        some = missing[start : start + _AT_ONCE]
        new = np.asarray(embedder.embed([texts[number] for number in some]), dtype="<f4")
        fresh = {names[number]: vector for number, vector in zip(some, new, strict=True)}
        found |= fresh
        if kept is not None:
            try:
                kept.put(embedder.name, {name: vector.tobytes() for name, vector in fresh.items()})
            except RunError as error:
                kept = None
                if warn is not None:
                    warn(f"vectors of {embedder.name} are not kept, and will be computed again: {error}")
        if heard is not None:
            heard(embedder.name, min(start + _AT_ONCE, len(missing)), len(missing))
    if len({len(vector) for vector in found.values()}) > 1:
        raise InputError(
            f"--embedder {embedder.name}: its vectors have another length than those that the run keeps under this "
            "name; another model answers to it now"
        )
    return np.array([found[name] for name in names], dtype=np.float32)
