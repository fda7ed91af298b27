"""The plan that asks for option scores: each prompt is a trial, kept and counted like any other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from partynli.errors import InputError
from partynli.items.explanation_files import Explanation
from partynli.labels import LETTERS
from partynli.options import ITEM, ORDER
from partynli.records import Item, Participant
from partynli.sampling.plan import Plan
from partynli.studies.mjd.design import Design, option_orders
from partynli.studies.mjd.wording import COMMENTS, Wording

GROUP = "option scores"
TOP = 20
"""Tokens whose log-probabilities are asked for: the most that OpenAI gives."""
_LIMITS = ("max_tokens", "max_completion_tokens")
_LOGITS = "--logprobs-mode"


@dataclass(frozen=True)
class Prompts:
    """All prompts as items of a run, made anew each time they are gone through.

    Attributes
    ----------
    items
        Those that are asked about.
    explanations
        Of each item, by its uid; None where none are shown.
    """

    items: Sequence[Item]
    explanations: Mapping[str, Sequence[Explanation]] | None
    wording: Wording
    design: Design

    def __iter__(self) -> Iterator[Item]:
        for item in self.items:
            given = self._of(item)
            for choice in self.design.choices(len(given), item.uid):
                shown = [given[k] for k in choice]
                for order in option_orders(self.wording.plain.labels):
                    yield self._prompt(item, shown, choice, order)

    def __len__(self) -> int:
        orders = math.factorial(len(self.wording.plain.labels))
        return sum(orders * len(self.design.choices(len(self._of(item)), item.uid)) for item in self.items)

    def _of(self, item: Item) -> Sequence[Explanation]:
        return () if self.explanations is None else self.explanations[item.uid]

    def _prompt(self, item: Item, shown: Sequence[Explanation], choice: Sequence[int], order: Sequence[str]) -> Item:
        labels = self.wording.plain.labels
        names = (f"o{''.join(str(1 + labels.index(label)) for label in order)}", *(f"c{1 + k}" for k in choice))
        fields = self.wording.plain.fields[-len(labels) :]
        texts = {
            **item.texts,
            **({COMMENTS: self.wording.comments(shown, explicit=self.design.explicit)} if shown else {}),
            **{field: self.wording.options[label] for field, label in zip(fields, order, strict=True)},
            ITEM: item.uid,
            ORDER: " ".join(order),
        }
        return Item(f"{item.uid}/{'/'.join(names)}", texts)


def scores_plan(participant: Participant, prompts: Prompts, source: str) -> Plan:
    """Ask a participant for the scores of the options of every prompt, once.

    Parameters
    ----------
    participant
        Any whose route gives scores.
    prompts
        What is asked.
    source
        Where the items are from.
    """
    wording = prompts.wording
    asked = scored(participant, len(wording.plain.labels))
    return Plan(
        task=wording.plain if prompts.explanations is None or prompts.design.count == 0 else wording.explained,
        participants=(asked,),
        trials={asked.id: 1},
        items=prompts,
        n_items=len(prompts),
        groups={GROUP: (asked.id,)},
        item_source=f"option scores ({source})",
        reasks=0,  # the same prompt has the same scores
    )


def scored(participant: Participant, n_options: int) -> Participant:
    """The participant as it is asked for scores: one token, and what its route takes to tell of others.

    What the registry declares of decoding is sent as it is; it does not change the scores of a first token.

    Raises
    ------
    InputError
        Its route gives no scores.
    """
    params = {key: value for key, value in participant.params.items() if key not in _LIMITS}
    if "response_format" in params:
        raise InputError(f"participant {participant.name!r} sets response_format, which changes what the scores are of")
    serving = participant.serving
    match participant.route:
        case "openai" | "vllm":
            limit = next((name for name in _LIMITS if name in participant.params), "max_tokens")
            params |= {limit: 1, "logprobs": True, "top_logprobs": TOP}
            if participant.needs_server and not any(arg.startswith(_LOGITS) for arg in serving.args):
                serving = replace(serving, args=(*serving.args, _LOGITS, "raw_logits"))
        case "hf" | "simulated":
            params = dict(participant.params)
        case _:
            raise InputError(
                f"participant {participant.name!r}: the route {participant.route} gives no scores of tokens; "
                "openai, vllm, hf and simulated do"
            )
    return replace(
        participant,
        params=params,
        serving=serving,
        seed=None,
        guided_decoding=False,
        options=LETTERS[:n_options],
        max_output_tokens=1,
    )
