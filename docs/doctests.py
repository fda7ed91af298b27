"""An extension of mkdocstrings: examples without a heading in a docstring get one, or they would be quotes."""

from __future__ import annotations

from typing import Any

from griffe import Extension, Object


class Doctests(Extension):
    """Put the first ``>>>`` that is below no heading below `Examples`."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Called with every module, class, function and attribute."""
        docstring = obj.docstring
        if docstring and "Examples\n---" not in docstring.value and "\n\n>>> " in docstring.value:
            docstring.value = docstring.value.replace("\n\n>>> ", "\n\nExamples\n--------\n>>> ", 1)
