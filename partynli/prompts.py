"""Tasks from ``prompts/<task>/``, and the messages of an item."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from partynli.datafiles import find_task
from partynli.errors import ItemsError, RegistryError
from partynli.records import Item, Prompt, Task
from partynli.yamlfile import load_yaml


class _TaskFile(BaseModel):
    """The shape of task.yaml."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    labels: list[str]
    set_labels: bool
    collapse_to: str
    fields: list[str]
    highlights: dict[str, str] = {}
    reader: str
    human: str | None = None


def load_task(name: str = "livenli", prompts: Path | None = None) -> Task:
    """Read a task and its two templates.

    Parameters
    ----------
    name
        Folder of the task below the prompts folder.
    prompts
        The prompts folder; by default ``./prompts`` or the one that came with partynli.

    Raises
    ------
    RegistryError
        A file is missing or unreadable, or the template does not fit the task's fields.
    """
    folder = find_task(name, prompts)
    task_file = folder / "task.yaml"
    try:
        loaded: Any = load_yaml(task_file.read_text("utf-8"))
        shape = _TaskFile.model_validate(loaded)
        system, user = ((folder / f"{part}.txt").read_text("utf-8") for part in ("system", "user"))
    except FileNotFoundError as error:
        raise RegistryError(
            f"task {name!r}: {error.filename} is not there; `partynli init` copies the prompts"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        message = first["msg"].partition(" or instance of")[0]
        raise RegistryError(" ".join(f"{task_file}: {where}: {message}".split())) from None
    except (OSError, ValueError) as error:
        raise RegistryError(f"task {name!r} in {folder} cannot be read: {' '.join(str(error).split())}") from None
    if len(set(shape.labels)) < len(shape.labels) or any(not label or "-" in label for label in shape.labels):
        raise RegistryError(
            f"{task_file}: labels {shape.labels} must all differ and have no hyphen, which joins the labels of a set"
        )
    if len(set(shape.fields)) < len(shape.fields) or not shape.fields:
        raise RegistryError(f"{task_file}: fields {shape.fields} must be one or more different names")
    if shape.collapse_to not in shape.labels:
        raise RegistryError(f"{task_file}: collapse_to {shape.collapse_to!r} is not one of the labels {shape.labels}")
    holes = user.count("{}")
    if holes != len(shape.fields):
        raise RegistryError(
            f"{folder / 'user.txt'} has {holes} places {{}} for the {len(shape.fields)} fields of task.yaml"
        )
    if unknown := set(shape.highlights.values()) - set(shape.fields):
        raise RegistryError(f"{task_file}: highlights name {sorted(unknown)}, which is no field of the task")
    return Task(
        name=shape.name,
        labels=tuple(shape.labels),
        set_labels=shape.set_labels,
        collapse_to=shape.collapse_to,
        fields=tuple(shape.fields),
        highlights=shape.highlights,
        reader=shape.reader,
        human=shape.human,
        system=system.removesuffix("\n"),
        user=user.removesuffix("\n"),
    )


def task_of(manifest: Mapping[str, Any]) -> Task:
    """The task as a run's manifest keeps it, prompts included: what the run was asked, whatever the files say now."""
    kept = dict(manifest["task"])
    return Task(**{**kept, "labels": tuple(kept["labels"]), "fields": tuple(kept["fields"])})


class Renderer:
    """Renders items, keeping the last few hundred: lanes ask for the same items at nearly the same time."""

    def __init__(self, task: Task, keep: int = 512) -> None:
        # Split once and join: replacing one {} after the other would also replace a {} in the first text.
        self._pieces = task.user.split("{}")
        self._task = task
        self._keep = keep
        self._kept: OrderedDict[str, Prompt] = OrderedDict()

    def render(self, item: Item) -> Prompt:
        """Fill the item's texts into the task's templates."""
        prompt = self._kept.get(item.uid)
        if prompt is None or prompt.texts != item.texts:  # another dataset may have an item of the same name
            prompt = self._kept[item.uid] = self._render(item)
            if len(self._kept) > self._keep:
                self._kept.popitem(last=False)
        return prompt

    def _render(self, item: Item) -> Prompt:
        if missing := [name for name in self._task.fields if name not in item.texts]:
            raise ItemsError(f"item {item.uid!r} has no {' and no '.join(missing)}; task {self._task.name!r} needs it")
        filled = [self._pieces[0]]
        for name, piece in zip(self._task.fields, self._pieces[1:], strict=True):
            filled += (item.texts[name], piece)
        user = {"role": "user", "content": "".join(filled)}
        system = ({"role": "system", "content": self._task.system},) if self._task.system else ()
        return Prompt((*system, user), item.texts)


def render(task: Task, item: Item) -> Prompt:
    """Fill one item's texts into the task's templates.

    >>> task = load_task("livenli")
    >>> prompt = render(task, Item("1", {"premise": "A {} of 100 %s.", "hypothesis": "B"}))
    >>> prompt.messages[1]["content"].splitlines()[1:3]
    ['[CONTEXT] A {} of 100 %s.', '[STATEMENT] B']
    """
    return Renderer(task).render(item)
