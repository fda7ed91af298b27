"""Figures 9 and 10: every answer of one model at several temperatures, or of one family in several sizes."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from partynli.analysis.label_use import item_order, label_use
from partynli.analysis.sweeps import Parameter, Sweep, sweeps_of
from partynli.errors import InputError
from partynli.report.plots.grids import cells, label_handles, names_on, ordered, stacked_shares
from partynli.report.plots.style import PAGE, legend, look, plain, title
from partynli.report.plots.subject import Subject

_WHAT: dict[Parameter, tuple[str, str]] = {
    # parameter -> (what is varied, with which experiment)
    "temperature": ("temperature", "temperature or grid"),
    "top_p": ("top-p", "top_p or grid"),
    "size": ("model size", "size"),
}


def temperature_figure(subject: Subject) -> Canvas:
    """Figure 9 of a run."""
    return _figure(subject, "temperature")


def top_p_figure(subject: Subject) -> Canvas:
    """The same for top-p, which the paper does not show."""
    return _figure(subject, "top_p")


def size_figure(subject: Subject) -> Canvas:
    """Figure 10 of a run."""
    return _figure(subject, "size")


def sweeps_in(subject: Subject, parameter: Parameter) -> list[Sweep]:
    """The run's experiments on a parameter.

    Raises
    ------
    InputError
        There is none.
    """
    found = sweeps_of(subject.answers, parameter)
    if not found:
        what, experiment = _WHAT[parameter]
        raise InputError(f"the run varies no {what}: sample it with --experiment {experiment}")
    return found


def _figure(subject: Subject, parameter: Parameter) -> Canvas:
    sweeps = sweeps_in(subject, parameter)
    answers = subject.answers
    uses = label_use(answers, [one for sweep in sweeps for one in sweep.members], None)
    head = subject.title(f"Answers by {_WHAT[parameter][0]}")
    return plot_sweeps(sweeps, answers.labels, item_order(uses, answers.items), head)


def value_names(sweep: Sweep) -> list[str]:
    """What tells a sweep's members apart: the value, and the name where it is not known.

    >>> import numpy as np
    >>> nothing, names = np.zeros((2, 1, 1), dtype=np.int16), ("m-0.6b", "m-x")
    >>> value_names(Sweep("m", "size", (0, 1), np.array([0.6, np.nan]), names, nothing, np.zeros((2, 3))))
    ['0.6B', 'm-x']
    """
    unit = "B" if sweep.parameter == "size" else ""
    pairs = zip(sweep.values.tolist(), sweep.names, strict=True)
    return [name if value != value else f"{value:g}{unit}" for value, name in pairs]


def plot_sweeps(sweeps: Sequence[Sweep], labels: Sequence[str], order: Sequence[int], head: str) -> Canvas:
    """A panel for each model: every answer as a cell, and beside it the shares of the labels.

    Parameters
    ----------
    sweeps
        From top to bottom.
    labels
        The K labels.
    order
        Positions of the items from left to right.
    head
        Stands above the plot.
    """
    heights = [0.35 + 0.13 * len(one.members) * min(3, max(1, one.codes.shape[1])) ** 0.5 for one in sweeps]
    with look():
        canvas = Canvas(figsize=(PAGE, sum(heights) + 1.0), layout="constrained")
        panels = canvas.subplots(len(sweeps), 2, squeeze=False, width_ratios=(4, 1), height_ratios=heights)
        for sweep, (grid, shares) in zip(sweeps, panels, strict=True):
            _panel(grid, shares, sweep, len(labels), order)
        for axes in panels[:-1].ravel():
            axes.set_xlabel("")
            axes.tick_params(axis="x", labelbottom=False)
        panels[-1][1].set_xlabel("share of answers")
        title(canvas, head)
        note = f"Trials of one value are below each other. {ordered(labels)}"
        legend(canvas, label_handles(labels, [one for sweep in sweeps for one in sweep.codes]), columns=5, note=note)
        return canvas


def _panel(grid: Axes, shares: Axes, sweep: Sweep, n_labels: int, order: Sequence[int]) -> None:
    cells(grid, [codes[:, list(order)] for codes in sweep.codes], n_labels)
    grid.set_title(plain(sweep.name, 50), loc="left")
    names_on(grid, value_names(sweep))
    grid.set_ylabel(_WHAT[sweep.parameter][0])
    stacked_shares(shares, sweep.shares)
    names_on(shares, [""] * len(sweep.members))
