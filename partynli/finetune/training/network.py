"""A transformer with three outputs: loaded, read in our order of labels, and asked for distributions."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from partynli.errors import InputError
from partynli.finetune.settings import Precision
from partynli.finetune.softlabels import NLI_NAMES
from partynli.labels import LABELS

transformers.logging.set_verbosity_error()  # it warns of the new outputs that are meant to be new
transformers.logging.disable_progress_bar()

_EVALUATION_BATCH = 64
_SNAPSHOT = re.compile(r"/snapshots/([0-9a-f]{40})/")
"""Where the hub's cache holds a commit."""
_NO_GPU = ("", "-1", "none", "nodevfiles")
"""Values of ``CUDA_VISIBLE_DEVICES`` that ask for the processor, in lower case; the last is a cluster's."""
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

Pairs = Sequence[tuple[str, str]]


class Network:
    """A model and its tokenizer.

    Parameters
    ----------
    start
        Name on the hub, or folder.
    is_trained
        Whether it has outputs for the three labels already; otherwise they are made, from `seed`.
    seed
        Of new outputs and of dropout.
    max_length
        Most tokens of a pair.
    precision
        How it computes; None for what the device does best.
    revision
        Branch, tag or commit at the hub; None for the main branch.

    Attributes
    ----------
    commit
        What the revision stood for when it was loaded; None for a folder.

    Raises
    ------
    InputError
        It cannot be loaded, is no encoder, or does not say which of its outputs is which label; or a GPU is asked for
        that torch does not see.
    """

    def __init__(
        self,
        start: str,
        *,
        is_trained: bool,
        seed: int,
        max_length: int,
        precision: Precision | None,
        revision: str | None = None,
    ) -> None:
        self.device = _device(os.environ)
        self.precision = _precision(precision, self.device)
        self._max_length = max_length
        torch.manual_seed(seed)
        with _one_line(start if revision is None else f"{start}@{revision}"):
            self.commit = _commit(start, revision)
            # all files of one commit, and no code of theirs: a question about it would wait for an answer
            given = {"revision": self.commit or "main", "trust_remote_code": False}
            config = transformers.AutoConfig.from_pretrained(start, **given)
            had_outputs = any(str(one).endswith("ForSequenceClassification") for one in config.architectures or ())
            if is_trained:
                self._columns = _columns(config, start)
            elif had_outputs:
                raise InputError(
                    f"{start} is trained on labels already: give it as --init-from, and --model for its base"
                )
            else:
                self._columns = list(range(len(LABELS)))
                config.num_labels = len(LABELS)
                config.id2label, config.label2id = dict(enumerate(LABELS)), {one: k for k, one in enumerate(LABELS)}
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(start, **given)
            self.model, loaded = transformers.AutoModelForSequenceClassification.from_pretrained(
                start, config=config, output_loading_info=True, **given
            )
        _check_weights(start, self.model, loaded, is_trained)
        self._check_tokens(start, config)
        self.model.float().to(self.device)

    def _check_tokens(self, start: str, config: Any) -> None:
        if self.tokenizer.pad_token is None:
            raise InputError(f"{start} has no padding token; choose an encoder, as bert-base-uncased is one")
        most = min(self.tokenizer.model_max_length, _n_positions(self.model, config) or self._max_length)
        if self._max_length > most:
            raise InputError(f"--max-length {self._max_length} is more than the {most} tokens that {start} can take")

    def logits(self, pairs: Pairs) -> torch.Tensor:
        """(n, 3) scores of pairs, in the order of `LABELS`, in single precision; gradients are kept."""
        tokens = self.tokenizer(
            [premise for premise, _ in pairs],
            [hypothesis for _, hypothesis in pairs],
            truncation=True,
            max_length=self._max_length,
            padding=True,
            return_tensors="pt",
        ).to(self.device)
        with self._autocast():
            found: torch.Tensor = self.model(**tokens).logits
        return found[:, self._columns].float()

    def _autocast(self) -> AbstractContextManager[Any]:
        dtype = _DTYPES[self.precision]
        context: AbstractContextManager[Any] = torch.autocast(
            self.device.type, dtype=dtype, enabled=self.precision != "fp32"
        )
        return context

    def predict(self, pairs: Pairs) -> NDArray[np.float64]:
        """(n, 3) distributions of pairs, in the order of `LABELS`.

        Raises
        ------
        InputError
            The weights give no numbers: every figure of what is left would be of other pairs.
        """
        self.model.eval()
        # pairs of like length together: less padding to compute
        order = np.argsort([len(premise) + len(hypothesis) for premise, hypothesis in pairs], kind="stable")
        found = np.empty((len(pairs), len(LABELS)))
        with torch.no_grad():
            for first in range(0, len(order), _EVALUATION_BATCH):
                part = order[first : first + _EVALUATION_BATCH]
                logits = self.logits([pairs[k] for k in part]).double()
                found[part] = torch.softmax(logits, -1).cpu().numpy()
        if n := int((~np.isfinite(found).all(1)).sum()):
            raise InputError(
                f"the weights give no numbers for {n:,} of {len(pairs):,} pairs: the model is damaged, or training "
                "diverged; see its weights, or use a smaller --learning-rate"
            )
        return found

    def n_truncated(self, pairs: Pairs) -> int:
        """How many pairs are longer than `max_length`."""
        n = 0
        for first in range(0, len(pairs), 1000):
            part = pairs[first : first + 1000]
            tokens = self.tokenizer([a for a, _ in part], [b for _, b in part], return_attention_mask=False)
            n += sum(len(ids) > self._max_length for ids in tokens["input_ids"])
        return n

    def save(self, folder: Path) -> None:
        """Write weights, configuration and tokenizer."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def hash(self) -> str:
        """Names the weights."""
        seen = hashlib.sha256()
        for name, tensor in sorted(self.model.state_dict().items()):
            seen.update(f"{name}\0{tuple(tensor.shape)}\0".encode())
            seen.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return f"sha256:{seen.hexdigest()}"


def _device(environ: Mapping[str, str]) -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    asked = environ.get("CUDA_VISIBLE_DEVICES", "").strip()
    if asked.lower() not in _NO_GPU:
        raise InputError(
            f"CUDA_VISIBLE_DEVICES asks for GPU {asked[:40]!r}, and torch {torch.__version__} sees none; "
            "CUDA_VISIBLE_DEVICES= trains on the processor"
        )
    return torch.device("cpu")


def _commit(start: str, revision: str | None) -> str | None:
    """The commit at the hub that a name stands for; None for a folder."""
    if Path(start).is_dir():
        return None
    file = transformers.utils.cached_file(start, "config.json", revision=revision or "main")
    found = _SNAPSHOT.search(Path(file).as_posix())
    return found and found[1]


def _n_positions(model: Any, config: Any) -> int | None:
    """How many tokens a model has positions for; None where it does not say. RoBERTa's begin behind its padding."""
    n: int | None = getattr(config, "max_position_embeddings", None)
    for name, module in model.named_modules():
        padding: int | None = getattr(module, "padding_idx", None)
        if n is not None and padding is not None and name.endswith("position_embeddings"):
            return n - padding - 1
    return n


def _precision(wanted: Precision | None, device: torch.device) -> Precision:
    if wanted is not None:
        if wanted == "fp16" and device.type == "cpu":
            raise InputError("--precision fp16 needs a GPU; a processor computes in fp32, or in bf16")
        return wanted
    if device.type == "cpu":
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported() else "fp16"


def _columns(config: Any, start: str) -> list[int]:
    """Which output is which label, in the order of `LABELS`, by the names that the model gives them."""
    found = {NLI_NAMES.get(str(name).lower()): int(k) for k, name in config.id2label.items()}
    if len(config.id2label) != len(LABELS) or set(found) != set(LABELS):
        names = ", ".join(str(one)[:20] for one in list(config.id2label.values())[:5])
        raise InputError(
            f"{start} calls its outputs {names}, which does not tell entailment, neutral and contradiction; name them "
            "in id2label of its config.json"
        )
    return [found[label] for label in LABELS]


def _check_weights(start: str, model: Any, loaded: Any, is_trained: bool) -> None:
    """Refuse weights that were not in the files, other than those of new outputs."""
    prefix = f"{model.base_model_prefix}."  # which some versions leave out of the names they report
    body = {name.removeprefix(prefix) for name in model.state_dict() if name.startswith(prefix)}
    missing = sorted(
        name
        for name in loaded["missing_keys"]
        if is_trained or (name.removeprefix(prefix) in body and "pooler." not in name)
    )
    if missing or loaded["mismatched_keys"]:
        what = f"lacks {missing[0]}" if missing else "has weights of other shapes"
        raise InputError(f"{start} {what}; it is not the whole of a model of this kind")


@contextmanager
def _one_line(start: str) -> Iterator[None]:
    """Loading errors, of which each version of the libraries has its own, as one line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"the model {start!r} cannot be loaded: {why}; check the name, or give its folder") from None
