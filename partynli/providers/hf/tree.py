"""Prompts that begin alike, laid out as a tree: what they share is worked out once for all of them.

One pass of a model over the nodes of a tree, each seeing itself and those above it and standing at its own depth, gives
every prompt what a pass over that prompt alone would give. The 144 prompts of an item differ in the order of a few
lines; as a tree they have a sixth of the tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Tokens = Sequence[int]


@dataclass(frozen=True)
class Tree:
    """Some prompts as a tree of N nodes, in an order in which every node follows those above it.

    Attributes
    ----------
    members
        Positions of the prompts among those that were given.
    tokens, depths
        (N,) token of each node, and how many stand above it.
    ends
        Node of each member's last token.
    sees
        (N, N) whether the node of the row sees the node of the column.
    """

    members: list[int]
    tokens: list[int]
    depths: list[int]
    ends: list[int]
    sees: NDArray[np.bool_]


def trees(prompts: Sequence[Tokens], most: int) -> Iterator[Tree]:
    """Lay prompts out as trees of at most `most` nodes each; a longer prompt is a tree of its own.

    Examples
    --------
    >>> (tree,) = trees([[5, 6, 7], [5, 6, 8], [5, 6, 7]], most=9)
    >>> tree.tokens, tree.depths, tree.members, tree.ends
    ([5, 6, 7, 8], [0, 1, 2, 2], [0, 2, 1], [2, 2, 3])
    >>> tree.sees.astype(int).tolist()
    [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 0, 1]]
    """
    # prompts that begin alike are neighbours, and each is hung onto the one before it
    order = sorted(range(len(prompts)), key=lambda k: list(prompts[k]))
    paths: list[list[int]] = []
    members: list[int] = []
    tokens: list[int] = []
    depths: list[int] = []
    before: Tokens = ()
    for k in order:
        prompt = prompts[k]
        shared = _shared(before, prompt)
        if members and len(tokens) + len(prompt) - shared > most:
            yield _tree(members, tokens, depths, paths)
            paths, members, tokens, depths, shared = [], [], [], [], 0
        above = paths[-1][:shared] if paths else []
        paths.append([*above, *range(len(tokens), len(tokens) + len(prompt) - shared)])
        tokens += prompt[shared:]
        depths += range(shared, len(prompt))
        members.append(k)
        before = prompt
    if members:
        yield _tree(members, tokens, depths, paths)


def _shared(a: Tokens, b: Tokens) -> int:
    n = min(len(a), len(b))
    return next((k for k in range(n) if a[k] != b[k]), n)


def _tree(members: list[int], tokens: list[int], depths: list[int], paths: list[list[int]]) -> Tree:
    sees = np.zeros((len(tokens), len(tokens)), dtype=np.bool_)
    for path in paths:
        nodes = np.array(path)
        sees[nodes[:, None], nodes] = np.tri(len(path), dtype=np.bool_)
    return Tree(members, tokens, depths, [path[-1] for path in paths], sees)
