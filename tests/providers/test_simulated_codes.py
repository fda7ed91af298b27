"""Simulated participants as judges: made-up categories, the same for the same seed, for every persona its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from partynli.judgments import reader_for
from partynli.labels import REASONS
from partynli.prompts import load_task, render
from partynli.providers.simulated import SimulatedProvider
from partynli.records import Item, Judgment, Participant, Request, Response

TASK = load_task("reasons", Path(__file__).parents[2] / "prompts")
READER, _ = reader_for(TASK)


def ask(number: int, seed: int = 1, **params: float) -> Response:
    texts = {"premise": "It rains.", "hypothesis": "It is wet.", "label": "true", "explanation": f"Reason {number}."}
    judge = Participant("j", "simulated", "persona", params, seed="auto")
    return asyncio.run(SimulatedProvider().generate(Request(judge, render(TASK, Item("x", texts)), seed), timeout=5))


def category(response: Response) -> str:
    found = READER.judge(response, {})
    assert isinstance(found, Judgment), response.text
    assert not found.repairs
    return found.class_simple


def test_every_category_comes_up_and_the_seed_decides() -> None:
    found = Counter(category(ask(number)) for number in range(200))
    assert set(found) == set(REASONS)
    assert max(found.values()) < 60
    assert [ask(3).raw, ask(3).raw] == [ask(3).raw] * 2
    assert '"synthetic":true' in ask(3).raw
    assert "made-up" in ask(3).text


def test_personas_have_opinions_of_their_own() -> None:
    steady = [category(ask(number, noise=0.0)) for number in range(40)]
    assert steady == [category(ask(number, seed=2, noise=0.0)) for number in range(40)]
    other = [category(ask(number, noise=0.0, wordiness=40)) for number in range(40)]
    assert sum(a == b for a, b in zip(steady, other, strict=True)) < 20


def test_a_sloppy_one_breaks_the_format() -> None:
    found = [READER.judge(ask(number, malformed=1.0), {}) for number in range(60)]
    assert any(not isinstance(one, Judgment) or one.repairs for one in found)
    assert any(not isinstance(one, Judgment) for one in found)
