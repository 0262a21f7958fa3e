"""When did the first job of a round start, and when did the last outcome stand in the journal?

Both are read from the journal itself, afterwards: the worker's own clock wrote the first, the
broker's the last.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Self

from processor.adapters.avro import AvroCodec
from processor.adapters.kafka.reader import KafkaReader
from processor.domain.errors import Unavailable
from processor.domain.events import Started
from processor.domain.outcome import Outcome
from processor.ports.log import Place

if TYPE_CHECKING:
    from processor.ports.log import LogRecord
    from processor.settings import Settings

FIRST: Final = 200
"""Records at the start of each partition among which the first start is looked for."""
FETCH_SECONDS: Final = 5.0


class Journal:
    """Reads one namespace's journal, `async with`."""

    def __init__(self, settings: Settings) -> None:
        topic = settings.topics.events
        self._places = [Place(topic, number) for number in range(settings.partitions)]
        self._reader = KafkaReader(settings.need_kafka(), self._places)
        self._codec = AvroCodec()

    @classmethod
    async def of(cls, settings: Settings) -> Self:
        """Made aside: reading the schemas blocks."""
        return await asyncio.to_thread(cls, settings)

    async def __aenter__(self) -> Self:
        await self._reader.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._reader.__aexit__(*exception)

    async def count(self) -> int:
        """How many records it holds."""
        bounds = await self._reader.bounds(self._places)
        return sum(end for _, end in bounds.values())

    async def lasted(self) -> float:
        """Seconds from the first start to the last outcome."""
        return await self.last_append() - await self.first_start()

    async def first_start(self) -> float:
        """When the first job started, in seconds since the epoch."""
        starts = [
            event.at
            for records in (await self._read(0, FIRST)).values()
            for outcome in map(self._outcome, records)
            if outcome is not None
            for event in outcome.events[:1]
            if isinstance(event, Started)
        ]
        return min(starts) / 1e6

    async def last_append(self) -> float:
        """When the last record was appended, in seconds since the epoch, to the millisecond."""
        found = await self._read(-1, 1)
        return max(records[-1].timestamp for records in found.values()) / 1e3

    def _outcome(self, record: LogRecord) -> Outcome | None:
        """What a record holds; None where it is an ephemeral one."""
        found = self._codec.decode_journal(record.value or b"")
        return found if isinstance(found, Outcome) else None

    async def _read(self, at: int, most: int) -> dict[Place, list[LogRecord]]:
        """Up to so many records of each partition, from its start or, with -1, its last one."""
        bounds = await self._reader.bounds(self._places)
        wanted = {place: min(most, end - start) for place, (start, end) in bounds.items()}
        found: dict[Place, list[LogRecord]] = {place: [] for place in wanted}
        left = {place for place, number in wanted.items() if number}
        for place in left:
            self._reader.place(place, bounds[place][1] - 1 if at < 0 else bounds[place][0])
        while left:
            for place, records in (await self._fetch()).items():
                found[place] += records[: wanted[place] - len(found[place])]
                if place in left and len(found[place]) >= wanted[place]:
                    left.discard(place)
                    self._reader.leave(place)
        return {place: records for place, records in found.items() if records}

    async def _fetch(self) -> dict[Place, list[LogRecord]]:
        fetched = await self._reader.fetch(FETCH_SECONDS, 10_000)
        if not fetched:
            raise Unavailable("the broker does not hand out the journal's records")
        return {place: list(records) for place, records in fetched.items()}
