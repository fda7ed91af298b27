"""YAML as people write it by hand, read strictly: what YAML would do in silence is refused."""

from __future__ import annotations

from typing import Any

import yaml

_BITS = 10_000
"""Of the largest whole number: Python shows no longer ones, and so no message could."""
_LEVELS = 100
"""Of values within values; the parser takes a second for a thousand."""


def load_yaml(text: str) -> Any:
    """Read a YAML text without aliases, double keys and tags other than those of plain YAML.

    Raises
    ------
    ValueError
        The text is no such YAML; the message says where.
    """
    try:
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - a SafeLoader that takes even less
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except (ValueError, OverflowError) as error:  # \U names no character, or a directive a version of 5,000 digits
        raise ValueError(f"an escape or a directive cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


class _PlainLoader(yaml.SafeLoader):
    """Refuses what YAML would do in silence: keep the last of two equal keys, multiply a text by aliases of aliases."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]  # untyped in types-PyYAML
            raise yaml.composer.ComposerError(
                None, None, f"*{event.anchor} is an alias; write the value out", event.start_mark
            )
        self._depth += 1
        if self._depth > _LEVELS:
            raise RecursionError
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        except (ValueError, LookupError, ArithmeticError, AttributeError) as error:
            # of Python's making: no such day, 0x without a digit, a tag (!!int) on what is none
            raise yaml.constructor.ConstructorError(
                None, None, f"the value cannot be read: {error}", node.start_mark
            ) from None
        if isinstance(value, int) and value.bit_length() > _BITS:
            raise yaml.constructor.ConstructorError(None, None, "a number of thousands of digits", node.start_mark)
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is named twice", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)
