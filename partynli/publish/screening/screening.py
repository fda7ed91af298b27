"""What forbids publishing an export, until a person says that it is meant so."""

from __future__ import annotations

import json
import os
import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Literal, NamedTuple

from partynli.errors import unknown_name
from partynli.publish.card.details import LICENCES, CardDetails
from partynli.publish.screening.suspicions import Kind, suspicions
from partynli.publish.tables.folder import MANIFEST, Export
from partynli.publish.tables.formats import read_rows

_OPTIONS: Mapping[str, str] = {
    "licence": "--license",
    "synthetic": "--allow-synthetic",
    "secret": "--allow-secrets",
    "email": "--allow-emails",
}
_SECRET_NAME = re.compile(r".*(?:KEY|TOKEN|SECRET|PASSWORD)", re.IGNORECASE)
_SHORTEST_SECRET = 8
"""Characters; a shorter value would be found in ordinary words."""
_ROWS = 2_000
"""Rows that are looked through at once."""
_BETWEEN = "\x00"
"""Stands between texts that are looked through together; no secret holds it."""


@dataclass(frozen=True)
class Finding:
    """One reason not to publish."""

    kind: Literal["licence", "synthetic", "secret", "email"]
    text: str
    """One line: what was found and where; of a secret no more than four characters and its length."""

    @property
    def option(self) -> str:
        """The option of `partynli publish` that overrides it, or says what is missing."""
        return _OPTIONS[self.kind]


def screen(
    export: Export,
    details: CardDetails,
    allow: Collection[str] = (),
    *,
    environ: Mapping[str, str] = os.environ,
    key_names: Collection[str] = (),
) -> list[Finding]:
    """What forbids publishing an export.

    The tables are read as a stream, every text column of every configuration, and so is ``partynli.json``. Keys whose
    providers give them no shape of their own are found only where they are in the environment.

    Parameters
    ----------
    allow
        Kinds that a person has allowed: ``synthetic``, ``secret``, ``email``.
    environ
        Environment variables. Values of those that are named like secrets (``HF_TOKEN``) are looked for and never
        shown.
    key_names
        Further variables that hold a secret: the participants' ``api_key_env``.

    Raises
    ------
    InputError
        A file cannot be read.
    """
    found = list(_about_licence(details))
    if export.synthetic and "synthetic" not in allow:
        found.append(Finding("synthetic", "simulated participants took part; no model gave their answers"))
    kinds: frozenset[Kind] = frozenset(kind for kind in ("secret", "email") if kind not in allow)
    if kinds:
        found += _about_texts(export, _secrets(environ, key_names), kinds)
    return found


def _about_licence(details: CardDetails) -> Iterator[Finding]:
    if details.licence is None:
        text = "no licence is given; say under which one others may use the dataset, cc-by-4.0 for instance"
        yield Finding("licence", text)
    elif details.licence not in LICENCES:
        hint = "; for a licence that the Hub does not list: other, with a name"
        yield Finding("licence", unknown_name("licence", details.licence, LICENCES) + hint)
    elif details.licence == "other" and not details.licence_name:
        yield Finding("licence", "the licence 'other' has no name; say what it is called and where it can be read")


def _secrets(environ: Mapping[str, str], key_names: Collection[str]) -> dict[str, str]:
    """Values to look for, and the names of their variables."""
    named = {
        value.strip(): name
        for name, value in environ.items()
        if (name in key_names or _SECRET_NAME.fullmatch(name)) and len(value.strip()) >= _SHORTEST_SECRET
    }
    in_json = {json.dumps(value, ensure_ascii=False)[1:-1]: name for value, name in named.items()}
    return named | in_json


class _Place(NamedTuple):
    kind: Kind
    what: str
    column: str
    file: str


@dataclass
class _Seen:
    row: int
    """The first, from 1."""
    shown: str
    times: int = 0


def _about_texts(export: Export, secrets: Mapping[str, str], kinds: frozenset[Kind]) -> Iterator[Finding]:
    seen: dict[_Place, _Seen] = {}
    for file, column, first, texts in _texts(export):
        together = _BETWEEN.join(texts)
        starts: list[int] = []
        for one in suspicions(together, secrets, kinds):
            starts = starts or [0, *accumulate(len(text) + len(_BETWEEN) for text in texts)]
            row = first + bisect_right(starts, one.start) - 1
            place = seen.setdefault(_Place(one.kind, one.what, column, file), _Seen(row, one.shown))
            place.times += 1
            if row < place.row:
                place.row, place.shown = row, one.shown
    for at, what in seen.items():
        often = f", and {what.times - 1:,} more like it in this column" if what.times > 1 else ""
        column = f", column {at.column}" if at.column else ""
        unit = "row" if at.column else "line"
        yield Finding(at.kind, f"{at.file}{column}, {unit} {what.row:,}: {at.what} ({what.shown}){often}")


def _texts(export: Export) -> Iterator[tuple[str, str, int, Sequence[str]]]:
    """File, column, number of the first row, and the column's texts in the rows from there on."""
    yield MANIFEST, "", 1, (export.path / MANIFEST).read_text("utf-8").split("\n")
    for file, about in export.files.items():
        columns = export.columns(about["config"])
        names = [column.name for column in columns if column.type == "string"]
        read = read_rows(export.path / file, columns, export.kind, int(about["rows"]))
        first = 1
        while rows := list(islice(read, _ROWS)):
            for name in names:
                yield file, name, first, [row[name] or "" for row in rows]
            first += len(rows)
