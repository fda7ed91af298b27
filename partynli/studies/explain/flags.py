"""Explanations that argue for another label than the one they were asked for, as far as their words tell.

Asked why a false statement is true, some models explain why it is not. Only what says so is found: "The context does
not mention lepers" argues against *true* as well, and may be meant for *neutral*.
"""

from __future__ import annotations

import re

from partynli.listing import Listed

_NOTHING = re.compile(
    r"\s*(?:none\b(?=\s*[.(,])|no (?:possible )?explanations? (?:is|are|exist)"
    r"|there (?:is|are) no (?:possible |valid )?(?:explanations?|reasons?)\b)",
    re.IGNORECASE,
)
"""Says at its beginning that there is no explanation."""
_AGAINST = {
    "true": re.compile(
        r"\bnot (?:actually |strictly )?(?:true|entailed|an entailment)\b|\b(?:no|non)[- ]entailment\b"
        r"|\bdoes not entail\b|\bactually (?:false|a contradiction)\b"
        r"|\bstatement is (?:therefore |thus |clearly |simply )?(?:false|a contradiction)\b"
        r"|\bcontradict(?:s|ing|ory|ion)? (?:to |of )?(?:the|this) (?:context|statement|information)\b",
        re.IGNORECASE,
    ),
    "either": re.compile(
        r"\bnot (?:undetermined|neutral)\b(?! because)|\bactually (?:true|false|an entailment|a contradiction)\b"
        r"|\bstatement is (?:definitely|clearly) (?:true|false)\b",
        re.IGNORECASE,
    ),
    "false": re.compile(
        r"\bnot (?:necessarily |actually )?(?:a contradiction|contradictory|contradict(?:ing)?)\b|\bactually true\b"
        r"|\bstatement is not (?:necessarily |actually )?false\b|\bshould be true\b",
        re.IGNORECASE,
    ),
}
_DENIED = re.compile(r"\b(?:no|not|nor|nothing|never|without|cannot|any)\b[^.;]*$|n['’]t\b[^.;]*$", re.IGNORECASE)
"""Stands before words that count for nothing then: "no information that contradicts the statement"."""


def is_inverted(label: str, text: str) -> bool:
    """Whether a text that was to be for a label says that the label is wrong, or that nothing explains it.

    Examples
    --------
    >>> is_inverted("true", "The statement is not entailed, as lepers are not mentioned.")
    True
    >>> is_inverted("true", "Nothing in the context contradicts the statement.")
    False
    >>> is_inverted("false", "None. The statement is true.")
    True
    """
    if _NOTHING.match(text):
        return True
    return any(
        found[0].lower().startswith("not ") or not _DENIED.search(text[: found.start()])
        for found in _AGAINST[label].finditer(text)
    )


def flags(label: str, listed: Listed) -> tuple[bool, ...]:
    """Whether each explanation of an answer is inverted; all of them where its introduction says so.

    Parameters
    ----------
    label
        The one that the answer was to be for.
    listed
        The answer.
    """
    if is_inverted(label, listed.introduction):
        return (True,) * len(listed.explanations)
    return tuple(is_inverted(label, text) for text in listed.explanations)
