"""One model at several temperatures or values of top-p, or one family in several sizes (figures 9 and 10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from partynli.aggregate import NOT_ASKED, Answers, Codes
from partynli.analysis.groups import groups_of
from partynli.analysis.resamples import Floats
from partynli.metrics import probabilities
from partynli.records import Participant

Parameter = Literal["temperature", "top_p", "size"]


@dataclass(frozen=True)
class Sweep:
    """One experiment: the same participant but for one parameter.

    Attributes
    ----------
    name
        Of the model or family.
    parameter
        What varies.
    members
        V positions in `Answers.participants`, by growing value.
    values
        (V,) temperature, top-p or billions of parameters; NaN, and last, where a size is unknown.
    names
        Of the members.
    codes
        (V, T, I) label codes, with `ASKED_IN_VAIN` and `NOT_ASKED`; T is the number of trials in which anybody of
        the sweep was asked.
    shares
        (V, K) shares of the labels over all items and trials; NaN without valid answers.
    """

    name: str
    parameter: Parameter
    members: tuple[int, ...]
    values: Floats
    names: tuple[str, ...]
    codes: Codes
    shares: Floats


def sweeps_of(answers: Answers, parameter: Parameter) -> list[Sweep]:
    """The run's experiments on one parameter, in the run's order; of a grid, its slice where the other is unset.

    Members who were not asked on the answers' items are left out, and so is an experiment with fewer than two.
    """
    prefix = f"{parameter}:"
    named = {one.name: one.members for one in groups_of(answers)[0] if one.kind == "experiment"}  # slices of grids, too
    groups = {name: members for name, members in {**answers.groups, **named}.items() if name.startswith(prefix)}
    found = [_sweep(answers, name.removeprefix(prefix), parameter, members) for name, members in groups.items()]
    return [one for one in found if len(one.members) > 1]


def _sweep(answers: Answers, name: str, parameter: Parameter, members: Sequence[int]) -> Sweep:
    asked = [one for one in members if (answers.simple[one] != NOT_ASKED).any()]
    value = {one: _value(answers.participants[one], parameter) for one in asked}
    order = sorted(asked, key=lambda one: (np.nan_to_num(value[one], nan=np.inf), answers.names[one]))
    codes = answers.simple[order]
    counts = np.array([answers.counts([one]).sum(0) for one in order]).reshape(-1, len(answers.labels))
    return Sweep(
        name=name,
        parameter=parameter,
        members=tuple(order),
        values=np.array([value[one] for one in order], dtype=np.float64),
        names=tuple(answers.names[one] for one in order),
        codes=codes[:, (codes != NOT_ASKED).any(axis=(0, 2))],
        shares=np.asarray(probabilities(counts)),
    )


def _value(participant: Participant, parameter: Parameter) -> float:
    value = participant.size_b if parameter == "size" else participant.params.get(parameter)
    return float("nan") if value is None else float(value)
