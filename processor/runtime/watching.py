"""Does everything move that should?

Three watchdogs beside the loop's own: a lane whose records are not read, one that grows while
nothing of it is processed, and a position that does not move. What an error tells is not theirs:
these are the silences.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, TypeAlias

import structlog

from processor.domain.errors import Unavailable
from processor.domain.priority import LANES, Priority
from processor.domain.standstill import Standstills
from processor.ports.log import Place
from processor.runtime.backlog import ends_of
from processor.runtime.troubles import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from processor.domain.topics import Topics
    from processor.ports.clock import Clock
    from processor.runtime.fetching import LaneFetcher
    from processor.runtime.partition import OwnedPartition
    from processor.runtime.standing import Standing
    from processor.runtime.troubles import Troubles

Ends: TypeAlias = "Mapping[tuple[OwnedPartition, Priority], int]"
"""Where the log ends, of each lane of each partition that is open."""

LOOK_SECONDS: Final = 15.0
UNREAD_AFTER: Final = 60.0
"""Seconds, like the two below."""
IDLE_AFTER: Final = 60.0
STILL_AFTER: Final = 120.0
"""Four times as long as a job may run before its partition goes on without it."""

UNREAD: Final = "records are not read"
IDLE: Final = "a lane grows while nothing of it is processed"
STILL: Final = "a position does not move"

log = structlog.get_logger(__name__)


class Watchdogs:
    """Look at a worker's partitions a few times a minute."""

    def __init__(
        self,
        clock: Clock,
        topics: Topics,
        fetchers: Sequence[LaneFetcher],
        owned: Callable[[], Mapping[int, OwnedPartition]],
        standing: Standing,
        troubles: Troubles,
    ) -> None:
        self._clock = clock
        self._topics = topics
        self._fetchers = fetchers
        self._owned = owned
        self._standing = standing
        self._troubles = troubles
        self._unread: Standstills[tuple[OwnedPartition, Priority]] = Standstills(UNREAD_AFTER)
        self._idle: Standstills[Priority] = Standstills(IDLE_AFTER)
        self._still: Standstills[tuple[OwnedPartition, Priority]] = Standstills(STILL_AFTER)
        self._grown: dict[Priority, tuple[object, int]] = {}
        self.unread: Sequence[float] = [0.0 for _ in LANES]
        """Seconds for which records of a lane were not read, as last seen; like the two below."""
        self.idle: Sequence[float] = [0.0 for _ in LANES]
        """For which nothing of a lane that is not empty was processed."""
        self.still: Sequence[float] = [0.0 for _ in LANES]
        """For which that position has not moved which stands longest."""

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except Unavailable as error:
                log.info("the lanes' ends are not known just now", because=str(error))

    async def look(self) -> None:
        """Look once; raises `Unavailable` where the log does not say where it ends."""
        owned = [one for one in self._owned().values() if one.open]
        readers = [fetcher.reader for fetcher in self._fetchers]
        found = await ends_of(self._topics, readers, owned)
        ends = {
            (one, lane): found[Place(self._topics.lane(lane), one.number)]
            for one in owned
            for lane in LANES
        }
        now = self._clock.monotonic()
        self._look_at_reading(ends, now)
        self._look_at_lanes(ends, now)
        self._look_at_positions(ends, now)

    def _look_at_reading(self, ends: Ends, now: float) -> None:
        unread = {
            (one, lane): one.positions[lane].fetched
            for (one, lane), end in ends.items()
            if end > one.positions[lane].fetched and self._fetchers[lane].should_read(one)
        }
        self._unread.look(unread, now)
        self.unread = _longest(self._unread, unread, now)
        self._troubles.see(
            UNREAD,
            [
                Trouble(UNREAD, _where(*name), *self._standing.unread(*name, seconds))
                for name, seconds in self._unread.standing(now).items()
            ],
        )

    def _look_at_lanes(self, ends: Ends, now: float) -> None:
        done: Counter[Priority] = Counter()
        left: Counter[Priority] = Counter()
        total: Counter[Priority] = Counter()
        for lane in LANES:
            done[lane] = self._standing.rows_gone(lane)
        for (one, lane), end in ends.items():
            position = one.positions[lane]
            done[lane] += position.fetched - position.unfinished
            left[lane] += position.unfinished + max(0, end - position.fetched)
            total[lane] += end
        whose = tuple({one.fence: None for one, _ in ends})
        waits = {
            lane: (whose, done[lane])
            for lane in LANES
            if left[lane] and not self._standing.is_held(lane)
        }
        self._idle.look(waits, now)
        self.idle = [self._idle.seconds(lane, now) for lane in LANES]
        for lane, value in waits.items():
            if self._grown.get(lane, (None, 0))[0] != value:
                self._grown[lane] = (value, total[lane])
        self._troubles.see(
            IDLE,
            [
                Trouble(IDLE, f"lane {lane.label}", *self._standing.idle(lane, left[lane], seconds))
                for lane, seconds in self._idle.standing(now).items()
                if total[lane] > self._grown[lane][1]
            ],
        )

    def _look_at_positions(self, ends: Ends, now: float) -> None:
        read = {
            (one, lane): one.positions[lane].next
            for one, lane in ends
            if one.positions[lane].next < one.positions[lane].fetched
        }
        self._still.look(read, now)
        self.still = _longest(self._still, read, now)
        self._troubles.see(
            STILL,
            [
                Trouble(STILL, _where(*name), *self._standing.still(*name, seconds))
                for name, seconds in self._still.standing(now).items()
            ],
        )


def _where(partition: OwnedPartition, lane: Priority) -> str:
    return f"lane {lane.label}, partition {partition.number}"


def _longest(
    seen: Standstills[tuple[OwnedPartition, Priority]],
    names: Mapping[tuple[OwnedPartition, Priority], object],
    now: float,
) -> Sequence[float]:
    return [
        max((seen.seconds(name, now) for name in names if name[1] is lane), default=0.0)
        for lane in LANES
    ]
