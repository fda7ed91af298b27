"""Answer options as they are scored: in which order a prompt lists them, and what the scores of their letters say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from partynli.labels import LETTERS
from partynli.records import Judgment, OptionScores, Rejection, Response, Task

ORDER = "order"
"""Among the texts of a prompt whose options are scored: the labels of A, B, C, with blanks between them."""
ITEM = "item"
"""Among the same texts: uid of the item that the prompt asks about."""


class OptionsReader:
    """Reads scores of the options' letters at an answer's first token; the label of the highest one is the judgment's.

    Every prompt has its own order of options, which stands with its texts (`ORDER`).
    """

    def __init__(self, task: Task) -> None:
        self._letters = LETTERS[: len(task.labels)]
        self._labels = sorted(task.labels)

    @property
    def shape(self) -> Mapping[str, Any]:
        """No shape: it is the first token that counts, and servers are not to narrow it down."""
        return {}

    def check(self, response: Response) -> Rejection | None:
        """Why an answer tells nothing of the options, or None where at least one of them was scored."""
        if response.refused:
            return Rejection("refusal", "marked as a refusal by the provider")
        if response.option_scores is None:
            return Rejection("schema", "no scores of tokens")
        if not any(letter in response.option_scores.of for letter in self._letters):
            return Rejection("unknown_label", "no option is among the tokens that were returned")
        return None

    def judge(self, response: Response, texts: Mapping[str, str]) -> Judgment | Rejection:
        """Read one answer; of equal scores, the alphabetically first label's counts."""
        rejection = self.check(response)
        if rejection is not None or response.option_scores is None:
            return rejection or Rejection("schema", "no scores of tokens")
        if sorted(texts.get(ORDER, "").split()) != self._labels:
            return Rejection("schema", "the prompt's order of options is none of the task's labels")
        scores = label_scores(response.option_scores, texts)
        label = min(scores, key=lambda one: (-scores[one], one))
        return Judgment(label, label, "", (), ())


def label_scores(scores: OptionScores, texts: Mapping[str, str]) -> dict[str, float]:
    """Scores by label instead of letter, the order of the options undone; labels without a score are not in it.

    >>> label_scores(OptionScores({"A": -1.0, "C": -2.0}, -5.0), {"order": "either true false"})
    {'either': -1.0, 'false': -2.0}
    """
    return {
        label: scores.of[letter]
        for letter, label in zip(LETTERS, texts[ORDER].split(), strict=False)
        if letter in scores.of
    }
