"""``README.md`` of a dataset: the YAML block that the Hub reads, and what people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from partynli.publish.card.body import card_sections
from partynli.publish.card.described import TAGS, Described
from partynli.publish.card.details import CardDetails
from partynli.publish.card.update import put_sections, read_card, write_card
from partynli.publish.tables.folder import Export

_FIRST = "judgments"
"""The configuration that is opened where none is named."""


def card_text(export: Export, details: CardDetails, old: str | None = None) -> str:
    """The card of an export; the same export, details and old card give the same text.

    Parameters
    ----------
    old
        The card that is there already. Its text outside generated sections is kept where it is, and so are its keys
        that are not generated, tags that people added, and title, licence and languages where the details name none.

    Raises
    ------
    InputError
        The old card's YAML or its marks cannot be read.
    """
    before, body = read_card(old or "")
    about = Described(export, completed(details, old))
    data = _front_matter(about, before)
    kept = {key: value for key, value in before.items() if key not in data}
    return write_card(data | kept, put_sections(card_sections(about), body))


def completed(details: CardDetails, old: str | None) -> CardDetails:
    """The details with what they leave open taken from the old card: title, licence and languages.

    Raises
    ------
    InputError
        The old card's YAML cannot be read.
    """
    before, _ = read_card(old or "")
    if details.licence is None:
        licence, name, link = (_text(before.get(key)) for key in ("license", "license_name", "license_link"))
        details = replace(details, licence=licence, licence_name=name, licence_link=link)
    languages = tuple(filter(None, map(_text, _listed(before.get("language")))))
    title = details.title or _text(before.get("pretty_name"))
    return replace(details, title=title, languages=details.languages or languages)


def _front_matter(about: Described, before: Mapping[str, Any]) -> dict[str, Any]:
    details = about.details
    data = {
        "pretty_name": about.title,
        "license": details.licence,
        "license_name": details.licence_name,
        "license_link": details.licence_link,
        "language": list(about.languages),
        "annotations_creators": _annotators(about),
        "language_creators": ["machine-generated"] + ["found"] * about.has_texts,
        "size_categories": [_size(_rows(about.export))],
        "source_datasets": list(about.source.source_datasets),
        "task_categories": ["text-classification"],
        "task_ids": about.task_ids,
        "tags": about.tags + [tag for tag in _listed(before.get("tags")) if tag not in TAGS],
        "configs": [_config(about.export, config) for config in about.configs],
        "dataset_info": [_types(about.export, config) for config in about.configs if about.export.kind != "parquet"],
    }
    return {key: value for key, value in data.items() if value}


def _rows(export: Export) -> int:
    """Rows of the configuration that is opened first."""
    return int(export.configs.get(_FIRST, {"rows": 0})["rows"])


def _annotators(about: Described) -> list[str]:
    return ["machine-generated", *(about.source.annotators if about.has_people else ())]


def _size(rows: int) -> str:
    """The Hub's word for how many rows there are.

    >>> _size(999), _size(1_000), _size(33_000), _size(2_000_000_000_000)
    ('n<1K', '1K<n<10K', '10K<n<100K', 'n>1T')
    """
    steps = ["1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T"]
    power = len(str(rows)) - 4
    if power < 0:
        return "n<1K"
    return f"{steps[power]}<n<{steps[power + 1]}" if power + 1 < len(steps) else "n>1T"


def _config(export: Export, config: str) -> dict[str, Any]:
    files = [name for name, file in export.files.items() if file["config"] == config]
    path: str | list[str] = files[0] if len(files) == 1 else files
    first = {"default": True} if config == _FIRST else {}
    found = {"config_name": config, **first, "data_files": [{"split": export.split, "path": path}]}
    return found | (_csv_options(export, config) if export.kind == "csv" else {})


def _csv_options(export: Export, config: str) -> dict[str, Any]:
    """What `datasets` hands to its reader of CSV, or it would take 007 for a number and NA for nothing.

    What is no text is read as a number that may be missing, and gets its own type afterwards, from ``dataset_info``.
    """
    read_as = {"string": "string", "bool": "string"}
    features = [{"name": one.name, "dtype": read_as.get(one.type, "float64")} for one in export.columns(config)]
    return {"features": features, "keep_default_na": False, "na_values": [""], "float_precision": "round_trip"}


def _types(export: Export, config: str) -> dict[str, Any]:
    """The columns' types, which a reader of CSV or JSON lines would otherwise guess from the values."""
    features = [{"name": column.name, "dtype": column.type} for column in export.columns(config)]
    return {"config_name": config, "features": features}


def _text(given: Any) -> str | None:
    return given if isinstance(given, str) and given else None


def _listed(given: Any) -> Sequence[Any]:
    return given if isinstance(given, list) else [] if given is None else [given]
