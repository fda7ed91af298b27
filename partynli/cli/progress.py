"""Progress of a run, live in a terminal and line by line elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from partynli.cli.output import console, duration, money, safe
from partynli.cli.output import table as new_table
from partynli.records import Participant
from partynli.sampling.events import Event, Notice, Retrying, Settled, Stopped, Stored, Waiting
from partynli.sampling.plan import Plan
from partynli.store import Tally

_WINDOW_S = 20.0
_MOST_ROWS = 30
_LONG_S = 60.0
"""A wait of so many seconds is told where nobody sees the table."""


class Progress:
    """Counts events, and shows them.

    Parameters
    ----------
    plan
        What is to be done.
    before
        What was stored before, by participant id.
    due
        Trials of each participant, where they are fewer than the plan's.
    """

    def __init__(self, plan: Plan, before: Mapping[str, Tally], due: Mapping[str, int] | None = None) -> None:
        self._participants = plan.participants
        self._planned = due or {one.id: plan.trials[one.id] * plan.n_items for one in plan.participants}
        self._done = {one.id: before.get(one.id, Tally()).settled for one in plan.participants}
        self._failed = dict.fromkeys(self._done, 0)
        self._reasked = dict.fromkeys(self._done, 0)
        self._state: dict[str, str] = {}
        self._cost = sum(tally.cost for tally in before.values())
        self._unpriced = False
        self._calls = 0
        self._recent: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])
        self._notes: deque[str] = deque(maxlen=4)
        self._last = ""
        self._in_batches = False
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        if console.is_terminal:
            self._live = Live(console=console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def interval_s(self) -> float:
        """Seconds between two calls of `show`."""
        return 0.25 if self._live is not None else 10.0

    def heard(self, event: Event) -> None:
        """Take an event of the engine in."""
        if isinstance(event, Stored):
            self._calls += 1
            one = event.participant.id
            if event.status == "failed":
                self._failed[one] += 1
            elif event.again:
                self._reasked[one] += 1
            else:
                self._done[one] += 1
            if event.cost is None:
                self._unpriced = self._unpriced or event.status != "failed"
            else:
                self._cost += event.cost
            self._state.pop(one, None)
        elif isinstance(event, Retrying):
            waits = f"waits {duration(event.wait_s)}: {event.why}"
            if event.wait_s >= _LONG_S and self._live is None and event.participant.id not in self._state:
                console.print(safe(f"{event.participant.name} {waits}"), soft_wrap=True)
            self._state[event.participant.id] = waits
        elif isinstance(event, Stopped):
            self._state[event.participant.id] = f"stopped: {event.why}"
            self._note(f"{event.participant.name} is stopped: {event.why}")
        elif isinstance(event, Waiting):
            self._in_batches = True
            if any(self._state.get(one.id) != event.what for one in event.participants):
                self._state |= dict.fromkeys((one.id for one in event.participants), event.what)
                if self._live is None:
                    console.print(safe(event.what), soft_wrap=True)
        elif isinstance(event, Settled):
            # of a participant who joined late, the others may have been asked more than is due by now
            self._planned = {one: max(trials, self._done[one]) for one, trials in event.due.items()}
            self._note(f"round {event.round}: {event.settled:,} of {event.items:,} items settled")
        elif isinstance(event, Notice):
            self._note(event.text)

    def show(self) -> None:
        """Draw the present state."""
        now = time.monotonic()
        self._recent.append((now, self._calls))
        while len(self._recent) > 2 and now - self._recent[0][0] > _WINDOW_S:
            self._recent.popleft()
        if self._live is not None:
            self._live.update(self._drawn(), refresh=True)
        elif (line := self._line()) != self._last:  # a batch may take a day, in which there is nothing to say
            self._last = line
            console.print(line, soft_wrap=True, markup=False)

    def _note(self, text: str) -> None:
        if self._live is not None:
            self._notes.append(text)
        else:
            console.print(safe(text), soft_wrap=True)

    def _rate(self) -> float:
        (then, before), (now, calls) = self._recent[0], self._recent[-1]
        return (calls - before) / (now - then) if now > then else 0.0

    def _line(self) -> str:
        done, planned = sum(self._done.values()), sum(self._planned.values())
        rate = self._rate()
        left = planned - done
        eta = f", ~{duration(left / rate)} left" if rate > 0 and left > 0 and not self._in_batches else ""
        cost = f"{'at least ' if self._unpriced else ''}{money(self._cost)}"
        failed = sum(self._failed.values())
        return (
            f"{done:,} of {planned:,} trials done, {failed:,} failed, {sum(self._reasked.values()):,} asked again, "
            f"{rate:,.{0 if rate >= 100 else 1}f} calls/s, {cost}{eta}"
        )

    def _drawn(self) -> RenderableType:
        rows = self._table(self._participants[:_MOST_ROWS])
        more = len(self._participants) - _MOST_ROWS
        parts: list[RenderableType] = [rows]
        if more > 0:
            parts.append(Text(f"... and {more} more participants", style="dim"))
        parts += [Text(safe(note), style="yellow", overflow="ellipsis", no_wrap=True) for note in self._notes]
        parts.append(Text(self._line(), style="bold"))
        return Group(*parts)

    def _table(self, participants: tuple[Participant, ...]) -> Table:
        drawn = new_table("participant", "", "done", "of", "again", "failed", "")
        drawn.columns[1].justify = "left"
        drawn.columns[6].justify, drawn.columns[6].overflow, drawn.columns[6].no_wrap = "left", "ellipsis", True
        for one in participants:
            done, planned = self._done[one.id], self._planned[one.id]
            filled = 12 * done // max(1, planned)
            bar = "━" * filled + "[dim]" + "─" * (12 - filled) + "[/dim]"
            counts = (f"{done:,}", f"{planned:,}", f"{self._reasked[one.id]:,}", f"{self._failed[one.id]:,}")
            drawn.add_row(safe(one.name), bar, *counts, safe(self._state.get(one.id, "")))
        return drawn
