"""What calls cost, before and after they are made."""

from __future__ import annotations

from dataclasses import dataclass

from partynli.records import Participant, Prompt, Usage

DEFAULT_OUTPUT_TOKENS = 4096
"""Most tokens an answer is expected to take where neither the registry nor the parameters say."""


def tokens_in(prompt: Prompt) -> float:
    """Expected input tokens: English text has about four bytes to a token, and every message some framing."""
    return prompt.n_bytes / 4 + 4 * len(prompt.messages)


def most_tokens_in(prompt: Prompt) -> float:
    """Input tokens that are not exceeded in practice: two bytes to a token."""
    return prompt.n_bytes / 2 + 50


def most_tokens_out(participant: Participant) -> int:
    """Output tokens that a call may be charged for, as far as declared."""
    sent = [participant.params.get(name) for name in ("max_tokens", "max_completion_tokens", "max_output_tokens")]
    bounds = [value for value in sent if isinstance(value, int)]
    return min(bounds) if bounds else participant.max_output_tokens or DEFAULT_OUTPUT_TOKENS


def worst_cost(participant: Participant, prompt: Prompt) -> float:
    """Most that one call may cost, in dollars; 0 where the price is unknown."""
    if participant.price is None:
        return 0.0
    return participant.price.cost(most_tokens_in(prompt), most_tokens_out(participant))


def cost_of(participant: Participant, usage: Usage) -> float | None:
    """What a call cost, in dollars, from the provider's own count; None where that or the price is unknown."""
    if participant.price is None:
        return None
    if participant.price.input == participant.price.output == 0:
        return 0.0
    if usage.tokens_in is None or usage.tokens_out is None:
        return None
    return participant.price.cost(usage.tokens_in, usage.tokens_out)


@dataclass(slots=True)
class Budget:
    """Money that may be spent, with the worst case of every call in flight set aside.

    A call whose answer never came may have been charged all the same; what was set aside for it stays spent.
    """

    limit: float | None
    spent: float = 0.0
    reserved: float = 0.0
    lost: float = 0.0
    """Of what is spent, that for calls whose answer never came."""

    def allows(self, worst: float) -> bool:
        """Whether a call of this worst case fits beside what is spent and set aside."""
        return self.limit is None or self.spent + self.reserved + worst <= self.limit + 1e-12

    def reserve(self, worst: float) -> None:
        """Set aside the worst case of a call that starts now."""
        self.reserved += worst

    def settle(self, worst: float, cost: float) -> None:
        """Put the real cost in the place of what was set aside."""
        self.reserved -= worst
        self.spent += cost

    def lose(self, worst: float) -> None:
        """The answer of a call never came, and may have been charged."""
        self.settle(worst, worst)
        self.lost += worst
