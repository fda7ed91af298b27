"""Keys taken out of what servers, libraries and logs say, before anyone sees or stores it."""

from __future__ import annotations

import re
from functools import cache

_SHORTEST_SECRET = 7
"""Characters. Servers that ask for no key are given ones like ``none``, a word that answers hold as well."""
_IN_ADDRESS = re.compile(r"%[0-9A-Fa-f]{2}")


def redact(text: str, *secrets: str | None) -> str:
    r"""Take keys out of a text before anyone sees or stores it, also where JSON, an address or HTML spells them.

    >>> redact("bad key sk-1234", "sk-1234", None), redact(r"{'key': 'a\/b\u002dcdef'}", "a/b-cdef")
    ('bad key ***', "{'key': '***'}")
    """
    for secret in secrets:
        if not secret or len(secret) < _SHORTEST_SECRET:
            continue
        if secret in text:
            text = text.replace(secret, "***")
        if "\\u00" in text or "\\/" in text or "&#" in text or _IN_ADDRESS.search(text):
            text = _spellings(secret).sub("***", text)
    return text


@cache
def _spellings(secret: str) -> re.Pattern[str]:
    return re.compile("".join(map(_spellings_of, secret)))


def _spellings_of(sign: str) -> str:
    number = ord(sign)
    return (
        rf"(?:\\*{re.escape(sign)}|(?i:\\+u{number:04x}|{''.join(f'%{byte:02x}' for byte in sign.encode())}"
        rf"|&#0*{number};|&#x0*{number:x};))"
    )
