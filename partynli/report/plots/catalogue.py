"""All figures by name, and what each of them is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from matplotlib.figure import Figure as Canvas

from partynli.errors import InputError, unknown_name
from partynli.report.plots.consistency import consistency_figure
from partynli.report.plots.embeddings import embedders_figure, item_figure
from partynli.report.plots.entropy import entropy_figure
from partynli.report.plots.randommix import curve_figure, draws_figure
from partynli.report.plots.subject import Subject
from partynli.report.plots.sweeps import size_figure, temperature_figure, top_p_figure
from partynli.report.plots.ternary import ternary_figure
from partynli.report.plots.variation import (
    explanations_figure,
    size_explanations,
    temperature_explanations,
    top_p_explanations,
)


class Entry(NamedTuple):
    """One figure."""

    number: str
    """In Kulmizev et al. (2026); empty where the paper has none."""
    line: str
    """What it shows."""
    scope: str
    """Items that the paper shows it for."""
    draw: Callable[[Subject], Canvas]
    """Raises InputError, in words that go on after a colon, where a run cannot give it."""


_COMMON, _ALL = "common50", "all122"

CATALOGUE: Mapping[str, Entry] = {
    "item": Entry("1", "t-SNE of the explanations of one item", _ALL, item_figure),
    "entropy": Entry("2", "entropy per item of people and of a mix, and their JS distance", _COMMON, entropy_figure),
    "consistency": Entry("3", "labels and consistency of participants, and every answer", _ALL, consistency_figure),
    "explanations": Entry("4", "words and distances of explanations, as distributions", _ALL, explanations_figure),
    "randommix": Entry("8", "each figure's distribution over draws of participants", _COMMON, draws_figure),
    "temperature": Entry("9", "every answer, by temperature", _ALL, temperature_figure),
    "size": Entry("10", "every answer, by model size", _ALL, size_figure),
    "embedders": Entry("11", "t-SNE of all explanations, by two or three embedders", _ALL, embedders_figure),
    "temperature-explanations": Entry(
        "12", "distances of explanations, by temperature", _ALL, temperature_explanations
    ),
    "top-p-explanations": Entry("13", "distances of explanations, by top-p", _ALL, top_p_explanations),
    "size-explanations": Entry("14", "distances of explanations, by model size", _ALL, size_explanations),
    "top-p": Entry("", "every answer, by top-p", _ALL, top_p_figure),
    "curve": Entry("", "the learning curve: each figure by the number of participants", _COMMON, curve_figure),
    "ternary": Entry("", "label distributions between three labels, from people to models", _COMMON, ternary_figure),
}


def find_figure(wanted: str) -> str:
    """Name of the figure that is meant by its number in the paper or its name.

    Raises
    ------
    InputError
        There is none.

    Examples
    --------
    >>> find_figure("2"), find_figure("Entropy")
    ('entropy', 'entropy')
    """
    asked = wanted.strip().lower().replace("_", "-")
    for name, entry in CATALOGUE.items():
        if asked and asked in (name, entry.number):
            return name
    if asked.isdigit():
        numbers = ", ".join(entry.number for entry in CATALOGUE.values() if entry.number)
        raise InputError(
            f"there is no figure {asked}: figures of the paper are {numbers}; `partynli plot --list` has all"
        )
    raise InputError(f"{unknown_name('figure', wanted, CATALOGUE)} (`partynli plot --list` has all)")
