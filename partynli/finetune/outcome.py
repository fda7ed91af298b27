"""What came of a training: ``training.json`` in its folder, and figures over several seeds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scipy.stats import t as student_t

from partynli.errors import InputError
from partynli.finetune.scores import Scores

NAME = "training.json"
SCHEMA = 1
_LEVEL = 0.95
_KEPT = ("job", "steps", "best_step", "weights", "versions", "device", "precision")
"""Keys that are read as they were written."""
_IN_A_JOB = frozenset(("model", "start", "seed", "data"))


@dataclass(frozen=True)
class Evaluation:
    """One look at dev during training."""

    step: int
    loss: float
    """Mean training loss since the look before."""
    scores: Scores


@dataclass(frozen=True)
class Heard:
    """What is told of a training on its way, at each evaluation."""

    step: int
    steps: int
    evaluation: Evaluation


@dataclass(frozen=True)
class Outcome:
    """A finished training, or the evaluation of a model as it is."""

    job: Mapping[str, Any]
    """What was trained: `Job.identity`."""
    steps: int
    best_step: int | None
    """The step whose weights were kept; None without training."""
    history: tuple[Evaluation, ...]
    scores: Mapping[str, Scores]
    """By set: ``dev``, ``test``, ``anli R1`` ..."""
    baseline: Mapping[str, Scores]
    """The same of the mean training distribution for every item; empty without training."""
    notes: tuple[str, ...]
    weights: str
    """Hash of the weights."""
    versions: Mapping[str, str]
    device: str
    precision: str
    commit: str | None = None
    """Commit of the starting model at the hub; None for a folder, whose content is in `job`."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Hash of each file of the kept model; empty where none was kept."""

    @property
    def seed(self) -> int:
        """Seed of the training."""
        seed: int = self.job["seed"]
        return seed

    def to_json(self) -> str:
        """The text of ``training.json``; undefined figures are null."""
        return json.dumps(_nulls({"schema": SCHEMA, **asdict(self)}), indent=1, ensure_ascii=False, allow_nan=False)


def read_outcome(folder: Path) -> Outcome | None:
    """The outcome that a folder holds; None where the training is not finished.

    Raises
    ------
    InputError
        ``training.json`` cannot be read or is none.
    """
    path = folder / NAME
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["schema"] != SCHEMA:
            raise ValueError(f"schema {stored['schema']}, and this partynli reads {SCHEMA}")
        if not isinstance(stored["job"], dict) or not stored["job"].keys() >= _IN_A_JOB:
            raise ValueError(f"its job is none with {', '.join(sorted(_IN_A_JOB))}")
        history = tuple(Evaluation(one["step"], _nan(one["loss"]), _scores(one["scores"])) for one in stored["history"])
        kept: dict[str, Any] = {key: stored[key] for key in _KEPT}
        for key in ("scores", "baseline"):
            kept[key] = {name: _scores(one) for name, one in stored[key].items()}
        kept |= {"commit": stored.get("commit"), "files": dict(stored.get("files", {}))}
        return Outcome(**kept, history=history, notes=tuple(stored["notes"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())[:100]
        raise InputError(f"{path} cannot be read as the outcome of a training ({why}); move the folder away") from None


def _scores(stored: Mapping[str, float | None]) -> Scores:
    return {name: _nan(value) for name, value in stored.items()}


def _nan(value: float | None) -> float:
    return math.nan if value is None else value


def _nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _nulls(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_nulls(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True)
class Spread:
    """A figure over seeds."""

    mean: float
    low: float
    high: float
    """Student's 95 % interval of the mean over seeds: how much the draw of order, dropout and new weights matters, and
    nothing about items. NaN with one seed."""
    n: int


def over_seeds(values: Sequence[float]) -> Spread:
    """Mean and interval over seeds; NaN where one of them is.

    >>> spread = over_seeds([1.0, 2.0, 3.0])
    >>> spread.mean, round(spread.low, 3), round(spread.high, 3)
    (2.0, -0.484, 4.484)
    """
    n = len(values)
    mean = math.fsum(values) / n if n else math.nan
    if n < 2 or math.isnan(mean):
        return Spread(mean, math.nan, math.nan, n)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    half = float(student_t.ppf((1 + _LEVEL) / 2, n - 1)) * math.sqrt(variance / n)
    return Spread(mean, mean - half, mean + half, n)
