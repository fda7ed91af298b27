"""How varied the explanations of each population are: raw values, for figures and for distributions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from partynli.analysis.explanations.populations import Kind, Population, home_of, sets_of
from partynli.analysis.explanations.texts import Explanations, IntArray
from partynli.analysis.resamples import Floats
from partynli.embed import Vectors
from partynli.embed.tags import can_tag, tagged
from partynli.metrics.explanation import (
    bags_of,
    dispersion,
    jaccard_by_text,
    jaccard_of_groups,
    ngram_bags,
    ngram_overlap,
    rarefied_dispersion,
    rarefied_vocabulary,
    similarity,
    vocabulary_size,
    words_and_signs,
)

MATCHED_WORDS = 10
"""First words of each text that the length-matched Jaccard similarity is taken of; shorter texts are missing in it."""
RAREFIED_TO = 4
"""Explanations to which sets are brought down. People's sets in LiveNLI have 4 in the median (of those with two)."""


@dataclass(frozen=True)
class Values:
    """Values of one figure, with where each belongs; (n,) each."""

    value: Floats
    """NaN where undefined."""
    item: IntArray
    """Positions in `Explanations.items`."""
    part: IntArray
    """Which of the population's parts: the trial of a mix or experiment, counted from 0."""


@dataclass(frozen=True)
class Variation:
    """One population's values, by the name of the figure.

    Attributes
    ----------
    name, kind
        The population's.
    n_texts, n_empty
        Explanations, and those of which nothing is left: they are missing in all figures.
    n_sets, n_single
        Sets of two explanations or more of one item, label and trial; and sets of one, which have no variation.
    lexical
        ``word_count``, ``vocabulary``: one value an explanation. ``jaccard``, ``jaccard_matched``: of a single writer
        one value an explanation, its mean similarity to those of others on the item in the same trial (among people,
        the largest mix, or an experiment); of a population one value an item and trial, the mean over pairs of texts by
        different writers.
    sets
        One value a set: ``vocabulary_rarefied``, expected number of different words in `RAREFIED_TO` explanations.
    vectors
        By embedder, one value a set: ``d_pair``, ``d_cent``, ``d_max``, ``d_cent_rarefied``, ``d_max_rarefied``.
    overlap
        Chen et al. (2025), one value an item and trial, whatever the labels: ``words_1`` to ``words_3``, ``tags_1`` to
        ``tags_3`` (with the extra ``pos``), and ``cosine`` and ``euclidean`` by embedder, ``e5 cosine``. Empty for
        single writers.
    """

    name: str
    kind: Kind
    n_texts: int
    n_empty: int
    n_sets: int
    n_single: int
    lexical: Mapping[str, Values]
    sets: Mapping[str, Values] = field(default_factory=dict)
    vectors: Mapping[str, Mapping[str, Values]] = field(default_factory=dict)
    overlap: Mapping[str, Values] = field(default_factory=dict)


@dataclass(frozen=True)
class _Sets:
    """Sets of many populations, one after the other, so that each figure is computed for all of them at once."""

    rows: Sequence[IntArray]
    item: IntArray
    part: IntArray
    owner: IntArray

    @classmethod
    def of(cls, explanations: Explanations, populations: Sequence[Population], *, by_label: bool) -> _Sets:
        found = [
            (rows, int(explanations.item[rows[0]]), part, owner)
            for owner, one in enumerate(populations)
            for part, members in enumerate(one.parts)
            for rows in sets_of(explanations, members, by_label=by_label)
        ]
        columns = np.array([one[1:] for one in found], dtype=np.int64).reshape(-1, 3).T
        return cls([one[0] for one in found], *columns)

    def values(self, owner: int, value: Floats) -> Values:
        own = self.owner == owner
        return Values(value[own], self.item[own], self.part[own])


def variations_of(
    explanations: Explanations,
    populations: Sequence[Population],
    vectors: Mapping[str, Vectors],
    *,
    seed: int = 0,
    overlap: bool = True,
) -> tuple[Variation, ...]:
    """Compute the values of all populations.

    Parameters
    ----------
    explanations
        N of them.
    populations
        From `populations_of`.
    vectors
        By embedder, (N, d) from `embedded`; may be empty.
    seed
        Of the draws that bring sets to equal size.
    overlap
        Whether to compute Chen et al.'s measures, too.

    Returns
    -------
    tuple of Variation
        In the populations' order.
    """
    bags = bags_of(explanations.words)
    lexical = _lexical(explanations, populations, vocabulary_size(bags))
    sets = _Sets.of(explanations, populations, by_label=True)
    sizes = np.array([len(rows) for rows in sets.rows], dtype=np.int64)
    rarefied = rarefied_vocabulary(bags, sets.rows, RAREFIED_TO)
    spread = {name: _spread(one, sets, seed) for name, one in vectors.items()}
    shared, items = _overlaps(explanations, populations, vectors) if overlap else ({}, None)
    return tuple(
        Variation(
            name=one.name,
            kind=one.kind,
            n_texts=one.n_texts,
            n_empty=one.n_empty,
            n_sets=int((sizes[sets.owner == number] > 1).sum()),
            n_single=int((sizes[sets.owner == number] == 1).sum()),
            lexical=lexical[number],
            sets={"vocabulary_rarefied": sets.values(number, rarefied)},
            vectors={
                name: {figure: sets.values(number, value) for figure, value in found.items()}
                for name, found in spread.items()
            },
            overlap={name: items.values(number, value) for name, value in shared.items()}
            if items is not None and not one.is_single
            else {},
        )
        for number, one in enumerate(populations)
    )


def _spread(vectors: Vectors, sets: _Sets, seed: int) -> dict[str, Floats]:
    distances = dispersion(vectors, sets.rows)
    drawn = rarefied_dispersion(vectors, sets.rows, RAREFIED_TO, seed)
    rarefied = {f"{figure}_rarefied": value for figure, value in drawn._asdict().items()}
    return {**distances._asdict(), **rarefied}


def _lexical(
    explanations: Explanations, populations: Sequence[Population], vocabulary: Floats
) -> list[dict[str, Values]]:
    counts = np.array([len(words) for words in explanations.words], dtype=np.float64)
    together = [one for one in populations if not one.is_single]
    sets = _Sets.of(explanations, together, by_label=False)
    similar = dict(_jaccard(explanations, sets, len(together)))
    home, place = home_of(populations), {id(one): number for number, one in enumerate(together)}
    found = []
    for one in populations:
        rows = np.concatenate(one.parts)
        parts = np.repeat(np.arange(len(one.parts)), list(map(len, one.parts)))
        values = {
            "word_count": Values(counts[rows], explanations.item[rows], parts),
            "vocabulary": Values(vocabulary[rows], explanations.item[rows], parts),
        }
        for name, (of_sets, of_texts) in similar.items():
            if one.is_single:
                at = home.get(one.writers[0])
                mean = np.full(len(rows), np.nan) if at is None else of_texts[place[id(at)]][rows]
                values[name] = Values(mean, explanations.item[rows], parts)
            else:
                values[name] = sets.values(place[id(one)], of_sets)
        found.append(values)
    return found


def _jaccard(
    explanations: Explanations, sets: _Sets, n_owners: int
) -> Iterator[tuple[str, tuple[Floats, list[Floats]]]]:
    """Jaccard similarity of whole texts, and of their first words: by set, and of each text by population."""
    first = [words[:MATCHED_WORDS] if len(words) >= MATCHED_WORDS else () for words in explanations.words]
    for name, texts in (("jaccard", explanations.words), ("jaccard_matched", first)):
        bags = bags_of(texts)
        group, row, mean = jaccard_by_text(bags, sets.rows, explanations.writer)
        of_texts = []
        for owner in range(n_owners):
            own = sets.owner[group] == owner
            values = np.full(len(explanations.words), np.nan)
            values[row[own]] = mean[own]
            of_texts.append(values)
        yield name, (jaccard_of_groups(bags, sets.rows, explanations.writer), of_texts)


def _overlaps(
    explanations: Explanations, populations: Sequence[Population], vectors: Mapping[str, Vectors]
) -> tuple[dict[str, NDArray[np.float64]], _Sets]:
    """Chen et al.'s measures of the sets of one item; single writers have no sets of their own here."""
    nobody = [one if not one.is_single else _without_parts(one) for one in populations]
    sets = _Sets.of(explanations, nobody, by_label=False)
    grams = {"words": [words_and_signs(text) for text in explanations.texts]}
    if can_tag():
        grams["tags"] = tagged(explanations.texts)
    found = {
        f"{kind}_{n}": ngram_overlap(counts, sets.rows)
        for kind, texts in grams.items()
        for n, counts in enumerate(ngram_bags(texts), start=1)
    }
    for name, one in vectors.items():
        alike = similarity(one, sets.rows)
        found |= {f"{name} cosine": alike.cosine, f"{name} euclidean": alike.euclidean}
    return found, sets


def _without_parts(one: Population) -> Population:
    return Population(one.name, one.kind, one.writers, (), one.n_texts, one.n_empty)
