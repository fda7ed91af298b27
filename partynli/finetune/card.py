"""The model card: what the model was made of, by which settings, and what it reaches. The same job, the same card."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from partynli.finetune.outcome import Outcome
from partynli.labels import LABELS
from partynli.markdown import escape

CARD = "README.md"
_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_FIGURES = {
    "weighted_f1": "weighted F1",
    "accuracy": "accuracy",
    "kl": "KL (nats)",
    "cross_entropy": "cross-entropy (nats)",
    "ece": "ECE",
    "entropy_correlation": "entropy correlation",
}


def card(outcome: Outcome, licence: str | None = None) -> str:
    """``README.md`` of a trained model; `licence` is an id of the Hub's, None while nothing is said."""
    job = outcome.job
    name = str(job["model"])
    about: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "language": "en",
        "tags": ["natural-language-inference", "human-label-variation", "soft-labels", "partynli"],
    }
    if licence is not None:
        about["license"] = licence
    if _HUB_NAME.fullmatch(name) and str(job["start"]).partition("@")[0] == name:
        about["base_model"] = name
    front = yaml.safe_dump(about, sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n" + "\n\n".join(_body(outcome, name)) + "\n"


def _body(outcome: Outcome, name: str) -> Iterator[str]:
    job = outcome.job
    train = job["data"]["train"]
    yield f"# {escape(name)}, trained on {escape(train['name'])}"
    yield (
        f"Predicts how people's judgments of a premise and hypothesis pair are distributed over {', '.join(LABELS)} "
        "(entailment, neutral, contradiction), as its outputs are named in `config.json`. Trained by "
        "`partynli finetune`; `training.json` holds everything that was set and measured."
    )
    yield "## Training data"
    yield "\n".join(_data_lines(job["data"]))
    yield "Terms of use are those of the data and of the pretrained model."
    yield "## Training"
    settings = {**job["settings"], "seed": job["seed"], "precision": outcome.precision}
    shown = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in settings.items() if value is not None)
    commit = "" if outcome.commit is None else f", commit `{escape(outcome.commit)}`"
    yield f"Started from {escape(str(job['start']))}{commit}. Settings: {escape(shown)}."
    yield (
        f"{outcome.steps:,} steps; the weights are those of step {outcome.best_step:,}, the best on dev by "
        f"{escape(str(job['settings']['select_by']))}. Weights: `{outcome.weights}`."
    )
    yield "## Figures"
    yield "\n".join(_figure_lines(outcome))
    yield (
        "*training mean* predicts the mean of the training distributions for every pair. F1 and accuracy are on the "
        "majority label, ties to the first of the labels as listed above. KL is a mean over items, without clipping."
    )
    if outcome.notes:
        yield "\n".join(f"- {escape(note)}" for note in outcome.notes)


def _data_lines(data: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "| set | what | pairs | content hash |"
    yield "|---|---|---:|---|"
    for name, one in data.items():
        yield f"| {escape(name)} | {escape(str(one['name']))} | {one['n']:,} | `{one['hash']}` |"


def _figure_lines(outcome: Outcome) -> Iterator[str]:
    yield f"| set | {' | '.join(_FIGURES.values())} |"
    yield f"|---|{'---:|' * len(_FIGURES)}"
    for name, found in outcome.scores.items():
        for title, one in ((name, found), (f"{name}, training mean", outcome.baseline.get(name, {}))):
            if one:
                yield f"| {escape(title)} | {' | '.join(_number(one[figure]) for figure in _FIGURES)} |"


def _number(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"
