"""YAML read strictly: what its parser stumbles over is one error with its place."""

from __future__ import annotations

import time

import pytest

from partynli.yamlfile import load_yaml


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: !!int ''", "the value cannot be read: .*line 1, column 4"),
        ("a: !!float ''", "the value cannot be read: .*line 1, column 4"),
        ("a: !!bool maybe", "the value cannot be read: .*line 1, column 4"),
        ("a: !!timestamp soon", "the value cannot be read: .*line 1, column 4"),
        ("a: 2025-13-45", "month must be in 1..12.*line 1, column 4"),
        ("a: 0x_", "the value cannot be read: .*line 1, column 4"),
        ("a: 0x" + "f" * 5_000, "a number of thousands of digits.*line 1, column 4"),
        ("a: 1" + ":59" * 5_000, "a number of thousands of digits.*line 1, column 4"),
        ('a: "\\Uffffffff"', "an escape or a directive"),
        ('a: "\\U00110000"', "an escape or a directive"),
        ("%YAML " + "1" * 5_000 + ".1\n--- a", "an escape or a directive"),
        ("a: !!python/name:os.system", "could not determine a constructor"),
        ("a: &b [*b]", r"\*b is an alias"),
        ("[" * 101 + "]" * 101, "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_cannot_be_read_is_one_line(text: str, said: str) -> None:
    started = time.process_time()
    with pytest.raises(ValueError, match=said) as caught:
        load_yaml(text)
    assert len(str(caught.value).splitlines()) == 1
    assert time.process_time() - started < 1.0


def test_a_hundred_levels_are_enough_for_anyone() -> None:
    assert repr(load_yaml("[" * 100 + "]" * 100)) == "[" * 100 + "]" * 100
