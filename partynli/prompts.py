"""Tasks from ``prompts/<task>/``, and the messages of an item."""

from __future__ import annotations

import difflib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from partynli.datafiles import find_task
from partynli.errors import ItemsError, RegistryError, unknown_name
from partynli.labels import why_no_labels
from partynli.records import ANSWER, Item, Prompt, Task
from partynli.yamlfile import load_yaml


class TaskFile(BaseModel):
    """The shape of task.yaml; the docstrings below its fields are the meanings in docs/reference/task.md."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)

    name: str
    """Name of the task."""
    labels: list[str]
    """All labels, two or more, in the order of every distribution; without hyphens, which join the labels of a set.
    YAML takes `yes`, `no`, `true`, `false` and numbers for other things than texts: put them in quotes."""
    set_labels: bool = False
    """Whether several labels may be chosen at once."""
    collapse_to: str | None = None
    """The single label that a set of several labels counts as; needed with `set_labels`."""
    ordered: bool = False
    """Whether the labels are ordered as they are listed. `report` then gives ordinal alpha and the Wasserstein distance
    as well. Not together with `set_labels`."""
    fields: list[str]
    """Names of the item's texts, in the order of the `{}` in `user.txt`."""
    answer: dict[str, str] | None = None
    """Where the JSON answer holds its `label`, `explanation` and `highlights`: a key, or keys joined by dots. What is
    not named is not asked for. By default `classification.label`, `classification.explanation` and, where the task has
    highlights, `highlights`."""
    highlights: dict[str, str] = {}
    """Key below the answer's highlights → the field that it marks."""
    reader: str = "json"
    """How an answer is read. `json`, a JSON object as `answer` describes it, fits any task of labels; the others
    (`partynli/judgments.py`) belong to the tasks that come with partynli."""
    human: str | None = None
    """People's answers to this task: a dataset's name (`partynli data`) or the path of an items file with columns
    `human_<label>`. Counts that stand beside the items that were sampled come first."""


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
        A file is missing or unreadable, the template does not fit the task's fields, or what the file says of the task
        cannot be.
    """
    folder = find_task(name, prompts)
    task_file = folder / "task.yaml"
    try:
        loaded: Any = load_yaml(task_file.read_text("utf-8"))
        shape = TaskFile.model_validate(loaded)
        system, user = ((folder / f"{part}.txt").read_text("utf-8") for part in ("system", "user"))
    except FileNotFoundError as error:
        raise RegistryError(
            f"task {name!r}: {error.filename} is not there; `partynli init` copies the prompts"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        message = first["msg"].partition(" or instance of")[0]
        if first["type"] == "string_type" and isinstance(first["input"], bool | int | float):
            message += f", but YAML reads {first['input']!r} here; put it in quotes"
        if near := difflib.get_close_matches(where, TaskFile.model_fields, n=1):
            message += f"; did you mean {near[0]}?" if first["type"] == "extra_forbidden" else ""
        raise RegistryError(" ".join(f"{task_file}: {where}: {message}".split())) from None
    except (OSError, ValueError) as error:
        raise RegistryError(f"task {name!r} in {folder} cannot be read: {' '.join(str(error).split())}") from None
    if wrong := _why_not(shape):
        raise RegistryError(f"{task_file}: {wrong}")
    holes = user.count("{}")
    if holes != len(shape.fields):
        raise RegistryError(
            f"{folder / 'user.txt'}: the number of places {{}}, {holes}, is not that of the fields in task.yaml, "
            f"{len(shape.fields)}"
        )
    if wrong := _why_no_places(shape):
        raise RegistryError(f"{task_file}: {wrong}")
    return Task(
        name=shape.name,
        labels=tuple(shape.labels),
        set_labels=shape.set_labels,
        collapse_to=shape.collapse_to or shape.labels[0],
        fields=tuple(shape.fields),
        highlights=shape.highlights,
        reader=shape.reader,
        human=shape.human,
        system=system.removesuffix("\n"),
        user=user.removesuffix("\n"),
        ordered=shape.ordered,
        answer=_places(shape),
    )


def _why_not(shape: TaskFile) -> str | None:
    """What is wrong with a task, in one line, or None."""
    if why := why_no_labels(shape.labels, shape.set_labels):
        return f"labels: {why}"
    if shape.collapse_to is None and shape.set_labels:
        return "with set_labels, collapse_to must name the label that a set of several counts as"
    if shape.collapse_to is not None and shape.collapse_to not in shape.labels:
        return f"collapse_to {shape.collapse_to!r} is not one of the labels {shape.labels}"
    if shape.set_labels and shape.ordered:
        return "set_labels and ordered exclude each other: a set of labels has no place in their order"
    if len(set(shape.fields)) < len(shape.fields) or not all(shape.fields) or not shape.fields:
        return f"fields {shape.fields} must be one or more different names"
    if "uid" in shape.fields:
        return "fields: 'uid' is what an item is called, and cannot be one of its texts"
    names = (shape.name, shape.reader, shape.human or "", *shape.fields, *shape.highlights)
    if odd := [name for name in (*names, *_places(shape).values()) if not name.isprintable()]:
        return f"{odd[0][:40]!r} has characters that cannot be printed"
    return None


def _why_no_places(shape: TaskFile) -> str | None:
    """What is wrong with the places of an answer, in one line, or None."""
    if unmarked := set(shape.highlights.values()) - set(shape.fields):
        return f"highlights name {sorted(unmarked)}, which is no field of the task"
    places = _places(shape)
    if unknown := sorted(places.keys() - ANSWER.keys()):
        return unknown_name("part", unknown[0], ANSWER, "answer")
    if "label" not in places:
        return "answer names no place for the label"
    if not all(key.strip() for place in places.values() for key in place.split(".")):
        return f"answer: a place is keys joined by dots, not {[*places.values()]}"
    steps = [place.split(".") for place in places.values()]
    if any(a == b[: len(a)] for a in steps for b in steps if a is not b):
        return f"answer: of the places {[*places.values()]}, one lies within another"
    if shape.highlights and "highlights" not in places:
        return "answer names no place for the highlights, which the task asks for"
    return None


def _places(shape: TaskFile) -> dict[str, str]:
    """Where an answer holds what it says; highlights only where the task asks for any."""
    if shape.answer is not None:
        return dict(shape.answer)
    return {name: place for name, place in ANSWER.items() if name != "highlights" or shape.highlights}


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
        return Prompt((*system, user), item.texts, self._task)


def render(task: Task, item: Item) -> Prompt:
    """Fill one item's texts into the task's templates.

    >>> task = load_task("livenli")
    >>> prompt = render(task, Item("1", {"premise": "A {} of 100 %s.", "hypothesis": "B"}))
    >>> prompt.messages[1]["content"].splitlines()[1:3]
    ['[CONTEXT] A {} of 100 %s.', '[STATEMENT] B']
    """
    return Renderer(task).render(item)
