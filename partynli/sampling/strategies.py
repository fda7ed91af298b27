"""The sampling strategies of Kulmizev et al. (2026, section 3): who takes part, and how often each is asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from partynli.errors import InputError, RegistryError, unknown_name
from partynli.judgments import reader_for
from partynli.records import Participant, Task
from partynli.registry import Registry, ValuesExperiment, vary

EXPERIMENTS = ("single", "temperature", "top_p", "grid", "size")


@dataclass(frozen=True)
class Selection:
    """Who takes part in one mix or experiment."""

    group: str
    """Name under which the members are compared: the mix's, or ``temperature:kimi-k2``, ``size:qwen3``."""
    participants: tuple[Participant, ...]
    trials: int


def select(
    registry: Registry,
    *,
    mixes: Sequence[str] = (),
    experiments: Sequence[str] = (),
    participants: Sequence[str] = (),
    trials: int | None = None,
) -> list[Selection]:
    """Turn names from the command line into selections.

    Parameters
    ----------
    mixes, participants
        Names from the registry; sampled with default parameters.
    experiments
        Any of `EXPERIMENTS`; all but ``single`` bring their own participants.
    trials
        Trials of each participant; by default 5 for mixes and single models, and what the registry says for the
        experiments.

    Raises
    ------
    RegistryError, InputError
        A name is unknown, or a mix was named together with an experiment that brings its own participants.
    """
    for name in experiments:
        if name not in EXPERIMENTS:
            raise RegistryError(unknown_name("experiment", name, EXPERIMENTS))
    own = [name for name in experiments if name != "single"]
    if own and (mixes or participants):
        raise InputError(
            f"--experiment {own[0]} brings its own participants: leave out --mix and --participant, "
            "or sample the mix into a run of its own"
        )
    if "single" in experiments and not (mixes or participants):
        raise InputError(
            "--experiment single samples each model of a mix by itself: add --mix NAME or --participant NAME"
        )
    selections = [Selection(name, registry.mix(name), trials or 5) for name in mixes]
    if participants:
        chosen = _unique(registry.participant(name) for name in participants)
        selections.append(Selection("participants", chosen, trials or 5))
    for name in own:
        selections += _experiment(registry, name, trials)
    if not selections:
        raise InputError(
            "nothing to sample: name a --mix, a --participant or an --experiment (`partynli participants`)"
        )
    if any(not selection.participants for selection in selections):
        empty = next(selection.group for selection in selections if not selection.participants)
        raise RegistryError(f"mix {empty!r} has no participants")
    return selections


def _experiment(registry: Registry, name: str, trials: int | None) -> Iterable[Selection]:
    declared = getattr(registry.experiments, name)
    if declared is None:
        raise RegistryError(f"{registry.source} declares no experiment {name!r}")
    if name == "size":
        for family, members in declared.families.items():
            chosen = tuple(map(registry.participant, members))
            yield Selection(f"size:{family}", chosen, trials or declared.trials)
        return
    for base in map(registry.participant, declared.participants):
        if name == "grid":
            variants = [vary(base, temperature=t, top_p=p) for t in declared.temperature for p in declared.top_p]
        else:
            variants = [vary(base, **{name: value}) for value in values_of(declared, base, name)]
        yield Selection(f"{name}:{base.name}", _unique(variants), trials or declared.trials)


def values_of(experiment: ValuesExperiment, participant: Participant, name: str) -> list[float]:
    """Equally spaced values; temperatures are shares of the participant's highest one (section 3).

    >>> ten = ValuesExperiment(participants=["m"], points=3, low=0.05, high=0.95)
    >>> values_of(ten, Participant("m", "openai", "m", {}, temperature_max=2.0), "temperature")
    [0.1, 1.0, 1.9]
    """
    scale = 1.0
    if name == "temperature":
        if participant.temperature_max is None:
            raise RegistryError(
                f"participant {participant.name!r} has no temperature_max; "
                "the temperature experiment spreads its values below it"
            )
        scale = participant.temperature_max
    steps = max(1, experiment.points - 1)
    step = (experiment.high - experiment.low) / steps
    return [round(scale * (experiment.low + step * point), 10) for point in range(experiment.points)]


def _unique(participants: Iterable[Participant]) -> tuple[Participant, ...]:
    return tuple({one.id: one for one in participants}.values())


def merge(selections: Sequence[Selection]) -> tuple[tuple[Participant, ...], dict[str, int]]:
    """Each participant once, however many selections name it, with the most trials that any of them wants."""
    participants: dict[str, Participant] = {}
    trials: dict[str, int] = {}
    for selection in selections:
        for one in selection.participants:
            participants.setdefault(one.id, one)
            trials[one.id] = max(trials.get(one.id, 0), selection.trials)
    return tuple(participants.values()), trials


def guided(selections: Iterable[Selection], task: Task) -> list[Selection]:
    """Send those whose decoding is to be guided the shape of the task's answers, as OpenAI and vLLM take it."""
    reader, _ = reader_for(task)
    schema = {"name": task.name, "strict": True, "schema": reader.shape}
    shape = {"response_format": {"type": "json_schema", "json_schema": schema}}
    return [
        replace(
            selection,
            participants=tuple(
                replace(one, params={**one.params, **shape}) if one.guided_decoding else one
                for one in selection.participants
            ),
        )
        for selection in selections
    ]
