"""Which tokens stand for options, and what of an answer's scores is read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partynli.errors import ProviderError
from partynli.providers import provider_for
from partynli.providers.option_scores import option_tokens, read_option_scores
from partynli.records import OptionScores, Participant, Prompt, Request, Response
from partynli.testing import Behaviour, LoopbackServer

PROMPT = Prompt(({"role": "user", "content": "A, B or C?"},), {})


def logprobs(drawn: str, **scores: float) -> dict[str, Any]:
    return listed(drawn, scores)


def listed(drawn: str, scores: dict[str, float]) -> dict[str, Any]:
    top = [{"token": token, "logprob": score} for token, score in scores.items()]
    return {"content": [{"token": drawn, "logprob": scores.get(drawn, -30.0), "top_logprobs": top}]}


def test_letters_are_read_and_the_rest_is_bounded_by_the_least_likely() -> None:
    assert read_option_scores(logprobs("B", B=-0.1, A=-3.0, The=-6.5)) == OptionScores({"B": -0.1, "A": -3.0}, -6.5)


def test_letters_are_read_in_one_spelling() -> None:
    both = {" B": -0.1, "A": -2.0, " A": -3.0, "▁C": -4.0, "C": -5.0}
    assert read_option_scores(listed(" B", both)) == OptionScores({"B": -0.1, "A": -3.0}, -5.0)


def test_a_token_that_was_drawn_by_chance_sets_no_bound() -> None:
    # the server lists it although it is not among the likeliest: others that are not listed may be likelier
    found = read_option_scores(listed("C", {"C": -19.0, "B": -0.1, "A": -3.0}))
    assert found == OptionScores({"B": -0.1, "A": -3.0, "C": -19.0}, -3.0)


def test_a_drawn_option_outside_the_list_is_known() -> None:
    found = read_option_scores(listed("C", {"B": -0.1, "A": -3.0}))
    assert found is not None
    assert found.of["C"] == -30.0


def test_where_the_tokens_are_known_texts_do_not_matter() -> None:
    scores = {"token_id:7": -1.0, "token_id:8": -2.0, "A": -0.5}
    found = read_option_scores(listed("A", scores), {"A": "token_id:7", "B": "token_id:9"})
    assert found == OptionScores({"A": -1.0}, -2.0)


@pytest.mark.parametrize("score", [-9999.0, float("-inf"), float("nan"), None, "x", True])
def test_what_is_no_score_is_not_there(score: Any) -> None:
    given = {"content": [{"token": "B", "logprob": -1, "top_logprobs": [{"token": "A", "logprob": score}]}]}
    found = read_option_scores(given)
    assert found is not None
    assert "A" not in found.of or score is True


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.sampled_from(["A", "content", "token"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["content", "token", "logprob", "top_logprobs"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON, JSON)
def test_any_shape_is_read_or_left(given: Any, tokens: Any) -> None:
    found = read_option_scores(given, tokens)
    assert found is None or isinstance(found, OptionScores)


def test_names_of_tokens_that_are_none_are_left() -> None:
    returned = [{"token": "A", "logprob": -0.1}, {"token": "B", "logprob": -2.0}]
    found = read_option_scores(
        {"content": [{**returned[0], "top_logprobs": returned}]}, {"A": ["A"], "B": "B", "C": {}}
    )
    assert found == OptionScores({"B": -2.0}, -2.0)


def test_tokens_of_options_stand_right_behind_the_prompt() -> None:
    answered = {"A": [1, 2, 65, 9], "B": [1, 2, 66, 9]}
    assert option_tokens([1, 2], answered, chr) == {"A": 65, "B": 66}


@pytest.mark.parametrize(
    ("prompt", "answered", "why"),
    [
        ([1, 2], {"A": [1, 3, 65]}, "think first"),
        ([1, 2], {"A": [1, 2]}, "think first"),
        ([1, 2], {"A": [1, 2, 60]}, "not that letter"),
        ([1, 2], {"A": [1, 2, 65], "B": [1, 2, 65]}, "the same token"),
    ],
)
def test_options_that_are_no_tokens_are_refused(prompt: list[int], answered: dict[str, list[int]], why: str) -> None:
    with pytest.raises(ProviderError, match=why) as raised:
        option_tokens(prompt, answered, chr)
    assert raised.value.kind == "fatal_participant"


def ask(behaviour: Behaviour, **params: Any) -> tuple[Response, dict[str, Any]]:
    async def call() -> tuple[Response, dict[str, Any]]:
        async with LoopbackServer({"m": behaviour}, keep_requests=1) as server:
            given = {"max_tokens": 1, "logprobs": True, "top_logprobs": 5, **params}
            participant = Participant("m", "openai", "m", given, api_base=server.url, options="ABC")
            provider = provider_for(participant, {})
            try:
                response = await provider.generate(Request(participant, PROMPT), timeout=5)
            finally:
                await provider.aclose()
            return response, dict(server.books.requests[-1]["body"])

    return asyncio.run(call())


def test_a_server_is_asked_for_one_token_and_the_likeliest_others() -> None:
    response, sent = ask(Behaviour(token_scores={"A": -0.2, "B": -2.0, "x": -3.0, "y": -4.0, "z": -5.0, "C": -6.0}))
    assert response.option_scores == OptionScores({"A": -0.2, "B": -2.0}, -5.0)
    assert (sent["max_tokens"], sent["logprobs"], sent["top_logprobs"]) == (1, True, 5)


def test_a_server_without_scores_is_refused_at_once() -> None:
    with pytest.raises(ProviderError, match="sends no scores") as raised:
        ask(Behaviour(), logprobs=False)
    assert raised.value.kind == "fatal_participant"
    assert raised.value.raw


@pytest.mark.parametrize("listed", [0, 1])
def test_a_server_that_tells_of_one_token_alone_is_refused_at_once(listed: int) -> None:
    scores = {"A": -0.2, "B": -2.0, "C": -3.0}
    with pytest.raises(ProviderError, match=r"of one token and of no others \(`top_logprobs`\)") as raised:
        ask(Behaviour(token_scores=scores), top_logprobs=listed)
    assert raised.value.kind == "fatal_participant"
    assert raised.value.raw


@pytest.mark.parametrize("fault", ["reasoning", "truncated_reasoning", "reasoning_content"])
def test_a_model_that_thinks_first_is_refused(fault: Any) -> None:
    with pytest.raises(ProviderError, match="first token begins a thought") as raised:
        ask(Behaviour(script=(fault,)))
    assert raised.value.kind == "fatal_participant"


def test_a_refusal_is_an_answer() -> None:
    response, _ = ask(Behaviour(script=("content_policy",)))
    assert response.refused
    assert response.option_scores is None


def test_a_score_of_any_length_is_no_crash() -> None:
    assert read_option_scores(listed("B", {"B": -0.1, "A": 10**400, "C": -(10**400)})) == OptionScores(
        {"B": -0.1}, None
    )
