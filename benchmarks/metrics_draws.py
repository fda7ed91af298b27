"""A thousand draws of 10 from 20 participants: all figures of the label tables, batched against draw by draw.

    python benchmarks/metrics_draws.py [--draws 1000] [--plain-draws 30] [--items 122] [--seed 0]

Both ways run on the same random labels in one process, on one core, and must agree. The plain way (pandas, scipy,
krippendorff) is timed on fewer draws and scaled up, since it takes minutes.
"""

# ruff: noqa: E402 - BLAS reads its number of threads when NumPy is imported, so that they are set first
from __future__ import annotations

import os

for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"

import argparse
import time
from collections.abc import Callable

import krippendorff
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy as scipy_entropy
from scipy.stats import kendalltau

from partynli.labels import LABELS
from partynli.metrics import compare, entropy, item_mean, krippendorff_alpha, label_counts, probabilities

Figures = dict[str, NDArray[np.float64]]
FIGURES = ("entropy", "js_distance", "kl_pq", "kl_qp", "agreement", "kendall_tau", "alpha")


def batched(codes: NDArray[np.int64], members: NDArray[np.bool_], human: NDArray[np.float64]) -> Figures:
    counts = label_counts(codes, len(LABELS), members)
    q = probabilities(counts)
    figures = compare(probabilities(human), q)
    figures |= {"entropy": item_mean(entropy(q)), "alpha": krippendorff_alpha(counts)}
    return {name: figures[name] for name in FIGURES}


def plain(codes: NDArray[np.int64], members: NDArray[np.bool_], human: NDArray[np.float64]) -> Figures:
    people, items = codes.shape
    frame = pd.DataFrame(
        {
            "participant": np.repeat(np.arange(people), items),
            "item": np.tile(np.arange(items), people),
            "label": np.asarray(LABELS)[codes.ravel()],
        }
    )
    p = pd.DataFrame(human / human.sum(1, keepdims=True), columns=list(LABELS))
    rows = []
    for drawn in members:
        chosen = frame[frame["participant"].isin(np.flatnonzero(drawn))]
        shares = pd.crosstab(chosen["item"], chosen["label"], normalize="index").reindex(columns=LABELS, fill_value=0.0)
        of_item = list(zip(p.to_numpy(), shares.to_numpy(), strict=True))
        h_p, h_q = ([scipy_entropy(pair[side]) for pair in of_item] for side in (0, 1))
        alphabetical = sorted(LABELS)
        rows.append(
            {
                "entropy": np.mean(h_q),
                "js_distance": np.mean([jensenshannon(a, b) for a, b in of_item]),
                "kl_pq": np.mean([scipy_entropy(np.clip(a, 1e-10, 1), np.clip(b, 1e-10, 1)) for a, b in of_item]),
                "kl_qp": np.mean([scipy_entropy(np.clip(b, 1e-10, 1), np.clip(a, 1e-10, 1)) for a, b in of_item]),
                "agreement": (
                    p[alphabetical].idxmax(axis=1).to_numpy() == shares[alphabetical].idxmax(axis=1).to_numpy()
                ).mean(),
                "kendall_tau": kendalltau(np.round(h_p, 9), np.round(h_q, 9)).statistic,
                "alpha": krippendorff.alpha(codes[drawn].astype(float), level_of_measurement="nominal"),
            }
        )
    return {name: np.array([row[name] for row in rows]) for name in FIGURES}


def seconds(call: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--plain-draws", type=int, default=30)
    parser.add_argument("--items", type=int, default=122)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rng = np.random.default_rng(args.seed)
    codes = rng.integers(len(LABELS), size=(20, args.items))
    human = rng.multinomial(10, [0.4, 0.35, 0.25], size=args.items).astype(np.float64)
    members = rng.permuted(np.tile(np.arange(20) < 10, (args.draws, 1)), axis=1)
    few = members[: args.plain_draws]

    fast = seconds(lambda: batched(codes, members, human), repeats=5)
    slow = seconds(lambda: plain(codes, few, human), repeats=1) / len(few) * args.draws
    ours, theirs = batched(codes, few, human), plain(codes, few, human)
    apart = max(float(np.abs(ours[name] - theirs[name]).max()) for name in FIGURES)

    print(f"{args.draws} draws of 10 from 20 participants over {args.items} items, figures: {', '.join(FIGURES)}")
    print(f"batched    {fast:9.4f} s (best of 5, one core)")
    print(
        f"plain      {slow:9.1f} s (pandas + scipy + krippendorff; {len(few)} draws measured, scaled to {args.draws})"
    )
    print(f"ratio      {slow / fast:9.0f}")
    print(f"largest difference on the {len(few)} common draws: {apart:.1e}")


if __name__ == "__main__":
    main()
