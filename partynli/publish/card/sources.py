"""What is known of the datasets that items and people's answers come from, for cards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

STUDY = (
    "Artur Kulmizev, Erika Lombart, Patrick Watrin and Marie-Catherine de Marneffe. 2026. Label and Explanation "
    "Variation in LLM-Based Annotation: a Case Study in Natural Language Inference. ACL 2026 (the prompts)"
)


@dataclass(frozen=True)
class Source:
    """A dataset of items, as the Hub's vocabulary describes it."""

    source_datasets: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    annotators: tuple[str, ...] = ("other",)
    """Who gave people's answers, in the terms of the Hub's ``annotations_creators``."""
    references: tuple[str, ...] = ()


_OWN = Source()
SOURCES: Mapping[str, Source] = {
    "demo": Source(source_datasets=("original",), languages=("en",)),
    "livenli": Source(
        source_datasets=("extended|other-livenli",),
        languages=("en",),
        annotators=("crowdsourced",),
        references=(
            "Nan-Jiang Jiang, Chenhao Tan and Marie-Catherine de Marneffe. 2023. Understanding and Predicting Human "
            "Label Variation in Natural Language Inference through Explanations. arXiv:2304.12443 (the items, and "
            "people's answers)",
        ),
    ),
    "varierr": Source(
        source_datasets=("extended|other-chaosnli",),
        languages=("en",),
        annotators=("expert-generated",),
        references=(
            "Leon Weber-Genzel, Siyao Peng, Marie-Catherine de Marneffe and Barbara Plank. 2024. VariErr NLI: "
            "Separating Annotation Error from Human Label Variation. arXiv:2403.01931 (the items, and people's "
            "answers)",
            "Yixin Nie, Xiang Zhou and Mohit Bansal. 2020. What Can We Learn from Collective Human Opinions on Natural "
            "Language Inference Data? arXiv:2010.03532 (the choice of items, and people's answers)",
        ),
    ),
    "varierr341": Source(
        source_datasets=("extended|other-chaosnli", "extended|other-varierr"),
        languages=("en",),
        annotators=("crowdsourced", "expert-generated"),
        references=(
            "Yixin Nie, Xiang Zhou and Mohit Bansal. 2020. What Can We Learn from Collective Human Opinions on Natural "
            "Language Inference Data? arXiv:2010.03532 (people's answers)",
            "Leon Weber-Genzel, Siyao Peng, Marie-Catherine de Marneffe and Barbara Plank. 2024. VariErr NLI: "
            "Separating Annotation Error from Human Label Variation. arXiv:2403.01931 (people's answers)",
            "Beiduo Chen, Xinpeng Wang, Siyao Peng, Robert Litschko, Anna Korhonen and Barbara Plank. 2024. "
            '"Seeing the Big through the Small": Can LLMs Approximate Human Judgment Distributions on NLI from a Few '
            "Explanations? arXiv:2406.17600 (the choice of items)",
        ),
    ),
}


def source_of(items: str) -> Source:
    """What is known of items by the name of their dataset; nothing of a file of the user's.

    >>> source_of("livenli").languages, source_of("mine.csv").languages
    (('en',), ())
    """
    return SOURCES.get(items, _OWN)
