"""From a raw answer to a `Judgment` or a `Rejection`.

An answer is read tolerantly, and every mend has a name that is stored with the judgment. What cannot be read is data
too: a rejection with its reason. Nothing is guessed: an answer that names an unknown label, or several valid answers
that disagree, is rejected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Protocol

from partynli.errors import RegistryError
from partynli.labels import LabelNames, collapse, join_labels
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
_REFUSAL = re.compile(
    r"\b(?:I['’]?m sorry|I am sorry|I apologi[sz]e|unable to (?:assist|help|comply)"
    r"|(?:I|we) (?:cannot|can['’]t|won['’]t|will not|am unable|am not able|must decline))",
    re.IGNORECASE,
)
_TRUNCATED = {"length", "max_tokens", "MAX_TOKENS"}
_FILTERED = {"content_filter", "refusal", "SAFETY", "safety"}
_MOST_LISTED = 8
"""Labels up to which all sets of them are listed: there are 255."""


@dataclass(frozen=True, slots=True)
class _Read:
    class_multi: str
    explanation: str | None
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


class JSONReader:
    """Reads a JSON object that holds a label, and an explanation and highlights where the task has them asked for.

    ``Task.answer`` says under which keys; for LiveNLI, the first task, ``{"classification": {"label", "explanation"},
    "highlights": {...}}`` (Kulmizev et al. 2026, figure 6).

    Repairs, in the order in which they are tried: ``reasoning`` (a think block cut off), ``fence`` (a code fence),
    ``surrounding_text``, ``control_characters`` (raw line breaks inside a string), ``label_case``, ``label_spelling``
    (another order or separator than asked for), ``label_type`` (a list, a number, or a JSON boolean),
    ``explanation_type`` (an object or list of texts), ``no_highlights``.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._exact = frozenset(task.labels)
        self._names = LabelNames(task.labels)

    @property
    def shape(self) -> Mapping[str, Any]:
        """JSON Schema of an answer without any need of repair.

        With labels of a set, every set of them is listed, but for more than eight labels, whose sets are too many.
        """
        task, labels = self._task, sorted(self._task.labels)
        most = len(labels) if task.set_labels else 1
        label: dict[str, Any] = {"type": "string"}
        if not task.set_labels or len(labels) <= _MOST_LISTED:
            label["enum"] = [join_labels(some) for n in range(1, most + 1) for some in combinations(labels, n)]
        parts = {"label": label, "explanation": {"type": "string"}}
        parts["highlights"] = _object(**{key: {"type": "string"} for key in task.highlights})
        return _nested([(place.split("."), parts[name]) for name, place in task.answer.items()])

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
        places = self._task.answer
        labels = self._labels(_at(answer, places["label"]), repairs)
        if isinstance(labels, Rejection):
            return labels
        explanation = None
        if "explanation" in places:
            explanation = _explanation(_at(answer, places["explanation"]), repairs)
            if explanation is None:
                return Rejection("schema", f"{places['explanation']}: not a text")
        if len(labels) > 1 and not self._task.set_labels:
            return Rejection("schema", "several labels where the task takes one")
        highlights = _at(answer, places["highlights"]) if "highlights" in places else None
        return _Read(join_labels(labels), explanation, highlights, repairs)

    def _labels(self, given: Any, repairs: list[str]) -> list[str] | Rejection:
        if isinstance(given, str) and given in self._exact:
            return [given]
        if isinstance(given, bool) or (isinstance(given, int) and str(given) in self._exact):
            repairs.append("label_type")
            given = str(given).lower()
        elif isinstance(given, list) and given and all(isinstance(one, str) for one in given):
            repairs.append("label_type")
            given = "-".join(given)
        if not isinstance(given, str):
            return Rejection("schema", f"{self._task.answer['label']}: not a text")
        lowered = given.strip().lower()
        labels = self._names.find(lowered)
        if isinstance(labels, str):  # unless a label has them itself, quotes and a full stop stand around it
            lowered = lowered.strip("\"'.")
            labels = self._names.find(lowered)
        if isinstance(labels, str):
            return Rejection("unknown_label", f"unknown label {labels[:40]!r}")
        spelled = join_labels(labels)
        if given != spelled and (lowered != given or lowered == spelled.lower()):
            repairs.append("label_case")
        if lowered != spelled.lower() and "label_type" not in repairs:
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

    Repairs: ``reasoning``, ``fence``, ``surrounding_text`` and ``control_characters`` as `JSONReader` has them,
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


def _nested(leaves: Sequence[tuple[Sequence[str], Any]]) -> dict[str, Any]:
    """JSON Schema of an object that holds each schema below its keys."""
    below: dict[str, list[tuple[Sequence[str], Any]]] = {}
    for (key, *rest), schema in leaves:
        below.setdefault(key, []).append((rest, schema))
    return _object(**{key: inner[0][1] if not inner[0][0] else _nested(inner) for key, inner in below.items()})


def _at(answer: Any, place: str) -> Any:
    """What an answer holds at a place; None where it holds nothing there."""
    for key in place.split("."):
        answer = answer.get(key) if isinstance(answer, dict) else None
    return answer


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
            yield _STRICT.decode(text), []
        except (ValueError, RecursionError):
            pass
        else:
            return
    at, seen = 0, 0
    while (at := text.find("{", at)) >= 0 and seen < _MOST_OBJECTS:
        seen += 1
        try:
            answer, end = _LENIENT.raw_decode(text, at)
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


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; what it holds under one key twice, and not the same, is nothing that can be read."""
    found = dict(pairs)
    if len(found) < len(pairs):
        for key, value in pairs:
            if found[key] != value:
                found[key] = _TWICE
    return found


_STRICT = json.JSONDecoder(object_pairs_hook=_object_of)
_LENIENT = json.JSONDecoder(strict=False, object_pairs_hook=_object_of)
"""Takes control characters within texts, such as line breaks."""
_TWICE = object()
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
    "livenli": (3, JSONReader),
    "json": (1, JSONReader),
    "reasons": (2, ReasonsReader),
    "options": (2, OptionsReader),
    "list": (2, ListReader),
}
