"""How often the 95 % intervals of a report hold what infinitely many items would give."""

from __future__ import annotations

import numpy as np
import pytest

from partynli.analysis.figures import Figure, Rows, figures_against, own_figures
from partynli.analysis.resamples import Resamples
from partynli.labels import LABELS
from partynli.metrics import convention

OURS = convention("kulmizev2026")
NAMES = ("entropy", "alpha", "js_distance", "kendall_tau")


def study(items: int, rng: np.random.Generator, draws: int) -> dict[str, Figure]:
    """Figures of ten raters beside ten people, who half agree on what an item's labels are."""
    people = rng.dirichlet([1, 0.8, 0.6], size=items)
    raters = 0.7 * people + 0.3 * rng.dirichlet([1, 1, 1], size=items)
    votes, ours = rng.multinomial(10, people), rng.multinomial(10, raters)
    rows = Rows.of([ours[None]])
    resamples = Resamples.draw(items, seed=int(rng.integers(1 << 31)), scope="s", draws=draws, shuffles=1)
    found = own_figures(rows, resamples, OURS) | figures_against(rows, votes, LABELS, resamples, OURS)
    return {name: found[name][0] for name in NAMES}


@pytest.mark.slow
@pytest.mark.parametrize(("items", "least"), [(24, 0.84), (50, 0.90)])
def test_intervals_hold_the_true_value_nearly_as_often_as_they_say(items: int, least: float) -> None:
    rng = np.random.default_rng(4)
    large = [study(2000, rng, 2) for _ in range(5)]
    true = {name: np.mean([one[name].value for one in large]) for name in NAMES}
    held = dict.fromkeys(NAMES, 0)
    studies = 400
    for _ in range(studies):
        for name, figure in study(items, rng, 300).items():
            held[name] += int(figure.low <= true[name] <= figure.high)
    shares = {name: n / studies for name, n in held.items()}
    assert min(shares.values()) >= least, shares
    assert max(shares.values()) <= 0.975, shares
