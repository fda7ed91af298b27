"""Labels as answers and tables spell them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partynli.labels import LABELS, NLI, LabelNames, join_labels, order_in, why_no_labels

STEPS = ("impossible", "technically possible", "plausible", "likely", "very likely")
words = st.text("abcdeXYZ123", min_size=1, max_size=4)
spaced = st.lists(words, min_size=1, max_size=3).map(" ".join)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("very likely", ["very likely"]),
        ("VERY-LIKELY", ["very likely"]),
        ("technically_possible", ["technically possible"]),
        ("likely, very likely", ["likely", "very likely"]),
        ("likely or impossible", ["likely", "impossible"]),
        ("very", "very"),
        ("very plausible", "very"),
        ("", ""),
    ],
)
def test_labels_of_several_words(text, found):
    assert LabelNames(STEPS).find(text) == found


@given(st.lists(spaced, min_size=2, max_size=6, unique_by=str.lower), st.data())
def test_every_set_that_a_task_can_have_is_found_again(labels, data):
    if why_no_labels(labels, several=True):
        return
    names = LabelNames(labels)
    for label in labels:
        assert names.find(label) == [label]
        assert names.find(label.upper()) == [label]
    chosen = data.draw(st.lists(st.sampled_from(labels), min_size=1, unique=True))
    found = names.find(join_labels(chosen))
    assert isinstance(found, list)
    assert all(label in labels for label in found)


def test_a_label_that_ends_as_another_begins():
    assert LabelNames(["a b", "b c", "a", "c"]).find("a-b c") == ["a b", "c"]  # the longer one first


def test_a_set_that_reads_in_two_ways_is_refused():
    assert why_no_labels(["a b", "b c", "a", "c"], several=False) is None
    assert "could also" in str(why_no_labels(["a b", "b", "a", "c"], several=True))


def test_the_two_names_of_nlis_labels():
    assert order_in(LABELS, NLI) == order_in(NLI, LABELS) == [0, 1, 2]
    assert order_in(LABELS, ("Contradiction", "entailment", "neutral")) == [2, 0, 1]
    assert order_in(LABELS, ("true", "false")) is None
    assert order_in(LABELS, ("true", "false", "true")) is None
    assert order_in(("yes", "no"), ("no", "Yes")) == [1, 0]
