"""How is a lane read, no further ahead than can be held?

One fetcher a lane, so that a full buffer of one never delays another.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from processor.ports.log import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from processor.domain.priority import Priority
    from processor.ports.clock import Clock
    from processor.ports.codec import UnknownSchema
    from processor.ports.log import LogRecord, Reader
    from processor.runtime.decoding import Decoder
    from processor.runtime.examining import Examiner
    from processor.runtime.intake import Halt
    from processor.runtime.partition import OwnedPartition

log = structlog.get_logger(__name__)

LONG_POLL = 0.5
SHORT_POLL = 0.05
"""While some partitions are full: they are asked for again this soon after they have room."""
SPILLING_POLL = 0.01
"""While what is read would only be written into the waiting room."""
MOST_AT_ONCE = 2_000
WAIT_FOR_SCHEMA = 5.0


@dataclass(frozen=True, slots=True)
class LookAhead:
    """How much is read ahead of what is done, of each partition of a lane."""

    jobs: int = 1_000
    bytes: int = 8 * 1024 * 1024


class LaneFetcher:
    """Reads one lane's owned partitions into the mailboxes."""

    def __init__(
        self,
        reader: Reader,
        decoder: Decoder,
        intake: Examiner,
        clock: Clock,
        look_ahead: LookAhead,
        is_lane_held: Callable[[Priority], bool],
    ) -> None:
        self.lane = decoder.lane
        self.topic = decoder.topic
        self.reader = reader
        self._decoder = decoder
        self._intake = intake
        self._clock = clock
        self._look_ahead = look_ahead
        self._is_lane_held = is_lane_held
        self._reading: dict[int, OwnedPartition] = {}
        self._full: set[int] = set()
        self._halted: dict[int, float] = {}
        self._rest: dict[int, Sequence[LogRecord]] = {}
        """What was read and could not be taken in yet: it is not fetched a second time."""
        self._changed = asyncio.Event()
        self._stopped = False
        self.turned_at = math.inf
        """When it last began to fetch; infinite while there is nothing that it may read."""

    def take(self, partition: OwnedPartition) -> None:
        """Read a partition from its position on."""
        self._reading[partition.number] = partition
        self._rest.pop(partition.number, None)
        start = partition.position(self.lane).fetched
        self.reader.place(Place(self.topic, partition.number), start)
        self._changed.set()

    def drop(self, partition: OwnedPartition) -> None:
        """Read a partition no further."""
        if self._reading.get(partition.number) is partition:
            del self._reading[partition.number]
            self._full.discard(partition.number)
            self._halted.pop(partition.number, None)
            self._rest.pop(partition.number, None)
            self.reader.leave(Place(self.topic, partition.number))

    def look_again(self) -> None:
        """Records became done, or holds have changed: there may be something to read."""
        self._changed.set()

    def should_read(self, partition: OwnedPartition) -> bool:
        """Whether what the log has of a partition is to be read now: there is room for it."""
        number = partition.number
        mine = self._reading.get(number) is partition and number not in self._full
        return mine and not (self._is_lane_held(self.lane) or self._intake.spills_enough(self.lane))

    def is_halted(self, partition: OwnedPartition) -> bool:
        """Whether a partition waits until its next record can be decoded."""
        return partition.number in self._halted

    def stop(self) -> None:
        """End after the fetch that is under way, which must not be cancelled."""
        self._stopped = True
        self._changed.set()

    async def run(self) -> None:
        """Fetch until stopped; raises `LogCut` where the log has a hole."""
        while not self._stopped:
            self.turned_at = self._clock.monotonic()
            if self._intake.spills_enough(self.lane):
                await self._clock.sleep(SPILLING_POLL)
                continue
            places = self._with_room()
            if not places:
                await self._wait_for_change()
                continue
            if rest := self._take_rest(places):
                await self._take_in(rest)
                continue
            partial = len(places) < len(self._reading)
            fetched = await self.reader.fetch(
                SHORT_POLL if partial else LONG_POLL, MOST_AT_ONCE, places if partial else None
            )
            if fetched:
                await self._take_in(fetched)

    def _with_room(self) -> list[Place]:
        now = self._clock.monotonic()
        places: list[Place] = []
        if self._is_lane_held(self.lane):
            return places
        for number, partition in self._reading.items():
            if number in self._halted:
                if self._halted[number] > now:
                    continue
                del self._halted[number]
            self._judge(number, partition)
            if number not in self._full:
                places.append(Place(self.topic, number))
        return places

    def _take_rest(self, places: Sequence[Place]) -> Mapping[Place, Sequence[LogRecord]]:
        numbers = [place.partition for place in places if place.partition in self._rest]
        return {Place(self.topic, number): self._rest.pop(number) for number in numbers}

    def _judge(self, number: int, partition: OwnedPartition) -> None:
        """Full at the bound, with room again at half of it, so that fetches stay large."""
        unfinished, bound = partition.unfinished(self.lane, self._look_ahead.jobs)
        held = partition.held_bytes[self.lane]
        if number in self._full:
            if unfinished <= bound // 2 and held <= self._look_ahead.bytes // 2:
                self._full.discard(number)
        elif unfinished >= bound or held >= self._look_ahead.bytes:
            self._full.add(number)

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        if not self._halted:
            self.turned_at = math.inf
            await self._changed.wait()
            return
        soon = min(self._halted.values()) - self._clock.monotonic()
        await self._clock.sleep(min(max(soon, 0.0), LONG_POLL))

    async def _take_in(self, fetched: Mapping[Place, Sequence[LogRecord]]) -> None:
        read = []
        for place, records in fetched.items():
            owned = self._reading.get(place.partition)
            if owned is not None:
                read.append((owned, records))
        for halt in await self._intake.take_in(self._decoder, self.lane, read):
            number = halt.partition.number
            if self._reading.get(number) is not halt.partition:
                continue
            if halt.unknown is None:
                records = fetched[Place(self.topic, number)]
                self._rest[number] = [one for one in records if one.offset >= halt.offset]
                self._halted[number] = self._clock.monotonic() + halt.pause
            else:
                self._wait_for_release(halt, halt.unknown)

    def _wait_for_release(self, halt: Halt, unknown: UnknownSchema) -> None:
        number = halt.partition.number
        self._halted[number] = self._clock.monotonic() + WAIT_FOR_SCHEMA
        self.reader.place(Place(self.topic, number), halt.offset)
        log.error(
            "a partition waits for a release that knows its schema: deploy readers first",
            topic=self.topic,
            partition=number,
            offset=halt.offset,
            because=str(unknown),
        )
