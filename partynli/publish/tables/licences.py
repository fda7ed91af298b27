"""Whose the items' texts and people's answers are, and whether they may go into an export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from partynli.items import DATASETS
from partynli.items.table import SUFFIXES


class _Terms(NamedTuple):
    licence: str | None
    """None where none is stated."""
    source: str
    is_open: bool
    why: str


_TERMS: Mapping[str, _Terms] = {
    "demo": _Terms("Apache-2.0", "https://pypi.org/project/partynli/", True, "written for partynli, under its licence"),
    "anli": _Terms(
        "CC-BY-NC-4.0",
        "https://github.com/facebookresearch/anli",
        False,
        "it is for non-commercial use only, and what it is put into has to say so",
    ),
    "livenli": _Terms(
        None, "https://github.com/njjiang/LiveNLI", False, "its repository states no licence, so nobody may pass it on"
    ),
    "varierr": _Terms(
        None,
        "https://github.com/mainlp/VariErr-NLI",
        False,
        "its repository states no licence, so nobody may pass it on",
    ),
    "varierr341": _Terms(
        "Apache-2.0 for the repository",
        "https://github.com/mainlp/MJD-Estimator",
        False,
        "its texts and counts come from MNLI, ChaosNLI and VariErr, each under terms of its own",
    ),
}


@dataclass(frozen=True)
class Decision:
    """Whether something of others' goes into an export."""

    dataset: str | None
    """Name of the dataset, or of the file without its folder; None where there is nothing to decide on."""
    included: bool
    licence: str | None
    """As its owner states it; None where nothing is stated."""
    source: str | None
    """Where it can be had."""
    reason: str

    @property
    def as_object(self) -> dict[str, Any]:
        """The same for ``partynli.json``."""
        return asdict(self)


def decide(name: str | None, *, include: bool, licence: str | None) -> Decision:
    """Decide on the texts, or the people's answers, of one dataset.

    Parameters
    ----------
    name
        A dataset, or the path of a file of the user's; None where there is none.
    include
        Whether the person said that they may go in.
    licence
        Under which the person is going to publish; it covers what is the person's own.
    """
    if name is None:
        return Decision(None, False, None, None, "there are none")
    terms = _TERMS.get(name)
    if terms is not None:
        how = f"{terms.why}; put in because --include-texts says so" if include and not terms.is_open else terms.why
        return Decision(name, terms.is_open or include, terms.licence, terms.source, how)
    if name in DATASETS:
        return Decision(name, include, None, None, "its licence is not known to partynli")
    shown = base_name(name)
    if include:
        return Decision(shown, True, licence, None, "put in because --include-texts says so")
    if licence is not None and is_file(name):
        return Decision(shown, True, licence, None, "a file of the author's own, under the licence of the export")
    why = "a file of the author's own" if is_file(name) else "where they come from is not known"
    return Decision(shown, False, None, None, f"{why}; --include-texts puts them in")


def is_file(name: str) -> bool:
    """Whether items come from a file and not from a dataset by its name."""
    return name not in DATASETS and name.lower().endswith(SUFFIXES)


def base_name(name: str) -> str:
    """A dataset's name, or that of a file without its folder: where a person keeps files is nobody's business."""
    return name if name in DATASETS else name.replace("\\", "/").rstrip("/").rpartition("/")[2]
