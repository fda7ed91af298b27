"""An export and what a person said about it, in the terms that cards and Croissant share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from partynli.publish.card.details import CardDetails
from partynli.publish.card.sources import STUDY, Source, source_of
from partynli.publish.tables.folder import Export
from partynli.publish.tables.licences import base_name
from partynli.records import ANSWER
from partynli.sampling.plan import MIN_ROUNDS, width_of

PERSON = "human"
"""Provider of answers that people gave."""
SIMULATED = "simulated-participants"
TAGS = ("human-label-variation", "annotator-disagreement", "llm-annotation", "explanations", "partynli", SIMULATED)
"""Every tag that we write; others in a card were put there by hand."""
CONFIGS: Mapping[str, str] = {
    "judgments": "one row a trial: who was asked, what was chosen and why",
    "participants": "one row a participant: all that is declared of it, and what was seen",
    "items": "one row an item",
    "distributions": "one row an item and group: how often each label was given",
    "metrics": "one row a figure of the report, with interval, ceiling and chance",
    "human": "one row a person's answer, or the counts of a population",
    "raw": "one row a call: the messages, the request and the answer as they were sent and came",
}
"""What there can be, in the order in which it is shown."""
_NLI = "livenli"
_TEX = {sign: f"\\{sign}" for sign in "%#&$_"} | dict.fromkeys("{}\\^~", "")


@dataclass(frozen=True)
class Described:
    """What a dataset is, for those who find it."""

    export: Export
    details: CardDetails

    @property
    def configs(self) -> list[str]:
        """What there is, in the order in which it is shown."""
        return [name for name in CONFIGS if name in self.export.configs]

    @property
    def task(self) -> Mapping[str, Any]:
        """The task as the run's manifest keeps it."""
        found: Mapping[str, Any] = self.export.run["task"]
        return found

    @property
    def plan(self) -> Mapping[str, Any]:
        """The plan as the run's manifest keeps it."""
        found: Mapping[str, Any] = self.export.run["plan"]
        return found

    @property
    def trials_an_item(self) -> list[int]:
        """Numbers of trials that a participant was asked about an item, in order; the ends, where items stopped early.

        Empty where nobody took part.
        """
        planned = sorted(set(self.plan["trials"]))
        stops_early = planned and width_of(self.plan) is not None
        return sorted({min(MIN_ROUNDS, planned[0]), planned[-1]}) if stops_early else planned

    @property
    def answers_an_item(self) -> str:
        """How many answers an item was to have; at least and at most, where items stopped early."""
        most = sum(self.plan["trials"])
        if width_of(self.plan) is None:
            return str(most)
        return f"{sum(min(MIN_ROUNDS, trials) for trials in self.plan['trials'])} to {most}"

    @property
    def items(self) -> str:
        """Name of the items' dataset; of a file of the user's, no more than its own name."""
        return base_name(str(self.plan["items"]))

    @property
    def source(self) -> Source:
        """What is known of the items' dataset."""
        return source_of(self.items)

    @property
    def title(self) -> str:
        """Title of the dataset, in one line."""
        return " ".join((self.details.title or f"partynli run {self.export.name}").split())

    @property
    def year(self) -> str | None:
        """Year in which the run was made, where the manifest tells."""
        found = re.match(r"\d{4}", str(self.export.run.get("created")))
        return found and found[0]

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages of the items; empty where nobody said and the items are not known."""
        return self.details.languages or self.source.languages

    @property
    def tags(self) -> list[str]:
        """Tags for those who search."""
        return [tag for tag in TAGS if tag != SIMULATED or self.export.synthetic]

    @property
    def has_people(self) -> bool:
        """Whether people's answers are in it."""
        carried = self.export.licences.get("human", {}).get("included")
        return bool(carried and "human" in self.export.configs) or any(
            row.get("provider") == PERSON for row in self.export.participants
        )

    @property
    def has_texts(self) -> bool:
        """Whether the items' texts are in it."""
        return bool(self.export.licences.get("items", {}).get("included"))

    @property
    def has_explanations(self) -> bool:
        """Whether the task asks for explanations."""
        return "explanation" in self.task.get("answer", ANSWER)

    @property
    def task_ids(self) -> list[str]:
        """What the task is, in the Hub's vocabulary."""
        if self.task["reader"] == _NLI:
            return ["natural-language-inference"]
        return ["multi-label-classification" if self.task["set_labels"] else "multi-class-classification"]

    @property
    def summary(self) -> str:
        """What the dataset is, in a sentence or two; foreign text in it is as it came."""
        who = len(self.export.participants)
        kind = "simulated participant" if self.export.synthetic else "participant"
        labels = ", ".join(map(str, self.task["labels"]))
        return (
            f"Answers of {who:,} {kind}{'s' * (who != 1)} to {int(self.plan['n_items']):,} items of {self.items}, "
            + (
                f"trial by trial: labels ({labels}), explanations, and how both vary within and between participants."
                if self.has_explanations
                else f"trial by trial: labels ({labels}), and how they vary within and between participants."
            )
        )

    @property
    def citation(self) -> str:
        """BibTeX entry of the dataset."""
        if self.details.citation:
            return self.details.citation.strip()
        name = self.details.repo or self.export.name
        fields = {
            "title": f"{{{_tex(self.title)}}}",
            "author": " and ".join(map(_tex, self.details.authors)),
            "year": self.year,
            "howpublished": f"\\url{{{self.details.url}}}" if self.details.url else None,
            "note": _tex(f"Sampled with partynli {self.export.run.get('partynli', '')}".strip()),
        }
        lines = [f"  {field} = {{{value}}}" for field, value in fields.items() if value]
        return f"@misc{{{re.sub('[^A-Za-z0-9]+', '-', name).strip('-')},\n" + ",\n".join(lines) + "\n}"

    @property
    def references(self) -> list[str]:
        """Papers that whoever uses the dataset should cite."""
        return ([STUDY] if self.task["reader"] == _NLI else []) + list(self.source.references)


def _tex(text: str) -> str:
    return "".join(_TEX.get(sign, sign) for sign in " ".join(text.split()))
