"""Draws as files: the same bytes every time, and nothing undefined turned into a number."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from partynli.analysis.curve import Costs, learning_curve
from partynli.analysis.lookup import People
from partynli.analysis.randommix import Pool, randommix
from partynli.errors import InputError
from partynli.labels import LABELS
from partynli.report.draws import write_draws
from partynli.report.plots.randommix import plot_curve, plot_draws
from partynli.report.plots.style import save


@pytest.fixture
def pool() -> Pool:
    rng = np.random.default_rng(0)
    people = {"livenli": People.of(rng.multinomial(10, [0.4, 0.3, 0.3], size=9))}
    return Pool(("a", "b", "$c_{1"), rng.integers(3, size=(3, 1, 9)).astype(np.int16), people, LABELS)


def test_a_table_of_the_draws(pool: Pool, tmp_path: Path) -> None:
    mix = randommix(pool, size=1, draws=4, resamples=5)
    with write_draws(mix, tmp_path / "draws.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:4] == ["draw", "participants", "entropy", "alpha"]
    assert [row["participants"] for row in rows] == [mix.drawn(draw)[0] for draw in range(4)]
    assert {row["alpha"] for row in rows} == {""}
    assert [float(row["js_distance_livenli"]) for row in rows] == mix.values["js_distance", "livenli"].tolist()
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(write_draws(mix, tmp_path / "draws.parquet"))
    assert str(table.schema.field("alpha").type) == "double"
    assert table["alpha"].null_count == 4
    with pytest.raises(InputError, match="cannot be written"):
        write_draws(mix, tmp_path / "no" / "draws.csv")


@pytest.mark.slow
def test_the_same_plot_gives_the_same_bytes(pool: Pool, tmp_path: Path) -> None:
    mix = randommix(pool, size=2, draws=20, resamples=5)
    nothing = np.zeros(3)
    curve = learning_curve(pool, Costs(nothing + 9, nothing + 0.01, ()), draws=5)
    written = []
    for _ in range(2):
        draws = save(plot_draws(mix, {"all": mix.whole}, ["livenli"], "draws of $c_{1"), tmp_path / "draws")
        lines = save(plot_curve(curve, ["livenli"], "curve"), tmp_path / "curve")
        written.append([path.read_bytes() for path in (*draws, *lines)])
    assert written[0] == written[1]
    assert b"draws of $c_{1" in written[0][1]


def test_a_plot_that_cannot_be_written(pool: Pool, tmp_path: Path) -> None:
    curve = learning_curve(pool, Costs(np.zeros(3), np.zeros(3), ()), draws=2)
    with pytest.raises(InputError, match="cannot be written"):
        save(plot_curve(curve, [], "curve"), tmp_path / "no" / "curve")
