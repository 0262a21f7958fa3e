"""How much waits in the lanes of a worker's partitions, and for how long?

Counted, not estimated: of each owned partition the records from its position to the log's end, less
those that are done out of their order. The ends are asked for every few seconds. What waits in the
waiting room (retrying, scheduled, queued behind a head) is not in here: its record is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from processor.domain.errors import Unavailable
from processor.domain.priority import LANES
from processor.ports.log import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from processor.domain.priority import Priority
    from processor.domain.topics import Topics
    from processor.ports.clock import Clock
    from processor.ports.log import Reader
    from processor.runtime.delivery import Delivery
    from processor.runtime.partition import OwnedPartition
    from processor.runtime.world import World

LOOK_SECONDS: Final = 5.0
_NEVER: Final = (None,) * len(LANES)

log = structlog.get_logger(__name__)


class _Picture(NamedTuple):
    """What of a partition is not done, by lane."""

    partition: OwnedPartition
    depths: Sequence[int]
    ages: Sequence[float]
    """Seconds since the oldest came."""


class Backlog:
    """Knows what `job.queue_depth` and `job.oldest_seconds` say.

    Both are read from whatever thread collects metrics, so they are pictures taken by `look`, and
    none is taken before somebody has collected once. A partition that was let go since is left out:
    it is in its next owner's.
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
        self._filled: Mapping[OwnedPartition, Sequence[int | None]] = {}
        """When each lane of a partition was first seen not to be empty."""
        self._pictures: Sequence[_Picture] | None = None
        self._wanted = False

    def depths(self) -> Sequence[int]:
        """Records that are not done, by lane, as they were last counted; empty before."""
        seen = self._seen()
        return [] if seen is None else [sum(one.depths[lane] for one in seen) for lane in LANES]

    def oldest(self) -> Sequence[float]:
        """Seconds since the oldest job that was read and has not ended could have run, by lane.

        Where nothing of a lane was read, at least: since it was first seen not to be empty. 0 where
        nothing waits.
        """
        seen = self._seen()
        if seen is None:
            return []
        return [max((one.ages[lane] for one in seen), default=0.0) for lane in LANES]

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
        owned = list(self._owned().values())
        ends = await ends_of(self._topics, self._readers, owned)
        now, first = self._clock.now(), self._first()
        filled, pictures = {}, []
        for one in owned:
            depths = [
                _left(one, lane, ends[Place(self._topics.lane(lane), one.number)]) for lane in LANES
            ]
            before = self._filled.get(one, _NEVER)
            since = [(before[lane] or now) if depths[lane] else None for lane in LANES]
            came = [first.get((one, lane)) or since[lane] for lane in LANES]
            ages = [
                max(0.0, (now - at) / 1_000_000) if at and depth else 0.0
                for at, depth in zip(came, depths, strict=True)
            ]
            filled[one] = since
            pictures.append(_Picture(one, depths, ages))
        self._filled, self._pictures = filled, pictures

    def _seen(self) -> Sequence[_Picture] | None:
        """What was counted of the partitions that are still held; None before."""
        self._wanted = True
        pictures = self._pictures
        return None if pictures is None else [one for one in pictures if not one.partition.lost]

    def _first(self) -> Mapping[tuple[OwnedPartition, Priority], int]:
        """When the oldest job came of those that were read, by partition and lane."""
        first: dict[tuple[OwnedPartition, Priority], int] = {}
        for delivery in self._known():
            if not delivery.waits:
                where, came = (delivery.partition, delivery.lane), since(delivery)
                first[where] = min(came, first.get(where, came))
        return first


async def ends_of(
    topics: Topics, readers: Sequence[Reader], owned: Sequence[OwnedPartition]
) -> Mapping[Place, int]:
    """Where the log ends, in every lane of these partitions; raises `Unavailable`."""
    ends: dict[Place, int] = {}
    for lane in LANES:
        places = [Place(topics.lane(lane), one.number) for one in owned]
        if places:
            bounds = await readers[lane].bounds(places)
            ends.update((place, end) for place, (_, end) in bounds.items())
    return ends


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
