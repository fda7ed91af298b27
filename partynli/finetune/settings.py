"""How a model is trained, and on what: everything that can change its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from partynli.finetune.folders import mark_of, name_of
from partynli.finetune.softlabels import SoftLabels

Loss = Literal["cross_entropy", "kl"]
Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class Settings:
    """Settings of a training; the defaults are those of Chen et al. (2024, 2025) for soft labels."""

    loss: Loss = "cross_entropy"
    learning_rate: float = 2e-5
    """Falls linearly to 0, without a warm-up."""
    batch_size: int = 4
    epochs: int = 5
    evaluate_every: int = 20
    """Steps between two evaluations on dev; there is one after the last step, too."""
    select_by: str = "macro_f1"
    """The figure on dev by which the best weights are chosen; of equal ones the first."""
    patience: int | None = None
    """Evaluations without a better one after which training stops; None for never."""
    max_length: int = 128
    """Tokens of a pair; the longer of the two texts is cut first."""


PRETRAINING = Settings(batch_size=32, epochs=3, evaluate_every=100, select_by="accuracy")
"""Chen et al.'s settings for the starting checkpoint on MNLI."""


@dataclass(frozen=True, eq=False)
class Job:
    """One training and its evaluation; without `train`, the evaluation of a model as it is."""

    model: str
    """Name on the hub, or folder, of the pretrained model."""
    init_from: str | None
    """Folder or name of a checkpoint of it that is trained on the three labels already."""
    train: SoftLabels | None
    dev: SoftLabels
    test: SoftLabels | None
    anli: Mapping[str, SoftLabels] = field(default_factory=dict)
    settings: Settings = Settings()
    seed: int = 0
    precision: Precision | None = None
    """None for bf16 or fp16 on a GPU, whichever it has, and fp32 on a processor."""
    revision: str | None = None
    """Branch, tag or commit of `start` at the hub; None for its main branch."""

    @property
    def start(self) -> str:
        """What is loaded."""
        return self.init_from or self.model

    @property
    def tests(self) -> dict[str, SoftLabels]:
        """All sets that the model is evaluated on, by name."""
        test = {} if self.test is None else {"test": self.test}
        return {"dev": self.dev, **test, **{f"anli {name}": labels for name, labels in self.anli.items()}}

    def identity(self) -> dict[str, Any]:
        """What makes this another training.

        Raises
        ------
        InputError
            The model looks like a folder and is none, or is one and has a revision.
        """
        data = {**({} if self.train is None else {"train": self.train}), **self.tests}
        settings = {} if self.train is None else asdict(self.settings)
        return {
            "model": name_of(self.model),
            "start": mark_of(self.start, self.revision),
            "data": {name: {"name": one.name, "n": len(one), "hash": one.hash} for name, one in data.items()},
            "settings": {**settings, "max_length": self.settings.max_length},
            "seed": self.seed,
            "precision": self.precision or "auto",
        }
