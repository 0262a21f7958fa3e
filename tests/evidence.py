"""What do the database and the topics hold, read without any code of the line itself?

The positions are read first, then everything else in one REPEATABLE READ snapshot, then the topics
from their start with a plain consumer: whatever the positions say is done must be found in all that
was read after them, also while the work goes on. Only the codec is ours: its bytes are golden.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from processor.adapters.avro import AvroCodec
from processor.domain.dead_letter import DeadLetterFact, JobFailed
from processor.domain.ids import job_of_undecodable
from processor.domain.outcome import Outcome
from processor.domain.priority import LANES
from processor.domain.topics import Topics
from processor.ports.codec import Undecodable

CODEC: Final = AvroCodec()
Name = tuple[UUID, int]
"""A job and its generation."""
Spot = tuple[int, int]
"""A lane and a partition."""

POSITIONS = "SELECT partition, critical, high, normal, low FROM jobs.ownership"
EFFECTS = "SELECT entity, seq, job, generation, lane, partition, worker, at FROM chaos_effect"
LEDGER = """
SELECT job, generation, outcome::text, partition, lane, at_offset, body FROM jobs.ledger
"""
WAITING = "SELECT job, generation, entity_key, holds FROM jobs.waiting"
HISTORY = """
SELECT job, generation, timeline, upto, ended_at IS NOT NULL AS ended, body FROM jobs.history
"""
LETTERS = "SELECT job, generation, closed IS NULL AS open FROM jobs.dead_letter"
CHECKPOINTS = "SELECT projection, topic, partition, next FROM jobs.checkpoint"


class Effect(NamedTuple):
    entity: str
    seq: int
    job: UUID
    generation: int
    lane: int
    partition: int
    worker: str
    at: datetime


class LedgerRow(NamedTuple):
    job: UUID
    generation: int
    ending: str
    """c complete, f failed, x cancelled, d discarded."""
    partition: int
    lane: int
    offset: int
    body: bytes


class WaitingRow(NamedTuple):
    job: UUID
    generation: int
    entity_key: int
    holds: bool


class HistoryRow(NamedTuple):
    job: UUID
    generation: int
    timeline: int
    upto: int
    ended: bool
    body: bytes


class Sighting(NamedTuple):
    """A record of a lane, and the job that it stands for."""

    job: UUID
    generation: int
    entity: str | None
    """None for a record that cannot be decoded."""
    lane: int
    partition: int
    offset: int
    parent: UUID | None = None
    value: bytes = b""
    """The record itself, of a follow-up's first generation."""


class Told(NamedTuple):
    """An outcome in the journal."""

    outcome: Outcome
    body: bytes


@dataclass(frozen=True, slots=True)
class Tables:
    """The database at one moment, and the positions a little before it."""

    positions: Mapping[Spot, int]
    effects: Sequence[Effect] = ()
    ledger: Mapping[Name, LedgerRow] = field(default_factory=dict)
    waiting: Mapping[Name, WaitingRow] = field(default_factory=dict)
    history: Sequence[HistoryRow] = ()
    letters: Mapping[Name, bool] = field(default_factory=dict)
    """Whether each dead letter is open."""
    checkpoints: Mapping[tuple[str, str, int], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Log:
    """Every record of every topic."""

    lanes: Sequence[Sighting] = ()
    journal: Sequence[Told] = ()
    facts: Sequence[DeadLetterFact] = ()
    failed: Sequence[JobFailed] = ()
    ends: Mapping[tuple[str, int], int] = field(default_factory=dict)
    strange: Sequence[str] = ()
    """Records of the journal, of dead letters or of failures that cannot be decoded."""


@dataclass(frozen=True, slots=True)
class Evidence:
    topics: Topics
    tables: Tables
    log: Log


async def gather(database: str, kafka: str, namespace: str) -> Evidence:
    """Read everything, in the order that makes it comparable."""
    topics = Topics(namespace)
    tables = await tables_of(database)
    return Evidence(topics, tables, await log_of(kafka, topics))


async def tables_of(database: str) -> Tables:
    connection = await asyncpg.connect(database)
    try:
        positions = {
            (lane, partition): position
            for partition, *lanes in await connection.fetch(POSITIONS)
            for lane, position in enumerate(lanes)
        }
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            rows = [LedgerRow(*_plain(row)) for row in await connection.fetch(LEDGER)]
            waits = [WaitingRow(*_plain(row)) for row in await connection.fetch(WAITING)]
            return Tables(
                positions,
                [Effect(*_plain(row)) for row in await connection.fetch(EFFECTS)],
                {(row.job, row.generation): row for row in rows},
                {(row.job, row.generation): row for row in waits},
                [HistoryRow(*_plain(row)) for row in await connection.fetch(HISTORY)],
                {
                    (UUID(int=j.int), g): is_open
                    for j, g, is_open in await connection.fetch(LETTERS)
                },
                {(name, *at): done for name, *at, done in await connection.fetch(CHECKPOINTS)},
            )
    finally:
        await connection.close()


def _plain(row: asyncpg.Record) -> list[Any]:
    """The driver's own kind of uuid as everybody's."""
    return [UUID(int=value.int) if isinstance(value, UUID) else value for value in row]


async def log_of(kafka: str, topics: Topics) -> Log:
    """Every record that stood in the topics when it was called, and some that came since."""
    cluster, places = await _places(kafka, topics.every)
    records, ends = await _dump(kafka, places)
    lanes = [
        _sighting(cluster, lane, record) for lane in LANES for record in records[topics.lane(lane)]
    ]
    strange: list[str] = []

    def decoded(topic: str, decode: Any) -> list[Any]:  # noqa: ANN401 - a decoder
        found = []
        for record in records[topic]:
            try:
                found.append(decode(record.value or b""))
            except Undecodable as error:
                strange.append(f"{topic} {record.partition} {record.offset}: {error}")
        return found

    journal = decoded(topics.events, lambda value: (CODEC.decode_journal(value), value))
    return Log(
        lanes,
        [Told(told, value) for told, value in journal if isinstance(told, Outcome)],
        decoded(topics.dead_letters, CODEC.decode_dead_letter),
        decoded(topics.failed, CODEC.decode_job_failed),
        ends,
        strange,
    )


def _sighting(cluster: str, lane: int, record: Any) -> Sighting:  # noqa: ANN401 - untyped
    where = (lane, record.partition, record.offset)
    try:
        one = CODEC.decode_submission(record.value or b"")
    except Undecodable:
        job = job_of_undecodable(cluster, record.topic, record.partition, record.offset)
        return Sighting(job, 1, None, *where)
    is_follow_up = one.parent is not None and one.generation == 1
    value = record.value if is_follow_up else b""
    return Sighting(one.job, one.generation, one.entity, *where, one.parent, value)


async def ends_of(kafka: str, topics: Topics) -> dict[tuple[str, int], int]:
    """The offset that the next record of each partition will have."""
    _, places = await _places(kafka, topics.every)
    async with _consuming(kafka, places) as consumer:
        return _named(await consumer.end_offsets(places))


async def _places(kafka: str, topics: Sequence[str]) -> tuple[str, list[TopicPartition]]:
    """The cluster's id, and every partition of the topics, as the broker says."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        cluster: str = (await admin.describe_cluster())["cluster_id"]
        found = await admin.describe_topics(list(topics))
    finally:
        await admin.close()
    return cluster, [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in found
        for partition in topic["partitions"]
    ]


async def _dump(
    kafka: str, places: Sequence[TopicPartition]
) -> tuple[dict[str, list[Any]], dict[tuple[str, int], int]]:
    async with _consuming(kafka, places) as consumer:
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        found: dict[str, list[Any]] = {place.topic: [] for place in places}
        left = {place for place in places if ends[place] > await consumer.position(place)}
        while left:
            for place, records in (await consumer.getmany(timeout_ms=1_000)).items():
                found[place.topic] += records
                if await consumer.position(place) >= ends[place]:
                    left.discard(place)
        return found, _named(ends)


@asynccontextmanager
async def _consuming(kafka: str, places: Sequence[TopicPartition]) -> AsyncIterator[Any]:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(list(places))
        yield consumer
    finally:
        await consumer.stop()


def _named(ends: Mapping[Any, int]) -> dict[tuple[str, int], int]:
    return {(place.topic, place.partition): end for place, end in ends.items()}
