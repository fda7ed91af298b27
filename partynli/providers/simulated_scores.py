"""Option scores of simulated participants: made of what the persona thinks of the item, and of how the prompt is put.

A persona likes the first options a little better than the last, as models do, and differs from prompt to prompt; each
comment in the prompt makes it differ less. What the comments say is not read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random

from partynli.labels import LABELS
from partynli.options import ORDER
from partynli.providers.wording import quote

_BASE = 20.0
"""Logit of a label that is certain; all stay positive, as most models' do."""
_LEAST = 1e-3
_SLOPE = 2.0
_FIRST = 0.8
"""How much more the first option gets than the last."""


def scores_answer(
    rng: Random, weights: Sequence[float], letters: str, texts: Mapping[str, str], served: str, tokens_in: int
) -> str:
    """A chat completion with raw logits of every option's letter.

    Parameters
    ----------
    rng
        Of this persona and prompt alone.
    weights
        How likely the persona finds each label.
    letters
        Options.
    texts
        Of the prompt: `ORDER` says which label each letter stands for.
    served, tokens_in
        As the answer has them.
    """
    order = texts.get(ORDER, "").split() or list(LABELS)
    of_label = dict(zip(LABELS, weights, strict=True))
    spread = 1.0 / math.sqrt(1 + len(texts.get("comments", "").splitlines()))
    scores = {
        letter: _BASE
        + _SLOPE * math.log(max(_LEAST, of_label.get(label, _LEAST)))
        + _FIRST * (1 - at / max(1, len(letters) - 1))
        + rng.gauss(0, spread)
        for at, (letter, label) in enumerate(zip(letters, order, strict=True))
    }
    top = ",".join(f'{{"token":{quote(letter)},"logprob":{score:.6f}}}' for letter, score in scores.items())
    best = max(scores, key=lambda letter: scores[letter])
    return (
        f'{{"id":"simulated-{rng.getrandbits(64):016x}","object":"chat.completion","created":0,"model":"{served}",'
        f'"synthetic":true,"choices":[{{"index":0,"message":{{"role":"assistant","content":"{best}"}},'
        f'"logprobs":{{"content":[{{"token":"{best}","logprob":{scores[best]:.6f},"top_logprobs":[{top}]}}]}},'
        f'"finish_reason":"length"}}],"usage":{{"prompt_tokens":{tokens_in},"completion_tokens":1,'
        f'"total_tokens":{tokens_in + 1}}}}}'
    )
