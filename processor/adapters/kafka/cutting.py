"""How far do Kafka's partitions reach, and how is their start cut off?

Asked seldom: each call connects anew and leaves nothing behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiokafka import TopicPartition
from aiokafka.admin.records_to_delete import RecordsToDelete

from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.kafka.topics import administering
from processor.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from processor.ports.log import Place

FETCH_SECONDS: Final = 2.0
FETCHES: Final = 15
"""After so many fetches without a record the broker is said not to answer."""
RECORDS: Final = 10_000


class KafkaCutting:
    """Implements `processor.ports.cutting.Cutting`."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def bounds(self, places: Collection[Place]) -> Mapping[Place, tuple[int, int]]:
        """See `processor.ports.cutting.Extent`."""
        async with KafkaReader(self._address, places) as reader:
            return await reader.bounds(places)

    async def appended_at(self, offsets: Mapping[Place, int]) -> Mapping[Place, int]:
        """See `processor.ports.cutting.Extent`."""
        found: dict[Place, int] = {}
        if not offsets:
            return found
        async with KafkaReader(self._address, list(offsets)) as reader:
            bounds = await reader.bounds(list(offsets))
            left = {place for place, at in offsets.items() if at != bounds[place][1]}
            for place in left:
                reader.place(place, offsets[place])
            for _ in range(FETCHES):
                if not left:
                    return found
                for place, records in (await reader.fetch(FETCH_SECONDS, RECORDS)).items():
                    if records and place in left:
                        found[place] = records[0].timestamp * 1000
                        left.discard(place)
                        reader.leave(place)
        if left:
            raise Unavailable(f"the broker at {self._address} does not hand out its oldest records")
        return found

    async def cut(self, below: Mapping[Place, int]) -> None:
        """See `processor.ports.cutting.Cutting`."""
        if not below:
            return
        wanted = {
            TopicPartition(*place): RecordsToDelete(offset) for place, offset in below.items()
        }
        async with administering(self._address) as admin:
            await admin.delete_records(wanted)
