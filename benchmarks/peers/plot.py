"""Draws results.json: one panel a figure, one line a peer; writes benchmarks/img/peers.png.

python benchmarks/peers/plot.py [RESULTS.json]
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib.ticker as ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from table import HERE, PARTYNLI, values

from partynli.report.plots import style

TICKS = [first * 10.0**power for power in range(-2, 5) for first in (1, 2, 3, 5)]
PANELS = (
    ("calls a second", "speed", "calls_per_s", True),
    ("CPU seconds per 1,000 calls", "speed", "cpu_s_per_1000", True),
    ("peak memory, MB", "speed", "peak_mb", True),
    ("seconds to the first call", "speed", "start_s", True),
    ("time under a limit / ideal", "limited", "of_ideal", True),
    ("calls made again after a kill", "killed", "again", False),
)


def draw(results: dict[str, Any], stem: Path) -> Path:
    """Draw all panels; a point is the median, its line goes from the lowest round to the highest."""
    keys = list(results["peers"])[::-1]
    with style.look():
        canvas = Figure(figsize=(style.PAGE, 0.4 + 2 * (0.5 + 0.15 * len(keys))), layout="constrained")
        grid = canvas.subplots(2, 3, sharey=True)
        for axes, (title, scenario, figure, logarithmic) in zip(grid.flat, PANELS, strict=True):
            for place, key in enumerate(keys):
                _point(axes, place, key, values(results, scenario, key, figure))
            if logarithmic:
                axes.set_xscale("log")
                axes.xaxis.set_major_locator(ticker.FixedLocator(TICKS))
                axes.xaxis.set_minor_locator(ticker.NullLocator())
                axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
            axes.set_ylim(-0.6, len(keys) - 0.4)
            axes.set_title(title, loc="left")
            axes.set_yticks(range(len(keys)), [results["peers"][key]["name"] for key in keys])
            style.ruled(axes, "both")
        busy = ", on a machine with other work" if results["busy"] else ""
        style.title(canvas, f"partynli beside its peers{busy}")
        return style.save(canvas, stem, ("png",))[0]


def _point(axes: Axes, place: int, key: str, found: list[float]) -> None:
    if not found:
        return
    own = key == PARTYNLI
    colour, mark = (style.PEOPLE, "D") if own else (style.INK, "o")
    axes.plot([min(found), max(found)], [place, place], color=colour, linewidth=0.8)
    axes.plot(statistics.median(found), place, mark, color=colour, markersize=4.5 if own else 3.5)


def main() -> None:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "results.json"
    folder = HERE.parent / "img"
    folder.mkdir(exist_ok=True)
    print(draw(json.loads(file.read_text()), folder / "peers"))


if __name__ == "__main__":
    main()
