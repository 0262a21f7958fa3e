"""How is the progress of the work shown?"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from processor.domain.priority import LANES, Priority

WINDOW_SECONDS = 2.0
"""The shown rate is that of the last so many seconds."""
LINE_SECONDS = 2.0
"""Where no terminal is, a line is written this often."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the run is."""

    seconds: float
    """Since the first submission."""
    done: Mapping[Priority, int]
    """Records below the positions, by lane: their ends are durable and stand in the journal."""
    settled: Mapping[Priority, int]
    """Jobs whose end is durable, by lane; no fewer than are done."""
    dead_letters: int
    projected: int
    """Records of the journal that the history holds: copies make them more than there are jobs."""

    @property
    def all_done(self) -> int:
        """Records done in all lanes."""
        return sum(self.done.values())

    @property
    def all_settled(self) -> int:
        """Jobs settled in all lanes."""
        return sum(self.settled.values())


@dataclass(slots=True)
class Pace:
    """Jobs a second over the last moments."""

    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def after(self, standing: Standing) -> float:
        """The rate, with this standing as the latest."""
        self._seen.append((standing.seconds, standing.all_settled))
        while len(self._seen) > 2 and standing.seconds - self._seen[1][0] >= WINDOW_SECONDS:  # noqa: PLR2004 - the ends of a stretch
            self._seen.popleft()
        since, before = self._seen[0]
        elapsed = standing.seconds - since
        return (standing.all_settled - before) / elapsed if elapsed > 0 else 0.0


Show = Callable[[Standing], None]
"""Takes each standing as it is read."""


@contextlib.contextmanager
def showing(console: Console, lanes: Mapping[Priority, int]) -> Iterator[Show]:
    """Bars in a terminal, plain lines elsewhere; `lanes` says how many jobs each will have."""
    if console.is_terminal:
        with _bars(console, lanes) as show:
            yield show
    else:
        yield _lines(console, lanes)


@contextlib.contextmanager
def _bars(console: Console, lanes: Mapping[Priority, int]) -> Iterator[Show]:
    pace = Pace()
    total = sum(lanes.values())
    with Progress(
        TextColumn("{task.description:>9}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    ) as bars:
        bar = {lane: bars.add_task(lane.label, total=lanes.get(lane, 0), note="") for lane in LANES}
        ended = bars.add_task("all lanes", total=total, note="")
        history = bars.add_task("history", total=total, note="")

        def show(standing: Standing) -> None:
            for lane in LANES:
                bars.update(bar[lane], completed=standing.settled.get(lane, 0))
            rate = pace.after(standing)
            note = f"{rate:,.0f} jobs/s · {standing.dead_letters:,} dead letters"
            bars.update(ended, completed=standing.all_settled, note=note)
            bars.update(history, completed=min(standing.projected, total))
            bars.refresh()

        yield show


def _lines(console: Console, lanes: Mapping[Priority, int]) -> Show:
    pace = Pace()
    total = sum(lanes.values())
    written = -LINE_SECONDS

    def show(standing: Standing) -> None:
        nonlocal written
        rate = pace.after(standing)
        over = standing.all_settled >= total and standing.projected >= total
        if standing.seconds - written < LINE_SECONDS and not over:
            return
        written = standing.seconds
        projected = min(standing.projected, total)
        each = " · ".join(
            f"{lane.label} {standing.settled.get(lane, 0):,}/{lanes.get(lane, 0):,}"
            for lane in LANES
        )
        console.print(
            f"{standing.seconds:6.1f} s · {each} · {rate:,.0f} jobs/s"
            f" · {standing.dead_letters:,} dead letters · history {projected:,}/{total:,}",
            soft_wrap=True,
            highlight=False,
        )

    return show
