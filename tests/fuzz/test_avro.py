"""Does any record stop who reads it, or get lost?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Final, NamedTuple

from processor.adapters.avro import AvroCodec
from processor.adapters.avro.submission_by_hand import MARK
from processor.domain.ids import JobId, job_of_undecodable
from processor.domain.priority import LANES
from processor.domain.topics import Topics
from processor.ports.codec import Undecodable, UnknownSchema
from processor.ports.ledger import Ending
from processor.testing.naming import TOPICS
from processor.testing.operated import OperatedCluster
from processor.testing.virtual_time import play
from projections.dead_letters import DeadLetterProjection
from projections.history import HistoryProjection
from tests.fuzz.spoiling import GOLDEN, record_of, spoilt
from tests.fuzz.trying import inputs, survives
from tests.invariants import recording

CODEC: Final = AvroCodec()
READERS: Final[tuple[Callable[[bytes], object], ...]] = (
    CODEC.decode_submission,
    CODEC.decode_journal,
    CODEC.decode_dead_letter,
    CODEC.decode_job_failed,
)
PROJECTIONS: Final = (
    HistoryProjection(Topics(), 1, CODEC),
    DeadLetterProjection(Topics(), 1, CODEC),
)
SUBMISSIONS: Final = tuple(value for value in GOLDEN if value.startswith(MARK))
TOGETHER: Final = 50
"""Records that one run of a worker finds in its lanes."""
PARTITIONS: Final = 2


class Read(NamedTuple):
    offset: int
    value: bytes
    timestamp: int


@inputs(5_000)
def test_whatever_the_bytes_are_a_reader_says_undecodable_at_worst(seeds: Sequence[int]) -> None:
    def attempt(seed: int) -> None:
        value = record_of(Random(seed))
        for read in READERS:
            with suppress(Undecodable):
                read(value)

    survives(attempt, seeds)


@inputs(2_500)
def test_a_projection_keeps_every_record_as_one_row_or_aside(seeds: Sequence[int]) -> None:
    def attempt(seed: int) -> None:
        value = record_of(Random(seed))
        for projection in PROJECTIONS:
            for place in projection.places:
                batch = projection.fold({place: [Read(7, value, 1_357_034_400_123)]}).batch
                rows = [*batch.history, *batch.live, *batch.letters, *batch.aside]
                assert len(rows) == 1, "a record was lost, or is told twice"

    survives(attempt, seeds)


@inputs(20, 2_000, each=TOGETHER)
def test_of_any_fifty_records_in_the_lanes_each_comes_to_its_end(seeds: Sequence[int]) -> None:
    survives(lambda seed: play(_worked(Random(seed))), seeds)


async def _worked(chance: Random) -> None:
    cluster = OperatedCluster(recording(), PARTITIONS)
    worker = cluster.start()
    appended = []
    for _ in range(TOGETHER):
        lane, partition, value = chance.choice(LANES), chance.randrange(PARTITIONS), _known(chance)
        offset = cluster.append(lane, partition, value)
        appended.append((TOPICS.lane(lane), partition, offset, value))
    await cluster.read_to_the_end()
    await worker.stopped()
    ended = {job for job, _ in cluster.database.ledger}
    waiting = {job for job, _ in cluster.database.waiting}
    for topic, partition, offset, value in appended:
        try:
            job: JobId = CODEC.decode_submission(value).job
        except Undecodable:
            job = job_of_undecodable("cluster", topic, partition, offset)
            assert cluster.database.ledger[job, 1].ending is Ending.FAILED
            assert cluster.outcome(job).submission == value, "a dead letter without its bytes"
        assert job in ended | waiting, f"{topic} {partition} {offset} is passed and has no end"


def _known(chance: Random) -> bytes:
    """A record of a job of its own, often spoilt; none of a later release, which would wait."""
    while True:
        good = chance.choice(SUBMISSIONS)
        good = MARK + chance.randbytes(16) + good[len(MARK) + 16 :]
        value = spoilt(good, chance) if chance.random() < 0.8 else record_of(chance)
        try:
            CODEC.decode_submission(value)
        except UnknownSchema:
            continue
        except Undecodable:
            return value
        return value
