"""What each paper chose where its figures could have been computed in more than one way.

A convention lets a published figure be met, and converted to ours: nats, distances and divergences under their own
names, undefined values as NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from types import MappingProxyType
from typing import Literal

from numpy.typing import ArrayLike

from partynli.errors import InputError
from partynli.metrics._arrays import FloatArray
from partynli.metrics.correlation import distance_correlation
from partynli.metrics.distribution import js_distance, js_divergence, kl_divergence
from partynli.metrics.entropy import entropy


@dataclass(frozen=True)
class Convention:
    """A paper's set of choices.

    Examples
    --------
    >>> chaosnli = convention("chaosnli2020")
    >>> round(float(chaosnli.entropy([0.76, 0.20, 0.04])), 4), chaosnli.entropy_unit
    (0.951, 'bits')
    """

    name: str
    source: str
    entropy_unit: Literal["nats", "bits"] = "nats"
    js_kind: Literal["distance", "divergence"] = "distance"
    """What is computed; always with natural logarithms."""
    js_printed_as: str = "JSD"
    """What the paper calls it."""
    kl_eps: float = 1e-10
    """Smallest probability in KL, after which the distributions are renormalised."""
    kl_clip: Literal["both", "q"] = "both"
    """Which distributions `kl_eps` applies to: both, or only Q."""
    modal_tie: Literal["alphabetical", "not stated"] = "not stated"
    """To which label a tied mode goes."""
    constant_distance_correlation: float = float("nan")
    """The distance correlation with a sample that does not vary."""
    option_scores: tuple[str, ...] = ()
    """How scores of answer options become a distribution: "p_norm" divides raw logits by their sum, "p_softmax" takes
    the softmax of scores / `softmax_temperature`."""
    softmax_temperature: float = float("nan")

    @property
    def nats(self) -> float:
        """How many nats one `entropy_unit` is."""
        return log(2) if self.entropy_unit == "bits" else 1.0

    def entropy(self, p: ArrayLike) -> FloatArray:
        """Entropy (...) of distributions (..., K) in `entropy_unit`; NaN where undefined."""
        return entropy(p) / self.nats

    def jensen_shannon(self, p: ArrayLike, q: ArrayLike) -> FloatArray:
        """Jensen-Shannon distance or divergence (...), whichever the paper prints; NaN where undefined."""
        return js_distance(p, q) if self.js_kind == "distance" else js_divergence(p, q)

    def kl(self, p: ArrayLike, q: ArrayLike) -> FloatArray:
        """KL(P || Q) (...) in nats with the paper's clipping; NaN where undefined."""
        return kl_divergence(p, q, eps=self.kl_eps, clip=self.kl_clip)

    def distance_correlation(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Biased distance correlation (...) of (..., items, dimensions), with the paper's value for a constant."""
        return distance_correlation(x, y, constant=self.constant_distance_correlation)


CONVENTIONS: Mapping[str, Convention] = MappingProxyType(
    {
        c.name: c
        for c in (
            Convention(
                name="kulmizev2026",
                source="Kulmizev et al. 2026, section 4 and appendix C",
                js_printed_as="JS divergence",
                modal_tie="alphabetical",
            ),
            Convention(
                name="chen2024",
                source="Chen et al. 2024 (Seeing the Big through the Small)",
                constant_distance_correlation=0.0,
                option_scores=("p_norm", "p_softmax"),
                softmax_temperature=20.0,
            ),
            Convention(
                name="chen2025",
                source="Chen et al. 2025 (A Rose by Any Other Name)",
                constant_distance_correlation=0.0,
                option_scores=("p_norm", "p_softmax"),
                softmax_temperature=20.0,
            ),
            Convention(
                name="chaosnli2020",
                source="Nie et al. 2020 and its evaluation script",
                entropy_unit="bits",
                kl_eps=1e-15,
                kl_clip="q",
            ),
        )
    }
)
"""The known conventions by name."""


def convention(name: str) -> Convention:
    """Look up a paper's convention.

    Parameters
    ----------
    name
        One of the keys of `CONVENTIONS`.

    Returns
    -------
    Convention
        Its choices.

    Raises
    ------
    InputError
        If the name is unknown; the message lists those that are known.

    Examples
    --------
    >>> convention("kulmizev2026").js_printed_as
    'JS divergence'
    >>> uniform, people = [[1 / 3] * 3] * 4, [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.5, 0.5, 0.0]]
    >>> [float(convention(n).distance_correlation(uniform, people)) for n in ("kulmizev2026", "chen2024")]
    [nan, 0.0]
    """
    if name not in CONVENTIONS:
        raise InputError(f"no convention is called {name!r}; known: {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]
