"""What a dataset is: items that can be gone through again and again, and people's answers to them."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from partynli.errors import ItemsError
from partynli.labels import LABELS, join_labels, order_in
from partynli.records import Annotation, Item

Located = tuple[int, Item]
"""The line (or the number, from 1) at which an item stands, and the item."""


class ItemSource:
    """Items that may be gone through many times and need not be in memory.

    Parameters
    ----------
    name
        Name of the dataset or path of the file; stands before the line number in error messages.
    read
        Begins a new pass: returns an iterator over (line, item). That of a user's file reads from disk each time.
    note
        One line about the items, for the person at the terminal.
    unit
        What the numbers of `read` count, for messages.
    """

    def __init__(self, name: str, read: Callable[[], Iterator[Located]], *, note: str = "", unit: str = "line") -> None:
        self.name = name
        self.note = note
        self.unit = unit
        self._read = read

    @classmethod
    def of(cls, items: Sequence[Item], name: str, note: str = "") -> ItemSource:
        """A source of items that are in memory already.

        >>> [item.uid for item in ItemSource.of([Item("a", {"text": "A."})], "mine")]
        ['a']
        """
        return cls(name, lambda: enumerate(items, start=1), note=note, unit="item")

    def located(self) -> Iterator[Located]:
        """Begin a pass over the items with the line at which each stands."""
        return self._read()

    def __iter__(self) -> Iterator[Item]:
        return (item for _, item in self._read())

    def __repr__(self) -> str:
        return f"ItemSource({self.name!r})"


@dataclass(frozen=True)
class Dataset:
    """Items, and what people answered."""

    name: str
    items: ItemSource
    annotations: tuple[Annotation, ...] = ()
    """People's answers, in the file's order; empty where there is none."""
    distributions: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)
    """How many people gave each label: source -> uid -> counts in the order of `labels`."""
    licence: str = ""
    source: str = ""
    """Where it comes from: an address, a path, or who wrote it."""
    note: str = ""
    """One line about it."""
    labels: tuple[str, ...] = LABELS
    """What people could choose from."""
    withheld: str = ""
    """Why people's answers, which there are, are left out; empty where they are not."""

    def asked_for(self, labels: Sequence[str]) -> Dataset:
        """The same dataset for a task with these labels: people's answers by their names and in their order.

        Answers of people who chose from other labels are left out, and `withheld` says so.
        """
        if tuple(labels) == self.labels:
            return self
        order = order_in(self.labels, labels)
        if order is None:
            asked = f"people in {self.name} chose from {', '.join(self.labels)}; the task has {', '.join(labels)}"
            said = bool(self.annotations or self.distributions)
            return replace(self, annotations=(), distributions={}, withheld=asked if said else "")
        names = {self.labels[at]: label for at, label in zip(order, labels, strict=True)}
        return replace(
            self,
            labels=tuple(labels),
            annotations=tuple(
                replace(
                    one,
                    class_simple=names[one.class_simple],
                    class_multi=join_labels(names[label] for label in one.class_multi.split("-")),
                )
                for one in self.annotations
            ),
            distributions={
                source: {uid: tuple(votes[at] for at in order) for uid, votes in counts.items()}
                for source, counts in self.distributions.items()
            },
        )


@dataclass(frozen=True, slots=True)
class ItemsSummary:
    """What one pass over all items found."""

    n: int
    """Number of items."""
    n_chars: int
    """Characters of all texts of all items; the templates that they are filled into are not counted."""
    n_chars_max: int
    """Characters of the longest item, its texts together."""
    n_bytes: int
    """UTF-8 bytes of all texts of all items."""


def check_items(items: Iterable[Item]) -> ItemsSummary:
    """Go once through all items before anything is spent on them.

    Every item of a file is read and checked on the way. Duplicate uids are found with eight bytes an item, so that
    hundreds of thousands of items need a few megabytes.

    Raises
    ------
    ItemsError
        An item is wrong, two have the same uid, or there is none. The message names the file and the line.

    Examples
    --------
    >>> check_items([Item("a", {"premise": "It rains.", "hypothesis": "It is wet."})])
    ItemsSummary(n=1, n_chars=19, n_chars_max=19, n_bytes=19)
    """
    source = items if isinstance(items, ItemSource) else ItemSource.of(tuple(items), "the items")
    n = n_chars = longest = n_bytes = 0
    marks = [array("Q") for _ in range(_BUCKETS)]
    for _, item in source.located():
        size = sum(map(len, item.texts.values()))
        n += 1
        n_chars += size
        longest = max(longest, size)
        n_bytes += sum(len(text.encode()) for text in item.texts.values())
        mark = _mark(item.uid)
        marks[mark % _BUCKETS].append(mark)
    if not n:
        raise ItemsError(f"{source.name} holds no items")
    unclear = [bucket for bucket in marks if len(set(bucket)) < len(bucket)]
    if doubled := {mark for bucket in unclear for mark, times in Counter(bucket).items() if times > 1}:
        _name_doubles(source, doubled)
    return ItemsSummary(n, n_chars, longest, n_bytes)


_BUCKETS = 256
"""The marks are looked at in this many parts: a set takes ten times the memory of an array."""


def _mark(uid: str) -> int:
    return int.from_bytes(blake2b(uid.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _name_doubles(source: ItemSource, doubled: set[int]) -> None:
    first: dict[str, int] = {}
    for line, item in source.located():
        if _mark(item.uid) in doubled and (earlier := first.setdefault(item.uid, line)) != line:
            raise ItemsError(
                f"{source.name}: {source.unit}s {earlier} and {line} have the same uid {item.uid[:80]!r}; "
                "give every item a uid of its own"
            )
