"""What do the topics hold, read from their start with a plain consumer, copied beside the ledger?

Records and how far they were read are written in one transaction: when the database forgets some of
it, that is read again. Only the codec is ours; its bytes are golden.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from processor.adapters.avro import AvroCodec
from processor.chaos.rows import Rows, rows_of_fact, rows_of_failure, rows_of_lane, rows_of_told
from processor.domain.ids import job_of_undecodable
from processor.domain.priority import LANES

if TYPE_CHECKING:
    import asyncpg

    from processor.domain.topics import Topics

AT_ONCE: Final = 5_000
WAIT_MILLISECONDS: Final = 1_000
COPIED: Final = "SELECT topic, partition, next FROM chaos.copied"
KEEP: Final = """
INSERT INTO chaos.copied SELECT * FROM unnest($1::text[], $2::smallint[], $3::bigint[])
ON CONFLICT (topic, partition) DO UPDATE SET next = excluded.next
"""


class Bounds(NamedTuple):
    """Where a partition of a topic begins and ends."""

    begin: int
    end: int


class Copying:
    """Copies what the topics hold into the tables of `chaos`, each time from where it stopped."""

    def __init__(self, kafka: str, topics: Topics) -> None:
        self._kafka = kafka
        self._topics = topics
        codec = AvroCodec()
        self._rows = {
            topics.events: rows_of_told(codec),
            topics.dead_letters: rows_of_fact(codec),
            topics.failed: rows_of_failure(codec),
        }
        self._codec = codec
        self._cluster = ""

    async def copy(self, connection: asyncpg.Connection[Any]) -> Mapping[TopicPartition, Bounds]:
        """Read on to the ends that the topics have now; where they begin and end.

        Raises what aiokafka and the database raise; then it can be called again.
        """
        places = await self._places()
        async with _consuming(self._kafka, places) as consumer:
            begins = await consumer.beginning_offsets(places)
            ends = await consumer.end_offsets(places)
            copied = {(topic, at): next_ for topic, at, next_ in await connection.fetch(COPIED)}
            left = set()
            for place in places:
                start = copied.get((place.topic, place.partition), begins[place])
                consumer.seek(place, start)
                if start < ends[place]:
                    left.add(place)
                else:
                    consumer.pause(place)
            while left:
                left -= await self._some(connection, consumer, ends)
        return {place: Bounds(begins[place], ends[place]) for place in places}

    async def ends(self) -> Mapping[TopicPartition, int]:
        """The offset that the next record of each partition will have."""
        places = await self._places()
        async with _consuming(self._kafka, places) as consumer:
            found: Mapping[TopicPartition, int] = await consumer.end_offsets(places)
            return found

    async def lane_ends(self) -> Mapping[TopicPartition, int]:
        """The same of the lanes alone."""
        ends = await self.ends()
        return {place: end for place, end in ends.items() if place.topic in self._topics.lanes}

    async def _some(
        self,
        connection: asyncpg.Connection[Any],
        consumer: Any,  # noqa: ANN401 - aiokafka ships no types
        ends: Mapping[TopicPartition, int],
    ) -> set[TopicPartition]:
        """Copy one fetched batch; the places of which all is copied then."""
        fetched = await consumer.getmany(timeout_ms=WAIT_MILLISECONDS, max_records=AT_ONCE)
        rows: Rows = {}
        for place, records in fetched.items():
            for table, lines in self._rows_of(place.topic, records).items():
                rows.setdefault(table, []).extend(lines)
        reached = {place: records[-1].offset + 1 for place, records in fetched.items()}
        await _write(connection, rows, reached)
        over = {place for place, next_ in reached.items() if next_ >= ends[place]}
        consumer.pause(*over)
        return over

    def _rows_of(self, topic: str, records: Sequence[Any]) -> Rows:
        if topic in self._rows:
            return self._rows[topic](records)
        lane = next(lane for lane in LANES if self._topics.lane(lane) == topic)
        return rows_of_lane(
            self._codec,
            lane,
            records,
            lambda record: job_of_undecodable(
                self._cluster, topic, record.partition, record.offset
            ),
        )

    async def _places(self) -> list[TopicPartition]:
        """Every partition of the topics, as the broker says."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._kafka)
        await admin.start()
        try:
            self._cluster = (await admin.describe_cluster())["cluster_id"]
            copied = [name for name in self._topics.every if name != self._topics.breakers]
            found = await admin.describe_topics(copied)
        finally:
            await admin.close()
        return [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in found
            for partition in topic["partitions"]
        ]


async def _write(
    connection: asyncpg.Connection[Any], rows: Rows, reached: Mapping[TopicPartition, int]
) -> None:
    async with connection.transaction():
        for table, lines in rows.items():
            await connection.copy_records_to_table(
                table.name, schema_name="chaos", columns=table.columns, records=lines
            )
        await connection.execute(KEEP, *_columns(reached))


def _columns(reached: Mapping[TopicPartition, int]) -> Iterable[list[Any]]:
    lines = [(place.topic, place.partition, next_) for place, next_ in reached.items()]
    return ([line[column] for line in lines] for column in range(3))


@asynccontextmanager
async def _consuming(kafka: str, places: Sequence[TopicPartition]) -> AsyncIterator[Any]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka, enable_auto_commit=False, auto_offset_reset="none"
    )
    await consumer.start()
    try:
        consumer.assign(list(places))
        yield consumer
    finally:
        await consumer.stop()
