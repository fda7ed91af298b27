"""Who took part in an imported table, under which name, and in which groups."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from partynli.analysis.imported.rows import Source
from partynli.records import Participant
from partynli.registry import vary

Digests = Mapping[int, int]
"""What a source answered, by trial: a sum of hashes, the same for the same answers in any order."""
DIGEST = (1 << 64) - 1
"""Bits of such a sum that are kept."""

_MIXES = {"model_mix_hi": "hi", "model_mix_lo": "lo"}
_GRID, _SIZE, _HUMAN = "hp_ablation", "size_ablation", "human"
_FIRST = (*_MIXES, _SIZE, _GRID)
_SIZE_SUFFIX = re.compile(r"[-_: ]?(?<!\d)\d+(\.\d+)?b$", re.IGNORECASE)
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Cast:
    """The participants of an imported run."""

    participants: tuple[Participant, ...]
    """In the order of their names, numbers in them by value: the order of the rows does not matter."""
    of_source: tuple[str, ...]
    """Participant id of each source."""
    groups: Mapping[str, tuple[str, ...]]
    """Participant ids by name of the mix or experiment."""
    shared: frozenset[str]
    """Ids of participants that several experiments list with the same answers."""


class _Key(NamedTuple):
    kind: str
    base: str
    temperature: float | None
    top_p: float | None
    size_b: float | None


def cast(sources: Sequence[Source], digests: Sequence[Digests]) -> Cast:
    """Name the participants, and put them into groups.

    Sources that differ in nothing but the experiment are one participant where they answered the same in every trial
    that they share. Otherwise they are samples of their own, and the later ones (mixes come first, then sizes, then
    the grid) are named ``NAME@experiment=EXPERIMENT``.

    Parameters
    ----------
    sources
        As `Reader.sources` has them.
    digests
        Of each source.
    """
    alike: dict[_Key, list[int]] = {}
    for number, key in enumerate(_keys(sources)):
        alike.setdefault(key, []).append(number)
    participants: dict[str, Participant] = {}
    members: dict[str, list[int]] = {}
    taken: set[str] = set()
    for key in sorted(alike, key=lambda key: tuple(map(str, key))):
        for part, numbers in enumerate(_samples(alike[key], sources, digests)):
            base = f"{key.base}@experiment={sources[numbers[0]].experiment or 'none'}" if part else key.base
            made = _participant(key, base, taken)
            taken.add(made.name)
            participants[made.id] = made
            members[made.id] = numbers
    of_source = {number: id_ for id_, numbers in members.items() for number in numbers}
    ids = tuple(of_source[number] for number in range(len(sources)))
    return Cast(
        participants=tuple(sorted(participants.values(), key=lambda one: natural(one.name))),
        of_source=ids,
        groups=_groups(sources, ids, participants, {of_source[n]: key.base for key, ns in alike.items() for n in ns}),
        shared=frozenset(id_ for id_, numbers in members.items() if len({sources[n].experiment for n in numbers}) > 1),
    )


def natural(name: str) -> list[tuple[int, int, str, str]]:
    """Sort key in which w9 comes before w10.

    >>> sorted(["w10", "w9", "a"], key=natural)
    ['a', 'w9', 'w10']
    """
    parts = ((place % 2, part, part.lstrip("0")) for place, part in enumerate(_DIGITS.split(name)))
    # a longer number is a larger one: no int, which Python does not make of thousands of digits
    return [(1, len(digits), digits, part) if is_number else (0, 0, part, "") for is_number, part, digits in parts]


def _keys(sources: Sequence[Source]) -> list[_Key]:
    """What tells the sources apart, their experiment left out."""
    sizes: dict[str, set[float]] = {}
    for one in sources:
        if one.size_b is not None:
            sizes.setdefault(one.name, set()).add(one.size_b)
    bases = [_base(one, len(sizes.get(one.name, ()))) for one in sources]
    known: dict[str, set[float]] = {}
    for one, base in zip(sources, bases, strict=True):
        known.setdefault(base, set()).update(() if one.size_b is None else (one.size_b,))
    return [
        # rows that leave the size out mean the only one that is known
        _Key(one.kind, base, one.temperature, one.top_p, next(iter(known[base])) if len(known[base]) == 1 else None)
        for one, base in zip(sources, bases, strict=True)
    ]


def _base(source: Source, n_sizes: int) -> str:
    if n_sizes < 2 or source.size_b is None or source.name.casefold().endswith(tail := f"{source.size_b:.6g}b"):
        return source.name
    return f"{source.name}-{tail}"


def _samples(numbers: Sequence[int], sources: Sequence[Source], digests: Sequence[Digests]) -> list[list[int]]:
    """Sources of one key: those of one experiment together, and with another one's where they answered the same."""
    blocks: dict[str, tuple[list[int], dict[int, int]]] = {}
    for number in sorted(numbers, key=lambda number: _rank(sources[number])):
        those, answers = blocks.setdefault(sources[number].experiment, ([], {}))
        those.append(number)
        for trial, digest in digests[number].items():
            answers[trial] = (answers.get(trial, 0) + digest) & DIGEST
    samples: list[tuple[list[int], dict[int, int]]] = []
    for those, answers in blocks.values():
        for others, known in samples:
            if all(known.get(trial, digest) == digest for trial, digest in answers.items()):
                others += those
                known.update(answers)
                break
        else:
            samples.append((those, answers))
    return [those for those, _ in samples]


def _rank(source: Source) -> tuple[int, str, str]:
    experiment = source.experiment.casefold()
    return (_FIRST.index(experiment) if experiment in _FIRST else len(_FIRST), source.experiment, source.name)


def _participant(key: _Key, base: str, taken: Set[str]) -> Participant:
    made, number = _named(key, base), 2
    while made.name in taken:
        made = _named(key, f"{base}@{key.kind}" if number == 2 else f"{base}@{number}")
        number += 1
    return made


def _named(key: _Key, name: str) -> Participant:
    is_human = key.kind == "human"
    made = Participant(
        name=name,
        route="imported",
        model=f"human:{name}" if is_human else name,
        params={},
        size_b=key.size_b,
        provider="human" if is_human else "imported",
        family=None if is_human else _family(key.base),
    )
    return vary(made, temperature=key.temperature, top_p=key.top_p)


def _family(base: str) -> str:
    """Name of a family of sizes: the participant's without its size.

    >>> _family("deepseek-r1-671b"), _family("qwen3"), _family("qwen3-0.6b")
    ('deepseek-r1', 'qwen3', 'qwen3')
    """
    return _SIZE_SUFFIX.sub("", base) or base


def _groups(
    sources: Sequence[Source], ids: Sequence[str], participants: Mapping[str, Participant], bases: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for source, id_ in zip(sources, ids, strict=True):
        for group in _groups_of(source, bases[id_]):
            found.setdefault(group, set()).add(id_)
    if "hi" in found and "lo" in found:
        found["all"] = found["hi"] | found["lo"]
    place = sorted(found, key=lambda name: (name not in ("hi", "lo", "all"), natural(name)))
    return {name: tuple(sorted(found[name], key=lambda id_: natural(participants[id_].name))) for name in place}


def _groups_of(source: Source, base: str) -> Iterable[str]:
    experiment = source.experiment.casefold()
    if source.kind == "human":
        yield _HUMAN
        if experiment not in ("", _HUMAN):
            yield source.experiment
    elif experiment == _GRID:
        yield f"grid:{base}"
        if source.temperature is not None and source.top_p is None:
            yield f"temperature:{base}"
        if source.top_p is not None and source.temperature is None:
            yield f"top_p:{base}"
    elif experiment == _SIZE:
        yield f"size:{_family(base)}"
    elif experiment:
        yield _MIXES.get(experiment, source.experiment)
