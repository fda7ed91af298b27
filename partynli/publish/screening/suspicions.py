"""What in a text looks like a secret or like a person's e-mail address.

Every shape has an anchor, a few letters that all of its kind hold: looking for those first is many times faster than
running one large pattern over everything, and nearly all texts hold none.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["secret", "email"]


class Suspicion(NamedTuple):
    """A stretch of a text that looks like something that must not be published."""

    kind: Kind
    what: str
    start: int
    """Where it begins in the text."""
    shown: str
    """What may be said of it: a few characters and its length."""


@dataclass(frozen=True)
class _Shape:
    what: str
    anchor: str
    pattern: re.Pattern[str]
    holds: Callable[[str], bool]
    """Whether what was matched is meant in earnest."""


_BEFORE = r"(?:(?<![A-Za-z0-9_])|(?<=\\[bfnrt])|(?<=\\u[0-9A-Fa-f]{4}))"
"""Nothing that belongs to a longer word stands before; an escape of JSON, as in raw answers, does not belong to one."""
_RUN = re.compile(r"[A-Za-z0-9_]{16,}")


def _random(token: str) -> bool:
    """Whether it holds a stretch that nobody would write: long, letters and digits mixed, hardly any repeated."""
    return any(
        re.search(r"[0-9]", run) and re.search(r"[A-Za-z]", run) and _entropy(run) >= 2.75
        for run in _RUN.findall(token)
    )


def _entropy(text: str) -> float:
    """Bits per character."""
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares)


def _key(what: str, anchor: str, pattern: str, holds: Callable[[str], bool] = _random) -> _Shape:
    return _Shape(what, anchor, re.compile(_BEFORE + pattern), holds)


_SECRETS = (
    _key("an Anthropic key", "sk-ant-", r"sk-ant-[A-Za-z0-9_-]{20,}"),
    # OpenAI's own, and those of DeepSeek, Moonshot and OpenRouter, which look alike
    _key("an API key (sk-)", "sk-", r"sk-(?!ant-)[A-Za-z0-9_-]{20,}"),
    _key("an xAI key", "xai-", r"xai-[A-Za-z0-9_-]{30,}"),
    _key("a Together key", "tgp_v1_", r"tgp_v1_[A-Za-z0-9_-]{20,}"),
    _key("a Groq key", "gsk_", r"gsk_[A-Za-z0-9]{30,}"),
    _key("a Hugging Face token", "hf_", r"hf_[A-Za-z0-9]{30,}"),
    _key("a Google key", "AIza", r"AIza[A-Za-z0-9_-]{35}"),
    _key("an AWS key", "AKIA", r"AKIA[A-Z0-9]{16}(?![A-Za-z0-9])", lambda _: True),
    _key("an AWS key", "ASIA", r"ASIA[A-Z0-9]{16}(?![A-Za-z0-9])"),
    *(_key("a GitHub token", f"gh{sort}_", rf"gh{sort}_[A-Za-z0-9]{{36,}}") for sort in "pousr"),
    _key("a GitHub token", "github_pat_", r"github_pat_[A-Za-z0-9_]{40,}"),
    _key("a signed web token", "eyJ", r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}", lambda _: True),
    _key("a bearer token", "earer ", r"[Bb]earer +[A-Za-z0-9._~+/-]{20,}"),
    _Shape(
        "a private key",
        "-----BEGIN ",
        re.compile(r"-----BEGIN (?:[A-Z]+ ){0,3}PRIVATE KEY-----"),
        lambda _: True,
    ),
)

_EMAIL = re.compile(r"[\w.%+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w@=-])")
_NOBODY = re.compile(
    r"(?:git|no-?reply)@"  # machines
    r"|.*@(?:.*\.)?(?:example\.(?:com|net|org|edu)|example|invalid|localhost|test|users\.noreply\.github\.com)$"
    r"|.*\.(?:png|jpe?g|gif|svg|webp|css|js|py|json|html)$",  # picture@2x.png
    re.IGNORECASE,
)


def suspicions(text: str, secrets: Mapping[str, str], kinds: frozenset[Kind]) -> Iterator[Suspicion]:
    """Everything in a text that looks like a secret or an address, of the kinds asked for, in no particular order.

    Parameters
    ----------
    text
        May be many texts put together; nothing is found across a character that no secret holds.
    secrets
        Values that are secret, whatever they look like, and what each is called.

    Examples
    --------
    >>> [one.shown for one in suspicions("mail to jane.doe@uni.edu", {}, frozenset({"email"}))]
    ["'jane...', 16 characters"]
    """
    if "secret" in kinds:
        for value, name in secrets.items():
            for at in _places(text, value):
                yield Suspicion("secret", f"the value of {name}", at, "not shown")
        for shape in _SECRETS:
            yield from _matches(text, shape)
    if "email" in kinds:
        yield from _addresses(text)


def _matches(text: str, shape: _Shape) -> Iterator[Suspicion]:
    back = 1 if shape.anchor == "earer " else 0
    for at in _places(text, shape.anchor):
        if (match := shape.pattern.match(text, at - back)) and shape.holds(match[0]):
            yield Suspicion("secret", shape.what, match.start(), _redacted(match[0]))


def _addresses(text: str) -> Iterator[Suspicion]:
    for at in _places(text, "@"):
        first = max(0, at - 64)
        local = re.search(r"[\w.%+-]+$", text[first:at])
        match = local and _EMAIL.match(text, first + local.start())
        if match and not _NOBODY.match(match[0]):
            yield Suspicion("email", "an e-mail address", match.start(), _redacted(match[0]))


def _places(text: str, anchor: str) -> Iterator[int]:
    at = text.find(anchor)
    while at >= 0:
        yield at
        at = text.find(anchor, at + len(anchor))


def _redacted(secret: str) -> str:
    return f"'{secret[:4]}...', {len(secret)} characters"
