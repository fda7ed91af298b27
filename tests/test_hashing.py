from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partynli.hashing import canonical_json, content_hash, text_hash

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20
)


def test_canonical_json_is_pinned() -> None:
    """These bytes name what is stored: another spelling would orphan every run."""
    assert (
        canonical_json({"b": [1, 2.5, True, None], "a": {"é": "«\n»"}}) == '{"a":{"é":"«\\n»"},"b":[1,2.5,true,null]}'
    )


@given(values)
def test_canonical_json_keeps_the_value(value: object) -> None:
    assert json.loads(canonical_json(value)) == value


@given(st.dictionaries(st.text(), values, min_size=2))
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    backwards = dict(reversed(value.items()))
    assert content_hash(value) == content_hash(backwards)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [-float("inf")]])
def test_numbers_that_json_lacks_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(value)


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), {(1, 2): 3}])
def test_values_that_json_lacks_are_refused(value: object) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)


@given(st.text())
def test_a_hash_names_its_algorithm(text: str) -> None:
    algorithm, _, digest = text_hash(text).partition(":")
    assert algorithm == "sha256"
    assert digest == hashlib.sha256(text.encode()).hexdigest()


def test_a_hash_of_content_is_the_hash_of_its_canonical_json() -> None:
    assert content_hash({"b": 1, "a": 2}) == text_hash('{"a":2,"b":1}')


def test_a_lone_surrogate_has_a_hash() -> None:
    """A model may answer with half of a surrogate pair; naming its answer must not fail."""
    assert text_hash("\ud800") != text_hash("\ud801")
