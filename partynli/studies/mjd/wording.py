"""The words of the prompts, from ``prompts/mjd/``: none of them stands in the code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from partynli.datafiles import find_task
from partynli.errors import RegistryError
from partynli.items.explanation_files import Explanation
from partynli.prompts import load_task
from partynli.records import Task
from partynli.yamlfile import load_yaml

COMMENTS = "comments"
"""Field of the explanations in ``explained.txt``."""


class _WordingFile(BaseModel):
    """The shape of wording.yaml."""

    model_config = ConfigDict(extra="forbid", strict=True)

    labels: dict[str, str]
    comment: str
    explicit: str


@dataclass(frozen=True)
class Wording:
    """How an item is put to a model."""

    plain: Task
    """Without explanations."""
    explained: Task
    """With explanations, which stand behind the item's texts."""
    options: Mapping[str, str]
    """What each label is called as an option."""
    comment: str
    explicit: str

    def comments(self, explanations: Sequence[Explanation], *, explicit: bool) -> str:
        """The explanations as they stand in a prompt, one behind the other."""
        line = self.explicit if explicit else self.comment
        return "\n".join(
            line.format(number=number, text=one.text.strip(), label=self.options[one.label])
            for number, one in enumerate(explanations, start=1)
        )


def load_wording(prompts: Path | None = None) -> Wording:
    """Read the words.

    Parameters
    ----------
    prompts
        The prompts folder; by default ``./prompts`` or the one that came with partynli.

    Raises
    ------
    RegistryError
        A file is missing or unreadable, or the files do not fit each other.
    """
    plain = load_task("mjd", prompts)
    folder = find_task("mjd", prompts)
    file = folder / "wording.yaml"
    try:
        words = _WordingFile.model_validate(load_yaml(file.read_text("utf-8")))
        explained = (folder / "explained.txt").read_text("utf-8").removesuffix("\n")
        for line in (words.comment, words.explicit):
            line.format(number=1, text="", label="")
    except FileNotFoundError as error:
        raise RegistryError(f"task 'mjd': {error.filename} is not there; `partynli init` copies the prompts") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise RegistryError(" ".join(f"{file}: {where}: {first['msg']}".split())) from None
    except (KeyError, IndexError, AttributeError) as error:
        raise RegistryError(
            f"{file}: a comment's line has the places {{number}}, {{text}} and {{label}}, not {error}"
        ) from None
    except (OSError, ValueError) as error:
        raise RegistryError(f"{file} cannot be read: {' '.join(str(error).split())}") from None
    if sorted(words.labels) != sorted(plain.labels) or len(set(words.labels.values())) < len(plain.labels):
        raise RegistryError(f"{file}: labels must give each of {', '.join(plain.labels)} a name of its own")
    if parted := [label for label in plain.labels if len(label.split()) != 1]:
        raise RegistryError(f"{folder / 'task.yaml'}: the label {parted[0]!r} must be one word to be an option's")
    if (holes := explained.count("{}")) != len(plain.fields) + 1:
        raise RegistryError(f"{folder / 'explained.txt'} has {holes} places {{}} for {len(plain.fields) + 1} fields")
    if plain.reader != "options":
        raise RegistryError(f"{folder / 'task.yaml'}: the reader must be options, not {plain.reader!r}")
    n = len(plain.labels)
    fields = (*plain.fields[:-n], COMMENTS, *plain.fields[-n:])
    return Wording(plain, replace(plain, user=explained, fields=fields), words.labels, words.comment, words.explicit)
