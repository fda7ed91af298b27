"""A trained model as it goes to the Hub: which of its folder's files, and its card."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from partynli.errors import InputError, unknown_name
from partynli.finetune.card import CARD, card
from partynli.finetune.outcome import NAME, Outcome, read_outcome
from partynli.hashing import file_hash
from partynli.publish.card.details import LICENCES
from partynli.publish.card.update import put_sections, read_card, write_card

_NEEDED = ("config.json", "tokenizer_config.json")
_WEIGHTS = r"model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?"
_TOKENIZER = (
    r"tokenizer\.json|special_tokens_map\.json|added_tokens\.json|vocab\.(txt|json)|merges\.txt|"
    r"(spiece|spm|sentencepiece\.bpe|tokenizer)\.model"
)
_WRITTEN = re.compile("|".join([*map(re.escape, (CARD, NAME, *_NEEDED)), _WEIGHTS, _TOKENIZER]), re.ASCII)


def is_model_file(name: str) -> bool:
    """Whether a training writes a file of this name, and keeps it when it is finished.

    >>> [name for name in ("model.safetensors", "vocab.txt", "checkpoint.pt", "job.json") if is_model_file(name)]
    ['model.safetensors', 'vocab.txt']
    """
    return _WRITTEN.fullmatch(name) is not None


@dataclass(frozen=True)
class TrainedModel:
    """The folder of a finished training."""

    outcome: Outcome
    files: Mapping[str, Path]
    """What of it may be sent, by name; the card is not among it, as `model_card` writes it anew."""
    left: tuple[str, ...]
    """Names of what else lies there, and stays."""

    @property
    def title(self) -> str:
        """What was trained on what, as the history at the Hub says it."""
        return f"{self.outcome.job['model']} trained on {self.outcome.job['data']['train']['name']}"


def read_model(folder: Path) -> TrainedModel:
    """Find what a training wrote.

    Raises
    ------
    InputError
        The folder is no finished training, holds no model, or a file of it is a link that leaves it, or not what the
        training wrote.
    """
    outcome = read_outcome(folder)
    if outcome is None:
        raise InputError(f"{folder} is no finished training: it has no {NAME}; give the folder of one seed")
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    recorded = {name: told for name, told in outcome.files.items() if is_model_file(name)}
    files = {name: folder / name for name in names if name in recorded or name == NAME}
    for name in (*_NEEDED, "model.safetensors"):
        if not (folder / name).is_file() and not (folder / f"{name}.index.json").is_file():
            raise InputError(f"{folder} holds no model: it has no {name}; a table keeps models with --keep-models")
    for path in files.values():
        if not path.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{path} is a link that leaves the folder; copy the folder with what its links point to")
    try:
        card(outcome)
    except (KeyError, TypeError, AttributeError, ValueError):
        raise InputError(f"{folder / NAME} does not say what a card needs; train again into another folder") from None
    _check_files(folder, recorded)
    return TrainedModel(outcome, files, tuple(name for name in names if name not in files and name != CARD))


def _check_files(folder: Path, recorded: Mapping[str, str]) -> None:
    """See that a model is what its card will say of it: the one that was trained and measured."""
    if not recorded:
        raise InputError(f"{folder / NAME} does not say what the model's files hold; train again into another folder")
    for name, told in recorded.items():
        try:
            found = file_hash(folder / name)
        except OSError as error:
            raise InputError(f"{folder / name} cannot be read: {error.strerror or error}") from None
        if found != told:
            raise InputError(
                f"{folder / name} is not the file that the training wrote, and the figures are not of it; bring that "
                "file back, or train again into another folder"
            )


def model_card(outcome: Outcome, licence: str | None, old: str | None) -> str:
    """The card of a model: what the training says, and what was written by hand into the old card.

    Parameters
    ----------
    licence
        One of `LICENCES`; None for that of the old card.
    old
        The card at the Hub, or None.

    Raises
    ------
    InputError
        There is no licence, or none that the Hub knows; or the old card cannot be read.
    """
    before, by_hand = read_card(old or "")
    licence = licence or before.get("license")
    if licence is None:
        raise InputError("no licence is given; say under which one others may use the model: --license mit, say")
    if licence not in LICENCES:
        raise InputError(unknown_name("licence", str(licence), LICENCES))
    if licence == "other" and not before.get("license_name"):
        raise InputError(
            "the licence 'other' has no name; write license_name and license_link into the card at the Hub first"
        )
    data, body = read_card(card(outcome, licence))
    tags = before.get("tags")
    data["tags"] += [tag for tag in tags if tag not in data["tags"]] if isinstance(tags, list) else []
    return write_card(before | data, put_sections({"model": body}, by_hand))
