"""Models of the sentence-transformers library, by hub name or from a folder. Needs the extra ``embed``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partynli.embed.base import Reading, prefixed
from partynli.errors import InputError

_BATCH = 32


class SentenceEmbedder:
    """One model; it is loaded when the first text is embedded, and not at all where all vectors are kept already.

    Parameters
    ----------
    model
        Name on the hub, or a folder.
    reading
        What is done with its vectors.

    Raises
    ------
    InputError
        The library is not installed, or what looks like a folder is none.
    """

    def __init__(self, model: str, reading: Reading) -> None:
        if find_spec("sentence_transformers") is None:
            raise InputError(
                f"--embedder {model!r} needs sentence-transformers: pip install 'partynli[embed]'; "
                "or use tfidf, or a server as URL#MODEL"
            )
        self._model = model
        self.reading = reading
        folder = Path(model).expanduser()
        if folder.is_dir():
            self._model = str(folder.resolve())
            self.name = f"{folder.resolve().name}@{_mark(folder)}"
        elif model.startswith((".", "~", os.sep)):
            raise InputError(f"--embedder {model!r} is no folder; give that of a model, or its name on the hub")
        else:
            self.name = model

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts; see `partynli.embed.base.Embedder.embed`."""
        encoded = self._loaded.encode(
            prefixed(self._model, texts), batch_size=_BATCH, show_progress_bar=False, convert_to_numpy=True
        )
        return np.asarray(encoded, dtype=np.float32)

    @cached_property
    def _loaded(self) -> Any:
        try:
            # here, where the library is needed: with torch below it, it takes seconds
            return import_module("sentence_transformers").SentenceTransformer(self._model)
        except Exception as error:  # each version of the hub's client has errors of its own
            why = " ".join(str(error).split())[:200] or type(error).__name__
            raise InputError(
                f"--embedder {self._model!r} cannot be loaded: {why}; check the name, or give a model's folder"
            ) from None


def _mark(folder: Path) -> str:
    """Names what a folder holds, so that vectors of another model in the same place are not taken for its own."""
    seen = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        state = file.stat()
        seen.update(f"{file.relative_to(folder)}\0{state.st_size}\0{state.st_mtime_ns}\0".encode())
    return seen.hexdigest()[:12]
