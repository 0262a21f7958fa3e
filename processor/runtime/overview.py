"""How does everything stand: lanes, holds, dead letters, entities, workers?"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from processor.domain.priority import LANES
from processor.ports.log import Place
from processor.ports.situations import LATELY
from processor.ports.waiting_room import WaitingState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from processor.domain.priority import Priority
    from processor.domain.topics import Topics
    from processor.ports.clock import Clock
    from processor.ports.holds import Hold
    from processor.ports.log import Reader
    from processor.ports.projection import LetterGroup
    from processor.ports.views import Views, Whole, WorkersSeen

LOOK_SECONDS: Final = 1.0
"""How long the oldest records are waited for, which usually come within milliseconds; what has not
come by then is not told."""
_MILLISECOND: Final = 1_000
_NOWHERE: Final = (0, 0, 0, 0)
"""The positions of a partition that nobody ever owned."""


@dataclass(frozen=True, slots=True)
class LaneSeen:
    """One lane."""

    lane: Priority
    waiting: int
    """Records that are not done, those that run included."""
    oldest: int | None
    """When the oldest of them was appended, in microseconds since the epoch; None where none is."""
    rate: float
    """Jobs a second that ended lately."""
    share: float
    """Of all that ended lately, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything at a glance."""

    at: int
    lanes: tuple[LaneSeen, ...]
    held: tuple[Hold, ...]
    dead_letters: tuple[LetterGroup, ...]
    """Open ones, by type and place, the largest group first."""
    blocked: int
    """Entities that wait for an operator."""
    retrying: int
    """Entities whose head waits for its next attempt."""
    waiting_room: int
    """Rows, about."""
    workers: WorkersSeen


class Overseer:
    """Looks at everything; `async with`. What reads the lanes is kept from look to look."""

    def __init__(
        self,
        views: Views,
        groups: Callable[[], Awaitable[Sequence[LetterGroup]]],
        readers: Callable[[Sequence[Place]], AbstractAsyncContextManager[Reader]],
        topics: Topics,
        partitions: int,
        clock: Clock,
    ) -> None:
        self._views = views
        self._groups = groups
        self._readers = readers
        self._topics = topics
        self._partitions = partitions
        self._clock = clock
        self._reader: Reader | None = None
        self._held = AsyncExitStack()
        self._reading = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._let_go()

    async def look(self) -> Overview:
        """How everything stands now; raises `Fault` or `Unavailable`."""
        whole, workers, groups = await asyncio.gather(
            self._views.whole(), self._views.workers(), self._groups()
        )
        async with self._reading:
            try:
                lanes = await self._lanes(whole)
            except BaseException:
                await self._let_go()
                raise
        return Overview(
            at=self._clock.now(),
            lanes=lanes,
            held=whole.holds,
            dead_letters=tuple(groups),
            blocked=whole.heads.get(WaitingState.BLOCKING, 0),
            retrying=whole.heads.get(WaitingState.RETRYING, 0),
            waiting_room=whole.waiting,
            workers=workers,
        )

    async def _lanes(self, whole: Whole) -> tuple[LaneSeen, ...]:
        at = {
            Place(self._topics.lane(lane), partition): whole.positions.get(partition, _NOWHERE)[
                lane
            ]
            for partition in range(self._partitions)
            for lane in LANES
        }
        if self._reader is None:
            self._reader = await self._held.enter_async_context(self._readers(list(at)))
        bounds = await self._reader.bounds(at)
        ends = {place: end for place, (_, end) in bounds.items()}
        first = {place: max(at[place], start) for place, (start, _) in bounds.items()}
        behind = {place: offset for place, offset in first.items() if ends[place] > offset}
        oldest = await self._oldest(self._reader, behind)
        total = sum(whole.ended_lately.values())
        return tuple(
            self._lane(lane, whole.ended_lately.get(lane, 0), total, behind, ends, oldest)
            for lane in LANES
        )

    async def _oldest(self, reader: Reader, behind: Mapping[Place, int]) -> Mapping[Place, int]:
        """When the first record that is not done was appended, where it comes in time."""
        for place, offset in behind.items():
            reader.place(place, offset)
        found: dict[Place, int] = {}
        deadline = self._clock.monotonic() + LOOK_SECONDS
        while len(found) < len(behind) and (left := deadline - self._clock.monotonic()) > 0:
            for place, records in (await reader.fetch(left, len(behind))).items():
                if records:
                    found.setdefault(place, records[0].timestamp * _MILLISECOND)
                    reader.leave(place)
        for place in behind.keys() - found.keys():
            reader.leave(place)
        return found

    async def _let_go(self) -> None:
        """Read the lanes over a new connection the next time, if there is one."""
        self._reader = None
        await self._held.aclose()

    def _lane(
        self,
        lane: Priority,
        ended: int,
        total: int,
        behind: Mapping[Place, int],
        ends: Mapping[Place, int],
        oldest: Mapping[Place, int],
    ) -> LaneSeen:
        mine: Collection[Place] = [one for one in behind if one.topic == self._topics.lane(lane)]
        times = [oldest[place] for place in mine if place in oldest]
        return LaneSeen(
            lane,
            sum(ends[place] - behind[place] for place in mine),
            min(times, default=None),
            ended / LATELY,
            ended / total if total else 0.0,
        )
