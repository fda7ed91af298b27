"""Models in this process: scores together are scores alone, are a server's, and what cannot be scored says so.

They need the extra `hf`: ``python -m pytest -m hf``. No hub is reached.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from partynli.errors import ProviderError
from partynli.items.explanation_files import Explanation
from partynli.prompts import render
from partynli.providers import provider_for
from partynli.records import Item, Participant, Prompt, Request, Response
from partynli.studies.mjd.asking import Prompts, scored, scores_plan
from partynli.studies.mjd.design import Design, Mode
from partynli.studies.mjd.wording import load_wording

pytestmark = [
    pytest.mark.hf,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # torch's and transformers' own
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
WORDING = load_wording(Path(__file__).parents[3] / "prompts")
ITEMS = [Item(f"i{k}", {"premise": f"The {k} men sang.", "hypothesis": f"{k} people sang."}) for k in range(3)]
SAID = {one.uid: tuple(Explanation("true", f"Men {k} are people.") for k in range(3)) for one in ITEMS}


def asked(model: str, **given: Any) -> Participant:
    return scored(Participant("m", "hf", model, given.pop("params", {}), dtype="float32", **given), 3)


def prompts(mode: Mode = "serial") -> list[Prompt]:
    plan = scores_plan(asked("m"), Prompts(ITEMS, SAID, WORDING, Design(mode, explicit=True)), "test")
    return [render(plan.task, item) for item in plan.items]


def ask(participant: Participant, wanted: list[Prompt], timeout: float = 60.0) -> list[Response]:
    async def call() -> list[Response]:
        provider = provider_for(participant, {})
        await provider.aopen()
        try:
            calls = (provider.generate(Request(participant, one), timeout=timeout) for one in wanted)
            return await asyncio.gather(*calls)
        finally:
            await provider.aclose()

    return asyncio.run(call())


def scorer(participant: Participant) -> Any:
    return import_module("partynli.providers.hf.scorer").Scorer(participant)


@pytest.mark.parametrize("mode", ["serial", "parallel"])
def test_together_is_as_alone(model: str, mode: Mode) -> None:
    made, wanted = scorer(asked(model)), prompts(mode)
    for one, prompt in zip(made.score(wanted), wanted, strict=True):
        alone = made.score_alone(prompt)
        assert one.logits == pytest.approx(alone.logits, abs=1e-4)
        assert one.log_normaliser == pytest.approx(alone.log_normaliser, abs=1e-4)
        assert (one.likeliest, one.tokens_in) == (alone.likeliest, alone.tokens_in)
    assert made._in_trees


def test_prompts_differ(model: str) -> None:
    found = [tuple(one.logits.values()) for one in scorer(asked(model)).score(prompts())]
    assert len(set(found)) == len(found)


def test_a_model_that_reads_in_another_way_is_asked_prompt_by_prompt(tmp_path: Path, make_model: Any) -> None:
    made, wanted = scorer(asked(str(make_model.make(tmp_path, kind="mamba")))), prompts("parallel")[:8]
    found = made.score(wanted)
    assert made._in_trees is False
    assert found[5].logits == pytest.approx(made.score_alone(wanted[5]).logits, abs=1e-5)


def test_answers_hold_raw_logits_of_the_options(model: str) -> None:
    (answer,) = ask(asked(model), prompts()[:1])
    (alone,) = scorer(asked(model)).score(prompts()[:1])
    assert answer.option_scores is not None
    assert answer.option_scores.of == pytest.approx(alone.logits, abs=1e-4)
    assert answer.usage.tokens_in == alone.tokens_in
    assert answer.fingerprint is not None
    assert answer.fingerprint.startswith("transformers ")
    body = json.loads(answer.raw)
    assert body["log_normaliser"] > max(answer.option_scores.of.values())


def openai_server(model: str) -> Callable[[web.BaseRequest], Any]:
    """The same model behind OpenAI's protocol, prompt by prompt, by nothing of partynli's."""
    torch, transformers = import_module("torch"), import_module("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    network = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)

    async def answer(request: web.BaseRequest) -> web.Response:
        asked = json.loads(await request.content.read() or b"{}")
        text = tokenizer.apply_chat_template(asked["messages"], tokenize=False, add_generation_prompt=True)
        with torch.inference_mode():
            ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
            scores = torch.log_softmax(network(ids).logits[0, -1], -1)
        top = scores.topk(len(tokenizer))  # all of them: random weights do not put letters first
        listed = [
            {"token": tokenizer.decode([number]), "logprob": score}
            for score, number in zip(top.values.tolist(), top.indices.tolist(), strict=True)
        ]
        choice = {
            "message": {"role": "assistant", "content": listed[0]["token"]},
            "logprobs": {"content": [{**listed[0], "top_logprobs": listed}]},
            "finish_reason": "length",
        }
        return web.json_response({"model": asked["model"], "choices": [choice]})

    return answer


def test_a_server_of_the_same_model_gives_the_same_scores(model: str) -> None:
    wanted = prompts("parallel")[::5]

    async def call() -> list[Response]:
        runner = web.ServerRunner(web.Server(openai_server(model)))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        participant = scored(Participant("m", "openai", "m", {}, api_base=address), 3)
        provider = provider_for(participant, {})
        try:
            return [await provider.generate(Request(participant, one), timeout=30) for one in wanted]
        finally:
            await provider.aclose()
            await runner.cleanup()

    for served, own in zip(asyncio.run(call()), ask(asked(model), wanted), strict=True):
        assert served.option_scores is not None
        assert own.option_scores is not None
        normaliser = json.loads(own.raw)["log_normaliser"]
        expected = {letter: score - normaliser for letter, score in own.option_scores.of.items()}
        # letters with a blank before them are other tokens: the likeliest spelling may not be this one
        spelled = {letter: served.option_scores.of[letter] for letter in "ABC"}
        texts = {one["token"]: one["logprob"] for one in listed_of(served)}
        assert {letter: texts[letter] for letter in "ABC"} == pytest.approx(expected, abs=1e-3)
        assert spelled in ({k: texts[k] for k in "ABC"}, {k: texts[f" {k}"] for k in "ABC" if f" {k}" in texts})


def listed_of(answer: Response) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(answer.raw)["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    return listed


def test_a_model_that_thinks_first_is_refused_until_it_is_told_not_to(tmp_path: Path, make_model: Any) -> None:
    folder = str(make_model.make(tmp_path, template=make_model.THINKING))
    with pytest.raises(ProviderError, match="think first") as raised:
        ask(asked(folder), prompts()[:1])
    assert raised.value.kind == "fatal_participant"
    (answer,) = ask(asked(folder, params={"chat_template_kwargs": {"no_thoughts": True}}), prompts()[:1])
    assert answer.option_scores is not None


@pytest.mark.parametrize(
    ("given", "why"),
    [({"model": "no/such-model"}, "cannot be loaded"), ({"quantization": "awq"}, "leave out quantization")],
)
def test_what_cannot_be_loaded_is_one_line(model: str, given: dict[str, Any], why: str) -> None:
    participant = asked(given.pop("model", model), **given)
    with pytest.raises(ProviderError, match=why) as raised:
        ask(participant, prompts()[:1])
    assert raised.value.kind == "fatal_participant"
    assert "\n" not in str(raised.value)


def test_ordinary_answers_are_not_to_be_had(model: str) -> None:
    with pytest.raises(ProviderError, match="no answers"):
        ask(Participant("m", "hf", model, {}), prompts()[:1])


def test_a_call_that_takes_too_long_may_be_made_again(model: str) -> None:
    with pytest.raises(ProviderError) as raised:
        ask(asked(model), prompts()[:1], timeout=0.0001)
    assert raised.value.kind == "retryable"
