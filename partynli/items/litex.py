"""LiTEx: which part of an explanation in LiveNLI is about which label, and what kind of reasoning it shows.

Pingjun Hong, Beiduo Chen, Siyao Peng, Marie-Catherine de Marneffe and Barbara Plank. 2025. LiTEx: A Linguistic Taxonomy
of Explanations for Understanding Within-Label Variation in Natural Language Inference.
https://arxiv.org/abs/2505.22848
"""

from __future__ import annotations

import json
import re

from partynli.errors import ItemsError
from partynli.items.download import RemoteFile, fetch
from partynli.labels import join_labels

FILES = (
    RemoteFile(
        url=(
            "https://raw.githubusercontent.com/mainlp/LiTEx/4734196a016d16b22458f7a420335110460cb66e/"
            "data/livenli/annotations_livenli.jsonl"
        ),
        path="litex/annotations_livenli.jsonl",
        sha256="3de9bfcf666346978a3a0f17acdbb30d56cde224495209e5a5b23a2a0a13b7ad",
        size=973_310,
    ),
)
_LABEL = re.compile("true|either|false")


def load_parts() -> dict[str, list[tuple[str, str]]]:
    """Parts of explanations with the label that each is about, from ``PARTYNLI_DATA``, the cache, or its public home.

    Returns
    -------
    dict
        By item: label (or set of labels, spelled as ``class_multi``) and text of each part. The file does not say who
        wrote a part.

    Raises
    ------
    ItemsError
        The file cannot be had, or is not the expected one.
    """
    parts: dict[str, list[tuple[str, str]]] = {}
    for number, line in enumerate(fetch(FILES[0]).decode().splitlines(), start=1):
        row = json.loads(line)
        labels = _LABEL.findall(row["gold_label"])  # some are written with a stray blank or bracket
        if not labels:
            raise ItemsError(f"{FILES[0].path}: line {number} has no label")
        parts.setdefault(row["pairID"], []).append((join_labels(labels), row["explanation"]))
    return parts
