"""Prompts as a tree: every prompt finds its own tokens above its end, and nothing else."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from partynli.providers.hf.tree import trees

PROMPTS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=7), min_size=1, max_size=12)


@given(PROMPTS, st.integers(1, 30))
def test_every_prompt_is_read_off_once_and_whole(prompts: list[list[int]], most: int) -> None:
    seen = []
    for tree in trees(prompts, most):
        assert len(tree.tokens) <= most or len(tree.members) == 1
        for k, end in zip(tree.members, tree.ends, strict=True):
            above = np.flatnonzero(tree.sees[end])
            by_depth = sorted(above, key=lambda node: tree.depths[node])
            assert [tree.tokens[node] for node in by_depth] == prompts[k]
            assert [tree.depths[node] for node in by_depth] == list(range(len(prompts[k])))
            seen.append(k)
    assert sorted(seen) == list(range(len(prompts)))


@given(PROMPTS)
def test_what_prompts_share_stands_once(prompts: list[list[int]]) -> None:
    (tree,) = trees(prompts, 1000)
    beginnings = {tuple(one[:n]) for one in prompts for n in range(1, len(one) + 1)}
    assert len(tree.tokens) == len(beginnings)


@given(PROMPTS)
def test_a_node_sees_what_the_node_above_it_sees_and_itself(prompts: list[list[int]]) -> None:
    (tree,) = trees(prompts, 1000)
    assert tree.sees.sum(1).tolist() == [depth + 1 for depth in tree.depths]
    assert not np.triu(tree.sees, 1).any()
