"""From a raw answer to a `Judgment` or a `Rejection`.

An answer is read tolerantly, and every mend has a name that is stored with the judgment. What cannot be read is data
too: a rejection with its reason. Nothing is guessed: an answer that names an unknown label, or several valid answers
that disagree, is rejected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from partynli.errors import RegistryError
from partynli.labels import collapse, join_labels
from partynli.listing import ListReader
from partynli.options import OptionsReader
from partynli.records import Judgment, Rejection, Response, Span, Task


class Reader(Protocol):
    """Reads the answers to one task."""

    def check(self, response: Response) -> Rejection | None:
        """Why an answer holds no judgment, or None where it holds one."""

    def judge(self, response: Response, texts: Mapping[str, str]) -> Judgment | Rejection:
        """Read an answer to the item with these texts."""
        ...

    @property
    def shape(self) -> Mapping[str, Any]:
        """JSON Schema of a clean answer, for servers that can hold a model to one."""
        ...


_FENCE = re.compile(r"\A```[\w-]*[ \t]*\r?\n(.*?)```\Z", re.DOTALL)
_SEPARATORS = re.compile(r"(?:[\s\-–—,;/|+&]|\band\b|\bor\b)+")
_REFUSAL = re.compile(
    r"\b(?:I['’]?m sorry|I am sorry|I apologi[sz]e|unable to (?:assist|help|comply)"
    r"|(?:I|we) (?:cannot|can['’]t|won['’]t|will not|am unable|am not able|must decline))",
    re.IGNORECASE,
)
_TRUNCATED = {"length", "max_tokens", "MAX_TOKENS"}
_FILTERED = {"content_filter", "refusal", "SAFETY", "safety"}


class _Classification(BaseModel):
    model_config = ConfigDict(extra="ignore")

    label: Any
    explanation: Any


class _Answer(BaseModel):
    """The shape that the system prompt asks for."""

    model_config = ConfigDict(extra="ignore")

    classification: _Classification
    highlights: Any = None


@dataclass(frozen=True, slots=True)
class _Read:
    class_multi: str
    explanation: str
    highlights: Any
    repairs: list[str]


def reader_for(task: Task) -> tuple[Reader, str]:
    """The reader of a task, and its name with its version.

    The version changes whenever the same answer could be read differently; stored judgments of an older version are
    derived anew.
    """
    if task.reader not in _READERS:
        raise RegistryError(f"task {task.name!r} names the reader {task.reader!r}; known: {', '.join(_READERS)}")
    version, make = _READERS[task.reader]
    return make(task), f"{task.reader}/{version}"


class LiveNLIReader:
    """Reads ``{"classification": {"label", "explanation"}, "highlights": {...}}`` (Kulmizev et al. 2026, figure 6).

    Repairs, in the order in which they are tried: ``reasoning`` (a think block cut off), ``fence`` (a code fence),
    ``surrounding_text``, ``control_characters`` (raw line breaks inside a string), ``label_case``, ``label_spelling``
    (another order or separator than asked for), ``label_type`` (a list, or a JSON boolean), ``explanation_type`` (an
    object or list of texts), ``no_highlights``.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._known = frozenset(task.labels)
        self._exact = {join_labels([label]) for label in task.labels}

    @property
    def shape(self) -> Mapping[str, Any]:
        """JSON Schema of an answer without any need of repair; with labels of a set, every set of them is one."""
        labels = sorted(self._task.labels)
        most = len(labels) if self._task.set_labels else 1
        sets = [join_labels(chosen) for size in range(1, most + 1) for chosen in combinations(labels, size)]
        return _object(
            classification=_object(label={"type": "string", "enum": sets}, explanation={"type": "string"}),
            highlights=_object(**{key: {"type": "string"} for key in self._task.highlights}),
        )

    def check(self, response: Response) -> Rejection | None:
        """Why an answer holds no judgment, or None where it holds one."""
        read = self._read(response)
        return read if isinstance(read, Rejection) else None

    def judge(self, response: Response, texts: Mapping[str, str]) -> Judgment | Rejection:
        """Read one answer to the item with these texts."""
        read = self._read(response)
        if isinstance(read, Rejection):
            return read
        spans = self._spans(read.highlights, texts)
        repairs = (*read.repairs, "no_highlights") if self._task.highlights and not spans else tuple(read.repairs)
        class_simple = collapse(read.class_multi, self._task.collapse_to)
        return Judgment(read.class_multi, class_simple, read.explanation, spans, repairs)

    def _read(self, response: Response) -> _Read | Rejection:
        return _read_answers(response, self._read_object)

    def _read_object(self, answer: Any, repairs: list[str]) -> _Read | Rejection:
        try:
            shape = _Answer.model_validate(answer)
        except ValidationError as error:
            first = error.errors()[0]
            return Rejection("schema", f"{'.'.join(map(str, first['loc'])) or 'answer'}: {first['msg']}")
        labels = self._labels(shape.classification.label, repairs)
        if isinstance(labels, Rejection):
            return labels
        explanation = _explanation(shape.classification.explanation, repairs)
        if explanation is None:
            return Rejection("schema", "classification.explanation: not a text")
        if len(labels) > 1 and not self._task.set_labels:
            return Rejection("schema", "several labels where the task takes one")
        return _Read(join_labels(labels), explanation, shape.highlights, repairs)

    def _labels(self, given: Any, repairs: list[str]) -> list[str] | Rejection:
        if isinstance(given, str) and given in self._exact:
            return [given]
        if isinstance(given, bool):
            repairs.append("label_type")
            given = str(given).lower()
        elif isinstance(given, list) and given and all(isinstance(one, str) for one in given):
            repairs.append("label_type")
            given = "-".join(given)
        if not isinstance(given, str):
            return Rejection("schema", "classification.label: not a text")
        lowered = given.strip().strip("\"'.").lower()
        labels = _SEPARATORS.split(lowered)
        if unknown := [label for label in labels if label not in self._known]:
            return Rejection("unknown_label", f"unknown label {unknown[0][:40]!r}")
        if lowered != given:
            repairs.append("label_case")
        if lowered != join_labels(labels) and "label_type" not in repairs:
            repairs.append("label_spelling")
        return labels

    def _spans(self, given: Any, texts: Mapping[str, str]) -> tuple[Span, ...]:
        spans: list[Span] = []
        for key, field in self._task.highlights.items():
            marked = given.get(key) if isinstance(given, dict) else None
            parts = marked if isinstance(marked, list) else [marked]
            for part in parts:
                if isinstance(part, str):
                    spans += find_spans(part, field, texts[field])
        return tuple(spans)


class ReasonsReader:
    """Reads ``{"reason", "category"}``: one label of the task's (``prompts/reasons``).

    Repairs: ``reasoning``, ``fence``, ``surrounding_text`` and ``control_characters`` as `LiveNLIReader` has them,
    ``label_case``, ``label_spelling`` (underscores or hyphens for blanks, quotes), ``label_type`` (a list of one),
    ``no_reason``.
    """

    def __init__(self, task: Task) -> None:
        self._labels = task.labels
        self._known = {_plain(label): label for label in task.labels}

    @property
    def shape(self) -> Mapping[str, Any]:
        """JSON Schema of an answer without any need of repair."""
        return _object(reason={"type": "string"}, category={"type": "string", "enum": [*self._labels]})

    def check(self, response: Response) -> Rejection | None:
        """Why an answer holds no judgment, or None where it holds one."""
        read = _read_answers(response, self._read_object)
        return read if isinstance(read, Rejection) else None

    def judge(self, response: Response, texts: Mapping[str, str]) -> Judgment | Rejection:
        """Read one answer; the judgment's explanation is the reason given for the category."""
        read = _read_answers(response, self._read_object)
        if isinstance(read, Rejection):
            return read
        return Judgment(read.class_multi, read.class_multi, read.explanation, (), tuple(read.repairs))

    def _read_object(self, answer: Any, repairs: list[str]) -> _Read | Rejection:
        given = answer.get("category") if isinstance(answer, dict) else None
        if isinstance(given, list) and len(given) == 1:
            repairs.append("label_type")
            given = given[0]
        if not isinstance(given, str):
            return Rejection("schema", "category: not a text")
        label = self._known.get(_plain(given))
        if label is None:
            return Rejection("unknown_label", f"unknown category {given[:40]!r}")
        if given != label:
            repairs.append("label_case" if given.casefold() == label.casefold() else "label_spelling")
        reason = answer.get("reason")
        if not isinstance(reason, str):
            repairs.append("no_reason")
            reason = ""
        return _Read(label, reason, None, repairs)


def _plain(label: str) -> str:
    """A label's words, whatever their case and what stands between and around them."""
    return " ".join(re.findall(r"\w+", label.replace("_", " ").casefold()))


def find_spans(marked: str, field: str, text: str) -> list[Span]:
    """The stretches between ``<<`` and ``>>`` in a highlighted text, placed in the item's own text.

    A stretch that does not occur there, not even with other white space or case, has no offsets: the participant
    highlighted words that it was not shown.

    >>> find_spans("the <<old>> <<hat>>", "premise", "the old house")
    [Span(field='premise', text='old', start=4, end=7), Span(field='premise', text='hat', start=None, end=None)]
    """
    if marked == text:  # an item may hold such signs itself; unchanged, nothing in it was marked
        return []
    spans: list[Span] = []
    after = 0
    for before, part in _marked_parts(marked):
        if not part.strip():
            continue
        # with what stands before it, a word that occurs twice is found where it was marked
        start = text.find(before + part, after)
        if start >= 0:
            start += len(before) + len(part) - len(part.lstrip())
        part = part.strip()
        if start < 0:
            start = text.find(part, after)
        if start < 0:
            start = text.find(part)
        end = start + len(part)
        words = part.split()
        if start < 0 and len(" ".join(words)) <= len(text):
            loose = re.compile(r"\s+".join(map(re.escape, words)), re.IGNORECASE)
            found = loose.search(text, after) or loose.search(text)
            start, end = found.span() if found else (-1, -1)
        if start < 0:
            spans.append(Span(field, part, None, None))
        else:
            spans.append(Span(field, text[start:end], start, end))
            after = end
    return spans


def _marked_parts(marked: str) -> Iterator[tuple[str, str]]:
    """What stands before each pair of marks, since the last one, and what stands between them."""
    at = 0
    # no regular expression: one would look for the end of a text full of opening marks again and again
    while (start := marked.find("<<", at)) >= 0 and (end := marked.find(">>", start + 2)) >= 0:
        yield marked[at:start], marked[start + 2 : end]
        at = end + 2


def _object(**properties: Any) -> dict[str, Any]:
    """JSON Schema of an object that has these keys and no others."""
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def _read_answers(response: Response, read_object: Callable[[Any, list[str]], _Read | Rejection]) -> _Read | Rejection:
    """The one judgment that an answer's JSON objects agree on."""
    text, repairs = _unwrap(response.text)
    answers = list(_answers(text, repairs))
    if not answers:
        return _why_not(response, text)
    found = [read_object(answer, [*repairs, *mends]) for answer, mends in answers]
    valid = [one for one in found if isinstance(one, _Read)]
    if len({one.class_multi for one in valid}) > 1:
        return Rejection("schema", f"{len(valid)} answers that disagree")
    if valid:
        return valid[0]
    if response.finish_reason in _TRUNCATED:
        return Rejection("truncated", "the answer ends at the token limit")
    return found[0]


def _unwrap(text: str) -> tuple[str, list[str]]:
    text = text.strip()
    repairs: list[str] = []
    if text.startswith("<think>") and "</think>" in text:
        text = text.rpartition("</think>")[2].strip()
        repairs.append("reasoning")
    if text.startswith("```") and (fenced := _FENCE.match(text)):
        text = fenced[1].strip()
        repairs.append("fence")
    return text, repairs


def _answers(text: str, repairs: list[str]) -> Iterator[tuple[Any, list[str]]]:
    """The JSON objects in a text, each with the mends it took."""
    if text.startswith("{"):
        try:
            yield json.loads(text), []
        except (ValueError, RecursionError):
            pass
        else:
            return
    decoder = json.JSONDecoder(strict=False)
    at, seen = 0, 0
    while (at := text.find("{", at)) >= 0 and seen < _MOST_OBJECTS:
        seen += 1
        try:
            answer, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        if isinstance(answer, dict) and answer:
            mends = [] if not (text[:at].strip() or text[end:].strip()) else ["surrounding_text"]
            try:
                json.loads(text[at:end])
            except ValueError:
                mends.append("control_characters")
            yield answer, mends
        at = end


_MOST_OBJECTS = 200
"""Tries to find an object in one text; a text of braces must not take quadratic time."""


def _explanation(given: Any, repairs: list[str]) -> str | None:
    if isinstance(given, str):
        return given
    parts = list(given.values()) if isinstance(given, dict) else given
    if isinstance(parts, list) and parts and all(isinstance(part, str) for part in parts):
        repairs.append("explanation_type")
        return (
            "\n".join(f"{key}: {part}" for key, part in given.items()) if isinstance(given, dict) else "\n".join(parts)
        )
    return None


def _why_not(response: Response, text: str) -> Rejection:
    if response.refused or response.finish_reason in _FILTERED:
        return Rejection("refusal", "marked as a refusal by the provider")
    if response.finish_reason in _TRUNCATED or response.open_reasoning:
        return Rejection("truncated", "the answer ends at the token limit")
    if not text:
        return Rejection("empty", "no text")
    if _REFUSAL.search(text[:300]):
        return Rejection("refusal", "says that it will not answer")
    return Rejection("not_json", "no JSON object in the answer")


_READERS: Mapping[str, tuple[int, Callable[[Task], Reader]]] = {
    "livenli": (2, LiveNLIReader),
    "reasons": (1, ReasonsReader),
    "options": (1, OptionsReader),
    "list": (1, ListReader),
}
