"""Which records are there that this release cannot read, or cannot reach?

Looked at are, of each partition, the first record that is not done, which would halt it, and the
newest: a release that writes what this one does not know shows there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.domain.priority import LANES
from processor.ports.codec import Undecodable, UnknownSchema
from processor.ports.log import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from processor.domain.topics import Topics
    from processor.ports.clock import Clock
    from processor.ports.codec import Codec
    from processor.ports.log import LogRecord, Reader
    from processor.ports.ownership import Positions

LOOK_SECONDS: Final = 5.0
_NOWHERE: Final = (0, 0, 0, 0)
_AT_ONCE: Final = 10_000


class Legibility:
    """Looks at some records of every topic."""

    def __init__(self, codec: Codec, topics: Topics, partitions: int, clock: Clock) -> None:
        self._topics = topics
        self._partitions = partitions
        self._clock = clock
        self._decoders: dict[str, Callable[[bytes], object]] = {
            **dict.fromkeys(topics.lanes, codec.decode_submission),
            topics.events: codec.decode_journal,
            topics.dead_letters: codec.decode_dead_letter,
            topics.failed: codec.decode_job_failed,
            topics.breakers: codec.decode_breaker_changed,
        }

    @property
    def places(self) -> list[Place]:
        """What the reader must have."""
        return [Place(topic, one) for topic in self._decoders for one in range(self._partitions)]

    async def look(self, reader: Reader, positions: Mapping[int, Positions]) -> list[str]:
        """A sentence for everything that is wrong."""
        bounds = await reader.bounds(self.places)
        wrong: list[str] = []
        first: dict[Place, int] = {}
        for partition in range(self._partitions):
            for lane in LANES:
                place = Place(self._topics.lane(lane), partition)
                start, end = bounds[place]
                position = positions.get(partition, _NOWHERE)[lane]
                if partition in positions and not start <= position <= end and position:
                    wrong.append(
                        f"{place.topic}[{partition}] holds offsets {start} to {end}, and the work"
                        f" is at {position}: let broker and database be of one time again"
                    )
                elif max(position, start) < end:
                    first[place] = max(position, start)
        newest = {place: end - 1 for place, (start, end) in bounds.items() if start < end}
        for offsets in (first, newest):
            wrong += await self._unknown(reader, offsets)
        return list(dict.fromkeys(wrong))

    async def _unknown(self, reader: Reader, offsets: Mapping[Place, int]) -> list[str]:
        found: dict[Place, LogRecord] = {}
        for place, offset in offsets.items():
            reader.place(place, offset)
        deadline = self._clock.monotonic() + LOOK_SECONDS
        while len(found) < len(offsets) and (left := deadline - self._clock.monotonic()) > 0:
            for place, records in (await reader.fetch(left, _AT_ONCE)).items():
                if records:
                    found.setdefault(place, records[0])
                    reader.leave(place)
        for place in offsets.keys() - found.keys():
            reader.leave(place)
        return [said for place, record in found.items() if (said := self._said(place, record))]

    def _said(self, place: Place, record: LogRecord) -> str | None:
        try:
            self._decoders[place.topic](record.value or b"")
        except UnknownSchema as unknown:
            return (
                f"{place.topic}[{place.partition}] has a record at {record.offset} that this"
                f" release cannot read ({unknown}): deploy one that can, readers first"
            )
        except Undecodable:
            return None  # corrupt: it becomes a dead letter, or is passed over
        return None
