"""ANLI's test sets: 3,200 NLI items that people wrote to mislead models, in three rounds.

Yixin Nie, Adina Williams, Emily Dinan, Mohit Bansal, Jason Weston and Douwe Kiela. 2020. Adversarial NLI: A New
Benchmark for Natural Language Understanding. https://arxiv.org/abs/1910.14599
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from partynli.errors import ItemsError
from partynli.items.base import Dataset, ItemSource
from partynli.items.download import RemoteFile, fetch
from partynli.items.lines import json_rows
from partynli.items.rows import At, Number, shown
from partynli.labels import LABELS
from partynli.records import Item

FILES = (
    RemoteFile(
        url="https://dl.fbaipublicfiles.com/anli/anli_v1.0.zip",
        path="anli/anli_v1.0.zip",
        sha256="e5c058f2bb4e6190b0651badca2c590e45db95248f8b28cde674615ee40820bf",
        size=18_708_061,
    ),
)
ROUNDS = ("R1", "R2", "R3")
LETTERS: Mapping[str, str] = {"e": "true", "n": "either", "c": "false"}
"""ANLI's letters for entailment, neutral and contradiction."""
_COLUMNS = ("uid", "context", "hypothesis", "label")
_MAX_MEMBER = 1 << 26


class Labelled(NamedTuple):
    """An item and its one label."""

    item: Item
    label: str


def load() -> Dataset:
    """Load the test sets of the three rounds from ``PARTYNLI_DATA``, the cache, or their public home.

    Items are named ``R1-<uid>``, by round. The distribution ``anli`` is one vote an item, for its gold label.

    Raises
    ------
    ItemsError
        The file cannot be had, or is not the expected one.
    """
    rows = [row for labelled in load_rounds().values() for row in labelled]
    note = "one label an item; written to mislead models"
    return Dataset(
        name="anli",
        items=ItemSource.of([row.item for row in rows], "anli", note),
        distributions={"anli": {row.item.uid: tuple(int(row.label == one) for one in LABELS) for row in rows}},
        licence="CC BY-NC 4.0",
        source="https://github.com/facebookresearch/anli",
        note=note,
    )


def load_rounds(given: Path | None = None) -> dict[str, tuple[Labelled, ...]]:
    """The test sets by round.

    Parameters
    ----------
    given
        The archive, the folder that it unpacks to, or one JSONL file in its format; downloaded at need if None. A file
        is named by its folder where that is a round's, otherwise by its own name.

    Raises
    ------
    ItemsError
        There is nothing of the kind, or a row is wrong; the message names file and line.
    """
    if given is None:
        return _from_archive(io.BytesIO(fetch(FILES[0])), FILES[0].path)
    try:
        if given.is_dir():
            return _from_folder(given)
        with given.open("rb") as file:
            if zipfile.is_zipfile(file):
                return _from_archive(file, str(given))
            file.seek(0)
            name = given.parent.name if given.parent.name in ROUNDS else given.stem
            return {name: _read(file, name, str(given))}
    except OSError as error:
        raise ItemsError(f"{given} cannot be read: {error.strerror or error}") from None


def _from_folder(folder: Path) -> dict[str, tuple[Labelled, ...]]:
    top = next((one for one in (folder, folder / "anli_v1.0") if (one / ROUNDS[0]).is_dir()), None)
    if top is None:
        raise ItemsError(f"{folder} holds no folder {ROUNDS[0]}; give the folder that anli_v1.0.zip unpacks to")
    found = {}
    for name in ROUNDS:
        path = top / name / "test.jsonl"
        with path.open("rb") as file:
            found[name] = _read(file, name, str(path))
    return found


def _from_archive(file: BinaryIO, where: str) -> dict[str, tuple[Labelled, ...]]:
    found = {}
    try:
        with zipfile.ZipFile(file) as archive:
            for name in ROUNDS:
                ending = f"/{name}/test.jsonl"
                member = next((one for one in archive.namelist() if f"/{one}".endswith(ending)), None)
                if member is None:
                    raise ItemsError(f"{where} holds no {ending[1:]}; give anli_v1.0.zip")
                if archive.getinfo(member).file_size > _MAX_MEMBER:
                    raise ItemsError(f"{where}:{member} unpacks to more than {_MAX_MEMBER:,} bytes; give anli_v1.0.zip")
                found[name] = _read(io.BytesIO(archive.read(member)), name, f"{where}:{member}")
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise ItemsError(f"{where} cannot be unpacked: {error}") from None
    return found


def _read(file: BinaryIO, name: str, where: str) -> tuple[Labelled, ...]:
    try:
        rows = tuple(_rows(file, name))
    except At as wrong:
        raise ItemsError(f"{where}:{wrong.line}: {wrong}") from None
    if not rows:
        raise ItemsError(f"{where} holds no items")
    return rows


def _rows(file: BinaryIO, name: str) -> Iterator[Labelled]:
    lines: dict[str, int] = {}
    for line, row in json_rows(file, _COLUMNS, ()):
        for column in _COLUMNS:
            if not isinstance(row[column], str) or isinstance(row[column], Number) or not row[column].strip():
                raise At(line, f"{column} is no text; ANLI's rows have texts in {', '.join(_COLUMNS)}")
            if any("\ud800" <= sign <= "\udfff" for sign in row[column]):
                raise At(line, f"{column} holds half a surrogate pair, which no tokenizer takes; write it whole")
        if row["label"] not in LETTERS:
            raise At(line, f"the label is {shown(row['label'])}; ANLI's are {', '.join(LETTERS)}")
        if (earlier := lines.setdefault(row["uid"], line)) != line:
            raise At(line, f"the uid {shown(row['uid'])} is that of line {earlier}, too; give every item its own")
        item = Item(f"{name}-{row['uid']}", {"premise": row["context"], "hypothesis": row["hypothesis"]})
        yield Labelled(item, LETTERS[row["label"]])
