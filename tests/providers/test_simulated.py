"""Simulated participants: the same answer for the same seed, plain about being synthetic, and people who differ."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partynli.errors import ProviderError
from partynli.hashing import text_hash
from partynli.items import load_dataset
from partynli.judgments import reader_for
from partynli.labels import LABELS
from partynli.prompts import Renderer, load_task, render
from partynli.providers.simulated import SERVED_MODEL, SimulatedProvider
from partynli.providers.wording import TONES
from partynli.records import Item, Judgment, Participant, Prompt, Rejection, Request, Response, Trial

TASK = load_task("livenli", Path(__file__).parents[2] / "prompts")
READER, _ = reader_for(TASK)
ITEMS = list(load_dataset("demo").items)
MANY = [
    Item(f"{n}", {"premise": f"The {n} singers left the hall.", "hypothesis": f"{n} people sang."}) for n in range(400)
]


def persona(name: str = "p", **params: Any) -> Participant:
    return Participant(name, "simulated", "persona", params, seed="auto")


def ask(requests: Iterable[Request], provider: SimulatedProvider | None = None) -> list[Response]:
    async def run() -> list[Response]:
        asked = provider or SimulatedProvider()
        await asked.aopen()
        answers = [await asked.generate(one, timeout=1.0) for one in requests]
        await asked.aclose()
        return answers

    return asyncio.run(run())


def requests(participant: Participant, items: Iterable[Item] = ITEMS, trials: int = 1) -> list[Request]:
    renderer = Renderer(TASK)
    asked = [(item, renderer.render(item)) for item in items]
    return [
        Request(participant, prompt, Trial.make(participant, item, prompt, number).seed(1))
        for item, prompt in asked
        for number in range(1, trials + 1)
    ]


def judge(participant: Participant, items: Iterable[Item] = ITEMS, trials: int = 1) -> list[Judgment]:
    asked = requests(participant, items, trials)
    judged = [READER.judge(answer, one.prompt.texts) for one, answer in zip(asked, ask(asked), strict=True)]
    assert all(isinstance(one, Judgment) for one in judged)
    return [one for one in judged if isinstance(one, Judgment)]


def shares(judged: Iterable[Judgment]) -> Mapping[str, float]:
    counts = Counter(one.class_multi for one in judged)
    return {label: n / counts.total() for label, n in counts.items()}


def changes(participant: Participant) -> float:
    """Share of successive trials of an item that have another label."""
    judged = [one.class_multi for one in judge(participant, ITEMS, 20)]
    by_item = [judged[at : at + 20] for at in range(0, len(judged), 20)]
    return mean(one != after for trials in by_item for one, after in pairwise(trials))


def test_the_seed_decides() -> None:
    asked = requests(persona(noise=1), trials=3)
    first, again = ask(asked), ask(reversed(asked))
    assert first == again[::-1]
    assert len({one.raw for one in first}) == len(first)


def test_answers_stay_the_same_from_version_to_version() -> None:
    answers = [answer.text for tone in TONES for answer in ask(requests(persona(tone=tone, malformed=0.2), trials=3))]
    assert text_hash("\n".join(answers)) == "sha256:0f8f806782f3fdea8d16ceff8b2d0bc2215ed97474312316babbd3b6757b5086"


def test_without_a_seed_answers_differ() -> None:
    asked = [Request(one.participant, one.prompt) for one in requests(persona(noise=1), trials=5)]
    assert ask(asked) != ask(asked)


def test_the_raw_answer_is_a_chat_completion_that_says_it_is_synthetic() -> None:
    request = requests(persona())[0]
    answer = ask([request])[0]
    raw = json.loads(answer.raw)
    assert raw["synthetic"] is True
    assert raw["object"] == "chat.completion"
    assert raw["model"] == answer.served_model == SERVED_MODEL == "partynli-simulated"
    assert raw["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": answer.text}, "finish_reason": "stop"}
    ]
    n_chars = sum(len(message["content"]) for message in request.prompt.messages)
    assert answer.usage.tokens_in == raw["usage"]["prompt_tokens"] == -(-n_chars // 4)
    assert answer.usage.tokens_out == raw["usage"]["completion_tokens"] == -(-len(answer.text) // 4)
    assert (answer.finish_reason, answer.reasoning, answer.refused) == ("stop", "", False)


@pytest.mark.parametrize("tone", TONES)
def test_answers_are_in_the_asked_format_and_about_the_item(tone: str) -> None:
    asked = requests(persona(tone=tone, noise=1, multi=0.5), MANY[:100], 3)
    for request, answer in zip(asked, ask(asked), strict=True):
        shape = json.loads(answer.text)
        assert list(shape) == ["classification", "highlights"]
        assert list(shape["classification"]) == ["label", "explanation"]
        assert list(shape["highlights"]) == ["context", "statement"]
        judged = READER.judge(answer, request.prompt.texts)
        assert isinstance(judged, Judgment)
        assert judged.repairs == ()
        assert {span.field for span in judged.highlights} == {"premise", "hypothesis"}
        assert all(span.start is not None for span in judged.highlights)
        for field, key in (("premise", "context"), ("hypothesis", "statement")):
            copy = shape["highlights"][key]
            assert re.sub("<<|>>", "", copy) == request.prompt.texts[field]
            assert 1 <= len(re.findall("<<.+?>>", copy)) <= 3
        marked = {span.text for span in judged.highlights}
        quoted = set(re.findall(r'"(.+?)"', judged.explanation))
        assert quoted
        assert quoted <= marked


CONTRARY = {
    # words that an explanation of this label alone does not use
    "true": ("rules out", "contradicts", "excludes", "leaves it open", "could go either way", "unclear"),
    "either": ("rules out", "contradicts", "excludes", "follows from", "implies", "cannot both"),
    "false": ("implies", "follows from", "covers", "leaves it open", "could go either way", "is silent"),
}


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("tone", TONES)
def test_explanations_fit_the_label(label: str, tone: str) -> None:
    lean = {one: 1 if one == label else 0 for one in LABELS}
    judged = judge(persona(lean=lean, tone=tone, multi=1, wordiness=60), MANY[:60])
    assert {one.class_multi for one in judged} == {label}
    assert not [one.explanation for one in judged if any(words in one.explanation for words in CONTRARY[label])]


def test_several_labels_are_all_explained() -> None:
    judged = [one for one in judge(persona(multi=1, wordiness=5), MANY[:100]) if "-" in one.class_multi]
    assert len(judged) == 100
    for one in judged:
        assert one.explanation.count(".") == len(one.class_multi.split("-"))
        for label in one.class_multi.split("-"):
            assert label in one.explanation.lower() or "either" in label


@pytest.mark.parametrize("words", [9, 18, 28, 55, 95, 300])
@pytest.mark.parametrize("tone", TONES)
def test_wordiness(words: int, tone: str) -> None:
    lengths = [len(one.explanation.split()) for one in judge(persona(wordiness=words, tone=tone), MANY[:100])]
    one_sentence = 17 if tone in ("hedging", "formal") else 12
    assert mean(lengths) == pytest.approx(max(words, one_sentence), rel=0.1, abs=6)


def test_explanations_vary() -> None:
    assert len({one.explanation for one in judge(persona(), ITEMS[:1], 100)}) > 80


def test_a_persona_keeps_its_opinion_unless_it_is_noisy() -> None:
    assert changes(persona(noise=0)) == 0
    assert 0 < changes(persona(noise=0.2)) < changes(persona(noise=0.9))


def test_temperature_raises_the_noise_and_top_p_holds_it_down() -> None:
    steps = [changes(persona(noise=0.05, temperature=t)) for t in (0, 0.5, 2)]
    assert steps == sorted(set(steps))
    assert changes(persona(noise=1, top_p=0.05)) < changes(persona(noise=1, top_p=0.6)) < changes(persona(noise=1))


def test_a_temperature_variant_is_the_same_persona() -> None:
    cold, warm = (judge(persona(noise=0, temperature=t), MANY) for t in (0, 0.1))
    same = mean(one.class_multi == other.class_multi for one, other in zip(cold, warm, strict=True))
    assert same > 0.9


def test_lean() -> None:
    believer = shares(judge(persona(lean={"true": 0.75, "either": 0.2, "false": 0.05}), MANY))
    sceptic = shares(judge(persona(lean={"true": 0.05, "either": 0.25, "false": 0.7}), MANY))
    assert believer["true"] > 0.5 > 0.3 > sceptic["true"]
    assert sceptic["false"] > 0.5 > 0.3 > believer["false"]


def test_decisiveness() -> None:
    """A decisive persona takes the likeliest label; two decisive ones agree, two undecided ones less."""

    def agreement(decisiveness: float) -> float:
        one, other = (judge(persona(noise=0, multi=0, decisiveness=decisiveness, wordiness=n), MANY) for n in (9, 10))
        return mean(a.class_simple == b.class_simple for a, b in zip(one, other, strict=True))

    assert agreement(1) == 1
    assert 0.4 < agreement(0) < agreement(0.5) < 1


def test_multi() -> None:
    def sets(multi: float) -> float:
        return mean("-" in one.class_multi for one in judge(persona(multi=multi), MANY))

    assert sets(0) == 0 < sets(0.4) < sets(0.8) < sets(1) == 1
    assert 0 < shares(judge(persona(multi=1), MANY))["either-false-true"] < 0.2


def test_items_differ_and_participants_agree_beyond_chance() -> None:
    people = [[one.class_simple for one in judge(persona(wordiness=10 + n), MANY)] for n in range(10)]
    counts = [Counter(votes) for votes in zip(*people, strict=True)]
    clear, divided = (sum(low <= max(one.values()) <= high for one in counts) for low, high in ((9, 10), (3, 6)))
    assert clear > 100
    assert divided > 60
    assert all(80 < sum(one.most_common(1)[0][0] == label for one in counts) < 200 for label in LABELS)


def test_malformed_answers_come_in_the_share_and_the_kinds_that_models_make() -> None:
    asked = requests(persona(malformed=0.5), MANY, 3)
    kinds: Counter[str] = Counter()
    for request, answer in zip(asked, ask(asked), strict=True):
        judged = READER.judge(answer, request.prompt.texts)
        kinds[judged.reason if isinstance(judged, Rejection) else " ".join(judged.repairs) or "valid"] += 1
    assert set(kinds) == {"valid", "fence", "surrounding_text", "truncated", "refusal"}
    assert kinds.total() == 1200
    assert 540 < kinds["valid"] < 660
    assert all(100 < n < 200 for kind, n in kinds.items() if kind != "valid")


WRONG = [
    ({"wordines": 3}, "unknown parameter 'wordines'; did you mean wordiness"),
    ({"max_tokens": 3}, "unknown parameter 'max_tokens'"),
    ({"tone": "planed"}, "unknown tone 'planed'; did you mean plain?"),
    ({"tone": 3}, "unknown tone '3'"),
    ({"lean": {"treu": 1}}, "unknown label 'treu' in lean; did you mean true?"),
    ({"lean": {True: 1}}, "unknown label 'True' in lean"),
    ({"lean": {"true": -1}}, "lean: the weight of 'true' must be a number of at least 0, not '-1'"),
    ({"lean": {"true": "a lot"}}, "not 'a lot'"),
    ({"lean": dict.fromkeys(LABELS, 0)}, "lean: at least one label needs a weight above 0"),
    ({"lean": "true"}, "lean must map labels to weights"),
    ({"noise": 1.5}, "noise must be a number from 0 to 1, not '1.5'"),
    ({"malformed": True}, "malformed must be a number"),
    ({"wordiness": 0}, "wordiness must be a number from 1 to 2000, not '0'"),
    ({"temperature": "hot"}, "temperature must be a number from 0 to 2, not 'hot'"),
]


@pytest.mark.parametrize(("params", "says"), WRONG, ids=[says[:30] for _, says in WRONG])
def test_wrong_parameters_stop_the_participant(params: dict[str, Any], says: str) -> None:
    request = Request(Participant("x", "simulated", "persona", params), render(TASK, ITEMS[0]), 1)
    with pytest.raises(ProviderError) as caught:
        ask([request])
    assert caught.value.kind == "fatal_participant"
    assert str(caught.value).startswith("simulated participant 'x': ")
    assert says in str(caught.value)


def test_latency_goes_by_and_is_bounded_by_the_timeout() -> None:
    async def run() -> float:
        provider = SimulatedProvider.for_participant(persona(), None)
        loop = asyncio.get_running_loop()
        slow = requests(persona(latency_s=0.02), ITEMS[:5])
        begun = loop.time()
        await asyncio.gather(*(provider.generate(one, timeout=1) for one in slow))
        took = loop.time() - begun
        with pytest.raises(ProviderError, match=r"no answer within 0.01 s") as caught:
            await provider.generate(slow[0], timeout=0.01)
        assert caught.value.kind == "retryable"
        return took

    assert asyncio.run(run()) >= 0.02


def test_the_shipped_demo_participants_are_valid() -> None:
    from partynli.registry import load_registry

    registry, _, _ = load_registry(Path(__file__).parents[2] / "registry.yaml")
    assert all(ask(requests(one, ITEMS[:2])) for one in registry.mix("demo"))


def test_other_fields_and_no_texts() -> None:
    for texts in ({"text": "Only one text."}, {}):
        answer = ask([Request(persona(), Prompt(({"role": "user", "content": "?"},), texts), 1)])[0]
        assert list(json.loads(answer.text)["highlights"]) == list(texts)


@settings(deadline=None)
@given(st.text(min_size=1), st.text(min_size=1), st.integers(0, 2**31))
def test_any_texts(premise: str, hypothesis: str, seed: int) -> None:
    prompt = render(TASK, Item("x", {"premise": premise, "hypothesis": hypothesis}))
    answer = ask([Request(persona(tone="terse"), prompt, seed)])[0]
    assert json.loads(json.loads(answer.raw)["choices"][0]["message"]["content"])["classification"]["label"]


def test_long_texts_are_not_copied() -> None:
    long = Item("x", {"premise": "word " * 20_000, "hypothesis": "It has <<marks>> of its own."})
    asked = Request(persona(), render(TASK, long), 1)
    answer = ask([asked])[0]
    judged = READER.judge(answer, asked.prompt.texts)
    assert isinstance(judged, Judgment)
    assert len(answer.text) < 2000
    assert all(span.start is not None for span in judged.highlights)


def test_many_items_do_not_fill_the_memory() -> None:
    provider = SimulatedProvider()
    ask(requests(persona(), MANY), provider)
    assert len(provider._scenes) <= 256
