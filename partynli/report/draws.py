"""RANDOMMIX as data: JSON for other programs, and every draw as a row of a table."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from partynli.analysis.curve import Point
from partynli.analysis.lookup import Figure
from partynli.analysis.randommix import QUANTILES, RandomMix, Summary
from partynli.errors import InputError
from partynli.metrics import Interval

_Value = TypeVar("_Value")


def number(value: float) -> float | None:
    """A number for JSON: None where it is undefined.

    >>> number(0.5), number(float("nan"))
    (0.5, None)
    """
    return float(value) if np.isfinite(value) else None


def nested(figures: Mapping[Figure, _Value], spelt: Callable[[Figure, _Value], Any]) -> dict[str, Any]:
    """Figures by name; those that are taken against people under ``against`` and the people's name.

    >>> nested({("alpha", None): 1, ("agreement", "mnli"): 2}, lambda _, value: value)
    {'alpha': 1, 'against': {'mnli': {'agreement': 2}}}
    """
    own = {name: spelt((name, source), value) for (name, source), value in figures.items() if source is None}
    against: dict[str, dict[str, Any]] = {}
    for (name, source), value in figures.items():
        if source is not None:
            against.setdefault(source, {})[name] = spelt((name, source), value)
    return own | {"against": against}


def summary_json(summary: Summary, interval: Interval | None = None) -> dict[str, Any]:
    """One figure's distribution over draws."""
    return {
        "mean": number(summary.mean),
        "sd": number(summary.sd),
        "quantiles": {f"{100 * q:g}": number(x) for q, x in zip(QUANTILES, summary.quantiles, strict=True)},
        "n": summary.n,
        "undefined": summary.undefined,
        "bootstrap": None if interval is None else [number(float(interval.low)), number(float(interval.high))],
    }


def randommix_json(mix: RandomMix) -> dict[str, Any]:
    """The draws and what they show; NaN is null."""
    summaries = mix.summaries
    return {
        "size": mix.size,
        "seed": mix.seed,
        "pool": list(mix.pool),
        "distinct_draws": mix.distinct,
        "figures": nested(summaries, lambda figure, one: summary_json(one, mix.intervals.get(figure))),
        "draws": {
            "members": [np.flatnonzero(drawn).tolist() for drawn in mix.members],
            "values": nested(mix.values, lambda _, values: [number(value) for value in values.tolist()]),
        },
    }


def curve_json(curve: Sequence[Point]) -> list[dict[str, Any]]:
    """The learning curve, one entry a size."""
    return [
        {
            "size": point.size,
            "draws": point.draws,
            "exhaustive": point.exhaustive,
            "calls": point.calls,
            "dollars": point.dollars,
            "figures": nested(point.summaries, lambda _, one: summary_json(one)),
        }
        for point in curve
    ]


def write_draws(mix: RandomMix, path: Path) -> Path:
    """Write all draws, one a row, as parquet or CSV by the file's name; returns the file.

    Columns are ``draw`` (from 1), ``participants`` (joined by semicolons), the participants' own figures by name, and
    those against people as ``js_distance_livenli``. Undefined values are null, or empty in CSV.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    columns: dict[str, list[Any]] = {
        "draw": list(range(1, len(mix.members) + 1)),
        "participants": [";".join(mix.drawn(draw)) for draw in range(len(mix.members))],
    }
    for (name, source), values in mix.values.items():
        columns[f"{name}_{source}" if source else name] = [number(value) for value in values.tolist()]
    try:
        return _parquet(columns, path) if path.suffix == ".parquet" else _csv(columns, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None


def _parquet(columns: Mapping[str, list[Any]], path: Path) -> Path:
    pa: Any = import_module("pyarrow")  # only here: the extra `parquet`
    pq: Any = import_module("pyarrow.parquet")

    types = {"draw": pa.int64(), "participants": pa.string()}  # a column of nulls would have no type
    arrays = {name: pa.array(values, types.get(name, pa.float64())) for name, values in columns.items()}
    pq.write_table(pa.table(arrays), path)
    return path


def _csv(columns: Mapping[str, list[Any]], path: Path) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path
