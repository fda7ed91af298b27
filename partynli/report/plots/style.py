"""One look for all figures: colours, sizes, names that cannot harm, titles, legends, files.

What a colour says, a marker, a hatch, a dash or a place says too. Colours are told apart by people of every colour
vision (Okabe and Ito 2008; Tol 2021), and those that stand beside each other differ in lightness, for print in grey.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import Any, Literal
from warnings import catch_warnings, filterwarnings

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from partynli.errors import InputError

PAGE = 6.3
"""Inches: the width of both columns of a paper, as the ACL has it."""

PEOPLE, MODELS = "#882255", "#44AA99"
SOURCES = ("#882255", "#CC6677", "#332288", "#999933")
"""Human populations, in their order."""
MUTED, INK, RULE = "#777777", "#222222", "#DDDDDD"
MARKS = ("D", "^", "v", "s", "o", "P", "X", "*")
DASHES: tuple[Literal["-", "--", "-.", ":"], ...] = ("-", "--", "-.", ":")
LABEL_MARKS = ("^", "s", "v", "D", "o", "P", "X", "*")
_AREAS = ("#0072B2", "#DDDDDD", "#E69F00", "#CC79A7", "#009E73", "#56B4E9", "#F0E442", "#D55E00")
_POINTS = ("#0072B2", "#777777", "#D55E00", "#CC79A7", "#009E73", "#56B4E9", "#999933", "#882255")
_HATCHES = ("", "", "////", "....", "xxxx", "\\\\\\\\", "++++", "oooo")

_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 7.0,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.0,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.title_fontsize": 6.5,
    "legend.frameon": False,
    "axes.axisbelow": True,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "hatch.linewidth": 0.4,
    "lines.linewidth": 1.0,
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "partynli",
    "pdf.fonttype": 42,
    "text.parse_math": False,  # `$` in a name is a dollar
    "text.usetex": False,
}
_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}
_DPI = 300


@contextmanager
def look() -> Iterator[None]:
    """Draw within this context, and the figure looks like the others, whatever the user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def area(number: int) -> dict[str, Any]:
    """How the area of the label at this place is filled."""
    place = number % len(_AREAS)
    return {"facecolor": _AREAS[place], "hatch": _HATCHES[place]}


def area_colours(n_labels: int) -> list[str]:
    """Colours of areas, by label."""
    return [_AREAS[number % len(_AREAS)] for number in range(n_labels)]


def point_colour(number: int) -> str:
    """Colour of points and lines of the label at this place; darker than an area of it."""
    return _POINTS[number % len(_POINTS)]


def plain(text: str, most: int = 60) -> str:
    """A foreign text that can be drawn in one line: no control characters, and the middle of a long one left out.

    >>> plain("a\\nb"), plain("kimi-k2@temperature=0.5", 11)
    ('a\\ufffdb', 'kimi-…e=0.5')
    """
    shown = "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
    if len(shown) <= most:
        return shown
    head = most // 2
    return f"{shown[:head]}…{shown[head + 1 - most :]}"


def title(canvas: Canvas, text: str) -> None:
    """Write a figure's title above it, over as many lines as it takes."""
    characters = int(canvas.get_figwidth() * 15.5)
    canvas.suptitle(fill(plain(text, 400), characters), x=0.01, ha="left", fontsize=8.0)


def legend(canvas: Canvas, handles: Sequence[Artist], *, columns: int, note: str = "") -> None:
    """Put a legend of so many columns, or fewer where names are long, under a figure, and a note above it."""
    for handle in handles:
        if (label := str(handle.get_label())).startswith("_"):
            handle.set_label(f" {label}")  # matplotlib leaves out labels that begin like that
    characters = int(canvas.get_figwidth() * 20)
    longest = max((len(str(handle.get_label())) for handle in handles), default=0)
    columns = max(1, min(columns, characters // (longest + 7)))
    made = canvas.legend(
        handles=list(handles), loc="outside lower left", ncols=columns, title=fill(note, characters) if note else None
    )
    made.get_title().set_multialignment("left")
    made.set_alignment("left")


def ruled(axes: Axes, which: Literal["x", "y", "both"]) -> None:
    """Faint lines behind the data."""
    axes.grid(axis=which, color=RULE, linewidth=0.5)


def save(canvas: Canvas, stem: Path, formats: Sequence[str] = ("png", "svg")) -> tuple[Path, ...]:
    """Write a figure into files of these formats; returns them. The same figure gives the same bytes.

    Raises
    ------
    InputError
        A file cannot be written.
    """
    paths = tuple(stem.with_name(f"{stem.name}.{one}") for one in formats)
    try:
        with look(), catch_warnings():
            filterwarnings("ignore", "Glyph .* missing from")  # a sign that no font here has; SVG keeps it as text
            for path, one in zip(paths, formats, strict=True):
                canvas.savefig(path, dpi=_DPI, format=one, metadata=_METADATA[one])
    except OSError as error:
        raise InputError(f"{stem}.{formats[0]} cannot be written: {error.strerror or error}") from None
    return paths
