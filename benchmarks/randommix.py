"""`partynli randommix`: a thousand draws of 10 from 20 participants by look-up, batched metrics, and draw by draw.

    python benchmarks/randommix.py [--draws 1000] [--plain-draws 30] [--items 122] [--trials 1] [--seed 0]

All three run on the same random labels in one process, on one core, and must agree on every figure. The plain way
(pandas, scipy, krippendorff; see metrics_draws.py) is timed on fewer draws and scaled up, since it takes minutes.
"""

# ruff: noqa: I001 - metrics_draws comes first: it sets the number of threads before NumPy is imported
from __future__ import annotations

import argparse
import os

from metrics_draws import FIGURES, batched, plain, seconds

import numpy as np
from numpy.typing import NDArray

from partynli.analysis.curve import Costs, learning_curve
from partynli.analysis.lookup import People
from partynli.analysis.randommix import Pool, draw_members, randommix
from partynli.labels import LABELS

PEOPLE, SIZE = 20, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("draws", 1000), ("plain-draws", 30), ("items", 122), ("trials", 1), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rng = np.random.default_rng(args.seed)
    codes = rng.integers(len(LABELS), size=(PEOPLE, args.trials, args.items)).astype(np.int16)
    human = rng.multinomial(10, [0.4, 0.35, 0.25], size=args.items)
    members = draw_members(PEOPLE, SIZE, args.draws, rng)
    few = members[: args.plain_draws]
    pool = Pool(tuple(f"p{k:02}" for k in range(PEOPLE)), codes, {"human": People.of(human)}, LABELS)

    def looked_up() -> dict[str, NDArray[np.float64]]:
        return {name: values for (name, _), values in pool.figures(members).items()}

    def of_trials(way: object, chosen: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
        each = [way(codes[:, trial].astype(np.int64), chosen, human.astype(float)) for trial in range(args.trials)]
        return {name: np.mean([one[name] for one in each], axis=0) for name in FIGURES}

    drawing = seconds(lambda: draw_members(PEOPLE, SIZE, args.draws, np.random.default_rng(args.seed)), repeats=5)
    ours = seconds(looked_up, repeats=5)
    middle = seconds(lambda: of_trials(batched, members), repeats=5)
    slow = seconds(lambda: of_trials(plain, few), repeats=1) / len(few) * args.draws
    everything = seconds(lambda: randommix(pool, size=SIZE, draws=args.draws), repeats=3)
    costs = Costs(np.full(PEOPLE, float(args.items)), np.zeros(PEOPLE), ())
    curve = seconds(lambda: learning_curve(pool, costs, draws=args.draws), repeats=2)

    found, theirs = looked_up(), of_trials(plain, few)
    apart = max(float(np.abs(found[name][: len(few)] - theirs[name]).max()) for name in FIGURES)
    assert apart < 1e-9, apart

    print(
        f"{args.draws} draws of {SIZE} from {PEOPLE} participants over {args.items} items, {args.trials} trials, "
        f"figures: {', '.join(FIGURES)}"
    )
    print(f"looked up  {ours:9.4f} s (best of 5, one core) + {drawing:.4f} s to draw them")
    print(f"batched    {middle:9.4f} s (partynli.metrics on all draws' counts)")
    print(f"plain      {slow:9.1f} s (pandas + scipy + krippendorff; {len(few)} draws, scaled to {args.draws})")
    print(f"ratio      {slow / (ours + drawing):9.0f} (plain / looked up)")
    print(f"with the bootstrap of 2,000: {everything:.3f} s; learning curve of sizes 1 to {PEOPLE}: {curve:.3f} s")
    print(f"largest difference on the {len(few)} common draws: {apart:.1e}")


if __name__ == "__main__":
    main()
