"""Scores as answers: in the shape of a chat completion, as all routes store them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from partynli.providers.base import read_completion
from partynli.records import Response


@dataclass(frozen=True, slots=True)
class Scored:
    """What the model makes of a prompt's end."""

    logits: dict[str, float]
    """By letter."""
    log_normaliser: float
    """Log of the sum of exp(logit) over the vocabulary: a logit less this is a log-probability."""
    likeliest: str
    """Text of the likeliest token."""
    tokens_in: int


def response_of(model: str, fingerprint: str, scored: Scored) -> Response:
    """The answer that a prompt's scores stand for; they are raw logits, whatever the shape calls them."""
    top = [{"token": letter, "logprob": score} for letter, score in scored.logits.items()]
    first = {"token": scored.likeliest, "logprob": None, "top_logprobs": top}
    body = {
        "object": "chat.completion",
        "model": model,
        "system_fingerprint": fingerprint,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": scored.likeliest},
                "logprobs": {"content": [first]},
                "finish_reason": "length",
            }
        ],
        "usage": {"prompt_tokens": scored.tokens_in, "completion_tokens": 1},
        "option_tokens": {letter: letter for letter in scored.logits},
        "log_normaliser": scored.log_normaliser,
    }
    raw = json.dumps(body, ensure_ascii=False)
    return read_completion(body, raw, {})
