"""What simulated participants say, and how an answer reads.

An explanation is put together from clauses that fit a label and frames that fit a tone; both mention the item's words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

Pieces = tuple[str, ...]


def _split(*clauses: str) -> tuple[Pieces, ...]:
    """Cut clauses at ``{p}`` and ``{h}``, once: a text that is filled in may itself hold braces."""
    return tuple(tuple(re.split(r"\{([ph])\}", clause)) for clause in clauses)


_CLAUSES: Mapping[str, tuple[Pieces, ...]] = {
    # {p}: words of the first text, {h}: words of the last one
    "true": _split(
        "{p} in the context already implies {h}",
        "once we read {p}, the natural conclusion is {h}",
        "{h} repeats a part of what {p} tells us",
        "whoever accepts {p} has little reason to doubt {h}",
        "{h} is an instance of what {p} describes",
        "{p} describes a situation in which {h} holds as well",
        "it would be strange to say {p} and then deny {h}",
    ),
    "either": _split(
        "{p} leaves it open whether {h} applies",
        "{h} adds a detail that {p} does not settle",
        "{p} fits with {h}, but it fits just as well with the opposite",
        "whether {h} holds depends on things that {p} never mentions",
        "there are situations with {p} in which {h} is right, and others in which it is wrong",
        "{h} may or may not be the case, as it goes beyond {p}",
        "we learn about {p}, which tells us too little to judge {h}",
    ),
    "false": _split(
        "{p} rules out {h}",
        "with {p} accepted, {h} can hardly be right",
        "{h} goes against what {p} says",
        "{p} and {h} cannot both describe the same situation",
        "someone who knows about {p} would reject {h}",
        "{h} turns {p} into its opposite",
        "the situation behind {p} leaves no room for {h}",
    ),
}
_TERSE: Mapping[str, tuple[Pieces, ...]] = {
    "true": _split("{p}, hence {h}", "{h} follows from {p}", "{p} covers {h}", "{p} means {h}", "{h} fits {p}"),
    "either": _split("{p} is silent on {h}", "{h} stays open", "{p} decides nothing about {h}", "unclear if {h}"),
    "false": _split("{p} excludes {h}", "{h} contradicts {p}", "not {h}, given {p}", "{p}, so no {h}"),
}
_WHEN: Mapping[str, tuple[Pieces, ...]] = {
    # for answers with several labels: in which circumstances this one is right
    "true": _split(
        "it is true if {p} is meant to cover {h}",
        "a broad reading of {p} makes {h} true",
        "the statement is true as long as {p} goes along with {h}",
    ),
    "either": _split(
        "it can be either if {p} is only loosely tied to {h}",
        "without knowing more about {p}, {h} could go either way",
        "it is either when {p} has no bearing on {h}",
    ),
    "false": _split(
        "it is false if {p} is taken strictly, since {h} then fails",
        "a narrow reading of {p} makes {h} false",
        "the statement is false where {p} keeps {h} from happening",
    ),
}
_ANY = _split(
    # for labels of other tasks
    'what is said of {p} speaks for "{label}"',
    '{p} and {h} together come closest to "{label}"',
    'with {h} in mind, "{label}" fits {p} best',
    'a reader who stops at {p} would settle on "{label}"',
    '{h} is what tips the balance to "{label}"',
)
_FILLING = _split(
    "the words that matter most are {p} and {h}",
    "the context speaks of {p} while the statement speaks of {h}",
    "much turns on how {p} relates to {h}",
    "what we know about {p} is what we have to judge {h} by",
)
_FRAMES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "plain": (("", "."), ("", "."), ("So ", "."), ("Here ", "."), ("As I read it, ", "."), ("In short, ", ".")),
    "hedging": (
        ("I think ", ", though I am not certain."),
        ("It seems that ", "."),
        ("Perhaps ", ", but I could be wrong."),
        ("My impression is that ", "."),
        ("I would guess that ", ", at least on one reading."),
    ),
    "terse": (("", "."),),
    "formal": (
        ("The wording indicates that ", "."),
        ("On the most natural reading, ", "."),
        ("It should be noted that ", "."),
        ("Given the information provided, ", "."),
        ("Accordingly, ", "."),
    ),
}
TONES = tuple(_FRAMES)
"""Ways to speak that a persona may have."""
_REFUSALS = (
    "I'm sorry, but I can't help with that request.",
    "I cannot provide a judgment on this statement.",
    "I am unable to assist with classifying this content.",
)
_WRAPPERS = (
    ("Here is my answer:\n\n", "\n\nLet me know if you need anything else."),
    ("Sure! Based on the context and the statement:\n", ""),
    ("", "\n\nI hope this explanation is useful."),
)


_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_DULL = re.compile(
    "about|after|also|been|before|both|does|from|have|into|just|more|most|much|only|over|same|some|such|than|that|their"
    "|them|then|there|these|they|this|those|very|were|what|when|where|which|while|will|with|would|your",
    re.IGNORECASE,
)
_LONGEST_COPIED = 2000

quote = json.JSONEncoder(ensure_ascii=False).encode
"""A text as JSON."""


@dataclass(frozen=True, slots=True)
class Text:
    """One of the item's texts, with the places where it may be highlighted."""

    key: str
    """Its key in the answer's highlights."""
    text: str
    words: tuple[tuple[int, int], ...]
    """Offsets of the words, or of the whole text where it has none."""
    content: tuple[int, ...]
    """Which of the words are worth a mention; at least one."""

    @staticmethod
    def of(key: str, text: str) -> Text:
        """Find the words of a text; of a very long one, those at its beginning."""
        words = tuple(match.span() for match in _WORD.finditer(text, 0, _LONGEST_COPIED)) or ((0, len(text)),)
        content = [
            at for at, (start, end) in enumerate(words) if end - start > 3 and not _DULL.fullmatch(text, start, end)
        ]
        return Text(key, text, words, tuple(content) or tuple(range(len(words))))

    def mark(self, rng: Random) -> tuple[str, list[str]]:
        """Copy the text with one to three stretches between << and >>; returns the copy and the stretches."""
        stretches: list[str] = []
        parts: list[str] = []
        done = 0
        for at in sorted(rng.sample(self.content, min(len(self.content), rng.randint(1, 3)))):
            start, end = self.words[at]
            if start < done:
                continue
            reached = end
            for after, stop in self.words[at + 1 : at + 1 + rng.randint(0, 2)]:
                if self.text[reached:after] != " ":
                    break
                reached = stop
                if stop - after > 3:  # a stretch does not end in "of the"
                    end = stop
            stretches.append(self.text[start:end])
            parts += (self.text[done:start], "<<", self.text[start:end], ">>")
            done = end
        if len(self.text) > _LONGEST_COPIED or "<<" in self.text or ">>" in self.text:  # its own marks would be misread
            return " ".join(f"<<{stretch}>>" for stretch in stretches), stretches
        return "".join(parts) + self.text[done:], stretches


_LABEL, _EXPLANATION = "label", "explanation"
_SLOT = "\0"


def answer_form(places: Mapping[str, str], keys: Sequence[str]) -> tuple[str, ...]:
    """The JSON that a task asks for, indented as most models do, with slots for what differs from answer to answer.

    Parameters
    ----------
    places
        Of the label, the explanation and the highlights, as far as the task asks for them (``Task.answer``).
    keys
        Keys of the texts whose copies, with highlights, are in the answer.

    Returns
    -------
    tuple of str
        Every second one names a slot: the label, the explanation, or the number of a copy.

    Examples
    --------
    >>> answer_form({"label": "choice"}, ())
    ('{\\n  "choice": ', 'label', '\\n}')
    """
    leaves = {"label": _LABEL, "explanation": _EXPLANATION, "highlights": {key: str(n) for n, key in enumerate(keys)}}
    tree: dict[str, Any] = {}
    for part, place in places.items():
        *above, last = place.split(".")
        inner = tree
        for key in above:
            inner = inner.setdefault(key, {})
        inner[last] = leaves[part]
    return tuple(_slotted(tree, "\n").split(_SLOT))


def _slotted(tree: Mapping[str, Any], line: str) -> str:
    parts = (
        f"{line}  {quote(key)}: "
        + (f"{_SLOT}{value}{_SLOT}" if isinstance(value, str) else _slotted(value, line + "  "))
        for key, value in tree.items()
    )
    return "{" + ",".join(parts) + line + "}"


def answer(
    rng: Random,
    chosen: Sequence[str],
    tone: str,
    words: float,
    texts: Sequence[Text],
    copied: Sequence[int],
    form: Sequence[str],
) -> str:
    """An answer in the JSON that a task asks for.

    Parameters
    ----------
    rng
        Decides all that is left open.
    chosen
        The labels, in alphabetical order.
    tone
        One of `TONES`.
    words
        Length of the explanation.
    texts
        The item's.
    copied
        Positions of the texts whose copies are in the answer.
    form
        From `answer_form`.
    """
    marked = [text.mark(rng) for text in texts] or [("", ["it"])]
    said = {str(n): quote(marked[at][0]) for n, at in enumerate(copied)}
    said[_LABEL] = quote("-".join(chosen))
    said[_EXPLANATION] = quote(explain(rng, chosen, tone, words, marked[0][1], marked[-1][1]))
    return "".join([said[piece] if at % 2 else piece for at, piece in enumerate(form)])


def listed(rng: Random, label: str, tone: str, texts: Sequence[Text], form: float) -> str:
    """The answer of a persona that was asked for explanations of one label.

    Parameters
    ----------
    rng
        Decides all that is left open.
    label
        One of true, either, false.
    tone
        One of `TONES`.
    texts
        The item's.
    form
        From 0 to below 1: which of four ways to write a list the persona has.
    """
    marked = [text.mark(rng)[1] for text in texts] or [["it"]]
    said = explain(rng, [label], tone, 30 * rng.randint(2, 4), marked[0], marked[-1])
    sentences = re.split(r"(?<=\.) (?=[A-Z\"])", said)
    mark, before, after = _FORMS[int(form * len(_FORMS))]
    lines = "\n".join(mark.format(number) + one for number, one in enumerate(sentences, start=1))
    return before + lines + after


_FORMS = (
    # what stands before each line, before the list, and behind it
    ("{}. ", "", ""),
    ("- ", "", ""),
    ("* ", "Here are possible explanations:\n\n", ""),
    ("{}. ", "", "\n\nNote: these explanations are made up."),
)


def coded(category: str) -> str:
    """The answer of a persona that was asked which kind of reasoning an explanation shows."""
    return json.dumps({"reason": "A made-up choice of a simulated participant.", "category": category})


def spoil(rng: Random, text: str) -> tuple[str, str]:
    """Break an answer as models do (a fence, prose around it, a cut, a refusal); returns it with its finish reason."""
    kind = rng.randrange(4)
    if kind == 0:
        return f"```json\n{text}\n```", "stop"
    if kind == 1:
        before, after = rng.choice(_WRAPPERS)
        return before + text + after, "stop"
    if kind == 2:
        return text[: int(len(text) * rng.uniform(0.2, 0.9))], "length"
    return rng.choice(_REFUSALS), "stop"


def explain(
    rng: Random, chosen: Sequence[str], tone: str, words: float, first: Sequence[str], last: Sequence[str]
) -> str:
    """Explain a choice of labels in about `words` words (one sentence a label at least).

    Parameters
    ----------
    rng
        Decides all that is left open.
    chosen
        The labels: of several, each gets a sentence about when it is right.
    tone
        One of `TONES`.
    words
        Length to aim at.
    first, last
        Words of the item's texts that the explanation may mention; at least one each.
    """
    frames = _FRAMES[tone]
    clauses = _TERSE if tone == "terse" else _CLAUSES
    needed = [rng.choice(_about(label, _WHEN)) for label in chosen] if len(chosen) > 1 else []
    rest = [clause for label in chosen for clause in _about(label, clauses)]
    rng.shuffle(rest)
    if tone != "terse":
        rest[3:3] = _FILLING
    said: list[str] = []
    n_words, turn, must, begin = 0, 0, max(1, len(needed)), rng.randrange(len(frames))
    pool = needed + rest
    while turn < must or n_words < words:
        opening, end = frames[(begin + turn) % len(frames)]
        sentence = opening + _fill(pool[turn % len(pool)], first[turn % len(first)], last[turn % len(last)]) + end
        length = sentence.count(" ") + 1
        if turn >= must and n_words + length / 2 > words:
            break
        said.append(sentence[0].upper() + sentence[1:])
        n_words += length
        turn += 1
    return " ".join(said)


def _about(label: str, clauses: Mapping[str, tuple[Pieces, ...]]) -> tuple[Pieces, ...]:
    """Clauses about a label; the same for all that have none of their own."""
    if label in clauses:
        return clauses[label]
    return tuple(tuple(piece.replace("{label}", label) for piece in clause) for clause in _ANY)


def _fill(clause: Pieces, first: str, last: str) -> str:
    return "".join(f'"{first}"' if piece == "p" else f'"{last}"' if piece == "h" else piece for piece in clause)
