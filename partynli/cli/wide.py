"""Tables for every width of terminal: one that is too wide is printed in parts, each with the names in front."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.cells import cell_len

from partynli.cli.output import console, safe, table

_GAP = 2
"""Columns between two columns of a table."""


def print_rows(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str | None = None,
    left: int = 1,
    words: Collection[int] = (),
) -> None:
    """Print a table of texts, which may be foreign; columns in which no row has anything are left out.

    Parameters
    ----------
    heads
        Heads of the columns; a line break parts a head's lines.
    rows
        Cells, as many as heads in each row.
    title
        Stands above the first part.
    left
        So many first columns are names, which stand in every part; they are folded where they are long.
    words
        Other columns that hold no numbers: they begin at the left, and are folded rather than printed in a part of
        their own.
    """
    filled = [one for one in range(len(heads)) if one < left or not rows or any(row[one] for row in rows)]
    heads, rows = [heads[one] for one in filled], [[row[one] for one in filled] for row in rows]
    words = {filled.index(one) for one in words if one in filled}
    columns = zip(heads, *rows, strict=True)
    widths = [max(cell_len(line) for cell in column for line in cell.split("\n")) for column in columns]
    longest = max(_GAP, console.width // 3 // left)
    widths[:left] = [min(width, longest) for width in widths[:left]]
    for column in words:
        widths[column] = min(widths[column], console.width // 4)
    titles = ["\n".join(map(safe, head.split("\n"))) for head in heads]
    for number, part in enumerate(parts(widths, left, console.width)):
        shown = table(*(titles[column] for column in part), title=None if number else title, left=left)
        for name in shown.columns[:left]:
            name.no_wrap, name.overflow, name.max_width = False, "fold", longest
        for place, column in enumerate(part):
            if column in words:
                one = shown.columns[place]
                one.justify, one.no_wrap, one.overflow = "left", False, "fold"
        for row in rows:
            shown.add_row(*(safe(row[column]) for column in part))
        console.print(shown)


def parts(widths: Sequence[int], left: int, room: int) -> list[list[int]]:
    """Columns of each part: the first `left` ones, and as many others as there is room for.

    >>> parts([10, 5, 5, 5], left=1, room=24)
    [[0, 1, 2], [0, 3]]
    """
    names = list(range(left))
    found = [[*names]]
    for column in range(left, len(widths)):
        wanted = [*found[-1], column]
        if len(found[-1]) > left and sum(widths[each] + _GAP for each in wanted) - _GAP > room:
            found.append([*names])
        found[-1].append(column)
    return found
