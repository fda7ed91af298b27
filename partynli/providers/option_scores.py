"""Scores of answer options at the first token of an answer: which tokens stand for them, and what was returned.

An answer in OpenAI's shape lists the likeliest tokens of each position. A route that knows the tokenizer adds
``option_tokens`` to the body, the token of every letter, and then nothing has to be guessed from texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from partynli.errors import ProviderError
from partynli.labels import LETTERS
from partynli.records import OptionScores, Request, Response

_PLACEHOLDER = -9999.0
"""What servers send where they have no score."""
_THINKING = (
    ", as with models that think first; where the template can leave thinking out, say so in "
    "`params: {chat_template_kwargs: ...}`"
)
_SPACES = " ▁Ġ\t\n"
"""A blank before a word, as texts and as the pieces of tokenizers have it."""


def read_option_scores(logprobs: Any, tokens: Any = None) -> OptionScores | None:
    """Read the scores of letters from a choice's ``logprobs``; None where it has none.

    Parameters
    ----------
    logprobs
        As a server sent them.
    tokens
        Names of the letters' tokens in this list, by letter, where the route knows them. Without, a token is a letter's
        if its text is that letter. A letter may be written with and without a blank before it: all are read in one
        spelling, that of the likeliest of them.

    Examples
    --------
    >>> returned = [{"token": one, "logprob": score} for one, score in (("B", -0.5), (" A", -2.0), ("A", -3.0))]
    >>> read_option_scores({"content": [{"token": "B", "logprob": -0.5, "top_logprobs": returned}]})
    OptionScores(of={'B': -0.5, 'A': -3.0}, bound=-3.0)
    """
    first = _first(logprobs)
    if first is None:
        return None
    sampled = first.get("token")
    returned = dict(_scores([*_listed(first), first]))
    # a server may put the token that was drawn into the list although it is not among the likeliest
    ranked = [score for name, score in _scores(_listed(first)) if name != sampled]
    bound = min(ranked, default=None)
    if isinstance(tokens, Mapping):
        named = {one: name for one, name in tokens.items() if isinstance(name, str)}  # a server may send the key, too
        return OptionScores({one: returned[name] for one, name in named.items() if name in returned}, bound)
    likeliest = sorted(((score, name) for name, score in returned.items() if _letter(name)), reverse=True)
    spelling = likeliest[0][1].replace(_letter(likeliest[0][1]), "") if likeliest else ""
    return OptionScores(
        {_letter(name): score for score, name in likeliest if name == spelling + _letter(name)},
        bound,
    )


def demand_scores(request: Request, response: Response) -> Response:
    """The answer to a request for scores.

    Raises
    ------
    ProviderError
        The participant cannot be scored: its server sends no scores, or the score of one token only, which bounds no
        other; or it thinks before it answers, so that its first token is no answer.
    """
    if not request.participant.options or response.refused:
        return response
    if response.reasoning or response.open_reasoning:
        raise _unfit("its first token begins a thought, not the answer; turn thinking off", response.raw)
    if response.option_scores is None:
        raise _unfit("the server sends no scores of tokens (`logprobs`) for it", response.raw)
    found = response.option_scores
    if found.bound is None and len(found.of) < len(request.participant.options):
        raise _unfit("the server sends the score of one token and of no others (`top_logprobs`)", response.raw)
    return response


def option_tokens(
    prompt: Sequence[int], answered: Mapping[str, Sequence[int]], text_of: Callable[[int], str] | None = None
) -> dict[str, int]:
    """Which token each letter is, where an answer begins.

    Parameters
    ----------
    prompt
        Tokens of a conversation up to where the model answers.
    answered
        By letter: tokens of the same conversation with the letter as the answer.
    text_of
        Text of a token, to see that it holds the whole letter; None where it cannot be told.

    Raises
    ------
    ProviderError
        The answer does not begin right behind the prompt, or the letters are not one token each.

    Examples
    --------
    >>> option_tokens([5, 6], {"A": [5, 6, 17, 2], "B": [5, 6, 18, 2]})
    {'A': 17, 'B': 18}
    """
    found = {}
    for letter, tokens in answered.items():
        if list(tokens[: len(prompt)]) != list(prompt) or len(tokens) == len(prompt):
            raise _unfit(f"its chat template does not let an answer begin where the prompt ends{_THINKING}")
        found[letter] = tokens[len(prompt)]
    if len(set(found.values())) < len(found):
        raise _unfit(f"different answers begin with the same token{_THINKING}")
    for letter, token in found.items():
        if text_of is not None and (text := text_of(token).strip(_SPACES)) != letter:
            raise _unfit(f"the answer {letter!r} begins with the token {text[:40]!r}, which is not that letter")
    return found


def _unfit(why: str, raw: str | None = None) -> ProviderError:
    return ProviderError(f"options cannot be scored: {why}", "fatal_participant", raw=raw)


def _first(logprobs: Any) -> Mapping[str, Any] | None:
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    first = content[0] if isinstance(content, list) and content else None
    return first if isinstance(first, Mapping) else None


def _listed(first: Mapping[str, Any]) -> list[Any]:
    listed = first.get("top_logprobs")
    return listed if isinstance(listed, list) else []


def _scores(listed: Sequence[Any]) -> list[tuple[str, float]]:
    """Tokens and their scores, least likely first: of tokens with one text, a mapping keeps the likeliest."""
    found = [
        (one["token"], float(one["logprob"]))
        for one in listed
        if isinstance(one, Mapping)
        and isinstance(one.get("token"), str)
        and isinstance(one.get("logprob"), int | float)
        and _PLACEHOLDER < one["logprob"] < -_PLACEHOLDER  # whole numbers of any length, NaN and infinity compare, too
    ]
    return sorted(found, key=lambda one: one[1])


def _letter(name: str) -> str:
    """The letter that a token is; empty for any other token."""
    bare = name.lstrip(_SPACES)
    return bare if len(bare) == 1 and bare in LETTERS else ""
