"""How much waits in the lanes of a worker's partitions, and for how long?

Counted, not estimated: of each owned partition the records from its position to the log's end, less
those that are done out of their order. The ends are asked for every few seconds. What waits in the
waiting room (retrying, scheduled, queued behind a head) is not in here: its record is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from processor.domain.errors import Unavailable
from processor.domain.priority import LANES
from processor.ports.log import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from processor.domain.topics import Topics
    from processor.ports.clock import Clock
    from processor.ports.log import Reader
    from processor.runtime.delivery import Delivery
    from processor.runtime.partition import OwnedPartition
    from processor.runtime.world import World

LOOK_SECONDS: Final = 5.0

log = structlog.get_logger(__name__)


class Backlog:
    """Knows what `job.queue_depth` and `job.oldest_seconds` say.

    Both are read from whatever thread collects metrics, so they are pictures taken by `look`, and
    none is taken before somebody has collected once.
    """

    def __init__(
        self,
        topics: Topics,
        readers: Sequence[Reader],
        clock: Clock,
        owned: Callable[[], Mapping[int, OwnedPartition]],
        known: Callable[[], Iterable[Delivery]],
    ) -> None:
        self._topics = topics
        self._readers = readers
        self._clock = clock
        self._owned = owned
        self._known = known
        self._since: list[int | None] = [None for _ in LANES]
        """When a lane was first seen not to be empty."""
        self._depths: Sequence[int] = ()
        self._oldest: Sequence[float] = ()
        self._wanted = False

    def depths(self) -> Sequence[int]:
        """Records that are not done, by lane, as they were last counted; empty before."""
        self._wanted = True
        return self._depths

    def oldest(self) -> Sequence[float]:
        """Seconds since the oldest job that was read and has not ended could have run, by lane.

        Where nothing of a lane was read, at least: since it was first seen not to be empty. 0 where
        nothing waits.
        """
        self._wanted = True
        return self._oldest

    async def run(self) -> None:
        """Look again and again, once somebody wants to know, until cancelled."""
        while True:
            if self._wanted:
                try:
                    await self.look()
                except Unavailable as error:
                    log.info("the lanes' ends are not known just now", because=str(error))
            await self._clock.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Count."""
        owned = dict(self._owned())
        ends: dict[Place, int] = {}
        for lane in LANES:
            places = [Place(self._topics.lane(lane), number) for number in owned]
            if places:
                bounds = await self._readers[lane].bounds(places)
                ends.update((place, end) for place, (_, end) in bounds.items())
        now, first = self._clock.now(), self._first()
        depths, oldest = [], []
        for lane in LANES:
            topic = self._topics.lane(lane)
            depth = sum(
                _left(one, lane, ends[Place(topic, number)]) for number, one in owned.items()
            )
            seen = self._since[lane] = (self._since[lane] or now) if depth else None
            came = first[lane] or seen
            depths.append(depth)
            oldest.append(max(0.0, (now - came) / 1_000_000) if depth and came else 0.0)
        self._depths, self._oldest = depths, oldest

    def _first(self) -> list[int | None]:
        first: list[int | None] = [None for _ in LANES]
        for delivery in self._known():
            if not delivery.waits:
                came, before = since(delivery), first[delivery.lane]
                first[delivery.lane] = came if before is None else min(before, came)
        return first


async def watch(
    world: World,
    topics: Topics,
    owned: Callable[[], Mapping[int, OwnedPartition]],
    known: Callable[[], Iterable[Delivery]],
) -> None:
    """Report a worker's backlog until cancelled."""
    backlog = Backlog(topics, world.readers, world.clock, owned, known)
    world.metrics.watch_lanes(backlog.depths, backlog.oldest)
    await backlog.run()


def since(delivery: Delivery) -> int:
    """When the job could first have run, in microseconds since the epoch."""
    return max(delivery.record.submitted_at, delivery.record.not_before or 0)


def _left(partition: OwnedPartition, lane: int, end: int) -> int:
    position = partition.positions[lane]
    return position.unfinished + max(0, end - position.fetched)
