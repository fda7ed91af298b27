"""Answers that list explanations: which single ones they hold, and what stands around them.

Models were asked for a list without introductory phrases. They number it or not, indent it, put titles in bold, begin
with "Here are ..." and end with a note; some write one paragraph.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from partynli.records import Judgment, Rejection, Response, Task

LABEL = "label"
"""Among the texts of a prompt that asks for explanations: the label that they are to be for."""
VERDICT = "verdict"
"""Among the same texts: the label as the prompt says it."""

_MARK = re.compile(r"(?:[-*•–+◦▪]|\(?\d{1,3}[.)]|\(?[a-z]\))(?:\s+|$)|\d{1,3}$")  # a bare number: cut at the limit
_TITLE = re.compile(r"\s*(?:#{1,6}\s.*|\*\*[^*]+\*\*:?)\s*")
_OPENING = re.compile(r"(?:sure|certainly|of course|here (?:are|is)|below are)\b", re.IGNORECASE)
_CLOSING = re.compile(
    r"(?:let me know|i hope|hope th|feel free|note\b|please note|it['’]s important to note|in (?:summary|conclusion)\b"
    r"|overall,|therefore, the statement|these (?:are|explanations))",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?:][\"'”’)\]]*$")
_LETTER = re.compile(r"[^\W\d_]")
_SORRY = re.compile(
    r"(?:I['’]?m|I am) (?:very )?sorry|I apologi[sz]e|Sorry,"
    r"|(?:I|we) (?:cannot|can['’]t|won['’]t|am unable to|am not able to) (?:assist|help|comply|provide|answer)"
)
_TRUNCATED = frozenset({"length", "max_tokens", "MAX_TOKENS"})
_FILTERED = frozenset({"content_filter", "refusal", "SAFETY", "safety"})


class Listed(NamedTuple):
    """An answer taken apart."""

    introduction: str
    """What stands before the explanations; may be empty."""
    explanations: tuple[str, ...]
    """Single ones in their order, each on one line; empty where the answer holds none."""
    closing: str
    """What follows them; may be empty."""


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    indent: int
    is_marked: bool
    is_title: bool
    after_gap: bool
    """Whether a blank line stands before it."""


def split_list(text: str) -> Listed:
    """Take an answer apart into single explanations.

    Where lines are numbered or have bullets, each such line is one explanation, with the lines that go on with it. A
    line that ends in a colon and has a list below it is its title, and no explanation. Without numbers and bullets each
    line is one; a line that ends within a sentence goes on in the next.

    Examples
    --------
    >>> split_list("Here are two:\\n\\n1. **Rain** is wet.\\n2. It rained\\n   all day.\\n\\nNote: I guess.")
    Listed(introduction='Here are two:', explanations=('Rain is wet.', 'It rained all day.'), closing='Note: I guess.')
    >>> split_list("Rain is wet.").explanations
    ('Rain is wet.',)
    """
    lines = list(_lines(text.strip()))
    before, points, after = (_marked if any(line.is_marked for line in lines) else _unmarked)(lines)
    joined = (" ".join(" ".join(parts).split()) for parts in points)
    return Listed(" ".join(before), tuple(point for point in joined if _LETTER.search(point)), " ".join(after))


def _lines(text: str) -> Iterator[_Line]:
    gap = False
    for raw in text.expandtabs(4).splitlines():
        plain = raw.replace("**", "")
        content = plain.strip()
        if content.startswith("```"):
            continue
        if not content:
            gap = True
            continue
        mark = _MARK.match(content)
        is_title = mark is None and _TITLE.fullmatch(raw) is not None
        indent = len(plain) - len(plain.lstrip())
        yield _Line(content[mark.end() :] if mark else content, indent, mark is not None, is_title, gap)
        gap = False


Parts = tuple[list[str], list[list[str]], list[str]]
"""Lines before the explanations, lines of each, and lines after them."""


def _marked(lines: Sequence[_Line]) -> Parts:
    before: list[str] = []
    points: list[list[str]] = []
    after: list[str] = []
    base = next(line.indent for line in lines if line.is_marked)
    below_title = closed = False
    for line in lines:
        closed = closed and not line.is_marked
        deeper = line.indent >= base + 2
        if line.is_marked and not (deeper and points):
            below_title = False
            points.append([line.text])
        elif line.is_marked:
            if points[-1][-1].endswith(":") and not below_title:
                below_title = True
                points.pop()
            if below_title:
                points.append([line.text])
            else:
                points[-1].append(line.text)
        elif not points:
            before.append(line.text)
        elif not line.is_title:
            closed = bool((line.after_gap or closed) and not deeper) or _CLOSING.match(line.text) is not None
            (after if closed else points[-1]).append(line.text)
    return before, points, after


def _unmarked(lines: Sequence[_Line]) -> Parts:
    said = [line.text for line in lines if not line.is_title] or [line.text for line in lines]
    before: list[str] = []
    if len(said) > 1 and (said[0].endswith(":") or _OPENING.match(said[0])):
        before = [said.pop(0)]
    end = len(said)
    while end > 1 and _CLOSING.match(said[end - 1]):
        end -= 1
    points: list[list[str]] = []
    for text in said[:end]:
        if points and not _SENTENCE_END.search(points[-1][-1]):
            points[-1].append(text)
        else:
            points.append([text])
    return before, points, said[end:]


class ListReader:
    """Reads an answer that lists explanations for one label, which stands with the prompt's texts (`LABEL`).

    The judgment's explanation is the answer's text, to be taken apart by `split_list`. Repairs: ``reasoning`` (a think
    block cut off), ``surrounding_text`` (an introduction or a closing note), ``cut`` (the answer ends at the token
    limit, and with it perhaps its last explanation).
    """

    def __init__(self, task: Task) -> None:
        self._labels = frozenset(task.labels)

    @property
    def shape(self) -> Mapping[str, Any]:
        """A text; servers are not asked to hold a model to it."""
        return {"type": "string"}

    def check(self, response: Response) -> Rejection | None:
        """Why an answer holds no explanation, or None where it holds one."""
        return _why_not(response, _text_of(response))

    def judge(self, response: Response, texts: Mapping[str, str]) -> Judgment | Rejection:
        """Read one answer."""
        text = _text_of(response)
        if rejection := _why_not(response, text):
            return rejection
        if texts.get(LABEL) not in self._labels:
            return Rejection("unknown_label", f"the prompt is for the label {texts.get(LABEL, '')[:40]!r}")
        listed = split_list(text)
        repairs = {
            "reasoning": text != response.text.strip(),
            "surrounding_text": bool(listed.introduction or listed.closing),
            "cut": response.finish_reason in _TRUNCATED,
        }
        return Judgment(texts[LABEL], texts[LABEL], text, (), tuple(name for name, made in repairs.items() if made))


def _text_of(response: Response) -> str:
    return response.text.rpartition("</think>")[2].strip()


def _why_not(response: Response, text: str) -> Rejection | None:
    if response.refused or response.finish_reason in _FILTERED:
        return Rejection("refusal", "marked as a refusal by the provider")
    listed = split_list(text)
    if len(listed.explanations) <= 1 and _SORRY.match(text):
        return Rejection("refusal", "says that it will not answer")
    if listed.explanations:
        return None
    if response.finish_reason in _TRUNCATED or response.open_reasoning:
        return Rejection("truncated", "the answer ends at the token limit")
    return Rejection("schema", "no explanation in the answer") if text else Rejection("empty", "no text")
