"""What the figures of answers share: cells coloured by label, stacked shares, and the legend of the labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.patches import Patch

from partynli.aggregate import ASKED_IN_VAIN, NOT_ASKED, Codes
from partynli.analysis.resamples import Floats
from partynli.report.plots.style import INK, area, area_colours, plain


def cells(axes: Axes, rows: Sequence[Codes], n_labels: int, height: float = 0.84) -> None:
    """Answers as coloured cells: each row's trials below each other, items from left to right.

    Parameters
    ----------
    axes
        Its y axis counts rows downwards from 0.
    rows
        (T, I) codes of each row.
    n_labels
        K.
    height
        Share of a row that its cells fill.
    """
    shades = ListedColormap(["white", INK, *area_colours(n_labels)])
    norm = BoundaryNorm(np.arange(NOT_ASKED - 0.5, n_labels), n_labels + 2)
    for place, codes in enumerate(rows):
        if codes.size:
            extent = (-0.5, codes.shape[1] - 0.5, place + height / 2, place - height / 2)
            axes.imshow(codes, cmap=shades, norm=norm, aspect="auto", interpolation="nearest", extent=extent)
    n_items = max((codes.shape[1] for codes in rows), default=0)
    axes.set_xlim(-0.5, n_items - 0.5)
    axes.set_xlabel(f"{n_items:,} item{'s' if n_items != 1 else ''}")
    axes.set_xticks([])
    axes.spines[:].set_visible(False)


def stacked_shares(axes: Axes, shares: Floats) -> None:
    """Stacked bars: (rows, K) shares, the rows downwards from 0; a row of NaN stays empty."""
    known = np.nan_to_num(shares)
    left = np.cumsum(known, axis=1) - known
    for label in range(shares.shape[1]):
        axes.barh(
            np.arange(len(shares)),
            known[:, label],
            0.84,
            left[:, label],
            edgecolor="white",
            linewidth=0.3,
            **area(label),
        )
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "50", "100 %"])


def names_on(axes: Axes, names: Sequence[str], most: int = 28) -> None:
    """Name the rows at the left, the first one on top."""
    axes.set_yticks(range(len(names)), [plain(name, most) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)


def label_handles(labels: Sequence[str], rows: Sequence[Codes]) -> list[Artist]:
    """Legend of the labels, and of cells without one if there are any."""
    handles: list[Artist] = [
        Patch(edgecolor="#999999", linewidth=0.3, label=plain(one, 30), **area(k)) for k, one in enumerate(labels)
    ]
    if any((codes == ASKED_IN_VAIN).any() for codes in rows):
        handles.append(Patch(facecolor=INK, label="no valid answer"))
    if any((codes == NOT_ASKED).any() for codes in rows):
        handles.append(Patch(facecolor="white", edgecolor="#999999", linewidth=0.3, label="not asked"))
    return handles


def ordered(labels: Sequence[str]) -> str:
    """How the items stand, for a note."""
    return f"Items: from those called {plain(labels[0], 30)} to those called {plain(labels[-1], 30)}."
