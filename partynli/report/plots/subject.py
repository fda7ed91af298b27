"""What a figure is made of: a run's answers on one scope, people's beside them, and what was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from partynli.aggregate import Answers, people_of
from partynli.analysis.explanations import Explanations, embedded, read_explanations
from partynli.analysis.explanations.vectors import Heard
from partynli.analysis.figures import Counts
from partynli.analysis.groups import Group
from partynli.analysis.label_use import is_person
from partynli.analysis.lookup import IntArray
from partynli.analysis.scope import people_in
from partynli.embed import Embedder, Vectors, embedder_for, title_of
from partynli.errors import InputError
from partynli.items import Dataset
from partynli.metrics import Convention
from partynli.prompts import task_of
from partynli.report.plots.style import plain
from partynli.store import Run, Tally
from partynli.store.embeddings import KeptVectors


@dataclass(frozen=True)
class Subject:
    """A run as its figures see it."""

    run: str
    scope: str
    answers: Answers
    """On the scope's items."""
    group: Group
    """The participants that are shown, where a figure shows one mix."""
    dataset: Dataset | None
    """People's answers to the items, or None."""
    convention: Convention
    tallies: Mapping[str, Tally]
    """What the run has spent, by participant id."""
    path: Path
    """The run's folder, for its explanations."""
    embedder_names: tuple[str, ...] = ("tfidf",)
    """As `partynli.embed.embedder_for` takes them; at least one."""
    item: str | None = None
    """The item of figure 1; None for the one on which answers are most divided."""
    seed: int = 0
    heard: Heard | None = None
    """Is told how far embedding is."""

    @cached_property
    def people(self) -> dict[str, Counts]:
        """(I, K) votes of each human population that the scope is compared with."""
        return people_in(self.answers, people_of(self.dataset, self.answers))[0]

    @property
    def crowd(self) -> tuple[str, Counts]:
        """Name and votes of the first human population.

        Raises
        ------
        InputError
            People have not answered these items, or nobody else has.
        """
        if not self.people:
            raise InputError("it needs people's answers to the run's items, and there are none")
        if all(is_person(self.answers, one) for one in self.group.members):
            raise InputError(f"it sets people beside models, and {self.group.name} holds people alone")
        return next(iter(self.people.items()))

    @cached_property
    def embedders(self) -> tuple[Embedder, ...]:
        """Those that were chosen, each once."""
        return tuple(embedder_for(name) for name in dict.fromkeys(self.embedder_names))

    @cached_property
    def explanations(self) -> Explanations:
        """All explanations of the scope's items, people's too.

        Raises
        ------
        InputError
            There is none.
        """
        with Run.open(self.path) as run:
            return read_explanations(run, task_of(run.manifest), self.answers, self.dataset)

    @cached_property
    def vectors(self) -> dict[str, Vectors]:
        """(N, d) vectors of all explanations, by the name that figures give the embedder."""
        return {title_of(one): self._embedded(self.explanations, one) for one in self.embedders}

    def vectors_of(self, embedder: Embedder, rows: IntArray) -> Vectors:
        """(rows, d) vectors of some explanations; no more than these are embedded where the embedder allows it."""
        if embedder.reading.alone:
            return self._embedded(_only(self.explanations, rows), embedder)
        return self.vectors[title_of(embedder)][rows]

    def _embedded(self, explanations: Explanations, embedder: Embedder) -> Vectors:
        return embedded(explanations, embedder, KeptVectors(self.path), heard=self.heard)

    def title(self, text: str) -> str:
        """A figure's title: what it shows, of which run and items, and that answers were made up where they were."""
        n = len(self.answers.items)
        where = f"run {plain(self.run, 40)}, {self.scope}: {n:,} item{'s' if n != 1 else ''}"
        return f"{text} · {where}{' · SYNTHETIC' if self.answers.synthetic else ''}"


def _only(explanations: Explanations, rows: IntArray) -> Explanations:
    return replace(
        explanations,
        texts=tuple(explanations.texts[row] for row in rows),
        words=tuple(explanations.words[row] for row in rows),
        writer=explanations.writer[rows],
        item=explanations.item[rows],
        label=explanations.label[rows],
        trial=explanations.trial[rows],
    )
