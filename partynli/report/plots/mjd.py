"""Ternary plots of distributions item by item, one triangle each, as Chen et al. (2024, 2025) draw them."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure as Canvas

from partynli.analysis.resamples import Floats
from partynli.report.mjd import MjdReport
from partynli.report.plots.style import MODELS, PAGE, PEOPLE, look, plain, title
from partynli.report.plots.ternary import flat, triangle
from partynli.report.sheets import titled

_ACROSS = 3


def mjd_figure(report: MjdReport) -> Canvas:
    """The reference and the rows, a point an item; a row that is the same for all of several items is left out."""
    panels = [(report.reference, report.reference_p, PEOPLE)]
    panels += [
        (one.row.name, one.row.p, PEOPLE if one.row.kind == "baseline" else MODELS)
        for one in report.rows
        if _is_shown(one.row.p)
    ]
    down = -(-len(panels) // _ACROSS)
    with look():
        canvas = Canvas(figsize=(PAGE, 0.3 + 2.1 * down), layout="constrained")
        axes = canvas.subplots(down, _ACROSS, squeeze=False).ravel()
        for place in axes[len(panels) :]:
            place.set_axis_off()
        for place, (name, p, colour) in zip(axes, panels, strict=False):
            triangle(place, report.labels)
            place.set_xlim(-0.12, 1.12)
            points = flat(_known(p))
            mark = "o" if colour == PEOPLE else "^"
            place.scatter(*points.T, s=5, marker=mark, facecolor="none", edgecolor=colour, linewidth=0.5, alpha=0.7)
            place.set_title(plain(titled(name), 34), loc="left")
        mark = " (SYNTHETIC)" if report.any_synthetic else ""
        title(canvas, f"{plain(report.run, 40)}: {len(report.items):,} items{mark}")
        return canvas


def _known(p: Floats) -> Floats:
    return p[~np.isnan(p).any(-1)]


def _is_shown(p: Floats) -> bool:
    known = _known(p)
    return len(known) == 1 or bool((known != known[:1]).any())
