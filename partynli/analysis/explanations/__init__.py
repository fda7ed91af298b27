"""Explanation variation (Kulmizev et al. 2026, section 5; Chen et al. 2025).

How the parts fit, from a run to a plot::

    explanations = read_explanations(run, task, answers, dataset)                # texts.py, on the answers' items
    populations  = populations_of(explanations, groups_of(answers, mixes)[0])    # populations.py
    vectors      = {"tfidf": embedded(explanations, embedder_for("tfidf"))}      # vectors.py, (N, d) a text
    variations   = variations_of(explanations, populations, vectors)             # variation.py, raw values
    figure       = median_of(variations[0].lexical["word_count"], resamples)     # medians.py
    report       = explanation_report("all122", explanations, groups, vectors)   # overview.py, all medians

`Explanations`
    All texts as columns: who wrote it, on which item, in which trial, with which label; its de-lexicalised words.
`Population`
    Writers who are compared as one: people, a mix, an experiment, or the trials of one participant. Mixes and
    experiments have one part a trial.
`Variation`
    Raw values of one population, for figures and for distributions: `lexical`, `sets`, by embedder `vectors`, and
    Chen et al.'s `overlap`. Its docstring names every figure.
`Values`
    Such values with the item and the part (trial) of each. NaN is missing: sets of fewer than two, and whatever is not
    defined. Texts of which nothing is left without quotations are in no figure; `Variation.n_empty` counts them.
"""

from partynli.analysis.explanations.medians import mean_of, median_of, middle_of
from partynli.analysis.explanations.overview import ExplanationReport, ExplanationRow, explanation_report
from partynli.analysis.explanations.populations import PEOPLE, Population, populations_of
from partynli.analysis.explanations.texts import BY, Explanations, read_explanations
from partynli.analysis.explanations.variation import Values, Variation, variations_of
from partynli.analysis.explanations.vectors import embedded

__all__ = [
    "BY",
    "PEOPLE",
    "ExplanationReport",
    "ExplanationRow",
    "Explanations",
    "Population",
    "Values",
    "Variation",
    "embedded",
    "explanation_report",
    "mean_of",
    "median_of",
    "middle_of",
    "populations_of",
    "read_explanations",
    "variations_of",
]
