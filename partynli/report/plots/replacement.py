"""Two curves: the distance to people's labels, as their explanations are replaced by a model's or by noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure as Canvas

from partynli.report.plots.style import DASHES, MARKS, MODELS, MUTED, PAGE, legend, look, ruled, title
from partynli.studies.selection.curves import Curve

_COLOURS = {"model": MODELS, "noise": MUTED}


def plot_replacement(curves: Sequence[Curve], distance: str, *, synthetic: bool = False) -> Canvas:
    """Draw the curves, with bars for the intervals over seeds.

    Parameters
    ----------
    curves
        From `partynli.studies.selection.curves.curves`.
    distance
        What is on the vertical axis.
    synthetic
        Whether a simulation gave the distributions.
    """
    with look():
        canvas = Canvas(figsize=(0.6 * PAGE, 2.9), layout="constrained")
        axes = canvas.subplots()
        handles = []
        for number, curve in enumerate(curves):
            colour = _COLOURS[curve.by]
            replaced = np.array([one.replaced for one in curve.points])
            means = np.array([one.mean for one in curve.points])
            halves = np.array([one.high - one.mean for one in curve.points])
            (line,) = axes.plot(
                replaced, means, color=colour, linestyle=DASHES[number], marker=MARKS[4 - number], markersize=4
            )
            known = ~np.isnan(halves)
            axes.errorbar(
                replaced[known], means[known], halves[known], fmt="none", ecolor=colour, capsize=2, linewidth=0.8
            )
            seeds = max(one.n for one in curve.points)
            name = f"replaced by {'a model’s' if curve.by == 'model' else 'noise'} ({seeds} seed{'s' * (seeds > 1)})"
            line.set_label(name)
            handles.append(line)
        axes.set_xticks(sorted({one.share for curve in curves for one in curve.points}))
        axes.set_xlabel("human explanations replaced (%)")
        axes.set_ylabel(distance)
        ruled(axes, "y")
        legend(canvas, handles, columns=1, note="Bars: 95 % intervals of the mean over seeds")
        title(canvas, f"Distance to people as explanations are replaced{' (SYNTHETIC)' * synthetic}")
        return canvas
